"""Signed events as they are sent, before anything is known of who signed them. Pure.

One event is `{"event", "sig": {"key", "value"}}`, with `"expect": {"stream_seq"}` if its author wants it; a
bundle is `{"events", "sig"}`. Every function raises EventError with the place of what is wrong.
"""

import re
from typing import Any

from crypto.encoding import b64decode
from crypto.errors import CryptoError
from crypto.ids import ID_PATTERN
from crypto.signing import SIGNATURE_BYTES
from ledger.errors import EventError
from ledger.event import BUNDLE_LIMIT, Event

_KEY = re.compile(f"k_{ID_PATTERN}").fullmatch
_LEAST, _MOST = {"event", "sig"}, {"event", "expect", "sig"}


def sent_event(value: Any) -> tuple[Event, str, bytes, int | None]:
    """One event: itself, key id, signature of 64 bytes, and the length that its stream must have."""
    if type(value) is not dict or not _LEAST <= value.keys() <= _MOST:
        raise EventError("expected an object of event, sig and optionally expect")
    length = _expected(value["expect"]) if "expect" in value else None
    key, signature = _signature(value["sig"])
    return Event.of(value["event"]), key, signature, length


def unsigned_event(value: Any) -> tuple[Event, int | None]:
    """One event that the service is to sign in a session of its author's, and the length that its stream must have."""
    if type(value) is not dict or not {"event"} <= value.keys() <= {"event", "expect"}:
        raise EventError("expected an object of event and optionally expect, or a sig as well")
    length = _expected(value["expect"]) if "expect" in value else None
    return Event.of(value["event"]), length


def sent_bundle(value: Any) -> tuple[list[Event], str, bytes]:
    """A bundle: its 1 to `BUNDLE_LIMIT` events, key id, signature of 64 bytes."""
    if type(value) is not dict or value.keys() != {"events", "sig"}:
        raise EventError("expected an object of events and sig")
    values = value["events"]
    if type(values) is not list or not 1 <= len(values) <= BUNDLE_LIMIT:
        raise EventError(f"events: expected a list of 1 to {BUNDLE_LIMIT}")
    key, signature = _signature(value["sig"])
    events = []
    for index, event in enumerate(values):
        try:
            events.append(Event.of(event))
        except EventError as error:
            raise EventError(f"events.{index}: {error}") from error
    return events, key, signature


def count_of(value: Any) -> int:
    """How many events a bundle has, if it is one; else 0."""
    events = value.get("events") if type(value) is dict else None
    return len(events) if type(events) is list else 0


def _expected(value: Any) -> int:
    if type(value) is dict and value.keys() == {"stream_seq"}:
        length = value["stream_seq"]
        if type(length) is int and length >= 0:
            return length
    raise EventError("expect: expected an object of stream_seq, a number from 0")


def _signature(value: Any) -> tuple[str, bytes]:
    if type(value) is not dict or value.keys() != {"key", "value"}:
        raise EventError("sig: expected an object of key and value")
    if type(value["key"]) is not str or type(value["value"]) is not str:
        raise EventError("sig: expected text")
    if not _KEY(value["key"]):
        raise EventError(f"sig.key: got {value['key'][:40]!r}, expected a key's id k_…")
    try:
        return value["key"], b64decode(value["value"], SIGNATURE_BYTES)
    except CryptoError as error:
        raise EventError(f"sig.value: {error}") from error
