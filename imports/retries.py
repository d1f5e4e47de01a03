"""Rejects that were mended: lines of a rejects file, imported as what they were in their sources."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from imports.attachments import read_attachment
from imports.drafts import Origin, PatientDraft
from imports.fhir import FhirError, Resource, Unreadable, scan_entries
from imports.fhir.names import Finder
from imports.fhir.read import drafts_of
from imports.hl7 import is_hl7, read_messages
from imports.labels import Labels
from imports.report import FileFindings, Report
from imports.tables import Mapping, read_tables

KEYS = {"file", "position", "reason", "original"}
"""What each line holds; the row of a table also `header`, and a mended file `patient`."""
Drafts = tuple[FileFindings, Iterator[PatientDraft]]


@dataclass(frozen=True)
class Line:
    """One line of a rejects file."""

    number: int
    raw: bytes
    file: Path
    original: str | None
    header: str = ""
    patient: str = ""


@dataclass(frozen=True)
class Mended:
    """Reads rejects files."""

    report: Report
    mapping: Mapping
    labels: Labels
    index: Finder
    origin: Origin

    def read(self, path: Path) -> Iterator[Drafts]:
        """The drafts of each source that lines came from; a line that can't be read is rejected as it is."""
        groups: dict[tuple[str, Path], list[Line]] = {}
        for line in self._lines(path):
            groups.setdefault((_kind(line), line.file), []).append(line)
        for (kind, source), lines in groups.items():
            findings = self.report.of(path, decided=True)
            if kind == "file":
                for line in lines:
                    yield (
                        findings,
                        read_attachment(
                            _beside(path, source), None, line.patient, findings, self.origin
                        ),
                    )
            elif kind == "message":
                for line in lines:
                    yield (
                        findings,
                        read_messages(
                            (line.original or "").encode(), self.labels, findings, self.origin
                        ),
                    )
            elif kind == "row":
                yield from self._rows(source, lines)
            else:
                yield findings, self._resources(lines, findings)

    def _lines(self, path: Path) -> Iterator[Line]:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if not raw.strip():
                    continue
                try:
                    yield _line(number, raw)
                except ValueError as error:
                    findings = self.report.of(path)
                    findings.found()
                    findings.reject(f"line {number}", str(error), raw)

    def _resources(self, lines: list[Line], findings: FileFindings) -> Iterator[PatientDraft]:
        entries: list[Resource | Unreadable] = []
        for line in lines:
            try:
                found = scan_entries(_entry(line.original or ""))[1]
            except FhirError as error:
                found = [Unreadable("", str(error), (line.original or "").encode())]
            place = f"line {line.number}"
            entries += [replace(one, position=f"{place} {one.position}".strip()) for one in found]
        findings.found(len(entries))
        yield from drafts_of(entries, self.index, self.labels.of, findings, self.origin)

    def _rows(self, source: Path, lines: list[Line]) -> Iterator[Drafts]:
        """Rows as the table they came from, in a folder that goes when they are done."""
        table = self.mapping.table_of(source.name)
        header = lines[0].header
        findings = self.report.of(source, header.encode(), decided=True)
        for line in lines:
            if table is None or line.original is None:
                findings.found()
                reason = (
                    f"the mapping has no table {source.name}"
                    if table is None
                    else "the row is not here"
                )
                findings.reject(f"line {line.number}", reason, (line.original or "").encode())
        lines = [line for line in lines if line.original is not None]
        if table is None or not lines:
            return
        with TemporaryDirectory() as folder:
            path = Path(folder) / source.name
            rows = [
                header.rstrip("\r\n"),
                *((line.original or "").rstrip("\r\n") for line in lines),
            ]
            path.write_text("\n".join(rows) + "\n", "utf-8", newline="")
            utf8 = replace(table, encoding="utf-8")
            yield findings, read_tables({path: utf8}, self.labels, lambda _: findings, self.origin)


def _line(number: int, raw: bytes) -> Line:
    members: Any = json.loads(raw)
    if not isinstance(members, dict) or not members.keys() >= KEYS:
        raise ValueError(f"got a line without {', '.join(sorted(KEYS))}")
    texts = {k: members.get(k, "") for k in ("file", "header", "patient")}
    original = members["original"]
    if not all(isinstance(t, str) for t in texts.values()) or not isinstance(original, str | None):
        raise ValueError("got something other than text in file, header, patient or original")
    # A name of a file may hold what UTF-8 has no bytes for (see `Report.write`), but no NUL.
    for text in (original or "", texts["header"], texts["patient"]):
        text.encode()
    if "\0" in texts["file"]:
        raise ValueError(f"got the file {texts['file'][:80]!r}, expected a name without NUL")
    return Line(number, raw, Path(texts["file"]), original, texts["header"], texts["patient"])


def _kind(line: Line) -> str:
    if line.header:
        return "row"
    if line.original is None:
        return "file"
    return "message" if is_hl7(line.original.encode()) else "resource"


def _beside(rejects: Path, source: Path) -> Path:
    """The file that a line names: as written, or beside the rejects file."""
    return source if source.is_absolute() or source.exists() else rejects.parent / source


def _entry(original: str) -> bytes:
    """An entry of a bundle, or a resource, as a bundle of one."""
    try:
        members = json.loads(original)
    except ValueError:
        members = None
    whole = isinstance(members, dict) and "resource" in members and "resourceType" not in members
    if not whole:
        return original.encode()
    return b'{"resourceType":"Bundle","type":"collection","entry":[%b]}' % original.encode()
