"""Reading: append `record.opened`, and only then, against its receipt, decrypt."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from crypto.blobs import Sealer, blob_context, open_range, open_stream
from crypto.encoding import b64decode, b64encode
from crypto.errors import CryptoError
from journeys.appending import appended
from journeys.errors import AlreadyUsed, NotThere, RecordsError
from keeper.keeper import Reading, SealedField, Wrapped
from ledger.entry import Entry
from ledger.event import Event
from ledger.facts import Record, Version, sha256_of
from ledger.sequencer import Appended, Proposal
from records.explaining import still_permitted
from storage.ledger import Ledger
from storage.log import CommittedBatch

TOKEN_BYTES = 32
TOKEN_MS = 60_000
"""How long a read token gives ranges of its one reading."""
RECHECK_MS = 60_000
"""How often an open stream is checked again; without a new entry."""
RANGE_BYTES = 8 * 1024 * 1024
"""Most plaintext bytes a range gives at a time."""


@dataclass(frozen=True)
class OpenedRecord:
    """A permitted reading and the content it gave; `content` can be read once."""

    entry: Entry
    media_type: str
    size: int
    """Plaintext bytes."""
    texts: dict[str, str]
    """Title and file name, where the record has them."""
    content: Iterator[bytes]
    """Plaintext; of a reading with `reply`, the ciphertext."""
    share: bytes | None = None
    """Of a reading with `reply`, the data key for that key alone."""
    token: str = ""
    """A read token for ranges; none where the content is opened at the reader's end."""


def find_record(ledger: Ledger, record: str) -> Record:
    """A record's row; raises NotThere."""
    row = ledger.row(Record, record)
    if row is None:
        raise NotThere(f"there is no record {record}")
    return row


def find_records(ledger: Ledger, patient: str) -> list[Record]:
    """A patient's records, in the order of their creation."""
    return ledger.records_of(patient)


def open_record(ledger: Ledger, proposal: Proposal) -> OpenedRecord:
    """Append a signed reading and give the content, in this call alone.

    The entry commits before the first byte leaves. Raises AccessDenied, AlreadyUsed or Refused.
    """
    return disclose(ledger, ledger.submit([proposal]).result())


def disclose(ledger: Ledger, committed: CommittedBatch) -> OpenedRecord:
    """The content of a reading that was just appended; see `open_record`."""
    outcome = fresh(committed)
    entry, body = outcome.entry, outcome.entry.event.body
    record: Record = outcome.shown[0]
    version = record.versions[body["version"] - 1]
    uploaded = ledger.kept_entry(version.seq).event
    keys = ledger.keys.of_version(version.blob, record.record, record.patient)
    shown = evidence(ledger, committed, entry)
    key = ledger.keeper.release(shown, keys.blob, record.record, sha256_of(version))
    texts = _texts(ledger, shown, uploaded, keys.record)
    if "reply" in body:
        sealed = ledger.blobs.read(version.blob)
        return OpenedRecord(entry, version.media_type, version.size, texts, sealed, share=key)
    token = _token(ledger, entry, record, version, key)
    content = open_stream(key, _context(record, version), ledger.blobs.read(version.blob))
    return OpenedRecord(entry, version.media_type, version.size, texts, content, token=token)


def watched(ledger: Ledger, shown: OpenedRecord) -> Iterator[bytes]:
    """The content of a reading that takes long: looked at again every minute, and cut once it isn't
    permitted any more. Raises NotThere."""
    checked = ledger.clock()
    for piece in shown.content:
        if ledger.clock() - checked >= RECHECK_MS:
            if not still_permitted(ledger, shown.entry):
                raise NotThere(f"{shown.entry.event.actor} may not read this any more")
            checked = ledger.clock()
        yield piece


def fresh(committed: CommittedBatch) -> Appended:
    """The reading that this very call appended; raises AccessDenied, AlreadyUsed or Refused."""
    outcome: Appended = appended(committed.outcomes[0])
    if not outcome.fresh:
        raise AlreadyUsed(outcome.entry.link.seq)
    return outcome


def evidence(ledger: Ledger, committed: CommittedBatch, entry: Entry) -> Reading:
    """What the keeper is shown for a reading: its receipt, and that of the key that signed it."""
    return ledger.evidence(committed, entry, ledger.key_entry(entry.sig.key))


@dataclass(frozen=True)
class ReadTicket:
    """What a read token still opens: one version of one record, for one reader."""

    seq: int
    """The entry of the reading."""
    actor: str
    patient: str
    record: str
    blob: str
    media_type: str
    size: int
    """Plaintext bytes."""
    key: bytes


def ticket_of(ledger: Ledger, token: str, record: str) -> ReadTicket:
    """What the token opens; raises NotThere once it has ended, for another record, or once it is not permitted."""
    try:
        secret = b64decode(token, TOKEN_BYTES)
        found = ledger.tokens.get("reading", secret, ledger.clock())
        if found is None:
            raise NotThere("the read token is unknown or has ended: sign a new reading")
        members = orjson.loads(found)
        sealed = b64decode(members.pop("key"))
        key = b"".join(open_stream(_token_key(secret), _TOKEN_CONTEXT, iter([sealed])))
    except CryptoError as error:
        raise NotThere("unknown read token") from error
    ticket = ReadTicket(**members, key=key)
    if ticket.record != record:
        raise NotThere("the read token is for another record")
    if not still_permitted(ledger, ledger.kept_entry(ticket.seq)):
        raise NotThere(f"{ticket.actor} may not read this any more")
    return ticket


def read_range(ledger: Ledger, ticket: ReadTicket, start: int, end: int) -> bytes:
    """Plaintext bytes `start` to `end` (exclusive), at most RANGE_BYTES of them."""
    if not 0 <= start < end <= ticket.size or end - start > RANGE_BYTES:
        raise RecordsError(
            f"got the range {start} to {end}, expected one of at most {RANGE_BYTES} bytes inside "
            f"0 to {ticket.size}"
        )

    def read(offset: int, length: int) -> bytes:
        return b"".join(ledger.blobs.read(ticket.blob, offset, length))

    context = blob_context(ticket.patient, ticket.record, ticket.blob)
    return open_range(ticket.key, context, read, ticket.size, start, end)


_TOKEN_CONTEXT = b"heartwood/read-token/v1"


def _token(ledger: Ledger, entry: Entry, record: Record, version: Version, key: bytes) -> str:
    """A read token; what is kept of it opens nothing without the token itself."""
    secret, now = os.urandom(TOKEN_BYTES), ledger.clock()
    sealer = Sealer(_token_key(secret), _TOKEN_CONTEXT)
    members = {
        "seq": entry.link.seq,
        "actor": entry.event.actor,
        "patient": record.patient,
        "record": record.record,
        "blob": version.blob,
        "media_type": version.media_type,
        "size": version.size,
        "key": b64encode(sealer.update(key) + sealer.finalize()),
    }
    ledger.tokens.put("reading", secret, orjson.dumps(members), now, now + TOKEN_MS)
    return b64encode(secret)


def _token_key(secret: bytes) -> bytes:
    return hashlib.sha256(_TOKEN_CONTEXT + secret).digest()


def _context(record: Record, version: Version) -> bytes:
    return blob_context(record.patient, record.record, version.blob)


def _texts(ledger: Ledger, shown: Reading, uploaded: Event, key: Wrapped) -> dict[str, str]:
    names = [name for name in ("title", "file_name") if name in uploaded.body]
    if not names:
        return {}
    fields = [SealedField(uploaded.stream, uploaded.id, n, uploaded.body[n]) for n in names]
    return dict(zip(names, ledger.keeper.open_fields(shown, key, fields), strict=True))
