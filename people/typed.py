"""What was typed into a form, read back from the resource that it became: to add a corrected version, or the next one. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from journeys.errors import RecordsError
from people.clinical import CLINICAL, MEASURES
from people.forms import Resource
from people.intake import fill

_WRITERS = frozenset({"informationSource", "performer", "recorder", "requester"})
"""Members that say who wrote a resource; whoever writes the next version does."""
_PATHS: Mapping[str, Mapping[str, str]] = {
    "allergy": {
        "date": "recordedDate", "substance": "code.text", "type": "type", "group": "category.0", "criticality": "criticality",
        "status": "clinicalStatus.coding.0.code", "certainty": "verificationStatus.coding.0.code",
        "reaction": "reaction.0.manifestation.0.text", "severity": "reaction.0.severity", "note": "note.0.text",
    },
    "condition": {
        "date": "recordedDate", "diagnosis": "code.text", "status": "clinicalStatus.coding.0.code",
        "certainty": "verificationStatus.coding.0.code", "severity": "severity.text", "since": "onsetDateTime",
        "until": "abatementDateTime", "note": "note.0.text",
    },
    "immunization": {
        "date": "occurrenceDateTime", "vaccine": "vaccineCode.text", "dose": "protocolApplied.0.doseNumberPositiveInt",
        "maker": "manufacturer.display", "lot": "lotNumber", "site": "site.text", "note": "note.0.text",
    },
    "laboratory": {
        "date": "effectiveDateTime", "test": "code.text", "value": "valueQuantity.value", "unit": "valueQuantity.unit",
        "low": "referenceRange.0.low.value", "high": "referenceRange.0.high.value", "material": "specimen.display",
        "note": "note.0.text",
    },
    "medicine": {
        "date": "dateAsserted", "medicine": "medicationCodeableConcept.text", "dosage": "dosage.0.text", "status": "status",
        "reason": "reasonCode.0.text", "since": "effectivePeriod.start", "until": "effectivePeriod.end", "note": "note.0.text",
    },
    "prescription": {
        "date": "authoredOn", "medicine": "medicationCodeableConcept.text", "dosage": "dosageInstruction.0.text", "status": "status",
        "reason": "reasonCode.0.text", "since": "dosageInstruction.0.timing.repeat.boundsPeriod.start",
        "until": "dosageInstruction.0.timing.repeat.boundsPeriod.end", "note": "note.0.text",
    },
}  # fmt: skip
"""Where each answer stands in its resource; of vital signs by their codes instead."""


class Digits(str):
    """A number of JSON with the digits it is written with."""

    __slots__ = ()


def parsed(content: bytes) -> Any:
    """JSON with its numbers as `Digits`; None for what is none, or goes too deep."""
    try:
        orjson.loads(
            content
        )  # stricter than the standard library: no NaN, and not deeper than it can follow
        return json.loads(content, parse_float=Digits, parse_int=Digits)
    except (ValueError, RecursionError):
        return None


def typed_of(content: bytes, patient: str) -> tuple[str, dict[str, str]] | None:
    """The form and the answers by which this resource is made, to the last member but who wrote it.

    None for anything else: a form that can't say all of what a resource says would lose the rest in its next version.
    """
    resource = parsed(content)
    if not isinstance(resource, dict):
        return None
    for form in CLINICAL.values():
        if form.resource != resource.get("resourceType"):
            continue
        found = dict(_signs(resource) if form.name == "vitals" else _answers(form.name, resource))
        try:
            made = parsed(fill(form, patient, found))
        except RecordsError:
            continue
        if made == {name: value for name, value in resource.items() if name not in _WRITERS}:
            return form.name, found
    return None


def _answers(form: str, resource: Resource) -> Iterator[tuple[str, str]]:
    for name, path in _PATHS[form].items():
        found = at(resource, path)
        if isinstance(found, str):
            yield name, str(found)


def _signs(resource: Resource) -> Iterator[tuple[str, str]]:
    codes = {one.code: name for name, one in MEASURES.items()}
    for name, path in (("date", "effectiveDateTime"), ("note", "note.0.text")):
        if isinstance(found := at(resource, path), str):
            yield name, str(found)
    contained = resource.get("contained")
    signs = [resource, *contained] if isinstance(contained, list) else [resource]
    for sign in signs:
        parts = at(sign, "component")
        for one in parts if isinstance(parts, list) else [sign]:
            code, value = at(one, "code.coding.0.code"), at(one, "valueQuantity.value")
            if isinstance(code, str) and code in codes and isinstance(value, str):
                yield codes[code], str(value)
            elif at(one, "code.text") == "Blood glucose" and isinstance(value, str):
                yield "glucose", str(value)
                yield "glucose_unit", str(at(one, "valueQuantity.unit"))


def at(value: Any, path: str) -> Any:
    """What stands at a path, its parts apart by points; None where nothing does."""
    for part in path.split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
