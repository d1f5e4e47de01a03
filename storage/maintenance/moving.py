"""Moving: every blob of one store comes into another while the ledger is in use, and is compared there with the log.

Blobs are never overwritten and named ones never removed, so what was copied stays right. What is written to the old
store meanwhile is copied by the next run; the last one is made while nothing runs.
"""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from crypto.blobs import closed_after
from durable.errors import StorageError
from ledger.follower import Follower, Progress
from ledger.forms import parse_entry
from ledger.merkle import Frontier, leaf_hash
from storage.blobs.files import BlobStore
from storage.errors import BadBlob, BlobError
from storage.keytable import NamedBlob, named_blob
from storage.maintenance.erased import erased_in, is_erased
from storage.maintenance.orphans import PAGE
from storage.maintenance.scrub import Finding
from storage.stores import Stores, bring, checked, first_good, read_apart

THREADS = 8
"""Blobs copied at a time: each waits for the disk or the network."""


@dataclass
class Moved:
    """What was compared in the new store, and what was brought there."""

    entries: int = 0
    blobs: int = 0
    """Named by the log, and in the new store as it says."""
    bytes: int = 0
    """Of ciphertext, of these."""
    copied: int = 0
    """Brought there now."""
    unnamed: int = 0
    """Of those that no entry names yet: staged, or on their way."""
    findings: list[Finding] = field(default_factory=list)
    """Blobs that are good in neither store."""


def move(
    stores: Stores,
    source: BlobStore,
    target: BlobStore,
    progress: Progress = lambda done, size: None,
) -> Moved:
    """Copy what `target` lacks and compare all of it there; goes on until the log has not grown meanwhile.

    Raises StorageError where the log doesn't stand or a store can't be used.
    """
    done, frontier, lock = Moved(), Frontier(), threading.Lock()
    erased = erased_in(stores.database)
    follower = Follower("the move", partial(read_apart, stores.store), progress=progress)

    def bring(named: NamedBlob) -> None:
        if is_erased(erased, named.patient, named.record):
            return
        try:
            copied = _bring(source, target, named)
        except BadBlob as error:
            if is_erased(erased_in(stores.database), named.patient, named.record):
                return  # meanwhile
            place = (named.seq, named.patient, named.record, named.blob)
            with lock:
                done.findings.append(Finding(error.what, str(error), *place))
            return
        with lock:
            done.blobs += 1
            done.bytes += named.length
            done.copied += copied

    with ThreadPoolExecutor(THREADS) as pool:
        while True:
            size = _size(stores, frontier)
            for bundle in follower.bundles(size):
                for raw in bundle:
                    frontier.append(leaf_hash(raw))
                found = [named_blob(parse_entry(raw)) for raw in bundle]
                for _ in pool.map(bring, [named for named in found if named is not None]):
                    pass
            if _size(stores, frontier) == frontier.size:
                break
        _bring_unnamed(stores, source, target, done)
    done.entries = frontier.size
    done.findings.sort(key=lambda finding: finding.seq or 0)
    return done


def _bring(source: BlobStore, target: BlobStore, named: NamedBlob) -> bool:
    """`bring`, and whatever was copied is read back and compared."""
    copied = False
    for member in target.members():
        if bring(source, member.store, named):
            copied = True
            for _ in checked(member.store, named):
                pass
    return copied


def _bring_unnamed(stores: Stores, source: BlobStore, target: BlobStore, done: Moved) -> None:
    """Copy what is not named yet; of what is staged, the key's row says the SHA-256."""
    listed = iter(source.list())
    while names := list(islice(listed, PAGE)):
        missing = [
            (name, member.store)
            for name in names
            for member in target.members()
            if not _there(member.store, name)
        ]
        with stores.database.read() as connection:
            wanted = list({name for name, _ in missing})
            rows = {key.blob: key.sha256 for key in stores.keys.blob_keys(connection, wanted)}
        brought = set()
        for name, store in missing:
            try:
                _put_staged(source, store, name, rows.get(name))
            except BlobError as error:
                # Swept meanwhile, or brought by another run: no harm.
                if _there(source, name) and not _there(store, name):
                    done.findings.append(Finding("altered", str(error), blob=name))
                continue
            brought.add(name)
        done.unnamed += len(brought)


def _there(store: BlobStore, blob: str) -> bool:
    try:
        store.size(blob)
    except BlobError:
        return False
    return True


def _put_staged(source: BlobStore, target: BlobStore, blob: str, sha256: bytes | None) -> None:
    first_good(source, lambda member: target.put(blob, _staged(member, blob, sha256)))


def _staged(store: BlobStore, blob: str, sha256: bytes | None) -> Iterator[bytes]:
    digest = hashlib.sha256()
    pieces = store.read(blob)
    with closed_after(pieces):
        for piece in pieces:
            digest.update(piece)
            yield piece
    if sha256 is not None and digest.digest() != sha256:
        raise BlobError(f"{blob} has another SHA-256 than its key's row says")


def _size(stores: Stores, frontier: Frontier) -> int:
    """The log's size now; raises StorageError unless the entries so far are those under its root."""
    with stores.database.read() as connection:
        head = stores.store.head(connection)
    if head is None:
        raise StorageError("there is no log to compare the blobs with")
    if head.size == frontier.size and head.root != frontier.root():
        raise StorageError(
            f"{frontier.size} entries do not lead to the log's root: `heartwood export` and `heartwood verify` "
            "name the first that is wrong"
        )
    return head.size
