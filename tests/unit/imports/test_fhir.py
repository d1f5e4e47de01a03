"""FHIR bundles: bytes kept, nothing lost, nothing in the wrong chart."""

import json
import re
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.drafts import Listed, PatientDraft, RecordDraft
from imports.fhir import (
    REFERENCE_TYPES,
    TABLE,
    FhirError,
    ReferenceIndex,
    Resource,
    Unreadable,
    scan_bundle,
    scan_entries,
    split,
)
from imports.fhir.drafts import title
from tests.support.paths import ROOT

NUMBERS = ["1.10", "1e5", "-0.0", "0.1E-7", "100.00", "12345678901234567890.1230", "-0", "1E+400"]
TEXTS = ['"é"', '"\\u00e9"', '"\\ud83d\\ude00"', '"😀"', '"a\\/b"', '"\\"}{["', '"\\\\"', '""']
SPACES = st.sampled_from(["", " ", "\n\t", "\r\n  "])


def joined(parts: list[str], space: str) -> str:
    return f"{space},{space}".join(parts)


@st.composite
def json_texts(draw: st.DrawFn, depth: int = 3) -> str:
    """A JSON value as a source might write it, which is seldom how `json.dumps` would."""
    space = draw(SPACES)
    kind = draw(st.integers(0, 3 if depth else 1))
    if kind == 0:
        return draw(st.sampled_from([*NUMBERS, "true", "null"]))
    if kind == 1:
        return draw(st.sampled_from(TEXTS) | st.text(max_size=5).map(json.dumps).filter(encodable))
    values = draw(st.lists(json_texts(depth=depth - 1), max_size=3))
    if kind == 2:
        return f"[{space}{joined(values, space)}{space}]"
    members = [f'"k{i}"{space}:{space}{value}' for i, value in enumerate(values)]
    return f"{{{space}{joined(members, space)}{space}}}"


def encodable(text: str) -> bool:
    return not re.search(r"\\u[dD][89a-fA-F]", text)


def bundle(*resources: str | dict[str, Any], kind: str = "collection", space: str = "") -> bytes:
    """A bundle of resources, each with the fullUrl `urn:<id>` if its body is given parsed."""
    entries = []
    for resource in resources:
        if isinstance(resource, str):
            entries.append(f'{{{space}"resource"{space}:{space}{resource}{space}}}')
        else:
            url = {"fullUrl": f"urn:{resource['id']}"} if "id" in resource else {}
            entries.append(json.dumps({**url, "resource": resource}))
    inner = joined(entries, space)
    return (
        f'{space}{{"entry":{space}[{inner}],"resourceType":"Bundle","type":"{kind}"}}{space}'
    ).encode()


class Apart:
    """What a split made of resources; every one of them stands in exactly one place."""

    def __init__(self, resources: list[Resource], index: ReferenceIndex | None = None) -> None:
        self.findings = Listed()
        self.patients = split(resources, index or ReferenceIndex(), self.findings)
        self.own = sum(map(size, self.patients))
        told = len(self.findings.rejected) + len(self.findings.duplicates)
        self.found = self.own + told + self.findings.references
        assert self.found == len(resources)


def size(patient: PatientDraft) -> int:
    return sum(len(record.units) for record in patient.records)


def content(record: RecordDraft) -> bytes:
    return b"".join(record.compose(record.units))


def taken_apart(*resources: str | dict[str, Any], index: ReferenceIndex | None = None) -> Apart:
    return Apart(scan_bundle(bundle(*resources))[1], index)


def only(*resources: str | dict[str, Any], index: ReferenceIndex | None = None) -> PatientDraft:
    (patient,) = taken_apart(*resources, index=index).patients
    return patient


def indexed(*resources: dict[str, Any]) -> ReferenceIndex:
    index = ReferenceIndex()
    for resource in scan_bundle(bundle(*resources))[1]:
        index.add(resource)
    return index


def reference(to: str) -> dict[str, str]:
    return {"reference": to}


def resource(kind: str, identity: str, **members: Any) -> dict[str, Any]:
    return {"resourceType": kind, "id": identity, **members}


def of_visit(kind: str, identity: str, **members: Any) -> dict[str, Any]:
    return resource(
        kind, identity, subject=reference("urn:p"), encounter=reference("urn:e"), **members
    )


def coded(code: str) -> list[dict[str, Any]]:
    return [{"coding": [{"code": code}]}]


PATIENT = resource("Patient", "p", name=[{"family": "Alder", "given": ["Ann", "B."]}])
ENCOUNTER = resource(
    "Encounter",
    "e",
    subject=reference("urn:p"),
    type=[{"text": "General examination of patient (procedure)"}],
    period={"start": "2012-03-04T23:30:00-05:00"},
)


def inside(record: RecordDraft) -> list[Resource]:
    kind, resources = scan_bundle(content(record))
    assert kind == "collection"
    return resources


def by_category(patient: PatientDraft) -> dict[str, RecordDraft]:
    records = {record.category: record for record in patient.records}
    assert len(records) == len(patient.records)
    return records


# --- bytes ---------------------------------------------------------------------------------------


@given(st.lists(json_texts(), max_size=4), SPACES, st.booleans())
def test_raw_bytes_survive(values: list[str], space: str, mark: bool) -> None:
    texts = [
        f'{{{space}"resourceType":{space}"Observation",{space}"value":{value}{space}}}'
        for value in values
    ]
    data = bundle(json.dumps(PATIENT), *texts, space=space)
    kind, resources = scan_bundle(b"\xef\xbb\xbf" + data if mark else data)
    assert kind == "collection"
    assert [r.raw for r in resources[1:]] == [text.encode() for text in texts]
    result = Apart(resources)
    kept = [r.raw for record in result.patients[0].records for r in inside(record)]
    assert kept == list(dict.fromkeys(r.raw for r in resources))


def test_a_body_shows_the_digits_and_cannot_be_written() -> None:
    _, (found,) = scan_bundle(bundle('{"resourceType":"Observation","value":1.10}'))
    assert str(found.body["value"]) == "1.10"
    assert isinstance(found.body["value"], Decimal)
    with pytest.raises(TypeError):
        json.dumps(found.body)


@pytest.mark.parametrize("kind", ["transaction", "batch", "collection"])
def test_types_taken(kind: str) -> None:
    assert scan_bundle(bundle(PATIENT, kind=kind))[0] == kind
    assert scan_bundle(f'{{"type":"{kind}","resourceType":"Bundle"}}'.encode()) == (kind, [])


GOOD = '{"resourceType":"Observation"}'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"Bundle, byte 0: got nothing, expected '\{'"),
        (b"[]", r"Bundle, byte 0: got '\[', expected '\{'"),
        (b"\xff\xfe{", "byte 0: got 0xff, expected JSON in UTF-8"),
        (b"\xef\xbb\xbf{\xe9", "byte 4: got 0xe9"),
        (b'\xef\xbb\xbf{"a":?}', "Bundle.a, byte 8: not JSON"),
        (b'{"resourceType":"Patient"}', "resourceType: got 'Patient', expected 'Bundle'"),
        (b'{"resourceType":"Bundle"}', "type: got nothing, expected one of transaction"),
        (b'{"resourceType":"Bundle","type":["batch"]}', "type: got list"),
        (bundle(GOOD, kind="searchset"), "type: got 'searchset'"),
        (bundle(GOOD) + b"{}", "Bundle, byte 99: got '{', expected the end"),
        (bundle(GOOD)[:-1], "expected ','"),
        (b'{"type":"batch","type":"batch"}', "got the key 'type' twice"),
        (b'{"entry":{}}', r"Bundle.entry, byte 9: got '\{', expected '\['"),
        (b'{"entry":[{}],"resourceType":"Bundle","type":"batch"}', r"entry\[0\].resource, byte 10"),
        (
            b'{"resourceType":"Bundle","type":"batch","entry":[null]}',
            r"entry\[0\], byte 49: got 'n'",
        ),
        (b'{"entry":[{},]}', r"entry\[1\]"),
        (b'{"entry":[{"fullUrl":"a","fullUrl":"b"}]}', "got the key 'fullUrl' twice"),
        (b"{1:2}", "got '1', expected a key"),
        (bundle('{"resourceType":"Observation","id":"a","id":"b"}'), "got the key 'id' twice"),
        (bundle(GOOD, '{"resourceType":"Observation","v":NaN}'), r"entry\[1\].*got NaN"),
        (bundle('{"v":-Infinity}'), "got -Infinity"),
        (bundle('{"v":1e99999999999999999999}'), "beyond any range"),
        (bundle('{"v":' + "9" * 5000 + "}"), "beyond any range"),
        (bundle('{"v":01}'), "not JSON"),
        (bundle('{"v":"\n"}'), "not JSON: Invalid control character"),
        (bundle('{"v":' + "[" * 100_000), "too deep a nesting"),
        (bundle("[]"), r"resource, byte \d+: got list, expected an object"),
        (bundle("{}"), "resourceType, byte .*: got nothing, expected the name of a type"),
        (bundle('{"resourceType":"x y"}'), "got 'x y'"),
        (bundle('{"resourceType":"Observation","id":7}'), "resource.id, byte .*got int"),
        (bundle('{"resourceType":"Observation","id":"\\ud800"}'), "resource.id"),
    ],
)
def test_refusals(data: bytes, message: str) -> None:
    with pytest.raises(FhirError, match=message):
        scan_bundle(data)


@given(st.binary(max_size=40) | json_texts().map(str.encode))
def test_nothing_but_the_promised_error(data: bytes) -> None:
    with pytest.raises(FhirError):
        scan_bundle(data)


# --- records -------------------------------------------------------------------------------------


def test_one_record_an_encounter_and_category() -> None:
    laboratory = coded("laboratory")
    patient = only(
        of_visit("Observation", "o1", category=laboratory),
        PATIENT,
        ENCOUNTER,
        of_visit("Observation", "o2", category=coded("vital-signs")),
        of_visit("Observation", "o3", category=laboratory),
        resource("Coverage", "c", beneficiary=reference("urn:p")),
    )
    records = by_category(patient)
    assert list(records) == ["laboratory", "demographics", "encounter", "summary"]
    record = records["laboratory"]
    assert record.encounter == "urn:e"
    assert record.clinical_date == "2012-03-04"
    assert record.title == "Laboratory, General examination of patient, 2012-03-04"
    assert [r.id for r in inside(record)] == ["o1", "o3"]
    assert len(records["encounter"].units) == 2
    for category in ("demographics", "summary"):
        assert (records[category].encounter, records[category].clinical_date) == (None, None)
    assert (size(patient), patient.encounters, patient.unresolved) == (6, 1, 0)


@pytest.mark.parametrize(
    ("body", "category"),
    [
        (of_visit("Observation", "x"), "encounter"),
        (of_visit("Observation", "x", category=coded("imaging")), "imaging"),
        (of_visit("Observation", "x", category=[*coded("?"), *coded("Laboratory")]), "laboratory"),
        (of_visit("DiagnosticReport", "x", category=coded("LAB")), "laboratory"),
        (of_visit("DiagnosticReport", "x", category=coded("RAD")), "imaging"),
        (of_visit("DiagnosticReport", "x", category=coded("34117-2")), "document"),
        (of_visit("Condition", "x", category=coded("laboratory")), "condition"),
        (of_visit("MedicationRequest", "x"), "medication"),
        (of_visit("Claim", "x"), "billing"),
        (of_visit("CarePlan", "x"), "encounter"),
        (of_visit("Basic", "x"), "encounter"),
        (resource("Basic", "x"), "summary"),
        (resource("AllergyIntolerance", "x", patient=reference("Patient/p")), "summary"),
    ],
)
def test_categories(body: dict[str, Any], category: str) -> None:
    patient = only(PATIENT, resource("Encounter", "e"), body)
    (record,) = (r for r in patient.records if "x" in {one.id for one in inside(r)})
    assert record.category == category


@pytest.mark.parametrize(
    "members",
    [
        {"encounter": reference("urn:e")},
        {"encounter": reference("Encounter/e/_history/2")},
        {"encounter": reference("Encounter?identifier=urn:v%7C7")},
        {"encounter": {"identifier": {"system": "urn:v", "value": "7"}}},
        {"context": reference("Encounter/e")},
        {"context": {"encounter": [reference("urn:e")]}},
        {"item": [{"encounter": [reference("urn:e"), reference("Encounter/other")]}]},
    ],
)
def test_ways_to_name_an_encounter(members: dict[str, Any]) -> None:
    visit = resource("Encounter", "e", identifier=[{"system": "urn:v", "value": "7"}])
    patient = only(PATIENT, visit, resource("Procedure", "x", **members))
    assert by_category(patient)["procedure"].encounter == "urn:e"


def test_an_encounter_in_another_file_still_ties() -> None:
    own = {"subject": reference("Patient/p")}
    lost = {**own, "encounter": reference("Encounter/9"), "performedDateTime": "2001-02-03"}
    patient = only(PATIENT, resource("Procedure", "x", **lost))
    record = by_category(patient)["procedure"]
    assert (record.encounter, record.clinical_date) == ("Encounter/9", "2001-02-03")
    assert record.title == "Procedure, 2001-02-03"
    assert patient.unresolved == 1
    stay = resource("Procedure", "x", **own, context=reference("EpisodeOfCare/9"))
    assert "summary" in by_category(only(PATIENT, stay))


def test_a_relative_reference_stays_on_its_server() -> None:
    names = [f'"http://{host}/fhir/Encounter/1"' for host in ("a", "b")]
    entries = [
        f'{{"fullUrl":{name},"resource":{{"resourceType":"Encounter","id":"1"}}}}' for name in names
    ]
    entries.append(
        '{"fullUrl":"http://b/fhir/Procedure/2","resource":{"resourceType":"Procedure","id":"2",'
        '"encounter":{"reference":"Encounter/1"}}}'
    )
    entries.append('{"resource":{"resourceType":"Patient","id":"p"}}')
    text = '{"resourceType":"Bundle","type":"batch","entry":[' + ",".join(entries) + "]}"
    (patient,) = Apart(scan_bundle(text.encode())[1]).patients
    assert by_category_name(patient, "procedure") == "http://b/fhir/Encounter/1"


def by_category_name(patient: PatientDraft, category: str) -> str | None:
    return next(r.encounter for r in patient.records if r.category == category)


@pytest.mark.parametrize("day", ["2012", "2012-03", "2012-13-45", "2012-03-04 10:00", 20120304])
def test_no_date_but_a_full_one(day: object) -> None:
    visit = resource("Encounter", "e", period={"start": day})
    assert by_category(only(PATIENT, visit))["encounter"].clinical_date is None


def test_titles_fit() -> None:
    kind = {"type": [{"text": "été\u202e\ud800\n " * 80}]}
    text = title("laboratory", Resource("Encounter", None, None, b"", kind), "2012-03-04")
    assert len(text.encode("utf-8")) in range(195, 201)
    assert re.fullmatch(r"Laboratory, (été )+\w*…, 2012-03-04", text)


# --- references ----------------------------------------------------------------------------------

DOCTOR = resource("Practitioner", "d", identifier=[{"system": "urn:npi", "value": "1"}])
CLINIC = resource("Organization", "o", partOf=reference("Organization/group"))
GROUP = resource("Organization", "group")
ROLE = resource(
    "PractitionerRole", "r", practitioner=reference("urn:d"), organization=reference("urn:o")
)


@pytest.mark.parametrize("to", ["urn:d", "Practitioner/d", "Practitioner?identifier=urn:npi|1"])
def test_what_a_record_refers_to_is_copied_once(to: str) -> None:
    people = [{"individual": reference(to)}, {"individual": reference("urn:d")}]
    visit = ENCOUNTER | {"participant": people}
    for bodies, index in (([DOCTOR], None), ([], indexed(DOCTOR, CLINIC))):
        patient = only(PATIENT, visit, *bodies, index=index)
        record = by_category(patient)["encounter"]
        assert [r.id for r in inside(record)] == ["e", "d"]
        assert (len(record.units), patient.unresolved) == (1, 0)


def test_copies_bring_what_they_refer_to() -> None:
    visit = ENCOUNTER | {"participant": [{"individual": reference("PractitionerRole/r")}]}
    patient = only(PATIENT, visit, index=indexed(DOCTOR, CLINIC, GROUP, ROLE))
    assert [r.id for r in inside(by_category(patient)["encounter"])] == [
        "e", "r", "d", "o", "group",
    ]  # fmt: skip


def test_the_bundle_comes_before_the_index() -> None:
    visit = ENCOUNTER | {"serviceProvider": reference("urn:o")}
    patient = only(PATIENT, visit, CLINIC | {"name": "here"}, index=indexed(CLINIC))
    assert inside(by_category(patient)["encounter"])[-1].body["name"] == "here"


def test_the_index_keeps_only_reference_resources() -> None:
    index = indexed(PATIENT, DOCTOR)
    assert index.find("urn:p") is None
    assert index.find("urn:d") is not None
    assert index.find("Practitioner/nobody") is None


def test_an_identifier_of_two_names_neither() -> None:
    index = indexed(DOCTOR, DOCTOR, DOCTOR | {"id": "d2"}, DOCTOR)
    assert index.find("Practitioner?identifier=urn:npi|1") is None
    assert index.find("Practitioner/d2") is not None


def test_unresolved_references_are_counted_and_kept() -> None:
    visit = ENCOUNTER | {"serviceProvider": reference("urn:gone"), "x": reference("#inside")}
    patient = only(PATIENT, visit)
    assert patient.unresolved == 1
    assert b'"urn:gone"' in content(by_category(patient)["encounter"])


# --- patients ------------------------------------------------------------------------------------

MR = {"type": {"coding": [{"code": "MR"}]}, "system": "urn:h", "value": "7"}


@pytest.mark.parametrize(
    ("members", "identifier"),
    [
        ({"identifier": [{"system": "urn:s", "value": "1"}, MR]}, "urn:h|7"),
        ({"identifier": [{"use": "old"} | MR, {"system": "urn:s", "value": "1"}]}, "urn:s|1"),
        ({"identifier": [{"system": "urn:s"}, {"value": "1"}]}, "#in||Patient/p"),
        ({"identifier": "7"}, "#in||Patient/p"),
        ({}, "#in||Patient/p"),
    ],
)
def test_identifiers(members: dict[str, Any], identifier: str) -> None:
    patient = only(resource("Patient", "p", **members))
    assert (*patient.names, *patient.bare)[0] == identifier


def test_a_patient_without_any_name_is_set_aside() -> None:
    (aside,) = taken_apart('{"resourceType":"Patient"}').findings.rejected
    assert "without identifier, id or fullUrl" in aside[1]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"name": PATIENT["name"], "birthDate": "1999-12-31"}, ("Ann B. Alder", "1999-12-31", 0)),
        ({"name": [{"text": "x"}, {"use": "official", "text": "Ann\nA."}]}, ("Ann A.", None, 0)),
        ({"birthDate": "1999", "deceasedBoolean": False}, ("", "1999-12-31", 0)),
        ({"name": [7, {"given": "x"}], "deceasedDateTime": "2001"}, ("", None, 1)),
        ({"name": {"family": "\ud800A"}, "deceasedBoolean": True}, ("A", None, 1)),
    ],
)
def test_persons(members: dict[str, Any], expected: tuple[str, str | None, int]) -> None:
    patient = only(resource("Patient", "p", **members))
    assert patient.person is not None
    assert (patient.person.name, patient.person.birth_date, patient.person.deceased) == expected


def test_two_resources_of_one_patient_are_one_patient() -> None:
    twin = {"identifier": [MR]}
    patient = only(resource("Patient", "p", **twin), resource("Patient", "q", **twin))
    assert len(by_category(patient)["demographics"].units) == 2


OTHER = resource("Patient", "q")
OTHER_VISIT = resource("Encounter", "f", subject=reference("urn:q"))
BOTH = [reference("urn:p"), reference("urn:q")]
STRANGER = {"subject": reference("Patient/elsewhere")}
BY_NUMBER = {"subject": {"identifier": {"system": "urn:h", "value": "unknown"}}}


@pytest.mark.parametrize(
    ("bodies", "reason"),
    [
        ([PATIENT, resource("Observation", "x", **STRANGER)], "not in the bundle"),
        ([PATIENT, OTHER, resource("Basic", "x")], "names no patient and the bundle has 2"),
        ([resource("Basic", "x")], "names no patient and the bundle has 0"),
        (
            [PATIENT, OTHER, OTHER_VISIT, of_visit("Procedure", "x")
             | {"encounter": reference("urn:f")}],
            "its encounter is not its patient's",
        ),
        (
            [PATIENT, OTHER, resource("Account", "x", subject=BOTH)],
            "more than one patient",
        ),
    ],
)  # fmt: skip
def test_set_aside(bodies: list[dict[str, Any]], reason: str) -> None:
    ((position, why, original),) = taken_apart(*bodies).findings.rejected
    assert position == f"entry[{len(bodies) - 1}]"
    assert original is not None
    assert json.loads(original)["id"] == "x"
    assert reason in why


UUID = "a0b1c2d3-0000-4000-8000-00000000000f"


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ({"identifier": {"system": "urn:h", "value": "n-8"}}, "urn:h|n-8"),
        (reference(f"urn:uuid:{UUID}"), f"Patient/{UUID}"),
        (reference(f"Patient/{UUID.upper()}/_history/3"), f"Patient/{UUID}"),
        (reference(f"https://server.example/fhir/Patient/{UUID}"), f"Patient/{UUID}"),
        (reference("Patient?identifier=urn:h%7C7"), "urn:h|7"),
    ],
)
def test_a_patient_elsewhere_is_named_by_what_nobody_else_bears(
    subject: dict[str, Any], name: str
) -> None:
    patient = only(resource("Observation", "x", subject=subject))
    assert (patient.names, patient.person) == ((name,), None)


@pytest.mark.parametrize("to", ["Patient/7", f"Group/{UUID}", "Patient?identifier=7", "urn:uuid:7"])
def test_a_name_that_others_may_bear_finds_nobody(to: str) -> None:
    assert taken_apart(resource("Observation", "x", subject=reference(to))).findings.rejected


def test_a_patient_bears_every_number_and_uuid() -> None:
    body = resource("Patient", UUID, identifier=[MR, MR | {"value": "8", "use": "old"}])
    patient = only(body)
    assert patient.names == ("urn:h|7", "urn:h|8", f"Patient/{UUID}")
    assert patient.numbers == ("#MR|7", "#MR|8")


def test_what_stands_twice_is_taken_once() -> None:
    apart = taken_apart(PATIENT, ENCOUNTER, ENCOUNTER, ENCOUNTER | {"status": "planned"})
    assert apart.own == 2
    assert apart.findings.duplicates == [("entry[2]", "Encounter/e")]
    ((position, why, _),) = apart.findings.rejected
    assert (position, "stands at entry[1] too, with other content" in why) == ("entry[3]", True)


def test_entries_that_cannot_be_read_are_told_one_by_one() -> None:
    bad = ["7", '{"resourceType":"Observation","v":NaN}', '{"id":"a","id":"b"}', '{"id":"x"}']
    _, entries = scan_entries(bundle(PATIENT, *bad, ENCOUNTER))
    unreadable = [entry for entry in entries if isinstance(entry, Unreadable)]
    assert [one.position for one in unreadable] == [f"entry[{n}]" for n in range(1, 5)]
    assert unreadable[0].raw == b'{"resource":7}'
    assert [entry.id for entry in entries if isinstance(entry, Resource)] == ["p", "e"]


def test_a_resource_may_come_alone() -> None:
    raw = json.dumps(PATIENT, indent=1).encode()
    kind, (alone,) = scan_entries(b" " + raw + b"\n")
    assert kind == "resource"
    assert isinstance(alone, Resource)
    assert (alone.raw, alone.position) == (raw, "")


@pytest.mark.parametrize(
    "members",
    [
        {"subject": reference("Patient/q")},
        {"patient": reference("urn:q")},
        {"encounter": reference("urn:f")},
        {"target": [reference("urn:f"), reference("urn:q")]},
        {"participant": [{"actor": reference("urn:d")}, {"actor": reference("urn:q")}]},
    ],
)
def test_ways_to_name_a_patient(members: dict[str, Any]) -> None:
    result = taken_apart(PATIENT, OTHER, OTHER_VISIT, DOCTOR, resource("Basic", "x", **members))
    assert [(p.bare[0], size(p)) for p in result.patients] == [
        ("#in||Patient/p", 1),
        ("#in||Patient/q", 3),
    ]


POINTERS = ["urn:p", "urn:e", "urn:d", "Patient/q", "Encounter/f", "#x", "", "?", "/", "\ud800"]
LOOSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([*POINTERS, "2012-03-04", "MR"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["reference", "identifier", "value", "system", "coding", "code"])
            | st.sampled_from(["start", "encounter", "actor", "text", "given", "type", "use"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
MEMBERS = st.sampled_from(
    ["subject", "patient", "encounter", "context", "item", "target", "participant", "category"]
) | st.sampled_from(["identifier", "name", "period", "type", "class", "birthDate"])
KINDS = st.sampled_from(["Patient", "Encounter", "Observation", "Practitioner", "Provenance"])


@given(st.lists(st.tuples(KINDS, st.dictionaries(MEMBERS, LOOSE, max_size=4)), max_size=6))
def test_nothing_is_lost_whatever_the_shape(bodies: list[tuple[str, dict[str, Any]]]) -> None:
    texts = [resource(kind, "pqefd"[i % 5], **members) for i, (kind, members) in enumerate(bodies)]
    _, resources = scan_bundle(bundle(*texts))
    result = Apart(resources)
    kept = Counter(
        unit.raw for p in result.patients for record in p.records for unit in record.units
    )
    for p in result.patients:
        for record in p.records:
            assert [r.raw for r in inside(record)[: len(record.units)]] == [
                unit.raw for unit in record.units
            ]
    kept.update(original for _, _, original in result.findings.rejected if original)
    twice = Counter({position for position, _ in result.findings.duplicates})
    kept.update(r.raw for r in resources if r.position in twice)
    kept.update(r.raw for r in resources if r.type in REFERENCE_TYPES)
    assert kept == Counter(r.raw for r in resources)


# --- the page --------------------------------------------------------------------


def test_the_table_is_the_documented_one() -> None:
    page = (ROOT / "docs" / "import.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()]
    found = [row for row in rows if len(row) == 3][2:]
    assert found == [[row.category, row.types, row.codes] for row in TABLE]
    assert all(kind in page for kind in REFERENCE_TYPES)
    for words in (
        [w for r in TABLE for w in r.types.split()],
        [w for r in TABLE for w in r.codes.split()],
    ):
        assert len(words) == len({word.lower() for word in words})


def test_a_resource_with_entries_of_its_own_is_one_resource() -> None:
    """A List has a member `entry` too, before or after it says what it is."""
    entries = b'"entry":[{"item":{"reference":"Observation/1"}},{"deleted":true}]'
    for text in (b'{"resourceType":"List","id":"l",%b}', b'{%b,"id":"l","resourceType":"List"}'):
        data = text % entries
        kind, (found,) = scan_entries(data)
        assert isinstance(found, Resource)
        assert (kind, found.type, found.id, found.raw) == ("resource", "List", "l", data)
        assert len(found.body["entry"]) == 2


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"method": "DELETE", "url": "Condition/9"}, "got DELETE of 'Condition/9', which an import does not carry out"),
        ({"method": "GET", "url": "Patient?name=x"}, "got GET of 'Patient?name=x', which asks for something and holds"),
        ({"method": "HEAD"}, "got HEAD of '', which asks for something"),
        ({"method": "PUT", "url": "Basic/1"}, "got nothing, expected an object"),
    ],
)  # fmt: skip
def test_a_request_that_brings_nothing_is_told_by_its_name(
    request_: dict[str, str], reason: str
) -> None:
    entry = json.dumps({"request": request_}).encode()
    _, (found,) = scan_entries(
        b'{"resourceType":"Bundle","type":"transaction","entry":[%b]}' % entry
    )
    assert isinstance(found, Unreadable) and reason in found.reason


def test_a_patch_is_not_the_resource_that_it_changes() -> None:
    entry = {
        "resource": {"resourceType": "Binary", "id": "1"},
        "request": {"method": "PATCH", "url": "Patient/1"},
    }
    data = json.dumps({"resourceType": "Bundle", "type": "batch", "entry": [entry]}).encode()
    (found,) = scan_entries(data)[1]
    assert isinstance(found, Unreadable) and "PATCH of 'Patient/1'" in found.reason
