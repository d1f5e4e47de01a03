"""Canonical JSON: RFC 8785 restricted to what every implementation writes alike.

Objects, arrays, strings, integers, true, false; keys `[a-z][a-z0-9_]*`; |n| < 2^53; no control
characters; no null. Inside these rules orjson, the standard library and an RFC 8785 library give the
same bytes, so orjson is used when it is there and nothing depends on it.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from crypto.errors import CanonicalError

EVENT_DEPTH = 8
"""Deepest nesting of a canonical document; the outermost object is 1."""
ENTRY_DEPTH = 12
"""Deepest nesting of an entry, which holds an event."""
INTEGER_LIMIT = 2**53
"""Integers lie strictly between minus this and this."""

_KEY = re.compile(r"[a-z][a-z0-9_]*\Z").match
_FORBIDDEN = re.compile("[\x00-\x1f\ud800-\udfff]").search

_loads: Callable[[bytes], Any]
_write: Callable[[Any], bytes]

_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def standard_write(value: Any) -> bytes:
    """Canonical bytes of an already walked `value`, by the standard library."""
    return _ENCODER.encode(value).encode()


def standard_loads(data: bytes) -> Any:
    """The JSON value of UTF-8 `data`, by the standard library; bytes only, no other encodings."""
    return json.loads(data.decode())


try:
    import orjson
except ImportError:
    _loads, _write = standard_loads, standard_write
else:

    def _orjson_write(value: Any) -> bytes:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)

    _loads, _write = orjson.loads, _orjson_write


def write(value: Any) -> bytes:
    """Canonical bytes of a `value` that was walked before, or built from checked parts."""
    return _write(value)


def walk(value: Any, depth: int = EVENT_DEPTH) -> None:
    """Check types, keys, integers, characters and nesting of `value`; raises CanonicalError."""
    kind = type(value)
    if kind is str:
        if _FORBIDDEN(value):
            raise CanonicalError(f"got {value[:40]!r}, expected text without control characters")
    elif kind is int:
        if not -INTEGER_LIMIT < value < INTEGER_LIMIT:
            raise CanonicalError(f"got the integer {value}, expected |n| < 2^53")
    elif kind is dict:
        if depth < 1:
            raise CanonicalError("got deeper nesting than allowed")
        for key, member in value.items():
            if type(key) is not str or not _KEY(key):
                raise CanonicalError(f"got the key {str(key)[:40]!r}, expected [a-z][a-z0-9_]*")
            walk(member, depth - 1)
    elif kind is list:
        if depth < 1:
            raise CanonicalError("got deeper nesting than allowed")
        for member in value:
            walk(member, depth - 1)
    elif kind is not bool:
        raise CanonicalError(
            f"got a value of type {kind.__name__}, expected object, array, string, integer or boolean"
        )


def encode(value: Any, depth: int = EVENT_DEPTH) -> bytes:
    """Canonical bytes of `value`; raises CanonicalError for what the rules don't allow."""
    walk(value, depth)
    return _write(value)


def loads(data: bytes) -> Any:
    """The JSON value of `data`, not yet walked and not yet compared; raises CanonicalError."""
    try:
        return _loads(data)
    except (ValueError, RecursionError) as error:
        raise CanonicalError(f"got bytes that are not JSON in UTF-8 ({error})") from error


def parse(data: bytes, depth: int = EVENT_DEPTH) -> Any:
    """The value of canonical `data`: parse, walk, write again, compare; raises CanonicalError."""
    value = loads(data)
    walk(value, depth)
    if _write(value) != data:
        raise CanonicalError(
            "got JSON that is not canonical (order, white space or a repeated key)"
        )
    return value
