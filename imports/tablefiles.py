"""One file of a table: its bytes made into rows, and what cannot be read set aside."""

import codecs
import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from imports.cleaning import Undecodable, decode
from imports.drafts import Findings, Origin
from imports.labels import Labels
from imports.mapping import REFERENCE, Table
from imports.rows import Row, fields, rows
from imports.tablerows import Columns, Correction, Reading, Unreadable

PIECE_BYTES = 1 << 20
"""How much of a file is recoded at once."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MARKS = ((codecs.BOM_UTF8, "utf-8"), *zip(_UTF16, ("utf-16-le", "utf-16-be"), strict=True))
_BYTEWISE = re.compile("|utf-8|ascii|iso8859-[0-9]+|cp125[0-8]|cp437|cp85[0-8]|koi8-[rtu]")
"""Encodings in which delimiters, quotes and line ends are bytes of their own; empty: what the bytes say."""


class TableFile:
    """Reads one file; every row that it does not give is told to the findings."""

    def __init__(
        self, path: Path, table: Table, labels: Labels, findings: Findings, origin: Origin
    ) -> None:
        """`findings`: those of this file."""
        self.path = path
        self.table = table
        self.header = b""
        """UTF-8, without a byte order mark, with its line end; there once the first reading is."""
        self._labels = labels
        self._findings = findings
        self._origin = origin
        self._encoding = table.encoding
        self._copied = self._told = False

    def readings(self) -> Iterator[tuple[Reading, bytes | None]]:
        """The rows, each with its bytes if they are not those of the file; none of a reference table.

        A row that is taken is told with `take`, one that is not with `reject`.
        """
        with self._opened() as stream:
            found = rows(stream, self.table.delimiter) if stream else iter(())
            first = next(found, None)
            if first is None:
                return
            try:
                columns = self._columns(first)
            except Unreadable as error:
                self._reject_all(first, found, str(error))
                return
            for row in found:
                self._findings.found()
                try:
                    reading = self._read(row, columns)
                except Unreadable as error:
                    self.reject(row, str(error))
                    continue
                if reading is None:
                    self._findings.reference()
                else:
                    data = reading.text.encode("utf-8")
                    yield reading, data if self._copied or data != row.raw else None

    def take(self, reading: Reading) -> None:
        """Tell the corrections of a row that stands in a draft, and what in it is doubtful."""
        for one in reading.doubts:
            self._findings.doubt(position(reading.row.line), one.what, one.before)
        for one in reading.corrections:
            self._findings.correct(position(reading.row.line), one.what, one.before, one.after)

    def reject(self, row: Row, reason: str) -> None:
        """Set a row aside."""
        self.reject_at(row.line, reason, row.raw)

    def reject_at(self, line: int, reason: str, raw: bytes) -> None:
        """Set aside the row of this line."""
        self._findings.reject(position(line), reason, raw or None)

    @property
    def line_end(self) -> bytes:
        """That of the header."""
        return b"\r\n" if self.header.endswith(b"\r\n") else b"\n"

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO | None]:
        """The file after its byte order mark; a copy in UTF-8 if its encoding cannot be read byte by byte.

        None for one that is no text in its encoding: then it is rejected, as one.
        """
        with self.path.open("rb") as file:
            head = file.read(len(codecs.BOM_UTF8))
            mark, encoding = next((m for m in _MARKS if head.startswith(m[0])), (b"", ""))
            self._encoding = encoding or self.table.encoding
            file.seek(len(mark))
            if mark:
                what = f"byte order mark, {encoding}"
                self._findings.correct(position(1), what, mark.decode(encoding), "")
            if _BYTEWISE.fullmatch(self._encoding):
                yield file
                return
            with TemporaryFile() as copy:
                yield copy if self._copy(file, copy) else None

    def _copy(self, file: BinaryIO, copy: BinaryIO) -> bool:
        decoder = codecs.getincrementaldecoder(self._encoding)()
        try:
            while data := file.read(PIECE_BYTES):
                copy.write(decoder.decode(data).encode("utf-8"))
            copy.write(decoder.decode(b"", final=True).encode("utf-8"))
        except UnicodeError as error:
            self._findings.found()
            self._findings.reject(
                "", f"got bytes that are no {self._encoding}: {error.args[-1]}", None
            )
            return False
        self._tell_encoding()
        self._copied, self._encoding = True, "utf-8"
        copy.seek(0)
        return True

    def _columns(self, row: Row) -> Columns:
        text, recoded = self._text(row)
        columns = Columns(self.table, self._fields(text), self._labels, self._origin)
        for one in recoded:
            self._findings.correct(position(row.line), one.what, one.before, one.after)
        self.header = ended(text.encode("utf-8"), b"\n")
        return columns

    def _reject_all(self, first: Row, found: Iterator[Row], reason: str) -> None:
        """Reject every row; the header where it is all there is, so that no file goes unsaid."""
        row = None
        for row in found:
            self._findings.found()
            self.reject(row, reason)
        if row is None:
            self._findings.found()
            self.reject(first, reason)

    def _read(self, row: Row, columns: Columns) -> Reading | None:
        """None for a row of a reference table."""
        text, recoded = self._text(row)
        values = self._fields(text)
        if len(values) != columns.width:
            raise Unreadable(f"got {len(values)} fields, expected {columns.width}")
        if self.table.kind == REFERENCE:
            return None
        return columns.read(row, text, values, recoded)

    def _text(self, row: Row) -> tuple[str, tuple[Correction, ...]]:
        """The text of a row, and the correction if its encoding is its own and not that of the file."""
        if row.problem:
            raise Unreadable(row.problem)
        if b"\0" in row.raw:
            raise Unreadable(f"got a NUL as byte {row.raw.index(0)}, expected text")
        if row.raw.startswith(_UTF16):
            raise Unreadable("got a byte order mark of UTF-16 amid the file, expected text")
        try:
            text, rule = decode(row.raw, self._encoding)
        except Undecodable as error:
            raise Unreadable(str(error)) from None
        if rule is None or row.raw.isascii():
            return text, ()
        if self._encoding and not row.raw.startswith(codecs.BOM_UTF8):
            self._tell_encoding()
            return text, ()
        return text, (Correction(f"encoding: {rule}", rule.split()[-1], "utf-8"),)

    def _tell_encoding(self) -> None:
        if not self._told:
            self._told = True
            name = self._encoding
            self._findings.correct(position(1), f"encoding: read as {name}", name, "utf-8")

    def _fields(self, text: str) -> list[str]:
        try:
            return fields(text, self.table.delimiter)
        except csv.Error as error:
            raise Unreadable(f"got a row that is no CSV: {error}") from None


def position(line: int) -> str:
    """Where a row stands, for people."""
    return f"line {line}"


def ended(raw: bytes, end: bytes) -> bytes:
    """A row with a line end: the last of a file may have none, and shall not differ from another for that."""
    return raw if raw.endswith(b"\n") else raw + end
