"""X-Wing keys against the draft's first test vector, and shares against HPKE written anew from RFC 9180."""

import base64
import hashlib
import hmac
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto.errors import SealError
from crypto.xwing import PUBLIC_BYTES, SEED_BYTES, ReceivingKey, check_public, share_stored

SEED = bytes.fromhex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26")
"""Of draft-connolly-cfrg-xwing-kem, appendix C, with ciphertext and shared secret below."""
SHARED = "d2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384"
PUBLIC_SHA3 = "5121745904643ad9dfacca7869292c19a8a69533b53e60666b7db910b4ad6367"
CIPHERTEXT = base64.b64decode(
    "uDqoKNTWK5qDzv/h09O7HvMSZGQ8BwxXmJJ+QfsHkUonP4+W54Js1TdaKD19qIUwTF3gUWoPBlQkPcW5f4v+uDH2glEhmqvdcjvGUSBBrLrvivRC"
    "ZVJJQrkC5o/9IyIc2nCxtV13apLRFD6joMR19j7miQFXxxFtrj9iv3L2Cs0ruMwxziug3jZPUrjtOMedcZcVljpd04QtjotDq3BOR1m1MnvwJ8Y8"
    "j6hXxJCNWop7iKx/K+OU2Tw3Bt3U5pjMbONwEB9NAhMlQji0ouiCG25BShzyD2wSRLaZBG9aAcqgoaVVFjALQNIEjHfMc6+6ea/uqdLAEYvfKtuI"
    "cNwyjFUWzEWxogWBQQOeLJChEKnhazGN+1O9SaEm1rc/IVeHUXuJF8wByr0QfQaFmFTui0+YYcIm03ZMhzOasWw2Z9L0k4TlVFbdQEFLcKavhBWF"
    "9MkMaHJdV3BO6O585uL5vlgtvumF4Dj/w0br+04iFYtshDdKmrSkTh+R3lqsUZf4m8XlRC9R+aWTexAro76uv24cWDgKSl/tzkpOUCb4j1KPWf/S"
    "20F1Kzo9kO+r5GOJm31AhwxTDIhB6HErczZo7QM62/r7LUnTekTUBk5YY+sK8KCNR7PMiINzvAX3ozuEG8JYfFfraVVOijdnt1BpF7a3BJhyfxbq"
    "waNuyNjPr3UVSfInfbJ36KVamlEGsjoCBrRyH6mzBIVSxb1bWU1uJH84wYxZGup/ViSccs57EXr8w6hiFYL5z3F4fhg97gk2eXbphAmtkhekl9+I"
    "gEI4TXcHprePX3+4QJ47U1F1NzRht3YALXmcutYoYL5wVz7L4Tskbg2n6TpSFo4Ptql1a4le9/AUeg3IG/pkSwiKkigWDA+azxN5opQc0owG68gO"
    "ROF6ovgXcBCv14qXzgho0WKeuylMUVGBLFg9rriGhSIPTakRgRLgcEH8wk1VZKmf294ohp/gciOH16mk0W4cyFVZF+CZRKpeuqrsLPYmk6+tQqP1"
    "GPzmfSc8xsn7VHKzgOhXPsfeBqO6L9X5MdcltJMCbLCsvT/mLQDkx5DZZdegOjwLQiK6jCqaFuKsZY9XKuDnRur8T+ugI1dvCJQieKBB+4KnClld"
    "W6y/KXziApiYpx5cOw0cYii0hbGt5QmzX7yn7Kl7ITLny2vEZTdRRrfc6slpMIrAwqyJ54Y+uJQwFbJDFMr7nHwOhf5UPVZljCE2Mlme+r/B7End"
    "jIhUe7LMQMnTjL0wmbRUeEBWBTHQGIzR6cI6Dr7goD1Vd9ZrHSvLS6ryHMf+8eA4BsqWKZ3w37xW4bK0Pk/CDDf4NMSvYhJ+fa6Gw8JaL2lqyLWJ"
    "3scdWVv76Ute1LwH2ACzMHlv2ontt3vgKUE2E5NU64zTdZFXj5xgDdm+jsYhn91Qet8zl+1NaHB7jROyTOTNj7IoUb/p1jJAfzHtb3yxYA3lbxdX"
    "Z0DOKjL8UUUDAUXPuX5j4OQdNUJ0oHnT5vsuFQ=="
)
ENC_BYTES = 1_120
INFO = b"heartwood/share/v1"


def decapsulated(seed: bytes, ciphertext: bytes) -> bytes:
    """The shared secret, as the draft's section 5 has it."""
    expanded = hashlib.shake_256(seed).digest(96)
    mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
    x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
    first = mlkem.decapsulate(ciphertext[:1_088])
    second = x25519.exchange(X25519PublicKey.from_public_bytes(ciphertext[1_088:]))
    own = x25519.public_key().public_bytes_raw()
    combined = first + second + ciphertext[1_088:] + own + b"\\.//^\\"
    return hashlib.sha3_256(combined).digest()


def opened(seed: bytes, info: bytes, share: bytes) -> bytes:
    """RFC 9180, base mode: X-Wing (0x647a), HKDF-SHA-256 (0x0001), AES-256-GCM (0x0002), the first message."""
    suite = b"HPKE" + struct.pack(">HHH", 0x647A, 0x0001, 0x0002)

    def extract(salt: bytes, label: bytes, key: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + key, "sha256")

    def expand(key: bytes, label: bytes, about: bytes, size: int) -> bytes:
        labelled = struct.pack(">H", size) + b"HPKE-v1" + suite + label + about
        return hmac.digest(key, labelled + b"\1", "sha256")[:size]

    enc, sealed = share[:ENC_BYTES], share[ENC_BYTES:]
    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(decapsulated(seed, enc), b"secret", b"")
    key, nonce = expand(secret, b"key", context, 32), expand(secret, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, sealed, b"")


def test_the_drafts_vector() -> None:
    """Public key and shared secret; the latter by this test's own reading of the draft, which opens our shares below."""
    assert hashlib.sha3_256(ReceivingKey(SEED).public).hexdigest() == PUBLIC_SHA3
    assert decapsulated(SEED, CIPHERTEXT).hex() == SHARED


def test_a_share_is_hpke_with_that_kem() -> None:
    key = ReceivingKey(SEED)
    share = share_stored(key.public, INFO, b"s" * 32)
    assert len(share) == ENC_BYTES + 32 + 16
    assert opened(SEED, INFO, share) == key.open(INFO, share) == b"s" * 32


def test_a_share_opens_for_nobody_else() -> None:
    """Another key, other words about it, a changed byte, a cut: none gives anything."""
    key, other = ReceivingKey(SEED), ReceivingKey.generate()
    share = share_stored(key.public, INFO, b"s" * 32)
    with pytest.raises(SealError):
        other.open(INFO, share)
    with pytest.raises(SealError):
        key.open(INFO + b"\0", share)
    for place in (0, 1_088, ENC_BYTES, len(share) - 1):
        bent = bytearray(share)
        bent[place] ^= 1
        with pytest.raises(SealError):
            key.open(INFO, bytes(bent))
    for cut in (b"", share[:ENC_BYTES], share[:-1], share + b"\0"):
        with pytest.raises(SealError):
            key.open(INFO, cut)


def test_two_shares_differ() -> None:
    key = ReceivingKey(SEED)
    assert share_stored(key.public, INFO, b"s") != share_stored(key.public, INFO, b"s")


@pytest.mark.parametrize("size", [0, SEED_BYTES - 1, SEED_BYTES + 1])
def test_a_seed_of_another_length(size: int) -> None:
    with pytest.raises(SealError, match="expected 32"):
        ReceivingKey(bytes(size))


BAD = {
    "short": bytes(PUBLIC_BYTES - 1),
    "long": bytes(PUBLIC_BYTES + 1),
    "coefficients above the modulus": b"\xff" * 1_184 + ReceivingKey(SEED).public[1_184:],
    "an X25519 half of small order": ReceivingKey(SEED).public[:1_184] + bytes(32),
}


@pytest.mark.parametrize("public", BAD.values(), ids=BAD)
def test_what_nothing_can_be_sealed_to(public: bytes) -> None:
    for act in (check_public, lambda bad: share_stored(bad, INFO, b"s")):
        with pytest.raises(SealError):
            act(public)
    check_public(ReceivingKey(SEED).public)
