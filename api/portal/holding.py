"""Holds: a doctor keeps a record from somebody for a while, an admin keeps records from being erased; and who is shown that."""

from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.problems import Problem
from api.portal.access import check_sure
from api.portal.charts import Patient
from api.portal.forms import Form, sent_form
from api.portal.pages import PageRoute, again, page, see
from api.portal.visitors import TheVisitor, Visitor
from client import holds
from crypto.ids import is_id
from journeys.errors import NotThere, RecordsError
from ledger.codes import HARMS, LEGAL_HOLDS
from ledger.directory import Patient as PatientRow
from ledger.facts import HARM, HOLD_DAYS_MOST, LEGAL, Record

router = APIRouter(route_class=PageRoute, include_in_schema=False)
PLACES = {"doctor": HARM, "hospital_admin": LEGAL}
"""The kind of holds that each role places and lifts."""


@router.post("/holds")
async def post_find(visitor: TheVisitor) -> Response:
    """To the holds of a chart, by its patient's number."""
    form = await sent_form(visitor)
    _ = visitor.caller
    if not is_id("pt", form["patient"]):
        raise Problem("malformed", "this is no patient number: pt_…")
    return see(f"/patients/{form['patient']}/holds")


@router.get("/patients/{patient}/holds")
async def get_holds(visitor: TheVisitor, patient: Patient, record: str = "") -> Response:
    """What is held in one's chart, or what one's hospital holds of a chart; and the form that places one."""
    return await _holds(visitor, patient, record)


async def _holds(visitor: Visitor, patient: str, record: str, **context: Any) -> Response:
    found = await run_in_threadpool(holds.holds, visitor.client, visitor.actor, patient)
    now, role = visitor.ledger.clock(), visitor.caller.role
    kind = PLACES.get(role, "")
    told: dict[str, Any] = {
        "patient": patient, "record": record if is_id("rc", record) else "", "most": HOLD_DAYS_MOST, "kind": kind, "harm": HARM,
        "found": [(one, one.stands(now)) for one in reversed(found)], "reasons": HARMS if kind == HARM else LEGAL_HOLDS,
        "mine": visitor.caller.account,
    }  # fmt: skip
    return await page(visitor, "holds.html", **told | context)


@router.post("/patients/{patient}/holds")
async def post_hold(visitor: TheVisitor, patient: Patient) -> Response:
    """Place one."""
    form = await sent_form(visitor)
    if visitor.caller.role not in PLACES:
        raise Problem(
            "forbidden",
            "holds are placed by doctors and admins of the hospital that wrote a record",
        )
    check_sure(visitor, "hold")

    async def act() -> Response:
        await run_in_threadpool(_place, visitor, patient, form)
        return see(f"/patients/{patient}/holds", done="held")

    async def shown(problem: Problem) -> Response:
        return await _holds(
            visitor, patient, form["record"], problem=problem, typed=dict(form.typed)
        )

    return await again(act, shown, frozenset({"unknown"}))


def _place(visitor: Visitor, patient: str, form: Form) -> None:
    client, actor, record = visitor.client, visitor.actor, form["record"]
    row = visitor.ledger.row(Record, record) if is_id("rc", record) else None
    if record and (row is None or row.patient != patient):
        raise NotThere("there is no such record in this chart")
    if visitor.caller.role == "hospital_admin":
        if form["reason"] not in LEGAL_HOLDS:
            raise RecordsError("choose why")
        holds.hold_for_law(client, actor, patient, form["reason"], record)
        return
    if not record or form["reason"] not in HARMS or not form["text"]:
        raise RecordsError("name the record, choose why, and write it in words")
    days = form["days"]
    if not (
        days.isascii() and days.isdigit() and len(days) <= 2 and 0 < int(days) <= HOLD_DAYS_MOST
    ):
        raise RecordsError(f"choose from 1 to {HOLD_DAYS_MOST} days")
    against = form["relative"]
    if not against:
        chart = visitor.ledger.row(PatientRow, patient)
        against = chart.account if chart is not None else ""
    holds.hold_back(
        client, actor, patient, record, against, form["reason"], form["text"], int(days)
    )


@router.post("/patients/{patient}/holds/lift")
async def post_lift(visitor: TheVisitor, patient: Patient) -> Response:
    """Lift one of one's own hospital."""
    form = await sent_form(visitor)
    if visitor.caller.role not in PLACES:
        raise Problem("forbidden", "holds are lifted by the hospital that placed them")
    check_sure(visitor, "hold")

    def lifts() -> None:
        found = holds.holds(visitor.client, visitor.actor, patient)
        wanted = next((one for one in found if one.hold == form["hold"]), None)
        if wanted is None:
            raise NotThere("your hospital has no such hold")
        holds.lift(visitor.client, visitor.actor, wanted)

    await run_in_threadpool(lifts)
    return see(f"/patients/{patient}/holds", done="unheld")
