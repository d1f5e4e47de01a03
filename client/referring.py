"""Referrals: a hospital sends records of its own to another one; that one answers, and takes them up sealed for its own key."""

from collections.abc import Sequence
from typing import IO

from client import operations
from client.port import LedgerClient
from crypto.encoding import b64encode
from crypto.xwing import ReceivingKey
from identity.actors import Actor, new_id
from journeys.errors import NotThere, RecordsError
from ledger.codes import REFERRED_RECORDS
from ledger.directory import X_WING
from ledger.exports import export_line, export_root
from records.referrals import ReceivingKeyShown, ReferralStanding

PURPOSE = "TREAT"
"""For what hospitals refer."""


def register_receiving(client: LedgerClient, actor: Actor, key: ReceivingKey) -> int:
    """Register an X-Wing key of the actor's own account, a system's, vouched for by the key that signs; gives the entry."""
    system = actor.in_role("person")
    body = {
        "account": actor.account,
        "algorithm": X_WING,
        "custody": "system",
        "key": key.id,
        "public_key": b64encode(key.public),
    }
    event = system.event("key.registered", f"account/{actor.account}", body, client.now())
    return client.append(system, [event | {"v": 2}])[0].seq


def receiving_key(client: LedgerClient, actor: Actor, hospital: str) -> ReceivingKeyShown:
    """The key to which what is referred to a hospital is sealed; raises NotThere where it has none."""
    return client.ask(actor, operations.RECEIVING, hospital=hospital)


def send(
    client: LedgerClient, actor: Actor, to: str, records: Sequence[str], words: str
) -> tuple[str, str, int]:
    """Refer the latest versions of `records`, all of one patient and written by the actor's hospital, to another hospital.

    `words` are sealed for it and the patient. Gives the patient, the referral's id and the entry. Raises RecordsError, or
    NotThere where the other hospital has no key to receive with.
    """
    if not 0 < len(set(records)) == len(records) <= REFERRED_RECORDS:
        raise RecordsError(f"got {len(records)} records, expected 1 to {REFERRED_RECORDS}, none twice")  # fmt: skip
    key = receiving_key(client, actor, to)
    found = [(record, client.address(actor, record)) for record in records]
    patients = {address.patient for _, address in found}
    if len(patients) != 1:
        raise RecordsError(f"got records of {len(patients)} patients; a referral is about one")
    (patient,) = patients
    lines = sorted(export_line(record, len(a.blobs), a.blobs[-1]) for record, a in found)
    now = client.now()
    event_id = new_id("ev", now)
    sealed = client.seal(actor, patient, patient, event_id, {"words": words}).fields
    body = {
        "count": len(lines), "key": key.key, "list": [line.decode() for line in lines], "purpose": PURPOSE,
        "root": b64encode(export_root(lines)), "to": to, **sealed,
    }  # fmt: skip
    event = actor.event("referral.sent", f"patient/{patient}", body, now, event_id)
    return patient, event_id, client.append(actor, [event])[0].seq


def accept(client: LedgerClient, actor: Actor, patient: str, referral: str) -> int:
    """Accept a referral to the actor's hospital; gives the entry."""
    return _answer(client, actor, "referral.accepted", patient, referral)


def decline(client: LedgerClient, actor: Actor, patient: str, referral: str) -> int:
    """Decline a referral to the actor's hospital, or hand it back after accepting; gives the entry."""
    return _answer(client, actor, "referral.declined", patient, referral)


def listed(client: LedgerClient, actor: Actor, patient: str) -> tuple[ReferralStanding, ...]:
    """The referrals of a chart of one's own, or those of it that one's hospital sent or is sent: those not declined first, the newest before others."""
    return client.ask(actor, operations.REFERRALS, patient=patient).referrals


def incoming(client: LedgerClient, actor: Actor) -> tuple[ReferralStanding, ...]:
    """What the actor's hospital is sent: what it didn't decline first, the newest before others."""
    return client.ask(actor, operations.REFERRALS_TO, hospital=actor.hospital).referrals


def found(client: LedgerClient, actor: Actor, referral: str) -> ReferralStanding:
    """A referral that the actor's hospital is sent, among those that are listed; raises NotThere."""
    for one in incoming(client, actor):
        if one.referral.referral == referral:
            return one
    raise NotThere(f"there is no referral {referral} to {actor.hospital}")


def take(
    client: LedgerClient, actor: Actor, patient: str, referral: str, out: IO[bytes], key: str = ""
) -> int:
    """Take up an accepted referral: its package, a ZIP, is written to `out`; gives the entry.

    `key`: the hospital's key to seal for; by default its newest. Raises NotThere.
    """
    standing = next((r for r in listed(client, actor, patient) if r.referral.referral == referral), None)  # fmt: skip
    if standing is None:
        raise NotThere(f"there is no referral {referral} of {patient} to {actor.hospital}")
    body = {
        "count": standing.count, "key": key or receiving_key(client, actor, actor.hospital).key, "purpose": PURPOSE,
        "referral": referral, "root": standing.root,
    }  # fmt: skip
    event = actor.event("referral.taken", f"patient/{patient}", body, client.now())
    return client.package(actor, event, out)


def _answer(client: LedgerClient, actor: Actor, kind: str, patient: str, referral: str) -> int:
    body = {"purpose": PURPOSE, "referral": referral}
    event = actor.event(kind, f"patient/{patient}", body, client.now())
    return client.append(actor, [event])[0].seq
