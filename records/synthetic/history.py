"""A synthetic patient's history as FHIR R4 resources: the places, the encounters, the rest."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from records.synthetic.bundle import Bundle
from records.synthetic.encounter import Visit, write_encounter
from records.synthetic.measures import Trends
from records.synthetic.person import LAST_DAY, Person
from records.synthetic.terms import (
    ADULT_PROBLEMS,
    ADULT_VACCINES,
    ALLERGIES,
    CHILD_PROBLEMS,
    CHILD_VACCINES,
    DOCTORS,
    ENCOUNTERS,
    GOALS,
    HL7,
    HOSPITALS,
    SNOMED,
    WARDS,
    concept,
    status,
)

SYSTEMS = "https://heartwood.example/identifiers"
ENCOUNTERS_MOST = 6
YEARS_BACK = 6
STEP = timedelta(days=10)


class History:
    """Writes one patient's resources into a bundle, in the order a hospital would learn them."""

    def __init__(self, rng: random.Random, bundle: Bundle, person: Person) -> None:
        """Everything is drawn from `rng` and added to `bundle`."""
        self._rng, self._bundle, self._person = rng, bundle, person

    def write(self) -> None:
        """Add the patient, 1 to 6 encounters, and one or two resources outside of any."""
        places = self._places()
        patient = self._patient(places["organization"])
        trends = Trends(self._rng)
        for visit in self._visits(patient, places):
            write_encounter(self._rng, self._bundle, visit, trends)
        doctor = places["practitioner"]
        self._allergy(patient, doctor)
        if self._person.died is None and self._rng.randrange(2):
            self._goal(patient, doctor)

    def _places(self) -> dict[str, Any]:
        """Where and by whom: made once on a server, whatever number of bundles names them."""
        hospital = self._rng.randrange(len(HOSPITALS))
        doctor = self._rng.randrange(len(DOCTORS))
        ward = self._rng.randrange(len(WARDS))
        given, family = DOCTORS[doctor]
        organization = self._shared("Organization", f"H-{hospital}", {"name": HOSPITALS[hospital]})
        practitioner = self._shared(
            "Practitioner", f"D-{doctor}", {"name": [{"family": family, "given": [given]}]}
        )
        location = self._shared(
            "Location",
            f"H-{hospital}-W-{ward}",
            {"name": WARDS[ward], "managingOrganization": organization},
        )
        return {
            "organization": organization,
            "practitioner": {**practitioner, "display": f"Dr. {given} {family}"},
            "location": location,
        }

    def _shared(self, kind: str, number: str, resource: dict[str, Any]) -> dict[str, Any]:
        system = f"{SYSTEMS}/{kind.lower()}"
        named = {"identifier": [{"system": system, "value": number}], **resource}
        return self._bundle.add(kind, named, unless=f"identifier={system}|{number}")

    def _patient(self, organization: dict[str, Any]) -> dict[str, Any]:
        person = self._person
        resource = {
            "identifier": [
                {
                    "type": status("v2-0203", "MR"),
                    "system": f"{SYSTEMS}/mrn",
                    "value": person.identifier,
                }
            ],
            "active": person.died is None,
            "name": [{"use": "official", "family": person.family, "given": [person.given]}],
            "gender": person.gender,
            "birthDate": person.born.isoformat(),
            "managingOrganization": organization,
        }
        if person.died is not None:
            resource["deceasedDateTime"] = person.died.isoformat()
        return self._bundle.add("Patient", resource)

    def _visits(self, patient: dict[str, Any], places: dict[str, Any]) -> list[Visit]:
        """Draw the encounters, oldest first; each brings another problem and another vaccine."""
        days = self._days()
        minor = self._person.minor
        problems = self._rng.sample(CHILD_PROBLEMS if minor else ADULT_PROBLEMS, len(days))
        vaccines = self._rng.sample(CHILD_VACCINES if minor else ADULT_VACCINES, len(days))
        return [
            Visit(
                patient=patient,
                **places,
                begins=self._moment(day),
                kind=self._rng.choice(ENCOUNTERS),
                problem=problem,
                vaccine=vaccine,
            )
            for day, problem, vaccine in zip(days, problems, vaccines, strict=True)
        ]

    def _days(self) -> list[date]:
        """Days after birth whose encounters end before the record or the life does."""
        last = (self._person.died or LAST_DAY) - STEP
        span = min((last - self._person.born).days, YEARS_BACK * 365)
        count = self._rng.randint(1, ENCOUNTERS_MOST)
        # A step exceeds the longest encounter: nobody is in two beds at once.
        steps = sorted(self._rng.sample(range(span // STEP.days), count), reverse=True)
        return [last - step * STEP for step in steps]

    def _moment(self, day: date) -> datetime:
        clock = time(self._rng.randint(7, 18), self._rng.randrange(0, 60, 5), tzinfo=UTC)
        return datetime.combine(day, clock)

    def _allergy(self, patient: dict[str, Any], doctor: dict[str, Any]) -> None:
        resource = {
            "clinicalStatus": status("allergyintolerance-clinical", "active"),
            "verificationStatus": status("allergyintolerance-verification", "confirmed"),
            "type": "allergy",
            "code": concept(SNOMED, *self._rng.choice(ALLERGIES)),
            "patient": patient,
            "recorder": doctor,
        }
        self._bundle.add("AllergyIntolerance", resource)

    def _goal(self, patient: dict[str, Any], doctor: dict[str, Any]) -> None:
        resource = {
            "lifecycleStatus": "active",
            "achievementStatus": concept(f"{HL7}/goal-achievement", "in-progress", "In Progress"),
            "description": {"text": self._rng.choice(GOALS)},
            "subject": patient,
            "expressedBy": doctor,
        }
        self._bundle.add("Goal", resource)
