"""Keys shared with one receiver by HPKE base mode (RFC 9180): enc ‖ ciphertext."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from crypto.errors import SealError
from crypto.ids import ALGORITHM_X25519, key_id

_ONCE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def share_info(patient: str, event: str, receiver: bytes, object_id: str) -> bytes:
    """What binds a share: patient, event, the receiver's X25519 key (32 raw bytes) and the object."""
    return kept_share_info(patient, event, key_id(ALGORITHM_X25519, receiver), object_id)


def kept_share_info(patient: str, event: str, receiver: str, object_id: str) -> bytes:
    """The same of a share to a key that the log names: `receiver` is its id."""
    return "\0".join(("heartwood/share/v1", patient, event, receiver, object_id)).encode()


def share_once(receiver: bytes, info: bytes, secret: bytes) -> bytes:
    """`secret` for the one-time X25519 public key `receiver`; raises SealError for a bad key."""
    try:
        return _ONCE.encrypt(secret, X25519PublicKey.from_public_bytes(receiver), info)
    except ValueError as error:
        raise SealError("got a reply key that is not a usable X25519 public key") from error


def open_share(private: bytes, info: bytes, share: bytes) -> bytes:
    """The secret of a share for the holder of the raw X25519 `private` key; raises SealError."""
    try:
        return _ONCE.decrypt(share, X25519PrivateKey.from_private_bytes(private), info)
    except (InvalidTag, ValueError) as error:
        raise SealError(
            "got a share for another receiver, another reading, or an altered one"
        ) from error
