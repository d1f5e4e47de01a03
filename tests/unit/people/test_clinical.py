"""Findings that are typed: each is FHIR R4 by the models of fhir.resources, our own reader takes it as it is, and it can be read back."""

import json
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given
from hypothesis import strategies as st

from imports.drafts import Listed
from imports.fhir import Resource, category, scan_entries
from imports.fhir.clean import clean
from journeys.errors import RecordsError
from people.clinical import CLINICAL, MEASURES, Writer
from people.intake import fill
from people.typed import typed_of

PATIENT = "pt_5k2m9q7x1c3v8b6n4z0f2h9j7r"
DOCTOR = Writer("ac_5k2m9q7x1c3v8b6n4z0f2h9j7r", "doctor")
WHOLE: dict[str, dict[str, str]] = {
    "vitals": {
        "date": "2026-11-20", "systolic": "128", "diastolic": "82", "pulse": "64", "temperature": "36.60", "oxygen": "97",
        "glucose": "5.4", "glucose_unit": "mmol/L", "weight": "81.5", "height": "178", "note": "At rest,\nsitting.",
    },
    "condition": {
        "date": "2026-11-20", "diagnosis": "Migraine <b>", "status": "remission", "certainty": "confirmed", "severity": "moderate",
        "since": "2020-03-01", "until": "2026-10-01", "note": "Seldom now.",
    },
    "prescription": {
        "date": "2026-11-20", "medicine": "Ramipril 5 mg", "dosage": "1–0–0", "status": "active", "reason": "Blood pressure",
        "since": "2026-11-20", "until": "2027-02-20", "note": "Control in 3 months",
    },
    "medicine": {
        "date": "2026-11-20", "medicine": "Vitamin D", "dosage": "once a day", "status": "active", "reason": "Winter",
        "since": "2026-10-01", "until": "2027-03-01", "note": "Bought",
    },
    "allergy": {
        "date": "2026-11-20", "substance": "Penicillin", "type": "allergy", "group": "medication", "criticality": "high",
        "status": "active", "certainty": "confirmed", "reaction": "Hives", "severity": "moderate", "note": "1998",
    },
    "immunization": {
        "date": "2026-11-20", "vaccine": "Tetanus and diphtheria", "dose": "3", "maker": "Example", "lot": "A1", "site": "left arm", "note": "-",
    },
    "laboratory": {
        "date": "2026-11-20", "test": "Haemoglobin", "value": "13.90", "unit": "g/dL", "low": "12.0", "high": "15.5",
        "material": "Blood", "note": "-",
    },
}  # fmt: skip
"""Every field of each."""
LEAST: dict[str, dict[str, str]] = {
    "vitals": {"date": "2026-11-20", "pulse": "64"},
    "condition": {"date": "2026-11-20", "diagnosis": "Migraine", "status": "active", "certainty": "confirmed"},
    "prescription": {"date": "2026-11-20", "medicine": "Ramipril", "dosage": "1–0–0", "status": "active"},
    "medicine": {"date": "2026-11-20", "medicine": "Ramipril", "status": "active"},
    "allergy": {"date": "2026-11-20", "substance": "Nuts", "status": "active", "certainty": "confirmed"},
    "immunization": {"date": "2026-11-20", "vaccine": "Tetanus"},
    "laboratory": {"date": "2026-11-20", "test": "CRP", "value": "0.5"},
}  # fmt: skip


def resource(form: str, values: dict[str, str], writer: Writer | None = None) -> Any:
    """The resource, after the models and our own reader took it as it is."""
    content = fill(CLINICAL[form], PATIENT, values, writer)
    get_fhir_model_class(CLINICAL[form].resource).model_validate_json(content)
    findings = Listed()
    (read,) = scan_entries(content)[1]
    assert isinstance(read, Resource)
    assert clean(read, findings).raw == content and not findings.corrections
    assert category(read, tied=True) == CLINICAL[form].category or form == "vitals"
    return json.loads(content)


@pytest.mark.parametrize("form", CLINICAL)
def test_a_form_becomes_its_resource(form: str) -> None:
    """Whole, with the least, and with each field more; who wrote it is told, and whose it is."""
    assert set(WHOLE[form]) == {one.name for one in CLINICAL[form].fields}
    for values in (WHOLE[form], LEAST[form]):
        for role in ("doctor", "patient", "relative", "hospital_system"):
            made = resource(form, values, Writer(DOCTOR.account, role))
            assert PATIENT in json.dumps(made)
            named = DOCTOR.account in json.dumps(made)
            assert named == (role in ("doctor", "relative"))
    assert made["resourceType"] == CLINICAL[form].resource
    text = json.dumps(resource(form, WHOLE[form]), ensure_ascii=False)
    for name, value in WHOLE[form].items():
        number = any(one.name == name and one.kind == "number" for one in CLINICAL[form].fields)
        assert (
            str(float(value)).removesuffix(".0")
            if number
            else json.dumps(value, ensure_ascii=False)[1:-1]
        ) in text


@pytest.mark.parametrize("form", CLINICAL)
def test_what_was_typed_is_read_back(form: str) -> None:
    """To the last digit; and of what the form can't say nothing is offered."""
    for values in (WHOLE[form], LEAST[form]):
        content = fill(CLINICAL[form], PATIENT, values, DOCTOR)
        assert typed_of(content, PATIENT) == (form, values)
        more = json.loads(content) | {"identifier": [{"value": "1"}]}
        assert typed_of(json.dumps(more).encode(), PATIENT) is None
        assert typed_of(content, PATIENT.replace("5", "6")) is None


@given(data=st.data())
def test_vital_signs_of_any_kind(data: st.DataObject) -> None:
    """Each alone, and any together."""
    values = {"date": "2026-11-20"}
    for name in data.draw(st.sets(st.sampled_from(sorted(MEASURES)), min_size=1)):
        one = MEASURES[name]
        values[name] = str(data.draw(st.integers(one.low + 1, one.high)))
    high, low = int(values.get("systolic", 1)), int(values.get("diastolic", 0))
    if ("systolic" in values) != ("diastolic" in values) or high <= low:
        with pytest.raises(RecordsError):
            resource("vitals", values)
        return
    made = resource("vitals", values)
    assert len(values) < 3 or ("contained" in made) == (len(values) > 2 + ("systolic" in values))
    content = fill(CLINICAL["vitals"], PATIENT, values)
    assert typed_of(content, PATIENT) == ("vitals", values)


@pytest.mark.parametrize(
    ("form", "values", "told"),
    [
        ("vitals", {"note": "nothing else"}, "is empty"),
        ("vitals", {"pulse": "6400"}, "pulse can't be that: expected a number above 10, and 400 at most"),
        ("vitals", {"pulse": "fast"}, "pulse is not what was expected: a number"),
        ("vitals", {"pulse": "1e2"}, "a number"), ("vitals", {"pulse": "٦٤"}, "a number"),
        ("vitals", {"pulse": "1,064"}, "a number that is clear"),
        ("vitals", {"temperature": "366"}, "temperature can't be that"),
        ("vitals", {"systolic": "120"}, "a blood pressure has two values"),
        ("vitals", {"systolic": "80", "diastolic": "120"}, "expected above the diastolic one"),
        ("vitals", {"glucose": "100"}, "needs a value and its unit"),
        ("vitals", {"glucose": "400", "glucose_unit": "mmol/L"}, "glucose in mmol/L can't be that"),
        ("condition", {"diagnosis": "X", "status": "active", "certainty": "confirmed", "until": "2026-01-01"}, "what ended"),
        ("condition", {"diagnosis": "X", "status": "gone", "certainty": "confirmed"}, "one of active"),
        ("condition", {"status": "active", "certainty": "confirmed"}, "needs diagnosis"),
        ("medicine", {"medicine": "X", "status": "active", "since": "2026-02-01", "until": "2026-01-01"}, "ends before it begins"),
        ("allergy", {"substance": "X", "status": "active", "certainty": "confirmed", "severity": "mild"}, "needs what happened"),
        ("immunization", {"vaccine": "X", "dose": "0"}, "a whole number from 1"),
        ("laboratory", {"test": "Hb", "value": "13", "low": "15", "high": "12"}, "ends below its begin"),
        ("laboratory", {"test": "Hb", "value": "-"}, "a number"),
    ],
)  # fmt: skip
def test_what_can_be_no_finding_is_refused(form: str, values: dict[str, str], told: str) -> None:
    """In words that repeat nothing typed."""
    with pytest.raises(RecordsError, match=told):
        fill(CLINICAL[form], PATIENT, {"date": "2026-11-20"} | values)


def test_a_comma_is_a_point() -> None:
    """As it is typed in half of the world; the digits stay."""
    values = {"date": "2026-11-20", "temperature": "36,60"}
    content = fill(CLINICAL["vitals"], PATIENT, values)
    assert b'"value":36.60' in content
    assert typed_of(content, PATIENT) == ("vitals", values | {"temperature": "36.60"})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b'{"resourceType": 1}',
        b"[" * 5000,
        b'{"resourceType":"Observation","code":{"coding":[{"code":{}}]},"valueQuantity":{"value":1}}',
        b'{"value":NaN}',
    ],
)
def test_what_is_no_resource_was_not_typed(content: bytes) -> None:
    """Whatever it is."""
    assert typed_of(content, PATIENT) is None
