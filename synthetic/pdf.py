"""A synthetic letter as a one-page PDF 1.7 (ISO 32000-1)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

HEADER = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"  # the second line says: binary (7.5.2)
A4_POINTS = (595, 842)
MARGIN_POINTS = 72
SIZE_POINTS = 11
LEADING_POINTS = 16
LINE_MOST_CHARACTERS = 78  # what fits between the margins
LINES_MOST = 42


def letter_pdf(title: str, lines: Sequence[str], file_id: bytes) -> bytes:
    """A page with a title and lines of text, uncompressed; `file_id` is 16 bytes.

    The font knows Windows-1252 only: other letters lose their marks, and what is no letter then
    becomes a question mark. Lines beyond the page, and what exceeds a line, are cut.
    """
    content = _content([title, "", *lines][:LINES_MOST])
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 5 0 R" % A4_POINTS
        + b" /Resources << /Font << /F1 4 0 R >> >> >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Title %s /Producer (Heartwood synthetic records) >>" % _string(title),
    ]
    return _file(objects, file_id=file_id.hex().encode())


def _content(lines: list[str]) -> bytes:
    """The page's text, from the top margin down (9.4)."""
    top = A4_POINTS[1] - MARGIN_POINTS
    begin = f"BT /F1 {SIZE_POINTS} Tf {LEADING_POINTS} TL {MARGIN_POINTS} {top} Td".encode()
    return b"\n".join([begin, *(_string(line) + b" Tj T*" for line in lines), b"ET"])


def _string(text: str) -> bytes:
    """A literal string (7.3.4.2); what isn't printable becomes a question mark."""
    line = text[:LINE_MOST_CHARACTERS]
    plain = line.isascii() and line.isprintable()
    raw = line.encode() if plain else b"".join(map(_letter, line))
    for special in (b"\\", b"(", b")"):
        raw = raw.replace(special, b"\\" + special)
    return b"(" + raw + b")"


def _letter(char: str) -> bytes:
    """A character in Windows-1252, else the letter that its marks are on, else a question mark."""
    if not char.isprintable():
        return b"?"
    for form in (char, unicodedata.normalize("NFD", char)[0], _PLAIN.get(char, "?")):
        try:
            return form.encode("cp1252")
        except UnicodeEncodeError:
            continue
    return b"?"


_PLAIN = {"Ł": "L", "ł": "l", "ı": "i"}
"""Letters of the names here whose marks Unicode does not take off."""


def _file(objects: list[bytes], file_id: bytes) -> bytes:
    """Header, objects from number 1 on, cross-reference table and trailer (7.5)."""
    file = bytearray(HEADER)
    entries = [b"0000000000 65535 f \n"]
    for number, body in enumerate(objects, start=1):
        entries.append(b"%010d 00000 n \n" % len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(file)
    file += b"xref\n0 %d\n" % len(entries) + b"".join(entries)
    file += b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R" % (len(entries), len(objects))
    file += b" /ID [<%s> <%s>] >>\nstartxref\n%d\n%%%%EOF\n" % (file_id, file_id, start)
    return bytes(file)
