"""One bundle taken apart: whose each resource is, in which encounter, in which record.

A resource goes to one record, or is set aside with the reason. Where a bundle does not say clearly
whose a resource is, it is set aside rather than filed under a patient it may not belong to.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from records.imports.fhir.categories import category
from records.imports.fhir.drafts import (
    PatientDraft,
    RecordDraft,
    Split,
    Unassigned,
    clinical_date,
    collection,
    is_deceased,
    patient_identifier,
    patient_name,
    title,
)
from records.imports.fhir.names import REFERENCE_TYPES, Names, ReferenceIndex, absolute, own_name
from records.imports.fhir.scan import Resource
from records.imports.fhir.walk import full_date, links, references

PATIENT_PATHS = ("subject", "patient", "beneficiary", "for")
ENCOUNTER_PATHS = ("encounter", "context", "context.encounter", "item.encounter")
# What a resource is about that names no patient itself: Provenance, Appointment, AuditEvent.
ABOUT_PATHS = (*ENCOUNTER_PATHS, "target", "participant.actor", "entity.what")


def split(resources: Iterable[Resource], index: ReferenceIndex) -> Split:
    """Take one bundle's resources apart into patients and their records, in source order.

    `index` holds the reference resources of all the files; the bundle's own come before it.
    FhirError when a Patient has nothing by which it could be known.
    """
    return _Bundle(list(resources), index).split()


@dataclass(frozen=True, slots=True)
class _Tie:
    """A resource with its encounter: the name, and the resource if the bundle has it."""

    resource: Resource
    name: str | None
    encounter: Resource | None


class _Bundle:
    def __init__(self, resources: list[Resource], index: ReferenceIndex) -> None:
        self._resources = resources
        self._index = index
        self._names = Names()
        for resource in resources:
            self._names.add(resource)
        self._patients = {
            patient_identifier(resource) for resource in resources if resource.type == "Patient"
        }

    def split(self) -> Split:
        ties: dict[str, list[_Tie]] = {}
        unassigned: list[Unassigned] = []
        own = [r for r in self._resources if r.type not in REFERENCE_TYPES]
        for resource in own:
            tie = self._tie(resource)
            owner, reason = self._home(tie)
            if owner is None:
                unassigned.append(Unassigned(resource, reason))
            else:
                ties.setdefault(owner, []).append(tie)
        patients = tuple(self._patient(identifier, his) for identifier, his in ties.items())
        return Split(patients, len(self._resources) - len(own), tuple(unassigned))

    def _home(self, tie: _Tie) -> tuple[str | None, str]:
        """Return whose the resource is, or None and the reason why that cannot be said."""
        owner, reason = self._owner(tie.resource)
        if owner is not None and tie.encounter is not None:
            host, _ = self._owner(tie.encounter)
            if host != owner:
                return None, "its encounter is not its patient's"
        return owner, reason

    def _owner(self, resource: Resource) -> tuple[str | None, str]:
        named = self._named_patients(resource)
        if not named:
            about = self._about(resource)
            named = {owner for one in about for owner in self._named_patients(one)}
        if None in named:
            return None, "its patient is not in the bundle"
        owners = named or self._patients
        if len(owners) == 1:
            return next(iter(owners)), ""
        if named:
            return None, "it names more than one patient"
        return None, f"it names no patient and the bundle has {len(owners)}"

    def _named_patients(self, resource: Resource) -> set[str | None]:
        """Return the identifiers of the patients that it names; None for one not in the bundle."""
        if resource.type == "Patient":
            return {patient_identifier(resource)}
        named: set[str | None] = set()
        for reference in links(resource.body, PATIENT_PATHS, "Patient"):
            found = self._find(reference, resource)
            known = found is not None and found.type == "Patient"
            named.add(patient_identifier(found) if found and known else None)
        return named

    def _about(self, resource: Resource) -> list[Resource]:
        found = (self._find(r, resource) for r in links(resource.body, ABOUT_PATHS, "Encounter"))
        return [one for one in found if one is not None]

    def _tie(self, resource: Resource) -> _Tie:
        """Tie a resource to the first encounter that it names."""
        if resource.type == "Encounter":
            return _Tie(resource, own_name(resource), resource)
        if resource.type == "Patient":
            return _Tie(resource, None, None)
        for reference in links(resource.body, ENCOUNTER_PATHS, "Encounter"):
            found = self._find(reference, resource)
            if found is not None and found.type == "Encounter":
                return _Tie(resource, own_name(found), found)
            if found is None and _may_be_encounter(reference):
                return _Tie(resource, absolute(reference, resource), None)
        return _Tie(resource, None, None)

    def _find(self, reference: str, referrer: Resource) -> Resource | None:
        """Look first under the referrer's own server, and in the bundle before the index."""
        for name in dict.fromkeys((absolute(reference, referrer), reference)):
            found = self._names.find(name) or self._index.find(name)
            if found is not None:
                return found
        return None

    def _patient(self, identifier: str, ties: list[_Tie]) -> PatientDraft:
        groups: dict[tuple[str | None, str], list[_Tie]] = {}
        for tie in ties:
            kind = category(tie.resource, tied=tie.name is not None)
            groups.setdefault((tie.name, kind), []).append(tie)
        patient = next(tie.resource for tie in ties if tie.resource.type == "Patient")
        return PatientDraft(
            identifier=identifier,
            name=patient_name(patient),
            birth_date=full_date(patient.body.get("birthDate")),
            deceased=is_deceased(patient),
            records=tuple(self._record(kind, group) for (_, kind), group in groups.items()),
            encounters=sum(tie.resource.type == "Encounter" for tie in ties),
            resources=len(ties),
            unresolved=sum(self._unresolved(tie.resource) for tie in ties),
        )

    def _record(self, kind: str, ties: list[_Tie]) -> RecordDraft:
        own, first = [tie.resource for tie in ties], ties[0]
        copies = self._copies(own)
        dated = [*([first.encounter] if first.encounter else []), *own]
        day = clinical_date(dated) if first.name is not None else None
        return RecordDraft(
            category=kind,
            encounter=first.name,
            clinical_date=day,
            title=title(kind, first.encounter, day),
            content=collection([*own, *copies]),
            resources=len(own),
            references=len(copies),
        )

    def _copies(self, own: list[Resource]) -> list[Resource]:
        """Return the reference resources that these refer to, and those that those refer to."""
        copies: dict[int, Resource] = {}
        queue = list(own)
        for resource in queue:
            for reference in references(resource.body):
                found = self._find(reference, resource)
                if found and found.type in REFERENCE_TYPES and id(found) not in copies:
                    copies[id(found)] = found
                    queue.append(found)
        return list(copies.values())

    def _unresolved(self, resource: Resource) -> int:
        return sum(self._find(r, resource) is None for r in references(resource.body))


def _may_be_encounter(reference: str) -> bool:
    """Whether a reference out of the bundle can mean an encounter: `context` can mean others."""
    path = reference.partition("?")[0].partition("/_history/")[0].split("/")
    kind = path[0] if "?" in reference else path[-2] if len(path) > 1 else ""
    return kind in ("", "Encounter") and not reference.startswith("#")
