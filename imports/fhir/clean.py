"""Corrections within one resource: each replaces one text where it stands, every other byte stays."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from imports.cleaning import Corrected, Doubt, clean_code, clean_date, clean_unit
from imports.drafts import Findings
from imports.fhir.scan import Resource, scan_entries
from imports.fhir.walk import is_text

UCUM = "http://unitsofmeasure.org"
DATES = frozenset(
    [
        "abatementDateTime",
        "asserted",
        "assertedDate",
        "authored",
        "authoredOn",
        "birthDate",
        "created",
        "date",
        "dateTime",
        "dateWritten",
        "deceasedDateTime",
        "deliveryDate",
        "effectiveDateTime",
        "end",
        "expirationDate",
        "issued",
        "lastOccurrence",
        "manufactureDate",
        "occurrenceDateTime",
        "onsetDateTime",
        "performedDateTime",
        "receivedTime",
        "recordedDate",
        "servicedDate",
        "start",
        "started",
        "statusDate",
        "time",
        "valueDateTime",
    ]
)
"""Members that hold a date, a dateTime or an instant in R4."""
CODES = {
    "gender": frozenset(["male", "female", "other", "unknown"]),
    "intent": frozenset(
        [
            "proposal",
            "plan",
            "directive",
            "order",
            "original-order",
            "reflex-order",
            "filler-order",
            "instance-order",
            "option",
        ]
    ),
    "status": frozenset(
        [
            "active",
            "amended",
            "appended",
            "arrived",
            "booked",
            "cancelled",
            "completed",
            "corrected",
            "current",
            "draft",
            "ended",
            "entered-in-error",
            "final",
            "finished",
            "fulfilled",
            "in-progress",
            "inactive",
            "intended",
            "not-done",
            "on-hold",
            "partial",
            "planned",
            "preliminary",
            "preparation",
            "proposed",
            "registered",
            "resolved",
            "revoked",
            "stopped",
            "superseded",
            "suspended",
            "triaged",
            "unknown",
        ]
    ),
}
"""Members whose codes R4 binds; their case does not tell two of them apart."""
_DATE = re.compile(
    r"[0-9]{4}(-[0-9]{2}(-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?\Z"
).match
_CODE = re.compile(r"[^\s]+( [^\s]+)*\Z").match

Path = tuple[str | int, ...]
OF_THE_PERSON: frozenset[Path] = frozenset({("birthDate",), ("deceasedDateTime",)})
"""Dates of which a doubt is told when the patient is registered."""


def clean(resource: Resource, findings: Findings) -> Resource:
    """Return the resource with what can safely be corrected; each correction is told to `findings`.

    Dates in another notation, codes with stray spaces or in the wrong case, known variants of UCUM units.
    What is not certain stays as it is.
    """
    wrong = dict[Path, Corrected]()
    for path, found in _wrong(resource.body):
        if isinstance(found, Corrected):
            wrong[path] = found
        elif path not in OF_THE_PERSON:
            findings.doubt(
                resource.position, f"{_where(resource, path)}: {found.reason}", _at(resource, path)
            )
    if not wrong:
        return resource
    text, parts, at = resource.raw.decode("utf-8"), list[str](), 0
    for path, start, end in _texts(text):
        if path in wrong:
            value, rule = wrong[path]
            before = json.loads(text[start:end])
            findings.correct(resource.position, f"{_where(resource, path)}: {rule}", before, value)
            # Escaped where UTF-8 has no bytes for it: half of a surrogate pair, which JSON lets pass.
            parts += [text[at:start], json.dumps(value, ensure_ascii=not is_text(value))]
            at = end
    raw = "".join([*parts, text[at:]]).encode("utf-8")
    cleaned = scan_entries(raw)[1][0]
    assert isinstance(cleaned, Resource), "a corrected text is still a resource"
    return replace(
        cleaned,
        full_url=resource.full_url,
        position=resource.position,
        around=resource.around,
    )


def _wrong(body: dict[str, Any]) -> Iterator[tuple[Path, Corrected | Doubt]]:
    """Yield where a text is wrong, and what is right, or why that cannot be said."""
    # A stack of its own: a body may nest as deep as the parser allows.
    stack: list[tuple[Path, Any]] = [((), body)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, list):
            stack += [
                ((*path, i), child)
                for i, child in enumerate(node)
                if isinstance(child, (dict, list))
            ]
            continue
        for key, value in node.items():
            if isinstance(value, str):
                if (found := _right(key, value, node)) is not None:
                    yield (*path, key), found
            elif isinstance(value, (dict, list)):
                stack.append(((*path, key), value))


def _where(resource: Resource, path: Path) -> str:
    return resource.type + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)


def _at(resource: Resource, path: Path) -> str:
    node: Any = resource.body
    for part in path:
        node = node[part]
    return str(node)


def _may_be(value: str) -> bool:
    """Whether month and day of a date can be right without a calendar: nearly all are told so."""
    month, day = value[5:7], value[8:10]
    return month <= "12" and day <= "28" and "00" not in (month, day)


def _right(key: str, value: str, node: dict[str, Any]) -> Corrected | Doubt | None:
    if key in DATES and not (_DATE(value) and _may_be(value)):
        return clean_date(value)
    if key in CODES:
        return None if value in CODES[key] else clean_code(value, CODES[key])
    if key == "code" and "system" in node:
        if node["system"] == UCUM:
            return clean_unit(value)
        return None if _CODE(value) else clean_code(value)
    return None


def _texts(text: str) -> Iterator[tuple[Path, int, int]]:
    """Yield the path of every text that is a value, and where it stands with its quotes; in source order.

    `text` is JSON that has been parsed before.
    """
    path: list[str | int] = []
    objects: list[bool] = []
    at, key = 0, False
    for token in _TOKENS.finditer(text):
        at, mark = token.start(), token[0][0]
        if mark in "{[":
            objects.append(mark == "{")
            path.append("" if mark == "{" else 0)
            key = mark == "{"
        elif mark in "}]":
            objects.pop()
            path.pop()
            key = False
        elif mark == ",":
            key = objects[-1]
            if not key:
                path[-1] = int(path[-1]) + 1
        elif mark == ":":
            key = False
        elif key:
            path[-1] = json.loads(token[0])
        else:
            yield tuple(path), at, token.end()


_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]')
