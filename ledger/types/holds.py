"""Holds: a doctor keeps a record from somebody whom it would harm, an admin keeps records from being erased."""

from typing import TYPE_CHECKING

from ledger.codes import ACCOUNT, EVENT, HARMS, LEGAL_HOLDS, PURPOSE, RECORD, body
from ledger.directory import Patient
from ledger.editions import CONSENT
from ledger.errors import Refused
from ledger.facts import HARM, HOLD_DAYS_MOST, HOLDS_MOST, LEGAL, Hold, Record
from ledger.policies import Policy
from ledger.relations import KINDS, Relation, acts_as_relative
from ledger.rows import Look, Row, Wanted, row_named, row_of_id, rows_in
from ledger.schema import SEALED, TIME, code
from ledger.times import DAY_MS, parse_time
from ledger.types.declaration import EventType, nothing
from ledger.types.examples import Example

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event

_KIND_OF = {"doctor": HARM, "hospital_admin": LEGAL}
"""Which kind of hold each role places and lifts."""
_HARM_ALONE = ("against", "until", "words")
"""What a harm hold says, and no other."""


def _well_formed(event: "Event", time: int, origin: str, look: Look) -> None:
    """A harm hold: of one record, against one person, with its reason in words, for a while. A legal one: none of these."""
    body = event.body
    kind, reasons = body["kind"], HARMS if body["kind"] == HARM else LEGAL_HOLDS
    if kind != _KIND_OF[event.role]:
        raise Refused(
            "role",
            f"a {event.role} places no {kind} hold; doctors place those for harm, admins legal ones",
        )
    if body["reason"] not in reasons:
        raise Refused("malformed", f"got the reason {body['reason']} of a {kind} hold, expected one of "
                      f"{', '.join(reasons)}")  # fmt: skip
    if kind == LEGAL:
        if surplus := [name for name in _HARM_ALONE if name in body]:
            raise Refused("malformed", f"got {', '.join(surplus)} in a legal hold, which has none")
        return
    if missing := [name for name in ("record", *_HARM_ALONE) if name not in body]:
        raise Refused("malformed", f"a harm hold lacks {', '.join(missing)}")
    until = parse_time(body["until"])
    if not time < until <= time + HOLD_DAYS_MOST * DAY_MS:
        raise Refused("malformed", f"got a harm hold until {body['until']}, expected {HOLD_DAYS_MOST} days from now at "
                      "most")  # fmt: skip


def _may_place(event: "Event", policy: Policy, look: Look) -> None:
    """Against the patient or somebody who acts for them; renewed once at most, however long ago. Of legal ones one at a
    time is enough."""
    body, record = event.body, event.body.get("record", "")
    against = body.get("against", "")
    if against and not _is_theirs(against, event.subject, look):
        raise Refused("unknown", f"got the account {against}, which is neither that of the patient nor of a relative "
                      "or a guardian")  # fmt: skip
    same = [
        hold
        for hold in look.group(Hold, event.subject)
        if (hold.kind, hold.record, hold.against) == (body["kind"], record, against)
    ]
    if body["kind"] == HARM and len(same) >= HOLDS_MOST:
        raise Refused(
            "conflict",
            f"{record} was held back from {against} {len(same)} times: a harm hold is renewed once",
        )
    if body["kind"] == LEGAL and any(h.hospital == event.hospital and not h.lifted for h in same):
        raise Refused(
            "conflict", f"{event.hospital} has a legal hold on {record or event.subject} already"
        )


def _is_theirs(account: str, subject: str, look: Look) -> bool:
    patient = look.get(Patient, subject)
    is_patient = patient is not None and patient.account == account
    return is_patient or acts_as_relative(subject, account, look)


def _placed(entry: "Entry", look: Look) -> list[Row]:
    event, body = entry.event, entry.event.body
    end = parse_time(body["until"]) if "until" in body else 0
    against, patient = body.get("against", ""), look.get(Patient, event.subject)
    of_patient = patient is not None and against == patient.account
    return [
        Hold(
            event.id, event.subject, body.get("record", ""), body["kind"], event.hospital,
            against, of_patient, body["reason"], entry.link.seq, end,
        )
    ]  # fmt: skip


def _own_records(event: "Event") -> list[Wanted]:
    """The record, or those of the chart: does the hospital have one?"""
    record = event.body.get("record")
    return [rows_in(Record, event.subject) if record is None else row_of_id(record)]


def _places(event: "Event") -> list[Wanted]:
    against = event.body.get("against")
    known = (
        [] if against is None else [row_named(Relation, event.subject, against, k) for k in KINDS]
    )
    hold = row_named(Hold, event.id)
    return [*_own_records(event), rows_in(Hold, event.subject), hold, *known]


HOLD_PLACED = EventType(
    "hold.placed",
    "patient",
    ("doctor", "hospital_admin"),
    body(
        {"against": ACCOUNT, "record": RECORD, "until": TIME, "words": SEALED},
        kind=code(HARM, LEGAL), purpose=PURPOSE, reason=code(*sorted({*HARMS, *LEGAL_HOLDS})),
    ),
    since=CONSENT,
    action="hold",
    about="record",
    gate_rule=_may_place,
    rule=_well_formed,
    fold=_placed,
    changes=(Hold,),
    wants=_places,
    example=Example("doctor", lambda sample: {
        "against": sample.account("patient"), "kind": HARM, "purpose": "TREAT", "reason": "therapeutic",
        "record": sample.id("rc"), "until": "2026-11-27T00:00:00.000Z", "words": sample.sealed,
    }),
)  # fmt: skip


def _may_lift(event: "Event", policy: Policy, look: Look) -> None:
    """One's own hospital's, of the kind that the role places, on this very record or chart, and not lifted yet."""
    body = event.body
    hold = look.get(Hold, body["hold"])
    named = (event.subject, body.get("record", ""), event.hospital, _KIND_OF[event.role])
    if hold is None or (hold.patient, hold.record, hold.hospital, hold.kind) != named:
        what = body.get("record", event.subject)
        raise Refused(
            "unknown",
            f"{event.hospital} has no {_KIND_OF[event.role]} hold {body['hold']} on {what}",
        )
    if hold.lifted:
        raise Refused("conflict", f"{hold.hold} was lifted already, by entry {hold.lifted}")


def _lifted(entry: "Entry", look: Look) -> list[Row]:
    old = look.get(Hold, entry.event.body["hold"])
    return [] if old is None else [old._replace(lifted=entry.link.seq)]


def _lifts(event: "Event") -> list[Wanted]:
    return [*_own_records(event), row_named(Hold, event.body["hold"])]


HOLD_LIFTED = EventType(
    "hold.lifted",
    "patient",
    ("doctor", "hospital_admin"),
    body({"record": RECORD}, hold=EVENT, purpose=PURPOSE),
    since=CONSENT,
    action="hold",
    about="record",
    gate_rule=_may_lift,
    rule=nothing,
    fold=_lifted,
    changes=(Hold,),
    wants=_lifts,
    example=Example("doctor", lambda sample: {
        "hold": sample.id("ev"), "purpose": "TREAT", "record": sample.id("rc"),
    }),
)  # fmt: skip
