"""Observations and the laboratory's reports on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from functools import cache
from typing import Any

import orjson

from synthetic.bodies import BMI, HEIGHT, WEIGHT, Body
from synthetic.bundle import Bundle, Resource, decimal
from synthetic.courses import ALL, Courses
from synthetic.life import Onset
from synthetic.measures import Measure
from synthetic.people import Person
from synthetic.terms import LOINC, SNOMED, UCUM, concept, sensitive, status
from synthetic.visits import ADMISSION, CHECK, CHILD_CHECK, EMERGENCY, Visit

PRESSURE = concept(LOINC, "85354-9", "Blood pressure panel with all children optional")
REPORT = concept(LOINC, "11502-2", "Laboratory report")
SMOKING = concept(LOINC, "72166-2", "Tobacco smoking status")
SMOKER = concept(SNOMED, "77176002", "Smoker")
NEVER = concept(SNOMED, "266919005", "Never smoked tobacco")
VITAL = [status("observation-category", "vital-signs")]
SOCIAL = [status("observation-category", "social-history")]
LABORATORY = [status("observation-category", "laboratory")]
PRESSURE_AGE = 3
"""Blood pressure is measured from this age in years on."""
SMOKING_AGE = 14
TOLD_DAYS = 80
"""What the laboratory told so lately isn't asked again of the well."""
LIPIDS = ("ldl", "hdl", "triglycerides", "cholesterol")


class Observing:
    """Writes what is measured at one person's visits."""

    def __init__(self, bundle: Bundle, person: Person, courses: Courses, body: Body) -> None:
        """Values come from `courses` and `body`, resources go to `bundle`."""
        self._bundle, self._person = bundle, person
        self._courses, self._body = courses, body
        self._told: dict[str, date] = {}

    def vital_signs(self, visit: Visit, about: Resource, smoking: Onset | None) -> None:
        """At a check body and pressure, of the ill what illness moves; each as often as is usual."""
        day, age = visit.begins.date(), self._person.age(visit.begins.date())
        in_bed = visit.kind in (ADMISSION, EMERGENCY)
        if visit.kind in (CHECK, CHILD_CHECK, ADMISSION):
            body = zip((HEIGHT, WEIGHT, BMI), self._body.digits(day), strict=True)
            self._write(VITAL, body, about)
        if visit.ill or in_bed:
            names = ["pulse", "temperature", *(["oxygen"] if in_bed else [])]
            self._write(VITAL, self._measured(names, visit), about)
        if age >= PRESSURE_AGE and (not visit.complaint or in_bed):
            parts = self._measured(["systolic", "diastolic"], visit)
            panel = {"component": [self._value(*part) for part in parts]}
            self._observe(VITAL, {"code": PRESSURE} | panel, about)
        if age >= SMOKING_AGE and visit.kind is CHECK:
            smokes = smoking is not None and smoking.began <= day
            answer = SMOKER if smokes else NEVER
            self._observe(SOCIAL, {"code": SMOKING, "valueCodeableConcept": answer}, about)

    def laboratory(self, visit: Visit, about: Resource) -> None:
        """One observation a value, and the report on all of them; nothing if nothing was asked."""
        names = list(dict.fromkeys(self._asked(visit)))
        if not names:
            return
        hiv = {"meta": sensitive("HIV")} if "viral load" in names else {}
        results = self._write(LABORATORY, self._measured(names, visit), about | hiv)
        report = {
            "status": "final",
            "category": [status("v2-0074", "LAB")],
            "code": REPORT,
            **about,
            "issued": stamp(visit.ends),
            "result": results,
        }
        self._bundle.add("DiagnosticReport", report | hiv)

    def _asked(self, visit: Visit) -> Iterator[str]:
        """What the laboratory is asked for: of the well, nothing that it told lately."""
        day, ill = visit.begins.date(), bool(visit.nights or visit.ill)
        for name in (part for lab in visit.labs for part in (LIPIDS if lab == "ldl" else (lab,))):
            if name == "psa" and self._person.gender == "female":
                continue
            if ill or (day - self._told.get(name, date.min)).days >= TOLD_DAYS:
                self._told[name] = day
                yield name

    def _measured(self, names: list[str], visit: Visit) -> list[tuple[Measure, int]]:
        day, ill = visit.begins.date(), visit.ill
        return [(ALL[name], self._courses.digits(name, day, ill)) for name in names]

    def _write(
        self, category: list[Any], values: Iterable[tuple[Measure, int]], about: Resource
    ) -> list[dict[str, str]]:
        return [self._observe(category, self._value(*value), about) for value in values]

    def _observe(self, category: list[Any], finding: Resource, about: Resource) -> dict[str, str]:
        return self._bundle.add(
            "Observation", {"status": "final", "category": category, **about, **finding}
        )

    def _value(self, measure: Measure, digits: int) -> Resource:
        """What an Observation and a component of one share: the value, its range and its flag."""
        side = 0 if self._person.gender == "female" else 1
        found: Resource = {
            "code": concept(LOINC, measure.code, measure.display),
            "valueQuantity": quantity(measure, digits),
        }
        if measure.high[side]:
            found["interpretation"] = [_FLAGS[flag(measure, side, digits)]]
            found["referenceRange"] = [reference_range(measure, side)]
        return found


_FLAGS = {
    code: status("v3-ObservationInterpretation", code) for code in ("N", "L", "H", "LL", "HH")
}


def flag(measure: Measure, side: int, digits: int) -> str:
    """The interpretation's code; `side` is 0 for women and 1 for men."""
    value = digits / 10**measure.places
    if value < measure.low[side]:
        return "LL" if value < measure.critical[0] else "L"
    if value > measure.high[side]:
        return "HH" if value > measure.critical[1] else "H"
    return "N"


def quantity(measure: Measure, digits: int) -> orjson.Fragment:
    """A Quantity with all the places of its measure written out."""
    number, unit = decimal(digits, measure.places), measure.unit
    return orjson.Fragment(
        f'{{"value":{number},"unit":"{unit}","system":"{UCUM}","code":"{unit}"}}'
    )


@cache
def reference_range(measure: Measure, side: int) -> orjson.Fragment:
    """The ends in the unit's words, as the value beside them says its code; no low end of 0."""
    ends = {"low": measure.low[side], "high": measure.high[side]}
    parts = [
        f'"{end}":{{"value":{decimal(round(value * 10**measure.places), measure.places)},'
        f'"unit":"{measure.unit}"}}'
        for end, value in ends.items()
        if value
    ]
    return orjson.Fragment(f"{{{','.join(parts)}}}")


def stamp(moment: datetime) -> str:
    """A moment as FHIR writes it; the hospitals' clocks stand on UTC."""
    return moment.isoformat() + "+00:00"
