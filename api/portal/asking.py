"""Requests for access: a doctor asks, the patient answers with as much as was asked, with less, or with no."""

from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.portal.access import DAYS, check_sure
from api.portal.charts import Patient, acting_in, own_page
from api.portal.forms import Form, sent_form
from api.portal.pages import PageRoute, again, page, see
from api.portal.visitors import TheVisitor, Visitor
from client import inquiries, requests
from client.requests import Asked, Smaller
from journeys.errors import RecordsError
from ledger.asking import DECLINED, GRANTED
from ledger.codes import CATEGORIES

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/patients/{patient}/ask")
async def get_ask(visitor: TheVisitor, patient: Patient) -> Response:
    """The form by which a doctor asks."""
    return await _ask(visitor, patient)


async def _ask(visitor: Visitor, patient: str, **context: Any) -> Response:
    _ = visitor.caller
    most = visitor.ledger.policy.grant_days_max
    told: dict[str, Any] = {
        "patient": patient, "categories": CATEGORIES, "days": [one for one in DAYS if one <= most]
    }  # fmt: skip
    return await page(visitor, "ask.html", **told | context)


@router.post("/patients/{patient}/ask")
async def post_ask(visitor: TheVisitor, patient: Patient) -> Response:
    """Ask a patient for access."""
    form = await sent_form(visitor)

    async def act() -> Response:
        if not form["words"]:
            raise RecordsError("write what you ask for and why: the patient reads it")
        asked = Asked(form["words"], form.days(), what=_criteria(form))
        await run_in_threadpool(requests.ask, visitor.client, visitor.actor, patient, asked)
        return see("/requests", done="asked")

    return await again(
        act, lambda problem: _ask(visitor, patient, problem=problem, typed=dict(form.typed))
    )


def _criteria(form: Form) -> dict[str, Any] | None:
    category = form["category"]
    if category and category not in CATEGORIES:
        raise RecordsError("choose what it is about")
    return {"categories": [category]} if category else None


@router.get("/requests")
async def get_requests(visitor: TheVisitor) -> Response:
    """A patient's page of who asks; of others what they asked for, or what their hospital is asked."""
    if visitor.caller.role == "patient":
        return await own_page(visitor, "requests")
    found = await run_in_threadpool(requests.listed, visitor.client, visitor.actor)
    return await page(visitor, "requests.html", patient="", found=found, inquiries=(), days=())


@router.get("/patients/{patient}/requests")
async def get_asked(visitor: TheVisitor, patient: Patient) -> Response:
    """Who asks for access to a chart of one's own."""

    def shown() -> dict[str, Any]:
        client, actor = visitor.client, visitor.actor
        return {
            "found": requests.listed(client, actor, patient),
            "inquiries": inquiries.listed(client, actor, patient),
        }

    told = await run_in_threadpool(shown)
    return await page(visitor, "requests.html", patient=patient, days=DAYS, **told)


@router.post("/patients/{patient}/requests/answer")
async def post_answer(visitor: TheVisitor, patient: Patient) -> Response:
    """Answer a request: with a grant, as asked or for fewer days, or with no."""
    form = await sent_form(visitor)
    check_sure(visitor, "grant")
    verdict = form["verdict"]
    if verdict not in (GRANTED, DECLINED):
        raise RecordsError("choose whether you give access")

    def answers() -> None:
        client, actor = visitor.client, acting_in(visitor, patient)
        asked = requests.found(client, actor, form["request"], patient)
        if verdict == DECLINED:
            requests.decline(client, actor, asked)
            return
        days = min(form.days(), asked.days)
        sensitive = asked.sensitive and form["sensitive"] == "1"
        requests.grant(client, actor, asked, Smaller(days=days, without_sensitive=not sensitive))

    await run_in_threadpool(answers)
    done = "granted" if verdict == GRANTED else "refused"
    return see(f"/patients/{patient}/requests", done=done)
