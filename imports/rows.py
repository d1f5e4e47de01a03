"""Rows of a CSV file with their exact bytes: where each begins, and on which line."""

import csv
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import BinaryIO, NamedTuple

ROW_BYTES = 1 << 20
"""A row that is longer is set aside: a quote that is never closed would make one row of the whole file."""


class Row(NamedTuple):
    """A row as it stands in its file."""

    offset: int
    """Of its first byte."""
    line: int
    """From 1; the first that it takes."""
    raw: bytes
    """With its line end, if it has one; empty when it is too long to be held."""
    problem: str = ""
    """Why it cannot be read; empty when it can."""


def rows(stream: BinaryIO, delimiter: str) -> Iterator[Row]:
    """The rows from where the stream stands, empty lines left out; it must be able to seek.

    Encodings that keep ASCII as it is (UTF-8, windows-1252, ISO 8859) can be read so, others cannot. A quote
    opens at the beginning of a field only (RFC 4180). Where it is never closed, the line that opened it is a
    row with a problem, and reading goes on with the next line.
    """
    line = 1
    while True:
        offset = stream.tell()
        raw = stream.readline(ROW_BYTES)
        if not raw:
            return
        lines, problem = 1, ""
        if len(raw) == ROW_BYTES and not raw.endswith(b"\n"):
            _skip_line(stream)
            raw, problem = b"", f"got a line longer than {ROW_BYTES} bytes, expected a shorter one"
        elif _open(raw, delimiter):
            whole = _closed(stream, raw, delimiter)
            if whole is None:
                stream.seek(offset + len(raw))
                problem = "got a quote that is not closed, expected its end"
            else:
                raw, lines = whole, whole.count(b"\n", 0, -1) + 1
        if raw.strip() or problem:
            yield Row(offset, line, raw, problem)
        line += lines


def fields(text: str, delimiter: str) -> list[str]:
    """The fields of one row as text; csv.Error when they are none."""
    found = list(csv.reader([text], delimiter=delimiter, strict=True))
    if len(found) != 1:
        raise csv.Error(f"got {len(found)} rows, expected one")
    return found[0]


def _skip_line(stream: BinaryIO) -> None:
    while (piece := stream.readline(ROW_BYTES)) and not piece.endswith(b"\n"):
        pass


def _closed(stream: BinaryIO, first: bytes, delimiter: str) -> bytes | None:
    """The row that begins with the line `first`, with the lines that its quotes take; None without an end."""
    lines, size = [first], len(first)
    while True:
        more = stream.readline(ROW_BYTES)
        size += len(more)
        if not more or size > ROW_BYTES:
            return None
        lines.append(more)
        if not _open(more, delimiter, inside=True):
            return b"".join(lines)


def _open(line: bytes, delimiter: str, *, inside: bool = False) -> bool:
    """Whether a quote that opens a field is still open at the end; `inside`: one is at the beginning."""
    if b'"' not in line:
        return inside
    rest, outside = _patterns(delimiter)
    return (rest if inside else outside).fullmatch(line) is None


@lru_cache
def _patterns(delimiter: str) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Fields of which each that begins with a quote has its end: from within a quoted one on, and whole.

    There is one way only to read a line, so they take linear time. Not possessive: re of Python 3.11.2 then
    misses matches.
    """
    d = re.escape(delimiter.encode("ascii"))
    quoted = rb'[^"]*(?:""[^"]*)*"(?!")[^%b]*' % d
    field = rb'(?:"%b|[^"%b][^%b]*)?' % (quoted, d, d)
    more = rb"(?:%b%b)*" % (d, field)
    return re.compile(quoted + more), re.compile(field + more)
