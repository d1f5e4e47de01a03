"""Erasing: a patient asks to have a record or the whole chart erased, and takes it back while there is time."""

from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.portal.access import check_sure
from api.portal.charts import Patient, RecordId
from api.portal.forms import sent_form
from api.portal.pages import PageRoute, page, see
from api.portal.visitors import TheVisitor
from client import erasing
from journeys.errors import RecordsError
from ledger.facts import ERASURE_WAIT_MS, REQUESTED

router = APIRouter(route_class=PageRoute, include_in_schema=False)
WAIT_HOURS = ERASURE_WAIT_MS // 3_600_000


@router.get("/patients/{patient}/erasures")
async def get_erasures(visitor: TheVisitor, patient: Patient) -> Response:
    """What was asked to be erased, what became of it, and the form for the whole chart."""
    found = await run_in_threadpool(erasing.erasures, visitor.client, visitor.actor, patient)
    return await page(
        visitor, "erasures.html", patient=patient, found=sorted(found, key=lambda one: -one.seq),
        hours=WAIT_HOURS, requested=REQUESTED,
    )  # fmt: skip


@router.get("/records/{record}/erase")
async def get_erase(visitor: TheVisitor, record: RecordId) -> Response:
    """What erasing a record does, before it is asked for."""
    found = await run_in_threadpool(visitor.client.address, visitor.actor, record)
    return await page(visitor, "erase.html", patient=found.patient, record=record, hours=WAIT_HOURS)


@router.post("/patients/{patient}/erasures")
async def post_erase(visitor: TheVisitor, patient: Patient) -> Response:
    """Ask to erase one record; or the whole chart, whose number is typed then."""
    form = await sent_form(visitor)
    check_sure(visitor, "erase")
    record = form["record"]
    if not record and form["whole"] != patient:
        raise RecordsError("to erase the whole chart, type its patient number")
    await run_in_threadpool(erasing.erase, visitor.client, visitor.actor, patient, record)
    return see(f"/patients/{patient}/erasures", done="erases")


@router.post("/patients/{patient}/erasures/withdraw")
async def post_withdraw(visitor: TheVisitor, patient: Patient) -> Response:
    """Take it back."""
    form = await sent_form(visitor)
    check_sure(visitor, "erase")
    erasure: Any = form["erasure"]
    await run_in_threadpool(erasing.withdraw, visitor.client, visitor.actor, patient, erasure)
    return see(f"/patients/{patient}/erasures", done="withdrawn")
