"""How the texts of a draft are read from resources: dates, titles, content."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from imports.fhir.scan import Resource
from imports.fhir.walk import full_date, objects, plain

TITLE_BYTES = 200

# SNOMED CT ends the name of a concept with its kind, which tells a reader of a title nothing.
_TAG = re.compile(r" \((procedure|regime/therapy|situation|finding)\)\Z")

# Where a resource says when it happened: a path and its member, the most telling first.
_DATES = (
    ("", ("effectiveDateTime", "performedDateTime", "occurrenceDateTime", "authoredOn")),
    ("effectivePeriod", ("start",)),
    ("performedPeriod", ("start",)),
    ("period", ("start",)),
    ("billablePeriod", ("start",)),
    ("", ("started", "onsetDateTime", "recordedDate", "issued", "date", "created")),
)


def clinical_date(resources: Iterable[Resource]) -> str | None:
    """Return the first full date that the resources give, in their order."""
    for resource in resources:
        for path, members in _DATES:
            for place in objects(resource.body, path):
                for member in members:
                    if day := full_date(place.get(member)):
                        return day
    return None


def title(category: str, encounter: Resource | None, day: str | None) -> str:
    """Return category, kind of encounter and day; a long kind is cut, the day is kept."""
    kind = _encounter_kind(encounter.body) if encounter else ""
    ends = [category.capitalize(), *([day] if day else [])]
    room = TITLE_BYTES - len(", ".join(ends)) - len(", ")
    if len(kind.encode("utf-8")) > room:
        ellipsis = "…"
        cut = kind.encode("utf-8")[: room - len(ellipsis.encode("utf-8"))]
        kind = cut.decode("utf-8", "ignore").rstrip() + ellipsis
    return ", ".join([*ends[:1], *([kind] if kind else []), *ends[1:]])


def collection(resources: Iterable[Resource]) -> bytes:
    """Return a collection bundle of the resources; their own bytes go in verbatim."""
    entries = b",".join(map(_entry, resources))
    return b'{"resourceType":"Bundle","type":"collection","entry":[' + entries + b"]}"


def codings(body: Any) -> Iterator[tuple[str, str]]:
    """Yield every (system, code) anywhere in a resource."""
    stack: list[Any] = [body]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            code, system = node.get("code"), node.get("system")
            if isinstance(code, str) and isinstance(system, str):
                yield system, code
            node = list(node.values())
        stack.extend(child for child in node if isinstance(child, (dict, list)))


def _entry(resource: Resource) -> bytes:
    url = "" if resource.full_url is None else f'"fullUrl":{json.dumps(resource.full_url)},'
    return b'{%b"resource":%b}' % (url.encode("ascii"), resource.raw)


def _encounter_kind(body: dict[str, Any]) -> str:
    texts = [concept.get("text") for concept in objects(body, "type")]
    texts += [coding.get("display") for coding in objects(body, "type.coding")]
    texts += [coding.get(key) for coding in objects(body, "class") for key in ("display", "code")]
    return _TAG.sub("", next(filter(None, map(plain, texts)), ""))
