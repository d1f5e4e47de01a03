"""Bundles as they came: each resource with its exact bytes, and parsed for looking only.

The spans come from the C scanner of `json`. Nothing here writes a number: a round trip through
floats changes one decimal in nine (1.10 becomes 1.1), and in FHIR the digits are part of the value.
"""

import codecs
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from imports.errors import FhirError
from imports.fhir.walk import is_text

BUNDLE_TYPES = ("transaction", "batch", "collection")
ENTRY_BYTES = 32
"""What the entries of a bundle have at least on average: what is kept of each takes ten times as much."""
ENTRIES_FREE = 10_000
"""So many are read whatever their length."""
ALONE = "resource"
"""The type given to a resource that came without a bundle."""

_SPACE = re.compile(r"[ \t\n\r]*")
_TYPE = re.compile(r"[A-Z][A-Za-z]*")


class _Unfit(FhirError):
    """A value that is JSON, and yet cannot be taken: the rest of the text can be read on."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a bundle. `raw`: its exact UTF-8 bytes; `body`: parsed, never written."""

    type: str
    id: str | None
    full_url: str | None
    raw: bytes
    body: dict[str, Any]
    position: str = ""
    """Where it stood: `entry[3]`; empty for a resource without a bundle."""
    around: tuple[Any, ...] = ()
    """`meta.security` of its bundle, which is said of each resource in it."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An entry that holds no resource that can be taken. `raw`: its bytes as they came."""

    position: str
    reason: str
    raw: bytes


def scan_bundle(data: bytes) -> tuple[str, list[Resource]]:
    """Return the bundle's type and its resources in source order; every entry must be readable.

    `data` is JSON in UTF-8, with or without a byte order mark. FhirError names the JSON path and
    the byte, counted from the start of `data`.
    """
    kind, entries = scan_entries(data)
    found = [entry for entry in entries if isinstance(entry, Resource)]
    for entry in entries:
        if isinstance(entry, Unreadable):
            raise FhirError(entry.reason)
    if kind == ALONE:
        raise FhirError(f"Bundle.resourceType: got {found[0].type!r}, expected 'Bundle'")
    return kind, found


def scan_entries(data: bytes) -> tuple[str, list[Resource | Unreadable]]:
    """Return the bundle's type and what its entries hold, in source order.

    A resource that came without a bundle is one entry of the type ALONE. FhirError where the text
    as a whole is not valid JSON, or not a bundle.
    """
    mark = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    try:
        text = data[mark:].decode("utf-8")
    except UnicodeDecodeError as error:
        at = mark + error.start
        raise FhirError(f"byte {at}: got 0x{data[at]:02x}, expected JSON in UTF-8") from None
    return _Cursor(text, mark).bundle()


@dataclass(slots=True)
class _Entry:
    """An entry's members, where it and its resource stand, in characters, and why it can't be taken."""

    members: dict[str, Any]
    begin: int
    start: int
    end: int
    close: int = 0
    reason: str = ""


class _Cursor:
    """A place in the text of one bundle that only moves forward."""

    def __init__(self, text: str, mark: int) -> None:
        self._text = text
        self._mark = mark
        self._at = 0
        self._counted = 0, mark
        """A place and its byte, from which those behind it are counted."""

    def bundle(self) -> tuple[str, list[Resource | Unreadable]]:
        """Read the whole text; the kind is judged before the entries, wherever it stands."""
        envelope: dict[str, Any] = {}
        entries: list[_Entry] = []
        self._peek()
        begin = self._at
        for key in self._members("Bundle"):
            if key == "entry":
                entries = list(self._entries())
            else:
                envelope[key] = self._value(f"Bundle.{key}")
        close = self._at
        if self._peek():
            self._refuse("Bundle", f"got {_shown(self._peek())}, expected the end")
        kind = envelope.get("resourceType")
        if isinstance(kind, str) and kind != "Bundle" and _TYPE.fullmatch(kind):
            if entries:  # a List has entries too, which are members like any other
                self._at = begin
                envelope = self._value("resource")
            return ALONE, [
                self._resource("", _Entry({"resource": envelope}, begin, begin, close, close))
            ]
        meta = envelope.get("meta")
        said = meta.get("security", []) if isinstance(meta, dict) else []
        around = tuple(said) if isinstance(said, list) else (said,)
        return self._kind(envelope), [
            self._resource(f"entry[{i}]", e, around) for i, e in enumerate(entries)
        ]

    def _entries(self) -> Iterator[_Entry]:
        for index in self._items("Bundle.entry"):
            path = f"Bundle.entry[{index}]"
            if index >= ENTRIES_FREE and index * ENTRY_BYTES > self._at:
                self._refuse(
                    path, f"got entries of less than {ENTRY_BYTES} bytes, expected resources"
                )
            self._peek()
            entry = _Entry({}, self._at, self._at, self._at)
            if self._peek() != "{":
                entry.reason = f"{self._place(path)}: got {_shown(self._peek())}, expected '{{'"
                self._skip(path)
            else:
                self._entry(path, entry)
            entry.close = self._at
            yield entry

    def _entry(self, path: str, entry: _Entry) -> None:
        for key in self._members(path):
            before = self._at
            try:
                entry.members[key] = self._value(f"{path}.{key}")
            except _Unfit as error:
                entry.reason = entry.reason or str(error)
                self._skip(path)
            if key == "resource":
                entry.start, entry.end = before, self._at

    def _kind(self, envelope: dict[str, Any]) -> str:
        if envelope.get("resourceType") != "Bundle":
            got = _shown(envelope.get("resourceType"))
            raise FhirError(f"Bundle.resourceType: got {got}, expected 'Bundle'")
        kind = envelope.get("type")
        if not isinstance(kind, str) or kind not in BUNDLE_TYPES:
            expected = ", ".join(BUNDLE_TYPES)
            raise FhirError(f"Bundle.type: got {_shown(kind)}, expected one of {expected}")
        return kind

    def _resource(
        self, position: str, entry: _Entry, around: tuple[Any, ...] = ()
    ) -> Resource | Unreadable:
        # Strict UTF-8 decodes and encodes to the same bytes, so these are slices of the source.
        if reason := entry.reason or self._unfit(f"Bundle.{position}".rstrip("."), entry):
            return Unreadable(
                position, reason, self._text[entry.begin : entry.close].encode("utf-8")
            )
        body, url = entry.members["resource"], entry.members.get("fullUrl")
        raw = self._text[entry.start : entry.end].encode("utf-8")
        return Resource(body["resourceType"], body.get("id"), url, raw, body, position, around)

    def _unfit(self, path: str, entry: _Entry) -> str:
        """Why an entry's members hold no resource that can be taken; empty if they do."""
        body = entry.members.get("resource")
        if reason := _not_carried_out(entry.members.get("request"), body):
            return f"{self._place(path, entry.begin)}: {reason}"
        if not isinstance(body, dict):
            return f"{self._place(path + '.resource', entry.start)}: got {_shown(body)}, expected an object"
        kind = body.get("resourceType")
        if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
            place = self._place(f"{path}.resource.resourceType", entry.start)
            return f"{place}: got {_shown(kind)}, expected the name of a type"
        for name, value in (
            ("resource.id", body.get("id")),
            ("fullUrl", entry.members.get("fullUrl")),
        ):
            if value is not None and not is_text(value):
                place = self._place(f"{path}.{name}", entry.start)
                return f"{place}: got {_shown(value)}, expected text"
        return ""

    def _skip(self, path: str) -> None:
        """Step over a value that is JSON but cannot be taken."""
        try:
            _, self._at = _LENIENT.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            self._refuse(path, f"not JSON: {error.msg}", error.pos)
        except (RecursionError, ArithmeticError, ValueError):
            self._refuse(path, "got too deep a nesting or too long a number, expected a resource")

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
            raise _Unfit(f"{self._place(path)}: {error}") from None
        except (ArithmeticError, ValueError):
            number = "got a number beyond any range, expected one that FHIR has"
            raise _Unfit(f"{self._place(path)}: {number}") from None
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
        raise FhirError(f"{self._place(path, at)}: {why}") from None

    def _place(self, path: str, at: int | None = None) -> str:
        at = self._at if at is None else at
        before, count = self._counted if self._counted[0] <= at else (0, self._mark)
        self._counted = at, count + len(self._text[before:at].encode("utf-8"))
        return f"{path}, byte {self._counted[1]}"


def _not_carried_out(request: object, body: object) -> str:
    """Why a request of a transaction brings nothing to import; empty where it does."""
    method = request.get("method") if isinstance(request, dict) else None
    if not isinstance(request, dict) or not isinstance(method, str):
        return ""
    url = str(request.get("url") or "")[:80]
    if method in ("DELETE", "PATCH"):
        return f"got {method} of {url!r}, which an import does not carry out; do it by hand"
    if method in ("GET", "HEAD") and body is None:
        return f"got {method} of {url!r}, which asks for something and holds nothing to import"
    return ""


def _shown(value: object) -> str:
    """Name what was got in a message, without pouring a whole resource into it."""
    if isinstance(value, str):
        return repr(value[:40]) if value else "nothing"
    return "nothing" if value is None else type(value).__name__


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that stands twice: two readers would see two different patients in it."""
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key, count in counts.items() if count > 1)
        raise FhirError(f"got the key {_shown(twice)} twice, expected it once")
    return members


def _no_constant(name: str) -> NoReturn:
    raise FhirError(f"got {name}, expected JSON, which has no such number")


_LENIENT = json.JSONDecoder(parse_int=str, parse_float=str)
# Decimal: whoever looks sees the source's digits, and json.dumps of a body fails, as it should.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=Decimal, parse_constant=_no_constant
)
