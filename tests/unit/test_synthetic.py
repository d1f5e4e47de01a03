"""Made-up records: the same bytes for a seed, and each format as its own reader expects it."""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records.synthetic import SyntheticPatient, letter_pdf, patients, scan_png
from records.synthetic.bundle import encode
from records.synthetic.person import LAST_DAY

SEEDS = st.integers(-(2**63), 2**63)
ADULT_YEARS = 18

# Made once and never again: another machine, Python or zlib must give the same.
GOLDEN = {
    "patients": "a9a3d9693c3cb123bf1dea92a9e4e7610382a0b48e0b3739ba1d3b6bb00861e8",
    "letter": "c8a8b620134f028b827e957e642300861293387a7b1070805e6d8d5042a71c4e",
    "scan": "97f72a7bc974cddbd1826975ba93691f7489ef8565493b01aaa8ff79215a6bfa",
}

PER_ENCOUNTER = {
    "Observation": 8,
    "DiagnosticReport": 1,
    "Condition": 1,
    "MedicationRequest": 1,
    "Procedure": 1,
    "Immunization": 1,
    "Claim": 1,
}
PATIENT_FIELD = {"Immunization": "patient", "Claim": "patient", "AllergyIntolerance": "patient"}


def resources(patient: SyntheticPatient) -> list[dict[str, Any]]:
    """The resources of a patient's bundle, in order."""
    return [entry["resource"] for entry in json.loads(patient.bundle)["entry"]]


def of_type(patient: SyntheticPatient, kind: str) -> list[dict[str, Any]]:
    """Those of one type."""
    return [found for found in resources(patient) if found["resourceType"] == kind]


def references(value: Any) -> Iterator[str]:
    """Every literal reference within a JSON value."""
    if isinstance(value, dict):
        if "reference" in value:
            yield value["reference"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def digest(*parts: bytes) -> str:
    """SHA-256 over the parts, in hexadecimal."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_the_bytes_are_those_of_every_machine() -> None:
    """Nothing but the seed has a say."""
    assert {
        "patients": digest(*(patient.bundle for patient in patients(7, 3))),
        "letter": digest(letter_pdf(7, "Zoë Müller")),
        "scan": digest(scan_png(7)),
    } == GOLDEN


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_a_longer_run_begins_with_the_shorter(seed: int) -> None:
    """A patient depends on seed and place only."""
    assert list(patients(seed, 2)) == list(islice(patients(seed, 1000), 2))
    assert letter_pdf(seed, "A") == letter_pdf(seed, "A")
    assert scan_png(seed, 9, 9) == scan_png(seed, 9, 9)


def test_other_seeds_give_others() -> None:
    """Also the negative of a seed, which `random` takes for the same."""
    seeds = (-1, 0, 1, 2)
    assert len({next(patients(seed, 1)).bundle for seed in seeds}) == len(seeds)
    assert len({scan_png(seed, 9, 9) for seed in seeds}) == len(seeds)
    assert len({letter_pdf(seed, "A") for seed in seeds}) == len(seeds)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_a_bundle_is_a_transaction_whose_references_resolve(seed: int) -> None:
    """Every entry is a POST under its own urn:uuid, and nothing points outside."""
    patient = next(patients(seed, 1))
    bundle = json.loads(patient.bundle)
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction")
    names = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(names)) == len(names)
    form = r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert all(re.fullmatch(form, name) for name in names)
    assert set(references(bundle)) <= set(names)
    for entry in bundle["entry"]:
        wanted = {"method": "POST", "url": entry["resource"]["resourceType"]}
        assert wanted.items() <= entry["request"].items()


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_a_history_has_encounters_and_what_came_of_them(seed: int) -> None:
    """1 to 6 encounters, each with its share of every type; the rest belongs to none."""
    patient = next(patients(seed, 1))
    counts = Counter(found["resourceType"] for found in resources(patient))
    visits = counts["Encounter"]
    assert 1 <= visits <= 6
    assert {kind: counts[kind] for kind in PER_ENCOUNTER} == {
        kind: share * visits for kind, share in PER_ENCOUNTER.items()
    }
    assert counts["AllergyIntolerance"] == 1
    assert counts["Goal"] <= 1
    for kind in ("Patient", "Organization", "Practitioner", "Location"):
        assert counts[kind] == 1


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_each_resource_names_its_patient_and_its_encounter(seed: int) -> None:
    """By the field that R4 has for it."""
    patient = next(patients(seed, 1))
    entries = json.loads(patient.bundle)["entry"]
    kinds = {entry["fullUrl"]: entry["resource"]["resourceType"] for entry in entries}
    for kind in [*PER_ENCOUNTER, "Encounter", "AllergyIntolerance", "Goal"]:
        for found in of_type(patient, kind):
            assert kinds[found[PATIENT_FIELD.get(kind, "subject")]["reference"]] == "Patient"
            if kind in PER_ENCOUNTER:
                holder = found["item"][0] if kind == "Claim" else found
                assert [kinds[name] for name in references(holder["encounter"])] == ["Encounter"]
            else:
                assert "encounter" not in found


def test_the_patient_is_the_one_it_says() -> None:
    """Identifier, name, birth date and death are those of the Patient resource."""
    for patient in patients(3, 21):
        (found,) = of_type(patient, "Patient")
        (identifier,) = found["identifier"]
        assert identifier["type"]["coding"][0]["code"] == "MR"
        assert identifier["value"] == patient.identifier
        (name,) = found["name"]
        assert f"{name['given'][0]} {name['family']}" == patient.name
        assert found["birthDate"] == patient.birth_date
        assert found["gender"] in {"female", "male"}
        assert ("deceasedDateTime" in found) == patient.deceased


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_some_are_minors_and_few_have_died(seed: int) -> None:
    """Of 40: five minors, two dead, all told apart by their identifiers."""
    run = list(patients(seed, 40))
    grown = LAST_DAY.replace(year=LAST_DAY.year - ADULT_YEARS)
    assert sum(date.fromisoformat(patient.birth_date) > grown for patient in run) == 5
    assert sum(patient.deceased for patient in run) == 2
    assert len({patient.identifier for patient in run}) == 40


@settings(max_examples=6, deadline=None)
@given(SEEDS)
def test_encounters_lie_within_the_life_and_apart(seed: int) -> None:
    """None before birth, after death or during another."""
    for patient in patients(seed, 11):
        (person,) = of_type(patient, "Patient")
        periods = [found["period"] for found in of_type(patient, "Encounter")]
        moments = [datetime.fromisoformat(p[end]) for p in periods for end in ("start", "end")]
        assert all(earlier < later for earlier, later in pairwise(moments))
        assert moments[0] > midnight(patient.birth_date)
        assert moments[-1] < midnight(person.get("deceasedDateTime", LAST_DAY.isoformat()))


def midnight(day: str) -> datetime:
    """The beginning of a day in UTC."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_decimals_are_not_those_of_a_float(seed: int) -> None:
    """An HbA1c is written like 5.60, so whoever reads floats writes other bytes."""
    bundle = next(patients(seed, 1)).bundle.decode()
    values = re.findall(r'"code":"4548-4".*?"valueQuantity":\{"value":([^,]+),', bundle)
    assert values
    assert all(re.fullmatch(r"\d+\.\d0", value) for value in values)
    again = json.dumps(json.loads(bundle), separators=(",", ":"), ensure_ascii=False)
    assert again != bundle
    exact = json.loads(bundle, parse_float=lambda text: text)
    assert sum(map(len, values)) == sum(map(len, hba1c(exact)))


def hba1c(bundle: dict[str, Any]) -> list[str]:
    """The values of all HbA1c observations of a bundle that was read with decimals as text."""
    found = (entry["resource"] for entry in bundle["entry"])
    return [
        resource["valueQuantity"]["value"]
        for resource in found
        if resource["resourceType"] == "Observation"
        and resource["code"]["coding"][0]["code"] == "4548-4"
    ]


def test_a_trend_shows() -> None:
    """A patient's values stay closer to each other than those of several patients."""
    firsts, steps = [], []
    for patient in patients(11, 60):
        values = [float(value) for value in hba1c(json.loads(patient.bundle))]
        firsts.append(values[0])
        steps += [abs(later - earlier) for earlier, later in pairwise(values)]
    assert max(steps) <= 0.6 + 1e-9
    assert max(firsts) - min(firsts) > 3


def test_floats_are_refused() -> None:
    """A float has lost what was written already."""
    with pytest.raises(TypeError, match="got float"):
        encode({"value": 5.6})


NAMES = st.text(max_size=80)


@settings(max_examples=25, deadline=None)
@given(SEEDS, NAMES)
def test_a_letter_is_a_pdf_whose_offsets_are_right(seed: int, name: str) -> None:
    """startxref leads to the table, each entry to its object, and Length is that of the stream."""
    file = letter_pdf(seed, name)
    assert file.startswith(b"%PDF-1.7\n")
    tail = re.search(rb"startxref\n(\d+)\n%%EOF\n\Z", file)
    assert tail is not None
    table = re.match(rb"xref\n0 (\d+)\n((?:\d{10} \d{5} [fn] \n)+)trailer\n", file[int(tail[1]) :])
    assert table is not None
    entries = [table[2][at : at + 20] for at in range(0, len(table[2]), 20)]
    assert len(entries) == int(table[1])
    assert entries[0] == b"0000000000 65535 f \n"
    for number, entry in enumerate(entries[1:], start=1):
        assert file[int(entry[:10]) :].startswith(b"%d 0 obj\n" % number)
    assert b"/Size %d " % len(entries) in file
    stream = re.search(rb"/Length (\d+) >>\nstream\n", file)
    assert stream is not None
    assert file[stream.end() + int(stream[1]) :].startswith(b"\nendstream\nendobj\n")


@settings(max_examples=25, deadline=None)
@given(NAMES)
def test_a_letter_shows_the_name_and_stays_well_formed(name: str) -> None:
    """Brackets and backslashes don't end the string, line breaks don't get in."""
    strings = re.findall(rb"^\((.*)\) Tj T\*$", letter_pdf(5, name), flags=re.MULTILINE)
    assert len(strings) == 20
    (line,) = (text for text in strings if text.startswith(b"Patient: "))
    assert re.fullmatch(rb"(?:[^\\()\r\n]|\\[\\()])*", line)
    shown = re.sub(rb"\\(.)", rb"\1", line).decode("cp1252").removeprefix("Patient: ")
    assert len(shown) == min(len(name), 60)
    assert all(char in (wanted, "?") for char, wanted in zip(shown, name, strict=False))


def test_a_letter_keeps_accents() -> None:
    """What Windows-1252 knows is shown as it is, the rest as a question mark."""
    file = letter_pdf(1, "Zoë (O'Brien) \\ Łukasz")
    assert r"(Patient: Zoë \(O'Brien\) \\ ?ukasz)".encode("cp1252") in file


def decode_png(file: bytes) -> tuple[int, int, list[bytes]]:
    """Width, height and rows of an unfiltered 8-bit grayscale PNG."""
    assert file[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, []
    while at < len(file):
        (size,) = struct.unpack_from(">I", file, at)
        kind, body = file[at + 4 : at + 8], file[at + 8 : at + 8 + size]
        (check,) = struct.unpack_from(">I", file, at + 8 + size)
        assert check == zlib.crc32(kind + body)
        chunks.append((kind, body))
        at += 12 + size
    assert [kind for kind, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *form = struct.unpack(">IIBBBBB", chunks[0][1])
    assert form == [8, 0, 0, 0, 0]
    pixels = zlib.decompress(chunks[1][1])
    assert len(pixels) == height * (width + 1)
    rows = [pixels[start : start + width + 1] for start in range(0, len(pixels), width + 1)]
    assert all(row[0] == 0 for row in rows)
    return width, height, [row[1:] for row in rows]


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(1, 70), st.integers(1, 70))
def test_a_scan_is_a_png_of_its_size(seed: int, width: int, height: int) -> None:
    """Any size decodes, checksums included."""
    assert decode_png(scan_png(seed, width, height))[:2] == (width, height)


@pytest.mark.parametrize("seed", range(5))
def test_a_scan_looks_like_a_slice(seed: int) -> None:
    """Dark outside, a bright rim, gray within, and no two rows of noise alike."""
    width, height, rows = decode_png(scan_png(seed))
    assert (width, height) == (128, 128)
    assert max(rows[0] + rows[-1]) < 30
    assert max(rows[64][:30]) > 200
    assert 80 < sorted(rows[92])[64] < 130
    assert len(set(rows)) == height


def test_a_scan_larger_than_one_stored_block_decodes() -> None:
    """Beyond 65,535 bytes the stream has several blocks."""
    assert decode_png(scan_png(1, 300, 500))[:2] == (300, 500)


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (-1, 5)])
def test_a_scan_without_pixels_is_refused(width: int, height: int) -> None:
    """PNG has no empty image."""
    with pytest.raises(ValueError, match="at least 1 x 1"):
        scan_png(1, width, height)
