"""Hospitals, systems, doctors, patients and their keys: the journeys that put people into the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from crypto.encoding import b64decode, b64encode
from crypto.ids import ALGORITHM_ED25519, key_id
from crypto.signing import SigningKey
from identity.actors import Actor, new_id, new_key, possession
from ledger.directory import Patient
from ledger.times import format_time
from records.desk import Desk
from records.errors import RecordsError
from records.reserving import Subject

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
    identifier: str = ""
    """The hospital's own, `<system>|<value>`; kept as a keyed hash, outside the log."""


def add_hospital(desk: Desk, operator: Actor, name: str, time_zone: str) -> AddedHospital:
    """Approve a hospital; appoint its first admin, who adds its first system."""
    hospital = new_id("hs", desk.now())
    body = {"hospital": hospital, "name": name, "time_zone": time_zone}
    event = operator.event("hospital.approved", "ledger", body, desk.now())
    seq = desk.append(operator, [event])[0].seq
    admin, _ = add_member(
        desk, operator, "hospital_admin", hospital, f"Administration, {name}", new_key()
    )
    system, _ = add_member(desk, admin, "hospital_system", hospital, f"System, {name}", new_key())
    return AddedHospital(hospital, admin, system, seq)


def add_member(
    desk: Desk, actor: Actor, role: str, hospital: str, name: str, key: SigningKey | None
) -> tuple[Actor, int]:
    """Register an account, its first key (unless None) and its role at a hospital; one signature.

    The name is sealed. Gives the new actor and the entry that put it into the role.
    """
    account, events = new_account(desk, actor, name, key, CUSTODY.get(role, "device"))
    events.append(
        actor.event(JOINING[role], f"hospital/{hospital}", {"account": account}, desk.now())
    )
    seq = desk.append(actor, events)[-1].seq
    return Actor(desk.origin, account, role, hospital, key or new_key()), seq


def new_account(
    desk: Desk, actor: Actor, name: str, key: SigningKey | None, custody: str
) -> tuple[str, list[dict[str, Any]]]:
    """A reserved account, and the events that register it and its first key (unless None)."""
    now = desk.now()
    account, event_id = new_id("ac", now), new_id("ev", now)
    (made,) = desk.reserve(actor, [Subject(account, event_id, {"name": name})])
    body = {"account": account, **made.sealed}
    events = [actor.event("account.registered", f"account/{account}", body, now, event_id)]
    if key is not None:
        events.append(_key_event(desk, actor, account, custody, key))
    return account, events


def register_patients(desk: Desk, actor: Actor, patients: Sequence[NewPatient]) -> list[int]:
    """Register charts with their accounts and first keys; gives the entries of `patient.registered`.

    Raises RecordsError for one whose identifier is of a registered patient already.
    """
    now = desk.now()
    events_ids = [new_id("ev", now) for _ in patients]
    subjects = [
        subject
        for p, event_id in zip(patients, events_ids, strict=True)
        for subject in (
            Subject(p.patient, event_id, {"name": p.name}, p.identifier),
            Subject(p.account, event_id),
        )
    ]
    made = desk.reserve(actor, subjects)[::2]
    events = []
    for p, event_id, reserved in zip(patients, events_ids, made, strict=True):
        if reserved.known:
            raise RecordsError(f"{p.identifier} is the identifier of {reserved.id} already")
        body = {"account": p.account, "patient": reserved.id, "purpose": "TREAT", **reserved.sealed}
        body |= ages(desk, p.birth_date) | ({"deceased": True} if p.deceased else {})
        stream = f"patient/{reserved.id}"
        events.append(actor.event("patient.registered", stream, body, now, event_id))
        if p.key is not None:
            events.append(_key_event(desk, actor, p.account, "device", p.key))
    stood = desk.append(actor, events)
    return [one.seq for one in stood if one.event["type"] == "patient.registered"]


def register_key(
    desk: Desk,
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
    event = voucher.event("key.registered", f"account/{account}", body, desk.now())
    return key, desk.append(voucher, [event])[0].seq


def revoke_key(desk: Desk, actor: Actor, account: str, key: str) -> int:
    """Revoke a key of an account; gives the entry."""
    who = actor.in_role("person") if actor.account == account else actor
    body = {"account": account, "key": key}
    event = who.event("key.revoked", f"account/{account}", body, desk.now())
    return desk.append(who, [event])[0].seq


def correct_patient(
    desk: Desk, actor: Actor, patient: str, birth_date: date | None, deceased: bool, name: str = ""
) -> int:
    """Say anew what is known of a patient, as the hospital that registered; gives the entry."""
    now = desk.now()
    event_id = new_id("ev", now)
    sealed = desk.seal(actor, patient, patient, event_id, {"name": name})[0] if name else {}
    body: dict[str, Any] = {
        "patient": patient,
        "purpose": "TREAT",
        **ages(desk, birth_date),
        **sealed,
    }
    body |= {"deceased": True} if deceased else {}
    event = actor.event("patient.corrected", f"patient/{patient}", body, now, event_id)
    return desk.append(actor, [event])[0].seq


def correct_death(desk: Desk, actor: Actor, row: Patient) -> int:
    """Say that a patient has died, with the ages as they are, as the hospital that registered; the entry."""
    body: dict[str, Any] = {"patient": row.patient, "purpose": "TREAT", "deceased": True}
    if row.adult_from:
        body |= {
            "teen_from": format_time(row.teen_from),
            "adult_from": format_time(row.adult_from),
        }
    else:
        body["adult"] = True
    event = actor.event("patient.corrected", f"patient/{row.patient}", body, desk.now())
    return desk.append(actor, [event])[0].seq


def _key_event(
    desk: Desk, actor: Actor, account: str, custody: str, key: SigningKey
) -> dict[str, Any]:
    body = {
        "account": account,
        "algorithm": "ed25519",
        "custody": custody,
        "key": key.id,
        "proof": possession(desk.origin, account, key),
        "public_key": b64encode(key.public),
    }
    return actor.event("key.registered", f"account/{account}", body, desk.now())


def ages(desk: Desk, birth: date | None) -> dict[str, Any]:
    """`adult`, or the two instants at which a minor gets rights (00:00Z on the birthday)."""
    if birth is None:
        return {"adult": True}
    now = today(desk.now())
    if birth > now:  # first: of the placeholder 9999-12-31 no later birthday can be computed
        raise RecordsError(f"got the birth date {birth}, which lies in the future")
    teen, adult = (birthday(birth, years) for years in (TEEN_YEARS, desk.policy().majority_years))
    if adult <= now:
        return {"adult": True}
    return {"teen_from": f"{teen}T00:00:00.000Z", "adult_from": f"{adult}T00:00:00.000Z"}


def today(now: int) -> date:
    """The day of the instant `now` (Unix ms), by which ages are counted."""
    return date.fromisoformat(format_time(now)[:10])


def birthday(birth: date, years: int) -> date:
    """The birthday after `years`; 29 February counts as 1 March in years that have none."""
    try:
        return birth.replace(year=birth.year + years)
    except ValueError:
        return date(birth.year + years, 3, 1)


def public_key(text: str) -> bytes:
    """A raw Ed25519 public key from base64."""
    return b64decode(text, 32)
