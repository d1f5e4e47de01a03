"""Drafts into records: what is new is uploaded, what changed is amended, what is known is left alone.

A unit is known again by its name; where it went and what it held is kept as keyed hashes, before the entries
are appended. A row whose record or version is not in the log tells of an import that was interrupted there:
the unit counts as new, or as not amended yet.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from identity.actors import Actor, new_id
from ledger.errors import Refused
from ledger.policies import policy_at
from records.errors import AccessDenied, RecordsError
from records.imports.balance import FileFindings
from records.imports.drafts import PatientDraft, RecordDraft, Unit, encounter_name
from records.imports.moves import Moves
from records.uploads import Upload, upload
from storage.identifiers import Kept
from storage.ledger import Ledger

Where = Callable[[RecordDraft], FileFindings]
"""The findings of the file that a record's units come from."""
CHUNK_RECORDS = 500
"""Records under one signature."""
REFUSED = (Refused, AccessDenied, RecordsError)


@dataclass
class _Batch:
    """What one record or new version takes, and what is kept of it."""

    findings: FileFindings
    upload: Upload
    units: Sequence[Unit]
    new: int
    amended: int
    keep: dict[bytes, Kept]


@dataclass
class _Chart:
    """What is known of a patient's units."""

    patient: str
    kept: dict[bytes, Kept]
    versions: dict[str, int]
    """Record → how many versions the log has."""
    members: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    """Record → its units."""


class Filing:
    """Files drafts for one hospital's system."""

    def __init__(self, ledger: Ledger, actor: Actor, dry: bool) -> None:
        """`dry`: everything is counted and nothing written."""
        self._ledger = ledger
        self._actor = actor
        self._dry = dry
        self._moves = Moves(ledger, actor)
        now = max(ledger.clock(), ledger.head().time)  # a clock may be behind the log's last entry
        policy = policy_at(ledger.policies(), now).policy
        self._private = frozenset(policy["private_labels"])

    def file(self, patient: str, fresh: bool, draft: PatientDraft, where: Where) -> None:
        """File the records of a draft; units that the ledger refuses are told as rejected."""
        chart = self._chart(patient, fresh)
        self._tell_moves(patient, draft, where)
        batches = [batch for one in draft.records for batch in self._plan(chart, one, where(one))]
        for start in range(0, len(batches), CHUNK_RECORDS):
            part = batches[start : start + CHUNK_RECORDS]
            for batch, outcome in self._upload(patient, part):
                self._count(batch, outcome)

    def _tell_moves(self, patient: str, draft: PatientDraft, where: Where) -> None:
        """Tell the units that stand in another patient's chart too."""
        whence = {unit.name: where(one) for one in draft.records for unit in one.units}
        units = [unit for one in draft.records for unit in one.units]
        for moved in self._moves.check(patient, units, self._dry):
            findings = whence[moved.unit.name]
            findings.moved(moved.unit.position, moved.record, moved.patient, patient)

    def _chart(self, patient: str, fresh: bool) -> _Chart:
        if fresh and self._dry:
            return _Chart(patient, {}, {})
        records = self._ledger.records_of(patient)
        chart = _Chart(
            patient, self._ledger.imported.of(patient), {r.record: len(r.versions) for r in records}
        )
        for name, kept in chart.kept.items():
            chart.members[kept.object].add(name)
        return chart

    def _plan(self, chart: _Chart, draft: RecordDraft, findings: FileFindings) -> Iterator[_Batch]:
        """Yield what of a draft is to be uploaded; count what is known."""
        hashes = {unit.name: self._known_as(chart, unit) for unit in draft.units}
        held, loose = _held(chart, draft.units, hashes)
        alone, moved = len(held) == 1, 0
        for record, units in held.items():
            changed = {unit.name for unit in units if self._changed(chart, unit, hashes[unit.name])}
            findings.report.summary.known += len(units) - len(changed)
            whole = chart.members[record] <= {hashes[unit.name] for unit in units}
            if whole and (changed or (loose and alone)):
                # The source gives all that the record holds: what is new in it belongs to the next version.
                added = loose if alone else set()
                chosen = {unit.name for unit in units} | added
                yield self._batch(chart, draft, findings, chosen, record, len(added), len(changed))
                loose = loose - added
            else:
                # A part alone would take the rest out of sight: what changed gets a record of its own.
                moved += len(changed)
                loose |= changed
        if loose:
            yield self._batch(chart, draft, findings, loose, "", len(loose) - moved, moved)

    def _changed(self, chart: _Chart, unit: Unit, name: bytes) -> bool:
        kept = chart.kept[name]
        done = chart.versions[kept.object] >= kept.version
        return not done or kept.digest != self._ledger.imported.digest(chart.patient, unit.sha256)

    def _batch(
        self,
        chart: _Chart,
        draft: RecordDraft,
        findings: FileFindings,
        names: Set[str],
        record: str,
        new: int,
        amended: int,
    ) -> _Batch:
        """One version of `record`, or of a fresh one, made of the units of these names."""
        units = [unit for unit in draft.units if unit.name in names]
        imported, version = self._ledger.imported, chart.versions.get(record, 0) + 1
        record = record or new_id("rc", self._ledger.clock())
        keep = {
            self._known_as(chart, unit): Kept(
                record, version, imported.digest(chart.patient, unit.sha256)
            )
            for unit in units
        }
        labels = tuple(sorted({label for unit in units for label in unit.labels}))
        one = Upload(
            chart.patient,
            draft.category,
            draft.media_type,
            _content(draft, units),
            title=draft.title,
            file_name=draft.file_name,
            clinical_date=draft.clinical_date or "",
            episode=self._episode(chart, draft.encounter, keep),
            labels=labels,
            sensitive=bool(labels),
            minor_private=not self._private.isdisjoint(labels),
            record=record,
            version=version,
        )
        return _Batch(findings, one, units, new, amended, keep)

    def _episode(self, chart: _Chart, encounter: str | None, keep: dict[bytes, Kept]) -> str:
        """The episode of an encounter; a new one is kept with the record that needs it first."""
        if encounter is None:
            return ""
        name = self._hash(chart, encounter_name(encounter))
        if name not in chart.kept:
            chart.kept[name] = keep[name] = Kept(new_id("ep", self._ledger.clock()), 0)
        return chart.kept[name].object

    def _known_as(self, chart: _Chart, unit: Unit) -> bytes:
        """The hash by which a unit is kept: that of its former name if the same content was kept under it."""
        own = self._hash(chart, unit.name)
        if own in chart.kept or not unit.former:
            return own
        former = self._hash(chart, unit.former)
        kept = chart.kept.get(former)
        same = kept and kept.digest == self._ledger.imported.digest(chart.patient, unit.sha256)
        return former if same else own

    def _hash(self, chart: _Chart, name: str) -> bytes:
        return self._ledger.imported.name(self._actor.hospital, chart.patient, name)

    def _upload(self, patient: str, part: Sequence[_Batch]) -> list[tuple[_Batch, int | str]]:
        """Upload a chunk under one signature, and what then is refused one by one.

        Gives the plaintext bytes of each, or the reason why it was refused.
        """
        if self._dry or not part:
            return [(batch, 0) for batch in part]
        keep = {name: kept for batch in part for name, kept in batch.keep.items()}
        self._ledger.imported.keep(patient, keep)
        try:
            done = upload(self._ledger, self._actor, [batch.upload for batch in part])
        except REFUSED as error:
            if len(part) == 1:
                return [(part[0], str(error))]
            return [one for batch in part for one in self._upload(patient, [batch])]
        return [(batch, one.size) for batch, one in zip(part, done, strict=True)]

    def _count(self, batch: _Batch, outcome: int | str) -> None:
        summary, one = batch.findings.report.summary, batch.upload
        if isinstance(outcome, str):
            summary.known -= len(batch.units) - batch.new - batch.amended
            for unit in batch.units:
                batch.findings.reject(unit.position, outcome, unit.raw or None)
            return
        summary.new += batch.new
        summary.amended += batch.amended
        summary.content += outcome
        if one.version == 1:
            summary.records[one.category] += 1
        else:
            summary.amendments += 1


def _held(
    chart: _Chart, units: Iterable[Unit], hashes: Mapping[str, bytes]
) -> tuple[dict[str, list[Unit]], set[str]]:
    """The units that a record of the log holds, by the record, and the names of those that none does."""
    held: dict[str, list[Unit]] = defaultdict(list)
    loose: set[str] = set()
    for unit in units:
        kept = chart.kept.get(hashes[unit.name])
        if kept is not None and chart.versions.get(kept.object):
            held[kept.object].append(unit)
        else:
            loose.add(unit.name)
    return held, loose


class _Content:
    """The content of a file, read when it is needed, each time anew."""

    def __init__(self, draft: RecordDraft, units: Sequence[Unit]) -> None:
        self._draft = draft
        self._units = units

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._draft.compose(self._units))


def _content(draft: RecordDraft, units: Sequence[Unit]) -> Iterable[bytes]:
    """What is at hand is put together here, in this thread; a file is streamed."""
    if all(unit.raw for unit in units):
        return (b"".join(draft.compose(units)),)
    return _Content(draft, units)
