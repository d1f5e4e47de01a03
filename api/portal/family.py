"""Family: whom a patient lets act for them, and the patients for whom somebody acts."""

from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.portal.access import DAYS, check_sure
from api.portal.charts import Patient, own_page
from api.portal.drawing import qr
from api.portal.forms import Form, sent_form
from api.portal.pages import PageRoute, again, page, see
from api.portal.visitors import TheVisitor, Visitor
from client import relatives
from journeys.errors import RecordsError
from ledger.codes import CATEGORIES

router = APIRouter(route_class=PageRoute, include_in_schema=False)
OFFERED = ("append", "grant", "read_history")
"""What a relative may be let do besides looking, as the page offers it."""
WRONG_CODE = frozenset({"invitation", "unknown"})


@router.get("/family")
async def get_own_family(visitor: TheVisitor) -> Response:
    """Who acts for oneself."""
    return await own_page(visitor, "family")


@router.get("/patients/{patient}/family")
async def get_family(visitor: TheVisitor, patient: Patient) -> Response:
    """Relatives, guardians and open invitations of a chart of one's own."""
    return await _family(visitor, patient)


async def _family(visitor: Visitor, patient: str, **context: Any) -> Response:
    found = await run_in_threadpool(
        relatives.representatives, visitor.client, visitor.actor, patient
    )
    now, most = visitor.ledger.clock(), visitor.ledger.policy.grant_days_max
    live = [one for one in found.relations if one.active and (not one.end or now < one.end)]
    told: dict[str, Any] = {
        "patient": patient, "relations": live, "invitations": found.invitations, "categories": CATEGORIES, "now": now,
        "days": [one for one in DAYS if one <= most], "offered": OFFERED,
    }  # fmt: skip
    return await page(visitor, "family.html", **told | context)


@router.post("/patients/{patient}/family/invite")
async def post_invite(visitor: TheVisitor, patient: Patient) -> Response:
    """Invite a relative; what to hand on is shown this once."""
    form = await sent_form(visitor)
    check_sure(visitor, "grant")

    async def act() -> Response:
        days, what = _terms(form)
        actions = ["list", "read", *(one for one in form.all("may") if one in OFFERED)]
        made = await run_in_threadpool(
            relatives.invite, visitor.client, visitor.actor, patient, actions, days, what=what
        )
        return await page(visitor, "invited.html", patient=patient, made=made, drawn=qr(made.link))

    return await again(
        act, lambda problem: _family(visitor, patient, problem=problem, typed=dict(form.typed))
    )


def _terms(form: Form) -> tuple[int, dict[str, Any] | None]:
    """For how many days, and of which category alone; None for the whole chart."""
    days, category = form["days"], form["category"]
    if not (days.isascii() and days.isdigit() and len(days) < 5):
        raise RecordsError("choose how long")
    if category and category not in CATEGORIES:
        raise RecordsError("choose what they may see")
    return int(days), {"categories": [category]} if category else None


@router.post("/patients/{patient}/family/end")
async def post_end(visitor: TheVisitor, patient: Patient) -> Response:
    """End a relation, or withdraw an invitation."""
    form = await sent_form(visitor)
    await run_in_threadpool(relatives.unlink, visitor.client, visitor.actor, patient, form["named"])
    return see(f"/patients/{patient}/family", done="unlinked")


@router.get("/relatives")
async def get_relatives(visitor: TheVisitor) -> Response:
    """The patients for whom one acts."""
    return await _relatives(visitor)


async def _relatives(visitor: Visitor, **context: Any) -> Response:
    found = await run_in_threadpool(relatives.acting, visitor.client, visitor.actor)
    return await page(visitor, "relatives.html", acting=found, **context)


@router.post("/relatives/accept")
async def post_accept(visitor: TheVisitor) -> Response:
    """Be linked to a patient by an invitation's line."""
    form = await sent_form(visitor)

    def links() -> None:
        named = relatives.invited(visitor.client, form["letter"])
        relatives.link(visitor.client, visitor.actor, *named)

    async def act() -> Response:
        await run_in_threadpool(links)
        return see("/relatives", done="linked")

    return await again(act, lambda problem: _relatives(visitor, problem=problem), WRONG_CODE)


@router.post("/relatives/leave")
async def post_leave(visitor: TheVisitor) -> Response:
    """Act for a patient no more."""
    form = await sent_form(visitor)
    own = visitor.caller.account
    await run_in_threadpool(relatives.unlink, visitor.client, visitor.actor, form["patient"], own)
    return see("/relatives", done="left")
