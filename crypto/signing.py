"""Ed25519 by libsodium, whose rules alone decide which keys and signatures count.

libsodium refuses small-order and non-canonical keys and points; other libraries accept a key for which
one signature fits every message.
"""

import nacl.bindings
import nacl.exceptions

from crypto.errors import SignatureError
from crypto.ids import ALGORITHM_ED25519, key_id

SEED_BYTES = 32
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64


class SigningKey:
    """An Ed25519 private key (RFC 8032), made from its 32-byte seed."""

    __slots__ = ("_secret", "id", "public", "seed")

    def __init__(self, seed: bytes) -> None:
        """Raises SignatureError unless `seed` has 32 bytes."""
        if len(seed) != SEED_BYTES:
            raise SignatureError(f"got a seed of {len(seed)} bytes, expected {SEED_BYTES}")
        self.seed = seed
        self.public, self._secret = nacl.bindings.crypto_sign_seed_keypair(seed)
        self.id = key_id(ALGORITHM_ED25519, self.public)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte detached signature over `message`."""
        return nacl.bindings.crypto_sign(message, self._secret)[:SIGNATURE_BYTES]


def verify(public: bytes, signature: bytes, message: bytes) -> None:
    """Check a detached Ed25519 signature; raises SignatureError."""
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        raise SignatureError(
            f"got a key of {len(public)} and a signature of {len(signature)} bytes, expected 32 and 64"
        )
    try:
        nacl.bindings.crypto_sign_open(signature + message, public)
    except nacl.exceptions.BadSignatureError as error:
        raise SignatureError(
            "got an Ed25519 signature that does not fit key and message"
        ) from error
