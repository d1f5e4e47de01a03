"""HL7 v2 as bytes and as fields: where each message begins and ends, and what stands at a place of it."""

import re
from collections.abc import Iterator
from typing import NamedTuple

HEADER_FIELDS = 25
_SEGMENT = re.compile(rb"[^\r\n\x0b\x1c]+")
_HEADER = re.compile(rb"MSH[^\w\s]")
_ENVELOPES = (b"FHS", b"BHS", b"BTS", b"FTS")
_NULL = '""'
"""What HL7 writes to say that a value is to be deleted."""
_ESCAPES = "FSTRE"


class BrokenMessage(ValueError):
    """A message that cannot be taken apart; says why."""


class Piece(NamedTuple):
    """A message, or segments that belong to none, with the bytes that came between the first and the last."""

    raw: bytes
    is_message: bool


def split_messages(data: bytes) -> Iterator[Piece]:
    """The messages of a file in UTF-8 or another encoding that keeps ASCII, without frames and envelopes."""
    start, end, is_message = -1, 0, False
    for found in _SEGMENT.finditer(data, 3 if data.startswith(b"\xef\xbb\xbf") else 0):
        segment = found.group()
        begins = _HEADER.match(segment) is not None
        outer = segment[:3] in _ENVELOPES
        if start >= 0 and (begins or outer):
            yield Piece(data[start:end], is_message)
            start = -1
        if outer or (start < 0 and not segment.strip()):
            continue
        if start < 0:
            start, is_message = found.start(), begins
        end = found.end()
    if start >= 0:
        yield Piece(data[start:end], is_message)


def header_fields(raw: bytes) -> list[str]:
    """The fields of MSH by their numbers, without a parse: MSH-1 is the separator itself."""
    first = _SEGMENT.match(raw)
    text = (first.group() if first else b"").decode("latin-1")
    fields = ["MSH", text[3:4], *text[4:].split(text[3:4] or "|")]
    return fields + [""] * (HEADER_FIELDS - len(fields))


class Message:
    """A parsed message. Places are numbered from 1, as the standard does; what is not there is empty."""

    def __init__(self, tree: list[list[object]], escape: str, separators: str) -> None:
        """`tree`: segments of fields as python-hl7 parses them; `separators`: what F, S, T and R stand for."""
        self._segments: dict[str, list[list[object]]] = {}
        for segment in tree:
            self._segments.setdefault(str(segment[0]), []).append(segment)
        self._escape = escape
        self._meant = dict(zip(_ESCAPES, [*separators, escape], strict=True))

    def count(self, segment: str) -> int:
        """How many segments of this name it has."""
        return len(self._segments.get(segment, ()))

    def repetitions(self, segment: str, field: int, at: int = 1) -> int:
        """How often the field is repeated in the segment's `at`-th occurrence."""
        found = self._field(segment, field, at)
        return len(found) if isinstance(found, list) else 0

    def raw(self, segment: str, field: int) -> str:
        """The whole field as it came."""
        return str(self._field(segment, field, 1) or "")

    def text(
        self,
        segment: str,
        field: int,
        nth: int = 1,
        component: int = 1,
        part: int = 1,
        *,
        at: int = 1,
    ) -> str:
        """One value with its escapes undone and without spaces around; empty where HL7 says null."""
        value = self._field(segment, field, at)
        for number in (nth, component, part):
            if isinstance(value, list):
                value = value[number - 1] if number <= len(value) else ""
            elif number != 1:
                return ""
        while isinstance(value, list):
            value = value[0] if value else ""
        return "" if value == _NULL else self._unescaped(str(value)).strip()

    def _field(self, segment: str, field: int, at: int) -> object:
        found = self._segments.get(segment, ())
        if not 1 <= at <= len(found) or field >= len(found[at - 1]):
            return ""
        return found[at - 1][field]

    def _unescaped(self, value: str) -> str:
        # Of our own: python-hl7 drops what it does not know, and `\\.sp999999999\\` makes it write a gigabyte.
        mark = re.escape(self._escape)
        if not self._escape or self._escape not in value:
            return value
        value = re.sub(rf"{mark}\.(?:br|sp)[0-9+]*{mark}", " ", value)
        return re.sub(rf"{mark}([{_ESCAPES}]){mark}", lambda found: self._meant[found[1]], value)


def parse_message(text: str) -> Message:
    """A message taken apart by python-hl7; BrokenMessage when it has not the form of one."""
    # Loaded here: most imports meet no message.
    import hl7

    lines = [line for line in re.split("[\r\n\x0b\x1c]+", text) if line.strip()]
    bad = next(
        (line for line in lines if not re.match(r"[A-Z][A-Z0-9]{2}([^\w\s]|\Z)", line)), None
    )
    if bad is not None:
        raise BrokenMessage(f"got a segment that begins {bad[:20]!r}, expected a name like PID")
    try:
        tree = hl7.parse("\r".join(lines))
    except Exception as error:  # the library promises no error type for what is no message
        raise BrokenMessage(f"{type(error).__name__}: {error}") from error
    _, field, repeat, component, part = list(str(tree.separators))
    return Message(list(tree), str(tree.esc), f"{field}{component}{part}{repeat}")
