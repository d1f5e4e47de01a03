"""Hospitals, systems, doctors, patients and their keys: the journeys that put people into the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from client.port import LedgerClient
from client.signers import possession
from crypto.encoding import b64decode, b64encode
from crypto.ids import ALGORITHM_ED25519, key_id
from crypto.signing import SigningKey
from identity.actors import Actor, new_id, new_key
from journeys.days import TEEN_YEARS, acts_at_all, birthday, check_zone, day_in, today
from journeys.errors import RecordsError
from ledger.directory import Patient
from ledger.times import format_time
from people.reserving import Subject

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
    """None: of age, unless `born` says otherwise."""
    deceased: bool
    key: SigningKey | None
    identifier: str = ""
    """The hospital's own, `<system>|<value>`; kept as a keyed hash, outside the log."""
    claim: bytes = b""
    """The public key of the code by which the patient claims the chart; empty without one."""
    born: str = ""
    """What who claims the chart has to know, `YYYY-MM-DD`; kept as keyed hashes, outside the log."""


class NewKeys(Protocol):
    """Where the private keys of new actors go. An entry can't be undone, and a lost key not be made again."""

    def draft(self, actor: Actor) -> None:
        """Keep the key safe, before anything of the actor is appended; what it raises stops that."""
        ...

    def stands(self, actor: Actor) -> None:
        """The actor's key stands in the log."""
        ...


class Unkept:
    """Keys that whoever asked for them keeps in memory."""

    def draft(self, actor: Actor) -> None:
        """Nothing; see the port."""

    def stands(self, actor: Actor) -> None:
        """Nothing; see the port."""


UNKEPT = Unkept()


def add_hospital(
    client: LedgerClient, operator: Actor, name: str, time_zone: str, keys: NewKeys = UNKEPT
) -> AddedHospital:
    """Approve a hospital; appoint its first admin, who adds its first system."""
    check_zone(time_zone)
    hospital = new_id("hs", client.now())
    admin = new_member(client, "hospital_admin", hospital)
    system = new_member(client, "hospital_system", hospital)
    for member in (admin, system):
        keys.draft(member)
    body = {"hospital": hospital, "name": name, "time_zone": time_zone}
    event = operator.event("hospital.approved", "ledger", body, client.now())
    seq = client.append(operator, [event])[0].seq
    _join(client, operator, admin, f"Administration, {name}", admin.key)
    keys.stands(admin)
    _join(client, admin, system, f"System, {name}", system.key)
    keys.stands(system)
    return AddedHospital(hospital, admin, system, seq)


def new_member(
    client: LedgerClient, role: str, hospital: str, key: SigningKey | None = None
) -> Actor:
    """Somebody who is in no log yet, with an account and a key to be registered."""
    return Actor(client.origin, new_id("ac", client.now()), role, hospital, key or new_key())


def add_member(
    client: LedgerClient, actor: Actor, role: str, hospital: str, name: str, key: SigningKey | None,
    keys: NewKeys = UNKEPT,
) -> tuple[Actor, int]:  # fmt: skip
    """Register an account, its first key (unless None) and its role at a hospital; one signature.

    The name is sealed. Gives the new actor and the entry that put it into the role.
    """
    member = new_member(client, role, hospital, key)
    if key is not None:
        keys.draft(member)
    seq = _join(client, actor, member, name, key)
    if key is not None:
        keys.stands(member)
    return member, seq


def _join(
    client: LedgerClient, actor: Actor, member: Actor, name: str, key: SigningKey | None
) -> int:
    """Register a member's account, first key (unless None) and role, all or nothing."""
    custody = CUSTODY.get(member.role, "device")
    events = new_account(client, actor, name, key, custody, member.account)[1]
    body = {"account": member.account}
    events.append(
        actor.event(JOINING[member.role], f"hospital/{member.hospital}", body, client.now())
    )
    return client.append(actor, events, atomic=True)[-1].seq


def new_account(
    client: LedgerClient,
    actor: Actor,
    name: str,
    key: SigningKey | None,
    custody: str,
    account: str = "",
) -> tuple[str, list[dict[str, Any]]]:
    """A reserved account (`account`, or a fresh one), and the events that register it and its first key
    (unless None)."""
    now = client.now()
    account, event_id = account or new_id("ac", now), new_id("ev", now)
    (made,) = client.reserve(actor, [Subject(account, event_id, {"name": name})])
    body = {"account": account, **made.sealed}
    events = [actor.event("account.registered", f"account/{account}", body, now, event_id)]
    if key is not None:
        events.append(_key_event(client, actor, account, custody, key))
    return account, events


def add_patient(
    client: LedgerClient, actor: Actor, new: NewPatient, keys: NewKeys = UNKEPT
) -> tuple[str, int]:
    """Register one chart with its account and first key; gives the patient's id and the entry.

    Raises RecordsError for who may register a patient, but not a key.
    """
    if new.key is not None and actor.role == "doctor":
        raise RecordsError(
            "a doctor may register a patient, but not the patient's key: register without a key, and let a "
            "system or an administrator of the hospital register one"
        )
    person = None if new.key is None else Actor(client.origin, new.account, "patient", "", new.key)
    if person is not None:
        keys.draft(person)
    stood = _register(client, actor, [new])
    if person is not None:
        keys.stands(person)
    return stood[0]


def chart_for(client: LedgerClient, actor: Actor, identifier: str = "") -> str:
    """The id for a chart that is to be registered: that which an earlier try reserved for the identifier, or a fresh one.

    A code is made for one id and is none of any other. Raises RecordsError for an identifier of a registered patient.
    """
    now = client.now()
    fresh = new_id("pt", now)
    if not identifier:
        return fresh
    (kept,) = client.reserve(actor, [Subject(fresh, new_id("ev", now), {}, identifier)])
    if kept.known:
        raise _known(identifier, kept.id)
    return kept.id


def _known(identifier: str, patient: str) -> RecordsError:
    return RecordsError(f"{identifier} already identifies {patient}")


def register_patients(
    client: LedgerClient, actor: Actor, patients: Sequence[NewPatient]
) -> list[int]:
    """Register charts with their accounts and first keys; gives the entries of `patient.registered`.

    Raises RecordsError for one whose identifier is of a registered patient already, or whose code is for another chart
    than the one that an earlier try reserved; see `chart_for`.
    """
    return [seq for _, seq in _register(client, actor, patients)]


def _register(
    client: LedgerClient, actor: Actor, patients: Sequence[NewPatient]
) -> list[tuple[str, int]]:
    """The patients' ids and the entries of `patient.registered`; of one patient all or nothing."""
    now = client.now()
    for p in patients:
        _check_claimable(p, now)
    events_ids = [new_id("ev", now) for _ in patients]
    subjects = [
        subject
        for p, event_id in zip(patients, events_ids, strict=True)
        for subject in (
            Subject(p.patient, event_id, {"name": p.name}, p.identifier, p.born),
            Subject(p.account, event_id),
        )
    ]
    made = client.reserve(actor, subjects)[::2]
    local = today_at(client, actor) if any(map(_birth, patients)) else None
    events = []
    for p, event_id, reserved in zip(patients, events_ids, made, strict=True):
        if reserved.known:
            raise _known(p.identifier, reserved.id)
        if p.claim and reserved.id != p.patient:
            raise RecordsError(f"{p.identifier} was reserved for {reserved.id} by an earlier try: expected a code for that chart, got "
                               f"one for {p.patient}")  # fmt: skip
        body = {"account": p.account, "patient": reserved.id, "purpose": "TREAT", **reserved.sealed}
        body |= ages(client, _birth(p), local) | ({"deceased": True} if p.deceased else {})
        stream = f"patient/{reserved.id}"
        body |= {"claim": b64encode(p.claim)} if p.claim else {}
        event = actor.event("patient.registered", stream, body, now, event_id)
        events.append(event | ({"v": 2} if p.claim else {}))
        if p.key is not None:
            events.append(_key_event(client, actor, p.account, "device", p.key))
    stood = client.append(actor, events, atomic=len(patients) == 1 and len(events) > 1)
    seqs = [one.seq for one in stood if one.event["type"] == "patient.registered"]
    return [(one.id, seq) for one, seq in zip(made, seqs, strict=True)]


def _birth(new: NewPatient) -> date | None:
    """The birth date, as far as it is known: it says the age, and to whoever claims whether they know it."""
    return new.birth_date or (date.fromisoformat(new.born) if new.born else None)


def _check_claimable(new: NewPatient, now: int) -> None:
    """Raises RecordsError for a claim code of who is too young for it, or of whom that isn't known."""
    if not new.claim:
        return
    birth = _birth(new)
    if birth is None:
        raise RecordsError("a claim code needs the birth date: who claims the chart has to know it")
    if not acts_at_all(birth, now):
        raise RecordsError(
            f"nobody claims the chart of a patient under {TEEN_YEARS}: register without a claim code"
        )


def register_key(
    client: LedgerClient,
    actor: Actor,
    account: str,
    custody: str,
    public: bytes,
    proof: bytes,
    recovery: bool = False,
) -> tuple[str, int]:
    """Register a key made elsewhere for an account; gives key id and entry. The operator recovers for the service."""
    key = key_id(ALGORITHM_ED25519, public)
    body: dict[str, Any] = {
        "account": account,
        "algorithm": "ed25519",
        "custody": custody,
        "key": key,
        "proof": b64encode(proof),
        "public_key": b64encode(public),
    }
    if recovery and actor.role == "operator":
        stood = client.open_recovery(actor, account, public, proof)
        return stood.key, stood.seq
    if recovery:
        body["recovery"] = True
    voucher = actor.in_role("person") if actor.account == account else actor
    event = voucher.event("key.registered", f"account/{account}", body, client.now())
    return key, client.append(voucher, [event])[0].seq


def revoke_key(client: LedgerClient, actor: Actor, account: str, key: str) -> int:
    """Revoke a key of an account; gives the entry."""
    who = actor.in_role("person") if actor.account == account else actor
    body = {"account": account, "key": key}
    event = who.event("key.revoked", f"account/{account}", body, client.now())
    return client.append(who, [event])[0].seq


def correct_patient(
    client: LedgerClient,
    actor: Actor,
    patient: str,
    birth_date: date | None,
    deceased: bool,
    name: str = "",
) -> int:
    """Correct a patient's details, as the hospital that registered; gives the entry."""
    now = client.now()
    event_id = new_id("ev", now)
    sealed = client.seal(actor, patient, patient, event_id, {"name": name}).fields if name else {}
    body: dict[str, Any] = {
        "patient": patient,
        "purpose": "TREAT",
        **ages(client, birth_date, today_at(client, actor) if birth_date else None),
        **sealed,
    }
    body |= {"deceased": True} if deceased else {}
    event = actor.event("patient.corrected", f"patient/{patient}", body, now, event_id)
    return client.append(actor, [event])[0].seq


def correct_death(client: LedgerClient, actor: Actor, row: Patient) -> int:
    """Say that a patient has died, with the ages as they are, as the hospital that registered; the entry."""
    body: dict[str, Any] = {"patient": row.patient, "purpose": "TREAT", "deceased": True}
    if row.adult_from:
        body |= {
            "teen_from": format_time(row.teen_from),
            "adult_from": format_time(row.adult_from),
        }
    else:
        body["adult"] = True
    event = actor.event("patient.corrected", f"patient/{row.patient}", body, client.now())
    return client.append(actor, [event])[0].seq


def _key_event(
    client: LedgerClient, actor: Actor, account: str, custody: str, key: SigningKey
) -> dict[str, Any]:
    body = {
        "account": account,
        "algorithm": "ed25519",
        "custody": custody,
        "key": key.id,
        "proof": possession(key, client.origin, account),
        "public_key": b64encode(key.public),
    }
    return actor.event("key.registered", f"account/{account}", body, client.now())


def ages(client: LedgerClient, birth: date | None, local: date | None = None) -> dict[str, Any]:
    """`adult`, or the two instants at which a minor gets rights (00:00Z on the birthday).

    `local`: the day it is at the hospital, by default in UTC; no birth lies after it. Rights of age come at
    00:00Z everywhere.
    """
    if birth is None:
        return {"adult": True}
    day = today(client.now())
    if birth > (latest := local or day):  # first: of 9999-12-31 no later birthday can be computed
        raise RecordsError(f"the birth date {birth} is in the future: today is {latest}")
    teen, adult = (birthday(birth, years) for years in (TEEN_YEARS, client.policy().majority_years))
    if adult <= day:
        return {"adult": True}
    return {"teen_from": f"{teen}T00:00:00.000Z", "adult_from": f"{adult}T00:00:00.000Z"}


def today_at(client: LedgerClient, actor: Actor) -> date:
    """The day it is now at the hospital the actor acts for; without one, in UTC."""
    name = client.time_zone(actor, actor.hospital) if actor.hospital else "Etc/UTC"
    return day_in(name, client.now())


def public_key(text: str) -> bytes:
    """A raw Ed25519 public key from base64."""
    return b64decode(text, 32)
