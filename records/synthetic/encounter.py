"""One encounter and what came of it, as FHIR R4 resources."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from records.synthetic.bundle import Bundle, Resource
from records.synthetic.measures import Trends
from records.synthetic.terms import (
    ACT_CODE,
    ATC,
    BLOOD_PRESSURE,
    CVX,
    DIASTOLIC,
    HL7,
    LABORATORY,
    LABORATORY_REPORT,
    SNOMED,
    SYSTOLIC,
    VITAL_SIGNS,
    Problem,
    concept,
    status,
)

CURRENCY = "EUR"
FEE_TENTHS = (350, 4_800)


@dataclass(frozen=True)
class Visit:
    """What an encounter is about; the first four are references."""

    patient: dict[str, Any]
    organization: dict[str, Any]
    practitioner: dict[str, Any]
    location: dict[str, Any]
    begins: datetime
    kind: tuple[str, str, str, str, int]
    problem: Problem
    vaccine: tuple[str, str]


def write_encounter(rng: random.Random, bundle: Bundle, visit: Visit, trends: Trends) -> None:
    """Add the encounter and its resources to the bundle."""
    hours = visit.kind[4]
    ends = visit.begins + timedelta(minutes=rng.randrange(15, hours * 60 + 1, 5))
    encounter = bundle.add("Encounter", _encounter(visit, ends))
    Chart(bundle, visit, encounter, trends).write()
    bundle.add("Claim", _claim(rng, visit, encounter, ends))


class Chart:
    """The clinical resources of one encounter."""

    def __init__(
        self, bundle: Bundle, visit: Visit, encounter: dict[str, Any], trends: Trends
    ) -> None:
        """Values come from `trends`, everything else from `visit`."""
        self._bundle, self._visit, self._trends = bundle, visit, trends
        self._when = visit.begins.isoformat()
        self._about = {"subject": visit.patient, "encounter": encounter}

    def write(self) -> None:
        """Add observations, report, condition, prescription, procedure and immunization."""
        self._vital_signs()
        self._laboratory()
        problem = self._visit.problem
        self._bundle.add("Condition", self._condition(problem))
        self._bundle.add("MedicationRequest", self._prescription(problem))
        self._bundle.add("Procedure", self._procedure(problem))
        self._bundle.add("Immunization", self._immunization())

    def _vital_signs(self) -> None:
        for measure in VITAL_SIGNS:
            self._observe("vital-signs", self._trends.measured(measure))
        parts = [self._trends.measured(measure) for measure in (SYSTOLIC, DIASTOLIC)]
        self._observe("vital-signs", {"code": BLOOD_PRESSURE, "component": parts})

    def _laboratory(self) -> None:
        results = [self._observe("laboratory", self._trends.measured(m)) for m in LABORATORY]
        report = {
            "status": "final",
            "category": [status("v2-0074", "LAB")],
            "code": LABORATORY_REPORT,
            **self._about,
            "effectiveDateTime": self._when,
            "issued": (self._visit.begins + timedelta(hours=2)).isoformat(),
            "performer": [self._visit.organization],
            "result": results,
        }
        self._bundle.add("DiagnosticReport", report)

    def _observe(self, category: str, finding: dict[str, Any]) -> dict[str, Any]:
        resource = {
            "status": "final",
            "category": [status("observation-category", category)],
            **self._about,
            "effectiveDateTime": self._when,
            "performer": [self._visit.practitioner],
            **finding,
        }
        return self._bundle.add("Observation", resource)

    def _condition(self, problem: Problem) -> Resource:
        return {
            "clinicalStatus": status("condition-clinical", "active"),
            "verificationStatus": status("condition-ver-status", "confirmed"),
            "category": [status("condition-category", "encounter-diagnosis")],
            "code": concept(SNOMED, *problem.condition),
            **self._about,
            "onsetDateTime": self._when,
            "recordedDate": self._when,
        }

    def _prescription(self, problem: Problem) -> Resource:
        return {
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": concept(ATC, *problem.drug),
            **self._about,
            "authoredOn": self._when,
            "requester": self._visit.practitioner,
            "dosageInstruction": [{"text": problem.dose}],
        }

    def _procedure(self, problem: Problem) -> Resource:
        return {
            "status": "completed",
            "code": concept(SNOMED, *problem.procedure),
            **self._about,
            "performedDateTime": self._when,
            "performer": [{"actor": self._visit.practitioner}],
            "location": self._visit.location,
        }

    def _immunization(self) -> Resource:
        return {
            "status": "completed",
            "vaccineCode": concept(CVX, *self._visit.vaccine),
            "patient": self._about["subject"],
            "encounter": self._about["encounter"],
            "occurrenceDateTime": self._when,
            "primarySource": True,
        }


def _encounter(visit: Visit, ends: datetime) -> Resource:
    code, display, kind, kind_display, _ = visit.kind
    return {
        "status": "finished",
        "class": {"system": ACT_CODE, "code": code, "display": display},
        "type": [concept(SNOMED, kind, kind_display)],
        "subject": visit.patient,
        "participant": [
            {
                "type": [status("v3-ParticipationType", "ATND")],
                "individual": visit.practitioner,
            }
        ],
        "period": {"start": visit.begins.isoformat(), "end": ends.isoformat()},
        "location": [{"location": visit.location}],
        "serviceProvider": visit.organization,
    }


def _claim(rng: random.Random, visit: Visit, encounter: dict[str, Any], ends: datetime) -> Resource:
    fee = {"value": Decimal(rng.randint(*FEE_TENTHS) * 10).scaleb(-2), "currency": CURRENCY}
    _, _, kind, kind_display, _ = visit.kind
    item = {
        "sequence": 1,
        "productOrService": concept(SNOMED, kind, kind_display),
        "net": fee,
        "encounter": [encounter],
    }
    return {
        "status": "active",
        "type": concept(f"{HL7}/claim-type", "institutional", "Institutional"),
        "use": "claim",
        "patient": visit.patient,
        "created": ends.isoformat(),
        "provider": visit.organization,
        "priority": status("processpriority", "normal"),
        "insurance": [
            {"sequence": 1, "focal": True, "coverage": {"display": "Statutory health insurance"}}
        ],
        "item": [item],
        "total": fee,
    }
