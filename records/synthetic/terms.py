"""What the synthetic records speak of, in the code systems that hospitals use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
ATC = "http://www.whocc.no/atc"
CVX = "http://hl7.org/fhir/sid/cvx"
UCUM = "http://unitsofmeasure.org"
HL7 = "http://terminology.hl7.org/CodeSystem"
ACT_CODE = f"{HL7}/v3-ActCode"


def concept(system: str, code: str, display: str) -> dict[str, Any]:
    """A CodeableConcept of one coding, its display also the text."""
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def status(system: str, code: str) -> dict[str, Any]:
    """A CodeableConcept of an HL7 code system, without a display."""
    return {"coding": [{"system": f"{HL7}/{system}", "code": code}]}


@dataclass(frozen=True)
class Measure:
    """A LOINC quantity.

    `low` to `high` is its reference range, `start` the range of values that occur, `drift` the
    most that a patient gains or loses from one encounter to the next. All are whole numbers that
    have `varies` decimals, and `places` are written: 56 with varies 1 and places 2 is 5.60.
    """

    code: str
    display: str
    unit: str
    start: tuple[int, int]
    drift: int
    low: int
    high: int
    varies: int = 0
    places: int = 0


VITAL_SIGNS = (
    Measure("8867-4", "Heart rate", "/min", (58, 96), 9, 60, 100),
    Measure("8310-5", "Body temperature", "Cel", (361, 379), 6, 361, 372, varies=1, places=1),
    Measure("59408-5", "Oxygen saturation by pulse oximetry", "%", (94, 99), 1, 95, 100),
)
SYSTOLIC = Measure("8480-6", "Systolic blood pressure", "mm[Hg]", (98, 158), 8, 90, 140)
DIASTOLIC = Measure("8462-4", "Diastolic blood pressure", "mm[Hg]", (58, 94), 5, 60, 90)

LABORATORY = (
    Measure("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", (48, 92), 5, 40, 57, 1, 2),
    Measure(
        "2160-0",
        "Creatinine [Mass/volume] in Serum or Plasma",
        "mg/dL",
        (55, 190),
        15,
        60,
        120,
        2,
        2,
    ),
    Measure(
        "2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", (34, 53), 4, 35, 51, 1, 2
    ),
    Measure("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", (98, 168), 9, 120, 160, 1, 1),
)

BLOOD_PRESSURE = concept(LOINC, "85354-9", "Blood pressure panel with all children optional")
LABORATORY_REPORT = concept(LOINC, "11502-2", "Laboratory report")


@dataclass(frozen=True)
class Problem:
    """A diagnosis (SNOMED CT) with the drug (ATC), dose and procedure (SNOMED CT) it leads to."""

    condition: tuple[str, str]
    drug: tuple[str, str]
    dose: str
    procedure: tuple[str, str]


ADULT_PROBLEMS = (
    Problem(
        ("44054006", "Diabetes mellitus type 2"),
        ("A10BA02", "metformin"), "500 mg twice a day",
        ("430193006", "Medication reconciliation"),
    ),
    Problem(
        ("38341003", "Hypertensive disorder"),
        ("C09AA03", "lisinopril"), "10 mg in the morning",
        ("29303009", "Electrocardiographic procedure"),
    ),
    Problem(
        ("13645005", "Chronic obstructive lung disease"),
        ("R03BB04", "tiotropium bromide"), "18 µg inhaled once a day",
        ("127783003", "Spirometry"),
    ),
    Problem(
        ("55822004", "Hyperlipidemia"),
        ("C10AA05", "atorvastatin"), "40 mg at night",
        ("40701008", "Echocardiography"),
    ),
    Problem(
        ("40930008", "Hypothyroidism"),
        ("H03AA01", "levothyroxine sodium"), "75 µg before breakfast",
        ("430193006", "Medication reconciliation"),
    ),
    Problem(
        ("35489007", "Depressive disorder"),
        ("N06AB06", "sertraline"), "50 mg in the morning",
        ("171207006", "Depression screening"),
    ),
    Problem(
        ("396275006", "Osteoarthritis"),
        ("M01AE01", "ibuprofen"), "400 mg up to three times a day",
        ("91251008", "Physical therapy procedure"),
    ),
    Problem(
        ("37796009", "Migraine"),
        ("N02CC01", "sumatriptan"), "50 mg at onset",
        ("430193006", "Medication reconciliation"),
    ),
)  # fmt: skip
CHILD_PROBLEMS = (
    Problem(
        ("65363002", "Otitis media"),
        ("J01CA04", "amoxicillin"), "40 mg/kg a day in two doses",
        ("430193006", "Medication reconciliation"),
    ),
    Problem(
        ("195967001", "Asthma"),
        ("R03AC02", "salbutamol"), "100 µg inhaled as needed",
        ("127783003", "Spirometry"),
    ),
    Problem(
        ("43878008", "Streptococcal sore throat"),
        ("J01CE02", "phenoxymethylpenicillin"), "250 mg twice a day",
        ("117015009", "Throat culture"),
    ),
    Problem(
        ("24079001", "Atopic dermatitis"),
        ("D07AA02", "hydrocortisone"), "1 % cream twice a day",
        ("430193006", "Medication reconciliation"),
    ),
    Problem(
        ("10509002", "Acute bronchitis"),
        ("N02BE01", "paracetamol"), "15 mg/kg up to four times a day",
        ("399208008", "Plain chest X-ray"),
    ),
    Problem(
        ("195662009", "Acute viral pharyngitis"),
        ("N02BE01", "paracetamol"), "15 mg/kg up to four times a day",
        ("117015009", "Throat culture"),
    ),
)  # fmt: skip

ADULT_VACCINES = (
    ("140", "Influenza, seasonal, injectable, preservative free"),
    ("115", "Tdap"),
    ("33", "Pneumococcal polysaccharide vaccine, 23 valent"),
    ("187", "Zoster vaccine recombinant"),
    ("43", "Hepatitis B vaccine, adult dosage"),
    ("208", "COVID-19, mRNA, LNP-S, PF, 30 mcg/0.3 mL dose"),
)
CHILD_VACCINES = (
    ("20", "DTaP"),
    ("10", "Poliovirus vaccine, inactivated"),
    ("03", "Measles, mumps and rubella virus vaccine"),
    ("21", "Varicella virus vaccine"),
    ("133", "Pneumococcal conjugate vaccine, 13 valent"),
    ("08", "Hepatitis B vaccine, pediatric or adolescent dosage"),
)

# Class (v3-ActCode), its display, type (SNOMED CT) and its display, longest stay in hours.
ENCOUNTERS = (
    ("AMB", "ambulatory", "185349003", "Encounter for check up", 1),
    ("AMB", "ambulatory", "390906007", "Follow-up encounter", 1),
    ("AMB", "ambulatory", "185345009", "Encounter for symptom", 2),
    ("EMER", "emergency", "50849002", "Emergency room admission", 12),
    ("IMP", "inpatient encounter", "32485007", "Hospital admission", 216),
)

ALLERGIES = (
    ("91936005", "Allergy to penicillin"),
    ("91935009", "Allergy to peanut"),
    ("300913006", "Allergy to shellfish"),
    ("419474003", "Allergy to mould"),
)
GOALS = (
    "Walk 30 minutes a day",
    "Sleep 8 hours",
    "Eat five portions of fruit and vegetables a day",
)

HOSPITALS = ("St. Brigid's Hospital", "Universitätsklinikum Nord", "Hôpital de la Forêt")
DOCTORS = (("Adaeze", "Okafor"), ("Henrik", "Dahl"), ("Marie", "Lefèvre"), ("Ryo", "Nakamura"))
WARDS = ("Ward 3 East", "Outpatient clinic", "Emergency department")
