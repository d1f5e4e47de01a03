"""Corrections of what can be said for certain: notations of dates, codes, units and encodings. Pure.

Nothing is guessed. What is right stays (None), what has one meaning only is written as FHIR writes it
(`Corrected`), and what could mean two things, or nothing, is left as it is and said (`Doubt`).
"""

import codecs
import csv
import re
from collections.abc import Collection, Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Corrected(NamedTuple):
    """A value that was written in another way, and the rule that says what it means."""

    value: str
    rule: str


class Doubt(NamedTuple):
    """Why a value is left as it is though it is not right."""

    reason: str


class Undecodable(ValueError):
    """Bytes that are no text in the encodings expected; says the byte, what was got and what was expected."""


COMPACT_YEARS = range(1800, 2200)
"""Years that `YYYYMMDD` may begin with: no DDMMYYYY of these years reads as a day of them."""
ZONE_HOURS = 14
"""No time zone is further from UTC."""

_INVISIBLE = re.compile("[\u200b\u200c\u200d\u2060\ufeff]")
_FHIR = re.compile(
    r"[0-9]{4}(-[0-9]{2}(-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?",
    re.ASCII,
)
_DAY_NOTATIONS = (
    (r"(?P<y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})", "YYYY-MM-DD"),
    (r"(?P<y>[0-9]{4})/(?P<m>[0-9]{1,2})/(?P<d>[0-9]{1,2})", "YYYY/MM/DD"),
    (r"(?P<d>[0-9]{1,2})[.](?P<m>[0-9]{1,2})[.](?P<y>[0-9]{4})", "DD.MM.YYYY"),
    (r"(?P<a>[0-9]{1,2})/(?P<b>[0-9]{1,2})/(?P<y>[0-9]{4})", "with slashes"),
)
_CLOCK = (
    r"(?:[ Tt]+(?P<H>[0-9]{2}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?P<f>[.][0-9]+)?)?"
    r"(?: ?(?P<z>[Zz]|[+-][0-9]{2}:?[0-9]{2}))?)?"
)
_COMPACT = (
    r"(?P<y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})"
    r"(?:(?P<H>[0-9]{2})(?P<M>[0-9]{2})(?:(?P<S>[0-9]{2})(?P<f>[.][0-9]+)?)?"
    r"(?P<z>[Zz]|[+-][0-9]{4})?)?"
)
_NOTATIONS = (
    (re.compile(_COMPACT, re.ASCII), "YYYYMMDD"),
    *((re.compile(day + _CLOCK, re.ASCII), name) for day, name in _DAY_NOTATIONS),
)


def clean_date(text: str) -> Corrected | Doubt | None:
    """A date or date-time as FHIR writes it; None when it is right already, or empty.

    A time without a zone stays without one, and seconds that are not given are 00, as FHIR wants them
    (R4, dateTime). Two numbers before a year with slashes count when one is above 12, or both are the same.
    """
    bare = _INVISIBLE.sub("", text).strip()
    if not bare:
        return None
    if _FHIR.fullmatch(bare):
        problem = _impossible(bare)
        if problem:
            return Doubt(problem)
        return None if bare == text else Corrected(bare, "white space")
    for pattern, notation in _NOTATIONS:
        if found := pattern.fullmatch(bare):
            return _dated(bare, notation, found.groupdict())
    return Doubt(f"got {text[:40]!r}, expected a date like 2020-01-31 or 2020-01-31T08:30:00Z")


def day_of(text: str) -> str | None:
    """`YYYY-MM-DD` of a date or date-time in any notation that `clean_date` knows; else None."""
    made = clean_date(text)
    value = made.value if isinstance(made, Corrected) else text if made is None else ""
    return value[:10] if len(value) >= len("2020-01-31") else None


def clean_code(text: str, known: Collection[str] = ()) -> Corrected | None:
    """A code without stray spaces and invisible characters, in the case of a `known` one if it is one.

    `known`: codes whose case does not tell two of them apart. A code that is not known keeps its case.
    """
    bare = _INVISIBLE.sub("", text).strip()
    if not bare or bare in known:
        return Corrected(bare, "white space") if bare and bare != text else None
    same = [code for code in known if code.lower() == bare.lower()]
    if len(same) == 1:
        return Corrected(same[0], "case")
    return Corrected(bare, "white space") if bare != text else None


@cache
def units() -> Mapping[str, str]:
    """The table `units.csv`: each variant with the UCUM unit that it is; its numbers stay the same."""
    table = files("imports").joinpath("units.csv").read_text("utf-8")
    return {row["variant"]: row["ucum"] for row in csv.DictReader(table.splitlines())}


def clean_unit(text: str) -> Corrected | None:
    """A unit as UCUM writes it, if the table knows it; never one that would need another number."""
    bare = " ".join(_INVISIBLE.sub("", text).split())
    known = units().get(bare)
    if known is not None:
        return Corrected(known, "UCUM")
    return Corrected(bare, "white space") if bare and bare != text else None


_HL7_CHARSETS = {
    "ASCII": "ascii", "UNICODE": "utf-8", "UNICODE UTF-8": "utf-8", "UNICODE UTF-16": "utf-16",
    "8859/1": "latin-1", "8859/2": "iso8859-2", "8859/3": "iso8859-3", "8859/4": "iso8859-4",
    "8859/5": "iso8859-5", "8859/6": "iso8859-6", "8859/7": "iso8859-7", "8859/8": "iso8859-8",
    "8859/9": "iso8859-9", "8859/15": "iso8859-15", "GB 18030-2000": "gb18030", "BIG-5": "big5",
    "KS X 1001": "euc-kr",
}  # fmt: skip
"""HL7 table 0211, the sets that need no switching by escapes."""

_NO_CHARSETS = ("idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "utf-7")
"""Python's codecs that no source means."""

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))  # fmt: skip
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def decode(data: bytes, declared: str = "") -> tuple[str, str | None]:
    """The text of `data`, and by which rule when it is not plain UTF-8.

    A byte order mark decides, else the charset that the source declares (an IANA name or one of HL7 table
    0211), else UTF-8, else windows-1252 if every byte means something printable in it. Undecodable otherwise.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _strictly(data, name, len(mark)), f"byte order mark, {name}"
    if declared:
        name = charset(declared)
        return _strictly(data, name), None if name in ("utf-8", "ascii") else f"read as {name}"
    try:
        return data.decode("utf-8"), None
    except UnicodeDecodeError as error:
        first = error.start
    text = data.decode("windows-1252", "replace")
    # U+FFFD stands for the five bytes that windows-1252 leaves undefined.
    if "�" in text or _CONTROL.search(text):
        raise Undecodable(f"byte {first}: got 0x{data[first]:02x}, expected UTF-8 or windows-1252")
    return text, "read as windows-1252"


def charset(declared: str) -> str:
    """Python's name of a declared charset; Undecodable when there is none."""
    name = _HL7_CHARSETS.get(declared.strip().upper(), declared.strip())
    try:
        known = codecs.lookup(name)
    except (LookupError, ValueError):
        known = None
    # `_is_text_encoding` keeps out codecs that make no text of bytes: rot13, zip, hex.
    if known is None or not known._is_text_encoding or known.name in _NO_CHARSETS:
        raise Undecodable(f"got the charset {declared[:40]!r}, expected UTF-8 or one that is known")
    return known.name


def _strictly(data: bytes, name: str, start: int = 0) -> str:
    try:
        return data[start:].decode(name)
    except UnicodeDecodeError as error:
        at = start + error.start
        got = f"0x{data[at]:02x}" if at < len(data) else "its end"
        raise Undecodable(f"byte {at}: got {got}, expected {name}") from None
    except UnicodeError as error:
        raise Undecodable(f"got bytes that are no {name}: {error}, expected {name}") from None


def _dated(bare: str, notation: str, part: dict[str, str | None]) -> Corrected | Doubt:
    if notation == "with slashes":
        first, second = int(part["a"] or 0), int(part["b"] or 0)
        if first != second and max(first, second) <= 12:
            return Doubt(f"got {bare!r}, which may be month/day or day/month; left as it is")
        dayfirst = first > 12
        notation = "DD/MM/YYYY" if dayfirst else "MM/DD/YYYY"
        part["d"], part["m"] = (part["a"], part["b"]) if dayfirst else (part["b"], part["a"])
    if notation == "YYYYMMDD" and int(part["y"] or 0) not in COMPACT_YEARS:
        return Doubt(f"got {bare!r}, expected a year from 1800 to 2199 first")
    value = f"{part['y']}-{int(part['m'] or 0):02}-{int(part['d'] or 0):02}"
    if part["H"] is not None:
        zone = (part["z"] or "").upper()
        zone = f"{zone[:3]}:{zone[-2:]}" if len(zone) > 1 else zone
        value += f"T{part['H']}:{part['M']}:{part['S'] or '00'}{part['f'] or ''}{zone}"
    problem = _impossible(value)
    return Doubt(problem) if problem else Corrected(value, f"date written {notation}")


def _impossible(value: str) -> str:
    """What is wrong with a value of FHIR's form; empty when nothing is."""
    year, month, day = (int(n) for n in (value[:4], value[5:7] or "1", value[8:10] or "1"))
    try:
        date(year, month, day)
    except ValueError:
        return f"got {value!r}, expected a day of the calendar"
    if len(value) <= 10:
        return ""
    hour, minute, second = int(value[11:13]), int(value[14:16]), int(value[17:19])
    zone = re.search(r"[+-]([0-9]{2}):([0-9]{2})\Z", value)
    if hour > 23 or minute > 59 or second > 60:
        return f"got {value!r}, expected a time of the day"
    if zone and (int(zone[1]) > ZONE_HOURS or int(zone[2]) > 59):
        return f"got {value!r}, expected a time zone of at most 14 hours"
    return ""
