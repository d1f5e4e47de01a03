"""Whether a unit is known, and whether what comes now is newer than what is kept of it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from imports.drafts import Unit
from imports.report import FileFindings
from imports.standing import TAG_BYTES, Order, Standing
from ledger.facts import Record
from storage.sql.identifiers import HASH_BYTES, Imported, Kept

Keep = Callable[[str, Mapping[bytes, Kept]], None]
"""`keep(patient, rows)`."""
ASIDE = Kept("", 0)
"""Kept of a statement that was set aside since nothing said whether it or another is the newer."""
OLDER = "it is older than what was imported of it, by its version, status or time"
CONTRADICTS = (
    "another source of the import that brought it has it otherwise, and nothing says which is newer"
)


class Verdict(Enum):
    """What becomes of a unit."""

    LOOSE = auto()
    """No record of the log holds it."""
    SAME = auto()
    """A record holds it as it is."""
    CHANGED = auto()
    """A record holds an older statement of it."""
    STALE = auto()
    """A record holds a newer statement of it; it has been counted."""


@dataclass
class Chart:
    """What is known of a patient's units."""

    patient: str
    kept: dict[bytes, Kept]
    records: dict[str, Record]
    versions: dict[str, int] = field(default_factory=dict)
    """Record → how many versions the log has."""
    members: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    """Record → its units."""

    def __post_init__(self) -> None:
        """Order what is kept by the records."""
        self.versions = {name: len(record.versions) for name, record in self.records.items()}
        for name, kept in self.kept.items():
            if len(kept.digest) >= HASH_BYTES:
                self.members[kept.object].add(name)

    def take(self, rows: Mapping[bytes, Kept]) -> None:
        """Know these rows in the place of those of the same names."""
        for name, kept in rows.items():
            if (old := self.kept.get(name)) is not None:
                self.members[old.object].discard(name)
            self.kept[name] = kept
            if len(kept.digest) >= HASH_BYTES:
                self.members[kept.object].add(name)

    def would(self, rows: Mapping[bytes, Kept]) -> None:
        """Know what a dry run would have kept, as if the log had it."""
        self.take(rows)
        for kept in rows.values():
            if kept.version:
                self.versions[kept.object] = max(self.versions.get(kept.object, 0), kept.version)

    def retracted(self, record: str) -> bool:
        """Whether the record was retracted."""
        row = self.records.get(record)
        return row is not None and row.state != "live"

    def withdrawn(self, record: str) -> bool:
        """Whether of all that the record holds the source says that it was never right."""
        members = self.members.get(record)
        return bool(members) and all(
            standing_of(self.kept[name]).withdrawn for name in members or ()
        )


class Known:
    """Judges units of one hospital by what is kept."""

    def __init__(self, imported: Imported, hospital: str, run: bytes, keep: Keep) -> None:
        """`run`: of this import, TAG_BYTES; `keep`: where is kept what was set aside."""
        self._imported = imported
        self._hospital = hospital
        self._run = run
        self._keep = keep

    def hash(self, chart: Chart, name: str) -> bytes:
        """The keyed hash of a name."""
        return self._imported.name(self._hospital, chart.patient, name)

    def rows(
        self, chart: Chart, unit: Unit, hashes: Iterable[bytes], record: str, version: int
    ) -> dict[bytes, Kept]:
        """What is kept of a unit that goes into a version; and that what stood there before was there."""
        digest = self._imported.digest(chart.patient, unit.sha256)
        rows = {}
        for name in hashes:
            old = chart.kept.get(name)
            if old is not None and old.digest[:HASH_BYTES] != digest:
                rows[self._was(chart, name, old.digest[:HASH_BYTES])] = Kept(
                    old.object, old.version
                )
            rows[name] = Kept(record, version, digest + unit.standing.packed(self._run))
        return rows

    def stood(self, chart: Chart, unit: Unit, record: str, version: int) -> Kept:
        """What an earlier import would have kept of a unit that a version holds."""
        digest = self._imported.digest(chart.patient, unit.sha256)
        return Kept(record, version, digest + unit.standing.packed(bytes(TAG_BYTES)))

    def resolve(self, chart: Chart, unit: Unit, findings: FileFindings) -> bytes:
        """The hash of a unit's name: with its source, or what it is about, where another bears the name.

        Two systems of a hospital may both have an Observation/1.
        """
        name = unit.name
        found = self.hash(chart, name)
        if found not in chart.kept and unit.former:
            old = self.hash(chart, unit.former)
            kept = chart.kept.get(old)
            if kept is not None and self._there(chart, kept) and self._same(chart, unit, kept):
                return old
        for own, what in ((unit.standing.source, "source"), (unit.standing.kind, "kind")):
            kept = chart.kept.get(found)
            if kept is None:
                break
            other = standing_of(kept)
            theirs = other.source if what == "source" else other.kind
            if not any(own) or not any(theirs) or own == theirs:
                continue
            if what == "kind" and (
                unit.standing.after(other) is not Order.UNCLEAR
                or (any(unit.standing.source) and unit.standing.source == other.source)
            ):
                continue  # it says itself that it is the same, and now has another code
            name = f"{name} {what} {own.hex()}"
            found = self.hash(chart, name)
            findings.correct(
                unit.position, f"another resource has this name; told apart by its {what}", unit.name, name
            )  # fmt: skip
        return found

    def judge(self, chart: Chart, unit: Unit, name: bytes, findings: FileFindings) -> Verdict:
        """What becomes of a unit; what is not taken is told here, and counted."""
        kept = chart.kept.get(name)
        if kept is None or not chart.versions.get(kept.object):
            return Verdict.LOOSE
        if chart.versions[kept.object] < kept.version:
            return Verdict.CHANGED  # cut off before it was appended
        if self._same(chart, unit, kept):
            return Verdict.SAME
        return self._against(chart, unit, name, kept, findings)

    def results(
        self,
        chart: Chart,
        unit: Unit,
        findings: FileFindings,
        weaker: Callable[[str, set[bytes]], bool],
    ) -> dict[str, set[bytes]] | None:
        """The records that hold results of a message and get a version by it, each with those results.

        `weaker`: whether a record is less guarded than the message is marked now. Empty for a message of which none is known; None where there is nothing to file, which is told here.
        """
        before = chart.kept.get(self.hash(chart, unit.former)) if unit.former else None
        if before and self._there(chart, before) and self._same(chart, unit, before):
            findings.report.summary.known += 1
            return None
        touched: dict[str, set[bytes]] = defaultdict(set)
        changed = False
        for name in (self.hash(chart, part) for part in unit.parts):
            kept = chart.kept.get(name)
            if kept is None or not chart.versions.get(kept.object):
                continue
            if self._there(chart, kept) and not self._same(chart, unit, kept):
                verdict = self._against(chart, unit, name, kept, findings)
                if verdict is Verdict.STALE:
                    return None
                changed = True
            elif not self._there(chart, kept):
                changed = True
            touched[kept.object].add(name)
        if touched and not changed:
            touched = {record: mine for record, mine in touched.items() if weaker(record, mine)}
            if touched:
                return touched
            findings.report.summary.known += 1
            return None
        return touched

    def _against(
        self, chart: Chart, unit: Unit, name: bytes, kept: Kept, findings: FileFindings
    ) -> Verdict:
        """A unit with other content than what is kept under its name."""
        digest = self._imported.digest(chart.patient, unit.sha256)
        other = standing_of(kept)
        order = unit.standing.after(other)
        if order is Order.NEWER:
            return Verdict.CHANGED
        seen = chart.kept.get(self._was(chart, name, digest))
        if seen is not None and seen != ASIDE and self._there(chart, seen):
            if order is Order.UNCLEAR:
                what = (
                    "an earlier import brought it, and a later statement came since; left as it is"
                )
                findings.correct(unit.position, what, unit.name, "")
            findings.report.summary.known += 1
            return Verdict.STALE
        if order is Order.OLDER:
            findings.reject(unit.position, OLDER, unit.raw or None)
            return Verdict.STALE
        if not findings.decided and (seen == ASIDE or other.run == self._run):
            # Kept now, as nothing goes into a record with it: the next run shall find the same.
            self._aside(chart, self._was(chart, name, digest))
            findings.reject(unit.position, CONTRADICTS, unit.raw or None)
            return Verdict.STALE
        return Verdict.CHANGED

    def _aside(self, chart: Chart, name: bytes) -> None:
        chart.kept[name] = ASIDE
        self._keep(chart.patient, {name: ASIDE})

    def _same(self, chart: Chart, unit: Unit, kept: Kept) -> bool:
        digests = (self._imported.digest(chart.patient, one) for one in (unit.sha256, *unit.was))
        return kept.digest[:HASH_BYTES] in digests

    def _there(self, chart: Chart, kept: Kept) -> bool:
        return 0 < kept.version <= chart.versions.get(kept.object, 0)

    def _was(self, chart: Chart, name: bytes, digest: bytes) -> bytes:
        """Under which it is kept that a content once stood, or was set aside, under a name."""
        return self.hash(chart, f"content {name.hex()} {digest.hex()}")


def standing_of(kept: Kept) -> Standing:
    """What is kept of how a unit stands."""
    return Standing.unpacked(kept.digest[HASH_BYTES:])
