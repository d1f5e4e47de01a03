"""Reading a record, in three steps.

1. `settle`: the reading is appended, decided and durable, under a signed checkpoint.
2. `release`: the keeper gives the key of what the reading names, against the reading's receipt.
3. `stream`: the content is decrypted, piece by piece, while the reading stays permitted.

Lists, histories and exports are settled alike, and released where they show what is sealed: `charts`, `history`,
`exporting`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from crypto.blobs import blob_context, closed_after, sealed_length
from identity.actors import Caller
from journeys.appending import appended, check_reply
from journeys.errors import AlreadyUsed, NotThere
from journeys.unopened import tell_unopened
from keeper.protocol import SealedField, SealedObject, Wrapped
from ledger.entry import Entry
from ledger.facts import Record, Version, sha256_of
from ledger.receipt import Receipt
from ledger.sequencer import Proposal
from records.contents import named_version, opened_blob, sealed_blob
from records.explaining import check_still_permitted
from records.ranges import RANGE_BYTES, ReadTicket, read_range, read_token
from storage.evidence import Proofs, ask_keeper, of_reading
from storage.keytable import VersionKeys, with_keys, with_object_key
from storage.ledger import Ledger
from storage.log import CommittedBatch
from storage.reader import LogReader

RECHECK_MS = 60_000
"""How often an open stream is checked again; without a new entry."""


LINK_SECONDS = 60
"""How long the ciphertext of a reading can be fetched from the blob store itself, as an open stream is checked again
after RECHECK_MS."""


@dataclass(frozen=True)
class Link:
    """Where a reader who opens at the own end gets the ciphertext from, without an entry or a check of its own."""

    url: str
    length: int
    """Ciphertext bytes."""
    sha256: bytes
    """Of the ciphertext."""
    seconds: int = LINK_SECONDS
    """How long the URL gives it."""
    others: tuple[str, ...] = ()
    """Where else it may be, of several stores: for whoever finds that the first one's bytes are not what they should be."""


@dataclass(frozen=True)
class OpenedRecord:
    """A permitted reading and the content it gave; `content` can be read once."""

    entry: Entry
    media_type: str
    size: int
    """Plaintext bytes."""
    texts: dict[str, str]
    """Title and file name, where the record has them and they can be opened."""
    content: Iterator[bytes]
    """Plaintext; of a reading with `reply`, the ciphertext."""
    share: bytes | None = None
    """Of a reading with `reply`, the data key for that key alone."""
    token: str = ""
    """A read token for ranges; none where the content is opened at the reader's end."""
    link: Link | None = None
    """Where the ciphertext is instead of in `content`, if the reader asked for that and the store can."""
    unopened: tuple[str, ...] = ()
    """Which of title and file name it has and can't be opened."""


@dataclass(frozen=True)
class SettledReading:
    """A permitted reading that this very call appended; of one that stood before there is none."""

    entry: Entry
    shown: tuple[Record, ...]
    """The records that it shows, as of its entry."""
    committed: CommittedBatch
    masked: tuple[Record, ...] = ()
    """Those of which it shows that they are there, and no more."""

    @property
    def record(self) -> Record:
        """The record that it opens, if it is the reading of one."""
        return self.shown[0]

    @property
    def version(self) -> Version:
        """The version that it opens."""
        number: int = self.entry.event.body["version"]
        return self.record.versions[number - 1]

    def receipt(self) -> Receipt:
        """Its receipt, under the checkpoint it was committed by."""
        return self.committed.receipt(self.entry)


@dataclass(frozen=True)
class ReleasedRecord:
    """What the keeper gave for a reading."""

    reading: SettledReading
    key: bytes
    """The data key; of a reading with `reply`, its share for that key alone."""
    texts: dict[str, str]
    unopened: tuple[str, ...]
    """The names of those that can't be opened."""

    @property
    def sealed(self) -> bool:
        """Whether the content is opened at the reader's end: what is given is ciphertext and the key's share."""
        return "reply" in self.reading.entry.event.body


def open_record(ledger: Ledger, proposal: Proposal) -> OpenedRecord:
    """Append a signed reading and give the content, in this call alone.

    The entry commits before the first byte leaves. Raises AccessDenied, AlreadyUsed or Refused.
    """
    return give_record(ledger, settle(ledger, proposal))


def give_record(ledger: Ledger, reading: SettledReading, linked: bool = False) -> OpenedRecord:
    """What a settled reading of a record gives; see `open_record`. `linked`: ciphertext as a link, if there is one."""
    released, version = release(ledger, reading), reading.version
    link = _link(ledger, released) if linked else None
    share = released.key if released.sealed else None
    token = ""
    if not released.sealed:
        token = read_token(
            ledger.tokens, ledger.clock(), reading.entry, reading.record, version, released.key
        )
    # Last: from here on a file is open.
    content = iter(()) if link else stream(ledger, released)
    return OpenedRecord(
        reading.entry, version.media_type, version.size, released.texts, content, share, token, link,
        released.unopened,
    )  # fmt: skip


# 1. Settle.


def settle(ledger: Ledger, proposal: Proposal) -> SettledReading:
    """Append a signed reading and wait for it; raises AccessDenied, AlreadyUsed, Refused or CryptoError."""
    check_reply(proposal.event)
    return settled(ledger.submit([proposal]).result())


def settled(committed: CommittedBatch) -> SettledReading:
    """The reading that a call of its own appended; raises AccessDenied, AlreadyUsed or Refused."""
    outcome = appended(committed.outcomes[0])
    if not outcome.fresh:
        raise AlreadyUsed(outcome.entry.link.seq)
    return SettledReading(outcome.entry, outcome.shown, committed, outcome.masked)


def used_before(ledger: LogReader, seq: int) -> AlreadyUsed:
    """What a reading that is entry `seq` already is answered: the receipt, and never its content again."""
    return AlreadyUsed(seq, ledger.receipt(seq)[0].text())


# 2. Release.


def release(ledger: Ledger, reading: SettledReading) -> ReleasedRecord:
    """The keys of the version that a reading names, against its receipt; raises KeeperRefused or NotFound."""
    record, version = reading.record, reading.version
    shown = of_reading(ledger, reading.committed, reading.entry)

    def released(keys: VersionKeys) -> tuple[bytes, Wrapped]:
        sha256 = sha256_of(version)
        key = ask_keeper(
            ledger,
            shown,
            lambda found: ledger.keeper.release(found, keys.blob, record.record, sha256),
        )
        return key, keys.record

    key, texts_key = with_keys(
        lambda: ledger.keys.of_version(version.blob, record.record, record.patient), released
    )
    texts = with_object_key(
        ledger.keys, texts_key, lambda found: _texts(ledger, shown, reading, found)
    )
    unopened = tuple(name for name, text in texts.items() if text is None)
    if unopened:
        tell_unopened([ledger.kept_entry(version.seq).event.id])
    opened = {name: text for name, text in texts.items() if text is not None}
    return ReleasedRecord(reading, key, opened, unopened)


def _texts(
    ledger: Ledger, shown: Proofs, reading: SettledReading, key: Wrapped
) -> dict[str, str | None]:
    """Title and file name, None: it can't be opened; none of what is carried into the next version, which nobody is shown."""
    uploaded = ledger.kept_entry(reading.version.seq).event
    names = [name for name in ("title", "file_name") if name in uploaded.body]
    if not names or reading.entry.event.type.name == "record.carried":
        return {}
    fields = (SealedField(uploaded.stream, uploaded.id, n, uploaded.body[n]) for n in names)
    sealed = [SealedObject(key, tuple(fields))]
    (texts,) = ask_keeper(ledger, shown, lambda found: ledger.keeper.open_fields(found, sealed))
    return dict(zip(names, texts, strict=True))


# 3. Stream.


def stream(ledger: Ledger, released: ReleasedRecord) -> Iterator[bytes]:
    """The content: plaintext or, where it is opened at the reader's end, ciphertext. Raises BlobError.

    The pieces end with NotThere once the reading isn't permitted any more.
    """
    reading = released.reading
    record, blob = reading.record, reading.version.blob
    if released.sealed:
        content = sealed_blob(ledger.blobs, named_version(record, reading.version))
    else:
        context = blob_context(record.patient, record.record, blob)
        content = opened_blob(ledger.blobs, blob, released.key, context)
    return while_permitted(Permission(ledger, reading.entry), content)


def stream_ticket(ledger: Ledger, ticket: ReadTicket) -> Iterator[bytes]:
    """The whole content of a reading by its token, RANGE_BYTES at a time; raises as `stream` and `read_range` do."""
    pieces = (
        read_range(ledger.blobs, ticket, start, min(ticket.size, start + RANGE_BYTES))
        for start in range(0, ticket.size, RANGE_BYTES)
    )
    return while_permitted(Permission(ledger, ledger.kept_entry(ticket.seq)), pieces)


def _link(ledger: Ledger, released: ReleasedRecord) -> Link | None:
    """Of a reading with `reply` alone: whoever gets hold of the link has ciphertext, and no key."""
    if not released.sealed:
        return None
    version = released.reading.version
    length = sealed_length(version.size)
    urls = ledger.blobs.links(version.blob, length, LINK_SECONDS)
    if not urls:
        return None
    return Link(urls[0], length, sha256_of(version), LINK_SECONDS, tuple(urls[1:]))


class Recheck(Protocol):
    """What is looked at again while a stream goes on."""

    def check(self) -> None:
        """Raises NotThere once it isn't permitted any more."""
        ...


class Permission:
    """That of a reading which takes long: it is looked at again every RECHECK_MS, without a new entry."""

    def __init__(self, ledger: LogReader, entry: Entry, record: str = "") -> None:
        """`entry`: the reading, which is permitted now; `record`: of one of many that of which content is given."""
        self._ledger, self._entry, self._record = ledger, entry, record
        self._checked = ledger.clock()

    def check(self) -> None:
        """Look again if it is time to; raises NotThere."""
        if self._ledger.clock() - self._checked >= RECHECK_MS:
            check_still_permitted(self._ledger, self._entry, self._record)
            self._checked = self._ledger.clock()


def while_permitted(permission: Recheck, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces, as long as the permission holds; raises NotThere. However it ends, what the pieces come from is closed."""
    with closed_after(pieces):
        for piece in pieces:
            permission.check()
            yield piece


# What is there to be read.


def find_record(ledger: LogReader, record: str) -> Record:
    """A record's row; raises NotThere."""
    row = ledger.row(Record, record)
    if row is None:
        raise NotThere(f"there is no record {record}")
    return row


@dataclass(frozen=True)
class Address:
    """What a reading must name: whose record it is, and the blob of each version, from 1."""

    patient: str
    blobs: tuple[str, ...]


def address_of(ledger: LogReader, caller: Caller, record: str) -> Address:
    """What a reading of a record must name, and nothing of what it holds; raises NotThere."""
    row = find_record(ledger, record)
    return Address(row.patient, tuple(version.blob for version in row.versions))


def find_records(ledger: LogReader, patient: str) -> list[Record]:
    """A patient's records, in the order of their creation."""
    return ledger.records_of(patient)
