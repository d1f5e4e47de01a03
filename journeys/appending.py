"""Append what was signed: the last step of every journey."""

from collections.abc import Sequence

from crypto.encoding import b64decode
from crypto.shares import share_once
from journeys.days import check_event_zone
from journeys.errors import AccessDenied
from journeys.labelling import check_marked
from journeys.quotas import check_keys
from ledger.entry import Entry
from ledger.errors import Refused
from ledger.event import Event
from ledger.sequencer import Appended, Outcome, Proposal
from storage.ledger import Ledger

ASKED_BESIDE = {
    "doctor.joined": ("invitation", "/v1/invitations"),
    "patient.claimed": ("claim", "/v1/claims"),
}
"""Types with a route of their own, which counts the tries or asks for more than what is signed (the birth date): the code of
the refusal elsewhere, and the route."""


def check_plain(proposals: Sequence[Proposal]) -> None:
    """Raises Refused for a reading (readings have routes of their own, which give what they permit), for what has a
    route that asks for more than is signed or counts the tries, and for what no later entry could put right: a time zone that doesn't exist."""
    for proposal in proposals:
        check_event_zone(proposal.event)
        if found := ASKED_BESIDE.get(proposal.event.type.name):
            code, route = found
            raise Refused(
                code,
                f"got {proposal.event.type.name}, which has a route of its own: POST {route}",
            )
        if proposal.event.type.reading:
            raise Refused(
                "reading", f"got {proposal.event.type.name}, a reading: send it to its own route"
            )


def check_reply(event: Event) -> None:
    """Raises CryptoError for a reading whose `reply` is a key that nothing can be sealed to.

    Before it is appended: else it would stand in the log, and its content never be given.
    """
    if "reply" in event.body:
        share_once(b64decode(event.body["reply"]), b"", b"")


def submit(ledger: Ledger, proposals: Sequence[Proposal], atomic: bool = False) -> list[Entry]:
    """Append signed proposals, in order; raises the first refusal or denial.

    `atomic`: all of them or none; then the refusal that undid the others is raised.
    """
    for proposal in proposals:
        check_event_zone(proposal.event)
    check_keys(ledger, proposals)
    check_marked(ledger, proposals)
    outcomes = (
        ledger.submit(proposals, True).result().outcomes if atomic else ledger.append(proposals)
    )
    # What was undone only because of another one comes last: the reason is the other one's.
    for outcome in sorted(outcomes, key=lambda o: isinstance(o, Refused) and o.code == "atomic"):
        appended(outcome)
    return [appended(outcome).entry for outcome in outcomes]


def appended(outcome: Outcome) -> Appended:
    """The outcome if it is an entry; raises Refused or AccessDenied."""
    if isinstance(outcome, Refused):
        raise outcome
    if isinstance(outcome, Appended):
        return outcome
    raise AccessDenied(outcome.decision, outcome.seq, outcome.purpose, outcome.action)
