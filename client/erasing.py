"""Erasing a record or a whole chart, as its patient asks for it, and takes it back while there is time."""

from client import operations
from client.grants import PURPOSE
from client.port import LedgerClient
from identity.actors import Actor, new_id
from ledger.facts import Erasure


def erase(client: LedgerClient, actor: Actor, patient: str, record: str = "") -> tuple[str, int]:
    """Ask to erase a record, or without one the whole chart; gives the erasure's id and its entry."""
    now = client.now()
    event_id = new_id("ev", now)
    body = {"purpose": PURPOSE} | ({"record": record} if record else {})
    event = actor.event("erasure.requested", f"patient/{patient}", body, now, event_id)
    return event_id, client.append(actor, [event])[0].seq


def withdraw(client: LedgerClient, actor: Actor, patient: str, erasure: str) -> int:
    """Take an erasure back before it is due; gives the entry."""
    body = {"erasure": erasure, "purpose": PURPOSE}
    event = actor.event("erasure.withdrawn", f"patient/{patient}", body, client.now())
    return client.append(actor, [event])[0].seq


def erasures(client: LedgerClient, actor: Actor, patient: str) -> tuple[Erasure, ...]:
    """The erasures of a chart of one's own, by entry."""
    return client.ask(actor, operations.ERASURES, patient=patient).erasures
