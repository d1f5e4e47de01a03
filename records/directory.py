"""Hospitals, systems, doctors, patients and their keys: the journeys that put people into the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from crypto.encoding import b64decode, b64encode
from crypto.ids import ALGORITHM_ED25519, key_id
from crypto.signing import SigningKey
from identity.actors import Actor, new_id, new_key, possession
from ledger.directory import Account, Patient
from ledger.times import format_time
from records.appending import append
from records.errors import NotThere, RecordsError
from records.reserving import reserve
from storage.keeper import KeyRequest
from storage.ledger import Ledger
from storage.staged import LABEL_KEY

TEEN_YEARS = 12
CUSTODY = {"hospital_system": "system"}
"""A system's key is kept by the system; every other new key here is on its owner's device."""
JOINING = {
    "hospital_admin": "admin.appointed",
    "hospital_system": "system.added",
    "doctor": "doctor.approved",
}


@dataclass(frozen=True)
class AddedHospital:
    """A new hospital with its first admin and first system."""

    hospital: str
    admin: Actor
    system: Actor
    seq: int


@dataclass(frozen=True)
class NewPatient:
    """What registering a patient takes; `key` is None where the key comes later."""

    patient: str
    account: str
    name: str
    birth_date: date | None
    """None: of age."""
    deceased: bool
    key: SigningKey | None


def add_hospital(ledger: Ledger, operator: Actor, name: str, time_zone: str) -> AddedHospital:
    """Approve a hospital; appoint its first admin, who adds its first system."""
    hospital = new_id("hs", ledger.clock())
    body = {"hospital": hospital, "name": name, "time_zone": time_zone}
    event = operator.event("hospital.approved", "ledger", body, ledger.clock())
    seq = append(ledger, operator, [event])[0].link.seq
    admin, _ = add_member(
        ledger, operator, "hospital_admin", hospital, f"Administration, {name}", new_key()
    )
    system, _ = add_member(ledger, admin, "hospital_system", hospital, f"System, {name}", new_key())
    return AddedHospital(hospital, admin, system, seq)


def add_member(
    ledger: Ledger, actor: Actor, role: str, hospital: str, name: str, key: SigningKey | None
) -> tuple[Actor, int]:
    """Register an account, its first key (unless None) and its role at a hospital; one signature.

    The name is sealed. Gives the new actor and the entry that put it into the role.
    """
    now = ledger.clock()
    account, event_id = new_id("ac", now), new_id("ev", now)
    made = reserve(ledger, actor.account, [KeyRequest(account, (account,))])
    sealed = ledger.keeper.seal(
        made[account, account], f"account/{account}", event_id, {"name": name}
    )
    registered = {"account": account, **sealed}
    events = [actor.event("account.registered", f"account/{account}", registered, now, event_id)]
    if key is not None:
        events.append(_key_event(ledger, actor, account, CUSTODY.get(role, "device"), key))
    events.append(actor.event(JOINING[role], f"hospital/{hospital}", {"account": account}, now))
    entries = append(ledger, actor, events)
    member = Actor(ledger.origin, account, role, hospital, key or new_key())
    return member, entries[-1].link.seq


def register_patients(ledger: Ledger, actor: Actor, patients: Sequence[NewPatient]) -> list[int]:
    """Register charts with their accounts and first keys; gives the entries of `patient.registered`."""
    requests = [
        request
        for p in patients
        for request in (
            KeyRequest(p.patient, (p.patient, LABEL_KEY)),
            KeyRequest(p.account, (p.account,)),
        )
    ]
    made = reserve(ledger, actor.account, requests)
    events, now = [], ledger.clock()
    for p in patients:
        event_id, stream = new_id("ev", now), f"patient/{p.patient}"
        sealed = ledger.keeper.seal(made[p.patient, p.patient], stream, event_id, {"name": p.name})
        body = {"account": p.account, "patient": p.patient, "purpose": "TREAT", **sealed}
        body |= _age(p.birth_date, ledger) | ({"deceased": True} if p.deceased else {})
        events.append(actor.event("patient.registered", stream, body, now, event_id))
        if p.key is not None:
            events.append(_key_event(ledger, actor, p.account, "device", p.key))
    entries = append(ledger, actor, events)
    return [e.link.seq for e in entries if e.event.type.name == "patient.registered"]


def register_key(
    ledger: Ledger,
    actor: Actor,
    account: str,
    custody: str,
    public: bytes,
    proof: bytes,
    recovery: bool = False,
) -> tuple[str, int]:
    """Register a key made elsewhere for an account; gives key id and entry."""
    key = key_id(ALGORITHM_ED25519, public)
    body: dict[str, Any] = {
        "account": account,
        "algorithm": "ed25519",
        "custody": custody,
        "key": key,
        "proof": b64encode(proof),
        "public_key": b64encode(public),
    }
    if recovery:
        body["recovery"] = True
    voucher = actor.in_role("person") if actor.account == account else actor
    event = voucher.event("key.registered", f"account/{account}", body, ledger.clock())
    return key, append(ledger, voucher, [event])[0].link.seq


def revoke_key(ledger: Ledger, actor: Actor, account: str, key: str) -> int:
    """Revoke a key of an account; gives the entry."""
    who = actor.in_role("person") if actor.account == account else actor
    body = {"account": account, "key": key}
    event = who.event("key.revoked", f"account/{account}", body, ledger.clock())
    return append(ledger, who, [event])[0].link.seq


def patient_of(ledger: Ledger, patient: str) -> Patient:
    """A patient's row; raises NotThere."""
    row = ledger.row(Patient, patient)
    if row is None:
        raise NotThere(f"there is no patient {patient}")
    return row


def account_of(ledger: Ledger, account: str) -> Account:
    """An account's row; raises NotThere."""
    row = ledger.row(Account, account)
    if row is None:
        raise NotThere(f"there is no account {account}")
    return row


def _key_event(
    ledger: Ledger, actor: Actor, account: str, custody: str, key: SigningKey
) -> dict[str, Any]:
    body = {
        "account": account,
        "algorithm": "ed25519",
        "custody": custody,
        "key": key.id,
        "proof": possession(ledger.origin, account, key),
        "public_key": b64encode(key.public),
    }
    return actor.event("key.registered", f"account/{account}", body, ledger.clock())


def _age(birth: date | None, ledger: Ledger) -> dict[str, Any]:
    """`adult`, or the two instants at which a minor gets rights (00:00Z on the birthday)."""
    majority = ledger.policy.majority_years
    if birth is None:
        return {"adult": True}
    teen, adult = (birthday(birth, years) for years in (TEEN_YEARS, majority))
    today = date.fromisoformat(format_time(ledger.clock())[:10])
    if birth > today:
        raise RecordsError(f"got the birth date {birth}, which lies in the future")
    if adult <= today:
        return {"adult": True}
    return {"teen_from": f"{teen}T00:00:00.000Z", "adult_from": f"{adult}T00:00:00.000Z"}


def birthday(birth: date, years: int) -> date:
    """The birthday after `years`; 29 February counts as 1 March."""
    if (birth.month, birth.day) == (2, 29):
        return date(birth.year + years, 3, 1)
    return birth.replace(year=birth.year + years)


def public_key(text: str) -> bytes:
    """A raw Ed25519 public key from base64."""
    return b64decode(text, 32)
