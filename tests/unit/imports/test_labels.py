"""Labels by codes: the table is read strictly, and says for each code what it says in the file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.labels import SYSTEMS, Labels, system_name
from journeys.errors import RecordsError
from ledger.codes import LABELS

HEADER = "system,code,label,comment\n"
PAGE = Path("docs/import-formats.md").read_text("utf-8")


def table(*rows: str) -> Labels:
    return Labels.parse(HEADER + "\n".join(rows), "table")


@given(st.lists(st.tuples(st.text(), st.text())))
def test_any_codes_have_labels_of_the_registry(codes: list[tuple[str, str]]) -> None:
    found = Labels.default().of(codes)
    assert set(found) <= set(LABELS)
    assert list(found) == sorted(set(found))


@given(
    st.text() | st.text('system,codelabeETHF*"\n 10', max_size=60).map(lambda text: HEADER + text)
)
def test_any_text_is_a_table_or_refused_with_its_line(text: str) -> None:
    refused = ""
    try:
        read = Labels.parse(text, "mine.csv")
    except RecordsError as error:
        refused = str(error)
    else:
        assert all(labels <= set(LABELS) for labels in read.rows.values())
    assert not refused or refused.startswith("mine.csv, line ")


@given(st.sampled_from(sorted(Labels.default().rows)), st.text("0123456789ABC", max_size=3))
def test_every_row_of_the_table_labels_its_codes(key: tuple[str, str], rest: str) -> None:
    system, code = key
    labels = Labels.default().rows[key]
    exact = code.removesuffix("*") + (rest if code.endswith("*") else "")
    for name in (system, *SYSTEMS[system]):
        assert labels <= set(Labels.default().of([(name.lower(), f" {exact} ")]))
        assert labels <= set(Labels.default().of([("urn:oid:" + name, exact)]))


def test_the_default_table_brings_every_label() -> None:
    assert set().union(*Labels.default().rows.values()) == set(LABELS)


@pytest.mark.parametrize(
    ("system", "code", "labels"),
    [
        ("http://hl7.org/fhir/sid/icd-10-cm", "F11.20", ("ETH", "OPIOIDUD")),
        ("I10", "F1020", ("ETH",)),
        ("ICD-10", "F17.2", ()),
        ("ICD-10-CM", "Z11.4", ()),
        ("ICD-10-GM", "f32.1", ("PSY",)),
        ("http://snomed.info/sct", "72892002", ("SEX",)),
        ("SNOMED-CT", "728920021", ()),
        ("SNOMED-CT", "31676001", ()),
        ("SNOMED-CT", "171207006", ()),
        ("LOINC", "72892002", ()),
        ("", "F11.20", ()),
        ("our own", "F11.20", ()),
    ],
)
def test_codes_one_by_one(system: str, code: str, labels: tuple[str, ...]) -> None:
    assert Labels.default().of([(system, code)]) == labels


def test_a_hospital_has_systems_of_its_own() -> None:
    mine = table("KIS,42,HIV,our ward", "KIS X,7*,PSY,", "KIS,42,STD,")
    assert mine.of([("kis", "42")]) == ("HIV", "STD")
    assert mine.of([("x", "71"), ("KIS", "7")]) == ("PSY",)
    assert mine.of([("KIS", "421")]) == ()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("KIS,42,XYZ,", "line 2: got the label 'XYZ', expected ETH, PSY"),
        ("KIS,42,HIV", "line 2: got 3 fields, expected system,code,label,comment"),
        ("KIS,4*2,HIV,", "line 2: got the code '4[*]2', expected `[*]` only at its end"),
        ("KIS,*,HIV,", "line 2: got .* expected a system and a code"),
        ('KIS,42,HIV,ok\n,42,HIV,"two\nlines"', "line 4: got .* expected a system and a code"),
        ('KIS,42,HIV,"open', "line 2: "),
    ],
)
def test_what_is_wrong_with_a_table_is_said(rows: str, message: str) -> None:
    with pytest.raises(RecordsError, match=message):
        table(rows)
    with pytest.raises(RecordsError, match="line 1: got 'system;code', expected system,code,label"):
        Labels.parse("system;code\n", "table")


def test_the_page_names_every_system() -> None:
    for name, others in SYSTEMS.items():
        assert f"| {name} | {' '.join(f'`{one}`' for one in others)} |" in PAGE
        assert all(system_name(one) == name for one in others)


@pytest.mark.parametrize(
    ("system", "name"),
    [
        ("https://hl7.org/fhir/sid/icd-10-cm", "ICD-10-CM"),
        ("http://hl7.org/fhir/sid/icd-10/", "ICD-10"),
        ("http://hl7.org/fhir/sid/icd-10|2019", "ICD-10"),
        ("http://fhir.de/CodeSystem/dimdi/icd-10-gm|2018", "ICD-10-GM"),
        ("icd10gm2020", "ICD-10-GM"),
        ("ICD-10-GM 2024", "ICD-10-GM"),
        ("http://snomed.info/sct/900000000000207008/version/20240101", "SNOMED-CT"),
        ("http://snomed.info/sct|http://snomed.info/sct/11000274103", "SNOMED-CT"),
        ("http://hospital.example/icd-10", "http://hospital.example/icd-10"),
        ("KIS 2020", "kis 2020"),
        ("", ""),
    ],
)
def test_an_edition_of_a_code_system_is_that_system(system: str, name: str) -> None:
    assert system_name(system) == name


def test_a_code_of_any_length_is_looked_up_at_once() -> None:
    """Each of its beginnings was, and copied: a code of 10 MB took days."""
    table = Labels.parse("system,code,label,comment\nKIS,F1*,ETH,prefix\n", "table")
    assert table.of([("KIS", "F1" + "0" * 10_000_000)]) == ("ETH",)
    assert table.of([("KIS", "F2" + "0" * 10_000_000)]) == Labels({}).of([("KIS", "F1")]) == ()
