"""Findings that are typed, not brought as files: vital signs, diagnoses, medicines, allergies, vaccinations, laboratory values.

Each becomes one FHIR R4 resource. Codes stand where they are certain: the LOINC codes that FHIR fixes for vital signs, UCUM for
units, FHIR's own codes for states. What is typed in words stays words.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from journeys.errors import RecordsError
from people.forms import (
    Field,
    Form,
    Resource,
    Values,
    coded,
    digits,
    in_words,
    of_patient,
    without_empty,
)

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
ACCOUNT_SYSTEM = "urn:heartwood:account"
"""The naming system of accounts' ids, by which a resource says who wrote it."""
_HL7 = "http://terminology.hl7.org/CodeSystem"
PANEL = "85353-1"
"""Several vital signs of one time (FHIR R4, Vital Signs Panel)."""
PANEL_NAME = "Vital signs, weight, height, head circumference, oxygen saturation and BMI panel"
PRESSURE, PRESSURE_NAME = "85354-9", "Blood pressure panel with all children optional"


@dataclass(frozen=True)
class Measure:
    """One measurement: its LOINC code and name, its unit as people and as UCUM write it, and what a body can have."""

    code: str
    name: str
    unit: str
    ucum: str
    low: int
    high: int
    """The bounds of what is taken, the upper one included: outside of them it is a slip of the pen, not a finding."""


MEASURES: Mapping[str, Measure] = {
    "systolic": Measure("8480-6", "Systolic blood pressure", "mmHg", "mm[Hg]", 30, 350),
    "diastolic": Measure("8462-4", "Diastolic blood pressure", "mmHg", "mm[Hg]", 10, 250),
    "pulse": Measure("8867-4", "Heart rate", "/min", "/min", 10, 400),
    "temperature": Measure("8310-5", "Body temperature", "°C", "Cel", 20, 46),
    "oxygen": Measure(
        "59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry", "%", "%", 20, 100
    ),
    "weight": Measure("29463-7", "Body weight", "kg", "kg", 0, 700),
    "height": Measure("8302-2", "Body height", "cm", "cm", 15, 300),
}  # fmt: skip
"""By the form's field."""
GLUCOSE = {"mg/dL": (5, 3_000), "mmol/L": (0, 170)}
"""Units of blood glucose, and their bounds. It has no code: which one counts depends on where it was taken."""
_UNITS = (
    "% /min /uL 10*12/L 10*3/uL 10*6/uL 10*9/L [IU]/L Cel U/L cm fL fmol/L g g/L g/dL h kg kg/m2 kPa m[IU]/L mL/min mg mg/L mg/dL "
    "mg/g min mm mm/h mm[Hg] mmol/L mmol/mol mosm/kg ng/L ng/dL ng/mL nmol/L pg pg/mL pmol/L s ug/L ug/dL ug/mL umol/L"
)
UNITS = frozenset(_UNITS.split())
"""Units of laboratories that are written in UCUM; any other stands as it was typed, without a code."""

_DATE = Field("date", "when it was", "date", needed=True)
_NOTE = Field("note", "a note", "text")
_VITALS = (
    _DATE,
    Field("systolic", "systolic blood pressure, mmHg", "number"),
    Field("diastolic", "diastolic blood pressure, mmHg", "number"),
    Field("pulse", "pulse, per minute", "number"),
    Field("temperature", "temperature, °C", "number"),
    Field("oxygen", "oxygen saturation, %", "number"),
    Field("glucose", "blood glucose", "number"),
    Field("glucose_unit", "unit of the blood glucose", "code", codes=tuple(GLUCOSE)),
    Field("weight", "weight, kg", "number"),
    Field("height", "height, cm", "number"),
    _NOTE,
)
_CONDITION = (
    _DATE,
    Field("diagnosis", "diagnosis, in words", needed=True),
    Field("status", "how it stands", "code", needed=True, codes=("active", "recurrence", "relapse", "inactive", "remission", "resolved")),
    Field("certainty", "how sure it is", "code", needed=True, codes=("confirmed", "provisional", "differential", "unconfirmed", "refuted")),
    Field("severity", "how severe, in words"),
    Field("since", "since when", "date"),
    Field("until", "until when", "date"),
    _NOTE,
)  # fmt: skip
_PRESCRIPTION = (
    _DATE,
    Field("medicine", "medicine and strength", needed=True),
    Field("dosage", "how to take it", needed=True),
    Field("status", "how it stands", "code", needed=True, codes=("active", "on-hold", "stopped", "completed", "cancelled")),
    Field("reason", "what for"),
    Field("since", "from", "date"),
    Field("until", "up to", "date"),
    _NOTE,
)  # fmt: skip
_MEDICINE = (
    _DATE,
    Field("medicine", "medicine and strength", needed=True),
    Field("dosage", "how it is taken"),
    Field("status", "how it stands", "code", needed=True, codes=("active", "on-hold", "stopped", "completed", "intended", "not-taken")),
    Field("reason", "what for"),
    Field("since", "from", "date"),
    Field("until", "up to", "date"),
    _NOTE,
)  # fmt: skip
_ALLERGY = (
    _DATE,
    Field("substance", "what the patient reacts to", needed=True),
    Field("type", "allergy or intolerance", "code", codes=("allergy", "intolerance")),
    Field("group", "what kind of substance", "code", codes=("food", "medication", "environment", "biologic")),
    Field("criticality", "how dangerous", "code", codes=("low", "high", "unable-to-assess")),
    Field("status", "how it stands", "code", needed=True, codes=("active", "inactive", "resolved")),
    Field("certainty", "how sure it is", "code", needed=True, codes=("confirmed", "presumed", "unconfirmed", "refuted")),
    Field("reaction", "what happened"),
    Field("severity", "how severe that was", "code", codes=("mild", "moderate", "severe")),
    _NOTE,
)  # fmt: skip
_IMMUNIZATION = (
    _DATE,
    Field("vaccine", "vaccine", needed=True),
    Field("dose", "which dose of the series", "count"),
    Field("maker", "manufacturer"),
    Field("lot", "lot number"),
    Field("site", "where in the body"),
    _NOTE,
)
_LABORATORY = (
    _DATE,
    Field("test", "what was measured", needed=True),
    Field("value", "value", "number", needed=True),
    Field("unit", "unit, in UCUM if known, as mg/dL"),
    Field("low", "lower end of the reference range", "number"),
    Field("high", "upper end of the reference range", "number"),
    Field("material", "of what, as blood or urine"),
    _NOTE,
)

CLINICAL: dict[str, Form] = {
    one.name: one
    for one in (
        Form("vitals", "vital signs", "Observation", "encounter", _VITALS),
        Form("condition", "a diagnosis", "Condition", "condition", _CONDITION),
        Form("prescription", "a prescription", "MedicationRequest", "medication", _PRESCRIPTION),
        Form("medicine", "a medicine that is taken", "MedicationStatement", "medication", _MEDICINE),
        Form("allergy", "an allergy or intolerance", "AllergyIntolerance", "condition", _ALLERGY),
        Form("immunization", "a vaccination", "Immunization", "immunization", _IMMUNIZATION),
        Form("laboratory", "a laboratory value", "Observation", "laboratory", _LABORATORY),
    )
}  # fmt: skip
"""By name; the categories are those that imports give the same resources."""


@dataclass(frozen=True)
class Writer:
    """Who wrote a finding."""

    account: str
    role: str


def written_by(resource: str, writer: Writer, patient: str) -> Resource:
    """The member of a resource that says who wrote it; of a role that no resource knows, nothing."""
    kinds = {"doctor": "Practitioner", "patient": "Patient", "relative": "RelatedPerson"}
    if writer.role not in kinds:
        return {}
    who: Resource = {
        "identifier": {"system": ACCOUNT_SYSTEM, "value": writer.account}, "type": kinds[writer.role],
    }  # fmt: skip
    if writer.role == "patient":
        who = of_patient(patient)
    members: dict[str, Resource] = {
        "AllergyIntolerance": {"recorder": who}, "Condition": {"recorder": who},
        "Immunization": {"performer": [{"actor": who}]}, "MedicationRequest": {"requester": who},
        "MedicationStatement": {"informationSource": who}, "Observation": {"performer": [who]},
    }  # fmt: skip
    return members[resource]


def _quantity(value: str, unit: str, ucum: str = "") -> Resource:
    known = {"code": ucum, "system": UCUM} if ucum else {}
    return without_empty({"unit": unit}) | {"value": digits(value)} | known


def _note(said: Values) -> list[Resource]:
    return [{"text": said["note"]}] if "note" in said else []


def _check_within(what: str, value: str, low: int, high: int) -> None:
    if not low < _decimal(value) <= high:
        raise RecordsError(
            f"{what} can't be that: expected a number above {low}, and {high} at most"
        )


def _decimal(value: str) -> Decimal:
    return Decimal(value.replace(",", "."))


def _loinc(code: str, name: str, text: str = "") -> Resource:
    return {"coding": [{"code": code, "display": name, "system": LOINC}], "text": text or name}


def _vitals(said: Values, patient: str) -> Resource:
    common = {
        "effectiveDateTime": said["date"], "status": "final", "subject": of_patient(patient),
    }  # fmt: skip
    signs = dict[str, Resource]()
    for name, one in MEASURES.items():
        if name not in said:
            continue
        _check_within(name, said[name], one.low, one.high)
        signs[name] = {
            "code": _loinc(one.code, one.name),
            "valueQuantity": _quantity(said[name], one.unit, one.ucum),
        }
    if ("systolic" in signs) != ("diastolic" in signs):
        raise RecordsError("a blood pressure has two values: systolic and diastolic")
    if "systolic" in signs:
        high, low = (_decimal(said[one]) for one in ("systolic", "diastolic"))
        if high <= low:
            raise RecordsError("the systolic value is expected above the diastolic one")
        components = [signs.pop("systolic"), signs.pop("diastolic")]
        signs = {
            "pressure": {
                "code": _loinc(PRESSURE, PRESSURE_NAME, "Blood pressure"),
                "component": components,
            }
        } | signs
    for one_sign in signs.values():
        one_sign["category"] = [coded(f"{_HL7}/observation-category", "vital-signs")]
    if ("glucose" in said) != ("glucose_unit" in said):
        raise RecordsError("a blood glucose needs a value and its unit")
    if "glucose" in said:
        unit = said["glucose_unit"]
        _check_within(f"glucose in {unit}", said["glucose"], *GLUCOSE[unit])
        signs["glucose"] = {
            "category": [coded(f"{_HL7}/observation-category", "laboratory")],
            "code": in_words("Blood glucose"),
            "valueQuantity": _quantity(said["glucose"], unit, unit),
        }
    if not signs:
        raise RecordsError("the form vitals is empty: expected one value at least")
    note = without_empty({"note": _note(said)})
    if len(signs) == 1:
        return next(iter(signs.values())) | common | note
    return {
        "category": [coded(f"{_HL7}/observation-category", "vital-signs")],
        "code": _loinc(PANEL, PANEL_NAME, "Vital signs"),
        "contained": [
            {"id": name, "resourceType": "Observation"} | sign | common for name, sign in signs.items()
        ],
        "hasMember": [{"reference": f"#{name}"} for name in signs],
    } | common | note  # fmt: skip


def _condition(said: Values, patient: str) -> Resource:
    if "until" in said and said["status"] not in ("inactive", "remission", "resolved"):
        raise RecordsError("what ended is inactive, in remission or resolved")
    return without_empty({
        "abatementDateTime": said.get("until", ""),
        "clinicalStatus": coded(f"{_HL7}/condition-clinical", said["status"]),
        "code": in_words(said["diagnosis"]),
        "note": _note(said),
        "onsetDateTime": said.get("since", ""),
        "recordedDate": said["date"],
        "severity": in_words(said.get("severity", "")),
        "subject": of_patient(patient),
        "verificationStatus": coded(f"{_HL7}/condition-ver-status", said["certainty"]),
    })  # fmt: skip


def _period(said: Values) -> Resource:
    return without_empty({"end": said.get("until", ""), "start": said.get("since", "")})


def _prescription(said: Values, patient: str) -> Resource:
    dosage: Resource = {"text": said["dosage"]}
    if period := _period(said):
        dosage["timing"] = {"repeat": {"boundsPeriod": period}}
    return without_empty({
        "authoredOn": said["date"],
        "dosageInstruction": [dosage],
        "intent": "order",
        "medicationCodeableConcept": in_words(said["medicine"]),
        "note": _note(said),
        "reasonCode": [in_words(said["reason"])] if "reason" in said else [],
        "status": said["status"],
        "subject": of_patient(patient),
    })  # fmt: skip


def _medicine(said: Values, patient: str) -> Resource:
    return without_empty({
        "dateAsserted": said["date"],
        "dosage": [{"text": said["dosage"]}] if "dosage" in said else [],
        "effectivePeriod": _period(said),
        "medicationCodeableConcept": in_words(said["medicine"]),
        "note": _note(said),
        "reasonCode": [in_words(said["reason"])] if "reason" in said else [],
        "status": said["status"],
        "subject": of_patient(patient),
    })  # fmt: skip


def _allergy(said: Values, patient: str) -> Resource:
    if "severity" in said and "reaction" not in said:
        raise RecordsError("how severe it was needs what happened")
    reaction: Resource = {}
    if "reaction" in said:
        reaction = {"manifestation": [in_words(said["reaction"])]}
    if "severity" in said:
        reaction["severity"] = said["severity"]
    return without_empty({
        "category": [said["group"]] if "group" in said else [],
        "clinicalStatus": coded(f"{_HL7}/allergyintolerance-clinical", said["status"]),
        "code": in_words(said["substance"]),
        "criticality": said.get("criticality", ""),
        "note": _note(said),
        "patient": of_patient(patient),
        "reaction": [reaction] if reaction else [],
        "recordedDate": said["date"],
        "type": said.get("type", ""),
        "verificationStatus": coded(f"{_HL7}/allergyintolerance-verification", said["certainty"]),
    })  # fmt: skip


def _immunization(said: Values, patient: str) -> Resource:
    series = [{"doseNumberPositiveInt": int(said["dose"])}] if "dose" in said else []
    return without_empty({
        "lotNumber": said.get("lot", ""),
        "manufacturer": {"display": said["maker"]} if "maker" in said else {},
        "note": _note(said),
        "occurrenceDateTime": said["date"],
        "patient": of_patient(patient),
        "protocolApplied": series,
        "site": in_words(said.get("site", "")),
        "status": "completed",
        "vaccineCode": in_words(said["vaccine"]),
    })  # fmt: skip


def _laboratory(said: Values, patient: str) -> Resource:
    unit = said.get("unit", "")
    ucum = unit if unit in UNITS else ""
    ends = {name: _quantity(said[name], unit, ucum) for name in ("low", "high") if name in said}
    if len(ends) == 2:
        low, high = (_decimal(said[one]) for one in ("low", "high"))
        if low > high:
            raise RecordsError("the reference range ends below its begin")
    return without_empty({
        "category": [coded(f"{_HL7}/observation-category", "laboratory")],
        "code": in_words(said["test"]),
        "effectiveDateTime": said["date"],
        "note": _note(said),
        "referenceRange": [ends] if ends else [],
        "specimen": {"display": said["material"]} if "material" in said else {},
        "status": "final",
        "subject": of_patient(patient),
        "valueQuantity": _quantity(said["value"], unit, ucum),
    })  # fmt: skip


MAKERS: dict[str, Callable[[Values, str], Resource]] = {
    "allergy": _allergy, "condition": _condition, "immunization": _immunization, "laboratory": _laboratory,
    "medicine": _medicine, "prescription": _prescription, "vitals": _vitals,
}  # fmt: skip
"""What each form becomes, but for its type and who wrote it; each raises RecordsError for answers that don't fit together."""
