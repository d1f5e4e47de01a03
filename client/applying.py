"""Becoming somebody: one registers alone, applies for a hospital or at one, and those whom it concerns decide."""

from typing import Any

from client.groups import check_hospital
from client.port import LedgerClient
from client.registering import UNKEPT, NewKeys
from client.signers import possession
from crypto.encoding import b64decode
from crypto.signing import SigningKey
from identity.actors import Actor, new_id, new_key
from journeys.days import check_zone
from journeys.errors import NotThere
from ledger.times import format_time
from people.applications import HospitalStanding
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


def apply_for_hospital(
    client: LedgerClient, actor: Actor, name: str, time_zone: str, contact: str
) -> tuple[str, int]:
    """Apply for a hospital, as oneself; gives its id and the entry. `name` is public, `contact` is sealed."""
    check_zone(time_zone)
    person, now = actor.in_role("person"), client.now()
    hospital, event_id = new_id("hs", now), new_id("ev", now)
    (made,) = client.reserve(person, [Subject(hospital, event_id, {"contact": contact})])
    body = {"hospital": hospital, "name": name, "time_zone": time_zone, **made.sealed}
    event = person.event("hospital.applied", "ledger", body, now, event_id)
    return hospital, client.append(person, [event])[0].seq


def apply_as_doctor(
    client: LedgerClient, actor: Actor, hospital: str, profession: str = "physician"
) -> int:
    """Apply to a hospital, as oneself; gives the entry. `profession`: one of `ledger.codes.PROFESSIONS`."""
    person = actor.in_role("person")
    body = {"account": person.account, "profession": profession}
    event = person.event("doctor.applied", f"hospital/{hospital}", body, client.now())
    return client.append(person, [event])[0].seq


def approve_hospital(
    client: LedgerClient, operator: Actor, hospital: str, appoint: bool = True
) -> tuple[HospitalStanding, int]:
    """Approve a hospital that applied, as it applied; gives it, and the entry.

    `appoint`: whoever applied becomes its first admin, all or nothing. Raises NotThere where no application waits.
    """
    waiting = client.hospitals(operator, "pending").hospitals
    found = next((one for one in waiting if one.hospital == hospital), None)
    if found is None:
        raise NotThere(f"no application for {hospital} waits for a decision")
    now = client.now()
    body = {"hospital": hospital, "name": found.name, "time_zone": found.time_zone}
    events = [operator.event("hospital.approved", "ledger", body, now)]
    if appoint:
        first = {"account": found.applicant}
        events.append(operator.event("admin.appointed", f"hospital/{hospital}", first, now))
    return found, client.append(operator, events, atomic=appoint)[0].seq


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
) -> int:
    """Approve a doctor at the admin's hospital, who applied or not; gives the entry.

    `group`: the department to join; `end`: until when (Unix ms, 0: without an end).
    """
    check_hospital(admin)
    body: dict[str, Any] = {"account": account, "profession": profession}
    body |= {"group": group} if group else {}
    body |= {"end": format_time(end)} if end else {}
    stream = f"hospital/{admin.hospital}"
    event = admin.event("doctor.approved", stream, body, client.now()) | {"v": 2}
    return client.append(admin, [event])[0].seq


def decline_doctor(client: LedgerClient, admin: Actor, account: str, reason: str) -> int:
    """Decline who applied to the admin's hospital; gives the entry. `reason`: a code of `ledger.codes.DECLINED`."""
    check_hospital(admin)
    stream, body = f"hospital/{admin.hospital}", {"account": account, "reason": reason}
    event = admin.event("doctor.declined", stream, body, client.now())
    return client.append(admin, [event])[0].seq


def end_doctor(client: LedgerClient, admin: Actor, account: str) -> int:
    """End what a doctor is at the admin's hospital, active or suspended; gives the entry."""
    check_hospital(admin)
    stream, body = f"hospital/{admin.hospital}", {"account": account}
    event = admin.event("doctor.ended", stream, body, client.now())
    return client.append(admin, [event])[0].seq
