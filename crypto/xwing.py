"""X-Wing (draft-connolly-cfrg-xwing-kem): ML-KEM-768 with X25519, for shares that are kept, by HPKE base mode (RFC 9180).

What is used once is shared by X25519 alone (`crypto.shares`); what is stored must stay shut when somebody has a large
quantum computer, too. HPKE with this KEM is `cryptography`'s; here keys are read and written as the draft has them.
"""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from crypto.errors import SealError
from crypto.ids import ALGORITHM_X_WING, key_id

SEED_BYTES = 32
"""A private key is its seed, which SHAKE-256 makes into both halves."""
PUBLIC_BYTES = 1_216
"""A public key: ML-KEM-768's 1,184 bytes, then X25519's 32."""
_MLKEM_SEED_BYTES, _MLKEM_PUBLIC_BYTES, _X25519_BYTES = 64, 1_184, 32
_STORED = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class ReceivingKey:
    """A private key that opens what is sealed to it, by its seed of SEED_BYTES."""

    def __init__(self, seed: bytes) -> None:
        """Raises SealError for a seed of another length."""
        if len(seed) != SEED_BYTES:
            raise SealError(f"got a seed of {len(seed)} bytes, expected {SEED_BYTES}")
        self.seed = seed
        expanded = hashlib.shake_256(seed).digest(_MLKEM_SEED_BYTES + _X25519_BYTES)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM_SEED_BYTES])
        x25519 = X25519PrivateKey.from_private_bytes(expanded[_MLKEM_SEED_BYTES:])
        self._private = MLKEM768X25519PrivateKey(mlkem, x25519)
        self.public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        """The public half, PUBLIC_BYTES."""
        self.id = key_id(ALGORITHM_X_WING, self.public)
        """The key's id in the log."""

    @classmethod
    def generate(cls) -> "ReceivingKey":
        """A fresh key."""
        return cls(os.urandom(SEED_BYTES))

    def open(self, info: bytes, share: bytes) -> bytes:
        """The secret of a share; raises SealError for one of another key, of other `info`, or an altered one."""
        try:
            return _STORED.decrypt(share, self._private, info)
        except (InvalidTag, ValueError) as error:
            raise SealError(
                "got a share for another receiver or another package, or an altered one"
            ) from error


def check_public(public: bytes) -> None:
    """Raises SealError for what nothing can be sealed to: another length, coefficients that FIPS 203 (7.2) doesn't allow, or a
    point of small order as its X25519 half."""
    share_stored(public, b"", b"")


def share_stored(public: bytes, info: bytes, secret: bytes) -> bytes:
    """`secret` for the X-Wing public key `public` (PUBLIC_BYTES): enc ‖ ciphertext; raises SealError for a bad key."""
    try:
        return _STORED.encrypt(secret, _public(public), info)
    except ValueError as error:
        raise SealError("got an X-Wing key whose X25519 half is of small order") from error


def _public(public: bytes) -> MLKEM768X25519PublicKey:
    if len(public) != PUBLIC_BYTES:
        raise SealError(f"got an X-Wing key of {len(public)} bytes, expected {PUBLIC_BYTES}")
    try:
        return MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC_BYTES]),
            X25519PublicKey.from_public_bytes(public[_MLKEM_PUBLIC_BYTES:]),
        )
    except ValueError as error:
        raise SealError("got a key that is no X-Wing public key (FIPS 203, 7.2)") from error
