"""Attachments: any bytes are a draft or set aside; nobody's file lands in the chart of another."""

import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from imports.attachments import ManifestRow, is_manifest, read_attachment, read_manifest
from imports.drafts import Listed, PatientDraft
from imports.media import HEAD_BYTES, sniff
from journeys.errors import RecordsError
from ledger.codes import CATEGORIES
from ledger.schema import MEDIA_TYPE

UUID = "af1667b5-ef55-4313-8e39-04c2ba4e4c1b"
HEADER = b"file,patient,category,clinical_date,title\n"
BEGINNINGS = (
    b"",
    b"%PDF-1.7",
    b"\xff\xd8\xff",
    b"<?xml ",
    b"\x08\x00\x05\x00CS\x02\x00",
    bytes(128) + b"DICM",
)


def read(
    path: Path, row: ManifestRow | None = None, patient: str = ""
) -> tuple[list[PatientDraft], Listed]:
    findings = Listed()
    drafts = list(read_attachment(path, row, patient, findings))
    units = sum(len(record.units) for draft in drafts for record in draft.records)
    assert findings.units == units + len(findings.rejected) == 1
    return drafts, findings


def dicom(path: Path, syntax: UID = ExplicitVRLittleEndian, **values: str) -> Path:
    made = pydicom.Dataset()
    for keyword, value in (
        {"SOPClassUID": CTImageStorage, "SOPInstanceUID": "1.2.3.4"} | values
    ).items():
        setattr(made, keyword, value)
    made.PixelData = bytes(2 << 20)
    made["PixelData"].VR = "OW"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.save_as(path, enforce_file_format=True)
    return path


@settings(deadline=None)
@given(
    st.sampled_from(BEGINNINGS),
    st.binary(max_size=300),
    st.text(max_size=20),
    st.sampled_from(["", UUID, "4711"]),
)
def test_any_bytes_are_one_draft_or_set_aside(
    first: bytes, rest: bytes, title: str, patient: str
) -> None:
    data = first + rest
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scan.bin")
        path.write_bytes(data)
        drafts, _ = read(path, ManifestRow(patient, "", None, title), "")
        for draft in drafts:
            (record,) = draft.records
            assert b"".join(record.compose(record.units)) == data
            assert b"".join(record.compose(())) == b""
            assert record.units[0].sha256 == sha256(data).digest()
            assert record.category in CATEGORIES
            assert len(record.title.encode()) <= 200
            assert draft.names or draft.numbers


@given(st.binary() | st.text().map(str.encode), st.text())
def test_any_file_has_a_media_type_of_the_registry(head: bytes, name: str) -> None:
    MEDIA_TYPE.check()(sniff(head, name), "media_type")


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (b"%PDF-1.4", "x", "application/pdf"),
        (b"\xff\xd8\xff\xe0", "x.pdf", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "", "image/png"),
        (b"II*\x00", "", "image/tiff"),
        (b"MM\x00*", "", "image/tiff"),
        (b"GIF89a", "", "image/gif"),
        (b"II*\x00" + bytes(124) + b"DICM", "dual.tif", "application/dicom"),
        (b"\x08\x00\x05\x00CS\x02\x00AB\x08\x00\x16\x00", "", "application/dicom"),
        (b"\x08\x00\x05\x00\x02\x00\x00\x00AB\x08\x00\x16\x00", "", "application/dicom"),
        (b"\x08\x00\x16\x00CS\x02\x00AB\x08\x00\x05\x00", "", "application/octet-stream"),
        (b"{\\rtf1", "x.doc", "application/rtf"),
        (b"  <!DOCTYPE html>", "x", "text/html"),
        (b"<?xml version='1.0'?><a/>", "cda", "application/xml"),
        (b"\xef\xbb\xbfGr\xc3\xbc\xc3", "x.txt", "text/plain"),
        ("Grüße".encode("utf-16"), "x", "text/plain"),
        (b"Gr\xfc\xdfe", "x.txt", "application/octet-stream"),
        (b"a;b\n", "x.CSV", "text/csv"),
        (b"\x00\x01\x02", "x.pdf", "application/octet-stream"),
        (b"PK\x03\x04", "x.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ],
)  # fmt: skip
def test_kinds_one_by_one(head: bytes, name: str, kind: str) -> None:
    assert sniff(head[:HEAD_BYTES], name) == kind


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("preamble", [True, False])
def test_dicom_says_whose_it_is(tmp_path: Path, syntax: UID, preamble: bool) -> None:
    values = {
        "PatientID": "PAT-17",
        "IssuerOfPatientID": "Ward",
        "StudyDate": "",
        "SeriesDate": "20200102",
        "Modality": "CT",
        "StudyDescription": "Abdomen",
    }
    path = dicom(tmp_path / "x.bin", syntax, **values)
    if not preamble:
        meta_bytes = pydicom.filereader.read_file_meta_info(path).FileMetaInformationGroupLength
        path.write_bytes(path.read_bytes()[132 + 12 + meta_bytes :])
    drafts, _ = read(path)
    (record,) = drafts[0].records
    assert (drafts[0].names, drafts[0].numbers, drafts[0].also) == (
        ("Ward|PAT-17",),
        ("#MR|PAT-17",),
        (),
    )
    assert (record.category, record.media_type) == ("imaging", "application/dicom")
    assert (record.title, record.clinical_date) == ("CT, Abdomen", "2020-01-02")
    assert record.units[0].name == "1.2.3.4"
    assert sum(map(len, record.compose(record.units))) == path.stat().st_size


def test_who_dicom_names_can_be_compared_with_the_manifest(tmp_path: Path) -> None:
    path = dicom(tmp_path / "x.dcm", PatientID="PAT-17")
    row = ManifestRow(UUID, "document", "2019-01-01", "Mine")
    drafts, _ = read(path, row)
    assert (drafts[0].names, drafts[0].also) == ((f"Patient/{UUID}",), ("#MR|PAT-17",))
    assert drafts[0].records[0].category == "document"
    assert read(path, None, "PAT-17")[0][0].also == ()
    assert read(path, None, "PAT-18")[0][0].also == ("#MR|PAT-17",)


NOBODY = ("?", "anon", "Dummy", "N/A", "no id", "PATIENT ID", "unk", "4.71171E+11", "########")


@pytest.mark.parametrize("number", [*NOBODY, "", "0", "00000", "XXXX", "ANONYMOUS"])
def test_what_stands_for_no_number_names_nobody(tmp_path: Path, number: str) -> None:
    path = dicom(tmp_path / "x.dcm", PatientID=number)
    drafts, findings = read(path)
    assert not drafts and "nothing says whose it is" in findings.rejected[0][1]
    assert read(path, None, UUID)[0][0].also == ()


def test_dicom_that_cannot_be_read_is_set_aside(tmp_path: Path) -> None:
    broken = tmp_path / "x.dcm"
    broken.write_bytes(bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00")
    assert "cannot be read" in read(broken, None, UUID)[1].rejected[0][1]
    squeezed = dicom(tmp_path / "y.dcm", DeflatedExplicitVRLittleEndian, PatientID="PAT-17")
    assert "compressed as a whole" in read(squeezed, None, UUID)[1].rejected[0][1]


def test_a_file_that_nobody_can_have_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(b"Dear Sir")
    assert "nothing says whose" in read(path)[1].rejected[0][1]
    assert "cannot be read" in read(tmp_path / "gone", None, UUID)[1].rejected[0][1]
    row = ManifestRow("4711", "", None, "")
    assert (
        "the manifest gives it to '4711', and the caller to '12'"
        in read(path, row, "12")[1].rejected[0][1]
    )
    assert read(path, row, "4711")[0][0].numbers == ("#MR|4711",)
    path.write_bytes(b"")
    assert read(path, row)[1].rejected[0][1] == "the file is empty"


def test_a_file_that_changes_meanwhile_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(b"Dear Sir")
    ((draft,), _) = read(path, None, UUID)
    path.write_bytes(b"Dear Madam")
    with pytest.raises(RecordsError, match="changed while it was imported"):
        list(draft.records[0].compose(draft.records[0].units))


def test_a_manifest_says_whose_the_files_are(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.pdf", "deep/b.pdf", "c.pdf", "d.pdf", "e.pdf", "twice.pdf"):
        (folder / name).write_bytes(b"%PDF-" + name.encode())
    (tmp_path / "outside.pdf").write_bytes(b"%PDF-")
    (folder / "link.pdf").symlink_to(tmp_path / "outside.pdf")
    manifest = folder / "any name.csv"
    manifest.write_bytes(
        b"\xef\xbb\xbf"
        + HEADER.upper()
        + f'a.pdf,{UUID},imaging,2019-03-04,"Letter, long"\r\n'
        f"deep/b.pdf,4711,,04.03.2019,\n"
        f"../outside.pdf,{UUID},,,\nlink.pdf,{UUID},,,\n{tmp_path}/outside.pdf,{UUID},,,\n"
        f"gone.pdf,{UUID},,,\nc.pdf,{UUID},invoice,,\nd.pdf,{UUID},,2019-02-30,\ne.pdf,{UUID},,2019,\n"
        f"twice.pdf,4711,,,\ntwice.pdf,4712,,,\na.pdf,{UUID}\n"
        f'deep/b.pdf,4711,,04.03.2019,\n"open,{UUID}\n'.encode()
    )
    assert is_manifest(manifest.read_bytes()[:HEAD_BYTES])
    findings = Listed()
    found = {path.name: row for path, row in read_manifest(manifest, findings).items()}
    assert found["a.pdf"] == ManifestRow(
        UUID, "imaging", "2019-03-04", "Letter, long", file="a.pdf"
    )
    assert found["b.pdf"] == ManifestRow("4711", "", "2019-03-04", "", file="deep/b.pdf")
    reasons = {position: reason for position, reason, _ in findings.rejected}
    assert "expected one within the manifest's folder" in reasons["line 4"]
    assert "expected one within the manifest's folder" in reasons["line 5"]
    assert "expected one within the manifest's folder" in reasons["line 6"]
    assert "there is no file 'gone.pdf'" in reasons["line 7"]
    assert "names twice.pdf twice" in reasons["line 12"]
    assert "got 2 fields" in reasons["line 13"]
    assert "quote that is not closed" in reasons["line 15"]
    assert [position for position, _ in findings.duplicates] == ["line 14"]
    assert findings.units == 1 + len(findings.rejected) + 1 and findings.references == 1
    for name, reason in (
        ("c.pdf", "got the category 'invoice', expected billing"),
        ("d.pdf", "clinical_date: got '2019-02-30'"),
        ("e.pdf", "clinical_date: got '2019'"),
        ("twice.pdf", "names twice.pdf twice"),
    ):
        assert reason in read(folder / name, found[name], UUID)[1].rejected[0][1]
    assert (
        "line 3",
        "clinical_date, date written DD.MM.YYYY",
        "04.03.2019",
        "2019-03-04",
    ) in findings.corrections


@settings(deadline=None)
@given(st.binary() | st.text('a.pdf,"\n\r\x00 ', max_size=60).map(str.encode))
def test_any_manifest_is_read(rest: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.pdf").write_bytes(b"%PDF-")
        path = Path(folder, "manifest.csv")
        path.write_bytes(HEADER + rest)
        findings = Listed()
        found = read_manifest(path, findings)
        assert set(found) <= {Path(folder, "a.pdf").resolve(), path.resolve()}
        assert findings.units == findings.references + len(findings.duplicates) + len(
            findings.rejected
        )


@given(st.binary())
def test_any_head_is_a_manifest_or_not(head: bytes) -> None:
    assert is_manifest(HEADER + head)
    assert not is_manifest(b"x" + HEADER + head)


def test_the_page_says_where_the_placeholders_are() -> None:
    page = Path("docs/import.md").read_text("utf-8")
    assert "imports/placeholders.txt" in page and "--placeholders FILE" in page


# --- texts and days of DICOM ---------------------------------------------------------------------


def element(group: int, number: int, kind: bytes, value: bytes) -> bytes:
    """One element, explicit and little endian; the value to an even length."""
    value += (b"\0" if kind == b"UI" else b" ") * (len(value) % 2)
    head = group.to_bytes(2, "little") + number.to_bytes(2, "little") + kind
    return head + len(value).to_bytes(2, "little") + value


def raw_dicom(path: Path, text: bytes, charset: bytes = b"", day: bytes = b"20240131") -> Path:
    """A file whose study is called `text`, whatever character set it declares."""
    meta = element(2, 0x10, b"UI", ExplicitVRLittleEndian.encode())
    body = element(8, 5, b"CS", charset) if charset else b""
    body += element(8, 0x18, b"UI", b"1.2.3.4") + element(8, 0x20, b"DA", day)
    body += element(8, 0x60, b"CS", b"CT") + element(8, 0x1030, b"LO", text)
    body += element(0x10, 0x20, b"LO", b"4711")
    path.write_bytes(bytes(128) + b"DICM" + meta + body)
    return path


@pytest.mark.parametrize(
    ("text", "charset", "title", "told"),
    [
        (b"Thorax", b"", "Thorax", ""),
        ("Hüfte".encode(), b"ISO_IR 192", "Hüfte", ""),
        ("Hüfte".encode("latin-1"), b"ISO_IR 100", "Hüfte", ""),
        ("Hüfte".encode(), b"", "Hüfte", "declares no character set, read as utf-8"),
        ("Hüfte".encode("latin-1"), b"", "Hüfte", "declares no character set, read as windows-1252"),
        ("Hüfte".encode("latin-1"), b"ISO_IR 6", "Hüfte", "declares no character set, read as windows-1252"),
        (b"H\x81fte", b"", "", "declares no character set, left out"),
        ("Hüfte".encode(), b"ISO_IR 100", "HÃ¼fte", "declares ISO_IR 100, and may be UTF-8"),
        ("Hüfte".encode("latin-1"), b"ISO_IR 192", "H\ufffdfte", "declares ISO_IR 192, and is not all of it"),
        ("Hüfte".encode("latin-1"), b"ISO_IR 999", "Hüfte", "declares ISO_IR 999, which is not known"),
    ],
)  # fmt: skip
def test_a_text_is_read_as_declared_or_its_guess_is_told(
    tmp_path: Path, text: bytes, charset: bytes, title: str, told: str
) -> None:
    (draft,), findings = read(raw_dicom(tmp_path / "x", text, charset))
    assert draft.records[0].title == ", ".join(filter(None, ["CT", title]))
    whats = [what for _, what, _, _ in findings.corrections]
    assert [told in what for what in whats] == ([True] if told else [])
    assert all(what.startswith("StudyDescription: ") for what in whats)


@pytest.mark.parametrize("day", [b"20241331", b"2024", b"31/01", b"20230229"])
def test_a_day_that_cannot_be_is_told(tmp_path: Path, day: bytes) -> None:
    (draft,), findings = read(raw_dicom(tmp_path / "x", b"Thorax", day=day))
    assert draft.records[0].clinical_date is None
    ((_, what, before, after),) = findings.corrections
    assert what.startswith("StudyDate: got") and (before, after) == (day.decode(), "")


@pytest.mark.parametrize(("code", "restricted"), [("R", True), ("N", False), ("x", True)])
def test_what_dicom_marks_as_confidential(tmp_path: Path, code: str, restricted: bool) -> None:
    path = dicom(tmp_path / "x", PatientID="4711", ConfidentialityCode=code)
    (draft,), findings = read(path)
    assert draft.records[0].units[0].restricted == restricted
    assert len(findings.corrections) == (code == "x")


MEASURE = """
import resource, sys
from pathlib import Path
from imports.dicom import BrokenDicom, read_dicom
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
read_dicom(Path(sys.argv[1]))
before = peak()
try:
    read_dicom(Path(sys.argv[2]))
except BrokenDicom as error:
    print(error)
print(peak() - before)
"""


def test_memory_does_not_grow_with_sequences(tmp_path: Path) -> None:
    """Each item of a sequence makes objects of some fifty times its length."""
    small = raw_dicom(tmp_path / "small", b"Thorax")
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + element(8, 0x100, b"SH", b"x")
    item += b"\xfe\xff\x0d\xe0\0\0\0\0"
    sequence = b"\x08\0\x10\x11SQ\0\0\xff\xff\xff\xff" + item * 400_000
    end = b"\xfe\xff\xdd\xe0\0\0\0\0" + element(0x10, 0x20, b"LO", b"4711")
    whole = small.read_bytes().removesuffix(element(0x10, 0x20, b"LO", b"4711"))
    (tmp_path / "long").write_bytes(whole + sequence + end)
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, small, tmp_path / "long"],
        capture_output=True,
        text=True,
        check=True,
    )
    said, grown = ran.stdout.splitlines()
    assert "more than 2097152 bytes to read before the patient's data" in said
    assert int(grown) < 200 << 20
