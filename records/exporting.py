"""A patient takes all of it away: `chart.exported` names count and root of the list, then the content comes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from consent.decide import is_against
from crypto.blobs import HEADER_BYTES, blob_context
from crypto.encoding import b64encode
from journeys.errors import NotThere, RecordsError
from keeper.protocol import ListedBlob
from ledger.directory import Patient
from ledger.entry import Entry
from ledger.exports import export_line, export_root
from ledger.facts import Hold, Record, Version, sha256_of, version_of
from ledger.sequencer import Proposal
from records.contents import opened_blob
from records.opening import (
    Permission,
    SettledReading,
    find_record,
    settle,
    while_permitted,
)
from storage.blobs.files import BlobStore
from storage.evidence import ask_keeper, of_reading
from storage.keytable import with_keys
from storage.ledger import Ledger
from storage.reader import LogReader
from storage.stores import first_good

EXPORT_RECORDS = 100_000
"""Most versions in one export."""


@dataclass(frozen=True)
class ExportedRecord:
    """One version of one record in an export, and its content as pieces of bytes, which can be read once."""

    record: Record
    version: Version
    content: Iterator[bytes]
    opening: "Callable[[], Opening] | None" = None
    """Gives what proves the content, which is read only then; None where a server doesn't tell it."""


@dataclass(frozen=True)
class Opening:
    """What makes a content's ciphertext again, whose hash its entry names: the proof that it is the one."""

    key: bytes
    """The data key, 32 bytes."""
    header: bytes
    """The ciphertext's first HEADER_BYTES."""


def listed(records: Sequence[Record]) -> list[tuple[str, int]]:
    """The latest version of each record, as an export lists them."""
    return [(record.record, len(record.versions)) for record in records]


def commitment(records: Sequence[Record], wanted: Sequence[tuple[str, int]]) -> tuple[int, bytes]:
    """Count and root of an export's list, for its event."""
    by_id = {record.record: record for record in records}
    lines = [
        export_line(record, version, by_id[record].versions[version - 1].blob)
        for record, version in wanted
    ]
    return len(lines), export_root(lines)


def check_list(
    ledger: LogReader, proposal: Proposal, wanted: Sequence[tuple[str, int]]
) -> list[tuple[Record, Version]]:
    """What an export lists, before it is appended: this patient's, there, and as its event commits to.

    Raises NotThere or RecordsError; then nothing was appended.
    """
    event = proposal.event
    if event.type.name != "chart.exported":
        raise RecordsError(f"got {event.type.name}, expected chart.exported")
    if len(wanted) > EXPORT_RECORDS:
        raise RecordsError(f"got {len(wanted)} records, expected at most {EXPORT_RECORDS}")
    if len(set(wanted)) != len(wanted):
        raise RecordsError("the list names the same version twice")
    asker = (event.actor, event.role, event.value.get("on_behalf_of", ""))
    patient = ledger.row(Patient, event.subject)
    held = {
        hold.record
        for hold in ledger.rows(Hold, "patient", event.subject)
        if is_against(hold, *asker, patient) and hold.stands(ledger.clock())
    }
    out = []
    for name, number in wanted:
        record = find_record(ledger, name)
        version = version_of(record, number)
        if record.patient != event.subject or version is None or record.state == "shredded":
            raise NotThere(f"{event.subject} has no version {number} of {name}")
        if name in held:
            raise NotThere(f"{name} is held back for a while by the hospital that wrote it")
        out.append((record, version))
    root = export_root([export_line(r.record, v.version, v.blob) for r, v in out])
    if (len(out), b64encode(root)) != (event.body["count"], event.body["root"]):
        raise RecordsError("the event names another count or root than those of the list")
    return out


def open_export(
    ledger: Ledger, proposal: Proposal, wanted: Sequence[tuple[str, int]]
) -> tuple[Entry, list[ExportedRecord]]:
    """Append a signed `chart.exported`; gives the content of all that it lists, in this call alone."""
    found = check_list(ledger, proposal, wanted)
    reading = settle(ledger, proposal)
    return reading.entry, give_export(ledger, reading, found)


def give_export(
    ledger: Ledger, reading: SettledReading, found: Sequence[tuple[Record, Version]]
) -> list[ExportedRecord]:
    """The content of all that a settled export lists; see `open_export`."""
    evidence = of_reading(ledger, reading.committed, reading.entry)

    def listed() -> list[ListedBlob]:
        return [
            ListedBlob(r.record, v.version, sha256_of(v), ledger.keys.blob_key(v.blob).key)
            for r, v in found
        ]

    released = with_keys(
        listed,
        lambda asked: ask_keeper(
            ledger, evidence, lambda shown: ledger.keeper.release_export(shown, asked)
        ),
    )
    return [
        ExportedRecord(
            record,
            version,
            while_permitted(
                Permission(ledger, reading.entry, record.record),
                _content(ledger.blobs, record, version, key),
            ),
            partial(_opening, ledger.blobs, version.blob, key),
        )
        for (record, version), key in zip(found, released, strict=True)
    ]


def _opening(blobs: BlobStore, blob: str, key: bytes) -> Opening:
    header = first_good(blobs, lambda store: b"".join(store.read(blob, 0, HEADER_BYTES)))
    return Opening(key, header)


def _content(blobs: BlobStore, record: Record, version: Version, key: bytes) -> Iterator[bytes]:
    """Opened when it is read, so that an export of many keeps few files open."""
    context = blob_context(record.patient, record.record, version.blob)
    yield from opened_blob(blobs, version.blob, key, context)
