"""Corrections in resources: what is certain is mended and told, every other byte stays."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.drafts import Listed
from imports.fhir import FhirError, ReferenceIndex
from imports.fhir.clean import CODES, DATES, UCUM, clean
from imports.fhir.read import read_bundle
from imports.fhir.scan import Resource, scan_entries
from tests.unit.imports.test_fhir import PATIENT, bundle, encodable, json_texts, reference, resource


def cleaned(body: dict[str, Any] | str) -> tuple[Resource, Listed]:
    text = body if isinstance(body, str) else json.dumps(body)
    _, (one,) = scan_entries(text.encode())
    assert isinstance(one, Resource)
    findings = Listed()
    return clean(one, findings), findings


@pytest.mark.parametrize(
    ("members", "path", "before", "after"),
    [
        ({"birthDate": "31.12.1999"}, "Patient.birthDate", "31.12.1999", "1999-12-31"),
        ({"birthDate": "1999/12/31"}, "Patient.birthDate", "1999/12/31", "1999-12-31"),
        ({"gender": " Female"}, "Patient.gender", " Female", "female"),
        (
            {"period": [{}, {"start": "2020-01-02 03:04:05Z"}]},
            "Patient.period[1].start",
            "2020-01-02 03:04:05Z",
            "2020-01-02T03:04:05Z",
        ),
        (
            {"code": {"coding": [{"system": "http://loinc.org", "code": "4548-4 "}]}},
            "Patient.code.coding[0].code",
            "4548-4 ",
            "4548-4",
        ),
        (
            {"valueQuantity": {"value": 5, "system": UCUM, "code": "mg/dl"}},
            "Patient.valueQuantity.code",
            "mg/dl",
            "mg/dL",
        ),
    ],
)
def test_corrections(members: dict[str, Any], path: str, before: str, after: str) -> None:
    found, findings = cleaned(resource("Patient", "p", **members))
    ((_, what, was, now),) = findings.corrections
    assert what.startswith(path + ": ")
    assert (was, now) == (before, after)
    assert json.dumps(after).encode() in found.raw
    again = Listed()
    assert clean(found, again) is found
    assert not again.corrections


@pytest.mark.parametrize(
    "members",
    [
        {"birthDate": "1999"},
        {"birthDate": "03/04/1999"},
        {"birthDate": "1999-02-31"},
        {"birthDate": "soon"},
        {"issued": "2020-01-02T03:04:05.678+02:00"},
        {"gender": "weiblich"},
        {"status": "active"},
        {"code": "AbC"},
        {"valueQuantity": {"system": UCUM, "code": "furlong"}},
        {"valueQuantity": {"code": "mg/dl"}},
        {"note": "31.12.1999 mg/dl "},
    ],
)
def test_what_is_not_certain_stays(members: dict[str, Any]) -> None:
    found, findings = cleaned(resource("Patient", "p", **members))
    assert json.loads(found.raw) == resource("Patient", "p", **members)
    assert not findings.corrections


@given(st.lists(json_texts(), max_size=3), st.sampled_from(["", " ", "\n\t"]))
def test_every_other_byte_stays(values: list[str], space: str) -> None:
    def written(day: str) -> str:
        members = [f'"v{i}"{space}:{value}' for i, value in enumerate(values)]
        members.append(f'"birthDate"{space}: "{day}"')
        return f'{{"resourceType":"Patient",{",".join(members)}}}'

    found, findings = cleaned(written("1.2.2003"))
    assert found.raw == written("2003-02-01").encode()
    assert len(findings.corrections) == 1


KEYS = st.sampled_from([*sorted(DATES)[:5], *CODES, "code", "system", "coding", "x", 'q"\\', "é"])
TEXTS = (
    st.sampled_from(["1.2.2003", " Final", "mg/dl", UCUM, "20200102", "{", '"', "a\\"]) | st.text()
)
BODIES = st.recursive(
    TEXTS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, BODIES, max_size=5), st.booleans())
def test_corrections_stand_where_they_say(members: dict[str, Any], ascii: bool) -> None:
    body = {"resourceType": "Patient", **members}
    text = json.dumps(body, ensure_ascii=ascii)
    if not encodable(text) or any("\ud800" <= c <= "\udfff" for c in text):
        return
    found, findings = cleaned(text)
    was, now = (
        dict(leaves("Patient", json.loads(text))),
        dict(leaves("Patient", json.loads(found.raw))),
    )
    changed = {path: (was[path], now[path]) for path in was if was[path] != now[path]}
    assert was.keys() == now.keys()
    assert changed == {
        what.rpartition(": ")[0]: (before, after) for _, what, before, after in findings.corrections
    }
    again = Listed()
    clean(found, again)
    assert not again.corrections


def leaves(path: str, node: Any) -> Iterator[tuple[str, Any]]:
    """Every value that holds no other, by its path."""
    if isinstance(node, dict):
        for key, child in node.items():
            yield from leaves(f"{path}.{key}", child)
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from leaves(f"{path}[{number}]", child)
    else:
        yield path, node


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"\xef\xbb\xbf" + bundle(PATIENT), "byte order mark"),
        (bundle(PATIENT).decode().encode("utf-16"), "utf-16"),
        (
            bundle(json.dumps(PATIENT | {"note": "für"}, ensure_ascii=False))
            .decode()
            .encode("cp1252"),
            "windows-1252",
        ),
    ],
)
def test_encodings_are_told(data: bytes, rule: str) -> None:
    findings = Listed()
    (patient,) = read_bundle(data, ReferenceIndex(), lambda codes: (), findings)
    assert patient.person is not None
    assert patient.person.name == "Ann B. Alder"
    ((_, what, _, _),) = findings.corrections
    assert rule in what
    assert findings.units == 1


@given(st.binary(max_size=60) | json_texts().map(str.encode))
def test_whatever_lies_in_a_file_is_one_reject(data: bytes) -> None:
    findings = Listed()
    try:
        drafts = list(read_bundle(data, ReferenceIndex(), lambda codes: (), findings))
    except FhirError as error:  # pragma: no cover - shown when it fails
        raise AssertionError("a reader raised") from error
    assert not drafts
    assert findings.units == len(findings.rejected) + findings.references


def test_a_bad_entry_leaves_the_others() -> None:
    findings = Listed()
    data = bundle(
        PATIENT,
        '{"resourceType":"Basic","v":NaN}',
        resource("Basic", "x", subject=reference("urn:p")),
    )
    (patient,) = read_bundle(data, ReferenceIndex(), lambda codes: (), findings)
    assert sum(len(record.units) for record in patient.records) == 2
    ((position, reason, original),) = findings.rejected
    assert position == "entry[1]"
    assert "NaN" in reason
    assert original == b'{"resource":{"resourceType":"Basic","v":NaN}}'
