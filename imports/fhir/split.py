"""One bundle taken apart: whose each resource is, in which encounter, in which record.

A resource goes to one record, or is set aside with the reason. Where a bundle does not say clearly
whose a resource is, it is set aside rather than filed under a patient it may not belong to.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from imports.drafts import Findings, Origin, PatientDraft, RecordDraft, Unit, uuid_name
from imports.fhir.categories import category
from imports.fhir.drafts import clinical_date, codings, collection, title
from imports.fhir.marks import fhir_marks, inner_marks
from imports.fhir.names import REFERENCE_TYPES, Finder, Names, absolute, own_name
from imports.fhir.patients import (
    Called,
    People,
    contradict,
    demographics,
    outside,
    person,
    source_of,
)
from imports.fhir.scan import Resource, scan_bundle
from imports.fhir.versions import content_hash, standing
from imports.fhir.walk import (
    as_written,
    attachments,
    identifier_text,
    is_text,
    links,
    objects,
    patient_references,
    references,
)
from imports.marks import UNCLEAR
from imports.texts import shown
from people.comparing import compare, listed
from people.demographics import Demographics, Traits

MEDIA_TYPE = "application/fhir+json"
PATIENT_PATHS = ("subject", "patient", "beneficiary", "for")
ENCOUNTER_PATHS = ("encounter", "context", "context.encounter", "item.encounter")
# What a resource is about that names no patient itself: Provenance, Appointment, AuditEvent.
ABOUT_PATHS = (*ENCOUNTER_PATHS, "target", "participant.actor", "entity.what")

MERGED = (
    "Patient.link: the source says that one of two patients was replaced by the other; both stay as they are, and who "
    "joins two charts does it by hand"
)
_ASIDE = "its Patient is set aside"
_NOT_THERE = "its patient is not in the bundle, nor named by an identifier or a UUID"

Labelled = Callable[[Iterable[tuple[str, str]]], tuple[str, ...]]
"""The sensitivity labels of codes, each with its system."""


def split(
    resources: Iterable[Resource],
    index: Finder,
    findings: Findings,
    labels: Labelled = lambda codes: (),
    origin: Origin | None = None,
) -> tuple[PatientDraft, ...]:
    """Take one bundle's resources apart into patients and their records, in source order.

    `index` finds the reference resources of all the files; the bundle's own come before it. What is in
    no draft is told to `findings`, but for the number found. A patient who is not in the bundle has a
    draft without a person, if a name is used that the hospital can know.
    """
    return _Bundle(findings, index, labels, origin or Origin()).split(list(resources))


@dataclass(frozen=True, slots=True)
class _Tie:
    """A resource with its encounter: the name, and the resource if the bundle has it."""

    resource: Resource
    name: str | None
    encounter: Resource | None


class _Bundle:
    def __init__(self, findings: Findings, index: Finder, labels: Labelled, origin: Origin) -> None:
        self._findings = findings
        self._index = index
        self._labels = labels
        self._origin = origin
        self._names = Names()
        self._people = People(origin)
        self._holders: dict[int, list[Resource]] = {}
        """Of the content that stands in a Binary, by its `id()`: the resources that it belongs to."""

    def split(self, resources: list[Resource]) -> tuple[PatientDraft, ...]:
        for resource in resources:
            self._names.add(resource)
        self._findings.reference(sum(r.type in REFERENCE_TYPES for r in resources))
        own = self._once([r for r in resources if r.type not in REFERENCE_TYPES])
        if any(resource.type == "Binary" for resource in own):
            self._hold(own)
        for patient in (r for r in own if r.type == "Patient"):
            if id(patient) not in self._people.refused:
                self._people.add(patient)
            for link in objects(patient.body, "link"):
                if link.get("type") in ("replaced-by", "replaces"):
                    other = next(objects(link, "other"), {}).get("reference")
                    self._findings.doubt(patient.position, MERGED, str(other or ""))
        ties: dict[str, list[_Tie]] = {}
        for resource in own:
            tie = self._tie(resource)
            owner, reason = self._home(tie)
            if owner is None:
                self._findings.reject(resource.position, reason, resource.raw)
            else:
                ties.setdefault(owner, []).append(tie)
        return tuple(self._patient(owner, his) for owner, his in ties.items())

    def _hold(self, own: Iterable[Resource]) -> None:
        """Know which content is whose: a Binary says nothing of itself, what marks it is written elsewhere."""
        for resource in own:
            for url in attachments(resource.body):
                found = self._find(url, resource)
                if found is not None and found.type == "Binary":
                    self._holders.setdefault(id(found), []).append(resource)
            for link in (
                objects(resource.body, "securityContext") if resource.type == "Binary" else ()
            ):
                guard = self._find(str(link.get("reference") or ""), resource)
                if guard is not None:
                    self._holders.setdefault(id(resource), []).append(guard)

    def _once(self, resources: list[Resource]) -> list[Resource]:
        """Leave out what stands here before, under the same name."""
        first: dict[str, Resource] = {}
        for resource in resources:
            name = self._own_name(resource)
            before = first.setdefault(name, resource)
            if before is resource:
                continue
            if before.raw == resource.raw:
                self._findings.duplicate(resource.position, name)
                continue
            if resource.type == "Patient":
                self._tear(name, before, resource)
            reason = f"{name} stands at {before.position} too, with other content"
            self._findings.reject(resource.position, reason, resource.raw)
        return list(first.values())

    def _own_name(self, resource: Resource) -> str:
        """The name of a resource within its source: another system's Observation/1 is another one."""
        name, source = unit_name(resource), source_of(resource, self._origin)
        scoped = source and resource.id and not uuid_name(resource.id)
        return f"{source} {name}" if scoped else name

    def _tear(self, name: str, one: Resource, other: Resource) -> None:
        """Refuse a Patient whose own id is another person's too: nobody can say whom references mean."""
        if differs := contradict(one, other, self._origin):
            self._people.refused[id(one)] = (
                f"{name} is two people in this file, with another {listed(differs)}; "
                "import the files of two systems apart, each with its source (--source)"
            )

    def _home(self, tie: _Tie) -> tuple[str | None, str]:
        """Return whose the resource is, or None and the reason why that cannot be said."""
        owner, reason = self._owner(tie.resource)
        if owner is not None and tie.encounter is not None:
            host, _ = self._owner(tie.encounter)
            if host != owner:
                return None, "its encounter is not its patient's"
        return owner, reason

    def _owner(self, resource: Resource) -> tuple[str | None, str]:
        owner, reason = self._named_owner(resource)
        if owner is not None and (reason := self._within(resource, owner)):
            return None, reason
        return owner, reason

    def _named_owner(self, resource: Resource) -> tuple[str | None, str]:
        if reason := _foreign(resource):
            return None, reason
        if resource.type == "Patient" and id(resource) in self._people.refused:
            return None, self._people.refused[id(resource)]
        named, reason = self._named_patients(resource)
        if not named and not reason:
            for host in self._about(resource):
                found, why = self._named_patients(host)
                named, reason = named | found, reason or why
        if reason:
            return None, reason
        everybody = set(self._people.everybody)
        if len(everybody) + len(self._people.refused) > 1 and not named:
            count = len(everybody) + len(self._people.refused)
            return None, f"it names no patient and the bundle has {count}"
        about = [self._find(reference, resource) for reference in _about(resource.body)]
        if not named and about and not any(about):
            return None, "it names no patient, and what it is about is not in the bundle"
        owners = named or everybody
        if not named and self._mentioned(resource) - owners:
            return (
                None,
                "it names no patient of its own, and refers to another than that of the bundle",
            )
        if len(owners) == 1:
            return next(iter(owners)), ""
        if named:
            return None, "it names more than one patient"
        return None, f"it names no patient and the bundle has {len(owners)}"

    def _named_patients(self, resource: Resource) -> tuple[set[str], str]:
        """Whose it says that it is, and why that cannot be said."""
        if resource.type == "Patient":
            key = self._people.key(resource)
            return ({key}, "") if key else (set(), _ASIDE)
        if unread := next(_unread(resource.body), ""):
            return set(), f"its {unread} names nobody in a form that is read"
        if any(self._two_ways(link, resource) for link in _patient_links(resource.body)):
            return set(), "a reference and an identifier in it name different patients"
        return self._linked(links(resource.body, PATIENT_PATHS, "Patient"), resource)

    def _two_ways(self, link: dict[str, Any], referrer: Resource) -> bool:
        """Whether a link names a patient by a reference, and by another number of the same system than theirs."""
        reference, identifier = link.get("reference"), link.get("identifier")
        if not is_text(reference) or not isinstance(identifier, dict):
            return False
        found, said = self._find(reference, referrer), identifier_text(identifier)
        theirs = list(objects(found.body, "identifier")) if found else []
        same = [one for one in theirs if one.get("system") == identifier.get("system")]
        return bool(said and same) and said not in map(identifier_text, same)

    def _linked(self, named_by: Iterable[str], referrer: Resource) -> tuple[set[str], str]:
        """Whom these references of patients name, and why that cannot be said of one of them."""
        named = set[str]()
        for reference in named_by:
            found = self._find(reference, referrer)
            if found is None:
                source = source_of(referrer, self._origin)
                name = outside(absolute(reference, referrer), source, self._origin)
                name = name and self._people.bearer(name)
            elif found.type == "Patient" and id(found) in self._people.refused:
                return named, _ASIDE
            else:
                name = self._people.key(found) if found.type == "Patient" else None
            if name is None:
                return named, _NOT_THERE
            named.add(name)
        return named, ""

    def _within(self, resource: Resource, owner: str) -> str:
        """Why what a resource contains is not its patient's; empty if nothing in it is another's."""
        if b"contained" not in resource.raw and b"\\u" not in resource.raw:
            return ""  # nearly every resource
        who = self._people.everybody.get(owner)
        for body in objects(resource.body, "contained"):
            if unread := next(_unread(body), ""):
                return f"the {unread} of what it contains names nobody in a form that is read"
            own = (r for r in links(body, PATIENT_PATHS, "Patient") if not r.startswith("#"))
            named, reason = self._linked(own, resource)
            if reason or named - {owner}:
                return "it contains a resource of another patient; not read"
            if body.get("resourceType") == "Patient" and who:
                said = Traits.of(demographics(replace(resource, body=body), self._origin))
                if differs := compare(who.traits, said).differs:
                    return f"it contains a Patient with another {listed(differs)}; not read"
        return ""

    def _mentioned(self, resource: Resource) -> set[str]:
        """Every patient that a resource refers to, wherever; one that nobody can name as its reference."""
        named = set[str]()
        for reference in patient_references(resource.body):
            found = self._find(reference, resource)
            if found is None and _kind_of(reference) != "Patient":
                continue
            if found is None or found.type == "Patient":
                names, _ = self._linked((reference,), resource)
                named |= names or {reference}
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

    def _patient(self, owner: str, ties: list[_Tie]) -> PatientDraft:
        groups: dict[tuple[str | None, str], list[_Tie]] = {}
        for tie in ties:
            kind = category(tie.resource, tied=tie.name is not None)
            groups.setdefault((tie.name, kind), []).append(tie)
        who = self._people.everybody.get(owner)
        called = who.called if who else Called((owner,), (), (), ())
        return PatientDraft(
            names=called.names,
            numbers=called.numbers,
            person=person(who.resources[0], self._origin, who.resources[1:]) if who else None,
            records=tuple(self._record(kind, group) for (_, kind), group in groups.items()),
            encounters=sum(tie.resource.type == "Encounter" for tie in ties),
            unresolved=sum(self._unresolved(tie.resource) for tie in ties),
            said=who.said if who else Demographics(),
            bare=called.bare,
            former=called.former,
        )

    def _record(self, kind: str, ties: list[_Tie]) -> RecordDraft:
        own, first = {self._own_name(tie.resource): tie.resource for tie in ties}, ties[0]
        dated = [*([first.encounter] if first.encounter else []), *own.values()]
        day = clinical_date(dated) if first.name is not None else None

        def compose(units: Sequence[Unit]) -> Iterable[bytes]:
            chosen = [own[unit.name] for unit in units]
            return (collection([*chosen, *self._copies(chosen)]),)

        def merge(old: bytes, units: Sequence[Unit]) -> bytes:
            chosen = {unit.name: own[unit.name] for unit in units}
            return merged(old, chosen, self._copies(list(chosen.values())), self._own_name)

        return RecordDraft(
            category=kind,
            encounter=first.name,
            clinical_date=day,
            title=title(kind, first.encounter, day),
            media_type=MEDIA_TYPE,
            units=tuple(
                replace(self._unit(name, resource), former=former_name(resource, name))
                for name, resource in own.items()
            ),
            compose=compose,
            merge=merge,
        )

    def _unit(self, name: str, resource: Resource) -> Unit:
        marks = fhir_marks(resource.body, resource.around) | inner_marks(resource)
        labels = set(self._labels(codings(resource.body)))
        for holder in self._holders.get(id(resource), ()):
            marks |= fhir_marks(holder.body, holder.around) | inner_marks(holder)
            labels |= set(self._labels(codings(holder.body)))
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


def merged(
    old: bytes,
    chosen: dict[str, Resource],
    copies: list[Resource],
    named: Callable[[Resource], str],
) -> bytes:
    """The content of a record with these resources in the place of those of their names, or after them."""
    left = dict(chosen)
    there = scan_bundle(old)[1]
    own = [left.pop(named(r), r) for r in there if r.type not in REFERENCE_TYPES]
    shared = [r for r in there if r.type in REFERENCE_TYPES]
    known = {r.raw for r in shared}
    return collection([*own, *left.values(), *shared, *(r for r in copies if r.raw not in known)])


def unit_name(resource: Resource) -> str:
    """The name by which a resource is known again: what a server gives it, before what one bundle does."""
    if resource.id:
        return f"{resource.type}/{resource.id}"
    for identifier in objects(resource.body, "identifier"):
        if identifier.get("system") and identifier_text(identifier):
            return f"{resource.type}?{as_written(identifier)}"
    return resource.full_url or f"{resource.type}#{sha256(resource.raw).hexdigest()}"


def former_name(resource: Resource, name: str) -> str:
    """What older programs called it, which knew no sources; empty if the same."""
    former = unit_name(resource)
    return "" if former == name else former


def _foreign(resource: Resource) -> str:
    """Why a resource that holds others is set aside: they may be another patient's; empty if it holds none."""
    if resource.type == "Bundle":
        return "a Bundle within a bundle is not read; import it as a file of its own"
    raw = resource.raw
    if raw.count(b'"resourceType"') < 2 and b"\\u" not in raw and b"contained" not in raw:
        return ""  # nearly every resource: no walk is needed
    stack: list[Any] = [
        {k: v for k, v in resource.body.items() if k not in ("contained", "resourceType")}
    ]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            if isinstance(node.get("resourceType"), str):
                return f"it holds a {shown(node['resourceType'], 40)} that may be another patient's; not read"
            node = list(node.values())
        stack.extend(child for child in node if isinstance(child, (dict, list)))
    within = {str(one.get("resourceType")) for one in objects(resource.body, "contained")}
    if "Patient" in within and not any(links(resource.body, PATIENT_PATHS, "Patient")):
        return "it contains a Patient and names none; not read"
    return ""


def _about(body: dict[str, Any]) -> Iterator[str]:
    """The encounter and the targets that a resource names: whose they are, it is."""
    return (
        reference
        for reference in links(body, (*ENCOUNTER_PATHS, "target"), "Encounter")
        if not reference.startswith("#")
    )


def _patient_links(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in PATIENT_PATHS:
        yield from objects(body, path)


def _unread(body: dict[str, Any]) -> Iterator[str]:
    """The members that should name a patient, and hold nothing that could be followed."""
    for path in PATIENT_PATHS:
        value = body.get(path)
        for one in value if isinstance(value, list) else () if value is None else (value,):
            if not isinstance(one, dict) or not any(links({path: one}, (path,), "Patient")):
                yield path


def _may_be_encounter(reference: str) -> bool:
    """Whether a reference out of the bundle can mean an encounter: `context` can mean others."""
    return not reference.startswith("#") and _kind_of(reference) in ("", "Encounter")


def _kind_of(reference: str) -> str:
    """The type that a reference names; empty if it names none."""
    path = reference.partition("?")[0].partition("/_history/")[0].split("/")
    return path[0] if "?" in reference else path[-2] if len(path) > 1 else ""
