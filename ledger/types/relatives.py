"""Relatives: invited by the patient with a code, linked by whoever proves it, and unlinked by either."""

from typing import TYPE_CHECKING, Any

from crypto.encoding import b64decode
from crypto.errors import CryptoError
from crypto.signing import verify
from ledger.codes import (  # fmt: skip
    ACCOUNT,
    GRANT_RECORDS,
    INVITATION,
    LABEL,
    LABELS,
    PURPOSE,
    RECORD,
    RELATIVE_ACTIONS,
    TRUE,
    body,
)
from ledger.directory import Patient
from ledger.editions import CONSENT
from ledger.errors import Refused
from ledger.messages import invitation_message
from ledger.policies import Policy
from ledger.relations import RELATIVE, Invitation, Relation
from ledger.rows import Look, Row, Wanted, row_named, row_of_id, rows_in
from ledger.schema import TIME, Kind, List, Object, base64_of, code
from ledger.times import DAY_MS, parse_time
from ledger.types.access import WHAT, check_terms, exceptions_of, provision, well_formed
from ledger.types.declaration import EventType, nothing
from ledger.types.examples import TERM, Example
from ledger.types.patients import CLAIM

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event

INVITATION_DAYS = 30
"""How many days an invitation's code counts at most."""
INVITATIONS_OPEN = 16
"""Most invitations of one patient that wait to be used at a time."""

_TERMS: dict[str, Kind] = {
    "exceptions": exceptions_of({"exceptions": exceptions_of({})}),
    "labels": List(LABEL, len(LABELS), low=1, rising=True),
    "records": List(RECORD, GRANT_RECORDS, low=1, rising=True),
    "sensitive": TRUE,
    "what": Object(WHAT, frozenset(WHAT)),
}


def _well_invited(event: "Event", time: int, origin: str, look: Look) -> None:
    """Terms as a grant has them; the code counts for a while from now on, and no longer than the terms."""
    well_formed(event, time, origin, look)
    said = event.body
    until = parse_time(said["until"])
    if not time < until <= time + INVITATION_DAYS * DAY_MS:
        raise Refused("malformed", f"got an invitation until {said['until']}, expected at most {INVITATION_DAYS} "
                      "days from now")  # fmt: skip
    if until > parse_time(said["end"]):
        raise Refused("malformed", f"got an invitation until {said['until']} to what ends at {said['end']}")  # fmt: skip


def _may_invite(event: "Event", policy: Policy, look: Look) -> None:
    """For no longer than the policy lets; a few at a time."""
    check_terms(event, policy, look)
    # The event's own clock, which the log holds to its own within minutes: what has run out counts no more.
    waiting = [
        one
        for one in look.group(Invitation, event.subject)
        if not one.closed and event.at < one.until
    ]
    if len(waiting) >= INVITATIONS_OPEN:
        raise Refused("conflict", f"{len(waiting)} invitations wait to be used, at most {INVITATIONS_OPEN} may: "
                      "withdraw one first")  # fmt: skip


def _invited(entry: "Entry", look: Look) -> list[Row]:
    said, event = entry.event.body, entry.event
    return [
        Invitation(
            patient=event.subject,
            invitation=event.id,
            seq=entry.link.seq,
            public=b64decode(said["code"], 32),
            until=parse_time(said["until"]),
            closed=0,
            actions=tuple(said["actions"]),
            scope=said["scope"],
            records=tuple(said.get("records", ())),
            labels=tuple(said.get("labels", ())),
            sensitive=said.get("sensitive", False),
            what=(provision(said["what"]),) if "what" in said else (),
            exceptions=tuple(map(provision, said.get("exceptions", ()))),
            start=parse_time(said["start"]),
            end=parse_time(said["end"]),
        )
    ]


def _records_and_invitations(event: "Event") -> list[Wanted]:
    named = map(row_of_id, event.body.get("records", ()))
    return [rows_in(Invitation, event.subject), *named]


RELATIVE_INVITED = EventType(
    "relative.invited",
    "patient",
    ("patient",),
    body(
        _TERMS,
        actions=List(code(*RELATIVE_ACTIONS), len(RELATIVE_ACTIONS), low=1, rising=True),
        code=CLAIM, end=TIME, purpose=PURPOSE, scope=code("full", "partial", "selective"), start=TIME, until=TIME,
    ),
    since=CONSENT,
    action="grant",
    about="chart",
    gate_rule=_may_invite,
    rule=_well_invited,
    fold=_invited,
    changes=(Invitation,),
    wants=_records_and_invitations,
    example=Example("patient", lambda sample: {
        "actions": ["append", "list", "read"], "code": sample.invitation, "end": TERM["end"],
        "exceptions": [{"labels": sample.labels, "type": "deny"}], "labels": sample.labels, "purpose": "PATRQT",
        "scope": "partial", "start": TERM["start"], "until": "2026-12-01T00:00:00.000Z",
        "what": {"categories": ["laboratory"]},
    }),
)  # fmt: skip


def _may_link(event: "Event", time: int, origin: str, look: Look) -> None:
    """The code's signature fits this log, chart and account, which is the signer's own. One answer to all that fails."""
    said, patient = event.body, look.get(Patient, event.subject)
    invitation = look.get(Invitation, event.subject, said["invitation"])
    if said["account"] != event.actor:
        raise Refused("invitation", f"got a link of {said['account']} signed by {event.actor}")
    if patient is None or invitation is None or invitation.closed or time >= invitation.until:
        raise Refused("invitation", NOT_LINKED)
    try:
        proof = b64decode(said["proof"], 64)
        verify(invitation.public, proof, invitation_message(origin, event.subject, event.actor))
    except CryptoError as error:
        raise Refused("invitation", NOT_LINKED) from error
    if event.actor == patient.account:
        raise Refused("role", "patients need no relation to their own chart")


NOT_LINKED = "nobody is linked with this code"
"""All that a link that fails is told."""


def _linked(entry: "Entry", look: Look) -> list[Row]:
    """On the invitation's terms, in place of what the same account had before; the code is used up."""
    event, seq = entry.event, entry.link.seq
    invited = look.get(Invitation, event.subject, event.body["invitation"])
    if invited is None:
        return []
    terms = {
        name: getattr(invited, name)
        for name in ("actions", "scope", "records", "labels", "sensitive", "what", "exceptions", "start", "end")
    }  # fmt: skip
    relation = Relation(event.subject, event.actor, RELATIVE, seq, True, "", **terms)
    return [relation, invited._replace(closed=seq)]


def _link(event: "Event") -> list[Wanted]:
    return [row_named(Invitation, event.subject, event.body["invitation"])]


RELATIVE_LINKED = EventType(
    "relative.linked",
    "patient",
    ("person",),
    body(account=ACCOUNT, invitation=INVITATION, proof=base64_of(64), purpose=PURPOSE),
    since=CONSENT,
    action="register",
    about="chart",
    gate_rule=nothing,
    rule=_may_link,
    fold=_linked,
    changes=(Relation, Invitation),
    wants=_link,
    example=Example("person", lambda sample: {
        "account": sample.account("person"), "invitation": sample.id("ev"),
        "proof": sample.invited("person"), "purpose": "FAMRQT",
    }),
)  # fmt: skip


def _one_named(event: "Event", time: int, origin: str, look: Look) -> None:
    """A relative, or an invitation that nobody has used yet, which is the patient's to withdraw."""
    said = event.body
    if ("account" in said) == ("invitation" in said):
        raise Refused("malformed", "relative.unlinked: expected account or invitation, one of them")
    if "invitation" in said and event.role != "patient":
        raise Refused("role", "an invitation is withdrawn by the patient who gave it")


def _may_unlink(event: "Event", policy: Policy, look: Look) -> None:
    """It stands; told to the patient, and to relatives of themselves."""
    found = _standing(event, look)
    if found is None:
        what = event.body.get("account", event.body.get("invitation"))
        raise Refused("conflict", f"{what} is not linked to {event.subject}, or not any more")


def _standing(event: "Event", look: Look) -> Relation | Invitation | None:
    said: dict[str, Any] = event.body
    if "account" in said:
        relation = look.get(Relation, event.subject, said["account"], RELATIVE)
        return relation if relation is not None and relation.active else None
    invitation = look.get(Invitation, event.subject, said.get("invitation", ""))
    return invitation if invitation is not None and not invitation.closed else None


def _unlinked(entry: "Entry", look: Look) -> list[Row]:
    found = _standing(entry.event, look)
    if isinstance(found, Relation):
        return [found._replace(active=False, seq=entry.link.seq)]
    return [] if found is None else [found._replace(closed=entry.link.seq)]


def _named(event: "Event") -> list[Wanted]:
    said = event.body
    if "account" in said:
        return [row_named(Relation, event.subject, said["account"], RELATIVE)]
    return [row_named(Invitation, event.subject, said.get("invitation", ""))]


RELATIVE_UNLINKED = EventType(
    "relative.unlinked",
    "patient",
    ("patient", "person"),
    body({"account": ACCOUNT, "invitation": INVITATION}, purpose=PURPOSE),
    since=CONSENT,
    action="register",
    about="chart",
    gate_rule=_may_unlink,
    rule=_one_named,
    fold=_unlinked,
    changes=(Relation, Invitation),
    wants=_named,
    example=Example(
        "patient", lambda sample: {"account": sample.account("person"), "purpose": "PATRQT"}
    ),
)
