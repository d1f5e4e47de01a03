"""Visits, and a calendar that never has a patient in two beds."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from synthetic.complaints import Complaint
from synthetic.drugs import Drug
from synthetic.illnesses import Crisis, Image
from synthetic.life import Onset
from synthetic.places import PEDIATRIC
from synthetic.terms import Term
from synthetic.vaccines import Vaccine


class Kind(NamedTuple):
    """A kind of encounter: class (v3-ActCode) and its words, type, and euros without its extras."""

    code: str
    display: str
    type: Term
    euros: int


CHECK = Kind("AMB", "ambulatory", Term("185349003", "Encounter for check up"), 62)
CHILD_CHECK = Kind("AMB", "ambulatory", Term("410620009", "Well child visit"), 54)
FOLLOW_UP = Kind("AMB", "ambulatory", Term("390906007", "Follow-up encounter"), 48)
SYMPTOM = Kind("AMB", "ambulatory", Term("185345009", "Encounter for symptom"), 45)
PRENATAL = Kind("AMB", "ambulatory", Term("424619006", "Prenatal visit"), 58)
EMERGENCY = Kind("EMER", "emergency", Term("50849002", "Emergency room admission"), 190)
ADMISSION = Kind("IMP", "inpatient encounter", Term("32485007", "Hospital admission"), 840)

NIGHT_EUROS = 410


@dataclass(slots=True)
class Visit:
    """An encounter to be: when, of which kind, why, and what is done in it."""

    begins: datetime
    ends: datetime
    kind: Kind
    department: str
    complaint: Complaint | None = None
    crisis: Crisis | None = None
    found: list[Onset] = field(default_factory=list)
    """Lasting conditions that are diagnosed here."""
    follows: list[Onset] = field(default_factory=list)
    """Lasting conditions that it looks after."""
    vaccines: list[Vaccine] = field(default_factory=list)
    procedures: list[Term] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    labs: list[str] = field(default_factory=list)
    drugs: list[Drug] = field(default_factory=list)
    letter: bool = False
    fatal: bool = False
    own_label: str = ""

    @property
    def label(self) -> str:
        """The sensitivity of what it is about, or "". Of several, the first."""
        labels = [self.own_label, self.complaint.label if self.complaint else ""]
        labels += [onset.illness.label for onset in (*self.found, *self.follows)]
        return next(filter(None, labels), "")

    @property
    def ill(self) -> str:
        """The passing illness that moves what is measured, or ""."""
        return "infection" if self.complaint is not None and self.complaint.infection else ""

    @property
    def nights(self) -> int:
        """Nights in hospital."""
        return (self.ends.date() - self.begins.date()).days if self.kind is ADMISSION else 0

    @property
    def pediatric(self) -> bool:
        """Whether it is in a department for minors."""
        return self.department in PEDIATRIC


class Calendar:
    """Visits that don't overlap, within [first, last]."""

    def __init__(self, first: datetime, last: datetime) -> None:
        """Begin with no visit."""
        self.first, self._last = first, last
        self.visits: list[Visit] = []
        self._starts: list[datetime] = []

    def book(self, visit: Visit, within_days: int = 0) -> bool:
        """Enter a visit at its time, or the same hour up to `within_days` later; whether it fitted."""
        length = visit.ends - visit.begins
        for days in range(within_days + 1):
            begins = visit.begins + timedelta(days=days)
            at = bisect(self._starts, begins)
            if self._free(at, begins, begins + length):
                visit.begins, visit.ends = begins, begins + length
                self._starts.insert(at, begins)
                self.visits.insert(at, visit)
                return True
        return False

    def _free(self, at: int, begins: datetime, ends: datetime) -> bool:
        if begins < self.first or ends > self._last:
            return False
        if at > 0 and self.visits[at - 1].ends >= begins:
            return False
        return at == len(self.visits) or ends < self._starts[at]
