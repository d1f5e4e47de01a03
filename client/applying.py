"""Becoming somebody: one registers alone, applies for a hospital or at one, and those whom it concerns decide."""

from typing import Any

from client.groups import check_hospital
from client.port import LedgerClient
from client.registering import UNKEPT, NewKeys, new_account
from client.signers import possession
from crypto.encoding import b64decode, b64encode
from crypto.signing import SigningKey
from identity.actors import Actor, new_id, new_key
from journeys.days import check_zone
from journeys.errors import NotThere, RecordsError
from ledger.times import format_time
from people.applications import DoctorStanding, HospitalStanding
from people.joining import Registered, Registration
from people.reserving import Subject


def register(
    client: LedgerClient, name: str, key: SigningKey | None = None, keys: NewKeys = UNKEPT
) -> tuple[Actor, Registered]:
    """Register oneself, by a fresh key unless one is given; gives the person and the entry. The key stays here."""
    person = Actor(client.origin, new_id("ac", client.now()), "person", "", key or new_key())
    keys.draft(person)
    proof = b64decode(possession(person.key, client.origin, person.account), 64)
    wanted = Registration(person.account, name, person.key.public, proof)
    stood = client.register(wanted)
    keys.stands(person)
    return person, stood


def register_by_password(client: LedgerClient, name: str, password: str) -> Registered:
    """Register oneself with a password and without a key; gives the account and the entry."""
    wanted = Registration(new_id("ac", client.now()), name, password=password)
    return client.register(wanted)


def apply_for_hospital(
    client: LedgerClient, actor: Actor, name: str, time_zone: str, contact: str
) -> tuple[str, int]:
    """Apply for a hospital whose admins add its systems later, as oneself; gives its id and the entry.

    `contact` is sealed, and until it is approved `name` too.
    """
    hospital = new_id("hs", client.now())
    return hospital, _apply(client, actor, hospital, name, time_zone, contact, None)


def apply_with_system(
    client: LedgerClient,
    actor: Actor,
    name: str,
    time_zone: str,
    contact: str,
    key: SigningKey | None = None,
    keys: NewKeys = UNKEPT,
) -> tuple[Actor, int]:
    """The same with its system's key, a fresh one unless one is given; gives the system as it will be, and the entry.

    The key stays here, and acts for the hospital once the operator has approved it.
    """
    now = client.now()
    hospital, account = new_id("hs", now), new_id("ac", now)
    system = Actor(client.origin, account, "hospital_system", hospital, key or new_key())
    check_zone(time_zone)
    keys.draft(system)
    seq = _apply(client, actor, hospital, name, time_zone, contact, system)
    keys.stands(system)
    return system, seq


def _apply(
    client: LedgerClient, actor: Actor, hospital: str, name: str, time_zone: str, contact: str,
    system: Actor | None,
) -> int:  # fmt: skip
    check_zone(time_zone)
    person, now = actor.in_role("person"), client.now()
    event_id = new_id("ev", now)
    (made,) = client.reserve(
        person, [Subject(hospital, event_id, {"contact": contact, "name": name})]
    )
    body = {"hospital": hospital, "time_zone": time_zone, **made.sealed}
    if system is not None:
        body |= {
            "key": system.key.id,
            "proof": possession(system.key, client.origin, system.account),
            "public_key": b64encode(system.key.public),
            "system": system.account,
        }
    event = person.event("hospital.applied", "ledger", body, now, event_id)
    event |= {"v": 2} if system is not None else {}
    return client.append(person, [event])[0].seq


def apply_as_doctor(
    client: LedgerClient, actor: Actor, hospital: str, profession: str = "physician"
) -> int:
    """Apply to a hospital, as oneself; gives the entry. `profession`: one of `ledger.codes.PROFESSIONS`."""
    person = actor.in_role("person")
    body = {"account": person.account, "profession": profession}
    event = person.event("doctor.applied", f"hospital/{hospital}", body, client.now())
    return client.append(person, [event])[0].seq


def approve_hospital(
    client: LedgerClient,
    operator: Actor,
    hospital: str,
    appoint: bool = True,
    system: bool = True,
) -> tuple[HospitalStanding, int]:
    """Approve a hospital that applied, as it applied; gives it, and the entry.

    `appoint`: whoever applied becomes its first admin; `system`: the key that it applied with, if any, acts as its system; all
    or nothing. Raises NotThere where no application waits, RecordsError for one whose name can't be opened.
    """
    found = client.hospital_application(operator, hospital)
    if found.state != "pending":
        raise NotThere(f"no application for {hospital} waits for a decision")
    if not found.name:
        raise RecordsError(f"the name under which {hospital} applied can't be opened: decline it")
    now = client.now()
    body = {"hospital": hospital, "name": found.name, "time_zone": found.time_zone}
    events = [operator.event("hospital.approved", "ledger", body, now)]
    if appoint:
        first = {"account": found.applicant}
        events.append(operator.event("admin.appointed", f"hospital/{hospital}", first, now))
    if system and found.system:
        events += _system_events(client, operator, found)
    return found, client.append(operator, events, atomic=len(events) > 1)[0].seq


def _system_events(
    client: LedgerClient, operator: Actor, found: HospitalStanding
) -> list[dict[str, Any]]:
    """What makes the key that a hospital applied with its system's: account, key and role."""
    name, now = f"System, {found.name}", client.now()
    _, events = new_account(client, operator, name, None, "system", found.system)
    key = {
        "account": found.system, "algorithm": "ed25519", "custody": "system", "key": found.key,
        "proof": found.proof, "public_key": found.public_key,
    }  # fmt: skip
    events.append(operator.event("key.registered", f"account/{found.system}", key, now))
    stream, added = f"hospital/{found.hospital}", {"account": found.system}
    return [*events, operator.event("system.added", stream, added, now) | {"v": 2}]


def decline_hospital(client: LedgerClient, operator: Actor, hospital: str, reason: str) -> int:
    """Decline a hospital that applied; gives the entry. `reason`: a code of `ledger.codes.DECLINED`."""
    body = {"hospital": hospital, "reason": reason}
    event = operator.event("hospital.declined", "ledger", body, client.now())
    return client.append(operator, [event])[0].seq


def approve_doctor(
    client: LedgerClient,
    admin: Actor,
    account: str,
    profession: str = "physician",
    group: str = "",
    end: int = 0,
    application: str = "",
) -> int:
    """Approve a doctor at the admin's hospital, who applied or not; gives the entry.

    `group`: the department to join; `end`: until when (Unix ms, 0: without an end); `application`: the one to be approved,
    by default whichever waits, if any.
    """
    check_hospital(admin)
    application = application or _waiting(client, admin, account)
    body: dict[str, Any] = {"account": account, "profession": profession}
    body |= {"application": application} if application else {}
    body |= {"group": group} if group else {}
    body |= {"end": format_time(end)} if end else {}
    stream = f"hospital/{admin.hospital}"
    event = admin.event("doctor.approved", stream, body, client.now()) | {"v": 2}
    return client.append(admin, [event])[0].seq


def change_doctor(
    client: LedgerClient,
    admin: Actor,
    account: str,
    profession: str = "",
    group: str = "",
    end: int | None = None,
) -> DoctorStanding:
    """Change what an active doctor is at the admin's hospital, all of it or nothing; gives how they stand then.

    Empty `profession` and `group` and an `end` of None stay as they are; `group`: the only one of the hospital's groups to be in
    from then on; `end`: Unix ms, 0 without one. Raises NotThere for whoever isn't active: nobody comes back by a change.
    """
    check_hospital(admin)
    found = client.doctor(admin, admin.hospital, account)
    if found.state != "approved":
        raise NotThere(f"{account} is no active doctor of {admin.hospital}: {found.state}")
    stream, now = f"hospital/{admin.hospital}", client.now()
    body: dict[str, Any] = {"account": account, "profession": profession or found.profession}
    body |= {"group": group} if group else {}
    kept = found.end if end is None else format_time(end) if end else ""
    body |= {"end": kept} if kept else {}
    left = [one for one in found.groups if group and one != group]
    events = [admin.event("doctor.approved", stream, body, now) | {"v": 2}]
    events += [
        admin.event("group.left", stream, {"account": account, "group": one}, now) for one in left
    ]
    client.append(admin, events, atomic=True)
    return client.doctor(admin, admin.hospital, account)


def decline_doctor(
    client: LedgerClient, admin: Actor, account: str, reason: str, application: str = ""
) -> int:
    """Decline who applied to the admin's hospital; gives the entry. `reason`: a code of `ledger.codes.DECLINED`.

    `application`: the one to be declined, by default the one that waits. Raises NotThere where none does.
    """
    check_hospital(admin)
    application = application or _waiting(client, admin, account)
    if not application:
        raise NotThere(f"no application of {account} to {admin.hospital} waits for a decision")
    stream = f"hospital/{admin.hospital}"
    body = {"account": account, "application": application, "reason": reason}
    event = admin.event("doctor.declined", stream, body, client.now())
    return client.append(admin, [event])[0].seq


def _waiting(client: LedgerClient, admin: Actor, account: str) -> str:
    """The account's application to the admin's hospital that waits; empty where none does."""
    try:
        found = client.doctor(admin, admin.hospital, account)
    except NotThere:
        return ""
    return found.application if found.state == "pending" else ""


def end_doctor(client: LedgerClient, admin: Actor, account: str) -> int:
    """End what a doctor is at the admin's hospital, active or suspended; gives the entry."""
    check_hospital(admin)
    stream, body = f"hospital/{admin.hospital}", {"account": account}
    event = admin.event("doctor.ended", stream, body, client.now())
    return client.append(admin, [event])[0].seq


def all_doctors(client: LedgerClient, admin: Actor, state: str = "") -> tuple[DoctorStanding, ...]:
    """The doctors and applicants of the admin's hospital in a state (empty: in any), page after page."""
    check_hospital(admin)
    found: list[DoctorStanding] = []
    after, more = 0, True
    while more:
        page = client.doctors(admin, admin.hospital, state, after)
        found += page.doctors
        after, more = page.next, page.next > after  # a server that goes back would never end
    return tuple(found)


def all_hospitals(
    client: LedgerClient, operator: Actor, state: str = ""
) -> tuple[HospitalStanding, ...]:
    """The hospitals in a state (empty: in any), page after page."""
    found: list[HospitalStanding] = []
    after, more = 0, True
    while more:
        page = client.hospitals(operator, state, after)
        found += page.hospitals
        after, more = page.next, page.next > after
    return tuple(found)
