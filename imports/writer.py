"""Drafts into records: what is new is uploaded, what changed is amended, what is known is left alone.

A unit is known again by its name; where it went and what it held is kept as keyed hashes, before the entries
are appended. A row whose record or version is not in the log tells of an import that was interrupted there:
the unit counts as new, or as not amended yet.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from client.beside import append, upload
from identity.actors import Actor, new_id
from imports.carrying import current_content
from imports.drafts import PatientDraft, RecordDraft, Unit, encounter_name
from imports.knowing import Chart, Known, Verdict
from imports.moves import Moves
from imports.remembering import remember
from imports.report import FileFindings
from imports.standing import TAG_BYTES
from imports.tried import Tried
from journeys.errors import AccessDenied, RecordsError
from journeys.labelling import codes_under
from ledger.errors import Refused
from ledger.facts import Record
from ledger.policies import policy_at
from records.uploads import Upload
from storage.ledger import Ledger
from storage.sql.identifiers import Kept

Where = Callable[[RecordDraft], FileFindings]
"""The findings of the file that a record's units come from."""
ELSEWHERE = (
    "changed; a record holds its older statement with others, and the newer got a record of its own"
)
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
class _Plan:
    """What of one draft goes where."""

    held: dict[str, list[tuple[Unit, Verdict]]] = field(default_factory=lambda: defaultdict(list))
    """Record → its units that the draft has."""
    loose: set[str] = field(default_factory=set)
    """Names of units that go into no record that is there."""
    moved: int = 0
    """How many of those a record held before."""


class Filing:
    """Files drafts for one hospital's system."""

    def __init__(self, ledger: Ledger, actor: Actor, dry: bool) -> None:
        """`dry`: everything is counted and nothing written."""
        self._ledger = ledger
        self._actor = actor
        self._dry = dry
        self._imported = ledger.identifiers.imported
        self._tried = Tried()
        self._keep = self._tried.keep if dry else self._imported.keep
        self._known = Known(self._imported, actor.hospital, os.urandom(TAG_BYTES), self._keep)
        self._moves = Moves(ledger, self._imported, actor.hospital)
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
        self._retract(chart, batches)

    def _tell_moves(self, patient: str, draft: PatientDraft, where: Where) -> None:
        """Tell the units that stand in another patient's chart too."""
        whence = {unit.name: where(one) for one in draft.records for unit in one.units}
        units = [unit for one in draft.records for unit in one.units]
        for moved in self._moves.check(patient, units, self._dry):
            findings = whence[moved.unit.name]
            findings.moved(moved.unit.position, moved.record, moved.patient, patient)

    def _chart(self, patient: str, fresh: bool) -> Chart:
        records = [] if fresh and self._dry else self._ledger.records_of(patient)
        kept = {} if fresh and self._dry else self._imported.of(patient)
        chart = Chart(patient, kept, {r.record: r for r in records})
        if self._dry:
            chart.would(self._tried.of(patient))
        if found := remember(self._ledger, self._known, chart, self._actor):
            self._keep(patient, found)
            chart.take(found)
        return chart

    def _plan(self, chart: Chart, draft: RecordDraft, findings: FileFindings) -> Iterator[_Batch]:
        """Yield what of a draft is to be uploaded; count what is known, set aside what is older."""
        if any(unit.parts for unit in draft.units):
            yield from self._results(chart, draft, findings)
            return
        plan, hashes = _Plan(), {}
        for unit in draft.units:
            hashes[unit.name] = self._known.resolve(chart, unit, findings)
            verdict = self._known.judge(chart, unit, hashes[unit.name], findings)
            if verdict is Verdict.LOOSE:
                plan.loose.add(unit.name)
            else:
                plan.held[chart.kept[hashes[unit.name]].object].append((unit, verdict))
        alone = len(plan.held) == 1
        for record, members in plan.held.items():
            yield from self._into(chart, draft, findings, plan, record, members, hashes, alone)
        if plan.loose:
            new = len(plan.loose) - plan.moved
            yield self._batch(chart, draft, findings, hashes, plan.loose, "", new, plan.moved)

    def _into(
        self,
        chart: Chart,
        draft: RecordDraft,
        findings: FileFindings,
        plan: _Plan,
        record: str,
        members: Sequence[tuple[Unit, Verdict]],
        hashes: Mapping[str, bytes],
        alone: bool,
    ) -> Iterator[_Batch]:
        """The next version of a record that holds units of the draft, if it needs one."""
        changed = {unit.name for unit, verdict in members if verdict is Verdict.CHANGED}
        same = {unit.name for unit, verdict in members if verdict is Verdict.SAME}
        findings.report.summary.known += len(same)
        if chart.retracted(record):
            # It stays out of sight whatever its next version says: what is right again needs another.
            right = {u.name for u, _ in members if u.name in changed and not u.standing.withdrawn}
            plan.loose |= right
            plan.moved += len(right)
            changed -= right
            alone = False
        stale = len(changed) + len(same) < len(members)
        whole = not stale and chart.members[record] <= {hashes[unit.name] for unit, _ in members}
        weaker = self._weaker(chart, record, [unit for unit, _ in members if unit.name in same])
        if whole and (changed or weaker or (plan.loose and alone)):
            # The source gives all that the record holds: what is new in it belongs to the next version.
            added = plan.loose if alone else set()
            chosen = changed | same | added
            yield self._batch(
                chart, draft, findings, hashes, chosen, record, len(added), len(changed)
            )
            plan.loose = plan.loose - added
        elif (changed or weaker) and draft.merge and self._carries(chart, record):
            # The rest of the record stays as it is, so that no right value goes and no wrong one is current.
            chosen = changed | same
            yield self._batch(chart, draft, findings, hashes, chosen, record, 0, len(changed), True)
        elif changed:
            # A part alone would take the rest out of sight: what changed gets a record of its own.
            for unit, _ in members:
                if unit.name in changed:
                    findings.correct(unit.position, ELSEWHERE, record, "")
            plan.moved += len(changed)
            plan.loose |= changed

    def _results(
        self, chart: Chart, draft: RecordDraft, findings: FileFindings
    ) -> Iterator[_Batch]:
        """The same for a message, which is one unit and brings results of which each is known by itself."""
        (unit,) = draft.units

        def whole(record: str, mine: Set[bytes]) -> bool:
            return chart.members[record] <= mine

        def weaker(record: str, mine: Set[bytes]) -> bool:
            can = whole(record, mine) or self._carries(chart, record)
            return can and self._weaker(chart, record, [unit])

        touched = self._known.results(chart, unit, findings, weaker)
        if touched is None:
            return
        if not touched:
            yield self._message(chart, draft, findings, unit, "", False)
            return
        first = True
        for record, mine in touched.items():
            part = not whole(record, mine)
            if part and not self._carries(chart, record):
                # The message alone would take the rest out of sight: it gets a record of its own.
                findings.correct(unit.position, ELSEWHERE, record, "")
                record, part = "", False
            batch = self._message(chart, draft, findings, unit, record, part)
            if first:
                batch.new, batch.amended = 0, 1
            else:  # counted with the first
                batch.units, batch.new, batch.amended = (), 0, 0
            first = False
            yield batch

    def _message(
        self,
        chart: Chart,
        draft: RecordDraft,
        findings: FileFindings,
        unit: Unit,
        record: str,
        part: bool,
    ) -> _Batch:
        hashes = {name: self._known.hash(chart, name) for name in unit.parts}
        if chart.retracted(record) and not unit.standing.withdrawn:
            record, part = "", False
        batch = self._batch(chart, draft, findings, {}, {unit.name}, record, 1, 0, part)
        one = batch.upload
        batch.keep |= self._known.rows(chart, unit, hashes.values(), one.record, one.version)
        return batch

    def _carries(self, chart: Chart, record: str) -> bool:
        """Whether the next version of a record can be made of the last one: if a system wrote that."""
        row = chart.records.get(record)
        if row is None:
            return self._dry
        return self._ledger.kept_entry(row.versions[-1].seq).event.role == "hospital_system"

    def _weaker(self, chart: Chart, record: str, units: Sequence[Unit]) -> bool:
        """Whether a record is less guarded than its units are marked now: by a new mark, or a new table."""
        row = chart.records.get(record)
        if row is None:
            return False
        if row.confidentiality == "normal" and any(unit.restricted for unit in units):
            return True
        labels = {label for unit in units for label in unit.labels}
        if not labels:
            return False
        return not set(codes_under(self._ledger, chart.patient, sorted(labels))) <= set(row.labels)

    def _batch(
        self,
        chart: Chart,
        draft: RecordDraft,
        findings: FileFindings,
        hashes: Mapping[str, bytes],
        names: Set[str],
        record: str,
        new: int,
        amended: int,
        part: bool = False,
    ) -> _Batch:
        """One version of `record`, or of a fresh one, made of the units of these names.

        `part`: put into what the record holds now.
        """
        units = [unit for unit in draft.units if unit.name in names]
        before = chart.records.get(record) if part else None
        version = chart.versions.get(record, 0) + 1
        record = record or new_id("rc", self._ledger.clock())
        keep: dict[bytes, Kept] = {}
        for unit in units if hashes else ():
            keep |= self._known.rows(chart, unit, [hashes[unit.name]], record, version)
        labels = tuple(sorted({label for unit in units for label in unit.labels}))
        restricted = any(unit.restricted for unit in units)
        one = Upload(
            chart.patient,
            draft.category,
            draft.media_type,
            _merged(self._ledger, self._actor, before, draft, units)
            if before
            else _content(draft, units),
            title=_title(draft, before),
            file_name=draft.file_name,
            clinical_date=before.clinical_date if before else draft.clinical_date or "",
            episode=self._episode(chart, draft.encounter, keep),
            confidentiality="restricted" if restricted else "normal",
            labels=labels,
            sensitive=bool(labels),
            minor_private=not self._private.isdisjoint(labels),
            record=record,
            version=version,
        )
        return _Batch(findings, one, units, new, amended, keep)

    def _episode(self, chart: Chart, encounter: str | None, keep: dict[bytes, Kept]) -> str:
        """The episode of an encounter; a new one is kept with the record that needs it first."""
        if encounter is None:
            return ""
        name = self._known.hash(chart, encounter_name(encounter))
        if name not in chart.kept:
            chart.kept[name] = keep[name] = Kept(new_id("ep", self._ledger.clock()), 0)
        return chart.kept[name].object

    def _upload(self, patient: str, part: Sequence[_Batch]) -> list[tuple[_Batch, int | str]]:
        """Upload a chunk under one signature, and what then is refused one by one.

        Gives the plaintext bytes of each, or the reason why it was refused.
        """
        if not part:
            return []
        keep = {name: kept for batch in part for name, kept in batch.keep.items()}
        self._keep(patient, keep)
        if self._dry:
            return [(batch, 0) for batch in part]
        try:
            done = upload(self._ledger, self._actor, [batch.upload for batch in part])
        except REFUSED as error:
            if len(part) == 1:
                return [(part[0], str(error))]
            return [one for batch in part for one in self._upload(patient, [batch])]
        return [(batch, one.size) for batch, one in zip(part, done, strict=True)]

    def _retract(self, chart: Chart, batches: Sequence[_Batch]) -> None:
        """Retract the records of which the source says that nothing in them was ever right."""
        for batch in batches:
            chart.take(batch.keep)
        found = {batch.upload.record for batch in batches} | set(chart.records)
        wrong = [
            record for record in sorted(found) if record and chart.withdrawn(record) and not chart.retracted(record)
        ]  # fmt: skip
        there = {} if self._dry or not wrong else self._live(chart.patient)
        for record in wrong:
            if record in there:
                body = {"purpose": "TREAT", "record": record}
                stream = f"patient/{chart.patient}"
                event = self._actor.event("record.retracted", stream, body, self._ledger.clock())
                append(self._ledger, self._actor, [event])

    def _live(self, patient: str) -> dict[str, Record]:
        """The records of the hospital that can be retracted."""
        hospital = self._actor.hospital
        records = self._ledger.records_of(patient)
        return {r.record: r for r in records if (r.state, r.hospital) == ("live", hospital)}

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


def _title(draft: RecordDraft, before: Record | None) -> str:
    """Of what is put into a record, with the day of that record."""
    if before and before.clinical_date and draft.clinical_date:
        return draft.title.replace(draft.clinical_date, before.clinical_date)
    return draft.title


def _merged(
    ledger: Ledger, actor: Actor, record: Record, draft: RecordDraft, units: Sequence[Unit]
) -> Iterable[bytes]:
    """What the record holds now, with these units put in."""
    assert draft.merge is not None, "only what can be merged is"
    return (draft.merge(current_content(ledger, actor, record), units),)
