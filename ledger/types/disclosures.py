"""Disclosures: what a hospital gave out to others, told to the patient at once or, where the law orders it, later.

What is told later stands in the hospital's own stream until then: a gap in the patient's would tell.
"""

import hashlib
from typing import TYPE_CHECKING, Any

from crypto import canonical
from crypto.encoding import b64encode
from ledger.codes import (
    DISCLOSED_LISTS,
    DISCLOSED_RECORDS,
    HOSPITAL,
    PATIENT,
    PURPOSE,
    SUSPENDED_DAYS,
    body,
)
from ledger.directory import Patient
from ledger.editions import CONSENT
from ledger.errors import Refused
from ledger.facts import Record, Suspension
from ledger.rows import Look, Row, Wanted, row_named, rows_in
from ledger.schema import HASH, SEALED, TIME, Integer, Kind, List, Object, id_of
from ledger.times import DAY_MS, format_time, parse_time
from ledger.types.checks import own_hospital
from ledger.types.declaration import EventType, nothing
from ledger.types.examples import Example, Sample

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event

_DISCLOSED: dict[str, Kind] = {
    "count": Integer(1, DISCLOSED_RECORDS),
    "description": SEALED,
    "given": TIME,
    "list": List(SEALED, DISCLOSED_LISTS, low=1),
    "purpose": PURPOSE,
    "recipient": SEALED,
    "root": HASH,
    "statement": SEALED,
}
"""When which records were given to whom, and what for (45 CFR 164.528(b)(2)); the recipient's address where it is known."""
_ADDRESS: dict[str, Kind] = {"address": SEALED}


def _disclosed_example(sample: Sample) -> dict[str, Any]:
    return {
        "address": sample.sealed, "count": 3, "description": sample.sealed, "given": "2026-11-20T07:00:00.000Z",
        "list": [sample.sealed], "purpose": "HLEGAL", "recipient": sample.sealed, "root": sample.hash,
        "statement": sample.sealed,
    }  # fmt: skip


def _given_before(event: "Event", given: str) -> None:
    """Nothing is recorded before it was given out."""
    if parse_time(given) > event.at:
        raise Refused("malformed", f"got a disclosure of {given}, expected one before {event.value['at']}")  # fmt: skip


def _was_given(event: "Event", time: int, origin: str, look: Look) -> None:
    _given_before(event, event.body["given"])


def _hospitals_records(event: "Event") -> list[Wanted]:
    return [rows_in(Record, event.subject)]


RECORD_DISCLOSED = EventType(
    "record.disclosed",
    "patient",
    ("hospital_admin", "hospital_system"),
    body(_ADDRESS, **_DISCLOSED),
    since=CONSENT,
    action="disclose",
    about="chart",
    gate_rule=nothing,
    rule=_was_given,
    fold=nothing,
    changes=(),
    wants=_hospitals_records,
    example=Example("hospital_system", _disclosed_example),
)


def digest_of(told: dict[str, Any]) -> str:
    """The digest of what the patient is told of a disclosure later: SHA-256 of its canonical JSON, base64."""
    return b64encode(hashlib.sha256(canonical.write(told)).digest())


def told_later(body: dict[str, Any]) -> dict[str, Any]:
    """What the patient is told later, out of a body that holds it."""
    return {"disclosed": body["disclosed"], "order": body["order"]}


def _may_withhold(event: "Event", time: int, origin: str, look: Look) -> None:
    """Of a patient who is known, for a time that the law may order. Which records no rule sees: the list is sealed."""
    own_hospital(event, time, origin, look)
    body = event.body
    _given_before(event, body["disclosed"]["given"])
    until = parse_time(body["until"])
    if not time < until <= time + SUSPENDED_DAYS * DAY_MS:
        raise Refused("malformed", f"got a suspension until {body['until']}, expected one within {SUSPENDED_DAYS} days "
                      f"after {format_time(time)}")  # fmt: skip
    if look.get(Patient, body["patient"]) is None:
        raise Refused("unknown", f"got the patient {body['patient']}, whom no entry registered")


def _has_records(event: "Event", look: Look) -> None:
    """A hospital discloses of its own records (S6), later as at once; without one, it would write into anybody's history by
    the service's hand."""
    patient = event.body["patient"]
    records = look.group(Record, patient)
    if not any(one.hospital == event.hospital and one.state == "live" for one in records):
        raise Refused(
            "unknown", f"{event.hospital} has no record of {patient} that it could disclose"
        )


def _withheld(entry: "Entry", look: Look) -> list[Row]:
    event, body = entry.event, entry.event.body
    until, digest = parse_time(body["until"]), digest_of(told_later(body))
    return [
        Suspension(event.id, event.subject, body["patient"], entry.link.seq, until, digest),
    ]


def _patient(event: "Event") -> list[Wanted]:
    """The patient and the hospital's records of them, and the row that is yet to come."""
    patient = event.body["patient"]
    return [row_named(Patient, patient), rows_in(Record, patient), row_named(Suspension, event.id)]


_DISCLOSED_LATER = Object({**_DISCLOSED, **_ADDRESS}, frozenset(_ADDRESS))

DISCLOSURE_WITHHELD = EventType(
    "disclosure.withheld",
    "hospital",
    ("hospital_admin", "hospital_system"),
    body(disclosed=_DISCLOSED_LATER, order=SEALED, patient=PATIENT, until=TIME),
    since=CONSENT,
    rule=_may_withhold,
    facts_rule=_has_records,
    fold=_withheld,
    changes=(Suspension,),
    wants=_patient,
    example=Example("hospital_admin", lambda sample: {
        "disclosed": _disclosed_example(sample), "order": sample.sealed, "patient": sample.id("pt"),
        "until": "2027-11-20T00:00:00.000Z",
    }),
)  # fmt: skip


def _is_due(event: "Event", time: int, origin: str, look: Look) -> None:
    """The service tells just what the hospital recorded, once, and not before the time."""
    body = event.body
    row = look.get(Suspension, body["disclosure"])
    if row is None or (row.patient, row.hospital) != (event.subject, body["hospital"]):
        raise Refused("unknown", f"{body['hospital']} withheld no disclosure {body['disclosure']} of {event.subject}")  # fmt: skip
    if row.told:
        raise Refused("conflict", f"{body['disclosure']} was told by entry {row.told} already")
    if time < row.until:
        raise Refused("malformed", f"{body['disclosure']} is told from {format_time(row.until)} on")
    if digest_of(told_later(body)) != row.digest or parse_time(body["until"]) != row.until:
        raise Refused("malformed", f"got another disclosure than {body['disclosure']} of entry {row.seq}")  # fmt: skip


def _told(entry: "Entry", look: Look) -> list[Row]:
    row = look.get(Suspension, entry.event.body["disclosure"])
    return [row._replace(told=entry.link.seq)] if row else []


def _suspension(event: "Event") -> list[Wanted]:
    return [row_named(Suspension, event.body["disclosure"])]


DISCLOSURE_SUSPENDED = EventType(
    "disclosure.suspended",
    "patient",
    ("service",),
    body(
        disclosed=_DISCLOSED_LATER, disclosure=id_of("ev"), hospital=HOSPITAL, order=SEALED, until=TIME,
    ),
    since=CONSENT,
    rule=_is_due,
    fold=_told,
    changes=(Suspension,),
    wants=_suspension,
    example=Example("service", lambda sample: {
        "disclosed": _disclosed_example(sample), "disclosure": sample.id("ev"), "hospital": sample.id("hs"),
        "order": sample.sealed, "until": "2026-11-20T00:00:00.000Z",
    }),
)  # fmt: skip
