"""Ways through a parsed resource. None trusts its shape: what has another form is passed over."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Any, TypeGuard

# Control characters and lone surrogates cannot be shown or encoded; direction marks can mislead.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]+")

# What UTF-8 cannot encode, and what no database takes in a text.
_UNFIT = re.compile("[\x00\ud800-\udfff]")


def is_text(value: object) -> TypeGuard[str]:
    """Whether a value is a text that can stand as a name: not empty, and fit to be stored."""
    return isinstance(value, str) and bool(value) and not _UNFIT.search(value)


def objects(value: Any, path: str) -> Iterator[dict[str, Any]]:
    """Yield the objects at a dotted path, in source order; lists on the way are gone through."""
    if isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield from objects(item, path)
    elif isinstance(value, dict):
        if not path:
            yield value
        else:
            head, _, rest = path.partition(".")
            yield from objects(value.get(head), rest)


def links(body: dict[str, Any], paths: tuple[str, ...], target: str) -> Iterator[str]:
    """Yield the references at `paths`; one by identifier alone as `target?identifier=…`."""
    for path in paths:
        for link in objects(body, path):
            reference, identifier = link.get("reference"), link.get("identifier")
            if is_text(reference):
                yield reference
            elif isinstance(identifier, dict) and (name := identifier_text(identifier)):
                yield f"{target}?identifier={name}"


def references(body: dict[str, Any]) -> Iterator[str]:
    """Yield every reference anywhere in a resource, in source order, but those within itself."""
    # A stack of its own: a body may nest as deep as the parser allows.
    stack: list[Any] = [body]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            reference = node.get("reference")
            if isinstance(reference, str) and not reference.startswith("#"):
                yield reference
            node = list(node.values())
        stack.extend(child for child in reversed(node) if isinstance(child, (dict, list)))


def patient_references(body: dict[str, Any]) -> Iterator[str]:
    """Yield every reference anywhere that may be to a patient; one by identifier alone if it says its type."""
    yield from references(body)
    stack: list[Any] = [body]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            if node.get("type") == "Patient":
                yield from links({"one": node}, ("one",), "Patient")
            node = list(node.values())
        stack.extend(child for child in node if isinstance(child, (dict, list)))


def attachments(body: dict[str, Any]) -> Iterator[str]:
    """Yield the address of every content that a resource holds elsewhere: `url` of an Attachment."""
    stack: list[Any] = [body]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            if is_text(url := node.get("url")):
                yield url
            node = list(node.values())
        stack.extend(child for child in node if isinstance(child, (dict, list)))


def identifier_text(identifier: dict[str, Any]) -> str | None:
    """Return `system|value` without white space around either, the system empty if there is none; None without a
    value. No number ends with a space, and two that differ by it alone would be two patients.
    """
    system, value = identifier.get("system"), identifier.get("value")
    if not is_text(value) or not value.strip():
        return None
    return f"{system.strip() if is_text(system) else ''}|{value.strip()}"


def as_written(identifier: dict[str, Any]) -> str:
    """`system|value` of an identifier that has a value, with whatever white space stands around them."""
    system = identifier.get("system")
    return f"{system if is_text(system) else ''}|{identifier['value']}"


def full_date(value: Any) -> str | None:
    """Return the first ten characters if they are a day of the calendar, as the source wrote it."""
    if not isinstance(value, str) or not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T|\Z)", value):
        return None
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        return None
    return value[:10]


def plain(value: Any) -> str:
    """Return a text on one line, fit to be shown; empty when it is no text."""
    return " ".join(_UNSHOWN.sub(" ", value).split()) if isinstance(value, str) else ""
