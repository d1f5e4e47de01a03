"""Ranges of a reading's content, by its read token: without another entry, while the reading stays permitted."""

import hashlib
import os
from dataclasses import dataclass

import orjson

from crypto.blobs import Sealer, blob_context, open_range, open_stream
from crypto.encoding import b64decode, b64encode
from crypto.errors import CryptoError
from journeys.errors import NotThere, RecordsError
from ledger.entry import Entry
from ledger.facts import Record, Version
from records.explaining import check_still_permitted
from storage.blobs.files import BlobStore
from storage.reader import LogReader
from storage.stores import first_good
from storage.tokens import TokenStore

TOKEN_BYTES = 32
TOKEN_MS = 60_000
"""How long a read token gives ranges of its one reading."""
RANGE_BYTES = 8 * 1024 * 1024
"""Most plaintext bytes a range gives at a time."""
_TOKEN_CONTEXT = b"heartwood/read-token/v1"


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


def ticket_of(ledger: LogReader, tokens: TokenStore, token: str, record: str) -> ReadTicket:
    """What the token opens; raises NotThere once it has ended, for another record, or once it is not permitted."""
    try:
        secret = b64decode(token, TOKEN_BYTES)
        found = tokens.get("reading", secret, ledger.clock())
        if found is None:
            raise NotThere("the read token is unknown or has expired: sign a new reading")
        members = orjson.loads(found)
        sealed = b64decode(members.pop("key"))
        key = b"".join(open_stream(_token_key(secret), _TOKEN_CONTEXT, iter([sealed])))
    except CryptoError as error:
        raise NotThere("unknown read token") from error
    ticket = ReadTicket(**members, key=key)
    if ticket.record != record:
        raise NotThere("the read token is for another record")
    check_still_permitted(ledger, ledger.kept_entry(ticket.seq))
    return ticket


def read_range(blobs: BlobStore, ticket: ReadTicket, start: int, end: int) -> bytes:
    """Plaintext bytes `start` to `end` (exclusive), at most RANGE_BYTES of them."""
    if not 0 <= start < end <= ticket.size or end - start > RANGE_BYTES:
        raise RecordsError(
            f"got the range {start} to {end}, expected one of at most {RANGE_BYTES} bytes inside "
            f"0 to {ticket.size}"
        )

    context = blob_context(ticket.patient, ticket.record, ticket.blob)

    def opened(store: BlobStore) -> bytes:
        def read(offset: int, length: int) -> bytes:
            return b"".join(store.read(ticket.blob, offset, length))

        return open_range(ticket.key, context, read, ticket.size, start, end)

    return first_good(blobs, opened)


def read_token(
    tokens: TokenStore, now: int, entry: Entry, record: Record, version: Version, key: bytes
) -> str:
    """A read token for the reading `entry`; what is kept of it opens nothing without the token itself."""
    secret = os.urandom(TOKEN_BYTES)
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
    tokens.put("reading", secret, orjson.dumps(members), now, now + TOKEN_MS)
    return b64encode(secret)


def _token_key(secret: bytes) -> bytes:
    return hashlib.sha256(_TOKEN_CONTEXT + secret).digest()
