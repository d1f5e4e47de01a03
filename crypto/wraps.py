"""Wrapped keys, sealed fields and label codes. Only the key keeper imports this module.

Every wrap is AES-256-GCM-SIV (RFC 8452): nonce[12] ‖ ciphertext, with associated data that name what
the key is for. `version` is always the KEK's.
"""

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from crypto.encoding import b64decode, b64encode
from crypto.errors import CanonicalError, SealError
from crypto.ids import digits

KEY_BYTES = 32
NONCE_BYTES = 12
FIELD_BLOCK = 64
"""Sealed fields are padded to a multiple of this many bytes, so lengths tell little."""
FIELD_LIMIT = 4_096
"""Longest text of a sealed field, in UTF-8 bytes."""


def kek_name(subject: str, version: int) -> bytes:
    """Associated data of a subject's key-encryption key."""
    return _name("heartwood/kek/v1", subject, str(version))


def dek_name(patient: str, record: str, blob: str, sha256: bytes, version: int) -> bytes:
    """Associated data of a blob's data key; `sha256` is that of the ciphertext, 32 bytes."""
    head = _name("heartwood/dek/v1", patient, record, blob)
    return head + b"\0" + sha256 + b"\0" + str(version).encode()


def object_name(subject: str, object_id: str, version: int) -> bytes:
    """Associated data of an object key (a record's, grant's, person's …)."""
    return _name("heartwood/object/v1", subject, object_id, str(version))


def field_name(stream: str, object_id: str, event: str, field: str) -> bytes:
    """Associated data of a sealed field."""
    return _name("heartwood/field/v1", stream, object_id, event, field)


def wrap(key: bytes, name: bytes, secret: bytes) -> bytes:
    """`secret` under the 32-byte `key`, bound to `name`: nonce[12] ‖ ciphertext."""
    if len(key) != KEY_BYTES:
        raise SealError(f"got a key of {len(key)} bytes, expected {KEY_BYTES}")
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCMSIV(key).encrypt(nonce, secret, name)


def unwrap(key: bytes, name: bytes, wrapped: bytes) -> bytes:
    """The secret inside `wrapped`; raises SealError under another key or another name."""
    if len(key) != KEY_BYTES:
        raise SealError(f"got a key of {len(key)} bytes, expected {KEY_BYTES}")
    try:
        return AESGCMSIV(key).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], name)
    except (InvalidTag, ValueError) as error:
        raise SealError("got a wrap of another key, another name, or an altered one") from error


class Rewrapping:
    """From under one 32-byte key to under another, for many wraps: each key is set up once."""

    def __init__(self, old: bytes, new: bytes) -> None:
        """Raises SealError for a key of another length."""
        for key in (old, new):
            if len(key) != KEY_BYTES:
                raise SealError(f"got a key of {len(key)} bytes, expected {KEY_BYTES}")
        self._old, self._new = AESGCMSIV(old), AESGCMSIV(new)

    def __call__(self, name: bytes, wrapped: bytes, to: bytes | None = None) -> bytes:
        """The same secret under the new key, bound to `to` (by default to the same name); raises SealError."""
        try:
            secret = self._old.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], name)
        except (InvalidTag, ValueError) as error:
            raise SealError("got a wrap of another key, another name, or an altered one") from error
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._new.encrypt(nonce, secret, name if to is None else to)


def seal_field(key: bytes, name: bytes, text: str) -> str:
    """`text` as a sealed field in base64; raises SealError over FIELD_LIMIT bytes."""
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise SealError("got a text that is not valid Unicode") from error
    if len(data) > FIELD_LIMIT:
        raise SealError(f"got a text of {len(data)} bytes, expected at most {FIELD_LIMIT}")
    plain = len(data).to_bytes(2, "big") + data
    return b64encode(wrap(key, name, plain + b"\0" * (-len(plain) % FIELD_BLOCK)))


def open_field(key: bytes, name: bytes, sealed: str) -> str:
    """The text of a sealed field; raises SealError if it was altered or padded wrongly."""
    try:
        plain = unwrap(key, name, b64decode(sealed))
        size = int.from_bytes(plain[:2], "big")
        if len(plain) % FIELD_BLOCK or plain[2 + size :].strip(b"\0") or size + 2 > len(plain):
            raise SealError("got a sealed field with wrong padding")
        return plain[2 : 2 + size].decode()
    except (CanonicalError, UnicodeDecodeError) as error:
        raise SealError("got a sealed field that is not base64 of UTF-8") from error


def label_code(key: bytes, label: str) -> str:
    """`l_` and the first 16 bytes of HMAC-SHA-256(the patient's label key, 32 bytes, label)."""
    if len(key) != KEY_BYTES:
        raise SealError(f"got a key of {len(key)} bytes, expected {KEY_BYTES}")
    return f"l_{digits(hmac.digest(key, label.encode(), 'sha256')[:16])}"


def _name(*parts: str) -> bytes:
    return "\0".join(parts).encode()
