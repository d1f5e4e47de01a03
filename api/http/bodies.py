"""Bodies: bounded, in time, strict JSON. White space and the order of keys are free; a repeated key isn't."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import orjson
from anyio import CapacityLimiter, to_thread
from fastapi import Request
from pydantic import BaseModel, ConfigDict

from api.http.problems import Problem
from api.http.shares import Shares
from api.http.told import acting
from identity.actors import Caller
from identity.kept import sign_for
from ledger.sent import sent_bundle, sent_event, unsigned_event
from ledger.sequencer import Proposal
from storage.ledger import Ledger

JSON_BYTES = 1024 * 1024
"""Longest JSON body but for events."""
EVENTS_BYTES = 8 * 1024 * 1024
"""Longest body of events."""
READING_BYTES = 16 * 1024
"""Longest body of one reading: an event of 4 KiB and its signature, with white space."""
BODY_SECONDS = 60
"""How long a JSON body may take in the whole."""
UPLOAD_SECONDS = 30
"""In each span of this length an upload has to bring `UPLOAD_RATE` on average, so its time is bound by its size."""
UPLOAD_RATE = 16 * 1024
"""Bytes a second; see `UPLOAD_SECONDS`."""
BODIES_BYTES = 64 * 1024 * 1024
"""JSON bodies in one process, from their first byte until they are parsed."""
ADDRESS_BODIES_BYTES = 16 * 1024 * 1024
"""Of these of one address."""
VALUE_BYTES = 26
"""A body may hold a value for so many bytes of its route's limit: parsed, a value takes up to 200 bytes."""
INLINE_BYTES = 16 * 1024
"""A body up to this is parsed between two requests, a larger one beside them."""
INLINE_EVENTS = 8
"""So many signatures are checked between two requests, more beside them."""
PARSES = 1
"""Large bodies parsed, or lists of events checked, at a time; the others wait: more would gain nothing, as
the interpreter runs one, and take turns from the thread that answers."""

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")


class Sent(BaseModel):
    """A body's form: exactly these members, of exactly these types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Bodies:
    """What the bodies of one process may take of memory and processor; for one event loop."""

    def __init__(self) -> None:
        """Nothing taken."""
        self.shares = Shares(BODIES_BYTES, ADDRESS_BODIES_BYTES)
        self.parses = CapacityLimiter(PARSES)

    async def beside(self, act: Callable[..., R], *arguments: Any) -> R:
        """What `act` gives, in a thread beside the loop, a few at a time."""
        return await to_thread.run_sync(act, *arguments, limiter=self.parses)


def bodies_of(request: Request) -> Bodies:
    """The bodies of this process."""
    found: Bodies = request.app.state.bodies
    return found


def upload_pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body of an upload piece by piece; raises Problem when it is too long, too slow or cut short."""
    return pieces(request, limit, UPLOAD_SECONDS, UPLOAD_RATE)


async def pieces(
    request: Request, limit: int, seconds: float, rate: int = 0
) -> AsyncIterator[bytes]:
    """The body of a request piece by piece; raises Problem when it is too long, too slow or cut short.

    `rate`: with so many bytes a second on average the time of `seconds` begins again.
    """
    announced = request.headers.get("content-length")
    if announced is not None and int(announced) > limit:
        raise Problem("too_large", f"got a body of {announced} bytes, expected at most {limit}")
    loop = asyncio.get_running_loop()
    left, before = seconds, 0  # of the client's time: ours, at the disk, doesn't count
    size, more = 0, True
    while more:
        began = loop.time()
        try:
            async with asyncio.timeout(left):
                message = await request.receive()
        except TimeoutError as error:
            if not rate or size - before < rate * seconds:
                raise _slow(size, seconds, rate) from error
            left, before = seconds, size
            continue
        left -= loop.time() - began
        if message["type"] == "http.disconnect":
            raise Problem("length", "the body ended before its announced length")
        piece, more = message.get("body", b""), message.get("more_body", False)
        size += len(piece)
        if size > limit:
            raise Problem("too_large", f"got more than {limit} bytes")
        yield piece


def _slow(size: int, seconds: float, rate: int) -> Problem:
    whole = f"at least {rate} bytes a second" if rate else f"the whole body within {seconds} s"
    return Problem("slow", f"got {size} bytes so far, expected {whole}; nothing was kept")


async def json_body(request: Request, limit: int = JSON_BYTES) -> Any:
    """The JSON value of a body; raises Problem."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if kind.lower() != "application/json":
        raise Problem("malformed", f"got the content type {kind[:60]!r}, expected application/json")
    bodies, name = bodies_of(request), request.scope["heartwood.client"]
    parts, size, values = list[bytes](), 0, 0
    try:
        async for piece in pieces(request, limit, BODY_SECONDS):
            if not bodies.shares.take(name, len(piece)):
                words = "too many bodies are being read, or too many of your address"
                raise Problem("full", f"{words}; try again in a second")
            size += len(piece)
            parts.append(piece)
            values += _values(piece)
            if values > limit // VALUE_BYTES:  # seen at once, so that the rest is not waited for
                raise _too_many(limit)
        if size <= INLINE_BYTES:
            return strict_json(b"".join(parts))
        value = await bodies.beside(_parsed, parts)
        if isinstance(value, Problem):
            raise value
        return value
    finally:
        parts.clear()  # an error that is still looked at would hold them, see `_parsed`
        bodies.shares.give(name, size)


def _values(piece: bytes) -> int:
    """Some number of values that stand in a piece of JSON, hardly ever too small."""
    return len(piece) - len(piece.translate(None, b",[{"))  # a third of what three counts take


def _too_many(limit: int) -> Problem:
    """What values take in memory is not what they take on the wire: their number is bounded before any is made."""
    return Problem("too_large", f"got a body of more than {limit // VALUE_BYTES} values")


def _parsed(parts: list[bytes]) -> Any:
    """The JSON value, or the Problem with it.

    Nothing is raised through a thread: the error's traceback would hold the body, in a cycle that the
    collector comes to seldom.
    """
    try:
        data = b"".join(parts)
        parts.clear()
        return strict_json(data)
    except Problem as problem:
        problem.__cause__ = problem.__context__ = None
        return problem.with_traceback(None)


def strict_json(data: bytes) -> Any:
    """The JSON value of `data`, in which no object has a key twice; raises Problem."""
    try:
        value = orjson.loads(data)
        # Compact JSON without a repeated key comes out as it went in; only the rest is looked at closely.
        if orjson.dumps(value) != data:
            json.loads(data, object_pairs_hook=_once)
    except (ValueError, TypeError, RecursionError) as error:  # TypeError: nested too deep to write
        raise Problem("malformed", f"the body is not valid JSON in UTF-8: {error}"[:400]) from error
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in pairs:
        if key in out:
            raise ValueError(f"the key {key[:40]!r} appears twice in one object")
        out[key] = value
    return out


async def received(request: Request, form: type[M]) -> M:
    """The body as a `form`; raises Problem, or ValidationError with the place of what is wrong."""
    return form.model_validate(await json_body(request))


def proposal_of(ledger: Ledger, value: Any, caller: Caller | None = None) -> Proposal:
    """One signed event, see `ledger.sent`, whose signature holds; raises EventError or Refused.

    One without a signature is signed with the key that the service keeps for the `caller`; see `kept.sign_for`.
    """
    if caller is not None and is_unsigned(value):
        return sign_for(ledger, caller, *unsigned_event(value))
    event, key, signature, expect = sent_event(value)
    found = ledger.signatures.check(event, key, signature, expect)
    acting(event.actor)
    return found


def is_unsigned(value: Any) -> bool:
    """Whether it may be an event that the service is to sign."""
    return type(value) is dict and "sig" not in value


def bundle_of(ledger: Ledger, value: Any) -> list[Proposal]:
    """A bundle, see `ledger.sent`, whose signature holds; raises EventError or Refused for all of it."""
    events, key, signature = sent_bundle(value)
    found = ledger.signatures.check_bundle(events, key, signature)
    acting(events[0].actor)
    return found
