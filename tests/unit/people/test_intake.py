"""Intake forms: whatever is answered, what comes out is FHIR R4 by the models of fhir.resources, and says just that."""

import json
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given
from hypothesis import strategies as st

from journeys.errors import RecordsError
from people.forms import LINE_CHARACTERS, TEXT_CHARACTERS, Field, Form
from people.intake import (
    FILE_BYTES,
    FORMS,
    REGISTRATION,
    checked_file,
    fill,
    find_form,
)

PATIENT = "pt_5k2m9q7x1c3v8b6n4z0f2h9j7r"
GOOD = {
    "code": "unknown", "country": "DE", "date": "1958-03-14", "email": "ada.lind@example.com", "language": "pt-BR",
    "line": "Ada Zoë", "phone": "+49 30 1234567", "text": "Two words,\nand a line.",
}  # fmt: skip
"""An answer of each kind; of codes the field's own."""
WORDS = st.text(
    st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=LINE_CHARACTERS
)


def good(field: Field) -> str:
    """An answer that the field takes."""
    return field.codes[0] if field.codes else GOOD[field.kind]


def resource(form: Form, values: dict[str, str]) -> Any:
    """The resource of a filled form, after fhir.resources took it."""
    content = fill(form, PATIENT, values)
    get_fhir_model_class(form.resource).model_validate_json(content)
    return json.loads(content)


@pytest.mark.parametrize("form", REGISTRATION.values(), ids=lambda form: form.name)
def test_a_form_becomes_its_resource(form: Form) -> None:
    """With all of its fields, with those that it needs, and with each of the others."""
    whole = {field.name: good(field) for field in form.fields}
    needed = {field.name: good(field) for field in form.fields if field.needed}
    made = resource(form, whole)
    assert made["resourceType"] == form.resource
    text = json.dumps(made, ensure_ascii=False)
    for value in whole.values():
        for part in json.dumps(value, ensure_ascii=False)[1:-1].split():
            assert part in text
    for field in form.fields:
        resource(form, needed | {field.name: good(field)})


@pytest.mark.parametrize("form", REGISTRATION.values(), ids=lambda form: form.name)
@given(data=st.data())
def test_any_words_are_taken_as_they_are(form: Form, data: st.DataObject) -> None:
    values = {
        field.name: data.draw(WORDS) if field.kind in ("line", "text") else good(field)
        for field in form.fields
    }
    text = json.dumps(resource(form, values), ensure_ascii=False)
    for field in form.fields:
        assert json.dumps(values[field.name].split()[0], ensure_ascii=False)[1:-1] in text


def test_whose_it_is_stands_in_each() -> None:
    for form in REGISTRATION.values():
        values = {field.name: good(field) for field in form.fields}
        assert json.dumps({"system": "urn:heartwood:patient", "value": PATIENT}) in json.dumps(
            resource(form, values)
        )


def test_what_is_left_empty_is_left_out() -> None:
    made = resource(FORMS["insurance"], {"insurer": " Mutual ", "number": "A1", "plan": "  "})
    assert made == {
        "beneficiary": {
            "identifier": {"system": "urn:heartwood:patient", "value": PATIENT}, "type": "Patient",
        },
        "payor": [{"display": "Mutual"}],
        "resourceType": "Coverage", "status": "active", "subscriberId": "A1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("form", "values", "told"),
    [
        ("insurance", {"insurer": "Mutual"}, "needs number"),
        ("insurance", {"insurer": "Mutual", "number": "A1", "colour": "red"}, "no field 'colour'"),
        ("insurance", {"insurer": "x" * 201, "number": "A1"}, "201 characters, expected 200"),
        ("insurance", {"insurer": "a\x1bb", "number": "A1"}, "can't be printed"),
        ("insurance", {"insurer": "a\nb", "number": "A1"}, "can't be printed"),
        ("insurance", {"insurer": "M", "number": "1", "since": "1.2.2020"}, "a date, YYYY-MM-DD"),
        ("insurance", {"insurer": "M", "number": "1", "since": "20200201"}, "a date, YYYY-MM-DD"),
        (
            "insurance",
            {"insurer": "M", "number": "1", "since": "2020-01-01", "until": "2019-01-01"},
            "ends before it begins",
        ),
        ("history", {}, "is empty"),
        ("history", {"habits": " \n"}, "is empty"),
        ("history", {"habits": "x" * (TEXT_CHARACTERS + 1)}, "4001 characters, expected 4000"),
        ("contact", {"email": "ada"}, "an e-mail address"),
        ("contact", {"phone": "call me"}, "a telephone number"),
        ("contact", {"country": "Germany"}, "two capital letters"),
        ("demographics", {"family": "L", "given": "A", "birth_date": "1958-02-30"}, "a date"),
        (
            "bystander",
            {"family": "L", "given": "A", "phone": "+4930", "relationship": "aunt"},
            "one of CHILD",
        ),
    ],
)
def test_an_answer_that_is_none_is_refused(form: str, values: dict[str, str], told: str) -> None:
    with pytest.raises(RecordsError, match=told) as refused:
        fill(FORMS[form], PATIENT, values)
    for value in values.values():
        assert len(value) < 4 or value not in str(refused.value)


def test_of_a_file_its_type_is_looked_at() -> None:
    coverage = FORMS["insurance"]
    content = b'{"resourceType": "Coverage", "status": "active"}'
    assert checked_file(coverage, content) == content
    for bad, told in (
        (b"{", "not JSON"),
        (b'["Coverage"]', "no FHIR resource"),
        (b'{"resourceType": "Patient"}', "a Patient, expected a Coverage"),
        (b" " * (FILE_BYTES + 1), "more than"),
    ):
        with pytest.raises(RecordsError, match=told):
            checked_file(coverage, bad)
    with pytest.raises(RecordsError, match="is not a patient id"):
        fill(coverage, "pt_1", {})
    with pytest.raises(RecordsError, match="expected the name of a form"):
        find_form("tax")
