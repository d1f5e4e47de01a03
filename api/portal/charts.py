"""Charts: the list by category, a record as we render it, its file from a sandbox, uploads, hiding and showing.

Each look is a reading, which stands in the log before anything is shown. A record's page keeps the reading's token in a cookie
of that record's own file, so that the picture beside it and its download are of the same reading, for a minute.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.problems import Problem
from api.http.streamed import Streamed
from api.portal import rendering
from api.portal.drawing import qr
from api.portal.forms import FILE_BYTES, sent_form
from api.portal.offering import WRITES, offers
from api.portal.pages import PageRoute, again, attachment, page, see
from api.portal.plotting import timeline
from api.portal.today import today
from api.portal.visitors import TheVisitor, Visitor
from client import authoring, grants, readings, relatives
from crypto.ids import ID_PATTERN
from identity.actors import Actor
from journeys.errors import RecordsError
from ledger.codes import CATEGORIES
from ledger.facts import Record
from people.lookups import lookup
from people.typed import typed_of
from records.charts import Chart, me
from records.opening import OpenedRecord, stream_ticket
from records.ranges import ReadTicket, ticket_of
from records.uploads import Upload
from storage.numbers import TEL

router = APIRouter(route_class=PageRoute, include_in_schema=False)
PAGE = 50
"""Records or acts on one page of a list."""
READ_COOKIE = "__Secure-heartwood-reading"
"""Of one record's file, for as long as its reading gives ranges."""
READ_SECONDS = 60
PICTURES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
"""What a browser shows as a picture, and runs nothing of."""
FILE_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""Of a record's own bytes: whatever they are, they are no page of this site."""
Patient = Annotated[str, Path(pattern=f"^pt_{ID_PATTERN}$")]
RecordId = Annotated[str, Path(pattern=f"^rc_{ID_PATTERN}$")]


EMERGENCY = "emergency"
"""What an address says of a look in an emergency that the doctor declared."""
_PURPOSES = {"patient": grants.PURPOSE, "relative": "FAMRQT"}


def purpose_of(visitor: Visitor, looks: str = "") -> str:
    """For what somebody looks: patients for themselves, relatives for their patient, doctors to treat, also in an emergency."""
    if looks == EMERGENCY and visitor.caller.role == "doctor":
        return "ETREAT"
    return _PURPOSES.get(visitor.caller.role, "TREAT")


def acting_in(visitor: Visitor, patient: str) -> Actor:
    """Whoever is signed in, as they act in a chart: relatives on its patient's behalf.

    A relative of others alone acts in their own name, so that the gate refuses them, and says so to the patient.
    """
    if visitor.caller.role != "relative":
        return visitor.actor
    try:
        return relatives.for_patient(visitor.client, visitor.actor, patient)
    except RecordsError:
        return visitor.actor


@dataclass(frozen=True)
class Pages:
    """Which page of a list is shown."""

    number: int
    last: int
    count: int

    @classmethod
    def of(cls, wanted: str, count: int) -> "Pages":
        """The page that was asked for, or the nearest there is."""
        last = max(1, -(-count // PAGE))
        number = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 7 else 1
        return cls(min(max(1, number), last), last, count)

    def cut(self, found: list[Any]) -> list[Any]:
        """What stands on the page."""
        return found[(self.number - 1) * PAGE : self.number * PAGE]


async def own_page(visitor: Visitor, name: str) -> Response:
    """One's own chart's page; with several charts a choice, with none the start page."""
    charts = (await run_in_threadpool(me, visitor.ledger, visitor.caller)).patients
    if not charts:
        return see("/today")
    if len(charts) == 1:
        return see(f"/patients/{charts[0]}/{name}")
    return await page(visitor, "charts.html", charts=charts, name=name)


@router.get("/chart")
async def get_own_chart(visitor: TheVisitor) -> Response:
    """One's own chart."""
    return await own_page(visitor, "chart")


@router.get("/patients/{patient}/chart")
async def get_chart(
    visitor: TheVisitor, patient: Patient, category: str = "", p: str = "", looks: str = ""
) -> Response:
    """The list of a chart, by category; a reading."""

    def opens() -> Chart:
        actor = acting_in(visitor, patient)
        return readings.chart(visitor.client, actor, patient, purpose_of(visitor, looks))

    found = await run_in_threadpool(opens)
    lines = sorted(
        found.lines, key=lambda one: (one.record.clinical_date, one.record.seq), reverse=True
    )
    records = [line.record for line in lines]
    counts = {one: sum(line.record.category == one for line in lines) for one in CATEGORIES}
    shown = [line for line in lines if category in ("", line.record.category)]
    pages = Pages.of(p, len(shown))
    return await page(
        visitor, "chart.html", patient=patient, chart=found, lines=pages.cut(shown), pages=pages,
        category=category if category in CATEGORIES else "", total=len(lines), looks=looks if looks == EMERGENCY else "",
        counts={name: count for name, count in counts.items() if count},
        picture=timeline(records, CATEGORIES, visitor.texts.language), writes=WRITES.get(visitor.caller.role, ()),
        offers=offers(records),
    )  # fmt: skip


@router.get("/records/{record}")
async def get_record(visitor: TheVisitor, record: RecordId, looks: str = "") -> Response:
    """A record, as we render it; a reading."""

    def opens() -> tuple[str, OpenedRecord, Record, rendering.Shown]:
        client, relative = visitor.client, visitor.caller.role == "relative"
        chart = client.address(visitor.actor, record).patient if relative else ""
        actor = acting_in(visitor, chart)
        patient, opened = readings.read(client, actor, record, purpose_of(visitor, looks))
        row = visitor.ledger.row(Record, record)
        if row is None:
            raise Problem("not_found", "there is no such record")
        return (
            patient,
            opened,
            row,
            rendering.render(opened.media_type, opened.size, opened.content),
        )

    patient, opened, row, shown = await run_in_threadpool(opens)
    response = await page(
        visitor, "record.html", patient=patient, opened=opened, record=row, shown=shown,
        picture=opened.media_type in PICTURES, looks=looks if looks == EMERGENCY else "",
        typed=typed_of(shown.data, patient) if shown.data else None, writes=WRITES.get(visitor.caller.role, ()),
    )  # fmt: skip
    if opened.token:
        response.set_cookie(
            READ_COOKIE, opened.token, READ_SECONDS, path=f"/records/{record}/file", secure=True,
            httponly=True, samesite="strict",
        )  # fmt: skip
    return response


@router.get("/records/{record}/file")
async def get_file(visitor: TheVisitor, record: RecordId, show: str = "") -> Response:
    """The bytes of the reading whose page was just opened: a picture to be shown, anything else to be downloaded."""
    caller, token = visitor.caller, visitor.request.cookies.get(READ_COOKIE, "")

    def finds() -> ReadTicket:
        found = ticket_of(visitor.ledger, visitor.ledger.tokens, token, record)
        if found.actor != caller.account:
            raise Problem("not_found", "the reading is somebody else's")
        return found

    ticket = await run_in_threadpool(finds)
    headers = {"Content-Security-Policy": FILE_POLICY, "Content-Length": str(ticket.size)}
    if show and ticket.media_type in PICTURES:
        kind = ticket.media_type
    else:
        kind = "application/octet-stream"
        headers["Content-Disposition"] = attachment(
            f"{record}.{rendering.ending(ticket.media_type)}"
        )
    pieces = stream_ticket(visitor.ledger, ticket)
    return Streamed((piece for piece in pieces), 200, headers, kind)


@router.get("/patients/{patient}/upload")
async def get_upload(visitor: TheVisitor, patient: Patient) -> Response:
    """The form that adds a record."""
    return await _upload(visitor, patient)


async def _upload(visitor: Visitor, patient: str, **context: Any) -> Response:
    _ = visitor.caller
    told: dict[str, Any] = {
        "categories": CATEGORIES, "most": FILE_BYTES // (1024 * 1024), "patient": patient,
        "writes": WRITES.get(visitor.caller.role, ()),
    }  # fmt: skip
    return await page(visitor, "upload.html", **told | context)


@router.post("/patients/{patient}/upload")
async def post_upload(visitor: TheVisitor, patient: Patient) -> Response:
    """Add a record: a file, or a note that was typed."""
    form = await sent_form(visitor, FILE_BYTES)

    async def act() -> Response:
        one = Upload(
            patient, form["category"], *_content(form.file, form["note"]),
            title=form["title"], file_name=form.file.name if form.file else "",
            clinical_date=form["date"], confidentiality="restricted" if form["restricted"] else "normal",
        )  # fmt: skip
        if one.category not in CATEGORIES:
            raise RecordsError("choose what kind of record it is")
        actor = await run_in_threadpool(acting_in, visitor, patient)
        await run_in_threadpool(authoring.upload, visitor.client, actor, one, purpose_of(visitor))
        return see(f"/patients/{patient}/chart", done="uploaded")

    return await again(
        act, lambda problem: _upload(visitor, patient, problem=problem, typed=dict(form.typed))
    )


def _content(file: Any, note: str) -> tuple[str, list[bytes]]:
    """The media type and bytes of what was sent; what a browser says of them is looked at again by whoever shows them."""
    if file is not None and file.content:
        return file.media_type, [file.content]
    if not note:
        raise RecordsError("choose a file, or write a note")
    return "text/plain", [note.replace("\r\n", "\n").encode()]


@router.get("/patients/{patient}/card")
async def get_card(visitor: TheVisitor, patient: Patient) -> Response:
    """A card to print, which holds the patient number alone; for its patient."""
    if patient not in (await run_in_threadpool(me, visitor.ledger, visitor.caller)).patients:
        raise Problem("not_found", "this is not your chart")
    return await page(
        visitor, "card.html", patient=patient, drawn=qr(patient), origin=visitor.ledger.origin
    )


@router.post("/records/{record}/hide")
async def post_hide(visitor: TheVisitor, record: RecordId) -> Response:
    """Hide a record of one's own chart."""
    return await _said(visitor, record, grants.hide, "hidden")


@router.post("/records/{record}/show")
async def post_show(visitor: TheVisitor, record: RecordId) -> Response:
    """Show a hidden record again."""
    return await _said(visitor, record, grants.show, "shown")


async def _said(visitor: Visitor, record: str, says: Any, done: str) -> Response:
    await sent_form(visitor)
    client, actor = visitor.client, visitor.actor

    def act() -> str:
        patient = client.address(actor, record).patient
        says(client, actor, patient, record)
        return patient

    patient = await run_in_threadpool(act)
    return see(f"/patients/{patient}/chart", done=done)


@router.post("/find")
async def post_find(visitor: TheVisitor) -> Response:
    """Find a patient by the number on the health card, the hospital's own identifier, or a number that the patient stated."""
    form = await sent_form(visitor)

    async def act() -> Response:
        wanted = form["wanted"]
        if wanted.startswith("pt_"):
            patient = wanted
        else:
            wanted = TEL + wanted if wanted.startswith("+") else wanted
            found = await run_in_threadpool(lookup, visitor.ledger, visitor.caller, [wanted])
            if wanted not in found:
                raise Problem("not_found", "you may find nobody under it")
            patient = found[wanted].patient
        return see(f"/patients/{patient}/chart")

    return await again(act, lambda problem: today(visitor, problem=problem, typed=dict(form.typed)))
