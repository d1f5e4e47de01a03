"""Holds: a hospital's doctors keep a record from somebody for a while, its admins keep records from being erased."""

from typing import Any

from client import operations
from client.port import LedgerClient
from identity.actors import Actor, new_id
from ledger.facts import HARM, LEGAL, Hold
from ledger.times import DAY_MS, format_time


def hold_back(
    client: LedgerClient,
    actor: Actor,
    patient: str,
    record: str,
    against: str,
    reason: str,
    words: str,
    days: int,
) -> tuple[str, int]:
    """A doctor keeps a record of the own hospital from the patient or a relative for some days; gives hold and entry.

    `against`: their account; `reason`: a code of `ledger.codes.HARMS`; `words`: why, sealed under the record's key.
    """
    now = client.now()
    event_id = new_id("ev", now)
    sealed = client.seal(actor, patient, record, event_id, {"words": words}).fields
    body: dict[str, Any] = {
        "against": against, "kind": HARM, "purpose": "TREAT", "reason": reason, "record": record,
        "until": format_time(now + days * DAY_MS), **sealed,
    }  # fmt: skip
    event = actor.event("hold.placed", f"patient/{patient}", body, now, event_id)
    return event_id, client.append(actor, [event])[0].seq


def hold_for_law(
    client: LedgerClient, actor: Actor, patient: str, reason: str, record: str = ""
) -> tuple[str, int]:
    """An admin keeps a record of the own hospital, or all it has in a chart, from being erased; gives hold and entry.

    `reason`: a code of `ledger.codes.LEGAL_HOLDS`.
    """
    now = client.now()
    event_id = new_id("ev", now)
    body = {"kind": LEGAL, "purpose": "HLEGAL", "reason": reason} | _of(record)
    event = actor.event("hold.placed", f"patient/{patient}", body, now, event_id)
    return event_id, client.append(actor, [event])[0].seq


def lift(client: LedgerClient, actor: Actor, hold: Hold) -> int:
    """Lift a hold of the own hospital; gives the entry."""
    purpose = "TREAT" if hold.kind == HARM else "HLEGAL"
    body = {"hold": hold.hold, "purpose": purpose} | _of(hold.record)
    event = actor.event("hold.lifted", f"patient/{hold.patient}", body, client.now())
    return client.append(actor, [event])[0].seq


def holds(client: LedgerClient, actor: Actor, patient: str) -> tuple[Hold, ...]:
    """The holds on a chart of one's own, or those of one's hospital, by entry."""
    return client.ask(actor, operations.HOLDS, patient=patient).holds


def _of(record: str) -> dict[str, str]:
    return {"record": record} if record else {}
