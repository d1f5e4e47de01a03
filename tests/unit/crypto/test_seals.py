"""Sealed blobs, wrapped keys, sealed fields, label codes and shares."""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crypto import blobs, ids, shares, wraps
from crypto.encoding import b64decode, b64encode
from crypto.errors import SealError

fast = settings(deadline=None, max_examples=100)
KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
PATIENT, RECORD, BLOB = (f"{p}_{'0' * 25}{n}" for n, p in enumerate(("pt", "rc", "bl")))

# Blobs

CHUNK = blobs.CHUNK_BYTES
CONTEXT = blobs.blob_context(PATIENT, RECORD, BLOB)
SIZES = [
    0,
    1,
    CHUNK - 1,
    CHUNK,
    CHUNK + 1,
    2 * CHUNK - 1,
    2 * CHUNK,
    2 * CHUNK + 1,
    3 * CHUNK + 777,
]


@cache
def plain_of(size: int) -> bytes:
    return hashlib.shake_128(b"blob").digest(size)


@cache
def sealed_of(size: int) -> bytes:
    sealer = blobs.Sealer(KEY, CONTEXT)
    out = sealer.update(plain_of(size)) + sealer.finalize()
    assert (sealer.size, sealer.sha256) == (size, hashlib.sha256(out).digest())
    return out


def pieces(data: bytes, step: int = 10_000) -> Iterator[bytes]:
    return (data[at : at + step] for at in range(0, len(data), step))


def opened(data: bytes, key: bytes = KEY, context: bytes = CONTEXT) -> bytes:
    return b"".join(blobs.open_stream(key, context, pieces(data)))


def ranged(data: bytes, size: int, start: int, end: int, key: bytes = KEY, context: bytes = CONTEXT) -> bytes:  # fmt: skip
    return blobs.open_range(
        key, context, lambda at, length: data[at : at + length], size, start, end
    )


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_key_of_another_length_opens_nothing(length: int) -> None:
    """HMAC fills short keys up with zeros: 31 bytes are the key of 32 that ends in one."""
    key, zeros = bytes(range(1, 65))[:length], bytes(32)
    sealer = blobs.Sealer((key + zeros)[:32], CONTEXT)
    sealed = sealer.update(b"some") + sealer.finalize()
    for act in (
        lambda: opened(sealed, key),
        lambda: ranged(sealed, 4, 0, 4, key),
        lambda: blobs.Sealer(key, CONTEXT),
        lambda: wraps.label_code(key, "PSY"),
    ):
        with pytest.raises(SealError, match=f"got a key of {length} bytes, expected 32"):
            act()


def test_the_context_names_patient_record_and_blob() -> None:
    assert f"heartwood/blob/v1\0{PATIENT}\0{RECORD}\0{BLOB}".encode() == CONTEXT


@pytest.mark.parametrize("size", SIZES)
def test_blobs_open_again(size: int) -> None:
    sealed = sealed_of(size)
    assert len(sealed) == blobs.sealed_length(size) == 56 + size + 16 * (size // CHUNK + 1)
    assert opened(sealed) == ranged(sealed, size, 0, size) == plain_of(size)


@fast
@given(st.sampled_from(SIZES), st.data())
def test_ranges_equal_slices(size: int, data: st.DataObject) -> None:
    near = [n for edge in (0, CHUNK, 2 * CHUNK, size) for n in (edge - 1, edge, edge + 1)]
    point = st.integers(0, size) | st.sampled_from([n for n in near if 0 <= n <= size])
    start, end = sorted((data.draw(point), data.draw(point)))
    assert ranged(sealed_of(size), size, start, end) == plain_of(size)[start:end]


@fast
@given(st.lists(st.integers(0, CHUNK), max_size=5))
def test_how_a_stream_is_cut_does_not_matter(cuts: list[int]) -> None:
    sealer = blobs.Sealer(KEY, CONTEXT)
    out = b"".join(sealer.update(plain_of(cut)) for cut in cuts) + sealer.finalize()
    assert opened(out) == b"".join(plain_of(cut) for cut in cuts) and sealer.size == sum(cuts)
    assert sealer.sha256 == hashlib.sha256(out).digest()


def boundaries(size: int) -> list[int]:
    """Where header and chunks end, and next to it; the whole left out."""
    edges = [
        0,
        24,
        56,
        *range(56, blobs.sealed_length(size), CHUNK + 16),
        blobs.sealed_length(size),
    ]
    near = {edge + step for edge in edges for step in (-16, -1, 0, 1)}
    return sorted(n for n in near if 0 <= n < blobs.sealed_length(size))


@pytest.mark.parametrize("size", SIZES)
def test_a_shortened_blob_is_refused(size: int) -> None:
    for cut in boundaries(size):
        with pytest.raises(SealError):
            opened(sealed_of(size)[:cut])
        with pytest.raises(SealError):
            ranged(sealed_of(size)[:cut], size, max(size - 1, 0), size)


@pytest.mark.parametrize("size", SIZES)
def test_a_range_to_the_end_shows_a_wrong_size(size: int) -> None:
    for wrong in (size - 1, size + 1, size - CHUNK, size + CHUNK):
        if wrong >= 0:
            with pytest.raises(SealError):
                ranged(sealed_of(size), wrong, wrong, wrong)


def test_altered_blobs_are_refused() -> None:
    size = 3 * CHUNK + 777
    whole, full = sealed_of(size), CHUNK + 16
    first, second = whole[56 : 56 + full], whole[56 + full : 56 + 2 * full]
    altered = [whole[:56] + second + first + whole[56 + 2 * full :], whole + b"\0", whole + first,
               whole[:56] + first + first + whole[56 + 2 * full :], sealed_of(CHUNK)[:56] + whole[56:]]  # fmt: skip
    altered += [whole[:n] + bytes([whole[n] ^ 1]) + whole[n + 1 :]
                for n in (0, 23, 24, 55, 56, 56 + CHUNK, 56 + full, len(whole) - 1)]  # fmt: skip
    for number, data in enumerate(altered):
        with pytest.raises(SealError):
            opened(data)
        if len(data) == len(whole):
            with pytest.raises(SealError):
                ranged(data, size, 0, size)
        assert data != whole, number


CONTEXTS = [
    blobs.blob_context(*names)
    for names in ((RECORD, RECORD, BLOB), (PATIENT, BLOB, BLOB), (PATIENT, RECORD, PATIENT))
]


@pytest.mark.parametrize(("key", "context"), [(OTHER_KEY, CONTEXT), *((KEY, c) for c in CONTEXTS)])
def test_another_key_or_context_is_refused(key: bytes, context: bytes) -> None:
    for size in (0, CHUNK):
        with pytest.raises(SealError):
            opened(sealed_of(size), key, context)
        with pytest.raises(SealError, match="commitment"):
            ranged(sealed_of(size), size, 0, 0, key, context)


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (0, 11), (11, 11), (6, 5)])
def test_ranges_outside_the_blob_are_refused(start: int, end: int) -> None:
    with pytest.raises(SealError, match="range"):
        ranged(sealed_of(1), 10, start, end)


# Wraps, fields, label codes, shares

Named = tuple[Callable[..., bytes], tuple[str | int | bytes, ...], bytes]
SHA = hashlib.sha256(b"ciphertext").digest()
NAMES: dict[str, Named] = {
    "kek": (wraps.kek_name, ("s", 3), b"heartwood/kek/v1\0s\x003"),
    "dek": (wraps.dek_name, ("p", "r", "b", SHA, 3), b"heartwood/dek/v1\0p\0r\0b\0" + SHA + b"\x003"),
    "object": (wraps.object_name, ("s", "o", 3), b"heartwood/object/v1\0s\0o\x003"),
    "field": (wraps.field_name, ("t", "o", "e", "f"), b"heartwood/field/v1\0t\0o\0e\0f"),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_are_those_of_the_formats(name: str) -> None:
    call, parts, expected = NAMES[name]
    assert call(*parts) == expected
    wrapped = wraps.wrap(KEY, expected, b"secret")
    assert AESGCMSIV(KEY).decrypt(wrapped[:12], wrapped[12:], expected) == b"secret"


@pytest.mark.parametrize(("name", "part"), [(n, p) for n in NAMES for p in range(len(NAMES[n][1]))])
def test_every_part_of_a_name_binds(name: str, part: int) -> None:
    call, parts, _ = NAMES[name]
    changed = list(parts)
    old = parts[part]
    changed[part] = old + 1 if isinstance(old, int) else old[:-1] if len(old) > 1 else "x"
    wrapped = wraps.wrap(KEY, call(*parts), b"secret")
    with pytest.raises(SealError):
        wraps.unwrap(KEY, call(*changed), wrapped)


@fast
@given(st.binary(max_size=100), st.integers(0, 127 * 8))
def test_wraps_open_whole_or_not_at_all(secret: bytes, bit: int) -> None:
    wrapped = wraps.wrap(KEY, b"name", secret)
    assert wraps.unwrap(KEY, b"name", wrapped) == secret and len(wrapped) == 28 + len(secret)
    bit %= len(wrapped) * 8
    altered = (int.from_bytes(wrapped, "big") ^ 1 << bit).to_bytes(len(wrapped), "big")
    for key, data in ((OTHER_KEY, wrapped), (KEY, altered), (KEY, wrapped[:-1]), (KEY, b"")):
        with pytest.raises(SealError):
            wraps.unwrap(key, b"name", data)


def test_no_nonce_comes_twice() -> None:
    assert len({wraps.wrap(KEY, b"", b"")[:12] for _ in range(100)}) == 100


@fast
@given(st.text(max_size=wraps.FIELD_LIMIT // 4))
@example("")
@example("x" * 62)
@example("x" * 63)
@example("x" * wraps.FIELD_LIMIT)
def test_fields_open_again_and_hide_their_length(text: str) -> None:
    sealed = wraps.seal_field(KEY, b"name", text)
    assert wraps.open_field(KEY, b"name", sealed) == text
    blocks = -(-(2 + len(text.encode())) // 64)
    assert len(b64decode(sealed)) == 28 + 64 * blocks
    with pytest.raises(SealError):
        wraps.open_field(KEY, b"other", sealed)


def test_a_field_is_length_text_and_zeros() -> None:
    sealed = b64decode(wraps.seal_field(KEY, b"name", "Müller"))
    assert wraps.unwrap(KEY, b"name", sealed) == b"\0\x07" + "Müller".encode() + bytes(55)


def test_a_field_takes_4096_bytes_at_most() -> None:
    with pytest.raises(SealError):
        wraps.seal_field(KEY, b"name", "ü" * (wraps.FIELD_LIMIT // 2) + "x")


BAD_FIELDS = {
    "empty": b"", "one byte": b"\0", "no padding": b"\0\x01a", "63 bytes": bytes(63), "65 bytes": bytes(65),
    "a longer length": b"\0\x3f" + b"a" * 62, "the longest length": b"\xff\xff" + b"a" * 62,
    "padding that is not zero": b"\0\x01a" + b"b" * 61, "the last byte is not zero": b"\0\x01a" + bytes(60) + b"\1",
    "invalid UTF-8": b"\0\x01\xff" + bytes(61),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_refused_fields(name: str) -> None:
    with pytest.raises(SealError):
        wraps.open_field(KEY, b"", b64encode(wraps.wrap(KEY, b"", BAD_FIELDS[name])))


def test_a_field_is_base64() -> None:
    with pytest.raises(SealError):
        wraps.open_field(KEY, b"", wraps.seal_field(KEY, b"", "a")[:-1])


def test_label_codes_are_stable_and_tell_nothing() -> None:
    digest = hmac.new(KEY, b"HIV", hashlib.sha256).digest()
    assert wraps.label_code(KEY, "HIV") == f"l_{ids.digits(digest[:16])}"
    assert len({wraps.label_code(k, n) for k in (KEY, OTHER_KEY) for n in ("HIV", "PSY")}) == 4


PRIVATE = X25519PrivateKey.from_private_bytes(KEY)
PUBLIC = PRIVATE.public_key().public_bytes_raw()
INFO = shares.share_info(PATIENT, "ev_1", PUBLIC, BLOB)


def test_shares_open_for_their_receiver() -> None:
    expected = ("heartwood/share/v1", PATIENT, "ev_1", ids.key_id(0x10, PUBLIC), BLOB)
    assert "\0".join(expected).encode() == INFO
    share = shares.share_once(PUBLIC, INFO, b"secret")
    assert len(share) == 32 + 6 + 16 and shares.open_share(KEY, INFO, share) == b"secret"


def test_every_part_of_a_share_binds() -> None:
    share = shares.share_once(PUBLIC, INFO, b"secret")
    infos = [shares.share_info(*parts) for parts in (
        (RECORD, "ev_1", PUBLIC, BLOB), (PATIENT, "ev_2", PUBLIC, BLOB), (PATIENT, "ev_1", OTHER_KEY, BLOB),
        (PATIENT, "ev_1", PUBLIC, RECORD),
    )]  # fmt: skip
    wrong = [(KEY, info, share) for info in infos] + [(OTHER_KEY, INFO, share)]
    wrong += [(KEY, INFO, share[:n] + bytes([share[n] ^ 1]) + share[n + 1 :]) for n in (0, 32, 53)]
    wrong += [(KEY, INFO, share[:-1]), (KEY, INFO, share[:31]), (KEY, INFO, b"")]
    for private, info, data in wrong:
        with pytest.raises(SealError):
            shares.open_share(private, info, data)


@pytest.mark.parametrize("public", [bytes(32), (1).to_bytes(32, "little"), bytes([9] * 31), b""])
def test_unusable_reply_keys_are_refused(public: bytes) -> None:
    with pytest.raises(SealError):
        shares.share_once(public, INFO, b"secret")


@fast
@given(st.sampled_from(SIZES), st.integers(1, 40_000))
def test_a_content_is_sealed_again_as_it_was(size: int, piece: int) -> None:
    """Of any length, in pieces of any length: the same ciphertext, by its hash; and under no other key."""
    content, sealer = bytes(size), blobs.Sealer(KEY, CONTEXT)
    sealed = sealer.update(content) + sealer.finalize()
    header = sealed[: blobs.HEADER_BYTES]

    def pieces() -> Iterator[bytes]:
        return (content[start : start + piece] for start in range(0, size, piece))

    again = blobs.sealed_again(KEY, CONTEXT, header, pieces())
    assert again == sealer.sha256 == hashlib.sha256(sealed).digest()
    with pytest.raises(SealError):
        blobs.sealed_again(OTHER_KEY, CONTEXT, header, pieces())
