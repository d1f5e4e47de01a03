"""Forms: what a hospital asks of whoever registers, and findings that are typed, as FHIR R4 resources that are records like any other.

Nothing is kept here: a form becomes a resource, which its author uploads, seals and signs as any record; what it says stands
in no log and no table. (FHIR R4: Patient, Coverage, RelatedPerson, QuestionnaireResponse.)
"""

from collections.abc import Callable

import orjson

from crypto.ids import is_id
from identity.actors import Caller
from journeys.errors import RecordsError
from people.clinical import CLINICAL, MAKERS, Writer, written_by
from people.forms import (
    Field,
    Form,
    Resource,
    Values,
    checked,
    coded,
    in_words,
    of_patient,
    without_empty,
)
from storage.ledger import Ledger

MEDIA_TYPE = "application/fhir+json"
FILE_BYTES = 256 * 1024
"""Longest file that is taken instead of answers."""
HISTORY_FORM = "urn:heartwood:questionnaire:history"
_ROLE_CODES = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
_CONTACT_ROLES = "http://terminology.hl7.org/CodeSystem/v2-0131"

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

REGISTRATION: dict[str, Form] = {
    one.name: one
    for one in (
        Form("demographics", "who the patient is", "Patient", "demographics", _DEMOGRAPHICS),
        Form("contact", "how the patient is reached", "Patient", "demographics", _CONTACT),
        Form("insurance", "who pays", "Coverage", "billing", _INSURANCE),
        Form("bystander", "whom to call in an emergency", "RelatedPerson", "demographics", _BYSTANDER),
        Form("history", "previous history", "QuestionnaireResponse", "summary", _HISTORY),
    )
}  # fmt: skip
"""What hospitals ask for at registration, by name."""
FORMS: dict[str, Form] = REGISTRATION | CLINICAL
"""All, by name."""


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


def fill(form: Form, patient: str, values: Values, writer: Writer | None = None) -> bytes:
    """The FHIR resource of a filled form, as JSON; fields that are left empty are left out.

    A clinical one says who wrote it, if that is told.

    Raises RecordsError for what is missing, unknown, too long or not of its field's kind; no message repeats an answer.
    """
    if not is_id("pt", patient):
        raise RecordsError(f"{patient[:60]!r} is not a patient id")
    said = checked(form, values)
    made = (_MAKERS | MAKERS)[form.name](said, patient)
    if writer is not None and form.name in CLINICAL:
        made |= written_by(form.resource, writer, patient)
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


def _demographics(said: Values, patient: str) -> Resource:
    spoken = said.get("language", "")
    return without_empty(
        {
            "active": True,
            "birthDate": said["birth_date"],
            "communication": [{"language": coded("urn:ietf:bcp:47", spoken)}] if spoken else [],
            "gender": said.get("sex", ""),
            "identifier": [of_patient(patient)["identifier"]],
            "maritalStatus": in_words(said.get("marital_status", "")),
            "name": _name(said),
        }
    )


def _contact(said: Values, patient: str) -> Resource:
    place = without_empty(
        {
            "city": said.get("city", ""),
            "country": said.get("country", ""),
            "line": [said["street"]] if "street" in said else [],
            "postalCode": said.get("postal_code", ""),
        }
    )
    return without_empty(
        {
            "address": [place] if place else [],
            "identifier": [of_patient(patient)["identifier"]],
            "telecom": _telecom(said),
        }
    )


def _insurance(said: Values, patient: str) -> Resource:
    period = without_empty({"end": said.get("until", ""), "start": said.get("since", "")})
    return without_empty(
        {
            "beneficiary": of_patient(patient),
            "payor": [{"display": said["insurer"]}],
            "period": period,
            "policyHolder": {"display": said["holder"]} if "holder" in said else {},
            "status": "active",
            "subscriberId": said["number"],
            "type": in_words(said.get("plan", "")),
        }
    )


def _bystander(said: Values, patient: str) -> Resource:
    return {
        "active": True,
        "name": _name(said),
        "patient": of_patient(patient),
        "relationship": [
            coded(_ROLE_CODES, said["relationship"]),
            coded(_CONTACT_ROLES, "C"),  # emergency contact
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
        "subject": of_patient(patient),
    }


_MAKERS: dict[str, Callable[[Values, str], Resource]] = {
    "bystander": _bystander,
    "contact": _contact,
    "demographics": _demographics,
    "history": _history,
    "insurance": _insurance,
}
