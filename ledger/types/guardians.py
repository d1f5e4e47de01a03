"""Guardians of minors: appointed by the hospital that registered, confirmed by a second one, objected to, ended."""

from typing import TYPE_CHECKING

from ledger.codes import ACCOUNT, HOSPITAL_ROLES, PURPOSE, body
from ledger.directory import Account, Member, Patient
from ledger.editions import CONSENT
from ledger.errors import Refused
from ledger.facts import Record
from ledger.policies import Policy
from ledger.relations import GUARDIAN, Relation
from ledger.rows import Look, Row, Wanted, row_named, row_of_id, rows_in
from ledger.times import DAY_MS
from ledger.types.checks import known_account
from ledger.types.declaration import EventType, nothing
from ledger.types.examples import Example

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event

GUARDIAN_WAIT_MS = 3 * DAY_MS
"""How long after the appointment a guardian counts whom no second hospital confirms."""
GUARDIANS_MOST = 8
"""Most guardians of one patient at a time."""

_ACCOUNT = body(account=ACCOUNT, purpose=PURPOSE)
_BY_HOSPITAL = ("hospital_admin", "hospital_system")
_EXAMPLE = Example(
    "hospital_admin", lambda sample: {"account": sample.account("person"), "purpose": "TREAT"}
)


def _may_appoint(event: "Event", policy: Policy, look: Look) -> None:
    """Somebody else than the patient, none of the hospital's own staff or making, once."""
    account, patient = event.body["account"], look.get(Patient, event.subject)
    known_account(event, look)
    if patient is not None and account == patient.account:
        raise Refused("role", "nobody is their own guardian")
    if any(
        (one.active or one.suspended) and one.role in HOSPITAL_ROLES and one.hospital == event.hospital
        for one in look.group(Member, account)
    ):  # fmt: skip
        raise Refused(
            "role", "a hospital appoints no guardian from its own staff; another hospital may"
        )
    row = look.get(Account, account)
    if row is not None and row.registrar == event.hospital:
        # Its registrar chose its first key, and a child has nobody else who could object.
        raise Refused("role", "a hospital appoints no guardian by an account that it registered itself: they register "
                      "one alone, or with another hospital")  # fmt: skip
    guardians = [one for one in look.group(Relation, event.subject) if _stands(one)]
    if any(one.account == account for one in guardians):
        raise Refused("conflict", f"{account} is a guardian of {event.subject} already")
    if len(guardians) >= GUARDIANS_MOST:
        raise Refused("conflict", f"{event.subject} has {len(guardians)} guardians, the most that are possible")  # fmt: skip


def _stands(relation: Relation) -> bool:
    return relation.kind == GUARDIAN and relation.active


def _appointed(entry: "Entry", look: Look) -> list[Row]:
    event = entry.event
    return [
        Relation(
            event.subject, event.body["account"], GUARDIAN, entry.link.seq, True, event.hospital, actions=(), scope="full",
            records=(), labels=(), sensitive=True, what=(), exceptions=(), start=entry.time + GUARDIAN_WAIT_MS, end=0,
        )
    ]  # fmt: skip


def _appointing(event: "Event") -> list[Wanted]:
    account = event.body["account"]
    return [
        row_of_id(account),
        rows_in(Member, account),
        rows_in(Relation, event.subject),
        rows_in(Record, event.subject),
    ]


GUARDIAN_APPOINTED = EventType(
    "guardian.appointed",
    "patient",
    _BY_HOSPITAL,
    _ACCOUNT,
    since=CONSENT,
    action="register",
    about="chart",
    gate_rule=_may_appoint,
    rule=nothing,
    fold=_appointed,
    changes=(Relation,),
    wants=_appointing,
    example=_EXAMPLE,
)


def _guardian(event: "Event", look: Look) -> Relation | None:
    return look.get(Relation, event.subject, event.body["account"], GUARDIAN)


def _unconfirmed(event: "Event", policy: Policy, look: Look) -> None:
    found = _guardian(event, look)
    if found is None or found.confirmed:
        raise Refused("conflict", f"{event.body['account']} was confirmed already")


def _confirmed(entry: "Entry", look: Look) -> list[Row]:
    """A confirmation counts at once, also against an objection: two hospitals stand for it."""
    found = _guardian(entry.event, look)
    return [] if found is None else [found._replace(confirmed=entry.link.seq)]


def _named(event: "Event") -> list[Wanted]:
    """The guardian who is named, and what the signer is to the patient."""
    return [
        row_named(Relation, event.subject, event.body["account"], GUARDIAN),
        row_named(Relation, event.subject, event.actor, GUARDIAN),
    ]


GUARDIAN_CONFIRMED = EventType(
    "guardian.confirmed",
    "patient",
    _BY_HOSPITAL,
    _ACCOUNT,
    since=CONSENT,
    action="register",
    about="chart",
    gate_rule=_unconfirmed,
    rule=nothing,
    fold=_confirmed,
    changes=(Relation,),
    wants=lambda event: [*_named(event), rows_in(Record, event.subject)],
    example=_EXAMPLE,
)


def _objected(entry: "Entry", look: Look) -> list[Row]:
    """From the first objection on they count only once a second hospital confirms."""
    found = _guardian(entry.event, look)
    return [] if found is None else [found._replace(objected=found.objected or entry.link.seq)]


GUARDIAN_OBJECTED = EventType(
    "guardian.objected",
    "patient",
    ("patient", "person"),
    _ACCOUNT,
    since=CONSENT,
    action="register",
    about="chart",
    gate_rule=nothing,
    rule=nothing,
    fold=_objected,
    changes=(Relation,),
    wants=_named,
    example=Example(
        "patient", lambda sample: {"account": sample.account("doctor"), "purpose": "PATRQT"}
    ),
)


def _ended(entry: "Entry", look: Look) -> list[Row]:
    found = _guardian(entry.event, look)
    return [] if found is None else [found._replace(active=False, seq=entry.link.seq)]


GUARDIAN_ENDED = EventType(
    "guardian.ended",
    "patient",
    (*_BY_HOSPITAL, "person"),
    _ACCOUNT,
    since=CONSENT,
    action="register",
    about="chart",
    gate_rule=nothing,
    rule=nothing,
    fold=_ended,
    changes=(Relation,),
    wants=_named,
    example=_EXAMPLE,
)
