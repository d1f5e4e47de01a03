"""Forms that become FHIR R4 resources: their fields, what is asked of an answer, and the references that resources share. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from journeys.errors import RecordsError

LINE_CHARACTERS = 200
"""Longest answer of one line."""
TEXT_CHARACTERS = 4_000
"""Longest answer in one's own words."""
PATIENT_SYSTEM = "urn:heartwood:patient"
"""The naming system of patients' ids, by which a resource says whose it is."""
_COUNTRY, _LANGUAGE = re.compile(r"[A-Z]{2}"), re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
_PHONE = re.compile(r"\+?[0-9][0-9 ()/.-]{2,39}")
_EMAIL = re.compile(r"[^\s@<>\"]{1,64}@[^\s@<>\"]{1,190}")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,6})([.,][0-9]{1,4})?")
_GROUPED = re.compile(r"-?[1-9][0-9]{0,2},[0-9]{3}")
"""What is a thousand to one reader and one to another."""
_COUNT = re.compile(r"[1-9][0-9]?")

Values = Mapping[str, str]
Resource = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """One question of a form."""

    name: str
    what: str
    """What is asked, for people."""
    kind: str = "line"
    """`line`, `text`, `date`, `email`, `phone`, `country` (ISO 3166-1), `language` (BCP 47), `number` (a decimal one, whose
    digits are kept as they are written; a comma is a point), `count` (1 to 99), or `code`: one of `codes`."""
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


def checked(form: Form, values: Values) -> dict[str, str]:
    """The answers without what is empty, each one of its field's kind; raises RecordsError, whose text repeats none."""
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
        raise RecordsError("it ends before it begins")
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


def _number(_: Field, value: str) -> str:
    if _GROUPED.fullmatch(value):
        return "a number that is clear: write 1234 or 1.234 with a point, since 1,234 can be both"
    return "" if _NUMBER.fullmatch(value) else "a number, as 120 or 36.6"


_KINDS: dict[str, Callable[[Field, str], str]] = {
    "code": lambda field, value: "" if value in field.codes else f"one of {', '.join(field.codes)}",
    "count": _like(_COUNT, "a whole number from 1 to 99"),
    "country": _like(_COUNTRY, "two capital letters, as DE"),
    "date": _date,
    "email": _like(_EMAIL, "an e-mail address"),
    "language": _like(_LANGUAGE, "a language, as de or pt-BR"),
    "line": lambda *_: "",
    "number": _number,
    "phone": _like(_PHONE, "a telephone number, as +49 30 1234567"),
    "text": lambda *_: "",
}
"""What is expected of each kind, in words; empty where the value is it."""


def of_patient(patient: str) -> Resource:
    """Whose a resource is: a logical reference, as our ids are none that FHIR has for resources."""
    return {"identifier": {"system": PATIENT_SYSTEM, "value": patient}, "type": "Patient"}


def coded(system: str, code: str) -> Resource:
    """A concept by its code alone."""
    return {"coding": [{"code": code, "system": system}]}


def in_words(text: str) -> Resource:
    """A concept in words alone; nothing without any."""
    return {"text": text} if text else {}


def without_empty(resource: Resource) -> Resource:
    """A resource without the members that say nothing: FHIR has no empty ones."""
    return {name: value for name, value in resource.items() if value}


def digits(value: str) -> orjson.Fragment:
    """A number that was checked, with just the digits it was typed with: in FHIR 1.10 says more than 1.1."""
    return orjson.Fragment(value.replace(",", ".").encode())
