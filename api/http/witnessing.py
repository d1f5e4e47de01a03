"""The HTTP face of a witness: one route, `POST <prefix>/add-checkpoint` (C2SP tlog-witness). It knows no ledger."""

import asyncio
import logging

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.app.settings import Settings
from api.http.shares import Addresses, Shares
from durable.errors import StorageError
from ledger.witnessing import ADD_CHECKPOINT, SUBMISSION_LIMIT
from witness.witness import Witness

SUBMISSION_SECONDS = 10
"""How long a submission may take to come in the whole."""
SUBMISSIONS_LIMIT = 128
"""Submissions in work at a time, also while they come; more are answered 503, so memory stays bounded."""
ADDRESS_SUBMISSIONS = 64
"""Of these from one address."""

_LOG = logging.getLogger(__name__)


def create_witness_app(witness: Witness, prefix: str = "") -> ASGIApp:
    """The application of a witness; `prefix`: what stands before `/add-checkpoint`, empty or beginning with a slash."""
    path = prefix.rstrip("/") + ADD_CHECKPOINT
    addresses = Addresses(Settings().proxies)
    shares = Shares(SUBMISSIONS_LIMIT, ADDRESS_SUBMISSIONS)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        host = request.client.host if request.client else ""
        name = addresses.client(host, request.headers.getlist("x-forwarded-for"))
        if not shares.take(name):
            answer = _plain(503, "too many submissions are in work, or too many of your address")
            answer.headers["Retry-After"] = "1"
        else:
            try:
                answer = await _answer(witness, path, request)
            finally:
                shares.give(name)
        await answer(scope, receive, send)

    return app


async def _answer(witness: Witness, path: str, request: Request) -> Response:
    if request.url.path != path:
        return _plain(404, f"there is nothing here: post to {path}")
    if request.method != "POST":
        answer = _plain(405, f"got {request.method}, expected POST")
        answer.headers["Allow"] = "POST"
        return answer
    try:
        async with asyncio.timeout(SUBMISSION_SECONDS):
            body = await _body(request)
    except TimeoutError:
        return _plain(408, f"expected the whole body within {SUBMISSION_SECONDS} s")
    except ClientDisconnect:
        return _plain(400, "the body ended before its announced length")
    if body is None:
        return _plain(413, f"expected a body of at most {SUBMISSION_LIMIT} bytes")
    try:
        found = await run_in_threadpool(witness.add_checkpoint, body)
    except (StorageError, OSError):
        _LOG.error("nothing cosigned", exc_info=True)
        return _plain(500, "the state can't be read or kept; nothing was cosigned")
    # As a header: Starlette would add a charset to a media type of text.
    return Response(found.body, found.status, {"Content-Type": found.kind})


async def _body(request: Request) -> bytes | None:
    """The whole body; None if it is too long."""
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > SUBMISSION_LIMIT:
        return None
    parts, size = list[bytes](), 0
    async for piece in request.stream():
        size += len(piece)
        if size > SUBMISSION_LIMIT:
            return None
        parts.append(piece)
    return b"".join(parts)


def _plain(status: int, words: str) -> Response:
    return PlainTextResponse(f"{words}\n", status)
