"""What a resource, and the bundle around it, mark as sensitive or restricted."""

from collections.abc import Iterable, Iterator
from typing import Any

from imports.fhir.scan import Resource
from imports.fhir.walk import objects
from imports.marks import CONFIDENTIALITY_OID, Marks, security

INLINE = "inline-sec-label"
"""With what the address of the extension ends that marks one element (HL7 FHIR DS4P)."""


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


def inner_marks(resource: Resource) -> Marks:
    """The marks that stand deeper: labels of a part (`AuditEvent.entity`), and of a single element (DS4P)."""
    if INLINE.encode() not in resource.raw and b"securityLabel" not in resource.raw:
        return Marks()  # nearly every resource: no walk is needed
    found = Marks()
    stack: list[Any] = [resource.body]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            found |= security(map(_coding, _concepts(node, "securityLabel")))
            if str(node.get("url")).endswith(INLINE):
                found |= security([_coding(node.get("valueCoding"))])
            node = list(node.values())
        stack.extend(child for child in node if isinstance(child, (dict, list)))
    return found


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
