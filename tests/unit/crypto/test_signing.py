"""Ids, encodings and Ed25519; notes and seals have files of their own."""

import base64
import hashlib
from functools import partial

import nacl.bindings as sodium
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crypto import ids
from crypto.encoding import b64decode, b64encode, decimal
from crypto.errors import CanonicalError, IdError, SignatureError
from crypto.signing import SigningKey, verify

fast = settings(deadline=None, max_examples=100)
KEY = bytes(range(32))


def crockford(data: bytes) -> str:
    """The 26 digits by division, as the formats describe them."""
    number, out = int.from_bytes(data, "big"), ""
    for _ in range(26):
        number, digit = divmod(number, 32)
        out = "0123456789abcdefghjkmnpqrstvwxyz"[digit] + out
    return out


# Ids


@fast
@given(st.binary(min_size=16, max_size=16))
@example(bytes(16))
@example(b"\xff" * 16)
def test_digits_are_one_big_endian_number(data: bytes) -> None:
    text = ids.digits(data)
    assert text == crockford(data) and len(text) == 26 and text[0] <= "7"
    assert ids.prefix_of(f"rc_{text}") == "rc"


@fast
@given(st.integers(0, 2**48 - 2), st.binary(min_size=10, max_size=10), st.data())
def test_timed_ids_sort_by_time(time: int, random: bytes, data: st.DataObject) -> None:
    later = data.draw(st.integers(time + 1, 2**48 - 1))
    assert ids.timed_id("rc", time, b"\xff" * 10) < ids.timed_id("rc", later, random)


def test_timed_ids_hold_time_and_random_bits() -> None:
    random = bytes(range(10))
    data = (1_795_000_000_000).to_bytes(6, "big") + random
    assert ids.timed_id("rc", 1_795_000_000_000, random) == f"rc_{crockford(data)}"


@pytest.mark.parametrize("algorithm", [0x01, 0x06, 0x10, 0x11])
def test_key_ids_are_hashes(algorithm: int) -> None:
    digest = hashlib.sha256(bytes([algorithm]) + KEY).digest()
    assert ids.key_id(algorithm, KEY) == f"k_{crockford(digest[:16])}"


BAD_IDS = [
    "", "rc_", "rc", "_" + "0" * 26, "0" * 26, "rc_" + "0" * 25, "rc_" + "0" * 27, "rc_8" + "0" * 25,
    "rc_" + "0" * 25 + "i", "rc_" + "0" * 25 + "l", "rc_" + "0" * 25 + "o", "rc_" + "0" * 25 + "u",
    "rc_" + "0" * 25 + "A", "RC_" + "0" * 26, "rc-" + "0" * 26, " rc_" + "0" * 26, "rc_" + "0" * 26 + "\n",
    "rc_" + "0" * 25 + "٠", "r1_" + "0" * 26,
]  # fmt: skip


@pytest.mark.parametrize("text", BAD_IDS)
def test_refused_ids(text: str) -> None:
    with pytest.raises(IdError):
        ids.prefix_of(text)


@pytest.mark.parametrize("size", [0, 9, 10, 15, 17])
def test_ids_are_made_of_exactly_16_bytes(size: int) -> None:
    for make in (ids.digits, partial(ids.random_id, "pt"), partial(ids.timed_id, "rc", 0)):
        if size != 10 or make is ids.digits:
            with pytest.raises(IdError):
                make(bytes(size))


# Base64 and decimals


@fast
@given(st.binary(max_size=70))
def test_base64_has_one_form(data: bytes) -> None:
    text = b64encode(data)
    assert text == base64.b64encode(data).decode() and b64decode(text) == data
    assert b64decode(text, len(data)) == data
    with pytest.raises(CanonicalError):
        b64decode(text, len(data) + 1)


@fast
@given(st.text("ABQgw+/=_- \n", max_size=9))
def test_decoded_base64_writes_back_to_the_same_text(text: str) -> None:
    try:
        data = b64decode(text)
    except CanonicalError:
        return
    assert b64encode(data) == text


BAD_BASE64 = [
    "A", "AA", "AAA", "AA=", "AAA==", "AAAA=", "AAAA====", "=", "AB==", "AAB=", "AA==AA==", "AA= =", "AAAA\n",
    " AAAA", "AA AA", "AA-_", "AA\0A", "ＡAAA", "é===", "AA==\n",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD_BASE64)
def test_refused_base64(text: str) -> None:
    with pytest.raises(CanonicalError):
        b64decode(text)


@fast
@given(st.integers(0, 10**19 - 1))
def test_decimals_have_one_form(number: int) -> None:
    assert decimal(b"%d" % number) == number


BAD_DECIMALS = [
    b"", b"00", b"01", b"+1", b"-1", b"-0", b" 1", b"1 ", b"1\n", b"1_0", b"1.0", b"1e2", b"0x1", b"a",
    "１".encode(), "٣".encode(), b"1" + b"0" * 19,
]  # fmt: skip


@pytest.mark.parametrize("text", BAD_DECIMALS)
def test_refused_decimals(text: bytes) -> None:
    with pytest.raises(CanonicalError):
        decimal(text)


# Ed25519: libsodium's rules

ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19
ORDER_8 = (
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
)
SMALL_ORDER = [
    ((y + sign * 2**255) % 2**256).to_bytes(32, "little").hex()
    for y in (0, 1, PRIME - 1, PRIME, PRIME + 1, *(int.from_bytes(bytes.fromhex(h), "little") for h in ORDER_8))
    for sign in (0, 1)
]  # fmt: skip
"""Every encoding of a point of small order, the non-canonical ones too."""


def openssl_accepts(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def challenge(point: bytes, public: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(point + public + message).digest(), "little")


@fast
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100), st.integers(0, 511))
def test_signatures_fit_one_key_and_message(seed: bytes, message: bytes, bit: int) -> None:
    key = SigningKey(seed)
    signature = key.sign(message)
    verify(key.public, signature, message)
    assert openssl_accepts(key.public, signature, message)
    altered = (int.from_bytes(signature, "big") ^ 1 << bit).to_bytes(64, "big")
    for wrong in ((key.public, altered, message), (key.public, signature, message + b"\0")):
        with pytest.raises(SignatureError):
            verify(*wrong)


@pytest.mark.parametrize("public", SMALL_ORDER)
def test_keys_of_small_order_are_refused(public: str) -> None:
    """With S = s and R = s·B such a key fits each message whose challenge is a multiple of 8."""
    key, scalar = bytes.fromhex(public), (5).to_bytes(32, "little")
    signature = sodium.crypto_scalarmult_ed25519_base_noclamp(scalar) + scalar
    for number in range(200):
        with pytest.raises(SignatureError):
            verify(key, signature, b"%d" % number)


def test_another_library_accepts_a_key_that_fits_every_message() -> None:
    """So the test above refuses something that is really out there."""
    scalar = (5).to_bytes(32, "little")
    signature = sodium.crypto_scalarmult_ed25519_base_noclamp(scalar) + scalar
    identity = (1).to_bytes(32, "little")
    assert all(openssl_accepts(identity, signature, b"%d" % n) for n in range(20))


def test_points_of_small_order_in_a_signature_are_refused() -> None:
    """R = the identity, S = h·a: a signature by the true key that other libraries accept."""
    key, message = SigningKey(KEY), b"message"
    digest = bytearray(hashlib.sha512(KEY).digest()[:32])
    digest[0], digest[31] = digest[0] & 248, digest[31] & 127 | 64
    point = (1).to_bytes(32, "little")
    scalar = challenge(point, key.public, message) * int.from_bytes(digest, "little") % ORDER
    signature = point + scalar.to_bytes(32, "little")
    assert openssl_accepts(key.public, signature, message)
    with pytest.raises(SignatureError):
        verify(key.public, signature, message)


@pytest.mark.parametrize("times", range(1, 16))
def test_a_malleated_scalar_is_refused(times: int) -> None:
    key = SigningKey(KEY)
    signature = key.sign(b"message")
    scalar = int.from_bytes(signature[32:], "little") + times * ORDER
    with pytest.raises(SignatureError):
        verify(key.public, signature[:32] + scalar.to_bytes(32, "little"), b"message")


def test_lengths_of_keys_and_signatures() -> None:
    key = SigningKey(KEY)
    signature = key.sign(b"")
    for wrong in ((key.public[:31], signature), (key.public + b"\0", signature),
                  (key.public, signature[:63]), (key.public, signature + b"\0"), (b"", b"")):  # fmt: skip
        with pytest.raises(SignatureError):
            verify(*wrong, b"")
    with pytest.raises(SignatureError):
        SigningKey(bytes(31))
