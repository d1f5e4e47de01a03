"""Emergencies as the admins of a hospital see them: which are to be reviewed, by when, and what came of the others."""

from dataclasses import dataclass

from identity.actors import Caller
from journeys.errors import Forbidden, RecordsError
from journeys.names import staff_names
from ledger.entry import Entry
from ledger.facts import Emergency
from ledger.sequencer import Proposal
from ledger.times import format_time
from records.history import Act, act, open_texts, sealed_texts
from records.opening import SettledReading, settle
from storage.evidence import of_reading
from storage.ledger import Ledger

LISTED = 200
"""Most emergencies on one page of a list, the oldest first: each has a name to be opened."""
STATES = ("unreviewed", "overdue", "reviewed")
"""What a list may be narrowed to; what is overdue is unreviewed, too."""
SEQ_DIGITS = 16
"""Most digits of an entry's number."""


@dataclass(frozen=True)
class EmergencyStanding:
    """An emergency, and how its review stands. Times as the formats write them."""

    emergency: str
    patient: str
    doctor: str
    name: str
    """The doctor's."""
    seq: int
    """The entry that declared it."""
    start: str
    end: str
    reason: str
    """One of `ledger.codes.EMERGENCY_REASONS`."""
    readings: int
    """How many permitted readings rest on it."""
    due: str
    state: str
    """One of STATES."""
    reviewed: int
    """The entry of the last review; 0 without one."""
    finding: str


@dataclass(frozen=True)
class OpenedEmergency:
    """An emergency as whoever reviews it sees it."""

    entry: Entry
    """The look itself."""
    reason: str
    text: str
    """What the doctor wrote; empty where it can't be opened."""
    acts: tuple[Act, ...]
    """The permitted readings that rest on it, in order."""


def open_emergency(ledger: Ledger, proposal: Proposal) -> OpenedEmergency:
    """Append a signed `emergency.opened`; gives what was declared and what was read, in this call alone.

    Raises AccessDenied, AlreadyUsed or Refused.
    """
    return give_emergency(ledger, settle(ledger, proposal))


def give_emergency(ledger: Ledger, reading: SettledReading) -> OpenedEmergency:
    """What a settled `emergency.opened` gives; see `open_emergency`."""
    entry = reading.entry
    row = ledger.row(Emergency, entry.event.body["emergency"])
    assert row is not None  # the decision rests on it
    declared = ledger.entry(row.seq)
    shown = of_reading(ledger, reading.committed, entry)
    # What was read is to be reviewed, whatever the doctor put in place of words.
    (texts,) = open_texts(ledger, shown, row.patient, [(declared, sealed_texts(declared))])
    stream = ledger.stream(entry.event.stream, entry.link.seq)
    rests = (one for one in stream if _rests_on(one, row.seq))
    return OpenedEmergency(entry, row.reason, texts.get("text", ""), tuple(map(act, rests)))


def _rests_on(entry: Entry, seq: int) -> bool:
    decision = entry.decision or {}
    found = decision.get("effect"), decision.get("rule"), decision.get("basis")
    return entry.event.type.reading and found == ("permit", "S8", [seq])


@dataclass(frozen=True)
class Emergencies:
    """A page of a list of emergencies."""

    emergencies: tuple[EmergencyStanding, ...]
    next: int = 0
    """After which entry the next page begins; 0 on the last one."""


def emergencies_of(
    ledger: Ledger, caller: Caller, hospital: str, review: str = "", after: str = ""
) -> Emergencies:
    """The emergencies that a hospital's doctors declared, by how their `review` stands (empty: all), for its admins, a page of LISTED.

    `after`: `next` of the page before. Raises Forbidden and RecordsError.
    """
    if (caller.role, caller.hospital) != ("hospital_admin", hospital):
        raise Forbidden(f"the emergencies of {hospital} are shown to its admins alone")
    if review not in ("", *STATES):
        raise RecordsError(f"got review={review[:40]!r}, expected one of {', '.join(STATES)}")
    if not (after == "" or (after.isascii() and after.isdigit() and len(after) <= SEQ_DIGITS)):
        raise RecordsError(f"got after={after[:40]!r}, expected the `next` of the page before")
    now = ledger.clock()
    rest = sorted(
        (
            row
            for row in ledger.rows(Emergency, "hospital", hospital)
            if row.seq > int(after or -1) and _fits(row, review, now)
        ),
        key=lambda row: row.seq,
    )
    page = rest[:LISTED]
    names = staff_names(ledger, sorted({row.doctor for row in page}))
    following = page[-1].seq if len(rest) > LISTED else 0
    return Emergencies(tuple(_standing(row, names, now) for row in page), following)


def _fits(row: Emergency, state: str, now: int) -> bool:
    found = state_of(row, now)
    return state in ("", found) or (state == "unreviewed" and found == "overdue")


def state_of(row: Emergency, now: int) -> str:
    """How a review stands at `now` (Unix ms): one of STATES."""
    if row.reviewed:
        return "reviewed"
    return "overdue" if row.due <= now else "unreviewed"


def _standing(row: Emergency, names: dict[str, str], now: int) -> EmergencyStanding:
    start, end, due = (format_time(time) for time in (row.start, row.end, row.due))
    return EmergencyStanding(
        row.emergency, row.patient, row.doctor, names.get(row.doctor, ""), row.seq, start, end, row.reason,
        row.readings, due, state_of(row, now), row.reviewed, row.finding,
    )  # fmt: skip
