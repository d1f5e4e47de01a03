"""What a reference points to: by fullUrl, by `Type/id`, or by `Type?identifier=system|value`."""

from collections.abc import Iterator
from typing import Protocol
from urllib.parse import unquote

from imports.fhir.scan import Resource
from imports.fhir.walk import identifier_text, objects

# They name no patient in R4; a record that refers to one carries a copy of it.
REFERENCE_TYPES = frozenset(
    {
        "Organization",
        "Practitioner",
        "PractitionerRole",
        "Location",
        "HealthcareService",
        "Medication",
    }
)


class Finder(Protocol):
    """Resources by their names."""

    def find(self, reference: str) -> Resource | None:
        """Return what the reference names, at whatever version; None when nothing or several."""
        ...


class Names:
    """Resources by every name they can be referred to by. The first of a name keeps it."""

    def __init__(self) -> None:
        """Start with no name known."""
        self._named: dict[str, Resource | None] = {}

    def add(self, resource: Resource) -> None:
        """Enter one resource."""
        for name in own_names(resource):
            self._named.setdefault(name, resource)
        for name in identifier_names(resource):
            known = self._named.setdefault(name, resource)
            if known is not None and not _same(known, resource):
                # An identifier that two resources bear names neither: better none than a wrong one.
                self._named[name] = None

    def find(self, reference: str) -> Resource | None:
        """Return what the reference names, at whatever version; None when nothing or several."""
        found = self._named.get(reference.partition("/_history/")[0])
        kind, conditional, query = reference.partition("?")
        if found is None and conditional:
            found = self._named.get(f"{kind}?{unquote(query)}")
        return found


class ReferenceIndex(Names):
    """Organizations, practitioners, locations and their like, of all the files of an import."""

    def add(self, resource: Resource) -> None:
        """Enter one resource; one that is no reference resource is passed over, not kept."""
        if resource.type in REFERENCE_TYPES:
            super().add(resource)


def own_name(resource: Resource) -> str | None:
    """Return the source's name of a resource: its fullUrl, else `Type/id`, else None."""
    return next(own_names(resource), None)


def absolute(reference: str, resource: Resource) -> str:
    """Return a relative reference in full if the resource that makes it has a RESTful fullUrl."""
    base = (resource.full_url or "").removesuffix(f"/{resource.type}/{resource.id}")
    if base == resource.full_url or not base.startswith(("http://", "https://")):
        return reference
    relative = "?" not in reference and reference.partition("/_history/")[0].count("/") == 1
    return f"{base}/{reference}" if relative else reference


def own_names(resource: Resource) -> Iterator[str]:
    """Yield the names that a resource has by itself: its fullUrl, then `Type/id`."""
    if resource.full_url:
        yield resource.full_url
    if resource.id:
        yield f"{resource.type}/{resource.id}"


def identifier_names(resource: Resource) -> Iterator[str]:
    """Yield the names that a conditional reference can use: `Type?identifier=system|value`."""
    for identifier in objects(resource.body, "identifier"):
        if text := identifier_text(identifier):
            yield f"{resource.type}?identifier={text}"


def _same(one: Resource, other: Resource) -> bool:
    mine, theirs = set(own_names(one)), set(own_names(other))
    return not mine.isdisjoint(theirs) or one.raw == other.raw
