"""The manifest of a folder of attachments: a table that says of each file whose it is and what."""

import csv
import io
from dataclasses import dataclass, field, replace
from pathlib import Path

from imports.cleaning import Corrected, Doubt, Undecodable, clean_date, decode
from imports.drafts import Findings
from imports.rows import Row, fields, rows
from ledger.codes import CATEGORIES

COLUMNS = ("file", "patient", "category", "clinical_date", "title")


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """What a manifest says of one file."""

    patient: str
    """As `names_of` takes it; may be empty."""
    category: str
    """One of the registry's; empty for the one that the file itself suggests."""
    clinical_date: str | None
    """`YYYY-MM-DD`."""
    title: str
    """May be empty."""
    problem: str = ""
    """Why the file is to be set aside whatever else names a patient; empty when it is not."""
    file: str = ""
    """As the manifest names it."""

    @property
    def name(self) -> str:
        """By which the file is known again: other content under the same name is a new version."""
        return "\t".join((self.file, self.category, self.clinical_date or "", self.title))


def is_manifest(head: bytes) -> bool:
    """Whether a file that begins with `head` has the header of a manifest, in UTF-8 or by its mark."""
    try:
        text, _ = decode(head[: head.find(b"\n") + 1] or head)
        return _is_header(fields(text.strip(), ","))
    except (Undecodable, csv.Error):
        return False


def read_manifest(path: Path, findings: Findings) -> dict[Path, ManifestRow]:
    """What the manifest at `path` says, by the files' resolved paths.

    The manifest itself is one unit, a reference. A row that leads to no file is a unit set aside. A row
    that is wrong for another reason stays with its file, which is the unit and is set aside with the reason.
    """
    findings.found()
    try:
        text, rule = decode(path.read_bytes())
    except (OSError, Undecodable) as error:
        findings.reject("", f"the manifest cannot be read: {error}", None)
        return {}
    findings.reference()
    if rule:
        findings.correct("", "encoding", path.name, rule)
    reader = _Manifest(path.parent.resolve(), findings)
    for number, row in enumerate(rows(io.BytesIO(text.encode("utf-8", "replace")), ",")):
        if number:
            reader.read(row)
    return reader.files


@dataclass
class _Manifest:
    folder: Path
    findings: Findings
    files: dict[Path, ManifestRow] = field(default_factory=dict)
    seen: set[bytes] = field(default_factory=set)

    def read(self, row: Row) -> None:
        """Enter one row, or set it aside."""
        position = f"line {row.line}"
        if row.raw.strip() in self.seen:
            self.findings.found()
            self.findings.duplicate(position, row.raw.decode().strip()[:200])
            return
        self.seen.add(row.raw.strip())
        try:
            if row.problem:
                raise ValueError(row.problem)
            values = fields(row.raw.decode(), ",")
            if len(values) != len(COLUMNS):
                raise ValueError(f"got {len(values)} fields, expected {','.join(COLUMNS)}")
            path = self._path(values[0].strip())
        except (ValueError, OSError, RuntimeError, csv.Error) as error:
            self.findings.found()
            self.findings.reject(position, str(error), row.raw or None)
            return
        self._enter(path, values, position, row.raw)

    def _enter(self, path: Path, values: list[str], position: str, raw: bytes) -> None:
        if path in self.files:
            # Which of the two is meant nobody knows: the file is set aside, and the row with it.
            why = f"the manifest names {path.name} twice"
            self.files[path] = replace(self.files[path], problem=why)
            self.findings.found()
            self.findings.reject(position, why, raw)
            return
        _, patient, category, day, title = (value.strip() for value in values)
        problem = ""
        if category and category not in CATEGORIES:
            problem = f"got the category {category[:40]!r}, expected {', '.join(CATEGORIES)}"
        made = clean_date(day)
        if isinstance(made, Corrected):
            self.findings.correct(position, f"clinical_date, {made.rule}", day, made.value)
            day = made.value
        if isinstance(made, Doubt) or (day and len(day) < len("2020-01-31")):
            problem = problem or f"clinical_date: got {day[:40]!r}, expected YYYY-MM-DD"
        row = ManifestRow(patient, category, day[:10] or None, title, problem, values[0].strip())
        self.files[path] = row

    def _path(self, name: str) -> Path:
        """The file of a row; ValueError when it lies outside of the folder, or nowhere."""
        path = (self.folder / name).resolve()
        if not name or not path.is_relative_to(self.folder):
            raise ValueError(
                f"got the file {name[:200]!r}, expected one within the manifest's folder"
            )
        if not path.is_file():
            raise ValueError(f"there is no file {name[:200]!r} in the manifest's folder")
        return path


def _is_header(names: list[str]) -> bool:
    return tuple(name.strip().lower() for name in names) == COLUMNS
