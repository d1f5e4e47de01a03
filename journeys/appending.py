"""Sign and append: the last step of every journey."""

from collections.abc import Sequence
from typing import Any

from identity.actors import Actor
from journeys.days import check_event_zone
from journeys.errors import AccessDenied, RecordsError
from ledger.entry import Entry
from ledger.errors import Refused
from ledger.event import BUNDLE_LIMIT, Event, sign_bundle, sign_event
from ledger.sequencer import Appended, Outcome, Proposal
from storage.ledger import Ledger


def check_plain(proposals: Sequence[Proposal]) -> None:
    """Raises Refused for a reading (readings have routes of their own, which give what they permit), and for
    what no later entry could put right: a time zone that doesn't exist."""
    for proposal in proposals:
        check_event_zone(proposal.event)
        if proposal.event.type.reading:
            raise Refused(
                "reading", f"got {proposal.event.type.name}, a reading: send it to its own route"
            )


def propose(ledger: Ledger, actor: Actor, events: Sequence[dict[str, Any]]) -> list[Proposal]:
    """Events of one actor, signed: one by itself, several as a bundle."""
    if actor.origin != ledger.origin:
        raise RecordsError(f"got a key of the log {actor.origin}, this log is {ledger.origin}")
    raws = [Event.of(event).raw for event in events]
    if len(raws) == 1:
        signature = sign_event(actor.key, ledger.origin, raws[0])
        return [ledger.signatures.event(raws[0], signature.key, signature.value)]
    proposals: list[Proposal] = []
    for start in range(0, len(raws), BUNDLE_LIMIT):
        part = raws[start : start + BUNDLE_LIMIT]
        signature = sign_bundle(actor.key, ledger.origin, part)[0]
        proposals += ledger.signatures.bundle(part, signature.key, signature.value)
    return proposals


def append(
    ledger: Ledger, actor: Actor, events: Sequence[dict[str, Any]], atomic: bool = False
) -> list[Entry]:
    """Append events of one actor, in order; raises the first refusal or denial.

    `atomic`: all of them or none; then the refusal that undid the others is raised.
    """
    return submit(ledger, propose(ledger, actor, events), atomic)


def submit(ledger: Ledger, proposals: Sequence[Proposal], atomic: bool = False) -> list[Entry]:
    """Append signed proposals, in order; raises as `append` does."""
    for proposal in proposals:
        check_event_zone(proposal.event)
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
    raise AccessDenied(outcome.decision, outcome.seq, outcome.purpose)
