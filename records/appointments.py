"""Appointments and suspensions: auditors for a term, doctors and hospitals that may act no more."""

from crypto.signing import SigningKey
from identity.actors import Actor
from ledger.times import DAY_MS, format_time
from records.desk import Desk
from records.directory import new_account


def appoint_auditor(
    desk: Desk, operator: Actor, name: str, days: int, key: SigningKey
) -> tuple[Actor, int]:
    """Register an account with its key and appoint it for `days` from now; gives auditor and entry."""
    now = desk.now()
    account, events = new_account(desk, operator, name, key, "device")
    body = {"account": account, "end": format_time(now + days * DAY_MS), "start": format_time(now)}
    events.append(operator.event("auditor.appointed", "ledger", body, now))
    seq = desk.append(operator, events)[-1].seq
    return Actor(desk.origin, account, "auditor", "", key), seq


def suspend_doctor(desk: Desk, admin: Actor, account: str) -> int:
    """Let a doctor of the admin's hospital act there no more; gives the entry."""
    stream, body = f"hospital/{admin.hospital}", {"account": account}
    return desk.append(admin, [admin.event("doctor.suspended", stream, body, desk.now())])[0].seq


def suspend_hospital(desk: Desk, operator: Actor, hospital: str) -> int:
    """Let nobody act for a hospital any more; gives the entry."""
    body = {"hospital": hospital}
    event = operator.event("hospital.suspended", "ledger", body, desk.now())
    return desk.append(operator, [event])[0].seq
