"""Import of FHIR R4 bundles: each patient once, one record for each encounter and category."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from identity.actors import Actor, new_id
from ledger.directory import Patient
from records.desk import Near
from records.directory import NewPatient, register_patients
from records.errors import RecordsError
from records.imports.fhir import PatientDraft, RecordDraft, ReferenceIndex, scan_bundle, split
from records.uploads import Upload, upload
from storage.ledger import Ledger

MEDIA_TYPE = "application/fhir+json"
CHUNK_RECORDS = 500
"""Records under one signature."""

Progress = Callable[[str, int, int], None]
"""`progress(step, done, all)`."""


@dataclass
class Summary:
    """What an import found and what it did: found = own + references + unassigned."""

    files: int = 0
    bytes: int = 0
    """Of the sources."""
    patients: int = 0
    known: int = 0
    """Patients that an earlier import brought; they are left as they are."""
    encounters: int = 0
    own: int = 0
    """Resources that went into records as a patient's own."""
    known_resources: int = 0
    """Resources of known patients, not imported again."""
    references: int = 0
    unassigned: int = 0
    """Resources that belong to no patient that could be told; not imported."""
    unresolved: int = 0
    """References that point nowhere; kept as they are."""
    records: Counter[str] = field(default_factory=Counter)
    content: int = 0
    """Plaintext bytes of the records."""
    seconds: float = 0.0

    @property
    def found(self) -> int:
        """All resources of the sources."""
        return self.own + self.known_resources + self.references + self.unassigned


def import_bundles(
    ledger: Ledger,
    actor: Actor,
    paths: Sequence[Path],
    progress: Progress = lambda step, done, size: None,
) -> Summary:
    """Import files and folders of bundles as `actor`, a system of the hospital that had them.

    Two passes: organizations, practitioners and locations may stand in files of their own. Memory is
    bound by the largest file. Raises RecordsError for a file that is no bundle, before anything of that
    file is written.
    """
    began = time.perf_counter()
    files = list(source_files(paths))
    index, summary = ReferenceIndex(), Summary(files=len(files))
    for number, path in enumerate(files):
        progress("looking", number, len(files))
        for resource in scan_bundle(path.read_bytes())[1]:
            index.add(resource)
    charts: dict[str, str] = {}
    for number, path in enumerate(files):
        progress("importing", number, len(files))
        data = path.read_bytes()
        parts = split(scan_bundle(data)[1], index)
        summary.bytes += len(data)
        summary.references += parts.references
        summary.unassigned += len(parts.unassigned)
        for draft in parts.patients:
            _import_patient(ledger, actor, draft, charts, summary)
    progress("importing", len(files), len(files))
    summary.seconds = time.perf_counter() - began
    return summary


def source_files(paths: Sequence[Path]) -> Iterator[Path]:
    """The files named, and every `*.json` below the folders named, in order of their names."""
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*.json") if p.is_file())
        elif path.is_file():
            yield path
        else:
            raise RecordsError(f"there is no file or folder {path}")


def _import_patient(
    ledger: Ledger, actor: Actor, draft: PatientDraft, charts: dict[str, str], summary: Summary
) -> None:
    patient = charts.get(draft.identifier) or _register(ledger, actor, draft)
    if patient is None:
        summary.known += 1
        summary.known_resources += draft.resources
        return
    summary.patients += draft.identifier not in charts
    charts[draft.identifier] = patient
    episodes: dict[str, str] = {}
    for start in range(0, len(draft.records), CHUNK_RECORDS):
        part = draft.records[start : start + CHUNK_RECORDS]
        upload(ledger, actor, [_upload(ledger, patient, one, episodes) for one in part])
    summary.encounters += draft.encounters
    summary.own += draft.resources
    summary.unresolved += draft.unresolved
    for record in draft.records:
        summary.records[record.category] += 1
        summary.content += len(record.content)


def _register(ledger: Ledger, actor: Actor, draft: PatientDraft) -> str | None:
    """The chart of a patient new to the hospital; None if an earlier import registered it.

    The identifier is reserved before the chart is registered, so that two imports at once make one.
    """
    fresh = new_id("pt", ledger.clock())
    patient = ledger.identifiers.reserve(actor.hospital, {draft.identifier: fresh})[
        draft.identifier
    ]
    if ledger.row(Patient, patient) is not None:
        return None
    birth = date.fromisoformat(draft.birth_date) if draft.birth_date else None
    account = new_id("ac", ledger.clock())
    new = NewPatient(patient, account, draft.name, birth, draft.deceased, None)
    register_patients(Near(ledger), actor, [new])
    return patient


def _upload(ledger: Ledger, patient: str, draft: RecordDraft, episodes: dict[str, str]) -> Upload:
    episode = ""
    if draft.encounter is not None:
        episode = episodes.setdefault(draft.encounter, new_id("ep", ledger.clock()))
    return Upload(
        patient,
        draft.category,
        MEDIA_TYPE,
        (draft.content,),
        title=draft.title,
        clinical_date=draft.clinical_date or "",
        episode=episode,
    )
