"""Bodies: bounded, in time, strict JSON. White space and the order of keys are free; a repeated key isn't."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError

from api.http.problems import Problem
from crypto.encoding import b64decode
from crypto.errors import CryptoError
from crypto.ids import ID_PATTERN
from crypto.signing import SIGNATURE_BYTES
from ledger.errors import EventError, Refused
from ledger.event import BUNDLE_LIMIT, Event
from ledger.sequencer import Proposal
from storage.ledger import Ledger

JSON_BYTES = 1024 * 1024
"""Longest JSON body but for events."""
EVENTS_BYTES = 8 * 1024 * 1024
"""Longest body of events."""
READING_BYTES = 16 * 1024
"""Longest body of one reading: an event of 4 KiB and its signature, with white space."""
PIECE_SECONDS = 30
"""How long the next piece of a body may take."""

_KEY = re.compile(f"k_{ID_PATTERN}").fullmatch
M = TypeVar("M", bound=BaseModel)


class Sent(BaseModel):
    """A body's form: exactly these members, of exactly these types."""

    model_config = ConfigDict(extra="forbid", strict=True)


async def pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body piece by piece; raises Problem when it is too long, too slow or cut short."""
    announced = request.headers.get("content-length")
    if announced is not None and int(announced) > limit:
        raise Problem("too_large", f"got a body of {announced} bytes, expected at most {limit}")
    size, more = 0, True
    while more:
        try:
            async with asyncio.timeout(PIECE_SECONDS):
                message = await request.receive()
        except TimeoutError as error:
            raise Problem(
                "slow", f"no byte came for {PIECE_SECONDS} s; nothing was kept"
            ) from error
        if message["type"] == "http.disconnect":
            raise Problem("length", "the body ended before its announced length")
        piece, more = message.get("body", b""), message.get("more_body", False)
        size += len(piece)
        if size > limit:
            raise Problem("too_large", f"got more than {limit} bytes")
        yield piece


async def json_body(request: Request, limit: int = JSON_BYTES) -> Any:
    """The JSON value of a body; raises Problem."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if kind.lower() != "application/json":
        raise Problem("malformed", f"got the content type {kind[:60]!r}, expected application/json")
    data = b"".join([piece async for piece in pieces(request, limit)])
    return strict_json(data)


def strict_json(data: bytes) -> Any:
    """The JSON value of `data`, in which no object has a key twice; raises Problem."""
    try:
        value = orjson.loads(data)
        # Compact JSON without a repeated key comes out as it went in; only the rest is looked at closely.
        if orjson.dumps(value) != data:
            json.loads(data, object_pairs_hook=_once)
    except (ValueError, TypeError, RecursionError) as error:  # TypeError: nested too deep to write
        raise Problem("malformed", f"the body is no JSON in UTF-8: {error}"[:400]) from error
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in pairs:
        if key in out:
            raise ValueError(f"the key {key[:40]!r} stands twice in one object")
        out[key] = value
    return out


async def received(request: Request, form: type[M]) -> M:
    """The body as a `form`; raises Problem with the place of what is wrong."""
    value = await json_body(request)
    try:
        return form.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise Problem("malformed", f"{place}: {first['msg']}") from error


def proposal_of(ledger: Ledger, value: Any) -> Proposal:
    """One signed event `{"event", "sig", "expect"?}`; raises Refused or Problem."""
    if type(value) is not dict or not {"event", "sig"} <= value.keys() <= {
        "event",
        "expect",
        "sig",
    }:
        raise Problem("malformed", "expected an object of event, sig and, if wanted, expect")
    expect = value.get("expect")
    if "expect" in value and (
        type(expect) is not dict
        or expect.keys() != {"stream_seq"}
        or type(expect["stream_seq"]) is not int
        or expect["stream_seq"] < 0
    ):
        raise Problem("malformed", "expect: expected an object of stream_seq, a number from 0")
    key, signature = _signature(value["sig"])
    try:
        event = Event.of(value["event"])
    except EventError as error:
        raise Refused("malformed", str(error)) from error
    return ledger.intake.check(event, key, signature, expect["stream_seq"] if expect else None)


def bundle_of(ledger: Ledger, value: Any) -> list[Proposal]:
    """A bundle `{"events", "sig"}`; raises Refused or Problem for all of it."""
    if type(value) is not dict or value.keys() != {"events", "sig"}:
        raise Problem("malformed", "expected an object of events and sig")
    events = value["events"]
    if type(events) is not list or not 1 <= len(events) <= BUNDLE_LIMIT:
        raise Problem("malformed", f"events: expected a list of 1 to {BUNDLE_LIMIT}")
    key, signature = _signature(value["sig"])
    parsed = []
    for index, event in enumerate(events):
        try:
            parsed.append(Event.of(event))
        except EventError as error:
            raise Refused("malformed", f"events.{index}: {error}") from error
    return ledger.intake.check_bundle(parsed, key, signature)


def _signature(value: Any) -> tuple[str, bytes]:
    if type(value) is not dict or value.keys() != {"key", "value"}:
        raise Problem("malformed", "sig: expected an object of key and value")
    if type(value["key"]) is not str or type(value["value"]) is not str:
        raise Problem("malformed", "sig: expected text")
    if not _KEY(value["key"]):
        raise Problem("malformed", f"sig.key: got {value['key'][:40]!r}, expected a key's id k_…")
    try:
        return value["key"], b64decode(value["value"], SIGNATURE_BYTES)
    except CryptoError as error:
        raise Problem("malformed", f"sig.value: {error}") from error
