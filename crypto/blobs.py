"""Sealed blobs: Cobblestone-256 (C2SP chunked-encryption@v1 with AES-256-GCM), streamed and by range.

Whole streams go through `cryptography.cobblestone`; a range is opened here, by the same derivation.
SHA-256 bounds the throughput, so the hash of the ciphertext is taken once, in the same pass.
"""

import hashlib
import hmac
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from crypto.errors import SealError

CHUNK_BYTES = 16_384
"""Plaintext bytes in a chunk."""
TAG_BYTES = 16
SALT_BYTES = 24
HEADER_BYTES = SALT_BYTES + 32
"""Salt and key commitment before the first chunk."""
KEY_BYTES = 32
_LABEL = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0"


def blob_context(patient: str, record: str, blob: str) -> bytes:
    """What binds a ciphertext to its patient, record and blob."""
    return b"\0".join((b"heartwood/blob/v1", patient.encode(), record.encode(), blob.encode()))


def sealed_length(size: int) -> int:
    """Ciphertext bytes of `size` plaintext bytes."""
    return HEADER_BYTES + size + TAG_BYTES * (size // CHUNK_BYTES + 1)


class Sealer:
    """Encrypts one stream; counts the plaintext and hashes the ciphertext on the way."""

    def __init__(self, key: bytes, context: bytes) -> None:
        """`key`: 32 fresh bytes, for this blob alone; raises SealError for another length."""
        _check_key(key)
        self._encryptor = Cobblestone256Encryptor(key, context)
        self._hash = hashlib.sha256()
        self.size = 0

    def update(self, data: bytes) -> bytes:
        """Ciphertext that is ready after `data`; possibly empty."""
        out = self._encryptor.update(data)
        self._hash.update(out)
        self.size += len(data)
        return out

    def finalize(self) -> bytes:
        """The last ciphertext; afterwards `sha256` and `size` (plaintext bytes) are whole."""
        out = self._encryptor.finalize()
        self._hash.update(out)
        return out

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the ciphertext so far, 32 bytes."""
        return self._hash.digest()


def open_stream(key: bytes, context: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Plaintext of a whole ciphertext, piece by piece.

    Raises SealError when it is altered or cut short, and for a key that hasn't 32 bytes. A piece is authentic when it is yielded; that the stream is whole is known only at its end.
    """
    _check_key(key)
    decryptor = Cobblestone256Decryptor(key, context)
    with closed_after(chunks):
        try:
            for chunk in chunks:
                if piece := decryptor.update(chunk):
                    yield piece
            if piece := decryptor.finalize():
                yield piece
        except (InvalidTag, ValueError) as error:
            raise SealError(
                "got a ciphertext that was altered, cut short or sealed for another"
            ) from error


@contextmanager
def closed_after(pieces: Iterator[bytes]) -> Iterator[None]:
    """However the block ends, a generator of pieces is closed, and with it the file or connection that it reads from.

    Left to the collector it would stay open as long as somebody keeps the error that ended the block.
    """
    try:
        yield
    finally:
        if isinstance(pieces, Generator):
            pieces.close()


def open_range(
    key: bytes,
    context: bytes,
    read: Callable[[int, int], bytes],
    size: int,
    start: int,
    end: int,
) -> bytes:
    """Plaintext bytes `start` to `end` (exclusive) of a blob of `size` plaintext bytes.

    `read(offset, length)` gives ciphertext. The last chunk is read and checked whenever the end of the
    blob matters, so a shortened blob shows. Raises SealError.
    """
    if not 0 <= start <= end <= size:
        raise SealError(f"got the range {start} to {end}, expected one inside 0 to {size}")
    aead, base = _derive(key, context, read(0, HEADER_BYTES))
    first, last = start // CHUNK_BYTES, end // CHUNK_BYTES
    plain = bytearray()
    for number in range(first, last + 1):
        length = min(CHUNK_BYTES, size - number * CHUNK_BYTES) + TAG_BYTES
        sealed = read(HEADER_BYTES + number * (CHUNK_BYTES + TAG_BYTES), length)
        if len(sealed) != length:
            raise SealError(f"got {len(sealed)} bytes of chunk {number}, expected {length}")
        nonce = (base ^ number).to_bytes(12, "big")
        try:
            plain += aead.decrypt(nonce, sealed, None)
        except (InvalidTag, ValueError) as error:
            raise SealError(f"got an altered or missing chunk {number}") from error
    return bytes(plain[start - first * CHUNK_BYTES : end - first * CHUNK_BYTES])


def sealed_again(key: bytes, context: bytes, header: bytes, pieces: Iterator[bytes]) -> bytes:
    """SHA-256 (32 bytes) of the ciphertext that these plaintext pieces have under a key and its `header` (HEADER_BYTES).

    So whoever has content, key and header can prove that it is what an entry names by the hash of its ciphertext.
    Raises SealError for a header of another key or context.
    """
    aead, base = _derive(key, context, header)
    digest, held, number = hashlib.sha256(header), bytearray(), 0

    def seal(chunk: bytes) -> None:
        digest.update(aead.encrypt((base ^ number).to_bytes(12, "big"), chunk, None))

    for piece in pieces:
        held += piece
        while len(held) >= CHUNK_BYTES:
            seal(bytes(held[:CHUNK_BYTES]))
            del held[:CHUNK_BYTES]
            number += 1
    seal(bytes(held))  # the last one is shorter than a chunk, and may be empty
    return digest.digest()


def _check_key(key: bytes) -> None:
    """HKDF takes a key of any length, and fills a short one up with zeros."""
    if len(key) != KEY_BYTES:
        raise SealError(f"got a key of {len(key)} bytes, expected {KEY_BYTES}")


def _derive(key: bytes, context: bytes, header: bytes) -> tuple[AESGCM, int]:
    """AES key and base nonce of a blob, after its commitment was checked."""
    _check_key(key)
    if len(header) != HEADER_BYTES:
        raise SealError(f"got a header of {len(header)} bytes, expected {HEADER_BYTES}")
    info = _LABEL + header[:SALT_BYTES] + context
    derived = HKDFExpand(SHA512(), 76, info).derive(key)
    if not hmac.compare_digest(derived[44:], header[SALT_BYTES:]):
        raise SealError("got a key commitment of another key or another blob")
    return AESGCM(derived[:32]), int.from_bytes(derived[32:44], "big")
