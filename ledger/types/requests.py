"""Requests for access: asked of the patient, or of a hospital for what it wrote; answered, forwarded, closed."""

from typing import TYPE_CHECKING, Any

from ledger.asking import (
    DECLINED,
    DISCLOSED,
    GRANTED,
    REFERRED,
    REQUEST_LASTS_MS,
    REQUESTS_MOST,
    AccessRequest,
)
from ledger.codes import (
    EVENT,
    GRANT,
    GRANT_ACTIONS,
    GRANT_RECORDS,
    HOSPITAL,
    LABEL,
    LABELS,
    PURPOSE,
    PURPOSES,
    RECORD,
    TRUE,
    body,
)
from ledger.editions import CONSENT
from ledger.errors import Refused
from ledger.facts import Grant, GrantName, Record
from ledger.links import Referral
from ledger.policies import Policy
from ledger.rows import Look, Row, Wanted, row_named, row_of_id, rows_in
from ledger.schema import SEALED, TIME, Integer, Kind, List, Object, code
from ledger.scopes import lies_within, meets
from ledger.times import DAY_MS, parse_time
from ledger.types.access import (
    WHAT,
    check_terms,
    exceptions_of,
    granted,
    provision,
    well_formed,
    well_scoped,
    within_relation,
)
from ledger.types.checks import known_reader
from ledger.types.declaration import EventType
from ledger.types.examples import TERM, Example

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event

REQUEST_DAYS_MOST = 3_650
"""Most days of access that a request can ask for; a policy may let fewer be granted."""
_SCOPE = code("full", "partial", "selective")
_ACTIONS = List(code(*GRANT_ACTIONS), len(GRANT_ACTIONS), low=1, rising=True)


def _well_asked(event: "Event", time: int, origin: str, look: Look) -> None:
    """A scope as a grant has it, in one's own name; and what one asked before, of which alone a refusal tells."""
    well_scoped(event)
    if "on_behalf_of" in event.value:
        raise Refused("malformed", "access.requested: expected a request in one's own name")
    addressee = event.body.get("hospital", "")
    if addressee and addressee == event.hospital:
        raise Refused(
            "malformed", "access.requested: got one's own hospital as the one that is asked"
        )
    waiting = [r for r in look.group(AccessRequest, event.subject, event.actor) if time < r.until]
    if len(waiting) >= REQUESTS_MOST:
        raise Refused("conflict", f"{event.actor} asked {len(waiting)} times within 30 days, at most {REQUESTS_MOST} are "
                      "taken: wait")  # fmt: skip
    if same := [r for r in waiting if r.addressee == addressee and not r.answered]:
        raise Refused("conflict", f"entry {same[0].seq} asked already and waits for an answer")


def _may_ask(event: "Event", policy: Policy, look: Look) -> None:
    """Of a hospital that was approved; nothing is told of the records that are named, nor whether there are any."""
    if "hospital" in event.body:
        known_reader(event.body["hospital"], look)
    if event.body["days"] > policy.grant_days_max:
        raise Refused("malformed", f"got a request for {event.body['days']} days, expected at most "
                      f"{policy.grant_days_max}")  # fmt: skip


def _asked(entry: "Entry", look: Look) -> list[Row]:
    event, said = entry.event, entry.event.body
    return [
        AccessRequest(
            request=event.id,
            patient=event.subject,
            asker=event.actor,
            role=event.role,
            hospital=event.hospital,
            addressee=said.get("hospital", ""),
            seq=entry.link.seq,
            until=entry.time + REQUEST_LASTS_MS,
            purpose=said["purpose"],
            days=said["days"],
            actions=tuple(said["actions"]),
            scope=said["scope"],
            records=tuple(said.get("records", ())),
            what=(provision(said["what"]),) if "what" in said else (),
            sensitive=said.get("sensitive", False),
        )
    ]


def _asking(event: "Event") -> list[Wanted]:
    """What the same account asked before, and the hospital that is asked."""
    asked = event.body.get("hospital")
    known = [] if asked is None else [row_of_id(asked)]
    before = rows_in(AccessRequest, event.subject, event.actor)
    return [before, row_named(AccessRequest, event.id), *known]


ACCESS_REQUESTED = EventType(
    "access.requested",
    "patient",
    ("doctor", "relative"),
    body(
        {
            "hospital": HOSPITAL, "records": List(RECORD, GRANT_RECORDS, low=1, rising=True), "sensitive": TRUE,
            "what": Object(WHAT, frozenset(WHAT)),
        },
        actions=_ACTIONS, days=Integer(1, REQUEST_DAYS_MOST), purpose=PURPOSE, scope=_SCOPE, words=SEALED,
    ),
    since=CONSENT,
    action="request_access",
    about="chart",
    gate_rule=_may_ask,
    rule=_well_asked,
    fold=_asked,
    changes=(AccessRequest,),
    wants=_asking,
    example=Example("doctor", lambda sample: {
        "actions": ["list", "read"], "days": 30, "hospital": sample.id("hs", 2), "purpose": "TREAT", "scope": "partial",
        "what": {"categories": ["imaging", "laboratory"], "date_from": "2024-01-01"}, "words": sample.sealed,
    }),
)  # fmt: skip


def _own_request(event: "Event", look: Look) -> AccessRequest:
    """The request of this patient's that the body names; raises Refused."""
    found = look.get(AccessRequest, event.body["request"])
    if found is None or found.patient != event.subject:
        raise Refused("unknown", f"nobody asked {event.subject} by {event.body['request']}")
    return found


def _still_open(event: "Event", time: int, look: Look) -> None:
    """Neither answered nor lapsed."""
    found = look.get(AccessRequest, event.body["request"])
    if found is None:
        return  # the gate says so
    if found.answered:
        raise Refused(
            "conflict", f"{found.request} was answered already, by entry {found.answered}"
        )
    if time >= found.until:
        raise Refused("conflict", f"{found.request} lapsed: it waited for 30 days")


_GRANTED: dict[str, Kind] = {
    "actions": _ACTIONS, "end": TIME, "grant": GRANT, "scope": _SCOPE, "start": TIME,
}  # fmt: skip
"""What an answer that grants says, as a grant does."""
_MAY_SAY: dict[str, Kind] = {
    "exceptions": exceptions_of({"exceptions": exceptions_of({})}),
    "labels": List(LABEL, len(LABELS), low=1, rising=True),
    "purposes": List(PURPOSE, len(PURPOSES), low=1, rising=True),
    "records": List(RECORD, GRANT_RECORDS, low=1, rising=True),
    "sensitive": TRUE,
    "uses": Integer(1, 1_000_000),
    "what": Object(WHAT, frozenset(WHAT)),
}


def _well_answered(event: "Event", time: int, origin: str, look: Look) -> None:
    """An open request, with a grant that is whole or without any; a relative's lies within the relation."""
    said = event.body
    if said["verdict"] == GRANTED:
        if missing := sorted(_GRANTED.keys() - said.keys()):
            raise Refused("malformed", f"access.answered: a grant lacks {', '.join(missing)}")
        well_formed(event, time, origin, look)
    elif surplus := sorted((_GRANTED.keys() | _MAY_SAY.keys()) & said.keys()):
        raise Refused(
            "malformed",
            f"access.answered: got {', '.join(surplus)} in an answer that grants nothing",
        )
    _still_open(event, time, look)
    found = look.get(AccessRequest, said["request"])
    if found is not None and said["verdict"] == GRANTED:
        within_relation(event, found.asker, time, look)


def _may_answer(event: "Event", policy: Policy, look: Look) -> None:
    """A request of this patient's; what is granted is no more than was asked for."""
    asked, said = _own_request(event, look), event.body
    if said["verdict"] != GRANTED:
        return
    if missing := _GRANTED.keys() - said.keys():
        raise Refused("malformed", f"access.answered: a grant lacks {', '.join(sorted(missing))}")
    check_terms(event, policy, look)
    if more := _more_than(asked, said, look):
        raise Refused("malformed", f"got more {' and '.join(more)} than {asked.request} asks for: answer with less, or grant it "
                      "by itself")  # fmt: skip


def _more_than(asked: AccessRequest, said: dict[str, Any], look: Look) -> list[str]:
    """In what a granting answer goes beyond what was asked for; empty if it doesn't."""
    days = (parse_time(said["end"]) - parse_time(said["start"])) / DAY_MS
    more = {
        "actions": not set(said["actions"]) <= set(asked.actions),
        "days": days > asked.days,
        "purposes": not set(said.get("purposes", ("TREAT",))) <= {asked.purpose},
        "records": not _scope_within(asked, said, look),
        "sensitive records": not asked.sensitive
        and bool(said.get("sensitive") or said.get("labels")),
    }
    return [name for name, beyond in more.items() if beyond]


def _scope_within(asked: AccessRequest, said: dict[str, Any], look: Look) -> bool:
    """Whether the scope of a granting answer lies in that of the request."""
    if asked.scope == "full":
        return True
    named = said.get("records", ())
    if asked.scope == "selective":
        return said["scope"] == "selective" and set(named) <= set(asked.records)
    if said["scope"] == "partial":
        return any(lies_within(said.get("what", {}), what) for what in asked.what)
    records = [look.get(Record, record) for record in named]
    return said["scope"] == "selective" and all(
        record is not None
        and record.confidentiality == "normal"
        and any(meets(what, record) for what in asked.what)
        for record in records
    )


def _answered(entry: "Entry", look: Look) -> list[Row]:
    said = entry.event.body
    asked = look.get(AccessRequest, said["request"])
    if asked is None:
        return []
    now = asked._replace(
        answered=entry.link.seq, verdict=said["verdict"], grant=said.get("grant", "")
    )
    return [now] if said["verdict"] != GRANTED else [now, *granted(entry, asked.asker)]


def _grant_id(event: "Event", look: Look) -> list[str]:
    return [event.body["grant"]] if "grant" in event.body else []


def _answering(event: "Event") -> list[Wanted]:
    """The request, and the grant that comes of it: to whom, only the request tells."""
    said = event.body
    named = [*said.get("records", ()), *([said["grant"]] if "grant" in said else [])]
    asked = row_named(AccessRequest, said["request"])
    if "grant" in said:
        asked = asked._replace(
            then=lambda row: row_named(Grant, event.subject, row.asker, said["grant"])
        )
    return [asked, *map(row_of_id, named)]


ACCESS_ANSWERED = EventType(
    "access.answered",
    "patient",
    ("patient", "relative"),
    body(_GRANTED | _MAY_SAY, purpose=PURPOSE, request=EVENT, verdict=code(DECLINED, GRANTED)),
    since=CONSENT,
    action="grant",
    about="chart",
    gate_rule=_may_answer,
    ids=_grant_id,
    rule=_well_answered,
    fold=_answered,
    changes=(AccessRequest, Grant, GrantName),
    wants=_answering,
    example=Example("patient", lambda sample: {
        "actions": ["read"], "end": TERM["end"], "grant": sample.id("gr"), "purpose": "PATRQT",
        "purposes": ["TREAT"], "records": [sample.id("rc")], "request": sample.id("ev"), "scope": "selective",
        "start": TERM["start"], "verdict": GRANTED,
    }),
)  # fmt: skip


def _asked_here(event: "Event", policy: Policy, look: Look) -> None:
    """A request to the admin's own hospital; raises Refused."""
    if _own_request(event, look).addressee != event.hospital:
        raise Refused("unknown", f"nobody asked {event.hospital} by {event.body['request']}")


def _may_forward(event: "Event", time: int, origin: str, look: Look) -> None:
    """Once."""
    _still_open(event, time, look)
    found = look.get(AccessRequest, event.body["request"])
    if found is not None and found.forwarded:
        raise Refused("conflict", f"entry {found.forwarded} forwarded {found.request} already")


def _forwarded(entry: "Entry", look: Look) -> list[Row]:
    asked = look.get(AccessRequest, entry.event.body["request"])
    return [] if asked is None else [asked._replace(forwarded=entry.link.seq)]


def _of_hospital(event: "Event") -> list[Wanted]:
    """The request; the records tell whether the hospital has one."""
    return [row_named(AccessRequest, event.body["request"]), rows_in(Record, event.subject)]


ACCESS_FORWARDED = EventType(
    "access.forwarded",
    "patient",
    ("hospital_admin",),
    body(purpose=PURPOSE, request=EVENT),
    since=CONSENT,
    action="disclose",
    about="chart",
    gate_rule=_asked_here,
    rule=_may_forward,
    fold=_forwarded,
    changes=(AccessRequest,),
    wants=_of_hospital,
    example=Example("hospital_admin", lambda sample: {
        "purpose": "HOPERAT", "request": sample.id("ev"),
    }),
)  # fmt: skip


def _well_closed(event: "Event", time: int, origin: str, look: Look) -> None:
    """An open request; by which act, where one answers it."""
    said = event.body
    if (said["verdict"] == DECLINED) == ("by" in said):
        raise Refused(
            "malformed",
            "access.closed: `by` names the disclosure or referral that answers; a no has none",
        )
    _still_open(event, time, look)
    if said["verdict"] == REFERRED:
        _check_referred(event, look)


def _check_referred(event: "Event", look: Look) -> None:
    """A referral of this patient by the hospital that is asked, to that of whoever asks."""
    asked = look.get(AccessRequest, event.body["request"])
    found = look.get(Referral, event.body["by"])
    if asked is None:
        return  # the gate says so
    expected = (event.subject, event.hospital, asked.hospital)
    if found is None or (found.patient, found.sender, found.receiver) != expected:
        raise Refused("unknown", f"there is no referral {event.body['by']} of {event.subject} from {event.hospital} to "
                      f"{asked.hospital or 'whoever asks'}")  # fmt: skip


def _closed(entry: "Entry", look: Look) -> list[Row]:
    said = entry.event.body
    asked = look.get(AccessRequest, said["request"])
    return (
        [] if asked is None else [asked._replace(answered=entry.link.seq, verdict=said["verdict"])]
    )


def _closing(event: "Event") -> list[Wanted]:
    refers = event.body["verdict"] == REFERRED
    by = [row_named(Referral, event.body["by"])] if refers and "by" in event.body else []
    return [*_of_hospital(event), *by]


ACCESS_CLOSED = EventType(
    "access.closed",
    "patient",
    ("hospital_admin",),
    body({"by": EVENT}, purpose=PURPOSE, request=EVENT, verdict=code(DECLINED, DISCLOSED, REFERRED)),
    since=CONSENT,
    action="disclose",
    about="chart",
    gate_rule=_asked_here,
    rule=_well_closed,
    fold=_closed,
    changes=(AccessRequest,),
    wants=_closing,
    example=Example("hospital_admin", lambda sample: {
        "by": sample.id("ev", 2), "purpose": "HOPERAT", "request": sample.id("ev"), "verdict": DISCLOSED,
    }),
)  # fmt: skip
