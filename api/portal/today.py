"""Today: where everybody begins, by their role."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.operator import policies
from api.portal.own import standing
from api.portal.pages import PageRoute, page
from api.portal.visitors import TheVisitor, Visitor
from client import emergencies
from client.readers import reader_of
from identity.errors import IdentityError
from identity.strength import check_known_by_two
from records.emergencies import EmergencyStanding

router = APIRouter(route_class=PageRoute, include_in_schema=False)
SOON_MS = 14 * 86_400_000
"""How long before its end a grant is told of."""


@router.get("/today")
async def get_today(visitor: TheVisitor) -> Response:
    """Where everybody begins."""
    return await today(visitor)


async def today(visitor: Visitor, **context: Any) -> Response:
    """The start page of the role that somebody acts in."""

    def shown() -> dict[str, Any]:
        found = standing(visitor)
        found["coming"] = _coming(visitor)
        if visitor.caller.role == "patient":
            found["ending"] = _ending(visitor, found["charts"])
        if visitor.caller.hospital:
            found["house"] = visitor.client.hospital(visitor.actor, visitor.caller.hospital)
        if visitor.caller.role == "hospital_admin":
            found["waiting"] = len(
                visitor.client.doctors(visitor.actor, visitor.caller.hospital, "pending").doctors
            )
            found["overdue"] = len(_unreviewed(visitor))
        if visitor.caller.role == "operator":
            found["waiting"] = len(visitor.client.hospitals(visitor.actor, "pending").hospitals)
        return found

    return await page(visitor, "today.html", **await run_in_threadpool(shown) | context)


def _coming(visitor: Visitor) -> list[tuple[int, tuple[str, ...]]]:
    """What was announced of the rules: from when each change counts (Unix ms), and which fields of the policy it changes."""
    known = policies.standing(visitor.ledger)
    before, found = known.whole(known.in_force), []
    for row in known.pending:
        after = known.whole(row)
        names = sorted(name for name in before | after if before.get(name) != after.get(name))
        found.append((row.since, tuple(names)))
        before = after
    return found


def _unreviewed(visitor: Visitor) -> Sequence[EmergencyStanding]:
    """The emergencies of an admin's hospital that are to be reviewed, those of the first page."""
    client, actor, hospital = visitor.client, visitor.actor, visitor.caller.hospital
    return emergencies.listed(client, actor, hospital, "unreviewed").emergencies


def _ending(visitor: Visitor, charts: tuple[str, ...]) -> list[tuple[str, str, int]]:
    """Grants that end soon: chart, name, end; nothing in a session by a password alone."""
    try:
        check_known_by_two(visitor.ledger, visitor.caller)
    except IdentityError:
        return []
    now, client, actor = visitor.ledger.clock(), visitor.client, visitor.actor
    found = [
        (chart, one.grantee, one.end)
        for chart in charts
        for one in client.consents(actor, chart)[0]
        if one.active and now < one.end < now + SOON_MS
    ]
    return [(chart, reader_of(client, actor, who).name, end) for chart, who, end in found]
