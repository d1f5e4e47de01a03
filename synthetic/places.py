"""Hospitals, their departments, and who works there: the same for all patients of a seed."""

from __future__ import annotations

from typing import NamedTuple

from synthetic.bundle import Bundle, Resource
from synthetic.chance import Chance
from synthetic.names import FAMILY, GIVEN, HOSPITALS, TOWNS
from synthetic.terms import SNOMED, SYSTEMS, Term, concept, known, status

DEPARTMENTS = {
    "general": Term("394802001", "General medicine"),
    "pediatrics": Term("394537008", "Pediatric specialty"),
    "emergency": Term("773568002", "Emergency medicine"),
    "cardiology": Term("394579002", "Cardiology"),
    "endocrinology": Term("394583002", "Endocrinology"),
    "obstetrics": Term("394585009", "Obstetrics and gynecology"),
    "psychiatry": Term("394587001", "Psychiatry"),
    "child psychiatry": Term("394588006", "Child and adolescent psychiatry"),
    "orthopedics": Term("394801008", "Trauma and orthopedics"),
    "neurology": Term("394591006", "Neurology"),
    "oncology": Term("394593009", "Medical oncology"),
    "infections": Term("394807007", "Infectious diseases"),
    "pulmonology": Term("418112009", "Pulmonary medicine"),
    "nephrology": Term("394589003", "Nephrology"),
    "surgery": Term("394609007", "Surgery-general"),
}
PEDIATRIC = frozenset({"pediatrics", "child psychiatry"})
"""The departments that minors are seen in."""
DOCTORS_A_DEPARTMENT = 3


class Place(NamedTuple):
    """Where an encounter is, and who is responsible; the numbers of `hospitals` and the rest."""

    hospital: int
    department: str
    doctor: int

    @property
    def organization(self) -> dict[str, str]:
        """A reference to the hospital."""
        return known("Organization", f"H-{self.hospital}")

    @property
    def location(self) -> dict[str, str]:
        """A reference to the department's rooms."""
        return known("Location", f"H-{self.hospital}-{_short(self.department)}")

    @property
    def practitioner(self) -> dict[str, str]:
        """A reference to the doctor."""
        return known("Practitioner", _number(self))


def doctor_name(seed: int, place: Place) -> tuple[str, str]:
    """Given and family name of the doctor."""
    chance = Chance(seed, "doctor", *place)
    return chance.pick(GIVEN[chance.pick(("female", "male"))]), chance.pick(FAMILY)


def region(seed: int) -> dict[str, Bundle]:
    """Bundles of all that patients' bundles refer to: `hospitals` with their departments, and
    `practitioners` with their roles."""
    houses = Bundle(Chance(seed, "hospitals"))
    doctors = Bundle(Chance(seed, "practitioners"))
    for hospital in range(len(HOSPITALS)):
        add_hospital(houses, hospital)
        for department in DEPARTMENTS:
            add_location(houses, Place(hospital, department, 0))
            for doctor in range(DOCTORS_A_DEPARTMENT):
                place = Place(hospital, department, doctor)
                add_practitioner(seed, doctors, place)
                _add(doctors, "PractitionerRole", _number(place), _role(place))
    return {"hospitals": houses, "practitioners": doctors}


def add_hospital(bundle: Bundle, number: int) -> None:
    """Add one hospital."""
    postal, town = TOWNS[number]
    address = {"line": ["Klinikallee 1"], "postalCode": postal, "city": town, "country": "DE"}
    resource = {
        "active": True,
        "type": [status("organization-type", "prov")],
        "name": HOSPITALS[number],
        "telecom": [{"system": "phone", "value": f"+49 30 23125{number:03d}"}],
        "address": [address],
    }
    _add(bundle, "Organization", f"H-{number}", resource)


def add_location(bundle: Bundle, place: Place) -> None:
    """Add a department's rooms."""
    term = DEPARTMENTS[place.department]
    resource = {
        "status": "active",
        "name": f"{term.display}, {HOSPITALS[place.hospital]}",
        "type": [concept(SNOMED, term.code, term.display)],
        "managingOrganization": place.organization,
    }
    _add(bundle, "Location", f"H-{place.hospital}-{_short(place.department)}", resource)


def add_practitioner(seed: int, bundle: Bundle, place: Place) -> None:
    """Add one doctor."""
    given, family = doctor_name(seed, place)
    name = {"use": "official", "family": family, "given": [given], "prefix": ["Dr."]}
    _add(bundle, "Practitioner", _number(place), {"active": True, "name": [name]})


def _role(place: Place) -> Resource:
    term = DEPARTMENTS[place.department]
    return {
        "active": True,
        "practitioner": place.practitioner,
        "organization": place.organization,
        "specialty": [concept(SNOMED, term.code, term.display)],
        "location": [place.location],
    }


def _add(bundle: Bundle, kind: str, number: str, resource: Resource) -> None:
    system = f"{SYSTEMS}/{kind.lower()}"
    named = {"identifier": [{"system": system, "value": number}], **resource}
    bundle.add(kind, named, unless=f"identifier={system}|{number}")


def _short(department: str) -> str:
    return department.replace(" ", "-")


def _number(place: Place) -> str:
    return f"D-{place.hospital}-{_short(place.department)}-{place.doctor}"
