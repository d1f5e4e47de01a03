"""What a resource, and the bundle around it, mark as sensitive or restricted."""

from collections.abc import Iterable, Iterator
from typing import Any

from imports.fhir.walk import objects
from imports.marks import CONFIDENTIALITY_OID, Marks, security


def fhir_marks(body: dict[str, Any], around: Iterable[Any] = ()) -> Marks:
    """The marks of a resource and of what it contains; `around`: `meta.security` of the bundle."""
    return security(
        _coding(coding)
        for resource in (body, *objects(body, "contained"))
        for coding in (
            *_security(resource),
            *_concepts(resource, "securityLabel"),
            *_confidentiality(resource),
        )
    ) | security(map(_coding, around))


def _security(resource: dict[str, Any]) -> list[Any]:
    """The members of `meta.security`."""
    meta = resource.get("meta")
    value = meta.get("security", []) if isinstance(meta, dict) else []
    return value if isinstance(value, list) else [value]


def _concepts(resource: dict[str, Any], member: str) -> Iterator[Any]:
    """The codings of concepts, or the concept itself where it has none."""
    value = resource.get(member, [])
    for concept in value if isinstance(value, list) else [value]:
        codings = concept.get("coding") if isinstance(concept, dict) else None
        yield from codings if isinstance(codings, list) and codings else [concept]


def _confidentiality(resource: dict[str, Any]) -> Iterator[Any]:
    """`Composition.confidentiality`, a code of v3-Confidentiality."""
    if resource.get("resourceType") == "Composition" and "confidentiality" in resource:
        yield {"system": CONFIDENTIALITY_OID, "code": resource["confidentiality"]}


def _coding(value: Any) -> tuple[str, str]:
    if not isinstance(value, dict):
        return "", str(value)[:40]
    system, code = value.get("system"), value.get("code")
    said = code or value.get("display") or value.get("text") or ""
    return (system if isinstance(system, str) else "", str(said)[:80])
