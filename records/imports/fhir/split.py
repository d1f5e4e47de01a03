"""One bundle taken apart: whose each resource is, in which encounter, in which record.

A resource goes to one record, or is set aside with the reason. Where a bundle does not say clearly
whose a resource is, it is set aside rather than filed under a patient it may not belong to.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import unquote

from records.imports.drafts import (
    Findings,
    PatientDraft,
    Person,
    RecordDraft,
    Unit,
    identifier_name,
    uuid_name,
)
from records.imports.fhir.categories import category
from records.imports.fhir.drafts import (
    clinical_date,
    codings,
    collection,
    is_deceased,
    patient_identifier,
    patient_name,
    patient_names,
    patient_numbers,
    title,
)
from records.imports.fhir.marks import fhir_marks
from records.imports.fhir.names import REFERENCE_TYPES, Finder, Names, absolute, own_name
from records.imports.fhir.scan import FhirError, Resource, scan_bundle
from records.imports.fhir.versions import content_hash, standing
from records.imports.fhir.walk import full_date, identifier_text, links, objects, references
from records.imports.marks import UNCLEAR

MEDIA_TYPE = "application/fhir+json"
PATIENT_PATHS = ("subject", "patient", "beneficiary", "for")
ENCOUNTER_PATHS = ("encounter", "context", "context.encounter", "item.encounter")
# What a resource is about that names no patient itself: Provenance, Appointment, AuditEvent.
ABOUT_PATHS = (*ENCOUNTER_PATHS, "target", "participant.actor", "entity.what")

Labelled = Callable[[Iterable[tuple[str, str]]], tuple[str, ...]]
"""The sensitivity labels of codes, each with its system."""


def split(
    resources: Iterable[Resource],
    index: Finder,
    findings: Findings,
    labels: Labelled = lambda codes: (),
) -> tuple[PatientDraft, ...]:
    """Take one bundle's resources apart into patients and their records, in source order.

    `index` finds the reference resources of all the files; the bundle's own come before it. What is in
    no draft is told to `findings`, but for the number found. A patient who is not in the bundle has a
    draft without a person, if a name is used that the hospital can know.
    """
    return _Bundle(findings, index, labels).split(list(resources))


@dataclass(frozen=True, slots=True)
class _Tie:
    """A resource with its encounter: the name, and the resource if the bundle has it."""

    resource: Resource
    name: str | None
    encounter: Resource | None


class _Bundle:
    def __init__(self, findings: Findings, index: Finder, labels: Labelled) -> None:
        self._findings = findings
        self._index = index
        self._labels = labels
        self._names = Names()
        self._patients: set[str] = set()
        self._identified: dict[int, str | None] = {}

    def split(self, resources: list[Resource]) -> tuple[PatientDraft, ...]:
        for resource in resources:
            self._names.add(resource)
        self._findings.reference(sum(r.type in REFERENCE_TYPES for r in resources))
        own = self._once([r for r in resources if r.type not in REFERENCE_TYPES])
        self._patients = {
            name for r in own if r.type == "Patient" and (name := self._identifier(r))
        }
        ties: dict[str, list[_Tie]] = {}
        for resource in own:
            tie = self._tie(resource)
            owner, reason = self._home(tie)
            if owner is None:
                self._findings.reject(resource.position, reason, resource.raw)
            else:
                ties.setdefault(owner, []).append(tie)
        return tuple(self._patient(owner, his) for owner, his in ties.items())

    def _once(self, resources: list[Resource]) -> list[Resource]:
        """Leave out what stands here before, under the same name."""
        first: dict[str, Resource] = {}
        for resource in resources:
            name = unit_name(resource)
            before = first.setdefault(name, resource)
            if before is resource:
                continue
            if before.raw == resource.raw:
                self._findings.duplicate(resource.position, name)
            else:
                reason = f"{name} stands at {before.position} too, with other content"
                self._findings.reject(resource.position, reason, resource.raw)
        return list(first.values())

    def _home(self, tie: _Tie) -> tuple[str | None, str]:
        """Return whose the resource is, or None and the reason why that cannot be said."""
        owner, reason = self._owner(tie.resource)
        if owner is not None and tie.encounter is not None:
            host, _ = self._owner(tie.encounter)
            if host != owner:
                return None, "its encounter is not its patient's"
        return owner, reason

    def _owner(self, resource: Resource) -> tuple[str | None, str]:
        if resource.type == "Patient" and self._identifier(resource) is None:
            return None, "got a Patient without identifier, id or fullUrl, expected one of them"
        named = self._named_patients(resource)
        if not named:
            about = self._about(resource)
            named = {owner for one in about for owner in self._named_patients(one)}
        if None in named:
            return None, "its patient is not in the bundle, nor named by an identifier or a UUID"
        owners = named or self._patients
        if len(owners) == 1:
            return next(iter(owners)), ""
        if named:
            return None, "it names more than one patient"
        return None, f"it names no patient and the bundle has {len(owners)}"

    def _named_patients(self, resource: Resource) -> set[str | None]:
        """Return the identifiers of the patients that it names; None for one that cannot be told."""
        if resource.type == "Patient":
            return {self._identifier(resource)}
        named: set[str | None] = set()
        for reference in links(resource.body, PATIENT_PATHS, "Patient"):
            found = self._find(reference, resource)
            if found is None:
                named.add(_outside(reference))
            else:
                named.add(self._identifier(found) if found.type == "Patient" else None)
        return named

    def _identifier(self, patient: Resource) -> str | None:
        """By what the hospital knows a Patient; None if it has nothing of the kind."""
        if id(patient) not in self._identified:
            try:
                self._identified[id(patient)] = patient_identifier(patient)
            except FhirError:
                self._identified[id(patient)] = None
        return self._identified[id(patient)]

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

    def _patient(self, owner: str, ties: list[_Tie]) -> PatientDraft:
        groups: dict[tuple[str | None, str], list[_Tie]] = {}
        for tie in ties:
            kind = category(tie.resource, tied=tie.name is not None)
            groups.setdefault((tie.name, kind), []).append(tie)
        patient = next((tie.resource for tie in ties if tie.resource.type == "Patient"), None)
        return PatientDraft(
            names=patient_names(patient) if patient else (owner,),
            numbers=patient_numbers(patient) if patient else (),
            person=_person(patient) if patient else None,
            records=tuple(self._record(kind, group) for (_, kind), group in groups.items()),
            encounters=sum(tie.resource.type == "Encounter" for tie in ties),
            unresolved=sum(self._unresolved(tie.resource) for tie in ties),
        )

    def _record(self, kind: str, ties: list[_Tie]) -> RecordDraft:
        own, first = {unit_name(tie.resource): tie.resource for tie in ties}, ties[0]
        dated = [*([first.encounter] if first.encounter else []), *own.values()]
        day = clinical_date(dated) if first.name is not None else None

        def compose(units: Sequence[Unit]) -> Iterable[bytes]:
            chosen = [own[unit.name] for unit in units]
            return (collection([*chosen, *self._copies(chosen)]),)

        def merge(old: bytes, units: Sequence[Unit]) -> bytes:
            chosen = {unit.name: own[unit.name] for unit in units}
            return merged(old, chosen, self._copies(list(chosen.values())))

        return RecordDraft(
            category=kind,
            encounter=first.name,
            clinical_date=day,
            title=title(kind, first.encounter, day),
            media_type=MEDIA_TYPE,
            units=tuple(self._unit(name, resource) for name, resource in own.items()),
            compose=compose,
            merge=merge,
        )

    def _unit(self, name: str, resource: Resource) -> Unit:
        marks = fhir_marks(resource.body, resource.around)
        labels = set(self._labels(codings(resource.body)))
        for copy in self._copies([resource]):
            marks |= fhir_marks(copy.body)
            if copy.type == "Medication":  # its code is the resource's, written elsewhere
                labels |= set(self._labels(codings(copy.body)))
        for mark in marks.unclear:
            self._findings.correct(resource.position, UNCLEAR, mark, "restricted")
        return Unit(
            name,
            resource.position,
            resource.raw,
            content_hash(resource),
            tuple(sorted(labels | marks.labels)),
            marks.restricted,
            standing(resource),
            was=(sha256(resource.raw).digest(),),
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


def merged(old: bytes, chosen: dict[str, Resource], copies: list[Resource]) -> bytes:
    """The content of a record with these resources in the place of those of their names, or after them."""
    left = dict(chosen)
    there = scan_bundle(old)[1]
    own = [left.pop(unit_name(r), r) for r in there if r.type not in REFERENCE_TYPES]
    shared = [r for r in there if r.type in REFERENCE_TYPES]
    known = {r.raw for r in shared}
    return collection([*own, *left.values(), *shared, *(r for r in copies if r.raw not in known)])


def unit_name(resource: Resource) -> str:
    """The name by which a resource is known again: what a server gives it, before what one bundle does."""
    if resource.id:
        return f"{resource.type}/{resource.id}"
    for identifier in objects(resource.body, "identifier"):
        if identifier.get("system") and (text := identifier_text(identifier)):
            return f"{resource.type}?{text}"
    return resource.full_url or f"{resource.type}#{sha256(resource.raw).hexdigest()}"


def _person(patient: Resource) -> Person:
    birth = full_date(patient.body.get("birthDate"))
    return Person(patient_name(patient), birth, is_deceased(patient))


def _outside(reference: str) -> str | None:
    """The name of a patient who is not in the bundle, if nobody else can bear it."""
    kind, conditional, query = reference.partition("?identifier=")
    if conditional:
        system, bar, value = unquote(query).partition("|")
        return identifier_name(system, value) if kind == "Patient" and bar and system else None
    path = reference.partition("/_history/")[0].removeprefix("urn:uuid:")
    *before, last = path.split("/")
    return uuid_name(last) if not before or before[-1] == "Patient" else None


def _may_be_encounter(reference: str) -> bool:
    """Whether a reference out of the bundle can mean an encounter: `context` can mean others."""
    path = reference.partition("?")[0].partition("/_history/")[0].split("/")
    kind = path[0] if "?" in reference else path[-2] if len(path) > 1 else ""
    return kind in ("", "Encounter") and not reference.startswith("#")
