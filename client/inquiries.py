"""Inquiries: ask by a number or a health card; see who asks so, give them access, or dismiss it."""

from collections.abc import Sequence

from client import grants, operations
from client.port import LedgerClient
from identity.actors import Actor
from journeys.errors import NotThere, RecordsError
from records.inquiries import Inquired, Inquiry


def inquire(
    client: LedgerClient,
    actor: Actor,
    to: str,
    words: str,
    days: int,
    categories: Sequence[str] = (),
) -> Inquired:
    """Ask whoever stated the number `to`, or holds the health card of that chart; persons ask as relatives."""
    actor = actor.in_role("relative") if actor.role == "person" else actor
    return client.inquire(actor, to, words, days, categories)


def listed(client: LedgerClient, actor: Actor, patient: str) -> tuple[Inquiry, ...]:
    """Who asks whoever has this chart."""
    return client.ask(actor, operations.INQUIRIES, patient=patient).inquiries


def found(client: LedgerClient, actor: Actor, patient: str, inquiry: str) -> Inquiry:
    """One of those that `listed` lists; raises NotThere."""
    for one in listed(client, actor, patient):
        if one.inquiry == inquiry:
            return one
    raise NotThere(f"there is no inquiry {inquiry} to {patient}")


def grant(
    client: LedgerClient, actor: Actor, patient: str, one: Inquiry, days: int = 0
) -> tuple[str, int]:
    """Give whoever asks access for the days that they ask for, or fewer; the grant's id and its entry.

    To a doctor by themselves, to a hospital where its admin asks. A relative is let in by an invitation: raises RecordsError.
    """
    if one.role == "relative":
        raise RecordsError(
            "a relative acts for you once you invite them: `heartwood relative invite`"
        )
    grantee = one.asker if one.role == "doctor" else one.hospital
    what = {"categories": list(one.categories)} if one.categories else None
    given = grants.grant(
        client, actor, patient, grantee, days=min(days or one.days, one.days), what=what
    )
    client.dismiss_inquiry(actor, patient, one.inquiry)
    return given
