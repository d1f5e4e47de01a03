"""Sign and append: the last step of every journey."""

from collections.abc import Sequence
from typing import Any

from identity.actors import Actor
from ledger.entry import Entry
from ledger.errors import Refused
from ledger.event import BUNDLE_LIMIT, Event, sign_bundle, sign_event
from ledger.sequencer import Appended, Outcome, Proposal
from records.errors import AccessDenied, RecordsError
from storage.ledger import Ledger


def check_plain(proposals: Sequence[Proposal]) -> None:
    """Raises Refused for a reading: readings have routes of their own, which give what they permit."""
    for proposal in proposals:
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
        return [ledger.intake.event(raws[0], signature.key, signature.value)]
    proposals: list[Proposal] = []
    for start in range(0, len(raws), BUNDLE_LIMIT):
        part = raws[start : start + BUNDLE_LIMIT]
        signature = sign_bundle(actor.key, ledger.origin, part)[0]
        proposals += ledger.intake.bundle(part, signature.key, signature.value)
    return proposals


def append(ledger: Ledger, actor: Actor, events: Sequence[dict[str, Any]]) -> list[Entry]:
    """Append events of one actor, in order; raises the first refusal or denial."""
    proposals = propose(ledger, actor, events)
    return [appended(outcome).entry for outcome in ledger.append(proposals)]


def appended(outcome: Outcome) -> Appended:
    """The outcome if it is an entry; raises Refused or AccessDenied."""
    if isinstance(outcome, Refused):
        raise outcome
    if isinstance(outcome, Appended):
        return outcome
    raise AccessDenied(outcome.decision, outcome.seq, outcome.purpose)
