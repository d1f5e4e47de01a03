"""Code systems of hospitals, and codes in the forms FHIR has for them."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import orjson

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
ICD_10 = "http://hl7.org/fhir/sid/icd-10"
ATC = "http://www.whocc.no/atc"
CVX = "http://hl7.org/fhir/sid/cvx"
UCUM = "http://unitsofmeasure.org"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
HL7 = "http://terminology.hl7.org/CodeSystem"
ACT_CODE = f"{HL7}/v3-ActCode"
SYSTEMS = "https://heartwood.example/identifiers"

Coded = Any
"""A piece of JSON that is written already; for json and mypy alike an opaque value."""


class Term(NamedTuple):
    """A code of SNOMED CT with its words and, of a diagnosis, the ICD-10 code."""

    code: str
    display: str
    icd: str = ""


@cache
def concept(system: str, code: str, display: str) -> Coded:
    """A CodeableConcept of one coding, its display also the text."""
    coding = {"system": system, "code": code, "display": display}
    return orjson.Fragment(orjson.dumps({"coding": [coding], "text": display}))


@cache
def clinical(term: Term) -> Coded:
    """A CodeableConcept of SNOMED CT, beside ICD-10 where the term has it."""
    codings = [{"system": SNOMED, "code": term.code, "display": term.display}]
    if term.icd:
        codings.append({"system": ICD_10, "code": term.icd})
    return orjson.Fragment(orjson.dumps({"coding": codings, "text": term.display}))


@cache
def status(system: str, code: str) -> Coded:
    """A CodeableConcept of an HL7 code system, without a display."""
    return orjson.Fragment(orjson.dumps({"coding": [{"system": f"{HL7}/{system}", "code": code}]}))


@cache
def sensitive(label: str) -> Coded:
    """The `meta` of a sensitive resource: restricted, and of which kind (v3-ActCode)."""
    codings = [
        {"system": f"{HL7}/v3-Confidentiality", "code": "R"},
        {"system": ACT_CODE, "code": label},
    ]
    return orjson.Fragment(orjson.dumps({"security": codings}))


def known(kind: str, number: str) -> dict[str, str]:
    """A reference to what stands in another file, by its identifier."""
    return {"reference": f"{kind}?identifier={SYSTEMS}/{kind.lower()}|{number}"}
