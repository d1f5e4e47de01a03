"""Patterns: what no rule forbids and somebody should be asked about. Entries and facts in, findings out; pure.

A permitted reading may still be curiosity. The patterns are those by which privacy officers find it (HHS, Audit Controls,
45 CFR 164.312(b); the "break-the-glass", same-name, co-worker and volume reports of access monitoring): many charts without
a tie, nights, colleagues, strangers, and who tries again although excluded. A pattern is a question and no verdict.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from crypto.texts import counted
from ledger.codes import HOSPITAL_ROLES, REVIEW_DAYS
from ledger.directory import Member, Patient
from ledger.entry import Entry, nested_event
from ledger.event import Event
from ledger.rows import Look
from ledger.times import DAY_MS

MANY_CHARTS = 25
"""So many charts that one reader looked into on a day, without a tie to any, are asked about."""
NIGHT_CHARTS = 5
"""So many of them at night."""
NIGHT = range(0, 5)
"""The hours of the hospital's day that count as night."""
STRANGERS = 5
"""So many people of whom the hospital has no record, looked for by one reader on a day."""
AGAIN = 2
"""So many tries of somebody whom the patient excluded."""
SHOWN = 10
"""Most entries that a finding names; all are counted."""
LOOKS = frozenset({"record.opened", "chart.opened", "history.opened", "chart.exported"})
WRITES = frozenset({"record.uploaded", "record.amended"})
LocalTime = Callable[[int, str], tuple[str, int]]
"""Of Unix ms and a time zone: the day there as YYYY-MM-DD, and the hour."""


class Pattern(NamedTuple):
    """One finding: who did what how often, and the first entries that show it."""

    kind: str
    """`many`, `night`, `colleague`, `stranger`, `again` or `unreviewed`."""
    reader: str
    hospital: str
    about: str
    """The day, or the patient."""
    times: int
    entries: tuple[int, ...]
    """The first SHOWN of them."""

    def __str__(self) -> str:
        """As the report says it."""
        numbers = ", ".join(map(str, self.entries))
        more = (
            f" and {self.times - len(self.entries)} more" if self.times > len(self.entries) else ""
        )
        at = f" of {self.hospital}" if self.hospital else ""
        return f"{self.reader}{at} {WORDS[self.kind](self)} (entries {numbers}{more})"


WORDS: dict[str, Callable[[Pattern], str]] = {
    "many": lambda p: f"looked into {p.times} charts on {p.about} in which they had written nothing and that nobody had granted them",
    "night": lambda p: f"looked into {p.times} such charts in the night of {p.about}",
    "colleague": lambda p: f"looked {counted(p.times, 'time')} into the chart {p.about} of a colleague at the same hospital, without a tie",
    "stranger": lambda p: f"looked on {p.about} for {p.times} people of whom the hospital has no record",
    "again": lambda p: f"tried {p.times} times to look into {p.about}, whose patient had excluded them",
    "unreviewed": lambda p: f"declared {counted(p.times, 'emergency')} for {p.about}, and nobody reviewed what was due by the last entry",
}  # fmt: skip
"""What each kind says of its reader."""

_Key = tuple[str, str, str, str]


@dataclass
class Patterns:
    """Takes every entry in order, after it was decided and before it is folded; `local` tells the hospital's time."""

    local: LocalTime
    _zones: dict[str, str] = field(default_factory=dict)
    _wrote: set[tuple[str, str]] = field(default_factory=set)
    """Who wrote in a chart: (account or hospital, patient)."""
    _declared: dict[str, Entry] = field(default_factory=dict)
    """The emergencies that nobody reviewed so far, by their ids; those that an older audit covered, too."""
    _time: int = 0
    """Of the last entry."""
    _seen: dict[_Key, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """Of a finding to be: the first entry for each of what is counted."""

    def take(self, entry: Entry, look: Look, counts: bool = True) -> None:
        """The next entry; `counts`: whether it is looked at, or only remembered, since an earlier audit covered it."""
        kind, self._time = entry.event.type.name, entry.time
        if kind == "emergency.declared":
            self._declared[entry.event.id] = entry
        elif kind == "emergency.reviewed":
            self._declared.pop(entry.event.body["emergency"], None)
        elif kind in WRITES:
            event = entry.event
            self._wrote |= {(event.actor, event.subject), (event.hospital, event.subject)}
        elif kind == "hospital.approved":
            self._zones[entry.event.body["hospital"]] = entry.event.body["time_zone"]
        elif counts and kind in LOOKS:
            self._looked(entry, entry.event, look)
        elif counts and kind == "access.refused":
            event, _ = nested_event(entry.event)
            if event.type.name in LOOKS:
                self._refused(entry, event)

    def _looked(self, entry: Entry, event: Event, look: Look) -> None:
        """A permitted look by a hospital's staff, at its own records, into a chart they never wrote in."""
        if event.role not in HOSPITAL_ROLES or (entry.decision or {})["rule"] != "S6":
            return
        if (event.actor, event.subject) in self._wrote:
            return
        day, hour = self._day(entry.time, event.hospital)
        self._note("many", event, day, event.subject, entry)
        if hour in NIGHT:
            self._note("night", event, day, event.subject, entry)
        if self._are_colleagues(event, look):
            self._note("colleague", event, event.subject, event.id, entry)

    def _refused(self, entry: Entry, event: Event) -> None:
        reason = (entry.decision or {}).get("reason")
        if reason == "excluded":
            self._note("again", event, event.subject, event.id, entry)
        elif event.hospital and (event.hospital, event.subject) not in self._wrote:
            day, _ = self._day(entry.time, event.hospital)
            self._note("stranger", event, day, event.subject, entry)

    def _are_colleagues(self, event: Event, look: Look) -> bool:
        patient = look.get(Patient, event.subject)
        if patient is None or patient.account == event.actor:
            return False
        members = look.group(Member, patient.account)
        return any(m.active and m.hospital == event.hospital for m in members)

    def _day(self, time: int, hospital: str) -> tuple[str, int]:
        return self.local(time, self._zones.get(hospital, "UTC"))

    def _note(self, kind: str, event: Event, about: str, what: str, entry: Entry) -> None:
        self._seen[(kind, event.actor, event.hospital, about)].setdefault(what, entry.link.seq)

    def found(self) -> tuple[Pattern, ...]:
        """The findings so far: by kind, the most frequent first."""
        for entry in self._declared.values():
            if entry.time + REVIEW_DAYS * DAY_MS <= self._time:
                self._note("unreviewed", entry.event, entry.event.subject, entry.event.id, entry)
        out = [
            Pattern(*key, len(what), tuple(sorted(what.values())[:SHOWN]))
            for key, what in self._seen.items()
            if len(what) >= LEAST[key[0]]
        ]
        return tuple(
            sorted(out, key=lambda p: (list(LEAST).index(p.kind), -p.times, p.reader, p.about))
        )


LEAST = {
    "again": AGAIN, "colleague": 1, "many": MANY_CHARTS, "night": NIGHT_CHARTS, "stranger": STRANGERS, "unreviewed": 1,
}  # fmt: skip
"""How often makes a finding of each kind, in the order of the report."""
