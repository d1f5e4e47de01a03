"""A synthetic discharge letter as a one-page PDF 1.7 (ISO 32000-1)."""

from __future__ import annotations

import random

from records.synthetic.terms import ADULT_PROBLEMS, DOCTORS, HOSPITALS

HEADER = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"  # the second line says: binary (7.5.2)
A4_POINTS = (595, 842)
MARGIN_POINTS = 72
SIZE_POINTS = 11
LEADING_POINTS = 16
NAME_MOST_CHARACTERS = 60  # what fits the line


def letter_pdf(seed: int, name: str) -> bytes:
    """A letter about the patient of this name, its text uncompressed.

    The font knows Windows-1252 only: other characters of the name become question marks.
    """
    rng = random.Random(f"heartwood/letter/{seed}")
    content = _content(_lines(rng, name))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 5 0 R" % A4_POINTS
        + b" /Resources << /Font << /F1 4 0 R >> >> >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Title (Discharge letter) /Producer (Heartwood synthetic records) >>",
    ]
    return _file(objects, file_id=rng.randbytes(16).hex().encode())


def _lines(rng: random.Random, name: str) -> list[str]:
    given, family = rng.choice(DOCTORS)
    problem, other = rng.sample(ADULT_PROBLEMS, 2)
    year = rng.randint(2020, 2025)
    begins, nights = rng.randint(1, 20), rng.randint(1, 8)
    month = rng.randint(1, 12)
    return [
        rng.choice(HOSPITALS),
        "",
        "Discharge letter",
        "",
        f"Patient: {name[:NAME_MOST_CHARACTERS]}",
        f"Admitted: {year}-{month:02d}-{begins:02d}",
        f"Discharged: {year}-{month:02d}-{begins + nights:02d}",
        "",
        "Dear colleague,",
        "",
        "thank you for referring this patient, whom we treated as an inpatient.",
        f"Diagnosis: {problem.condition[1]} (SNOMED CT {problem.condition[0]}).",
        f"Secondary diagnosis: {other.condition[1]}.",
        f"Procedure: {problem.procedure[1]}.",
        f"Medication: {problem.drug[1]}, {problem.dose};",
        f"{other.drug[1]}, {other.dose}.",
        "",
        f"We ask you to see the patient again in {rng.randint(1, 6)} weeks.",
        "",
        f"Dr. {given} {family}",
    ]


def _content(lines: list[str]) -> bytes:
    """The page's text, from the top margin down (9.4)."""
    top = A4_POINTS[1] - MARGIN_POINTS
    begin = f"BT /F1 {SIZE_POINTS} Tf {LEADING_POINTS} TL {MARGIN_POINTS} {top} Td".encode()
    return b"\n".join([begin, *(_string(line) + b" Tj T*" for line in lines), b"ET"])


def _string(text: str) -> bytes:
    """A literal string (7.3.4.2); what isn't printable becomes a question mark."""
    printable = "".join(char if char.isprintable() else "?" for char in text)
    raw = printable.encode("cp1252", "replace")
    for special in (b"\\", b"(", b")"):
        raw = raw.replace(special, b"\\" + special)
    return b"(" + raw + b")"


def _file(objects: list[bytes], file_id: bytes) -> bytes:
    """Header, objects from number 1 on, cross-reference table and trailer (7.5)."""
    file = bytearray(HEADER)
    entries = [b"0000000000 65535 f \n"]
    for number, body in enumerate(objects, start=1):
        entries.append(b"%010d 00000 n \n" % len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(file)
    file += b"xref\n0 %d\n" % len(entries) + b"".join(entries)
    file += b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R" % (len(entries), len(objects))
    file += b" /ID [<%s> <%s>] >>\nstartxref\n%d\n%%%%EOF\n" % (file_id, file_id, start)
    return bytes(file)
