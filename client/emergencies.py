"""Emergencies: how far patients let doctors see in one, doctors who declare one, and its review."""

from collections.abc import Iterable

from client import operations
from client.port import LedgerClient
from identity.actors import Actor, new_id
from journeys.errors import NotThere, RecordsError
from ledger.codes import CEILINGS, EMERGENCY_PURPOSES, EMERGENCY_REASONS, FINDINGS
from records.emergencies import Emergencies, EmergencyStanding, OpenedEmergency


def configure(client: LedgerClient, actor: Actor, patient: str, ceiling: str) -> int:
    """Say how far doctors see in an emergency: one of `ledger.codes.CEILINGS`; gives the entry."""
    _one_of(CEILINGS, ceiling, "ceiling")
    body = {"ceiling": ceiling, "purpose": "PATRQT"}
    event = actor.event("emergency.configured", f"patient/{patient}", body, client.now())
    return client.append(actor, [event])[0].seq


def declare(
    client: LedgerClient,
    actor: Actor,
    patient: str,
    reason: str,
    text: str,
    purpose: str = "ETREAT",
) -> tuple[str, int]:
    """Declare an emergency as a doctor: `reason` is one of `ledger.codes.EMERGENCY_REASONS`, `text` is sealed for the
    patient and whoever reviews it. Gives its id and the entry."""
    _one_of(EMERGENCY_REASONS, reason, "reason")
    _one_of(EMERGENCY_PURPOSES, purpose, "purpose")
    sealed, now, event_id = _sealed(client, actor, patient, text)
    body = {"purpose": purpose, "reason": reason, "text": sealed}
    event = actor.event("emergency.declared", f"patient/{patient}", body, now, event_id)
    return event_id, client.append(actor, [event])[0].seq


def open_for_review(
    client: LedgerClient, actor: Actor, patient: str, emergency: str
) -> OpenedEmergency:
    """What a doctor declared and read, as an admin of the hospital where it was declared; this look is on record, too."""
    body = {"emergency": emergency, "purpose": "HOPERAT"}
    event = actor.event("emergency.opened", f"patient/{patient}", body, client.now())
    return client.emergency(actor, event)


def review(
    client: LedgerClient, actor: Actor, patient: str, emergency: str, finding: str, text: str
) -> int:
    """Review an emergency as an admin of the hospital where it was declared: `finding` is one of `ledger.codes.FINDINGS`,
    `text` is sealed for the patient. Gives the entry."""
    _one_of(FINDINGS, finding, "finding")
    sealed, now, event_id = _sealed(client, actor, patient, text)
    body = {"emergency": emergency, "finding": finding, "purpose": "HOPERAT", "text": sealed}
    event = actor.event("emergency.reviewed", f"patient/{patient}", body, now, event_id)
    return client.append(actor, [event])[0].seq


def listed(
    client: LedgerClient, actor: Actor, hospital: str, state: str = "", after: int = 0
) -> Emergencies:
    """The emergencies of a hospital in a state (empty: in any), a page; `after`: the `next` of the one before."""
    shown = str(after) if after else ""
    query = operations.EMERGENCIES_LISTED
    return client.ask(actor, query, hospital=hospital, review=state, after=shown)


def found(client: LedgerClient, actor: Actor, hospital: str, emergency: str) -> EmergencyStanding:
    """One emergency of a hospital; raises NotThere."""
    after = 0
    while True:
        page = listed(client, actor, hospital, after=after)
        for one in page.emergencies:
            if one.emergency == emergency:
                return one
        if not page.next:
            raise NotThere(f"no doctor of {hospital} declared the emergency {emergency}")
        after = page.next


def _one_of(codes: Iterable[str], given: str, what: str) -> None:
    known = sorted(codes)
    if given not in known:
        raise RecordsError(f"got the {what} {given[:40]!r}, expected one of {', '.join(known)}")


def _sealed(client: LedgerClient, actor: Actor, patient: str, text: str) -> tuple[str, int, str]:
    """The text, sealed for an event whose time and id are given with it."""
    now = client.now()
    event_id = new_id("ev", now)
    sealed = client.seal(actor, patient, patient, event_id, {"text": text}).fields
    return sealed["text"], now, event_id
