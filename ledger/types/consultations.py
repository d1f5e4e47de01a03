"""Consultations: opened by a doctor, signed by the patient, noted by both, closed by either."""

from typing import TYPE_CHECKING

from ledger.codes import CATEGORIES, EVENT, PURPOSE, body
from ledger.editions import CONSENT
from ledger.errors import Refused
from ledger.links import CONSULTATION_DAYS, CONSULTATIONS_OPEN, Consultation
from ledger.policies import Policy
from ledger.rows import Look, Row, Wanted, row_named, rows_in
from ledger.schema import SEALED, TIME, List, code
from ledger.times import DAY_MS, parse_time
from ledger.types.declaration import EventType, nothing
from ledger.types.examples import Example

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event


def _well_opened(event: "Event", time: int, origin: str, look: Look) -> None:
    """For a while from now on; a few at a time; each doctor in their own name."""
    if "on_behalf_of" in event.value:
        raise Refused("malformed", "consultation.opened: expected a consultation in one's own name")
    until = event.body["end"]
    if not time < parse_time(until) <= time + CONSULTATION_DAYS * DAY_MS:
        raise Refused("malformed", f"got a consultation until {until}, expected at most {CONSULTATION_DAYS} days from now")  # fmt: skip
    standing = [
        c
        for c in look.group(Consultation, event.subject, event.hospital)
        if c.open_at_hospital(time)
    ]
    if len(standing) >= CONSULTATIONS_OPEN:
        raise Refused("conflict", f"{event.hospital} has {len(standing)} open consultations with {event.subject}: close one first")  # fmt: skip


def _opened(entry: "Entry", look: Look) -> list[Row]:
    event, said = entry.event, entry.event.body
    return [
        Consultation(
            event.id, event.subject, event.hospital, event.actor, entry.link.seq,
            tuple(said["categories"]), parse_time(said["end"]),
        )
    ]  # fmt: skip


def _opening(event: "Event") -> list[Wanted]:
    return [rows_in(Consultation, event.subject, event.hospital), row_named(Consultation, event.id)]


CONSULTATION_OPENED = EventType(
    "consultation.opened",
    "patient",
    ("doctor",),
    body(
        categories=List(code(*CATEGORIES), len(CATEGORIES), low=1, rising=True), end=TIME, purpose=PURPOSE, words=SEALED,
    ),
    since=CONSENT,
    action="append",
    about="chart",
    gate_rule=nothing,
    rule=_well_opened,
    fold=_opened,
    changes=(Consultation,),
    wants=_opening,
    example=Example("doctor", lambda sample: {
        "categories": ["imaging", "laboratory"], "end": "2026-12-20T00:00:00.000Z", "purpose": "TREAT", "words": sample.sealed,
    }),
)  # fmt: skip


def _theirs(event: "Event", policy: Policy, look: Look) -> None:
    """A consultation with this patient, and of the doctor's hospital; raises Refused."""
    found = look.get(Consultation, event.body["consultation"])
    ours = found is not None and event.hospital in ("", found.hospital)
    if found is None or found.patient != event.subject or not ours:
        raise Refused("unknown", f"there is no consultation {event.body['consultation']} of yours with {event.subject}")  # fmt: skip


def _still_open(event: "Event", time: int, origin: str, look: Look) -> None:
    """To its hospital, as long as that didn't close it: whether the patient's side did, and why reading ended, isn't told."""
    found = look.get(Consultation, event.body["consultation"])
    if found is None:
        return  # the gate says so
    if not (found.open_at_hospital(time) if event.hospital else found.stands(time)):
        by = found.closed or (0 if event.hospital else found.withdrawn)
        how = f"was closed by entry {by}" if by else "has ended"
        raise Refused("conflict", f"{found.consultation} {how}")


def _unsigned(event: "Event", time: int, origin: str, look: Look) -> None:
    """Open, and signed by nobody yet."""
    _still_open(event, time, origin, look)
    found = look.get(Consultation, event.body["consultation"])
    if found is not None and found.confirmed:
        raise Refused("conflict", f"{found.consultation} was signed already, by entry {found.confirmed}")  # fmt: skip


def _named(event: "Event") -> list[Wanted]:
    return [row_named(Consultation, event.body["consultation"])]


def _confirmed(entry: "Entry", look: Look) -> list[Row]:
    found = look.get(Consultation, entry.event.body["consultation"])
    return [] if found is None else [found._replace(confirmed=entry.link.seq)]


CONSULTATION_CONFIRMED = EventType(
    "consultation.confirmed",
    "patient",
    ("patient", "relative"),
    body(consultation=EVENT, purpose=PURPOSE),
    since=CONSENT,
    action="grant",  # it lets a hospital see what nobody granted it
    about="chart",
    gate_rule=_theirs,
    rule=_unsigned,
    fold=_confirmed,
    changes=(Consultation,),
    wants=_named,
    example=Example("patient", lambda sample: {"consultation": sample.id("ev"), "purpose": "PATRQT"}),
)  # fmt: skip

CONSULTATION_NOTED = EventType(
    "consultation.noted",
    "patient",
    ("doctor", "patient", "relative"),
    body(consultation=EVENT, purpose=PURPOSE, words=SEALED),
    since=CONSENT,
    action="append",
    about="chart",
    gate_rule=_theirs,
    rule=_still_open,
    fold=nothing,
    changes=(),
    wants=_named,
    example=Example("doctor", lambda sample: {
        "consultation": sample.id("ev"), "purpose": "TREAT", "words": sample.sealed,
    }),
)  # fmt: skip


def _closed(entry: "Entry", look: Look) -> list[Row]:
    found = look.get(Consultation, entry.event.body["consultation"])
    if found is None:
        return []
    if entry.event.hospital:
        return [found._replace(closed=entry.link.seq)]
    return [found._replace(withdrawn=entry.link.seq)]


CONSULTATION_CLOSED = EventType(
    "consultation.closed",
    "patient",
    ("doctor", "patient", "relative"),
    body(consultation=EVENT, purpose=PURPOSE),
    since=CONSENT,
    action="append",
    about="chart",
    gate_rule=_theirs,
    rule=_still_open,
    fold=_closed,
    changes=(Consultation,),
    wants=_named,
    example=Example("doctor", lambda sample: {"consultation": sample.id("ev"), "purpose": "TREAT"}),
)  # fmt: skip
