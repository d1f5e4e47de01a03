"""Readings: a signed event in, what it permits out, in this call alone; then ranges by a read token."""

import io
import re
import zipfile
from collections.abc import Generator, Iterator
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.appending import append
from api.http.bodies import EVENTS_BYTES, READING_BYTES, json_body
from api.http.callers import TheLedger, bearer, proposed
from api.http.examples import serves
from api.http.named import Patient, Record
from api.http.problems import Problem
from api.http.streamed import Streamed
from client import operations
from client.forms import chart_json, emergency_json, history_json
from crypto.encoding import b64encode
from crypto.ids import is_id
from journeys.appending import appended, check_reply
from ledger.entry import Entry
from ledger.packages import write_package
from ledger.sequencer import Proposal
from records.charts import list_chart
from records.emergencies import give_emergency
from records.exporting import ExportedRecord, check_list, give_export
from records.history import read_history
from records.opening import Link, OpenedRecord, SettledReading, give_record, used_before
from records.ranges import RANGE_BYTES, read_range, ticket_of
from records.referrals import GivenPackage, give_package
from storage.blobs.files import FileBlobs
from storage.ledger import Ledger

router = APIRouter(tags=["readings"])
WHOLE_BYTES = 1024 * 1024
"""Content up to this is sent in one piece."""
DOWNLOAD = "Heartwood-Download"
"""The header by which a reader asks for a link to the ciphertext, and is told that it got one."""
INLINE_BYTES = 64 * 1024
"""Content up to this is opened between two requests, without a thread, unless a remote store has it."""
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})").fullmatch


@serves(router, operations.CONTENT)
async def post_content(record: Record, request: Request, ledger: TheLedger) -> Response:
    """A signed `record.opened` in, the content out; the entry commits before the first byte leaves.

    The headers name the entry, the rule, the sealed texts (base64 of JSON) and a read token for ranges.
    With `Heartwood-Download: url` a reading with `reply` gets a link to the ciphertext, where the blobs are in S3.
    """
    linked = _wants_link(request.headers.get(DOWNLOAD))
    value = await json_body(request, READING_BYTES)
    reading = await _settle(
        ledger, await _reading(request, ledger, value, "record.opened", "record", record)
    )
    # Handing a small content to a thread costs more than giving it, from a disk of this machine.
    if reading.version.size <= INLINE_BYTES and isinstance(ledger.blobs, FileBlobs):
        return _content(ledger, reading, linked)
    return await run_in_threadpool(_content, ledger, reading, linked)


@serves(router, operations.RANGE)
async def get_content(record: Record, request: Request, ledger: TheLedger) -> Response:
    """A range of a reading's content, by its read token as the bearer token; for 60 s after the reading."""
    token = bearer(request)
    return await run_in_threadpool(
        _range, ledger, token, record, request.headers.get("range", "bytes=0-")
    )


@serves(router, operations.CHART)
async def post_chart(patient: Patient, request: Request, ledger: TheLedger) -> Response:
    """A signed `chart.opened` in, the list out, filtered record by record."""
    value = await json_body(request, READING_BYTES)
    reading = await _settle(
        ledger, await _reading(request, ledger, value, "chart.opened", "", patient)
    )
    return await run_in_threadpool(
        lambda: _json(chart_json(list_chart(ledger, reading), _receipt(reading)))
    )


@serves(router, operations.HISTORY)
async def post_history(patient: Patient, request: Request, ledger: TheLedger) -> Response:
    """A signed `history.opened` in, every entry of the patient's stream out, up to and with that one.

    Each entry holds the hash of the one before it, so the client sees that none is missing.
    """
    value = await json_body(request, READING_BYTES)
    reading = await _settle(
        ledger, await _reading(request, ledger, value, "history.opened", "", patient)
    )
    return await run_in_threadpool(
        lambda: _json(history_json(read_history(ledger, reading), _receipt(reading)))
    )


@serves(router, operations.EMERGENCY_OPENED)
async def post_emergency(patient: Patient, request: Request, ledger: TheLedger) -> Response:
    """A signed `emergency.opened` in; what was declared and what was read in it out, for whoever reviews it."""
    value = await json_body(request, READING_BYTES)
    reading = await _settle(
        ledger, await _reading(request, ledger, value, "emergency.opened", "", patient)
    )
    return await run_in_threadpool(
        lambda: _json(emergency_json(give_emergency(ledger, reading), _receipt(reading)))
    )


@serves(router, operations.EXPORT)
async def post_export(patient: Patient, request: Request, ledger: TheLedger) -> Response:
    """A signed `chart.exported` and its list in, a ZIP of the content out."""
    value = await json_body(request, EVENTS_BYTES)
    if type(value) is not dict or not {"event", "list"} <= value.keys() <= {"event", "list", "sig"}:
        raise Problem("malformed", "expected an object of event, sig and list")
    wanted = _listed(value.pop("list"))
    proposal = await _reading(request, ledger, value, "chart.exported", "", patient)
    found = await run_in_threadpool(check_list, ledger, proposal, wanted)
    reading = await _settle(ledger, proposal)
    taken = await run_in_threadpool(give_export, ledger, reading, found)
    headers = _headers(reading.entry) | _attachment(f"{patient}.zip")
    return Streamed(_zip(taken), 200, headers, "application/zip")


@serves(router, operations.PACKAGE)
async def post_package(patient: Patient, request: Request, ledger: TheLedger) -> Response:
    """A signed `referral.taken` in, the package out: a ZIP that opens by the receiving hospital's own key alone."""
    value = await json_body(request, READING_BYTES)
    reading = await _settle(
        ledger, await _reading(request, ledger, value, "referral.taken", "", patient)
    )
    given = await run_in_threadpool(give_package, ledger, reading)
    headers = _headers(reading.entry) | _attachment(f"{given.head.referral}.zip")
    return Streamed(_package(given), 200, headers, "application/zip")


async def _reading(
    request: Request, ledger: Ledger, value: Any, kind: str, member: str, named: str
) -> Proposal:
    """A signed reading of the kind that the route takes, about what its address names."""
    proposal = await proposed(request, ledger, value)
    event = proposal.event
    if event.type.name != kind:
        raise Problem("malformed", f"got {event.type.name}, expected {kind}")
    about = event.body[member] if member else event.subject
    if about != named:
        raise Problem("malformed", f"the event is about {about}, the address about {named}")
    check_reply(event)
    return proposal


async def _settle(ledger: Ledger, proposal: Proposal) -> SettledReading:
    """Append one reading without holding a thread; of one that stands already, the receipt and nothing else."""
    committed = await append(ledger, [proposal])
    outcome = appended(committed.outcomes[0])  # raises what was refused or denied
    if not outcome.fresh:
        raise await run_in_threadpool(used_before, ledger, outcome.entry.link.seq)
    return SettledReading(outcome.entry, outcome.shown, committed, outcome.masked)


def _receipt(reading: SettledReading) -> str:
    """The receipt of a reading that was just appended, for its answer."""
    return reading.receipt().text().decode()


def _wants_link(asked: str | None) -> bool:
    if asked not in (None, "url"):
        raise Problem(
            "malformed", f"got {DOWNLOAD}: {asked[:20]!r}, expected url or no such header"
        )
    return asked is not None


def _content(ledger: Ledger, reading: SettledReading, linked: bool) -> Response:
    shown = give_record(ledger, reading, linked)
    headers = _headers(shown.entry) | _attachment(shown.entry.event.body["record"])
    headers["Content-Type"] = (
        shown.media_type
    )  # as its author said, without a character set of ours
    if shown.texts:
        headers["Heartwood-Texts"] = b64encode(orjson.dumps(shown.texts))
    if shown.unopened:
        headers["Heartwood-Unopened"] = ",".join(shown.unopened)
    if shown.share is not None:
        headers["Heartwood-Share"] = b64encode(shown.share)
    if shown.token:
        headers["Heartwood-Read-Token"] = shown.token
    headers["Heartwood-Size"] = str(shown.size)
    if shown.link is not None:
        return _linked(shown, shown.link, headers)
    if shown.size <= WHOLE_BYTES:
        return Response(b"".join(shown.content), 200, headers)
    return Streamed(_started(shown), 200, headers)


def _linked(shown: OpenedRecord, link: Link, headers: dict[str, str]) -> Response:
    """Where the ciphertext is, in place of it."""
    body = {
        "length": link.length,
        "media_type": shown.media_type,
        "others": list(link.others),
        "seconds": link.seconds,
        "sha256": b64encode(link.sha256),
        "url": link.url,
    }
    headers |= {"Content-Type": "application/json", DOWNLOAD: "url"}
    return Response(orjson.dumps(body), 200, headers)


def _started(shown: OpenedRecord) -> Generator[bytes]:
    """The content, of which a first piece was read: what is wrong at once is a problem, not a cut."""
    return _after(next(shown.content, b""), shown.content)


def _after(first: bytes, rest: Iterator[bytes]) -> Generator[bytes]:
    yield first
    yield from rest


def _range(ledger: Ledger, token: str, record: str, wanted: str) -> Response:
    ticket = ticket_of(ledger, ledger.tokens, token, record)
    start, end = _asked(wanted.strip(), ticket.size)
    data = read_range(ledger.blobs, ticket, start, end)
    headers = _attachment(record) | {
        "Accept-Ranges": "bytes",
        "Content-Range": f"bytes {start}-{end - 1}/{ticket.size}",
        "Content-Type": ticket.media_type,
    }
    return Response(data, 206, headers)


def _asked(wanted: str, size: int) -> tuple[int, int]:
    """Start and end (exclusive) of one range of `size` bytes, at most RANGE_BYTES of them."""
    match = _RANGE(wanted)
    if match is None or not (match[1] or match[2]):
        raise Problem("range", f"got {wanted[:60]!r}, expected bytes=START-END, START- or -LENGTH")
    if match[1]:
        start, end = int(match[1]), int(match[2]) + 1 if match[2] else size
    else:
        start, end = max(0, size - int(match[2])), size
    end = min(end, size, start + RANGE_BYTES)
    if start >= end:
        raise Problem("range", f"got {wanted[:60]!r} of {size} bytes")
    return start, end


def _headers(entry: Entry) -> dict[str, str]:
    return {
        "Heartwood-Decision": orjson.dumps(entry.decision or {}).decode(),
        "Heartwood-Entry": str(entry.link.seq),
    }


def _attachment(name: str) -> dict[str, str]:
    """What comes from outside is data: it is never shown as a page, and kept nowhere."""
    return {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Security-Policy": "sandbox",
        "X-Content-Type-Options": "nosniff",
    }


def _listed(value: Any) -> list[tuple[str, int]]:
    if type(value) is not list or not all(
        type(item) is list
        and len(item) == 2
        and type(item[0]) is str
        and type(item[1]) is int
        and is_id("rc", item[0])
        for item in value
    ):
        raise Problem("malformed", "list: expected a list of [record, version]")
    return [(record, version) for record, version in value]


def _zip(taken: list[ExportedRecord]) -> Generator[bytes]:
    """The content as a ZIP, one piece after the other, as it is deciphered."""
    index = [
        {
            "category": one.record.category,
            "clinical_date": one.record.clinical_date,
            "file": _name(one),
            "media_type": one.version.media_type,
            "record": one.record.record,
            "size": one.version.size,
            "version": one.version.version,
        }
        for one in taken
    ]
    sent = _Sent()
    # Deflated without compressing: a reader that streams needs no length ahead, as it would of stored ones.
    with zipfile.ZipFile(sent, "w", zipfile.ZIP_DEFLATED, compresslevel=0) as archive:
        archive.writestr("index.json", orjson.dumps(index, option=orjson.OPT_INDENT_2))
        for one in taken:
            with archive.open(_name(one), "w", force_zip64=True) as file:
                for piece in one.content:
                    file.write(piece)
                    yield from sent.taken()
        archive.writestr("openings.json", orjson.dumps([_opening(one) for one in taken]))
    yield from sent.taken()


def _package(given: GivenPackage) -> Generator[bytes]:
    """A referral's package, piece by piece; deflated without compressing, as exports are."""
    sent = _Sent()
    with zipfile.ZipFile(sent, "w", zipfile.ZIP_DEFLATED, compresslevel=0) as archive:
        for _ in write_package(archive, given.head, given.sealed, given.blobs):
            yield from sent.taken()
    yield from sent.taken()


def _opening(one: ExportedRecord) -> dict[str, str]:
    """What proves one content, in the order of the index."""
    assert one.opening is not None  # ours has one
    found = one.opening()
    return {"header": b64encode(found.header), "key": b64encode(found.key)}


class _Sent(io.RawIOBase):
    """What a ZIP is written to and taken from again; nothing of it is kept, in memory or on a disk."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(self._pieces[-1])

    def taken(self) -> Iterator[bytes]:
        """What was written since the last time, if anything was."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        if data:
            yield data


def _name(one: ExportedRecord) -> str:
    return f"{one.record.record}/{one.version.version}"


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), 200, {"Cache-Control": "no-store"}, "application/json")
