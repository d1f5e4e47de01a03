"""Erasures: the patient asks for one and may withdraw it for three days; then the service destroys the keys and says so."""

from typing import TYPE_CHECKING

from ledger.codes import EVENT, PURPOSE, RECORD, body
from ledger.directory import Patient
from ledger.editions import CONSENT
from ledger.errors import Refused
from ledger.facts import (
    BEGUN,
    COMPLETED,
    ERASURE_WAIT_MS,
    REQUESTED,
    WITHDRAWN,
    Erasure,
    Record,
)
from ledger.rows import Look, Row, Wanted, row_named, row_of_id, rows_in
from ledger.schema import TIME, Integer
from ledger.times import format_time, parse_time
from ledger.types.declaration import EventType, nothing
from ledger.types.examples import Example

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event


def _requested(entry: "Entry", look: Look) -> list[Row]:
    """From here on what it is about counts as shredded; what it was before is kept, for who withdraws."""
    event, seq = entry.event, entry.link.seq
    name = event.body.get("record", "")
    record = look.get(Record, name) if name else None
    was = ("", 0) if record is None else (record.state, record.state_seq)
    due = entry.time + ERASURE_WAIT_MS
    asked = Erasure(event.id, event.subject, name, seq, due, *was, REQUESTED, seq)
    if record is not None:
        return [asked, record._replace(state="shredded", state_seq=seq)]
    patient = None if name else look.get(Patient, event.subject)
    return [asked] if patient is None else [asked, patient._replace(erased=seq)]


def _asks(event: "Event") -> list[Wanted]:
    """The record, or all of them."""
    record = event.body.get("record")
    records = rows_in(Record, event.subject) if record is None else row_of_id(record)
    named = row_named(Erasure, event.id)
    return [records, named]


ERASURE_REQUESTED = EventType(
    "erasure.requested",
    "patient",
    ("patient",),
    body({"record": RECORD}, purpose=PURPOSE),
    since=CONSENT,
    action="erase",
    about="record",
    gate_rule=nothing,
    rule=nothing,
    fold=_requested,
    changes=(Erasure, Patient, Record),
    wants=_asks,
    example=Example("patient", lambda sample: {"purpose": "PATRQT", "record": sample.id("rc")}),
)


def _of_chart(event: "Event", state: str, look: Look) -> Erasure:
    """The erasure that an event of the same chart names, which is in this state; raises Refused."""
    name = event.body["erasure"]
    found = look.get(Erasure, name)
    if found is None or found.patient != event.subject:
        raise Refused("unknown", f"{event.subject} has no erasure {name}")
    if found.state != state:
        raise Refused(
            "conflict",
            f"{name} is {found.state} by entry {found.state_seq}, expected it to be {state}",
        )
    return found


def _in_time(event: "Event", time: int, origin: str, look: Look) -> None:
    """Until it is due: from then on keys may be gone."""
    found = _of_chart(event, REQUESTED, look)
    if time >= found.due:
        raise Refused(
            "conflict", f"{found.erasure} could be withdrawn until {format_time(found.due)}"
        )


def _withdrawn(entry: "Entry", look: Look) -> list[Row]:
    """All is as it was."""
    old = look.get(Erasure, entry.event.body["erasure"])
    if old is None:
        return []
    ended = old._replace(state=WITHDRAWN, state_seq=entry.link.seq)
    if not old.record:
        patient = look.get(Patient, old.patient)
        return [ended] if patient is None else [ended, patient._replace(erased=0)]
    record = look.get(Record, old.record)
    if record is None:
        return [ended]
    return [ended, record._replace(state=old.was, state_seq=old.was_seq)]


def _whole(erasure: Erasure) -> Wanted:
    """What an erasure is of."""
    return row_of_id(erasure.record or erasure.patient)


def _named(event: "Event") -> list[Wanted]:
    return [Wanted(Erasure, (event.body["erasure"],), False, _whole)]


ERASURE_WITHDRAWN = EventType(
    "erasure.withdrawn",
    "patient",
    ("patient",),
    body(erasure=EVENT, purpose=PURPOSE),
    since=CONSENT,
    action="erase",
    about="chart",
    gate_rule=nothing,
    rule=_in_time,
    fold=_withdrawn,
    changes=(Erasure, Patient, Record),
    wants=_named,
    example=Example("patient", lambda sample: {"erasure": sample.id("ev"), "purpose": "PATRQT"}),
)


def _due(event: "Event", time: int, origin: str, look: Look) -> None:
    """Not before its time, and not of one that was withdrawn: from this entry on there is no way back."""
    found = _of_chart(event, REQUESTED, look)
    if time < found.due:
        raise Refused(
            "conflict", f"{found.erasure} is due at {format_time(found.due)}, and not before"
        )


def _begun(entry: "Entry", look: Look) -> list[Row]:
    old = look.get(Erasure, entry.event.body["erasure"])
    return [] if old is None else [old._replace(state=BEGUN, state_seq=entry.link.seq)]


def _erasure(event: "Event") -> list[Wanted]:
    return [row_named(Erasure, event.body["erasure"])]


ERASURE_BEGUN = EventType(
    "erasure.begun",
    "patient",
    ("service",),
    body(erasure=EVENT),
    since=CONSENT,
    rule=_due,
    fold=_begun,
    changes=(Erasure,),
    wants=_erasure,
    example=Example("service", lambda sample: {"erasure": sample.id("ev")}),
)


def _has_begun(event: "Event", time: int, origin: str, look: Look) -> None:
    """And a lock's end is told of blobs that are locked."""
    _of_chart(event, BEGUN, look)
    if "locked_until" in event.body and "locked" not in event.body:
        raise Refused("malformed", "erasure.completed: locked_until belongs to locked")


def _completed(entry: "Entry", look: Look) -> list[Row]:
    body = entry.event.body
    old = look.get(Erasure, body["erasure"])
    if old is None:
        return []
    until = parse_time(body["locked_until"]) if "locked_until" in body else 0
    seq, locked = entry.link.seq, body.get("locked", 0)
    return [old._replace(state=COMPLETED, state_seq=seq, locked=locked, locked_until=until)]


ERASURE_COMPLETED = EventType(
    "erasure.completed",
    "patient",
    ("service",),
    body(
        {"locked": Integer(1), "locked_until": TIME},
        blobs=Integer(), erasure=EVENT, keys=Integer(), records=Integer(),
    ),
    since=CONSENT,
    rule=_has_begun,
    fold=_completed,
    changes=(Erasure,),
    wants=_erasure,
    example=Example("service", lambda sample: {
        "blobs": 2, "erasure": sample.id("ev"), "keys": 4, "locked": 1, "locked_until": "2033-11-20T00:00:00.000Z",
        "records": 1,
    }),
)  # fmt: skip
