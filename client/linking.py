"""Linked charts: what a hospital and the patients of the two sign."""

from client import operations
from client.port import LedgerClient
from identity.actors import Actor
from journeys.errors import AccessDenied
from ledger.errors import Refused
from people.linking import Links


def link(client: LedgerClient, actor: Actor, patient: str, other: str) -> list[int]:
    """Say that two charts are of one person; gives the entries, one in the stream of each chart that lacked it.

    A hospital says it in both, all or nothing; the patient of a chart in that one alone. Raises AccessDenied or Refused.
    """
    return _say(client, actor, "patient.linked", patient, other)


def unlink(client: LedgerClient, actor: Actor, patient: str, other: str) -> list[int]:
    """Say that it isn't so; gives the entries, as `link` does. Raises AccessDenied or Refused."""
    return _say(client, actor, "patient.unlinked", patient, other)


def links(client: LedgerClient, actor: Actor, patient: str) -> Links:
    """With which charts one of the actor's own is linked."""
    return client.ask(actor, operations.LINKS, patient=patient)


def _say(client: LedgerClient, actor: Actor, kind: str, patient: str, other: str) -> list[int]:
    if not actor.hospital:
        return _append(client, actor, kind, (patient, other))
    sides = ((patient, other), (other, patient))
    try:
        return _append(client, actor, kind, *sides)
    except (AccessDenied, Refused) as whole:
        # In one of the two it may stand already, as where one patient alone ended the link.
        done: list[int] = []
        for side in sides:
            try:
                done += _append(client, actor, kind, side)
            except (AccessDenied, Refused):
                continue
        if not done:
            raise whole from None
        return done


def _append(client: LedgerClient, actor: Actor, kind: str, *sides: tuple[str, str]) -> list[int]:
    purpose, now = "TREAT" if actor.hospital else "PATRQT", client.now()
    events = [
        actor.event(
            kind, f"patient/{own}", {"other": named, "patient": own, "purpose": purpose}, now
        )
        for own, named in sides
    ]
    return [one.seq for one in client.append(actor, events, atomic=len(events) > 1)]
