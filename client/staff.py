"""Appointments and suspensions: auditors for a term, doctors and hospitals that may act no more."""

from client.groups import check_hospital
from client.port import LedgerClient
from client.registering import UNKEPT, NewKeys, new_account, new_member
from crypto.signing import SigningKey
from identity.actors import Actor
from ledger.times import DAY_MS, format_time


def appoint_auditor(
    client: LedgerClient,
    operator: Actor,
    name: str,
    days: int,
    key: SigningKey,
    keys: NewKeys = UNKEPT,
) -> tuple[Actor, int]:
    """Register an account with its key and appoint it for `days` from now; gives auditor and entry."""
    now, auditor = client.now(), new_member(client, "auditor", "", key)
    keys.draft(auditor)
    account, events = new_account(client, operator, name, key, "device", auditor.account)
    body = {"account": account, "end": format_time(now + days * DAY_MS), "start": format_time(now)}
    events.append(operator.event("auditor.appointed", "ledger", body, now))
    seq = client.append(operator, events, atomic=True)[-1].seq
    keys.stands(auditor)
    return auditor, seq


def suspend_doctor(client: LedgerClient, admin: Actor, account: str) -> int:
    """Let a doctor of the admin's hospital act there no more; gives the entry."""
    check_hospital(admin)
    stream, body = f"hospital/{admin.hospital}", {"account": account}
    return client.append(admin, [admin.event("doctor.suspended", stream, body, client.now())])[
        0
    ].seq


def suspend_hospital(client: LedgerClient, operator: Actor, hospital: str) -> int:
    """Suspend a hospital: nobody acts for it any more; gives the entry."""
    body = {"hospital": hospital}
    event = operator.event("hospital.suspended", "ledger", body, client.now())
    return client.append(operator, [event])[0].seq
