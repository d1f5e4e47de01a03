"""What an import found and what became of it: found = imported + reference + rejected."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from durable.files import DIRECTORY_MODE, PRIVATE_MODE
from journeys.errors import RecordsError

REJECTS = "rejects.jsonl"
CORRECTIONS = "corrections.jsonl"
REVIEW = "review.jsonl"
"""What a person has to decide."""
ORIGINAL_BYTES = 1024 * 1024
"""Longest original that a line of the rejects holds; a longer one is told by its place."""


@dataclass
class Summary:
    """The numbers of one import. Units: resources of bundles, rows of tables, messages, other files."""

    files: int = 0
    bytes: int = 0
    """Of the sources."""
    found: int = 0
    new: int = 0
    amended: int = 0
    """Units that stood otherwise before."""
    known: int = 0
    """Units that an earlier import brought."""
    duplicates: int = 0
    """Units that stood twice in a file, the same in every byte."""
    references: int = 0
    """Units that are no patient's; records carry copies of those that they refer to."""
    rejected: int = 0
    corrections: int = 0
    doubts: int = 0
    """Values left as they are, since they may mean two things or nothing; each is told with the corrections."""
    moved: int = 0
    """Units that an earlier import brought into another patient's chart, where they still stand."""
    unresolved: int = 0
    """References that point nowhere; kept as they are."""
    patients: int = 0
    """Registered by this import."""
    unlettered: int = 0
    """Of them, those who got no claim code though codes were asked for: too young, or of unknown age."""
    patients_known: int = 0
    """Times that a known patient was met."""
    encounters: int = 0
    records: Counter[str] = field(default_factory=Counter)
    """New records by category."""
    amendments: int = 0
    """New versions of records."""
    content: int = 0
    """Plaintext bytes of records and versions."""
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    """Why units were rejected."""

    @property
    def imported(self) -> int:
        """Units that stand in a record."""
        return self.new + self.amended + self.known + self.duplicates

    def check(self) -> None:
        """Raises RecordsError where a unit was lost, which would be a fault of ours."""
        if self.found != self.imported + self.references + self.rejected:
            raise RecordsError(
                f"got {self.found} units and {self.imported} imported, {self.references} reference, "
                f"{self.rejected} rejected: these should add up. Please report this bug; the report lists the files."
            )


class Report:
    """The summary as it grows, and the lists of what was rejected and corrected, in a folder.

    A file of the folder is there only when it has lines; both hold what the source held, in clear.
    """

    def __init__(self, folder: Path | None) -> None:
        """`folder`: None keeps no lists."""
        self.summary = Summary()
        self._folder = folder
        self._files: dict[str, TextIO] = {}

    def of(self, path: Path, header: bytes = b"", *, decided: bool = False) -> "FileFindings":
        """The findings of one file; `header`: the first line of a table, which its rows need."""
        return FileFindings(self, path, header, decided)

    def write(self, name: str, line: Mapping[str, Any]) -> None:
        """Add one line to a list."""
        if self._folder is None:
            return
        file = self._files.get(name)
        if file is None:
            self._folder.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
            path = self._folder / name
            path.touch(PRIVATE_MODE)
            # A name of a file, or a text of a source, may hold what UTF-8 has no bytes for: written as JSON's
            # escape `\\udcfc`, it is read back as the same text.
            file = self._files[name] = path.open("a", encoding="utf-8", errors="backslashreplace")
        file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def path(self, name: str) -> Path | None:
        """Where a list lies; None if it has no line."""
        return self._folder / name if self._folder is not None and name in self._files else None

    def close(self) -> None:
        """Write out what is not written yet."""
        for file in self._files.values():
            file.close()


@contextmanager
def report(folder: Path | None) -> Iterator[Report]:
    """A report that is closed at the end, also of an import that failed."""
    made = Report(folder)
    try:
        yield made
    finally:
        made.close()


@dataclass(frozen=True)
class FileFindings:
    """Findings of one file, told to the report; see `drafts.Findings`."""

    report: Report
    path: Path
    header: bytes = b""
    decided: bool = False
    """Whether a person chose what is in it: a list of rejects, which is imported to have them taken."""

    def found(self, count: int = 1) -> None:
        """See the port."""
        self.report.summary.found += count

    def reference(self, count: int = 1) -> None:
        """See the port."""
        self.report.summary.references += count

    def duplicate(self, position: str, name: str) -> None:
        """See the port; listed with the corrections."""
        self.report.summary.duplicates += 1
        self.correct(position, "stands twice", name, "")
        self.report.summary.corrections -= 1

    def correct(self, position: str, what: str, before: str, after: str) -> None:
        """See the port."""
        self.report.summary.corrections += 1
        line = {"file": str(self.path), "position": position, "what": what, "before": before}
        self.report.write(CORRECTIONS, line | {"after": after})

    def doubt(self, position: str, what: str, value: str) -> None:
        """See the port; listed with the corrections, the same before and after."""
        self.report.summary.doubts += 1
        line = {"file": str(self.path), "position": position, "what": what, "before": value}
        self.report.write(CORRECTIONS, line | {"after": value})

    def moved(self, position: str, record: str, was: str, patient: str) -> None:
        """A unit that stands in a record of the patient `was` too: a person decides which is right."""
        self.report.summary.moved += 1
        line = {"file": str(self.path), "position": position, "what": "was of another patient"}
        self.report.write(REVIEW, line | {"patient": patient, "was": was, "record": record})

    def reject(self, position: str, reason: str, original: bytes | None) -> None:
        """See the port. The original is text where it is UTF-8, so that it can be mended in an editor."""
        self.report.summary.rejected += 1
        self.report.summary.reasons[_kind(reason)] += 1
        line: dict[str, Any] = {"file": str(self.path), "position": position, "reason": reason}
        if self.header:
            line["header"] = self.header.decode("utf-8", "replace")
        self.report.write(REJECTS, line | {"original": _text(original)})


def _text(original: bytes | None) -> str | None:
    if original is None or len(original) > ORIGINAL_BYTES:
        return None
    return original.decode("utf-8", "backslashreplace")


def _kind(reason: str) -> str:
    """A reason without what is special in each case: numbers, quoted texts and ids."""
    words = [
        "…" if any(c.isdigit() for c in word) or "'" in word else word for word in reason.split()
    ]
    return " ".join(words)
