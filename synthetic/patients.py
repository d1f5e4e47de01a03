"""Synthetic patients, each with the FHIR R4 transaction bundle of a record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from synthetic.bundle import Bundle, Resource
from synthetic.chance import Chance
from synthetic.chart import Chart
from synthetic.claims import coverage
from synthetic.life import onsets
from synthetic.observing import stamp
from synthetic.people import ADULT_YEARS, LAST_DAY, Person, Relative, person_at
from synthetic.places import Place, add_hospital, add_location, add_practitioner
from synthetic.planning import Plan
from synthetic.terms import SNOMED, SYSTEMS, concept, known, status

YEARS = 10
"""How many years of a life a record goes back, unless told otherwise."""

ALLERGIES = (
    ("91936005", "Allergy to penicillin"), ("91935009", "Allergy to peanut"),
    ("300913006", "Allergy to shellfish"), ("419474003", "Allergy to mould"),
    ("232347008", "Allergy to animal dander"), ("294505008", "Amoxicillin allergy"),
)  # fmt: skip
PENICILLIN_ALLERGIES = frozenset({"91936005", "294505008"})
ALLERGIC = (0.78, 0.17, 0.05)
"""How many of all people have none, one and two allergies."""


@dataclass(frozen=True, slots=True)
class SyntheticPatient:
    """A made-up patient: who it is, and the record as a FHIR transaction bundle (UTF-8 JSON)."""

    identifier: str
    name: str
    birth_date: str
    deceased: bool
    bundle: bytes
    types: Counter[str]
    """How many resources of each type are in the bundle."""


def patients(seed: int, count: int, years: int = YEARS) -> Iterator[SyntheticPatient]:
    """The first `count` patients of `seed`, each bundle with the places and doctors it refers to.

    A patient depends on the seed and its place only, so a longer run begins with the shorter one.
    Identifiers are unique within a seed.
    """
    for place in range(count):
        yield patient(seed, place, years, alone=True)


def patient(seed: int, place: int, years: int = YEARS, alone: bool = False) -> SyntheticPatient:
    """The patient at a place of the run, with the last `years` of the record.

    A bundle that stands `alone` holds what it refers to; the others refer to it by identifier.
    """
    person = person_at(seed, place)
    chance = Chance(seed, "patient", place)
    bundle = Bundle(chance)
    places = _record(seed, chance, bundle, person, years)
    if alone:
        _add_places(seed, bundle, person, places)
    return SyntheticPatient(
        identifier=person.identifier,
        name=person.name,
        birth_date=person.born.isoformat(),
        deceased=person.died is not None,
        bundle=bundle.encode(),
        types=bundle.types,
    )


def _record(seed: int, chance: Chance, bundle: Bundle, person: Person, years: int) -> list[Place]:
    """Write everything about a person; the places it was at."""
    found = onsets(chance, person)
    since = max(person.born, date(max(LAST_DAY.year - years, 1), LAST_DAY.month, LAST_DAY.day))
    since = min(since, person.until)
    subject = bundle.add("Patient", _patient(person))
    insured = bundle.add("Coverage", coverage(subject, person.insurance, since.isoformat()))
    for relative in person.relatives:
        bundle.add("RelatedPerson", _related(subject, relative))
    allergies = _allergies(chance)
    for allergy in allergies:
        bundle.add("AllergyIntolerance", _allergy(subject, allergy))
    penicillin = any(code in PENICILLIN_ALLERGIES for code, _ in allergies)
    chart = Chart(seed, bundle, person, found, chance, subject, insured, penicillin)
    listed = [onset for onset in found.values() if onset.found < since]
    for visit in Plan(chance, person, found, since).visits():
        chart.write(visit, listed)
        listed = []
    return list(chart.places)


def _add_places(seed: int, bundle: Bundle, person: Person, places: list[Place]) -> None:
    for hospital in dict.fromkeys((person.home, *(place.hospital for place in places))):
        add_hospital(bundle, hospital)
    for place in {(p.hospital, p.department): p for p in places}.values():
        add_location(bundle, place)
    for place in places:
        add_practitioner(seed, bundle, place)


def _patient(person: Person) -> Resource:
    resource: Resource = {
        "identifier": [
            {
                "type": status("v2-0203", "MR"),
                "system": f"{SYSTEMS}/mrn",
                "value": person.identifier,
            },
            {
                "type": status("v2-0203", "NIIP"),
                "system": f"{SYSTEMS}/insurance",
                "value": person.insurance,
            },
        ],
        "active": person.died is None,
        "name": [_name(person)],
        "telecom": [{"system": "phone", "value": person.phone, "use": "home"}],
        "gender": person.gender,
        "birthDate": person.born.isoformat(),
        "address": [_address(person)],
        "managingOrganization": known("Organization", f"H-{person.home}"),
    }
    if person.died is not None:
        resource["deceasedDateTime"] = stamp(person.died)
    guardians = [r for r in person.relatives if r.role in ("MTH", "FTH")]
    if person.age(LAST_DAY) < ADULT_YEARS and guardians:
        resource["contact"] = [_guardian(relative) for relative in guardians]
    return resource


def _guardian(relative: Relative) -> Resource:
    return {
        "relationship": [status("v2-0131", "N"), status("v3-RoleCode", "GUARD")],
        "name": _name(relative.person),
        "address": _address(relative.person),
        "gender": relative.person.gender,
    }


def _related(patient: Resource, relative: Relative) -> Resource:
    """Somebody of the household, who is a patient too: by the same identifier."""
    person = relative.person
    return {
        "identifier": [{"system": f"{SYSTEMS}/mrn", "value": person.identifier}],
        "active": person.died is None,
        "patient": patient,
        "relationship": [status("v3-RoleCode", relative.role)],
        "name": [_name(person)],
        "gender": person.gender,
        "birthDate": person.born.isoformat(),
        "address": [_address(person)],
    }


def _name(person: Person) -> Resource:
    return {"use": "official", "family": person.family, "given": [person.given]}


def _address(person: Person) -> Resource:
    line, postal, town = person.address
    return {"use": "home", "line": [line], "postalCode": postal, "city": town, "country": "DE"}


def _allergies(chance: Chance) -> list[tuple[str, str]]:
    number = chance.weighted((0, 1, 2), ALLERGIC)
    return list(dict.fromkeys(chance.pick(ALLERGIES) for _ in range(number)))


def _allergy(patient: Resource, allergy: tuple[str, str]) -> Resource:
    food = "peanut" in allergy[1] or "shellfish" in allergy[1]
    drug = allergy[0] in PENICILLIN_ALLERGIES
    return {
        "clinicalStatus": status("allergyintolerance-clinical", "active"),
        "verificationStatus": status("allergyintolerance-verification", "confirmed"),
        "type": "allergy",
        "category": ["food" if food else "medication" if drug else "environment"],
        "criticality": "high" if drug else "low",
        "code": concept(SNOMED, *allergy),
        "patient": patient,
    }
