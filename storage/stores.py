"""A ledger's data without its secrets: what caring for it needs, and nothing that opens a record."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from crypto.blobs import closed_after
from crypto.errors import CryptoError
from crypto.notes import VerifierKey
from ledger.entry import Entry
from storage.blobs.files import BlobStore
from storage.errors import BadBlob, BlobError, BlobExists, BlobsUnavailable
from storage.keytable import KeyTable, NamedBlob
from storage.sql.database import Database
from storage.sql.entries import EntryStore

Got = TypeVar("Got")


@dataclass(frozen=True)
class Stores:
    """The log, the key table and the blobs."""

    database: Database
    store: EntryStore
    keys: KeyTable
    blobs: BlobStore
    vkeys: Sequence[VerifierKey]
    """The log's verifier keys."""


def read_apart(store: EntryStore, start: int, end: int) -> list[bytes]:
    """Entries `start` to `end`, exclusive, in a transaction of their own: a long one would hold up others."""
    with store.database.read() as connection:
        return store.range(connection, start, end)


def restorations(store: EntryStore, below: int, since: int = 0) -> list[Entry]:
    """Every `ledger.restored` with a number from `since` on and below `below`, in order."""
    with store.database.read() as connection:
        raws = store.stream(connection, "ledger", below, since)
    found = (Entry.stored(raw) for raw in raws if b'"type":"ledger.restored"' in raw)
    return [entry for entry in found if entry.event.type.name == "ledger.restored"]


def first_good(blobs: BlobStore, act: Callable[[BlobStore], Got]) -> Got:
    """What `act` gives with the first of a store's members that has what is right; it raises where one hasn't.

    Raises BlobsUnavailable if a member that doesn't answer may be the one that has it, else what the first one raised.
    """
    members, failed = blobs.members(), list[Exception]()
    for member in members:
        try:
            return act(member.store)
        except BlobExists:
            raise
        except (BlobError, BlobsUnavailable, CryptoError, OSError) as error:
            if len(members) == 1:
                raise
            blobs.doubt(member)
            failed.append(error)
    raise next((error for error in failed if isinstance(error, BlobsUnavailable)), failed[0])


def bring(source: BlobStore, target: BlobStore, named: NamedBlob) -> bool:
    """Let every member of `target` have a blob as its entry says; gives whether it was copied to any.

    A bad one there is kept aside. Raises BadBlob if it is good in neither.
    """
    copied = [_bring(source, member.store, named) for member in target.members()]
    return any(copied)


def _bring(source: BlobStore, target: BlobStore, named: NamedBlob) -> bool:
    try:
        for _ in checked(target, named):
            pass
        return False
    except BadBlob as error:
        put = target.put if error.what == "missing" else target.replace
    first_good(source, lambda member: put(named.blob, checked(member, named)))
    return True


def checked(blobs: BlobStore, named: NamedBlob) -> Iterator[bytes]:
    """A blob's pieces; raises BadBlob, at the latest after the last one, unless they are what its entry says."""
    digest, length = hashlib.sha256(), 0
    try:
        pieces = blobs.read(named.blob)
        with closed_after(pieces):
            for piece in pieces:
                digest.update(piece)
                length += len(piece)
                yield piece
    except BadBlob:
        raise
    except BlobError as error:
        raise BadBlob("missing", str(error)) from error
    except OSError as error:
        raise BadBlob("unreadable", f"{named.blob} can't be read: {error}") from error
    if length != named.length:
        raise BadBlob("altered", f"{named.blob} has {length} bytes, its entry says {named.length}")
    if digest.digest() != named.sha256:
        raise BadBlob("altered", f"{named.blob} does not have the SHA-256 that its entry says")
