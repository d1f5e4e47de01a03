"""An import from beginning to end: which files, in which order, whose, and what became of each unit."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from client.local import LocalClient
from client.registering import today_at
from identity.actors import Actor
from imports.attachments import ManifestRow, read_attachment, read_manifest
from imports.cleaning import Undecodable, decode
from imports.drafts import Origin, PatientDraft, RecordDraft
from imports.fhir.read import read_bundle, reference_resources
from imports.hl7 import read_messages
from imports.labels import Labels
from imports.letters import Letters
from imports.matching import Charts, Unclear
from imports.references import SpooledIndex
from imports.report import FileFindings, Report, report
from imports.retries import Mended
from imports.segments import mapped
from imports.sources import Sources, find_sources
from imports.tables import Mapping, Table, read_tables
from imports.walking import Aside
from imports.writer import REFUSED, Filing, Where
from journeys.errors import RecordsError
from people.placeholders import Placeholders
from storage.ledger import Ledger

Progress = Callable[[str, int, int], None]
"""`progress(step, done, all)`, in files."""
HEADER_BYTES = 65_536
"""Longest first line of a table that goes with its rejected rows."""
NOT_GIVEN = "a manifest names it, and it is not among what is imported: name its folder"


@dataclass(frozen=True)
class Options:
    """How an import is done."""

    patient: str = ""
    """The patient for attachments that no manifest lists: an identifier of the hospital, or a patient's id."""
    mapping: Mapping | None = None
    """Of tables; None for Synthea's."""
    labels: Labels | None = None
    """None for the table of codes that comes with the program."""
    source: str = ""
    """The system whose own ids (`Patient/4711`, a bare number) these are; they count within it alone."""
    placeholders: Placeholders | None = None
    """Which numbers name nobody; None for the list that comes with the program."""
    accept: bool = False
    """Go on where a folder cannot be entered; it is then a reject."""
    dry: bool = False
    """Say what would happen and write nothing to the ledger."""
    claim_codes: Path | None = None
    """A folder for letters with claim codes, one for each patient who is registered and old enough; None: nobody gets one."""
    report: Path | None = None
    """A folder for the lists of what was rejected and corrected; None keeps no lists."""


def import_paths(
    ledger: Ledger,
    actor: Actor,
    paths: Sequence[Path],
    options: Options = Options(),
    progress: Progress = lambda step, done, size: None,
) -> Report:
    """Import files and folders as `actor`, a system of the hospital whose data they are.

    Every unit found ends in a record, is a reference, or is rejected with the reason. An import that was
    interrupted goes on by being run again; a second one adds nothing. Memory is bound by the largest bundle.
    Raises RecordsError for a path that isn't there, or while another import of this hospital runs.
    """
    with (
        ledger.identifiers.imported.alone(actor.hospital) as alone,
        report(options.report) as book,
    ):
        if not alone:
            raise RecordsError(f"another import of {actor.hospital} is running; wait until it ends")
        began = time.perf_counter()
        with closing(SpooledIndex()) as index:
            _Import(ledger, actor, options, book, index, progress).run(paths)
        book.summary.seconds = time.perf_counter() - began
        book.summary.check()
        return book


class _Import:
    def __init__(
        self,
        ledger: Ledger,
        actor: Actor,
        options: Options,
        book: Report,
        index: SpooledIndex,
        progress: Progress,
    ) -> None:
        self._options = options
        self._book = book
        self._progress = progress
        self._mapping = options.mapping or Mapping.default()
        self._labels = options.labels or Labels.default()
        self._origin = Origin(
            options.source,
            options.placeholders or Placeholders.default(),
            today_at(LocalClient(ledger), actor),
        )
        folder = None if options.dry else options.claim_codes
        self._letters = None if folder is None else Letters(ledger, folder)
        self._charts = Charts(ledger, actor, options.dry, self._letters)
        self._filing = Filing(ledger, actor, options.dry)
        self._index = index
        self._files = self._done = 0

    def run(self, paths: Sequence[Path]) -> None:
        """Import what lies at the paths; those who register patients come before those who only name them."""
        sources = find_sources(paths, self._mapping)
        self._aside(sources.aside)
        rows = self._manifests(sources)
        self._files = len(sources.all())
        self._book.summary.files = self._files + len(sources.aside)
        self._book.summary.bytes = sum(map(_size, sources.all()))
        late = self._look(sources.bundles)
        for path in sources.bundles:
            if path not in late:
                self._bundle(path)
        self._tables(sources)
        for path in sources.messages:
            self._messages(path)
        for path in sorted(late):
            self._bundle(path)
        for path in sources.attachments:
            findings, named = self._book.of(path), self._options.patient
            self._file(
                path, read_attachment(path, rows.get(path.resolve()), named, findings, self._origin)
            )
        mended = Mended(self._book, self._mapping, self._labels, self._index, self._origin)
        for path in sources.rejects:
            for findings, drafts in mended.read(path):
                self._take(partial(_constant, findings), drafts)
            self._step("importing")
        self._book.summary.unlettered = self._letters.young if self._letters else 0

    def _aside(self, aside: Sequence[Aside]) -> None:
        """Tell what is not read: each name is a unit. RecordsError for a folder that cannot be entered."""
        closed = [one for one in aside if one.closed]
        if closed and not self._options.accept:
            raise RecordsError(
                f"{closed[0].path}: {closed[0].reason}, so what is in it is not known; nothing was imported. "
                "Let this account read it, or accept that it is left out (--accept-rejects)"
            )
        for one in aside:
            findings = self._book.of(one.path)
            findings.found()
            if one.reason:
                findings.reject("", one.reason, None)
            else:
                findings.reference()

    def _manifests(self, sources: Sources) -> dict[Path, ManifestRow]:
        """The files that manifests name; what they name is an attachment, whatever it looks like."""
        rows: dict[Path, ManifestRow] = {}
        for path in sources.manifests:
            rows |= read_manifest(path, self._book.of(path))
            self._done += 1
        sources.attach(rows)  # a row whose file is missing was rejected, and has none
        given = {path.resolve() for path in sources.all()}
        given |= {one.path.resolve() for one in sources.aside}
        for path in sorted(rows.keys() - given):
            findings = self._book.of(path)
            findings.found()
            findings.reject("", NOT_GIVEN, None)
        return rows

    def _look(self, bundles: Sequence[Path]) -> set[Path]:
        """Enter the reference resources of all bundles; gives the bundles that register nobody."""
        late = set()
        for number, path in enumerate(bundles):
            self._progress("looking", number, len(bundles))
            found, registers = reference_resources(self._bytes(path) or b"")
            for resource in found:
                self._index.add(resource)
            if not registers:
                late.add(path)
        return late

    def _bundle(self, path: Path) -> None:
        findings = self._book.of(path)
        data = self._bytes(path, findings)
        if data is None:
            self._step("importing")
        else:
            self._file(
                path, read_bundle(data, self._index, self._labels.of, findings, self._origin)
            )

    def _messages(self, path: Path) -> None:
        findings = self._book.of(path)
        with ExitStack() as stack:
            try:
                data = stack.enter_context(mapped(path))
            except OSError as error:
                _unread(findings, error)
                self._step("importing")
            else:
                self._file(path, read_messages(data, self._labels, findings, self._origin))

    def _bytes(self, path: Path, findings: FileFindings | None = None) -> bytes | None:
        """The content of a file; None for one that cannot be read any more, which is told to `findings`."""
        try:
            return path.read_bytes()
        except OSError as error:
            if findings:
                _unread(findings, error)
            return None

    def _tables(self, sources: Sources) -> None:
        """All tables at once: the drafts come patient by patient, and each record tells its table."""
        findings = {
            path: self._book.of(path, _header(path, table))
            for path, table in sources.tables.items()
        }

        def where(record: RecordDraft) -> FileFindings:
            return findings[record.source or next(iter(findings))]

        self._take(
            where, read_tables(sources.tables, self._labels, findings.__getitem__, self._origin)
        )
        for _ in sources.tables:
            self._step("importing")

    def _file(self, path: Path, drafts: Iterable[PatientDraft]) -> None:
        findings = self._book.of(path)
        self._take(partial(_constant, findings), drafts)
        self._step("importing")

    def _take(self, where: Where, drafts: Iterable[PatientDraft]) -> None:
        summary = self._book.summary
        for draft in drafts:
            try:
                patient, fresh = self._charts.chart(draft)
            except (Unclear, *REFUSED) as error:
                for record in draft.records:
                    for unit in record.units:
                        where(record).reject(unit.position, str(error), unit.raw or None)
                continue
            if fresh:
                _tell_doubts(draft, where)
            summary.patients += fresh
            summary.patients_known += not fresh
            summary.encounters += draft.encounters
            summary.unresolved += draft.unresolved
            self._filing.file(patient, fresh, draft, where)

    def _step(self, step: str) -> None:
        self._done += 1
        self._progress(step, self._done, self._files)


def _tell_doubts(draft: PatientDraft, where: Where) -> None:
    """Tell what of the birth and death of somebody who is registered was not read as it stands."""
    person, record = draft.person, draft.records[0]
    if person is None:
        return
    position = record.units[0].position
    if person.birth_doubt:
        born = person.birth_date or "today"
        rule = f"; registered with the rights of somebody born {born}, until `heartwood patient correct`"
        where(record).doubt(position, person.birth_doubt + rule, person.written[0])
    if person.death_doubt:
        where(record).doubt(
            position, person.death_doubt + "; registered as living", person.written[1]
        )


def _constant(findings: FileFindings, record: RecordDraft) -> FileFindings:
    return findings


def _unread(findings: FileFindings, error: OSError) -> None:
    findings.found()
    findings.reject("", f"it cannot be read: {error.strerror}", None)


def _size(path: Path) -> int:
    """Bytes; none of a file that went since it was found, which is told when it is read."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _header(path: Path, table: Table) -> bytes:
    """The first line of a table in UTF-8; empty when it can't be read, and then so is no row."""
    with path.open("rb") as file:
        line = file.readline(HEADER_BYTES)
    try:
        return decode(line, table.encoding)[0].encode()
    except Undecodable:
        return b""
