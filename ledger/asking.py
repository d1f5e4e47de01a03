"""Requests for access: what somebody asks a patient, or a hospital, to let them see, and what came of it."""

from typing import NamedTuple

from ledger.facts import Provision
from ledger.rows import row_type
from ledger.times import DAY_MS

REQUEST_LASTS_MS = 30 * DAY_MS
"""How long a request waits for an answer; then it lapses."""
REQUESTS_MOST = 3
"""Most requests of one account about one patient within the time that one waits, answered or not."""

GRANTED, DECLINED, DISCLOSED, REFERRED = "granted", "declined", "disclosed", "referred"
"""What an answer may be; a patient's is one of the first two, a hospital's one of the last three."""
OPEN, LAPSED = "open", "lapsed"
"""What a request without an answer is."""


@row_type(
    "access_requests",
    key=1,
    group=("patient", "asker"),
    indexes={
        "access_requests_of_patient": "patient",
        "access_requests_of_asker": "asker",
        "access_requests_to_hospital": "addressee",
    },
)
class AccessRequest(NamedTuple):
    """A request for access, by the id of the event that asked. Verifiers keep it: whether it lapsed is a rule of its answers."""

    request: str
    patient: str
    asker: str
    role: str
    """In which role: doctor or relative."""
    hospital: str
    """For which the asker acts; empty for relatives."""
    addressee: str
    """The hospital that is asked for records of its own; empty: the patient is asked."""
    seq: int
    until: int
    """When it lapses, Unix ms, excluded."""
    purpose: str
    """What the access would be for."""
    days: int
    """For how many days."""
    actions: tuple[str, ...]
    scope: str
    """What of the chart, like the fields below as a grant has them."""
    records: tuple[str, ...]
    what: tuple[Provision, ...]
    sensitive: bool
    """Whether sensitive records are asked for, too."""
    forwarded: int = 0
    """The entry by which the hospital that was asked left it to the patient; 0 if none did."""
    answered: int = 0
    """The entry that answered; 0 while there is none."""
    verdict: str = ""
    """How: one of GRANTED, DECLINED, DISCLOSED and REFERRED; empty while there is no answer."""
    grant: str = ""
    """The grant that was given."""

    def state(self, now: int) -> str:
        """How it stands at `now` (Unix ms): the verdict, OPEN or LAPSED."""
        return self.verdict or (OPEN if now < self.until else LAPSED)

    def asks_patient(self) -> bool:
        """Whether it is the patient's to answer: from the start, or because the hospital forwarded it."""
        return not self.addressee or bool(self.forwarded)
