"""Many records on one page: values over time, and what matters of a chart. Each is opened, and stands in the log, by an explicit act.

The list of the chart says which there are; nothing more of them is known before. A page of many is the answer to a form: it can't
be kept as an address, since opening it again would be as many looks again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.problems import Problem, problem_of
from api.portal.charts import EMERGENCY, Patient, acting_in, purpose_of
from api.portal.findings import Source, Statement, Value, resources, statements, values
from api.portal.forms import Form, sent_form
from api.portal.offering import OPENED
from api.portal.pages import PageRoute, page, see
from api.portal.plotting import plots
from api.portal.rendering import TEXT_BYTES
from api.portal.visitors import TheVisitor, Visitor
from client import readings
from crypto.ids import is_id
from ledger.directory import Patient as PatientRow
from ledger.facts import Record
from records.charts import Chart

router = APIRouter(route_class=PageRoute, include_in_schema=False)
ALONGSIDE = frozenset({"document", "imaging", "summary"})
"""Categories of which the page of what matters has the list alone."""
DOCUMENTS = 10
"""Most lines of that list."""
VALUES = 2_000
"""Most values, and most statements, of all the records of one page."""
GOES_ON = frozenset({"denied", "gone", "not_found", "too_many_refusals"})
"""Problems of one record, after which what is open is shown all the same; what comes after isn't tried."""


@dataclass(frozen=True)
class Opened:
    """What was opened."""

    values: tuple[Value, ...]
    statements: tuple[Statement, ...]
    looks: tuple[int, ...]
    """The entries of the readings."""
    left: int
    """How many were not opened, since one was refused."""
    unread: int
    """How many of those opened hold nothing that the page can show."""
    cut: bool
    """Whether they hold more than the VALUES of a page."""


@router.get("/patients/{patient}/trends")
async def get_trends(patient: Patient) -> Response:
    """Nothing is opened by an address: back to the chart."""
    return see(f"/patients/{patient}/chart")


@router.get("/patients/{patient}/overview")
async def get_overview(patient: Patient) -> Response:
    """Nothing is opened by an address: back to the chart."""
    return see(f"/patients/{patient}/chart")


@router.post("/patients/{patient}/trends")
async def post_trends(visitor: TheVisitor, patient: Patient) -> Response:
    """Open records of a category, and draw their values over time."""
    names, looks = _asked(await sent_form(visitor))
    found = await run_in_threadpool(lambda: _open(visitor, _rows(visitor, patient, names), looks))
    drawn = plots(found.values, visitor.texts.language)
    return await page(
        visitor, "trends.html", patient=patient, found=found, plots=drawn, looks=looks
    )


@router.post("/patients/{patient}/overview")
async def post_overview(visitor: TheVisitor, patient: Patient) -> Response:
    """Open what matters and the list, which tells of documents; show it on one page."""
    form = await sent_form(visitor)
    names, looks = _asked(form)

    def opens() -> tuple[Opened, Chart]:
        rows, actor = _rows(visitor, patient, names), acting_in(visitor, patient)
        chart = readings.chart(visitor.client, actor, patient, purpose_of(visitor, looks))
        return _open(visitor, rows, looks), chart

    found, chart = await run_in_threadpool(opens)
    documents = sorted(
        (one for one in chart.lines if one.record.category in ALONGSIDE and one.record.state == "live"),
        key=lambda one: (one.record.clinical_date, one.record.seq), reverse=True,
    )  # fmt: skip
    kinds = {
        kind: sorted(
            (one for one in found.statements if one.kind == kind),
            key=lambda one: (one.current, one.date), reverse=True,
        )
        for kind in ("allergy", "problem", "medicine")
    }  # fmt: skip
    return await page(
        visitor, "overview.html", patient=patient, found=found, kinds=kinds, looks=looks,
        plots=plots(found.values, visitor.texts.language), documents=documents[:DOCUMENTS],
        older=max(0, len(documents) - DOCUMENTS), listed=chart.entry.link.seq,
    )  # fmt: skip


def _asked(form: Form) -> tuple[list[str], str]:
    """The records that a form names, and how it looks."""
    looks = EMERGENCY if form["looks"] == EMERGENCY else ""
    return list(dict.fromkeys(form["records"].split())), looks


def _rows(visitor: Visitor, patient: str, names: Sequence[str]) -> list[Record]:
    _ = visitor.caller
    if not names or len(names) > OPENED:
        raise Problem("malformed", f"got {len(names)} records, expected 1 to {OPENED}")
    return [_row(visitor, patient, name) for name in names]


def _open(visitor: Visitor, rows: Sequence[Record], looks: str) -> Opened:
    """Open records one by one, each by an entry of its own. Raises what refused the first one."""
    said, stated, entries, unread = list[Value](), list[Statement](), list[int](), 0
    for row in rows:
        actor = acting_in(visitor, row.patient)
        try:
            _, opened = readings.read(visitor.client, actor, row.record, purpose_of(visitor, looks))
            content = b"".join(opened.content)
        except Exception as error:
            if not entries or problem_of(error).kind not in GOES_ON:
                raise
            break
        entries.append(opened.entry.link.seq)
        source, before = Source(row, entries[-1]), len(said) + len(stated)
        for resource in resources(content):
            said += islice(values(resource, source), max(0, VALUES - len(said)))
            stated += islice(statements(resource, source), max(0, VALUES - len(stated)))
        unread += len(said) + len(stated) == before
    left = len(rows) - len(entries)
    cut = max(len(said), len(stated)) >= VALUES
    return Opened(tuple(said), tuple(stated), tuple(entries), left, unread, cut)


def _row(visitor: Visitor, patient: str, name: str) -> Record:
    """A record of this chart, or of one that is linked with it; small enough to be shown."""
    row = visitor.ledger.row(Record, name) if is_id("rc", name) else None
    chart = visitor.ledger.row(PatientRow, patient)
    charts = {patient, *(chart.joined if chart is not None else ())}
    if row is None or row.patient not in charts or row.versions[-1].size > TEXT_BYTES:
        raise Problem("not_found", "there is no such record in this chart")
    return row
