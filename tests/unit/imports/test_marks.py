"""Marks of the source: each is taken over as a label or as `restricted`, and one that isn't understood restricts."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.drafts import Listed, Unit
from imports.fhir.names import ReferenceIndex
from imports.fhir.read import read_bundle
from imports.hl7 import read_messages
from imports.labels import Labels
from imports.marks import security, xml_marks

CONF = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
UUID = "7b0c9a52-0000-4000-8000-000000000001"


def mark(code: str, system: str = CONF) -> dict[str, Any]:
    return {"system": system, "code": code}


def units(*resources: dict[str, Any], **bundle: Any) -> tuple[dict[str, Unit], Listed]:
    patient = {"resourceType": "Patient", "id": UUID}
    entries = [{"resource": one} for one in (patient, *resources)]
    body = {"resourceType": "Bundle", "type": "collection", "entry": entries} | bundle
    index, findings = ReferenceIndex(), Listed()
    data = json.dumps(body).encode()
    drafts = read_bundle(data, index, Labels.default().of, findings)
    found = [unit for draft in drafts for record in draft.records for unit in record.units]
    return {unit.name: unit for unit in found}, findings


def of(kind: str, **members: Any) -> dict[str, Any]:
    return {"resourceType": kind, "id": "x", "subject": {"reference": f"Patient/{UUID}"}} | members


@pytest.mark.parametrize(
    ("system", "code", "labels", "restricted", "told"),
    [
        (CONF, "R", [], True, False),
        (CONF, "V", [], True, False),
        ("urn:oid:2.16.840.1.113883.5.25", "v", [], True, False),
        ("http://hl7.org/fhir/v3/Confidentiality", "R", [], True, False),
        (CONF, "N", [], False, False),
        (CONF, "L", [], False, False),
        (CONF, "PSY", ["PSY"], False, False),
        (CONF, "C", [], True, True),
        (CONF, "", [], True, True),
        (ACT, "SDV", ["SDV"], False, False),
        (ACT, "ETHUD", ["ETH"], False, False),
        ("2.16.840.1.113883.5.4", "GDIS", ["GDIS"], False, False),
        (ACT, "NODSCLCD", [], True, True),
        ("urn:of-our-own", "secret", [], True, True),
        ("", "R", [], True, True),
        ("http://terminology.hl7.org/CodeSystem/v3-ActReason", "HTEST", [], False, False),
    ],
)
def test_what_a_security_label_means(
    system: str, code: str, labels: list[str], restricted: bool, told: bool
) -> None:
    found = security([(system, code)])
    assert (sorted(found.labels), found.restricted, bool(found.unclear)) == (
        labels,
        restricted,
        told,
    )


CONTAINED = {"resourceType": "Condition", "id": "c", "meta": {"security": [mark("STD", ACT)]}}


@pytest.mark.parametrize(
    ("resource", "bundle", "labels", "restricted"),
    [
        (of("Observation", meta={"security": [mark("HIV", ACT), mark("V")]}), {}, ["HIV"], True),
        (of("DocumentReference", securityLabel=[{"coding": [mark("R")]}]), {}, [], True),
        (of("DocumentReference", securityLabel=[{"text": "staff"}]), {}, [], True),
        (of("Composition", confidentiality="R"), {}, [], True),
        (of("Composition", confidentiality="N"), {}, [], False),
        (of("Basic", contained=[CONTAINED]), {}, ["STD"], False),
        (of("Basic"), {"meta": {"security": [mark("R")]}}, [], True),
        (of("Basic"), {"meta": {"security": mark("BH", ACT)}}, ["BH"], False),
        (of("Basic", meta={"security": "odd"}), {}, [], True),
        (of("Basic", meta={"tag": [mark("R")]}), {}, [], False),
    ],
)
def test_marks_of_fhir(
    resource: dict[str, Any], bundle: dict[str, Any], labels: list[str], restricted: bool
) -> None:
    found, _ = units(resource, **bundle)
    unit = found[f"{resource['resourceType']}/x"]
    assert (list(unit.labels), unit.restricted) == (labels, restricted)
    assert found[f"Patient/{UUID}"].restricted == (restricted and bool(bundle))


def test_a_mark_that_is_not_understood_is_told() -> None:
    _, findings = units(of("Basic", meta={"security": [mark("X1", "urn:odd")]}))
    ((position, what, before, after),) = findings.corrections
    assert (position, before, after) == ("entry[1]", "urn:odd|X1", "restricted")
    assert "not understood" in what


def test_a_code_behind_a_medication_reference_brings_its_label() -> None:
    """So does its mark; and a code of an organization is none of the patient's."""
    coding = [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "1000126"}]
    drug = {"resourceType": "Medication", "id": "m", "code": {"coding": coding}}
    inner = {"resourceType": "Medication", "id": "kit", "ingredient": [{"itemReference": {"reference": "Medication/m"}}]}  # fmt: skip
    inline = of("MedicationRequest", medicationCodeableConcept={"coding": coding})
    wanted = units(inline)[0]["MedicationRequest/x"].labels
    assert wanted
    for name in ("m", "kit"):
        request = of("MedicationRequest", medicationReference={"reference": f"Medication/{name}"})
        assert units(request, drug, inner)[0]["MedicationRequest/x"].labels == wanted
    marked = drug | {"meta": {"security": [mark("R")]}}
    request = of("MedicationRequest", medicationReference={"reference": "Medication/m"})
    assert units(request, marked)[0]["MedicationRequest/x"].restricted
    clinic = {"resourceType": "Organization", "id": "o", "type": [{"coding": coding}]}
    at = of("Basic", author={"reference": "Organization/o"})
    assert units(at, clinic)[0]["Basic/x"].labels == ()


@pytest.mark.parametrize(
    ("segment", "labels", "restricted", "told"),
    [
        ("ORC|" + "|" * 27 + "V", [], True, 0),
        ("ORC|" + "|" * 27 + "HIV~R", ["HIV"], True, 0),
        ("ORC|" + "|" * 27 + "AID", ["HIV"], False, 0),
        ("ORC|" + "|" * 27 + "U", [], False, 0),
        ("ORC|" + "|" * 27 + "EMP", [], True, 1),
        ("TXA|" + "|" * 17 + "RE", [], True, 1),
        ("PV1|" + "|" * 15 + "VIP", [], True, 0),
        ("PV1|" + "|" * 15 + "N", [], False, 0),
        ("PV2|" + "|" * 21 + "Y", [], True, 0),
        ("DG1|" + "|" * 17 + "Y", [], True, 0),
        ("ARV|1|A|PSY", ["PSY"], False, 0),
        ("ARV|1|A|OO", [], True, 1),
    ],
)
def test_marks_of_hl7(segment: str, labels: list[str], restricted: bool, told: int) -> None:
    lines = ["MSH|^~\\&|A|B|||2020||ORU^R01|1|P|2.8", "PID|1||1", segment, "OBR|1|O|||||2020"]
    findings = Listed()
    (draft,) = read_messages("\r".join(lines).encode(), Labels.default(), findings)
    (unit,) = draft.records[0].units
    assert (list(unit.labels), unit.restricted) == (labels, restricted)
    assert len(findings.corrections) == told


CDA = '<ClinicalDocument xmlns="urn:hl7-org:v3">{}<title>x</title></ClinicalDocument>'
FHIR = '<Basic xmlns="http://hl7.org/fhir"><meta><security>{}</security></meta></Basic>'


@pytest.mark.parametrize(
    ("document", "labels", "restricted"),
    [
        (CDA.format('<confidentialityCode code="V"/>'), [], True),
        (CDA.format('<confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>'), [], False),
        (CDA.format('<confidentialityCode nullFlavor="UNK"/>'), [], False),
        (CDA.format('<a><confidentialityCode code="PSY" codeSystem="2.16.840.1.113883.5.4"/></a>'), ["PSY"], False),
        (CDA.format('<confidentialityCode code="N"/>')[:-9], [], True),
        ('<!DOCTYPE x [<!ENTITY e "R">]>' + CDA.format(""), [], True),
        (FHIR.format(f'<system value="{CONF}"/><code value="R"/>'), [], True),
        (FHIR.format(f'<system value="{CONF}"/><code value="N"/>'), [], False),
        ('<html><confidentialityCode code="V"/></html>', [], False),
        ("<html><br>", [], False),
    ],
)  # fmt: skip
def test_marks_of_xml(document: str, labels: list[str], restricted: bool) -> None:
    found = xml_marks(io.BytesIO(document.encode()))
    assert (sorted(found.labels), found.restricted) == (labels, restricted)


@given(st.binary() | st.binary().map(lambda rest: CDA.format("").encode()[:60] + rest))
def test_any_bytes_have_marks(data: bytes) -> None:
    xml_marks(io.BytesIO(data))
