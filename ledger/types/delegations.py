"""Delegations: a doctor on leave lets a colleague at the same hospital use what patients granted to them."""

from typing import TYPE_CHECKING

from ledger.codes import ACCOUNT, GRANT_ACTIONS, body
from ledger.directory import Member
from ledger.editions import CONSENT
from ledger.errors import Refused
from ledger.policies import policy_in_force
from ledger.relations import Delegation
from ledger.rows import Look, Row, Wanted, row_named
from ledger.schema import TIME, List, code
from ledger.times import DAY_MS, format_time, parse_time
from ledger.types.checks import active_member, rising
from ledger.types.declaration import EventType
from ledger.types.examples import TERM, Example

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event


def _own(event: "Event") -> None:
    """A doctor delegates at the hospital where they act."""
    if event.hospital != event.subject:
        raise Refused("stream", f"got {event.stream} from a doctor of {event.hospital}")


def _may_give(event: "Event", time: int, origin: str, look: Look) -> None:
    """To another active doctor of the hospital, for as long at most as a grant may last."""
    _own(event)
    said = event.body
    rising(event, "start", "end")
    if said["account"] == event.actor:
        raise Refused("role", f"got a delegation of {event.actor} to themselves")
    active_member(event, "doctor", event.subject, look, time)
    start, end = parse_time(said["start"]), parse_time(said["end"])
    most = policy_in_force(look, time).grant_days_max
    if end <= time:
        raise Refused(
            "malformed", f"got the end {said['end']}, expected one after {format_time(time)}"
        )
    if end - start > most * DAY_MS:
        raise Refused("malformed", f"got a delegation of {(end - start) / DAY_MS:.1f} days, expected at most {most}")  # fmt: skip


def _given(entry: "Entry", look: Look) -> list[Row]:
    event, said = entry.event, entry.event.body
    return [
        Delegation(
            event.subject, event.actor, said["account"], entry.link.seq, True, tuple(said["actions"]),
            parse_time(said["start"]), parse_time(said["end"]),
        )
    ]  # fmt: skip


def _row(event: "Event") -> Wanted:
    return row_named(Delegation, event.subject, event.actor, event.body["account"])


DELEGATION_GIVEN = EventType(
    "delegation.given",
    "hospital",
    ("doctor",),
    body(
        account=ACCOUNT, actions=List(code(*GRANT_ACTIONS), len(GRANT_ACTIONS), low=1, rising=True), end=TIME, start=TIME,
    ),
    since=CONSENT,
    rule=_may_give,
    fold=_given,
    changes=(Delegation,),
    wants=lambda event: [
        _row(event), row_named(Member, event.body["account"], "doctor", event.subject),
    ],
    example=Example("doctor", lambda sample: {
        "account": sample.account("person"), "actions": ["list", "read"], **TERM,
    }),
)  # fmt: skip


def _may_end(event: "Event", time: int, origin: str, look: Look) -> None:
    """One that stands."""
    _own(event)
    found = look.get(Delegation, event.subject, event.actor, event.body["account"])
    if found is None or not found.active:
        raise Refused(
            "unknown", f"{event.actor} has delegated nothing to {event.body['account']} here"
        )


def _ended(entry: "Entry", look: Look) -> list[Row]:
    event = entry.event
    found = look.get(Delegation, event.subject, event.actor, event.body["account"])
    return [] if found is None else [found._replace(active=False, seq=entry.link.seq)]


DELEGATION_ENDED = EventType(
    "delegation.ended",
    "hospital",
    ("doctor",),
    body(account=ACCOUNT),
    since=CONSENT,
    rule=_may_end,
    fold=_ended,
    changes=(Delegation,),
    wants=lambda event: [_row(event)],
    example=Example("doctor", lambda sample: {"account": sample.account("person")}),
)
