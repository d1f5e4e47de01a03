"""The content of a version, whichever of several stores has it right: wrong bytes of one never end a reading."""

from collections.abc import Callable, Iterator

from crypto.blobs import closed_after, open_stream
from crypto.errors import CryptoError
from ledger.facts import Record, Version, sha256_of
from storage.blobs.files import BlobStore
from storage.blobs.quorum import QuorumBlobs
from storage.errors import BlobError, BlobsUnavailable
from storage.keytable import NamedBlob
from storage.stores import checked, first_good

HELD_BYTES = 8 * 1024 * 1024
"""Ciphertext up to this is compared with its hash in memory; of what is longer a copy is read twice, once in an hour."""


def opened_blob(blobs: BlobStore, blob: str, key: bytes, context: bytes) -> Iterator[bytes]:
    """Plaintext of a blob, piece by piece, each authentic; what one store has wrong comes from the next.

    Raises BlobError, BlobsUnavailable or SealError where none has it.
    """
    if len(blobs.members()) == 1:
        return open_stream(key, context, blobs.read(blob))
    return _resumed(blobs, lambda store: open_stream(key, context, store.read(blob)))


def sealed_blob(blobs: BlobStore, named: NamedBlob) -> Iterator[bytes]:
    """Ciphertext of a blob as it is stored; of several stores, of one that has it as its entry says.

    Of a single store the reader finds what is wrong, who opens it. Raises BlobError or BlobsUnavailable.
    """
    if not isinstance(blobs, QuorumBlobs):
        return blobs.read(named.blob)
    if named.length <= HELD_BYTES:
        return iter(first_good(blobs, lambda store: list(checked(store, named))))

    def whole(store: BlobStore) -> Iterator[bytes]:
        if not blobs.proved(store, named.blob):
            for _ in checked(store, named):
                pass
            blobs.prove(store, named.blob)
        return _watched(blobs, store, named)

    return first_good(blobs, whole)


def _watched(blobs: QuorumBlobs, store: BlobStore, named: NamedBlob) -> Iterator[bytes]:
    """The pieces, compared again as they are given; a store that is wrong after all is asked last from now on."""
    try:
        yield from checked(store, named)
    except (BlobError, BlobsUnavailable):
        for member in blobs.members():
            if member.store is store:
                blobs.doubt(member)
        raise


def named_version(record: Record, version: Version) -> NamedBlob:
    """What a version's entry says of its blob."""
    return NamedBlob(
        version.seq,
        record.patient,
        record.record,
        "",
        version.blob,
        sha256_of(version),
        version.size,
    )


def _resumed(blobs: BlobStore, opened: Callable[[BlobStore], Iterator[bytes]]) -> Iterator[bytes]:
    """The pieces of the first store, those after a failure of the next: the same plaintext under the same key."""
    given, failed = 0, list[Exception]()
    for member in blobs.members():
        try:
            for piece in _after(given, opened(member.store)):
                given += len(piece)
                yield piece
            return
        except (BlobError, BlobsUnavailable, CryptoError, OSError) as error:
            blobs.doubt(member)
            failed.append(error)
    raise next((error for error in failed if isinstance(error, BlobsUnavailable)), failed[0])


def _after(skipped: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces without the first so many bytes."""
    with closed_after(pieces):
        for piece in pieces:
            if skipped >= len(piece):
                skipped -= len(piece)
                continue
            yield piece[skipped:]
            skipped = 0
