"""What a record holds, as we render it: text as text, FHIR and other JSON as rows of a table. Never as HTML of theirs.

What comes from outside is data: templates escape each piece, and what is too long or too deep is cut and says so.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

TEXT_BYTES = 256 * 1024
"""Longest content that is rendered in a page; what is longer is downloaded."""
ROWS = 400
"""Most rows of a table."""
DEEP = 8
"""How deep a resource is followed."""
TEXTS = frozenset({"text/plain", "text/csv", "text/markdown"})
ENDINGS = {
    "application/dicom": "dcm", "application/fhir+json": "json", "application/json": "json", "application/pdf": "pdf",
    "image/gif": "gif", "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "text/csv": "csv", "text/plain": "txt",
}  # fmt: skip
_HUMP = re.compile("(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True)
class Shown:
    """What a page shows of a content; all empty for what is only downloaded."""

    text: str = ""
    rows: tuple[tuple[str, str], ...] = ()
    """Names and values."""
    kind: str = ""
    """The FHIR type, if it is a resource."""
    cut: bool = False
    """Whether there is more than is shown."""
    data: bytes = field(default=b"", repr=False)
    """Of a resource its bytes."""


def ending(media_type: str) -> str:
    """The ending of a file of this type; `bin` for one that we don't know."""
    return ENDINGS.get(media_type.partition(";")[0].strip().lower(), "bin")


def render(media_type: str, size: int, content: Iterator[bytes]) -> Shown:
    """What is shown of a content, of which no more is read than may be."""
    kind = media_type.partition(";")[0].strip().lower()
    structured = kind == "application/json" or kind.endswith("+json")
    if size > TEXT_BYTES or not (structured or kind in TEXTS):
        let_go(content)
        return Shown()
    data = b"".join(content)
    if structured:
        return _resource(data) or _text(data)
    return _text(data)


def let_go(content: Iterator[bytes]) -> None:
    """Close a content that isn't read further: one that was not begun would leave its file open."""
    next(content, b"")
    if isinstance(content, Generator):
        content.close()


def _text(data: bytes) -> Shown:
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    return Shown(text="".join(one for one in text if one in "\n\t" or one.isprintable()))


def _resource(data: bytes) -> Shown | None:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    kind, rows = value.get("resourceType", ""), list[tuple[str, str]]()
    cut = False
    for row in _rows("", value, 0):
        if len(rows) == ROWS:
            cut = True
            break
        rows.append(row)
    return Shown(rows=tuple(rows), kind=kind if isinstance(kind, str) else "", cut=cut, data=data)


def _rows(name: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    """The leaves of a resource, each named by its path; narratives, which are HTML of theirs, are left out."""
    short = _short(value)
    if short is not None:
        if short and name:
            yield name, short
    elif depth >= DEEP:
        yield name, "…"
    elif isinstance(value, dict):
        for key, inner in value.items():
            if (depth, key) in ((0, "text"), (0, "resourceType"), (0, "meta")) or key == "div":
                continue
            yield from _rows(f"{name} · {_words(key)}" if name else _words(key), inner, depth + 1)
    else:
        for number, inner in enumerate(value, 1):
            named = f"{name} {number}" if len(value) > 1 else name
            yield from _rows(named, inner, depth + 1)


def _short(value: Any) -> str | None:
    """A value that is one line: of FHIR's types the ones that people read as one. None for what has parts."""
    if value is None or isinstance(value, str | int | float):
        return _plain(value)
    if isinstance(value, list):
        return "" if not value else None
    keys = value.keys()
    if "coding" in keys or (
        "text" in keys and isinstance(value["text"], str) and "status" not in keys
    ):
        codings = value.get("coding") or [{}]
        first = codings[0] if isinstance(codings, list) and isinstance(codings[0], dict) else {}
        found = value.get("text") or first.get("display") or first.get("code")
        return None if found is None else _plain(found)
    if (
        keys <= {"value", "unit", "system", "code", "comparator"}
        and "value" in keys
        and "unit" in keys
    ):
        return f"{_plain(value.get('comparator'))}{_plain(value['value'])} {_plain(value['unit'])}".strip()
    if keys <= {"start", "end"}:
        return f"{_plain(value.get('start'))} – {_plain(value.get('end'))}"
    if "reference" in keys or keys == {"display"}:
        return _plain(value.get("display") or value.get("reference"))
    if "family" in keys:
        given = value.get("given")
        names = given if isinstance(given, list) else []
        return " ".join([*map(_plain, names), _plain(value["family"])])
    return None


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):  # it may go deeper than can be written
        return "…"
    return "" if value is None else "".join(one for one in str(value) if one.isprintable())[:2_000]


def _words(key: str) -> str:
    return _plain(_HUMP.sub(" ", str(key)).lower())[:60]
