"""Texts from outside: made printable, and files of text read whatever an editor did to their form."""

import codecs
import re

from crypto.errors import FormError

_UNPRINTABLE = (
    "\x00-\x1f\x7f-\x9f"  # C0, delete, C1: terminals obey some of them
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # ends of lines, and what turns the order of letters
    "\ud800-\udfff\ufdd0-\ufdef"  # lone surrogates, noncharacters
    + "".join(
        f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000)
    )
)
_find = re.compile(f"[{_UNPRINTABLE}]").search
_replace = re.compile(f"[{_UNPRINTABLE}]").sub
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def is_printable(text: str) -> bool:
    """Whether `text` shows as what it is: no control (C0, C1), bidirectional control, line or paragraph
    separator, lone surrogate or noncharacter."""
    return _find(text) is None


def printable(text: str) -> str:
    """`text` in one line that shows as what it is; what `is_printable` refuses becomes `\\x1b`, `\\u202e`, …"""
    return _replace(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    width, letter = (2, "x") if code < 0x100 else (4, "u") if code < 0x10000 else (8, "U")
    return f"\\{letter}{code:0{width}x}"


def plain_text(data: bytes, what: str) -> bytes:
    """A file of text as UTF-8 without a byte order mark, whose lines, also the last, end in one newline.

    Editors and mail programs alter marks, encodings and ends of lines, which proves nothing about the
    content. `what` names the file in messages. Raises FormError for what is no text.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                data = data[len(mark) :].decode(encoding).encode()
            except UnicodeError as error:
                raise FormError(
                    f"{what}: got a file that begins like {encoding.upper()} but isn't, expected UTF-8"
                ) from error
            break
    data = data.replace(b"\r\n", b"\n").rstrip(b"\n")
    return data + b"\n" if data else data


_PLURALS = {
    "acknowledged entry": "acknowledged entries",
    "entry": "entries",
    "inquiry": "inquiries",
}


def counted(number: int, what: str) -> str:
    """`number` and the noun `what` in the number that fits: 1 entry, 2 entries."""
    return f"{number} {what if number == 1 else _PLURALS.get(what, what + 's')}"
