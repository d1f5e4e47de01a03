"""Visits as FHIR R4 resources, in the order a hospital would learn them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from synthetic import drugs
from synthetic.bodies import Body
from synthetic.bundle import Bundle, Resource
from synthetic.chance import Chance
from synthetic.claims import claim
from synthetic.courses import Courses
from synthetic.documents import write_letter
from synthetic.drugs import Drug
from synthetic.imaging import write_study
from synthetic.life import Onset
from synthetic.names import HOSPITALS
from synthetic.observing import Observing, stamp
from synthetic.people import Person
from synthetic.places import DEPARTMENTS, DOCTORS_A_DEPARTMENT, Place
from synthetic.terms import ACT_CODE, ATC, CVX, SNOMED, clinical, concept, sensitive, status
from synthetic.visits import ADMISSION, Visit

RENEWED_DAYS = 300
"""A lasting prescription is written anew after so many days."""
PEDIATRIC_AGE = 12
"""Up to this age paracetamol is dosed by weight."""
ELSEWHERE = 0.06
"""How often a visit is to another hospital than the nearest."""


class Chart:
    """One patient's resources; call `write` with each visit, in order."""

    def __init__(
        self, seed: int, bundle: Bundle, person: Person, onsets: Mapping[str, Onset],
        chance: Chance, patient: Resource, coverage: Resource, penicillin: bool,
    ) -> None:  # fmt: skip
        """`patient` and `coverage` are references; `penicillin`: there is an allergy to it."""
        self._seed, self._bundle, self._person, self._chance = seed, bundle, person, chance
        self._onsets, self._patient, self._coverage = onsets, patient, coverage
        self._penicillin = penicillin
        obesity = onsets.get("obesity")
        body = Body(chance, person, obesity.began if obesity else None)
        self._observing = Observing(bundle, person, Courses(chance, person, onsets), body)
        self._doctors: dict[tuple[int, str], Place] = {}
        self._written: dict[tuple[str, str], date] = {}
        """When each lasting prescription was last written."""
        self.places: dict[Place, None] = {}
        """Where the patient was, in order."""

    def write(self, visit: Visit, listed: list[Onset]) -> None:
        """Add a visit; `listed` are conditions known from elsewhere that are entered at it."""
        place = self._place(visit)
        start, end = stamp(visit.begins), stamp(visit.ends)
        label = {"meta": sensitive(visit.label)} if visit.label else {}
        encounter = self._bundle.add("Encounter", label | self._encounter(visit, place, start, end))
        about = {"subject": self._patient, "encounter": encounter}
        seen = about | {"effectiveDateTime": start, "performer": [place.practitioner]}
        self._conditions(visit, listed, about, start)
        smoking = self._onsets.get("smoking")
        self._observing.vital_signs(visit, seen, smoking)
        before = self._bundle.types["Observation"]
        self._observing.laboratory(visit, seen | {"performer": [place.organization]})
        tests = self._bundle.types["Observation"] - before
        for term in visit.procedures:
            self._bundle.add("Procedure", label | _procedure(clinical(term), about, place, start))
        for image in visit.images:
            write_study(self._chance, self._bundle, image, visit, about, start)
        self._immunizations(visit, about, start, place)
        given = self._medication(visit, about, start, place)
        if visit.letter:
            write_letter(
                self._seed,
                self._chance,
                self._bundle,
                self._person,
                visit,
                place,
                label | about,
                end,
            )
        costs = about | {"ended": end, "provider": place.organization}
        bill = claim(self._chance, visit, tests, given, self._coverage, costs)
        self._bundle.add("Claim", label | bill)

    def _place(self, visit: Visit) -> Place:
        """The nearest hospital as a rule, and of a department always the same doctor."""
        away = self._chance.happens(ELSEWHERE)
        hospital = self._chance.below(len(HOSPITALS)) if away else self._person.home
        key = (hospital, visit.department)
        if key not in self._doctors:
            self._doctors[key] = Place(*key, self._chance.below(DOCTORS_A_DEPARTMENT))
        place = self._doctors[key]
        self.places[place] = None
        return place

    def _encounter(self, visit: Visit, place: Place, start: str, end: str) -> Resource:
        kind, service = visit.kind, DEPARTMENTS[visit.department]
        reasons = [onset.illness.term for onset in (*visit.found, *visit.follows)]
        reasons += [visit.crisis.term] if visit.crisis else []
        reasons += [visit.complaint.term] if visit.complaint else []
        encounter = {
            "status": "finished",
            "class": {"system": ACT_CODE, "code": kind.code, "display": kind.display},
            "type": [concept(SNOMED, kind.type.code, kind.type.display)],
            "serviceType": concept(SNOMED, service.code, service.display),
            "subject": self._patient,
            "participant": [
                {"type": [status("v3-ParticipationType", "ATND")], "individual": place.practitioner}
            ],
            "period": {"start": start, "end": end},
            "location": [{"location": place.location}],
            "serviceProvider": place.organization,
        }
        if reasons:
            encounter["reasonCode"] = [clinical(term) for term in reasons]
        if kind is ADMISSION:
            how = "exp" if visit.fatal else "home"
            encounter["hospitalization"] = {
                "dischargeDisposition": status("discharge-disposition", how)
            }
        return encounter

    def _conditions(self, visit: Visit, listed: list[Onset], about: Resource, start: str) -> None:
        """What was found, or entered in the list of problems, and what will pass."""
        for onset in (*visit.found, *listed):
            label = onset.illness.label
            code = clinical(onset.illness.term)
            condition = _condition("problem-list-item", "active", code, about, start)
            condition["onsetDateTime"] = onset.began.isoformat()
            self._bundle.add("Condition", ({"meta": sensitive(label)} if label else {}) | condition)
        passing = visit.crisis or visit.complaint
        if passing is None:
            return
        over = visit.ends if visit.crisis else self._recovery(visit)
        done = over is not None and not visit.fatal
        condition = _condition(
            "encounter-diagnosis",
            "resolved" if done else "active",
            clinical(passing.term),
            about,
            start,
        )
        condition["onsetDateTime"] = start
        if over is not None and done:
            condition["abatementDateTime"] = stamp(over)
        label = visit.label
        self._bundle.add("Condition", ({"meta": sensitive(label)} if label else {}) | condition)

    def _recovery(self, visit: Visit) -> datetime | None:
        """When a complaint is over; None if that is not within the record."""
        if visit.complaint is None:
            return None
        days = self._chance.between(*visit.complaint.days)
        over = max(visit.begins + timedelta(days=days), visit.ends)
        return over if over.date() < self._person.until else None

    def _immunizations(self, visit: Visit, about: Resource, start: str, place: Place) -> None:
        for vaccine in visit.vaccines:
            immunization = {
                "status": "completed",
                "vaccineCode": concept(CVX, vaccine.code, vaccine.name),
                "patient": about["subject"],
                "encounter": about["encounter"],
                "occurrenceDateTime": start,
                "primarySource": True,
                "performer": [{"actor": place.practitioner}],
            }
            self._bundle.add("Immunization", immunization)

    def _medication(self, visit: Visit, about: Resource, start: str, place: Place) -> list[Drug]:
        """Prescriptions: lasting ones when due, and those for the visit's own trouble."""
        given: list[Drug] = []
        for onset in (*visit.found, *visit.follows):
            if visit.fatal:
                continue
            given += [
                self._prescribe(drug, about, start, place, onset.illness.label, "continuous")
                for drug in self._due(onset, visit.begins.date())
            ]
        passing = [*visit.drugs, *(visit.complaint.drugs if visit.complaint else ())]
        young = self._person.age(visit.begins.date()) < PEDIATRIC_AGE
        for drug in passing:
            right = self._suited(drug, young)
            given.append(self._prescribe(right, about, start, place, visit.label, "acute"))
        return given

    def _suited(self, drug: Drug, young: bool) -> Drug:
        if self._penicillin and drug in drugs.PENICILLINS:
            return drugs.AZITHROMYCIN
        return drugs.PARACETAMOL_CHILD if young and drug is drugs.PARACETAMOL else drug

    def _due(self, onset: Onset, day: date) -> list[Drug]:
        """The first drug of a condition at once, the others once it has lasted a while."""
        years = (day - onset.found).days // 730
        due = []
        for drug in onset.illness.drugs[: 1 + max(years, 0)]:
            key = (onset.illness.key, drug.code)
            if key not in self._written or (day - self._written[key]).days >= RENEWED_DAYS:
                self._written[key] = day
                due.append(drug)
        return due

    def _prescribe(
        self, drug: Drug, about: Resource, start: str, place: Place, label: str, course: str
    ) -> Drug:
        request = {
            "status": "active" if course == "continuous" and not self._person.died else "completed",
            "intent": "order",
            "medicationCodeableConcept": concept(ATC, drug.code, drug.name),
            **about,
            "authoredOn": start,
            "requester": place.practitioner,
            "courseOfTherapyType": status("medicationrequest-course-of-therapy", course),
            "dosageInstruction": [{"text": drug.dose}],
        }
        meta = {"meta": sensitive(label)} if label else {}
        self._bundle.add("MedicationRequest", meta | request)
        return drug


def _condition(category: str, state: str, code: object, about: Resource, start: str) -> Resource:
    return {
        "clinicalStatus": status("condition-clinical", state),
        "verificationStatus": status("condition-ver-status", "confirmed"),
        "category": [status("condition-category", category)],
        "code": code,
        **about,
        "recordedDate": start,
    }


def _procedure(code: object, about: Resource, place: Place, start: str) -> Resource:
    return {
        "status": "completed",
        "code": code,
        **about,
        "performedDateTime": start,
        "performer": [{"actor": place.practitioner}],
        "location": place.location,
    }
