"""Signatures over events, bundles and receipts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import canonical
from crypto.encoding import b64encode
from crypto.errors import CryptoError, SignatureError
from crypto.signing import SigningKey, verify
from ledger.errors import EventError, LedgerError, ProofError
from ledger.event import BUNDLE_LIMIT, Event, Signature, sign_bundle, sign_event
from ledger.merkle import leaf_hash, path_lengths
from ledger.messages import bundle_message, event_message, possession_message
from ledger.receipt import Receipt
from tests.golden import make
from tests.support.json_changes import Change, changed, drop, put
from tests.support.memory_log import MemoryLog
from tests.support.naive_tree import tree_hash

ORIGIN, KEY = make.ORIGIN, SigningKey(bytes(32))
UPLOADED = make.EVENTS["record.uploaded", 1]


def test_what_is_signed() -> None:
    event = Event.of(UPLOADED)
    assert (
        event_message(ORIGIN, event.raw) == f"heartwood/event/v1\n{ORIGIN}\n".encode() + event.raw
    )
    root = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    text = f"heartwood/bundle/v1\n{ORIGIN}\n12\n{root}\n"
    assert bundle_message(ORIGIN, 12, bytes(range(32))) == text.encode()
    text = f"heartwood/key/v1\n{ORIGIN}\n{make.DOCTOR}\n{KEY.id}\n"
    assert possession_message(ORIGIN, make.DOCTOR, KEY.id) == text.encode()


def test_a_signature_counts_in_one_log() -> None:
    event = Event.of(UPLOADED)
    sig = sign_event(KEY, ORIGIN, event.raw)
    verify(KEY.public, sig.value, sig.message(ORIGIN, event.raw))
    for message in (sig.message(ORIGIN + "x", event.raw), sig.message(ORIGIN, event.raw + b" ")):
        with pytest.raises(SignatureError):
            verify(KEY.public, sig.value, message)


def good(sig: Signature, event: bytes) -> bool:
    try:
        verify(KEY.public, sig.value, sig.message(ORIGIN, event))
    except (SignatureError, ValueError):
        return False
    return True


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 100, BUNDLE_LIMIT])
def test_every_event_of_a_bundle_stands_alone(size: int) -> None:
    events = [b"event %d" % number for number in range(size)]
    sigs = sign_bundle(KEY, ORIGIN, events)
    leaves = [leaf_hash(event) for event in events]
    assert KEY.sign(bundle_message(ORIGIN, size, tree_hash(leaves))) == sigs[0].value
    for index in {0, size // 2, size - 1}:
        sig = Signature.parse(sigs[index].json())
        assert sig == sigs[index] and good(sig, events[index])
        assert not good(sig, events[index] + b"x")
        assert size == 1 or not good(sig, events[index - 1])


def test_bundles_hold_1_to_1000_events() -> None:
    for count in (0, BUNDLE_LIMIT + 1):
        with pytest.raises(EventError, match="1 to 1000"):
            sign_bundle(KEY, ORIGIN, [b"event"] * count)


def test_a_bundle_of_one_is_no_signature_of_the_event() -> None:
    alone, bundled = sign_event(KEY, ORIGIN, b"event"), sign_bundle(KEY, ORIGIN, [b"event"])[0]
    assert not good(Signature(KEY.id, bundled.value), b"event")
    assert not good(Signature(KEY.id, alone.value, 0, 1), b"event")


BUNDLED = sign_bundle(KEY, ORIGIN, [b"%d" % number for number in range(500)])[5].json()
NODE = "A" * 43 + "="
BUNDLE_CHANGES: dict[str, Change] = {
    **{f"no {member}": drop(f"bundle.{member}") for member in ("index", "path", "size")},
    "an unknown member": put("bundle.extra", 1),
    "not an object": put("bundle", [5, 500]),
    "index below 0": put("bundle.index", -1),
    "index is size": put("bundle.index", 500),
    "index is true": put("bundle.index", True),
    "index is a text": put("bundle.index", "5"),
    "size 0": put("bundle.size", 0),
    "size is a text": put("bundle.size", "500"),
    "size 1001": put("bundle.size", BUNDLE_LIMIT + 1),
    "a size of another path length": put("bundle.size", 5_00 // 2),
    "an index of another path length": put("bundle.index", 499),
    "a hash less": put("bundle.path", BUNDLED["bundle"]["path"][:-1]),
    "a hash more": put("bundle.path", [*BUNDLED["bundle"]["path"], NODE]),
    "no hashes": put("bundle.path", []),
    "a path that is a text": put("bundle.path", NODE),
    "a hash of 31 bytes": put("bundle.path.0", "A" * 40 + "AA=="),
    "a hash with loose bits": put("bundle.path.0", "A" * 42 + "B="),
    "a hash that is a number": put("bundle.path.0", 1),
}


@pytest.mark.parametrize("name", BUNDLE_CHANGES)
def test_refused_bundle_signatures(name: str) -> None:
    with pytest.raises(EventError):
        Signature.parse(changed(BUNDLED, BUNDLE_CHANGES[name]))


def test_a_bundle_of_1001_is_refused_whatever_its_path() -> None:
    path = [NODE] * path_lengths(5, BUNDLE_LIMIT + 1)
    changes = put("bundle.size", BUNDLE_LIMIT + 1), put("bundle.path", path)
    with pytest.raises(EventError, match="at most 1000"):
        Signature.parse(changed(BUNDLED, *changes))


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 499), st.integers(1, BUNDLE_LIMIT), st.integers(0, 8))
def test_another_place_in_the_bundle_does_not_verify(index: int, size: int, flip: int) -> None:
    value = changed(BUNDLED, put("bundle.index", index), put("bundle.size", size))
    try:
        sig = Signature.parse(value)
    except EventError:
        return
    assert good(sig, b"5") == ((index, size) == (5, 500))
    nodes = [bytes(32) if number == flip else node for number, node in enumerate(sig.path)]
    assert not good(Signature(sig.key, sig.value, index, size, tuple(nodes)), b"5")


# Receipts

LOG = MemoryLog()
LOG.admin(LOG.hospital())
KEYS = LOG.signer.keys
RECEIPT = LOG.receipt(2)
TEXT = RECEIPT.text()


def test_every_entry_has_a_receipt_under_every_later_checkpoint() -> None:
    for size in range(1, len(LOG.entries) + 1):
        for seq in range(size):
            receipt = Receipt.parse(LOG.receipt(seq, size).text())
            assert receipt.entry == LOG.entries[seq].raw
            assert receipt.verify(KEYS).size == receipt.verify_path().size == size


def test_a_receipt_is_a_tlog_proof() -> None:
    lines = TEXT.split(b"\n")
    assert lines[0] == b"c2sp.org/tlog-proof@v1" and lines[2] == b"index 2"
    assert lines[1] == b"extra " + b64encode(LOG.entries[2].raw).encode()
    assert lines[3 : 3 + len(RECEIPT.path)] == [b64encode(n).encode() for n in RECEIPT.path]
    assert TEXT.endswith(b"\n\n" + RECEIPT.checkpoint) and Receipt.parse(TEXT) == RECEIPT


@settings(deadline=None, max_examples=300)
@given(st.integers(0, len(TEXT) - 1), st.binary(max_size=2))
def test_an_altered_receipt_proves_nothing(at: int, new: bytes) -> None:
    """What still parses writes back to its bytes; what still verifies says the same."""
    altered = TEXT[:at] + new + TEXT[at + max(len(new), 1) :]
    try:
        receipt = Receipt.parse(altered)
    except ProofError:
        return
    assert receipt.text() == altered
    if altered == TEXT:
        return
    with pytest.raises((LedgerError, CryptoError)):
        receipt.verify(KEYS)


HASH = b64encode(bytes(32)).encode()
BAD_RECEIPTS = {
    "nothing": b"",
    "another version": TEXT.replace(b"@v1", b"@v2"),
    "no checkpoint": TEXT.split(b"\n\n")[0],
    "no index": TEXT.replace(b"index 2\n", b""),
    "no extra": b"\n".join([TEXT.split(b"\n")[0], *TEXT.split(b"\n")[2:]]),
    "index before extra": TEXT.replace(b"extra ", b"index ", 1).replace(b"index 2", b"extra 2"),
    "a leading zero": TEXT.replace(b"index 2", b"index 02"),
    "a sign": TEXT.replace(b"index 2", b"index +2"),
    "two spaces": TEXT.replace(b"index 2", b"index  2"),
    "an index below 0": TEXT.replace(b"index 2", b"index -2"),
    "an entry that is no base64": TEXT.replace(b"extra ", b"extra -"),
    "a hash of 31 bytes": TEXT.replace(b"index 2\n", b"index 2\n" + b"A" * 40 + b"AA==\n"),
    "a hash beyond ASCII": TEXT.replace(b"index 2\n", "index 2\né\n".encode()),
    "64 hashes": TEXT.replace(b"index 2\n", b"index 2\n" + (HASH + b"\n") * 64),
    "carriage returns": TEXT.replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("name", BAD_RECEIPTS)
def test_refused_receipts(name: str) -> None:
    assert BAD_RECEIPTS[name] != TEXT
    with pytest.raises(ProofError):
        Receipt.parse(BAD_RECEIPTS[name])


FALSE_RECEIPTS = {
    "another entry": Receipt(LOG.entries[1].raw, 2, RECEIPT.path, RECEIPT.checkpoint),
    "another place": Receipt(RECEIPT.entry, 3, RECEIPT.path, RECEIPT.checkpoint),
    "an index beyond the log": Receipt(RECEIPT.entry, 99, RECEIPT.path, RECEIPT.checkpoint),
    "a path less": Receipt(RECEIPT.entry, 2, RECEIPT.path[:-1], RECEIPT.checkpoint),
    "a path more": Receipt(RECEIPT.entry, 2, (*RECEIPT.path, bytes(32)), RECEIPT.checkpoint),
    "another path": Receipt(RECEIPT.entry, 2, RECEIPT.path[::-1], RECEIPT.checkpoint),
    "an earlier checkpoint": Receipt(RECEIPT.entry, 2, RECEIPT.path, LOG.checkpoint(3)),
    "another log's checkpoint": Receipt(
        RECEIPT.entry, 2, RECEIPT.path, MemoryLog(origin="log.example/other").checkpoint()
    ),
    "no checkpoint": Receipt(RECEIPT.entry, 2, RECEIPT.path, b""),
    "a checkpoint with one signature": Receipt(
        RECEIPT.entry,
        2,
        RECEIPT.path,
        RECEIPT.checkpoint[: RECEIPT.checkpoint[:-1].rindex(b"\n") + 1],
    ),
}


@pytest.mark.parametrize("name", FALSE_RECEIPTS)
def test_false_receipts(name: str) -> None:
    with pytest.raises((LedgerError, CryptoError)):
        FALSE_RECEIPTS[name].verify(KEYS)


def test_a_receipt_needs_every_key_of_the_log() -> None:
    other = MemoryLog(origin="log.example/other").signer.keys
    with pytest.raises(CryptoError):
        RECEIPT.verify([KEYS[0], other[1]])
    with pytest.raises(CryptoError):
        RECEIPT.verify(other)


@given(st.integers(1, 40), st.data())
def test_the_bytes_in_an_entry_are_the_canonical_json(size: int, data: st.DataObject) -> None:
    events = [b"event %d" % n for n in range(size)]
    signatures = [*sign_bundle(KEY, ORIGIN, events), sign_event(KEY, ORIGIN, events[0])]
    one = data.draw(st.sampled_from(signatures))
    assert one.canonical() == canonical.write(one.json())
