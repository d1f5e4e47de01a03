"""The number by which one's own chart is found: stated and removed on the page of one's account."""

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.portal.forms import sent_form
from api.portal.own import shown_me
from api.portal.pages import PageRoute, again, see
from api.portal.visitors import TheVisitor
from people.numbers import remove_number, state_number

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.post("/me/number")
async def post_number(visitor: TheVisitor) -> Response:
    """State a number."""
    form = await sent_form(visitor)
    caller = visitor.caller

    async def act() -> Response:
        chart, number = form["patient"], form["number"]
        await run_in_threadpool(state_number, visitor.ledger, caller, chart, number)
        return see("/me", done="number")

    return await again(
        act, lambda problem: shown_me(visitor, problem=problem, typed=dict(form.typed))
    )


@router.post("/me/number/remove")
async def post_number_removed(visitor: TheVisitor) -> Response:
    """Let no number find the chart."""
    form = await sent_form(visitor)
    await run_in_threadpool(remove_number, visitor.ledger, visitor.caller, form["patient"])
    return see("/me", done="number_removed")
