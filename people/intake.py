"""Intake forms: what a hospital asks of whoever registers, as FHIR R4 resources that are records like any other.

Nothing is kept here: a form becomes a resource, which its author uploads, seals and signs as any record; what it says stands
in no log and no table. (FHIR R4: Patient, Coverage, RelatedPerson, QuestionnaireResponse.)
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from crypto.ids import is_id
from identity.actors import Caller
from journeys.errors import RecordsError
from storage.ledger import Ledger

MEDIA_TYPE = "application/fhir+json"
LINE_CHARACTERS = 200
"""Longest answer of one line."""
TEXT_CHARACTERS = 4_000
"""Longest answer in one's own words."""
FILE_BYTES = 256 * 1024
"""Longest file that is taken instead of answers."""
PATIENT_SYSTEM = "urn:heartwood:patient"
"""The naming system of patients' ids, by which a resource says whose it is."""
HISTORY_FORM = "urn:heartwood:questionnaire:history"
_ROLE_CODES = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
_CONTACT_ROLES = "http://terminology.hl7.org/CodeSystem/v2-0131"
_COUNTRY, _LANGUAGE = re.compile(r"[A-Z]{2}"), re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
_PHONE = re.compile(r"\+?[0-9][0-9 ()/.-]{2,39}")
_EMAIL = re.compile(r"[^\s@<>\"]{1,64}@[^\s@<>\"]{1,190}")

Values = Mapping[str, str]
Resource = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """One question of a form."""

    name: str
    what: str
    """What is asked, for people."""
    kind: str = "line"
    """`line`, `text`, `date`, `email`, `phone`, `country` (ISO 3166-1), `language` (BCP 47), or `code`: one of `codes`."""
    needed: bool = False
    codes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Form:
    """A form: its fields, and what it becomes."""

    name: str
    what: str
    resource: str
    """The FHIR type that it becomes."""
    category: str
    """The category of its record."""
    fields: tuple[Field, ...]


_DEMOGRAPHICS = (
    Field("family", "family name", needed=True),
    Field("given", "given names", needed=True),
    Field("birth_date", "date of birth", "date", needed=True),
    Field("sex", "sex", "code", codes=("female", "male", "other", "unknown")),
    Field("language", "language to speak in", "language"),
    Field("marital_status", "marital status, in words"),
)
_CONTACT = (
    Field("phone", "telephone", "phone"),
    Field("mobile", "mobile telephone", "phone"),
    Field("email", "e-mail address", "email"),
    Field("street", "street and number"),
    Field("postal_code", "postal code"),
    Field("city", "town"),
    Field("country", "country, two letters", "country"),
)
_INSURANCE = (
    Field("insurer", "who insures", needed=True),
    Field("number", "number of the insured", needed=True),
    Field("plan", "kind of insurance, in words"),
    Field("holder", "who holds the insurance, where it is somebody else"),
    Field("since", "insured since", "date"),
    Field("until", "insured until", "date"),
)
_BYSTANDER = (
    Field("family", "family name", needed=True),
    Field("given", "given names", needed=True),
    Field(
        "relationship", "what they are to the patient (v3-RoleCode)", "code", needed=True,
        codes=("CHILD", "DOMPART", "EXT", "FRND", "GRPRN", "NBOR", "PRN", "ROOM", "SIB", "SPS"),
    ),
    Field("phone", "telephone in an emergency", "phone", needed=True),
    Field("email", "e-mail address", "email"),
)  # fmt: skip
_HISTORY = (
    Field("conditions", "illnesses so far", "text"),
    Field("operations", "operations so far", "text"),
    Field("medication", "medicines taken now", "text"),
    Field("allergies", "allergies and intolerances", "text"),
    Field("family_history", "illnesses in the family", "text"),
    Field("habits", "smoking, alcohol, other habits", "text"),
    Field("remarks", "anything else", "text"),
)

FORMS: dict[str, Form] = {
    one.name: one
    for one in (
        Form("demographics", "who the patient is", "Patient", "demographics", _DEMOGRAPHICS),
        Form("contact", "how the patient is reached", "Patient", "demographics", _CONTACT),
        Form("insurance", "who pays", "Coverage", "billing", _INSURANCE),
        Form("bystander", "whom to call in an emergency", "RelatedPerson", "demographics", _BYSTANDER),
        Form("history", "previous history", "QuestionnaireResponse", "summary", _HISTORY),
    )
}  # fmt: skip
"""By name."""


def intake_forms(ledger: Ledger, caller: Caller) -> tuple[Form, ...]:
    """Every form; they are the same everywhere and for everybody."""
    return tuple(FORMS.values())


def find_form(name: str) -> Form:
    """The form of a name; raises RecordsError."""
    form = FORMS.get(name)
    if form is None:
        raise RecordsError(
            f"got {name[:60]!r}, expected the name of a form: {', '.join(sorted(FORMS))}"
        )
    return form


def fill(form: Form, patient: str, values: Values) -> bytes:
    """The FHIR resource of a filled form, as JSON; fields that are left empty are left out.

    Raises RecordsError for what is missing, unknown, too long or not of its field's kind; no message repeats an answer.
    """
    if not is_id("pt", patient):
        raise RecordsError(f"{patient[:60]!r} is not a patient id")
    said = _checked(form, values)
    made = _MAKERS[form.name](said, patient)
    return orjson.dumps({"resourceType": form.resource} | made, option=orjson.OPT_SORT_KEYS)


def checked_file(form: Form, content: bytes) -> bytes:
    """A resource from a file, as it is; raises RecordsError unless it is a JSON object of the form's type.

    No more of it is checked: like any record it is what its author signs.
    """
    if len(content) > FILE_BYTES:
        raise RecordsError(f"the file has more than {FILE_BYTES} bytes")
    try:
        said = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise RecordsError("the file is not JSON") from error
    kind = said.get("resourceType") if isinstance(said, dict) else None
    if kind != form.resource:
        found = f"a {kind[:60]}" if isinstance(kind, str) else "no FHIR resource"
        raise RecordsError(f"the file is {found}, expected a {form.resource} as JSON")
    return content


def _checked(form: Form, values: Values) -> dict[str, str]:
    known = {one.name: one for one in form.fields}
    if unknown := sorted(values.keys() - known.keys()):
        raise RecordsError(
            f"the form {form.name} has no field {unknown[0][:60]!r}; it has {', '.join(known)}"
        )
    said = {name: value.strip() for name, value in values.items() if value.strip()}
    missing = [one.name for one in form.fields if one.needed and one.name not in said]
    if missing:
        raise RecordsError(f"the form {form.name} needs {', '.join(missing)}")
    if not said:
        raise RecordsError(f"the form {form.name} is empty; its fields are {', '.join(known)}")
    for name, value in said.items():
        _check(known[name], value)
    if said.get("since", "") > said.get("until", "9999"):
        raise RecordsError("the insurance ends before it begins")
    return said


def _check(field: Field, value: str) -> None:
    most = TEXT_CHARACTERS if field.kind == "text" else LINE_CHARACTERS
    if len(value) > most:
        raise RecordsError(f"{field.name} has {len(value)} characters, expected {most} at most")
    spaces = "\n\r\t" if field.kind == "text" else ""
    if any(not one.isprintable() and one not in spaces for one in value):
        raise RecordsError(f"{field.name} has characters that can't be printed")
    expected = _KINDS[field.kind](field, value)
    if expected:
        raise RecordsError(f"{field.name} is not what was expected: {expected}")


def _date(field: Field, value: str) -> str:
    try:
        return "" if date.fromisoformat(value).isoformat() == value else "a date, YYYY-MM-DD"
    except ValueError:
        return "a date, YYYY-MM-DD"


def _like(pattern: re.Pattern[str], expected: str) -> Callable[[Field, str], str]:
    return lambda _, value: "" if pattern.fullmatch(value) else expected


_KINDS: dict[str, Callable[[Field, str], str]] = {
    "code": lambda field, value: "" if value in field.codes else f"one of {', '.join(field.codes)}",
    "country": _like(_COUNTRY, "two capital letters, as DE"),
    "date": _date,
    "email": _like(_EMAIL, "an e-mail address"),
    "language": _like(_LANGUAGE, "a language, as de or pt-BR"),
    "line": lambda *_: "",
    "phone": _like(_PHONE, "a telephone number, as +49 30 1234567"),
    "text": lambda *_: "",
}
"""What is expected of each kind, in words; empty where the value is it."""


def _of(patient: str) -> Resource:
    """Whose a resource is: a logical reference, as our ids are none that FHIR has for resources."""
    return {"identifier": {"system": PATIENT_SYSTEM, "value": patient}, "type": "Patient"}


def _name(said: Values) -> list[Resource]:
    return [{"family": said["family"], "given": said["given"].split(), "use": "official"}]


def _telecom(said: Values) -> list[Resource]:
    known = (
        ("phone", "phone", "home"),
        ("mobile", "phone", "mobile"),
        ("email", "email", "home"),
    )
    return [
        {"system": system, "use": use, "value": said[name]}
        for name, system, use in known
        if name in said
    ]


def _without_empty(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if value}


def _demographics(said: Values, patient: str) -> Resource:
    spoken = said.get("language", "")
    return _without_empty(
        {
            "active": True,
            "birthDate": said["birth_date"],
            "communication": [{"language": _coded("urn:ietf:bcp:47", spoken)}] if spoken else [],
            "gender": said.get("sex", ""),
            "identifier": [_of(patient)["identifier"]],
            "maritalStatus": _words(said.get("marital_status", "")),
            "name": _name(said),
        }
    )


def _contact(said: Values, patient: str) -> Resource:
    place = _without_empty(
        {
            "city": said.get("city", ""),
            "country": said.get("country", ""),
            "line": [said["street"]] if "street" in said else [],
            "postalCode": said.get("postal_code", ""),
        }
    )
    return _without_empty(
        {
            "address": [place] if place else [],
            "identifier": [_of(patient)["identifier"]],
            "telecom": _telecom(said),
        }
    )


def _insurance(said: Values, patient: str) -> Resource:
    period = _without_empty({"end": said.get("until", ""), "start": said.get("since", "")})
    return _without_empty(
        {
            "beneficiary": _of(patient),
            "payor": [{"display": said["insurer"]}],
            "period": period,
            "policyHolder": {"display": said["holder"]} if "holder" in said else {},
            "status": "active",
            "subscriberId": said["number"],
            "type": _words(said.get("plan", "")),
        }
    )


def _bystander(said: Values, patient: str) -> Resource:
    return {
        "active": True,
        "name": _name(said),
        "patient": _of(patient),
        "relationship": [
            _coded(_ROLE_CODES, said["relationship"]),
            _coded(_CONTACT_ROLES, "C"),  # emergency contact
        ],
        "telecom": _telecom(said),
    }


def _history(said: Values, patient: str) -> Resource:
    asked = {one.name: one.what for one in _HISTORY}
    return {
        "item": [
            {"answer": [{"valueString": said[name]}], "linkId": name, "text": what}
            for name, what in asked.items()
            if name in said
        ],
        "questionnaire": HISTORY_FORM,
        "status": "completed",
        "subject": _of(patient),
    }


def _coded(system: str, code: str) -> Resource:
    return {"coding": [{"code": code, "system": system}]}


def _words(text: str) -> Resource:
    return {"text": text} if text else {}


_MAKERS: dict[str, Callable[[Values, str], Resource]] = {
    "bystander": _bystander,
    "contact": _contact,
    "demographics": _demographics,
    "history": _history,
    "insurance": _insurance,
}
