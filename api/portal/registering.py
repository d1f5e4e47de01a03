"""What a hospital's admins do about patients: register them, print letters, name guardians."""

from datetime import date
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.portal.drawing import qr
from api.portal.forms import Form, sent_form
from api.portal.pages import PageRoute, again, page, see
from api.portal.visitors import TheVisitor, Visitor
from client import claiming, registering, relatives
from client.letters import Letter, letter_of
from crypto.ids import is_id
from identity.actors import new_id
from journeys.days import TEEN_YEARS, acts_at_all
from journeys.errors import RecordsError

router = APIRouter(route_class=PageRoute, include_in_schema=False)
GUARDIAN_ACTS = {
    "appoint": relatives.appoint, "confirm": relatives.confirm, "end": relatives.end_guardian
}  # fmt: skip


@router.get("/patients")
async def get_patients(visitor: TheVisitor) -> Response:
    """The forms for all of it."""
    return await _patients(visitor)


async def _patients(visitor: Visitor, **context: Any) -> Response:
    _ = visitor.caller
    return await page(
        visitor, "patients.html", guardian_acts=tuple(GUARDIAN_ACTS), teen=TEEN_YEARS, **context
    )


@router.post("/patients")
async def post_patient(visitor: TheVisitor) -> Response:
    """Register a patient; of who is old enough to claim the chart comes the letter, shown this once."""
    form = await sent_form(visitor)
    _ = visitor.caller

    def registers() -> tuple[str, Letter | None]:
        client, born = visitor.client, _born(form["born"], needed=True)
        now = client.now()
        claims = acts_at_all(date.fromisoformat(born), now)
        if not form["name"]:
            raise RecordsError("write the patient's name")
        chart = registering.chart_for(client, visitor.actor, form["identifier"])
        code = claiming.new_code(chart)
        new = registering.NewPatient(
            code.patient, new_id("ac", now), form["name"], date.fromisoformat(born), False, None, form["identifier"],
            claim=code.public if claims else b"", born=born,
        )  # fmt: skip
        registering.register_patients(client, visitor.actor, [new])
        return chart, letter_of(client, code) if claims else None

    async def act() -> Response:
        patient, letter = await run_in_threadpool(registers)
        return await _letter(visitor, patient, letter)

    return await again(
        act, lambda problem: _patients(visitor, problem=problem, typed=dict(form.typed))
    )


@router.post("/patients/letter")
async def post_letter(visitor: TheVisitor) -> Response:
    """A new letter for a chart; older ones count no more."""
    form = await sent_form(visitor)
    _ = visitor.caller

    def offers() -> Letter:
        code = claiming.new_code(_patient(form))
        claiming.offer_claim(visitor.client, visitor.actor, code, _born(form["born"], needed=False))
        return letter_of(visitor.client, code)

    async def act() -> Response:
        letter = await run_in_threadpool(offers)
        return await _letter(visitor, letter.patient, letter)

    return await again(
        act, lambda problem: _patients(visitor, problem=problem, typed=dict(form.typed))
    )


@router.post("/patients/guardian")
async def post_guardian(visitor: TheVisitor) -> Response:
    """Name, confirm or end a guardian of a minor."""
    form = await sent_form(visitor)
    _ = visitor.caller

    def says() -> None:
        act = GUARDIAN_ACTS.get(form["act"])
        if act is None or not is_id("ac", form["guardian"]):
            raise RecordsError("give the guardian's account, ac_…, and choose what to do")
        act(visitor.client, visitor.actor, _patient(form), form["guardian"])

    async def act() -> Response:
        await run_in_threadpool(says)
        return see("/patients", done="guardian")

    return await again(
        act, lambda problem: _patients(visitor, problem=problem, typed=dict(form.typed))
    )


async def _letter(visitor: Visitor, patient: str, letter: Letter | None) -> Response:
    drawn = "" if letter is None else qr(letter.link)
    return await page(visitor, "letter.html", patient=patient, letter=letter, drawn=drawn)


def _patient(form: Form) -> str:
    if not is_id("pt", form["patient"]):
        raise RecordsError("give the patient number, pt_…")
    return form["patient"]


def _born(text: str, needed: bool) -> str:
    """A birth date `YYYY-MM-DD`; raises RecordsError."""
    if not text and not needed:
        return ""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise RecordsError("give the birth date as a day of the calendar") from error
