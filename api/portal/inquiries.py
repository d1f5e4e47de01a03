"""Inquiries: ask whoever stated a number or holds a health card; and, as a patient, let those in who ask so."""

from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.portal.access import DAYS, check_sure
from api.portal.charts import Patient, acting_in
from api.portal.forms import sent_form
from api.portal.pages import PageRoute, again, page, see
from api.portal.visitors import TheVisitor, Visitor
from client import inquiries
from journeys.errors import RecordsError
from ledger.codes import CATEGORIES
from records.inquiries import INQUIRING_ROLES

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/inquire")
async def get_inquire(visitor: TheVisitor) -> Response:
    """The form by which a doctor, a hospital's admin or a relative asks somebody of whom they know a number."""
    return await _inquire(visitor)


async def _inquire(visitor: Visitor, **context: Any) -> Response:
    most = visitor.ledger.policy.grant_days_max
    told: dict[str, Any] = {
        "categories": CATEGORIES, "days": [one for one in DAYS if one <= most],
        "may": visitor.caller.role in INQUIRING_ROLES,
    }  # fmt: skip
    return await page(visitor, "inquire.html", **told | context)


@router.post("/inquire")
async def post_inquire(visitor: TheVisitor) -> Response:
    """Ask; the answer is the same whether or not there is such a person."""
    form = await sent_form(visitor)
    _ = visitor.caller

    async def act() -> Response:
        if form["category"] and form["category"] not in CATEGORIES:
            raise RecordsError("choose what it is about")
        what = (form["category"],) if form["category"] else ()
        await run_in_threadpool(
            inquiries.inquire, visitor.client, visitor.actor, form["to"], form["words"], form.days(), what
        )  # fmt: skip
        return see("/inquire", done="inquired")

    return await again(
        act, lambda problem: _inquire(visitor, problem=problem, typed=dict(form.typed))
    )


@router.post("/patients/{patient}/inquiries/answer")
async def post_inquiry_answer(visitor: TheVisitor, patient: Patient) -> Response:
    """Let whoever asks in, for as many days or fewer; or dismiss it, which tells nobody."""
    form = await sent_form(visitor)
    _ = visitor.caller
    verdict = form["verdict"]
    if verdict not in ("granted", "dismissed"):
        raise RecordsError("choose whether you give access")
    if verdict == "granted":
        check_sure(visitor, "grant")

    def answers() -> None:
        client, actor = visitor.client, acting_in(visitor, patient)
        one = inquiries.found(client, actor, patient, form["inquiry"])
        if verdict == "dismissed":
            client.dismiss_inquiry(actor, patient, one.inquiry)
        else:
            inquiries.grant(client, actor, patient, one, form.days())

    await run_in_threadpool(answers)
    return see(f"/patients/{patient}/requests", done=verdict)
