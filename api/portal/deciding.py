"""What a hospital's admins and the operator decide: who applied is approved or declined."""

from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.portal.forms import sent_form
from api.portal.pages import PageRoute, page, see
from api.portal.visitors import TheVisitor, Visitor
from client import applying
from journeys.errors import RecordsError
from ledger.codes import DECLINED
from people.applications import DOCTOR_STATES, HOSPITAL_STATES

router = APIRouter(route_class=PageRoute, include_in_schema=False)


def after_of(text: str) -> int:
    """After which entry a page of a list begins, as its address says it; 0 for what is no such number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


@router.get("/doctors")
async def get_doctors(visitor: TheVisitor, state: str = "pending", after: str = "") -> Response:
    """The doctors of one's hospital, by how they stand."""
    state = state if state in DOCTOR_STATES else "pending"
    found: Any = await run_in_threadpool(
        visitor.client.doctors, visitor.actor, visitor.caller.hospital, state, after_of(after)
    )
    return await page(
        visitor, "doctors.html", found=found, state=state, states=DOCTOR_STATES, reasons=DECLINED
    )


@router.post("/doctors/approve")
async def post_approve_doctor(visitor: TheVisitor) -> Response:
    """Approve a doctor who applied."""
    form = await sent_form(visitor)
    await run_in_threadpool(
        applying.approve_doctor, visitor.client, visitor.actor, form["account"], form["profession"],
        application=form["application"],
    )  # fmt: skip
    return see("/doctors", done="approved")


@router.post("/doctors/decline")
async def post_decline_doctor(visitor: TheVisitor) -> Response:
    """Decline a doctor who applied."""
    form = await sent_form(visitor)
    _check_reason(visitor, form["reason"])
    await run_in_threadpool(
        applying.decline_doctor, visitor.client, visitor.actor, form["account"], form["reason"],
        form["application"],
    )  # fmt: skip
    return see("/doctors", done="declined")


@router.get("/hospitals")
async def get_hospitals(visitor: TheVisitor, state: str = "pending", after: str = "") -> Response:
    """The hospitals, by how they stand."""
    state = state if state in HOSPITAL_STATES else "pending"
    found: Any = await run_in_threadpool(
        visitor.client.hospitals, visitor.actor, state, after_of(after)
    )
    return await page(
        visitor,
        "hospitals.html",
        found=found,
        state=state,
        states=HOSPITAL_STATES,
        reasons=DECLINED,
    )


@router.post("/hospitals/approve")
async def post_approve_hospital(visitor: TheVisitor) -> Response:
    """Approve a hospital that applied; whoever applied becomes its first admin."""
    form = await sent_form(visitor)
    await run_in_threadpool(
        applying.approve_hospital, visitor.client, visitor.actor, form["hospital"]
    )
    return see("/hospitals", done="approved")


@router.post("/hospitals/decline")
async def post_decline_hospital(visitor: TheVisitor) -> Response:
    """Decline a hospital that applied."""
    form = await sent_form(visitor)
    _check_reason(visitor, form["reason"])
    await run_in_threadpool(
        applying.decline_hospital, visitor.client, visitor.actor, form["hospital"], form["reason"]
    )
    return see("/hospitals", done="declined")


def _check_reason(visitor: Visitor, reason: str) -> None:
    _ = visitor.caller
    if reason not in DECLINED:
        raise RecordsError("choose why it is declined")
