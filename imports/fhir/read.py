"""One file of FHIR from bytes to drafts: decoded, scanned, cleansed, taken apart."""

from collections.abc import Iterable, Iterator

from imports.cleaning import Undecodable, decode
from imports.contents import HEAD_BYTES, nested_patients
from imports.drafts import Findings, Listed, Origin, PatientDraft
from imports.errors import FhirError
from imports.fhir.clean import clean
from imports.fhir.names import REFERENCE_TYPES, Finder
from imports.fhir.scan import Resource, Unreadable, scan_entries
from imports.fhir.split import Labelled, split


def read_bundle(
    data: bytes,
    index: Finder,
    labels: Labelled,
    findings: Findings,
    origin: Origin | None = None,
) -> Iterator[PatientDraft]:
    """The drafts of a file: a bundle, or one resource. A file that is neither is one unit, rejected.

    `index` has the reference resources of all files; see `split`.
    """
    try:
        entries = _entries(data, findings)
    except (FhirError, Undecodable) as error:
        findings.found()
        findings.reject("", _why(data[:HEAD_BYTES], str(error)), data)
        return
    findings.found(len(entries))
    yield from drafts_of(entries, index, labels, findings, origin)


def drafts_of(
    entries: Iterable[Resource | Unreadable],
    index: Finder,
    labels: Labelled,
    findings: Findings,
    origin: Origin | None = None,
) -> Iterator[PatientDraft]:
    """The drafts of what was scanned; what cannot be read is rejected."""
    resources = []
    for entry in entries:
        if isinstance(entry, Unreadable):
            findings.reject(entry.position, entry.reason, entry.raw)
        else:
            resources.append(clean(entry, findings))
    yield from split(resources, index, findings, labels, origin)


def reference_resources(data: bytes) -> tuple[list[Resource], bool]:
    """The reference resources of a file, and whether it has a Patient; none of a file that can't be read."""
    try:
        entries = _entries(data, Listed())
    except (FhirError, Undecodable):
        return [], False
    resources = [entry for entry in entries if isinstance(entry, Resource)]
    found = [clean(one, Listed()) for one in resources if one.type in REFERENCE_TYPES]
    return found, any(one.type == "Patient" for one in resources)


def _entries(data: bytes, findings: Findings) -> list[Resource | Unreadable]:
    text, rule = decode(data)
    if rule is not None:
        findings.correct("", f"encoding: {rule}", "", "UTF-8")
        data = text.encode("utf-8")
    return scan_entries(data)[1]


def _why(head: bytes, error: str) -> str:
    """Why a file is not read: it may be FHIR in another form than that of JSON."""
    found = nested_patients(head)
    return found if found.startswith("NDJSON") else error
