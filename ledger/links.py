"""Care links: what ties a hospital to a patient for a while (S11). So far consultations."""

from typing import NamedTuple

from ledger.rows import row_type

CONSULTATION_DAYS = 90
"""How many days after its entry a consultation ends at the latest."""
CONSULTATIONS_OPEN = 16
"""Most consultations of one hospital with one patient that are open at a time."""


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
