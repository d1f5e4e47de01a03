"""Findings that are typed: a form of a kind, which becomes one FHIR resource and one record, or the next version of one."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.problems import Problem
from api.portal import terms
from api.portal.access import check_sure
from api.portal.charts import Patient, RecordId, acting_in, purpose_of
from api.portal.forms import Form, sent_form
from api.portal.offering import WRITES
from api.portal.pages import PageRoute, again, page, see
from api.portal.visitors import TheVisitor, Visitor
from client import authoring
from crypto.ids import is_id
from imports.cleaning import clean_unit
from imports.drafts import Listed
from imports.fhir import Resource, scan_entries
from imports.fhir.clean import clean
from journeys.errors import RecordsError
from ledger.facts import Record
from people.clinical import CLINICAL, GLUCOSE, MEASURES, Writer
from people.intake import MEDIA_TYPE, fill
from records.uploads import Upload

router = APIRouter(route_class=PageRoute, include_in_schema=False)
ANEW = frozenset({
    "date", "diastolic", "glucose", "note", "oxygen", "pulse", "systolic", "temperature", "value", "weight",
})  # fmt: skip
"""What is typed anew each time: a number that stands there already would be sent as if it had been measured."""
FILLS = "fill"
"""Of the field `step`: the page is asked for with these answers in it, as they stood on the page of a reading."""
FormName = Annotated[str, Path(pattern="^[a-z]{1,20}$")]


def forms_of(visitor: Visitor) -> tuple[str, ...]:
    """The forms that a visitor is offered."""
    return WRITES.get(visitor.caller.role, ())


def _check_writes(visitor: Visitor, name: str) -> None:
    if name not in CLINICAL:
        raise Problem("not_found", "there is no such form")
    if name not in forms_of(visitor):
        raise Problem("forbidden", "this is written by doctors")


@router.get("/patients/{patient}/write/{name}")
async def get_write(visitor: TheVisitor, patient: Patient, name: FormName) -> Response:
    """An empty form."""
    _check_writes(visitor, name)
    return await _sheet(visitor, patient, name, typed={"date": _today(visitor).isoformat()})


@router.post("/patients/{patient}/write/{name}")
async def post_write(visitor: TheVisitor, patient: Patient, name: FormName) -> Response:
    """Write it down: a new record, or the next version of one. Or show the form with what a record's page held."""
    form = await sent_form(visitor)
    _check_writes(visitor, name)
    if form["step"] == FILLS:
        typed = dict(form.typed)
        if not form["amends"]:
            typed = {one: value for one, value in typed.items() if one not in ANEW}
            typed["date"] = _today(visitor).isoformat()
        return await _sheet(visitor, patient, name, typed=typed)

    async def act() -> Response:
        await run_in_threadpool(_write, visitor, patient, name, form)
        return see(f"/patients/{patient}/chart", done="amended" if form["amends"] else "uploaded")

    async def sheet(problem: Problem) -> Response:
        return await _sheet(visitor, patient, name, typed=dict(form.typed), problem=problem)

    return await again(act, sheet)


@router.post("/records/{record}/retract")
async def post_retract(visitor: TheVisitor, record: RecordId) -> Response:
    """Say of a record of one's own, or of one's hospital, that it is wrong: it stays, and counts no more."""
    await sent_form(visitor)
    check_sure(visitor, "retract")

    def act() -> str:
        client, actor = visitor.client, visitor.actor
        patient = client.address(actor, record).patient
        authoring.retract(client, actor, record, purpose_of(visitor))
        return patient

    patient = await run_in_threadpool(act)
    return see(f"/patients/{patient}/chart", done="retracted")


def _write(visitor: Visitor, patient: str, name: str, form: Form) -> None:
    kind, client = CLINICAL[name], visitor.client
    values = {one.name: form[one.name].replace("\r\n", "\n") for one in kind.fields}
    if "unit" in values and (known := clean_unit(values["unit"])):
        values["unit"] = known.value
    writer = Writer(visitor.caller.account, visitor.caller.role)
    content = _as_read(fill(kind, patient, values, writer))
    if date.fromisoformat(values["date"]) > _today(visitor) + timedelta(days=1):
        raise RecordsError("date lies in the future")
    title = visitor.texts.text(terms.FORMS[name])
    main = next((one.name for one in kind.fields if one.needed and one.kind == "line"), "")
    one = Upload(
        patient, kind.category, MEDIA_TYPE, [content], clinical_date=values["date"],
        title=f"{title}: {values[main]}"[:200] if main else title,
    )  # fmt: skip
    actor, purpose, amends = acting_in(visitor, patient), purpose_of(visitor), form["amends"]
    if not amends:
        authoring.upload(client, actor, one, purpose)
        return
    row = visitor.ledger.row(Record, amends) if is_id("rc", amends) else None
    if row is None or row.patient != patient:
        raise Problem("not_found", "there is no such record in this chart")
    one = replace(one, confidentiality=row.confidentiality, episode=row.episode)
    authoring.amend(client, actor, amends, one, purpose)


def _as_read(content: bytes) -> bytes:
    """A resource as our own import reads it: what it would correct is corrected, and what it refuses isn't written."""
    findings = Listed()
    (found,) = scan_entries(content)[1]
    if not isinstance(found, Resource):
        raise RecordsError(found.reason)
    return clean(found, findings).raw


def _today(visitor: Visitor) -> date:
    return datetime.fromtimestamp(visitor.ledger.clock() / 1000, UTC).date()


def _expected(name: str, problem: Problem | None, values: dict[str, str]) -> tuple[str, str]:
    """The field that a problem is about, and what it takes where that is a range."""
    said = problem.detail if problem is not None else ""
    fields = [one.name for one in CLINICAL[name].fields]
    wrong = next((one for one in fields if said.startswith(f"{one} ")), "")
    if wrong in MEASURES:
        return wrong, f"> {MEASURES[wrong].low}, ≤ {MEASURES[wrong].high} {MEASURES[wrong].unit}"
    unit = values.get("glucose_unit", "")
    if wrong == "glucose" and unit in GLUCOSE:
        low, high = GLUCOSE[unit]
        return wrong, f"> {low}, ≤ {high} {unit}"
    return wrong, ""


async def _sheet(visitor: Visitor, patient: str, name: str, **context: Any) -> Response:
    kind = CLINICAL[name]
    wrong, expected = _expected(name, context.get("problem"), context["typed"])
    return await page(
        visitor, "write.html", patient=patient, form=kind, wrong=wrong, expected=expected, measures=MEASURES, **context
    )  # fmt: skip
