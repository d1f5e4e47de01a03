"""Appointments and suspensions: auditors for a term, doctors and hospitals that may act no more."""

from crypto.signing import SigningKey
from identity.actors import Actor
from ledger.times import DAY_MS, format_time
from records.desk import Desk
from records.directory import UNKEPT, NewKeys, new_account, new_member
from records.groups import check_hospital


def appoint_auditor(
    desk: Desk, operator: Actor, name: str, days: int, key: SigningKey, keys: NewKeys = UNKEPT
) -> tuple[Actor, int]:
    """Register an account with its key and appoint it for `days` from now; gives auditor and entry."""
    now, auditor = desk.now(), new_member(desk, "auditor", "", key)
    keys.draft(auditor)
    account, events = new_account(desk, operator, name, key, "device", auditor.account)
    body = {"account": account, "end": format_time(now + days * DAY_MS), "start": format_time(now)}
    events.append(operator.event("auditor.appointed", "ledger", body, now))
    seq = desk.append(operator, events, atomic=True)[-1].seq
    keys.stands(auditor)
    return auditor, seq


def suspend_doctor(desk: Desk, admin: Actor, account: str) -> int:
    """Let a doctor of the admin's hospital act there no more; gives the entry."""
    check_hospital(admin)
    stream, body = f"hospital/{admin.hospital}", {"account": account}
    return desk.append(admin, [admin.event("doctor.suspended", stream, body, desk.now())])[0].seq


def suspend_hospital(desk: Desk, operator: Actor, hospital: str) -> int:
    """Let nobody act for a hospital any more; gives the entry."""
    body = {"hospital": hospital}
    event = operator.event("hospital.suspended", "ledger", body, desk.now())
    return desk.append(operator, [event])[0].seq
