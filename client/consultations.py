"""Consultations: a doctor opens one, the patient signs it, both add notes, and either closes it."""

from collections.abc import Sequence

from client import operations
from client.port import LedgerClient
from identity.actors import Actor, new_id
from ledger.links import Consultation
from ledger.times import DAY_MS, format_time

_PURPOSES = {"patient": "PATRQT", "relative": "FAMRQT"}
"""For what people act in each role; doctors, to treat."""


def open_(
    client: LedgerClient,
    actor: Actor,
    patient: str,
    categories: Sequence[str],
    words: str,
    days: int,
) -> tuple[str, int]:
    """Open a consultation as a doctor, about some kinds of records; `words` are sealed for the patient. Gives its id and the
    entry. It ties the hospital to the patient only once the patient signed it."""
    now = client.now()
    event_id = new_id("ev", now)
    sealed, *_ = client.seal(actor, patient, patient, event_id, {"words": words})
    body = {
        "categories": sorted(set(categories)), "end": format_time(now + days * DAY_MS), "purpose": "TREAT", **sealed,
    }  # fmt: skip
    event = actor.event("consultation.opened", f"patient/{patient}", body, now, event_id)
    return event_id, client.append(actor, [event])[0].seq


def confirm(client: LedgerClient, actor: Actor, patient: str, consultation: str) -> int:
    """Sign a consultation, as the patient or who grants for them: from its entry on it counts. Gives the entry."""
    return _say(client, actor, "confirmed", patient, consultation)


def note(client: LedgerClient, actor: Actor, patient: str, consultation: str, words: str) -> int:
    """Add a note to an open consultation, sealed for the patient; gives the entry."""
    now = client.now()
    event_id = new_id("ev", now)
    sealed, *_ = client.seal(actor, patient, patient, event_id, {"words": words})
    body = {"consultation": consultation, "purpose": _purpose(actor), **sealed}
    event = actor.event("consultation.noted", f"patient/{patient}", body, now, event_id)
    return client.append(actor, [event])[0].seq


def close(client: LedgerClient, actor: Actor, patient: str, consultation: str) -> int:
    """Close a consultation, as a doctor of its hospital or as the patient; gives the entry."""
    return _say(client, actor, "closed", patient, consultation)


def listed(client: LedgerClient, actor: Actor, patient: str) -> tuple[Consultation, ...]:
    """The consultations of a chart of one's own, or those of one's hospital, by entry."""
    return client.ask(actor, operations.CONSULTATIONS, patient=patient).consultations


def _purpose(actor: Actor) -> str:
    return _PURPOSES.get(actor.role, "TREAT")


def _say(client: LedgerClient, actor: Actor, done: str, patient: str, consultation: str) -> int:
    body = {"consultation": consultation, "purpose": _purpose(actor)}
    event = actor.event(f"consultation.{done}", f"patient/{patient}", body, client.now())
    return client.append(actor, [event])[0].seq
