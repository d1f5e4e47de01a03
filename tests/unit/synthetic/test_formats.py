"""The formats of made-up records: the same bytes for a seed, and each as its own reader expects it."""

import hashlib
import json
import re
import struct
import zlib
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic import letter_pdf, patient, patients, region, scan_png
from synthetic.bundle import decimal
from synthetic.png import PARTS

SEEDS = st.integers(-(2**63), 2**63)
ID = bytes(range(16))

# Made once and never again: another machine, Python or zlib must give the same.
GOLDEN = {
    "patients": "707adb44b3e3293a37106288307488da83e4fd4f1ce52e740a353264bf2113be",
    "region": "ca8de58ecf2ac28170befaea6f118eb98578a8c751686de00d2992697d78aaca",
    "letter": "3340164455a4d3fe68fd7986f622c8e39e19fc6175b01c49a769d9e8df96c6ab",
    "scan": "97f72a7bc974cddbd1826975ba93691f7489ef8565493b01aaa8ff79215a6bfa",
}


def digest(*parts: bytes) -> str:
    """SHA-256 over the parts, in hexadecimal."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_the_bytes_are_those_of_every_machine() -> None:
    """Nothing but the seed has a say."""
    assert {
        "patients": digest(*(patient.bundle for patient in patients(7, 30))),
        "region": digest(*(bundle.encode() for bundle in region(7).values())),
        "letter": digest(letter_pdf("A letter", ["Zoë Müller", "Łukasz"], ID)),
        "scan": digest(scan_png(7)),
    } == GOLDEN


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.integers(0, 10**9))
def test_a_patient_depends_on_seed_and_place_alone(seed: int, place: int) -> None:
    assert list(patients(seed, 2)) == list(islice(patients(seed, 1000), 2))
    assert patient(seed, place) == patient(seed, place)
    assert scan_png(seed, 9, 9) == scan_png(seed, 9, 9)


def test_other_seeds_give_others() -> None:
    """Also the negative of a seed, which `random` takes for the same."""
    seeds = (-1, 0, 1, 2)
    assert len({patient(seed, 0).bundle for seed in seeds}) == len(seeds)
    assert len({scan_png(seed, 9, 9) for seed in seeds}) == len(seeds)


def test_more_years_are_more_of_a_record() -> None:
    assert len(patient(3, 0, years=1).bundle) < len(patient(3, 0, years=30).bundle)


@pytest.mark.parametrize(
    ("digits", "places", "text"),
    [(560, 2, "5.60"), (7, 2, "0.07"), (0, 1, "0.0"), (140, 0, "140"), (-5, 1, "-0.5")],
)
def test_decimals_keep_their_places(digits: int, places: int, text: str) -> None:
    assert decimal(digits, places) == text


def test_decimals_are_not_those_of_a_float() -> None:
    """An HbA1c is written like 5.60, so whoever reads floats writes other bytes."""
    bundle = b"".join(one.bundle for one in patients(1, 60)).decode()
    values = re.findall(r'"code":"4548-4".*?"valueQuantity":\{"value":([^,]+),', bundle)
    assert len(values) > 20 and any(value.endswith("0") for value in values)
    assert all(re.fullmatch(r"\d+\.\d\d", value) for value in values)
    one = patient(1, 0).bundle
    assert json.dumps(json.loads(one), separators=(",", ":"), ensure_ascii=False).encode() != one


NAMES = st.text(max_size=80)


@settings(max_examples=25, deadline=None)
@given(NAMES, st.lists(NAMES, max_size=60))
def test_a_letter_is_a_pdf_whose_offsets_are_right(title: str, lines: list[str]) -> None:
    """startxref leads to the table, each entry to its object, and Length is that of the stream."""
    file = letter_pdf(title, lines, ID)
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
def test_a_letter_shows_its_lines_and_stays_well_formed(name: str) -> None:
    """Brackets and backslashes don't end the string, line breaks don't get in."""
    file = letter_pdf("A letter", ["", "To: " + name], ID)
    strings = re.findall(rb"^\((.*)\) Tj T\*$", file, flags=re.MULTILINE)
    assert len(strings) == 4
    assert re.fullmatch(rb"(?:[^\\()\r\n]|\\[\\()])*", strings[3])
    shown = re.sub(rb"\\(.)", rb"\1", strings[3]).decode("cp1252").removeprefix("To: ")
    assert len(shown) == min(len(name), 74)


def test_a_letter_keeps_accents() -> None:
    """What Windows-1252 knows is shown as it is; other letters lose their marks, the rest show as ?."""
    file = letter_pdf("A letter", ["Zoë (O'Brien) \\ Łukasz Nguyễn Yılmaz 中 \t"], ID)
    assert r"(Zoë \(O'Brien\) \\ Lukasz Nguyen Yilmaz ? ?)".encode("cp1252") in file


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


@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_a_picture_of_its_own(part: str) -> None:
    rows = decode_png(scan_png(3, 64, 64, part))[2]
    assert max(map(max, rows)) > min(map(min, rows)) + 60
    assert {
        other for other in PARTS if scan_png(3, 64, 64, other) == scan_png(3, 64, 64, part)
    } == {part}


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (-1, 5)])
def test_a_scan_without_pixels_is_refused(width: int, height: int) -> None:
    """PNG has no empty image."""
    with pytest.raises(ValueError, match="at least 1 x 1"):
        scan_png(1, width, height)
