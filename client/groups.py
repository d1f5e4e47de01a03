"""Groups: the departments of a hospital, and which of its doctors are in them."""

from client.port import LedgerClient
from identity.actors import Actor, new_id
from journeys.errors import RecordsError
from people.reserving import Subject


def check_hospital(admin: Actor) -> None:
    """Raises RecordsError for a key that acts for no hospital."""
    if not admin.hospital:
        raise RecordsError(
            f"this key acts as {admin.role} for no hospital; a hospital's admin is needed"
        )


def form(client: LedgerClient, admin: Actor, name: str) -> tuple[str, int]:
    """Form a group at the admin's hospital; its name is sealed. Gives group and entry."""
    check_hospital(admin)
    now = client.now()
    group, event_id = new_id("gp", now), new_id("ev", now)
    (made,) = client.reserve(admin, [Subject(group, event_id, {"name": name})])
    body = {"group": group, **made.sealed}
    event = admin.event("group.formed", f"hospital/{admin.hospital}", body, now, event_id)
    return group, client.append(admin, [event])[0].seq


def join(client: LedgerClient, admin: Actor, group: str, account: str) -> int:
    """Put a doctor of the admin's hospital into a group; gives the entry."""
    return _move(client, admin, "group.joined", group, account)


def leave(client: LedgerClient, admin: Actor, group: str, account: str) -> int:
    """Take somebody out of a group; gives the entry."""
    return _move(client, admin, "group.left", group, account)


def _move(client: LedgerClient, admin: Actor, kind: str, group: str, account: str) -> int:
    check_hospital(admin)
    body = {"account": account, "group": group}
    event = admin.event(kind, f"hospital/{admin.hospital}", body, client.now())
    return client.append(admin, [event])[0].seq
