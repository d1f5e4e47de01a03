"""What the index of imported units has forgotten, read from the records: an older program kept none.

A ledger upgraded from a schema without the index, or one whose index was lost, would take all that comes
again for new, and double the chart.
"""

from collections.abc import Iterator

from identity.actors import Actor
from imports.carrying import current_content
from imports.drafts import Unit, encounter_name
from imports.fhir import REFERENCE_TYPES, FhirError, Resource, scan_bundle
from imports.fhir.names import own_name
from imports.fhir.split import MEDIA_TYPE, unit_name
from imports.fhir.versions import content_hash, standing
from imports.knowing import Chart, Known
from ledger.facts import Record
from storage.ledger import Ledger
from storage.reader import LogReader
from storage.sql.identifiers import Kept


def remember(ledger: Ledger, known: Known, chart: Chart, actor: Actor) -> dict[bytes, Kept]:
    """Rows for the units of the hospital's FHIR records that no row names; and that these were looked at.

    Each such look is an entry, `record.carried`, by the hospital's system `actor`; in a dry run, too.
    """
    named = {kept.object for kept in chart.kept.values()}
    rows: dict[bytes, Kept] = {}
    for record in chart.records.values():
        mark = known.hash(chart, f"looked at {record.record}")
        if (
            record.record in named
            or mark in chart.kept
            or not _imported(ledger, record, actor.hospital)
        ):
            continue
        for name, kept in _rows(ledger, actor, known, chart, record):
            if name not in chart.kept:
                rows.setdefault(name, kept)
        rows[mark] = Kept(record.record, 0)
    return rows


def _imported(ledger: LogReader, record: Record, hospital: str) -> bool:
    """Whether a system of the hospital wrote the record, as imports do, and it can still be opened."""
    newest = record.versions[-1]
    if (record.hospital, newest.media_type) != (hospital, MEDIA_TYPE) or record.state == "shredded":
        return False
    return ledger.kept_entry(newest.seq).event.role == "hospital_system"


def _rows(
    ledger: Ledger, actor: Actor, known: Known, chart: Chart, record: Record
) -> Iterator[tuple[bytes, Kept]]:
    try:
        resources = scan_bundle(current_content(ledger, actor, record))[1]
    except FhirError:  # a system uploaded something else under this media type
        return
    for resource in resources:
        if resource.type in REFERENCE_TYPES:
            continue
        unit = _unit(resource)
        stood = known.stood(chart, unit, record.record, len(record.versions))
        yield known.hash(chart, unit.name), stood
        if resource.type == "Encounter" and record.episode and (own := own_name(resource)):
            yield known.hash(chart, encounter_name(own)), Kept(record.episode, 0)


def _unit(resource: Resource) -> Unit:
    return Unit(
        unit_name(resource),
        "",
        resource.raw,
        content_hash(resource),
        standing=standing(resource),
    )
