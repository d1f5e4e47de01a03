"""HL7 v2 as bytes and as fields: where each message begins and ends, and what stands at a place of it."""

import mmap
import re
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

Data = bytes | mmap.mmap
HEADER_FIELDS = 25
MARKS_LIMIT = 100_000
"""Most separators of one segment: each makes objects of some 500 bytes."""
CR, CRLF, LF = "\r", "\r\n", "\n"
_SEGMENT = re.compile(rb"[^\r\n\x0b\x1c]+")
_HEADER = re.compile(rb"MSH[^\w\s]")
_FULL_HEADER = re.compile(rb"MSH([^\w\s])[^\w\s]{2,6}\1(?:[^\r\n]*?\1){6}")
"""A header as far as MSH-9: no text that quotes a few letters of one."""
_NAMED = re.compile(rb"[A-Z][A-Z0-9]{2}[^\w\s]")
_ENVELOPES = (b"FHS", b"BHS", b"BTS", b"FTS")
_LINES = re.compile("[\r\x0b\x1c]+")
_ANY_LINES = re.compile("[\r\n\x0b\x1c]+")
_NULL = '""'
"""What HL7 writes to say that a value is to be deleted."""
_ESCAPES = "FSTRE"


class BrokenMessage(ValueError):
    """A message that cannot be taken apart; says why."""


class Piece(NamedTuple):
    """A message, or segments that belong to none, with the bytes that came between the first and the last."""

    raw: bytes
    is_message: bool
    end: str = LF
    """With what its segments end: CR, CRLF or LF (which then may be any of them)."""
    doubt: str = ""
    """Why it cannot be said where it ends; empty where it can."""


@contextmanager
def mapped(path: Path) -> Iterator[Data]:
    """The bytes of a file, which stay on disk but for the pages that are looked at."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def split_messages(data: Data) -> Iterator[Piece]:
    """The messages of a file in UTF-8 or another encoding that keeps ASCII, without frames and envelopes.

    Where the segments of a message end with CR, or CR LF, a line feed alone stands inside a text, as the
    standard has it, and cuts nothing. One that may be either leaves the message in doubt.
    """
    start, end, is_message, style, doubt = -1, 0, False, "", ""
    for found in _SEGMENT.finditer(data, 3 if data[:3] == b"\xef\xbb\xbf" else 0):
        segment = found.group()
        if start >= 0 and is_message:
            gap = data[end : found.start()]
            style = style or _style(gap)
            if not _ends(gap, style):
                doubt = doubt or _doubt(segment, style)
                end = found.end()
                continue
        begins = _HEADER.match(segment) is not None
        outer = segment[:3] in _ENVELOPES
        if start >= 0 and (begins or outer):
            yield Piece(data[start:end], is_message, style or LF, doubt)
            start = -1
        if outer or (start < 0 and not segment.strip()):
            continue
        if start < 0:
            start, is_message, style, doubt = found.start(), begins, "", ""
        end = found.end()
    if start >= 0:
        yield Piece(data[start:end], is_message, style or LF, doubt)


def _style(gap: bytes) -> str:
    """With what segments end, by what stands after the first of them."""
    if gap.startswith(b"\r\n"):
        return CRLF
    return CR if gap.startswith(b"\r") else LF


def _ends(gap: bytes, style: str) -> bool:
    """Whether a segment ends here: not with a line end that is part of a text."""
    return style == LF or gap.strip(b"\n") != b""


def _doubt(segment: bytes, style: str) -> str:
    """Why it cannot be said whether a line end is part of a text; empty where it is."""
    ends = {CR: "CR", CRLF: "CR LF"}[style]
    if _FULL_HEADER.match(segment):
        return f"got a line feed alone before an MSH in a message whose segments end with {ends}"
    if style == CRLF and _NAMED.match(segment):
        name = segment[:3].decode("ascii")
        return f"got a line feed alone before {name} in a message whose segments end with {ends}"
    return ""


def header_fields(raw: bytes) -> list[str]:
    """The fields of MSH by their numbers, without a parse: MSH-1 is the separator itself."""
    first = _SEGMENT.match(raw)
    text = (first.group() if first else b"").decode("latin-1")
    fields = ["MSH", text[3:4], *text[4:].split(text[3:4] or "|", HEADER_FIELDS)]
    return fields + [""] * (HEADER_FIELDS - len(fields))


class Message:
    """A message whose segments are parsed when they are asked for, so that a long one takes its own length.

    Places are numbered from 1, as the standard does; what is not there is empty.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        """`lines`: its segments, MSH first."""
        self._lines: dict[str, list[str]] = {}
        self._names = [line[:3] for line in lines]
        for line in lines:
            self._lines.setdefault(line[:3], []).append(line)
        separator = lines[0][3:4]
        self._marks = lines[0][4:].partition(separator)[0]
        self._head = f"MSH{separator}{self._marks}{separator}"
        self._kept: dict[str, tuple[int, list[object]]] = {}
        """The segment of each name that was looked at last."""
        tree = _parse(self._head)
        _, field, repeat, component, part = list(str(tree.separators))
        self._escape = str(tree.esc)
        meant = [field, component, part, repeat, self._escape]
        self._meant = dict(zip(_ESCAPES, meant, strict=True))

    def count(self, segment: str) -> int:
        """How many segments of this name it has."""
        return len(self._lines.get(segment, ()))

    def order(self, names: Container[str]) -> Iterator[str]:
        """Which of these segments it has, in the order in which they stand."""
        return (name for name in self._names if name in names)

    def repetitions(self, segment: str, field: int, at: int = 1) -> int:
        """How often the field is repeated in the segment's `at`-th occurrence."""
        found = self._field(segment, field, at)
        return len(found) if isinstance(found, list) else 0

    def raw(self, segment: str, field: int, at: int = 1) -> str:
        """The whole field as it came."""
        return str(self._field(segment, field, at) or "")

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
        lines = self._lines.get(segment, ())
        if not 1 <= at <= len(lines):
            return ""
        kept, parsed = self._kept.get(segment, (0, []))
        if kept != at:
            parsed = self._segment(lines[at - 1])
            self._kept[segment] = at, parsed
        return parsed[field] if field < len(parsed) else ""

    def _segment(self, line: str) -> list[object]:
        marks = sum(line.count(mark) for mark in {self._head[3], *self._marks} - {self._escape})
        if marks > MARKS_LIMIT:
            raise BrokenMessage(
                f"got {marks} separators in one {line[:3]}, expected at most {MARKS_LIMIT}"
            )
        tree = _parse(line if line.startswith("MSH") else f"{self._head}\r{line}")
        return list(tree[-1])

    def _unescaped(self, value: str) -> str:
        # Of our own: python-hl7 drops what it does not know, and `\\.sp999999999\\` makes it write a gigabyte.
        mark = re.escape(self._escape)
        if not self._escape or self._escape not in value:
            return value
        value = re.sub(rf"{mark}\.(?:br|sp)[0-9+]*{mark}", " ", value)
        return re.sub(rf"{mark}([{_ESCAPES}]){mark}", lambda found: self._meant[found[1]], value)


def parse_message(text: str, end: str = LF) -> Message:
    """A message whose segments end with `end`, to be taken apart by python-hl7.

    BrokenMessage when it has not the form of one, here or where a place of it is looked at.
    """
    lines = [
        line.strip("\n")
        for line in (_ANY_LINES if end == LF else _LINES).split(text)
        if line.strip()
    ]
    bad = next(
        (line for line in lines if not re.match(r"[A-Z][A-Z0-9]{2}([^\w\s]|\Z)", line)), None
    )
    if bad is not None:
        raise BrokenMessage(f"got a segment that begins {bad[:20]!r}, expected a name like PID")
    if not lines or not _HEADER.match(lines[0].encode("utf-8", "replace")):
        raise BrokenMessage("got no MSH first, expected the header of a message")
    return Message(lines)


def _parse(text: str) -> Any:
    # Loaded here: most imports meet no message.
    import hl7

    try:
        return hl7.parse(text)
    except Exception as error:  # the library promises no error type for what is no message
        raise BrokenMessage(f"{type(error).__name__}: {error}") from error
