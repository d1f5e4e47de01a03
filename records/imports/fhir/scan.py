"""Bundles as they came: each resource with its exact bytes, and parsed for looking only.

The spans come from the C scanner of `json`. Nothing here writes a number: a round trip through
floats changes one decimal in nine (1.10 becomes 1.1), and in FHIR the digits are part of the value.
"""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from records.imports.fhir.walk import is_text

BUNDLE_TYPES = ("transaction", "batch", "collection")

_SPACE = re.compile(r"[ \t\n\r]*")
_TYPE = re.compile(r"[A-Z][A-Za-z]*")


class FhirError(ValueError):
    """Not FHIR that can be imported; says where, what was got and what was expected."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a bundle. `raw`: its exact UTF-8 bytes; `body`: parsed, never written."""

    type: str
    id: str | None
    full_url: str | None
    raw: bytes
    body: dict[str, Any]


def scan_bundle(data: bytes) -> tuple[str, list[Resource]]:
    """Return the bundle's type and its resources in source order.

    `data` is JSON in UTF-8, with or without a byte order mark. FhirError names the JSON path and
    the byte, counted from the start of `data`.
    """
    mark = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    try:
        text = data[mark:].decode("utf-8")
    except UnicodeDecodeError as error:
        at = mark + error.start
        raise FhirError(f"byte {at}: got 0x{data[at]:02x}, expected JSON in UTF-8") from None
    return _Cursor(text, mark).bundle()


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry's members, and where its resource stands, in characters."""

    members: dict[str, Any]
    start: int
    end: int


class _Cursor:
    """A place in the text of one bundle that only moves forward."""

    def __init__(self, text: str, mark: int) -> None:
        self._text = text
        self._mark = mark
        self._at = 0

    def bundle(self) -> tuple[str, list[Resource]]:
        """Read the whole text; the kind is judged before the entries, wherever it stands."""
        envelope: dict[str, Any] = {}
        entries: list[_Entry] = []
        for key in self._members("Bundle"):
            if key == "entry":
                entries = list(self._entries())
            else:
                envelope[key] = self._value(f"Bundle.{key}")
        if self._peek():
            self._refuse("Bundle", f"got {_shown(self._peek())}, expected the end")
        return self._kind(envelope), [self._resource(i, e) for i, e in enumerate(entries)]

    def _entries(self) -> Iterator[_Entry]:
        for index in self._items("Bundle.entry"):
            path = f"Bundle.entry[{index}]"
            members: dict[str, Any] = {}
            self._peek()
            start = end = self._at
            for key in self._members(path):
                before = self._at
                members[key] = self._value(f"{path}.{key}")
                if key == "resource":
                    start, end = before, self._at
            yield _Entry(members, start, end)

    def _kind(self, envelope: dict[str, Any]) -> str:
        if envelope.get("resourceType") != "Bundle":
            got = _shown(envelope.get("resourceType"))
            raise FhirError(f"Bundle.resourceType: got {got}, expected 'Bundle'")
        kind = envelope.get("type")
        if not isinstance(kind, str) or kind not in BUNDLE_TYPES:
            expected = ", ".join(BUNDLE_TYPES)
            raise FhirError(f"Bundle.type: got {_shown(kind)}, expected one of {expected}")
        return kind

    def _resource(self, index: int, entry: _Entry) -> Resource:
        path = f"Bundle.entry[{index}]"
        body = entry.members.get("resource")
        if not isinstance(body, dict):
            self._refuse(f"{path}.resource", f"got {_shown(body)}, expected an object", entry.start)
        kind = body.get("resourceType")
        if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
            got = f"got {_shown(kind)}, expected the name of a type"
            self._refuse(f"{path}.resource.resourceType", got, entry.start)
        identity, url = body.get("id"), entry.members.get("fullUrl")
        for name, value in (("resource.id", identity), ("fullUrl", url)):
            if value is not None and not is_text(value):
                self._refuse(f"{path}.{name}", f"got {_shown(value)}, expected text", entry.start)
        # Strict UTF-8 decodes and encodes to the same bytes, so this is the slice of the source.
        raw = self._text[entry.start : entry.end].encode("utf-8")
        return Resource(kind, identity, url, raw, body)

    def _members(self, path: str) -> Iterator[str]:
        """Yield each key of an object with the cursor at its value, which the caller reads."""
        self._take("{", path)
        seen: set[str] = set()
        while self._more("}", path, first=not seen):
            if self._peek() != '"':
                self._refuse(path, f"got {_shown(self._peek())}, expected a key")
            key = self._value(path)
            if key in seen:
                self._refuse(path, f"got the key {_shown(key)} twice, expected it once")
            seen.add(key)
            self._take(":", path)
            self._peek()
            yield key

    def _items(self, path: str) -> Iterator[int]:
        """Yield each index of an array with the cursor at its value, which the caller reads."""
        self._take("[", path)
        index = 0
        while self._more("]", path, first=index == 0):
            self._peek()
            yield index
            index += 1

    def _value(self, path: str) -> Any:
        try:
            value, self._at = _DECODER.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            self._refuse(path, f"not JSON: {error.msg}", error.pos)
        except RecursionError:
            self._refuse(path, "got too deep a nesting, expected a resource")
        except FhirError as error:
            self._refuse(path, str(error))
        except (ArithmeticError, ValueError):
            self._refuse(path, "got a number beyond any range, expected one that FHIR has")
        return value

    def _peek(self) -> str:
        """Skip white space; return the character there, empty at the end."""
        space = _SPACE.match(self._text, self._at)
        self._at = space.end() if space else self._at
        return self._text[self._at : self._at + 1]

    def _take(self, mark: str, path: str) -> None:
        if self._peek() != mark:
            self._refuse(path, f"got {_shown(self._peek())}, expected {mark!r}")
        self._at += 1

    def _more(self, close: str, path: str, *, first: bool) -> bool:
        """Step over a comma, or over the closing mark: whether another element follows."""
        found = self._peek()
        if found == close:
            self._at += 1
            return False
        if not first:
            self._take(",", path)
        return True

    def _refuse(self, path: str, why: str, at: int | None = None) -> NoReturn:
        at = self._at if at is None else at
        place = self._mark + len(self._text[:at].encode("utf-8"))
        raise FhirError(f"{path}, byte {place}: {why}") from None


def _shown(value: object) -> str:
    """Name what was got in a message, without pouring a whole resource into it."""
    if isinstance(value, str):
        return repr(value[:40]) if value else "nothing"
    return "nothing" if value is None else type(value).__name__


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that stands twice: two readers would see two different patients in it."""
    members = dict(pairs)
    if len(members) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise FhirError(f"got the key {_shown(twice)} twice, expected it once")
    return members


def _no_constant(name: str) -> NoReturn:
    raise FhirError(f"got {name}, expected JSON, which has no such number")


# Decimal: whoever looks sees the source's digits, and json.dumps of a body fails, as it should.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=Decimal, parse_constant=_no_constant
)
