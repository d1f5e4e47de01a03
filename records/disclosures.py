"""Reading: append `record.opened`, and only then, against its receipt, decrypt."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from consent.facts import Record, sha256_of, version_of
from crypto.blobs import blob_context, open_stream
from identity.actors import Actor
from ledger.directory import Key
from ledger.entry import Entry
from ledger.event import Event
from ledger.sequencer import Proposal
from records.appending import appended, propose
from records.errors import AlreadyUsed, NotThere
from records.reserving import object_key
from storage.keeper import Reading, SealedField, Wrapped
from storage.ledger import Ledger


@dataclass(frozen=True)
class Disclosure:
    """A permitted reading and the content it gave; `content` can be read once."""

    entry: Entry
    media_type: str
    size: int
    """Plaintext bytes."""
    texts: dict[str, str]
    """Title and file name, where the record has them."""
    content: Iterator[bytes]


def find_record(ledger: Ledger, record: str) -> Record:
    """A record's row; raises NotThere."""
    row = ledger.row(Record, record)
    if row is None:
        raise NotThere(f"there is no record {record}")
    return row


def find_records(ledger: Ledger, patient: str) -> list[Record]:
    """A patient's records, in the order of their creation."""
    head = ledger.head()
    entries = ledger.stream(f"patient/{patient}", head.size)
    created = [e.event.body["record"] for e in entries if e.event.type.name == "record.uploaded"]
    return [find_record(ledger, record) for record in created]


def reading(
    ledger: Ledger, actor: Actor, record: Record, purpose: str, version: int | None = None
) -> Proposal:
    """A signed `record.opened` of a version (by default the latest)."""
    wanted = version_of(record, version or len(record.versions))
    if wanted is None:
        raise NotThere(f"{record.record} has versions 1 to {len(record.versions)}, not {version}")
    body: dict[str, Any] = {
        "blob": wanted.blob,
        "purpose": purpose,
        "record": record.record,
        "version": wanted.version,
    }
    event = actor.event("record.opened", f"patient/{record.patient}", body, ledger.clock())
    return propose(ledger, actor, [event])[0]


def open_record(ledger: Ledger, proposal: Proposal) -> Disclosure:
    """Append a signed reading and give the content, in this call alone.

    The entry commits before the first byte leaves. Raises AccessDenied, AlreadyUsed or Refused.
    """
    outcome = appended(ledger.append([proposal])[0])
    entry = outcome.entry
    if not outcome.fresh:
        raise AlreadyUsed(entry.link.seq)
    body = entry.event.body
    record = find_record(ledger, body["record"])
    version = version_of(record, body["version"])
    row = ledger.keys.blob_key(body["blob"])
    shown = evidence(ledger, entry)
    if version is None:
        raise NotThere(f"{record.record} has no version {body['version']}")
    wrapped = Wrapped(row.patient, row.blob, row.version, row.wrapped)
    key = ledger.keeper.release(shown, wrapped, record.record, sha256_of(version))
    context = blob_context(record.patient, record.record, row.blob)
    content = open_stream(key, context, ledger.blobs.read(row.blob))
    texts = _texts(ledger, shown, ledger.entry(version.seq).event)
    return Disclosure(entry, version.media_type, version.size, texts, content)


def evidence(ledger: Ledger, entry: Entry) -> Reading:
    """What the keeper is shown for a reading: its receipt, and that of the key that signed it."""
    key = ledger.row(Key, entry.sig.key)
    if key is None:
        raise NotThere(f"the key {entry.sig.key} is not in the log")
    return ledger.reading(entry.link.seq, key.seq)


def _texts(ledger: Ledger, shown: Reading, uploaded: Event) -> dict[str, str]:
    names = [name for name in ("title", "file_name") if name in uploaded.body]
    if not names:
        return {}
    key = object_key(ledger, uploaded.subject, uploaded.body["record"])
    fields = [SealedField(uploaded.stream, uploaded.id, n, uploaded.body[n]) for n in names]
    return dict(zip(names, ledger.keeper.open_fields(shown, key, fields), strict=True))
