"""Care links: what ties a hospital to a patient (S11). So far consultations and referrals."""

from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

from ledger.facts import Record, version_of
from ledger.rows import row_type

CONSULTATION_DAYS = 90
"""How many days after its entry a consultation ends at the latest."""
CONSULTATIONS_OPEN = 16
"""Most consultations of one hospital with one patient that are open at a time."""
REFERRALS_STANDING = 16
"""Most referrals of one patient from one hospital to another that weren't declined."""


@row_type(
    "consultations",
    key=1,
    group=("patient", "hospital"),
    indexes={"consultations_of_patient": "patient"},
)
class Consultation(NamedTuple):
    """A consultation, by the id of the event that opened it. Verifiers keep it: whether it ended is a rule of what follows."""

    consultation: str
    patient: str
    hospital: str
    """For which the doctor acts, and which it ties to the patient."""
    doctor: str
    """Who opened it."""
    seq: int
    categories: tuple[str, ...]
    """What of the chart it is about."""
    end: int
    """Unix ms, excluded."""
    confirmed: int = 0
    """The entry by which the patient, or who acts for them, signed it; 0 before: until then it ties nobody."""
    closed: int = 0
    """The entry by which its hospital closed it; 0 before."""
    withdrawn: int = 0
    """The entry by which the patient's side closed it; 0 before. Its hospital isn't told: else an exclusion, by which reading
    ends as well, could be told from it."""

    def stands(self, time: int) -> bool:
        """Whether it is open at `time` (Unix ms)."""
        return self.open_at_hospital(time) and not self.withdrawn

    def open_at_hospital(self, time: int) -> bool:
        """Whether it is open at `time` (Unix ms) as far as its hospital knows, which may go on noting."""
        return not self.closed and time < self.end


@row_type(
    "referrals",
    key=1,
    group=("patient", "receiver"),
    indexes={
        "referrals_of_patient": "patient",
        "referrals_to_hospital": "receiver",
    },
)
class Referral(NamedTuple):
    """A referral, by the id of the event that sent it. Verifiers keep it: how it was answered is a rule of what follows."""

    referral: str
    patient: str
    receiver: str
    """The hospital that it names."""
    sender: str
    """The hospital that sent it, of records of its own."""
    author: str
    """Who signed it there."""
    key: str
    """The receiver's key that counted when it was sent."""
    seq: int
    lines: tuple[str, ...]
    """What travels, sorted: `<record> <version> <blob>`."""
    accepted: int = 0
    """The entry by which the receiver accepted it; 0 before."""
    declined: int = 0
    """The entry by which the receiver declined it, or handed it back after accepting; 0 before. That is for good."""

    @property
    def opens(self) -> bool:
        """Whether it opens anything: accepted, and not declined."""
        return bool(self.accepted) and not self.declined

    def lists(self, record: str) -> bool:
        """Whether a version of the record is among what travels."""
        at = bisect_left(self.lines, f"{record} ")  # they are sorted
        return at < len(self.lines) and self.lines[at].startswith(f"{record} ")


class ReferredVersion(NamedTuple):
    """A line of a referral."""

    record: str
    version: int
    blob: str

    @classmethod
    def of(cls, line: str) -> "ReferredVersion":
        """What a line names."""
        record, version, blob = line.split(" ")
        return cls(record, int(version), blob)

    def stands(self, patient: str, sender: str, found: Record | None) -> bool:
        """Whether it may travel: a version of this patient's record that the sender wrote, which is neither retracted nor
        erased, nor hidden by the patient. `found`: the record."""
        if found is None or (found.patient, found.hospital) != (patient, sender):
            return False
        version = version_of(found, self.version)
        named = version is not None and version.blob == self.blob
        return named and found.state == "live" and not found.hidden


def travelling(referral: Referral, record_of: Callable[[str], Record | None]) -> list[str]:
    """The lines of a referral that may still travel; `record_of`: gives a record by its id."""
    out = []
    for line in referral.lines:
        one = ReferredVersion.of(line)
        if one.stands(referral.patient, referral.sender, record_of(one.record)):
            out.append(line)
    return out
