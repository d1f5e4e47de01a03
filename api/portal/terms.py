"""What pages say of findings: the forms that are typed, their fields and codes, and measurements by their codes."""

from collections.abc import Mapping

from api.portal.texts import mark as _
from people.clinical import CLINICAL, MEASURES

FORMS: Mapping[str, str] = {
    "vitals": _("Measurements"), "condition": _("Diagnosis"), "prescription": _("Prescription"), "medicine": _("Medicine that is taken"),
    "allergy": _("Allergy or intolerance"), "immunization": _("Vaccination"), "laboratory": _("Laboratory value"),
}  # fmt: skip
"""The forms, in the order of pages."""

ABOUT: Mapping[str, str] = {
    "vitals": _("Blood pressure, pulse, temperature, weight, height, oxygen, glucose: what was measured, the rest stays empty."),
    "condition": _("What the patient has or had, since when, and how sure it is."),
    "prescription": _("A medicine that you prescribe, and how to take it."),
    "medicine": _("A medicine that the patient takes, whoever prescribed it."),
    "allergy": _("What the patient reacts to, how, and how dangerous it is."),
    "immunization": _("Vaccine, dose and lot."),
    "laboratory": _("One value with its unit and reference range."),
}  # fmt: skip

FIELDS: Mapping[str, str] = {
    "date": _("When it was"), "note": _("A note"), "systolic": _("Blood pressure, upper value (systolic)"),
    "diastolic": _("Blood pressure, lower value (diastolic)"), "pulse": _("Pulse"), "temperature": _("Temperature"),
    "oxygen": _("Oxygen saturation"), "glucose": _("Blood glucose"), "glucose_unit": _("Unit of the blood glucose"),
    "weight": _("Weight"), "height": _("Height"), "diagnosis": _("Diagnosis"), "status": _("How it stands"),
    "certainty": _("How sure it is"), "severity": _("How severe"), "since": _("Since"), "until": _("Until"),
    "medicine": _("Medicine and strength"), "dosage": _("How to take it"), "reason": _("What for"),
    "substance": _("What the patient reacts to"), "type": _("Allergy or intolerance"), "group": _("Kind of substance"),
    "criticality": _("How dangerous"), "reaction": _("What happened"), "vaccine": _("Vaccine"), "dose": _("Which dose of the series"),
    "maker": _("Manufacturer"), "lot": _("Lot number"), "site": _("Where in the body"), "test": _("What was measured"),
    "value": _("Value"), "unit": _("Unit"), "low": _("Reference range, from"), "high": _("Reference range, up to"),
    "material": _("Of what, as blood or urine"),
}  # fmt: skip

CODES: Mapping[str, str] = {
    "active": _("current"), "recurrence": _("come back"), "relapse": _("relapse"), "inactive": _("not current"),
    "remission": _("in remission"), "resolved": _("healed"), "confirmed": _("confirmed"), "provisional": _("provisional"),
    "differential": _("one of several possible"), "unconfirmed": _("not confirmed"), "presumed": _("presumed"), "refuted": _("refuted"),
    "on-hold": _("paused"), "stopped": _("stopped"), "completed": _("finished"), "cancelled": _("cancelled"),
    "intended": _("planned"), "not-taken": _("not taken"), "allergy": _("allergy"), "intolerance": _("intolerance"),
    "food": _("food"), "medication": _("medicine"), "environment": _("environment"), "biologic": _("biological agent"),
    "low": _("low risk"), "high": _("high risk"), "unable-to-assess": _("can’t be told"), "mild": _("mild"), "moderate": _("moderate"),
    "severe": _("severe"), "mg/dL": "mg/dL", "mmol/L": "mmol/L",
}  # fmt: skip
"""Answers of fields that have a choice, also where an imported resource has them."""

SIGNS: Mapping[str, str] = {
    "8480-6": _("Blood pressure, upper value (systolic)"), "8462-4": _("Blood pressure, lower value (diastolic)"),
    "8867-4": _("Pulse"), "8310-5": _("Temperature"), "29463-7": _("Weight"), "8302-2": _("Height"),
    "59408-5": _("Oxygen saturation"),
}  # fmt: skip
"""Vital signs by their LOINC codes."""

CHOICES = frozenset(
    field.name for form in CLINICAL.values() for field in form.fields if field.codes
)
"""Fields that have a choice."""
MEASURE_UNITS: Mapping[str, str] = {name: one.unit for name, one in MEASURES.items()}
"""Units of vital signs, as people write them."""
