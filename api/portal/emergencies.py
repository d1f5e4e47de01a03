"""Emergencies: how far a patient lets doctors see in one, a doctor who declares one, and its review."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.portal.access import check_sure
from api.portal.charts import EMERGENCY, Patient
from api.portal.deciding import after_of
from api.portal.forms import sent_form
from api.portal.pages import PageRoute, again, page, see
from api.portal.visitors import TheVisitor, Visitor
from client import emergencies
from crypto.ids import ID_PATTERN
from journeys.errors import RecordsError
from ledger.codes import EMERGENCY_REASONS, FINDINGS
from records.emergencies import STATES

router = APIRouter(route_class=PageRoute, include_in_schema=False)
Emergency = Annotated[str, Path(pattern=f"^ev_{ID_PATTERN}$")]


@router.post("/patients/{patient}/access/emergency")
async def post_ceiling(visitor: TheVisitor, patient: Patient) -> Response:
    """Say how far doctors see in an emergency."""
    form = await sent_form(visitor)
    check_sure(visitor, "grant")
    await run_in_threadpool(
        emergencies.configure, visitor.client, visitor.actor, patient, form["ceiling"]
    )
    return see(f"/patients/{patient}/access", done="ceiling")


@router.get("/patients/{patient}/emergency")
async def get_declare(visitor: TheVisitor, patient: Patient) -> Response:
    """What declaring an emergency means, and the form that does."""
    return await _declare(visitor, patient)


async def _declare(visitor: Visitor, patient: str, **context: Any) -> Response:
    _ = visitor.caller
    hours = visitor.ledger.policy.emergency_hours
    told: dict[str, Any] = {"patient": patient, "reasons": EMERGENCY_REASONS, "hours": hours}
    return await page(visitor, "emergency.html", **told | context)


@router.post("/patients/{patient}/emergency")
async def post_declare(visitor: TheVisitor, patient: Patient) -> Response:
    """Declare an emergency, and look."""
    form = await sent_form(visitor)
    check_sure(visitor, "declare_emergency")

    async def act() -> Response:
        if not form["text"]:
            raise RecordsError("write what happened: the patient and whoever reviews it read it")
        await run_in_threadpool(
            emergencies.declare,
            visitor.client,
            visitor.actor,
            patient,
            form["reason"],
            form["text"],
        )
        return see(f"/patients/{patient}/chart", looks=EMERGENCY, done="declared")

    return await again(
        act, lambda problem: _declare(visitor, patient, problem=problem, typed=dict(form.typed))
    )


@router.get("/emergencies")
async def get_emergencies(visitor: TheVisitor, state: str = "", after: str = "") -> Response:
    """The emergencies of one's hospital, by how their review stands."""
    state = state if state in STATES else "unreviewed"
    hospital, start = visitor.caller.hospital, after_of(after)
    found = await run_in_threadpool(
        emergencies.listed, visitor.client, visitor.actor, hospital, state, start
    )
    return await page(visitor, "emergencies.html", found=found, state=state, states=STATES)


@router.get("/patients/{patient}/emergencies/{emergency}")
async def get_review(visitor: TheVisitor, patient: Patient, emergency: Emergency) -> Response:
    """What was declared and what was read in it; a reading itself."""
    return await _review(visitor, patient, emergency)


async def _review(visitor: Visitor, patient: str, emergency: str, **context: Any) -> Response:
    opened = await run_in_threadpool(
        emergencies.open_for_review, visitor.client, visitor.actor, patient, emergency
    )
    told: dict[str, Any] = {
        "patient": patient, "emergency": emergency, "opened": opened, "findings": FINDINGS
    }  # fmt: skip
    return await page(visitor, "review.html", **told | context)


@router.post("/patients/{patient}/emergencies/{emergency}")
async def post_review(visitor: TheVisitor, patient: Patient, emergency: Emergency) -> Response:
    """Say what the review found."""
    form = await sent_form(visitor)

    async def act() -> Response:
        if not form["text"]:
            raise RecordsError("write what you found: the patient reads it")
        await run_in_threadpool(
            emergencies.review, visitor.client, visitor.actor, patient, emergency, form["finding"],
            form["text"],
        )  # fmt: skip
        return see("/emergencies", done="reviewed")

    return await again(
        act,
        lambda problem: _review(
            visitor, patient, emergency, problem=problem, typed=dict(form.typed)
        ),
    )
