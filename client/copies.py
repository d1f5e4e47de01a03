"""The copy to keep: a patient's whole chart as one ZIP that opens without us, and can be checked without us."""

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import IO, Any

import orjson

from client import readings
from client.port import LedgerClient
from consent.rules import named
from crypto.encoding import b64encode
from crypto.notes import VerifierKey
from identity.actors import Actor
from journeys.errors import RecordsError
from ledger.copies import (
    FILES,
    HISTORY_FILE,
    OPENINGS_FILE,
    PIECE_BYTES,
    CopyReport,
    missing_of,
    uploads_of,
)
from ledger.histories import HistoryProof, history_text
from records.exporting import ExportedRecord
from records.history import Act, History

FHIR_BYTES = 16 * 1024 * 1024
"""Longest FHIR resource that stands in the bundle itself; a longer one stands there as a reference to its file."""
ENDINGS = {
    "application/dicom": ".dcm", "application/fhir+json": ".json", "application/json": ".json", "application/pdf": ".pdf",
    "image/jpeg": ".jpg", "image/png": ".png", "text/csv": ".csv", "text/html": ".html.txt", "text/plain": ".txt",
}  # fmt: skip
"""The endings of files, by media type; of others `.bin`. A page opens as text: it would run what its author wrote, with the copy's reader."""
FHIR_DEPTH = 64
"""Deepest nesting of a FHIR resource that stands in the bundle itself, so that any program can read the bundle."""
COLUMNS = (
    "entry", "time", "event", "who", "role", "hospital", "purpose", "decision", "rule", "reason", "record",
    "on_behalf_of",
)  # fmt: skip
"""Of the history as a table."""


def write_copy(
    client: LedgerClient, actor: Actor, patient: str, keys: Sequence[VerifierKey], out: IO[bytes]
) -> CopyReport:
    """Sign `chart.exported` and `history.opened`, and write the ZIP; gives what is in it, what proves it, and what is missing.

    Raises RecordsError where a server doesn't tell what proves a content.
    """
    _, taken = readings.export(client, actor, patient, "PATRQT")
    if any(one.opening is None for one in taken):
        raise RecordsError("the server is older than this program: its export can't be proved")
    found = readings.history(client, actor, patient, "PATRQT")
    proof = readings.prove(client, actor, found, keys)
    blobs = {
        (body["record"], body["version"]): body["blob"]
        for body in (entry.event.body for entry in proof.entries)
        if {"blob", "record", "sha256", "version"} <= body.keys()
    }
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        bundle = [_file(archive, one) for one in taken]
        openings = [_opening(one, blobs) for one in taken]
        archive.writestr(OPENINGS_FILE, json.dumps(openings, indent=1))
        archive.writestr(HISTORY_FILE, history_text(found.entries, proof.receipt.text()))
        archive.writestr("proof/log.vkey", "".join(f"{key}\n" for key in keys))
        archive.writestr("chart.json", _bundle(bundle))
        archive.writestr("history.csv", history_csv(found))
        archive.writestr("history.pdf", history_pdf(found, patient))
        archive.writestr("README.html", _readme(patient, len(taken), proof))
    given = {(one.record.record, one.version.version) for one in taken}
    return CopyReport(proof, len(taken), missing_of(uploads_of(proof.entries), given))


def _name(one: ExportedRecord) -> str:
    ending = ENDINGS.get(one.version.media_type, ".bin")
    return f"{FILES}{one.record.record}-{one.version.version}{ending}"


def _file(archive: zipfile.ZipFile, one: ExportedRecord) -> str:
    """Write a content; gives its entry in the bundle: the resource itself, or a reference to the file."""
    keep = one.version.media_type == "application/fhir+json" and one.version.size <= FHIR_BYTES
    held = io.BytesIO()
    with archive.open(_name(one), "w", force_zip64=one.version.size > PIECE_BYTES) as file:
        for piece in one.content:
            file.write(piece)
            if keep:
                held.write(piece)
    return _resource(held.getvalue()) or _reference(one)


def _resource(content: bytes) -> str:
    """A FHIR resource as it was written, digit for digit; empty for what is none."""
    try:
        value = orjson.loads(content)  # as RFC 8259 has it: no NaN, no half of a surrogate pair
    except ValueError:
        return ""
    good = isinstance(value, dict) and isinstance(value.get("resourceType"), str)
    return content.decode() if good and not _too_deep(value) else ""


def _too_deep(value: Any) -> bool:
    """Whether lists and objects lie in each other more than FHIR_DEPTH deep."""
    level = [value]
    for _ in range(FHIR_DEPTH + 1):
        held = [
            one.values() if isinstance(one, dict) else one
            for one in level
            if isinstance(one, dict | list)
        ]
        if not held:
            return False
        level = [inner for each in held for inner in each]
    return True


def _reference(one: ExportedRecord) -> str:
    """A FHIR R4 DocumentReference to a file of the copy."""
    attachment: dict[str, Any] = {
        "contentType": one.version.media_type, "size": one.version.size, "url": _name(one),
    }  # fmt: skip
    document: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "status": "current",
        "identifier": [{"value": one.record.record}],
        "category": [{"text": one.record.category}],
        "content": [{"attachment": attachment}],
    }
    return json.dumps(document, ensure_ascii=False)


def _bundle(resources: Sequence[str]) -> str:
    entries = ",\n".join(f'{{"resource":{text}}}' for text in resources)
    return f'{{"resourceType":"Bundle","type":"collection","entry":[\n{entries}\n]}}\n'


def _opening(one: ExportedRecord, blobs: Mapping[tuple[str, int], str]) -> dict[str, Any]:
    assert one.opening is not None  # looked at before
    blob = blobs.get((one.record.record, one.version.version))
    if blob is None:
        raise RecordsError(
            f"the server gave version {one.version.version} of {one.record.record}, which the history doesn't name"
        )
    found = one.opening()
    return {
        "blob": blob, "file": _name(one), "header": b64encode(found.header), "key": b64encode(found.key),
        "record": one.record.record, "version": one.version.version,
    }  # fmt: skip


def history_csv(found: History) -> str:
    """The history as a table: UTF-8 with a mark, as spreadsheets want it. No cell is a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for act in found.acts():
        writer.writerow([_cell(value) for value in _row(act, found.names)])
    return "\ufeff" + out.getvalue()


def _cell(value: object) -> str:
    text = str(value)
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text


def _row(act: Act, names: dict[str, str]) -> tuple[object, ...]:
    return (
        act.seq, act.time, act.type, names.get(act.actor, act.actor), act.role, names.get(act.hospital, act.hospital),
        act.purpose, act.effect, named(act.rule), act.reason, act.record,
        names.get(act.on_behalf_of, act.on_behalf_of),
    )  # fmt: skip


def history_pdf(found: History, patient: str) -> bytes:
    """The history as a PDF to print (A4, across)."""
    from fpdf import FPDF  # here, as no other command needs it

    page = FPDF(orientation="landscape", format="A4")
    page.set_title("Heartwood")
    page.set_auto_page_break(True, 12)
    page.add_page()
    page.set_font("Helvetica", "B", 13)
    page.multi_cell(0, 7, f"Who did what on the chart {patient}", new_x="LMARGIN", new_y="NEXT")
    page.set_font("Helvetica", "", 8)
    for act in found.acts():
        seq, time, kind, who, role, hospital, purpose, effect, rule, reason, record, behalf = map(
            str, _row(act, found.names)
        )
        decided = " ".join(
            part for part in ("REFUSED" if effect == "deny" else effect, rule, reason) if part
        )
        place = f" at {hospital}" if hospital else ""
        place += f" for {behalf}" if behalf else ""
        words = [
            f"{seq}  {time[:19].replace('T', ' ')}",
            kind,
            f"{role} {who}{place}",
            decided,
            purpose,
            record,
        ]
        line = " · ".join(part for part in words if part)
        page.multi_cell(0, 4.5, _printed(line), new_x="LMARGIN", new_y="NEXT")
    return bytes(page.output())


def _printed(text: str) -> str:
    """What the PDF's own letters can show; others as a question mark. The table has all."""
    return text.encode("latin-1", "replace").decode("latin-1")


def _readme(patient: str, files: int, proof: HistoryProof) -> str:
    return _README.format(
        patient=escape(patient), files=files, line=escape(proof.line), receipt=proof.receipt.index
    )


_README = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>A copy of your chart</title></head><body>
<h1>A copy of your chart</h1>
<p>This is the chart {patient}: {files} files below <code>files/</code>, each as it was uploaded. <code>chart.json</code> holds them as
one FHIR R4 bundle, <code>history.csv</code> and <code>history.pdf</code> say who did what.</p>
<p>The history is {line}.</p>
<h2>How to check it</h2>
<p>Get the log's keys from somebody else than whoever gave you this copy: from the letter, the auditor, or an older copy. The file
<code>proof/log.vkey</code> is only what this copy says they are. Then, with the program or its three folders
<code>crypto</code>, <code>ledger</code> and <code>consent</code>, Python, PyNaCl and cryptography, and without any server:</p>
<pre>heartwood check COPY.zip --vkey log.vkey
python -P -m ledger check-bundle COPY.zip --vkey log.vkey</pre>
<p>It checks that no entry is missing from your history up to entry {receipt}, and that every file is the one that its entry names. A
program of your own can do the same: docs/formats.md, "The copy to keep".</p>
<h2>Keep it safe</h2>
<p>Whoever has this file can read your chart: nothing in it is encrypted. What is erased later stays in it.</p>
</body></html>
"""


def copy_file(path: Path) -> str:
    """The name that a copy must have; raises RecordsError for another."""
    if path.suffix.lower() != ".zip":
        raise RecordsError(f"got {path.name}, expected a name that ends with .zip")
    return path.name
