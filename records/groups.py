"""Groups: the departments of a hospital, and which of its doctors are in them."""

from identity.actors import Actor, new_id
from records.desk import Desk
from records.errors import RecordsError
from records.reserving import Subject


def check_hospital(admin: Actor) -> None:
    """Raises RecordsError for a key that acts for no hospital."""
    if not admin.hospital:
        raise RecordsError(
            f"this key acts as {admin.role} for no hospital; a hospital's admin is needed"
        )


def form(desk: Desk, admin: Actor, name: str) -> tuple[str, int]:
    """Form a group at the admin's hospital; its name is sealed. Gives group and entry."""
    check_hospital(admin)
    now = desk.now()
    group, event_id = new_id("gp", now), new_id("ev", now)
    (made,) = desk.reserve(admin, [Subject(group, event_id, {"name": name})])
    body = {"group": group, **made.sealed}
    event = admin.event("group.formed", f"hospital/{admin.hospital}", body, now, event_id)
    return group, desk.append(admin, [event])[0].seq


def join(desk: Desk, admin: Actor, group: str, account: str) -> int:
    """Put a doctor of the admin's hospital into a group; gives the entry."""
    return _move(desk, admin, "group.joined", group, account)


def leave(desk: Desk, admin: Actor, group: str, account: str) -> int:
    """Take somebody out of a group; gives the entry."""
    return _move(desk, admin, "group.left", group, account)


def _move(desk: Desk, admin: Actor, kind: str, group: str, account: str) -> int:
    check_hospital(admin)
    body = {"account": account, "group": group}
    event = admin.event(kind, f"hospital/{admin.hospital}", body, desk.now())
    return desk.append(admin, [event])[0].seq
