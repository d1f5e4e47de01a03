"""Checks on entry bundles that need nothing from other bundles; they run side by side.

What they leave to be checked in order goes into small digests.
"""

from binascii import a2b_base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from crypto.encoding import b64decode, b64encode
from crypto.errors import CryptoError
from crypto.ids import ALGORITHM_ED25519, key_id
from crypto.signing import verify
from ledger.entry import Entry, nested_event
from ledger.errors import LedgerError, Tampered
from ledger.forms import PLAIN_TYPES, Form, Place, Signer, kind_of, plain_form, signer_of
from ledger.merkle import HASH_BYTES, leaf_hash, perfect_root, root_from_path
from ledger.messages import bundle_message, event_message
from ledger.tiles import TILE_WIDTH, split_bundle


@dataclass(frozen=True, slots=True)
class BundleDigest:
    """One entry bundle, and of its entries what is checked in order, a list for each.

    Lists of one kind each are small on their way from process to process, which millions of entries go.
    """

    start: int
    prev: bytes
    """What the first entry says of the one before."""
    hashes: bytes
    """The leaf hashes."""
    root: bytes
    """Their root if the bundle is full."""
    streams: tuple[str, ...]
    numbers: tuple[int, ...]
    """The entries' numbers in their streams."""
    befores: tuple[bytes, ...]
    """The hashes of the entries before, in their streams."""
    times: tuple[int, ...]
    """Unix ms."""
    ids: tuple[tuple[str, ...], ...]
    """The ids created."""
    signers: tuple[Signer, ...]
    whole: dict[int, bytes]
    """The bytes of the entries that are of no plain type, by number."""
    skew: tuple[int, int]
    """Most ms between an author's clock and its entry's time, and the number of that entry."""


Checked = set[tuple[str, str, bytes]]
"""Bundle signatures (key, value, message) that were found good."""


def digest_bundle(
    start: int, data: bytes, origin: str, keys: Mapping[str, bytes] | None
) -> BundleDigest:
    """Check the bundle whose first entry is `start`; raises Tampered, the message names the entry.

    `keys`: public keys by key id, or None to leave signatures out.
    """
    hashes: list[bytes] = []
    places: list[Place] = []
    whole: dict[int, bytes] = {}
    checked: Checked = set()
    number, raws = start, _split(start, data)
    time, skew = 0, (0, start)
    previous = first = b""
    try:
        for raw in raws:
            form = plain_form(raw) or long_form(raw)
            kind, _, at, seq, prev, _, _, place = form
            if keys is not None:
                _check_signature(form, origin, keys, checked)
                if kind.name == "access.refused":
                    _check_inner(Entry.parse(raw), origin, keys, checked)
            if seq != number:
                raise Tampered(f"got the number {seq}")
            if previous and prev != previous:
                raise Tampered(f"prev is not the hash of entry {number - 1}")
            if place[3] < time:
                raise Tampered("its time is before that of the previous entry")
            first, time = first or prev, place[3]
            if abs(at - time) > skew[0]:
                skew = (abs(at - time), number)
            if kind.name not in PLAIN_TYPES:
                whole[number] = raw
            previous = leaf_hash(raw)
            hashes.append(previous)
            places.append(place)
            number += 1
    except (LedgerError, CryptoError) as error:
        raise Tampered(f"entry {number}: {error}") from error
    root = perfect_root(hashes) if len(hashes) == TILE_WIDTH else b""
    columns: Iterable[tuple[Any, ...]] = zip(*places, strict=True) if places else [()] * 6
    streams, numbers, befores, times, ids, signers = columns
    return BundleDigest(
        start, first, b"".join(hashes), root, streams, numbers, befores, times, ids, signers, whole, skew
    )  # fmt: skip


def long_form(raw: bytes) -> Form:
    """The form of any entry, by the parser; raises EventError with what is wrong."""
    entry = Entry.parse(raw)
    event, link, sig = entry.event, entry.link, entry.sig
    bundle = None
    if sig.size:
        path = ",".join(f'"{b64encode(node)}"' for node in sig.path)
        bundle = (str(sig.index), path, str(sig.size))
    signer = signer_of(
        kind_of(event.type), event.actor, event.role, event.hospital, event.stream, sig.key
    )
    ids = (event.id, *(event.body[m] for m in event.type.creates))
    place = (event.stream, link.stream_seq, link.stream_prev, entry.time, ids, signer)
    value = b64encode(sig.value)
    return Form(event.type, event.raw, event.at, link.seq, link.prev, value, bundle, place)


def _check_signature(form: Form, origin: str, keys: Mapping[str, bytes], checked: Checked) -> None:
    """The author's signature over the event, or over the bundle it is of; a bundle's once."""
    key = form.place[5].key
    public = keys.get(key)
    if public is None:
        raise Tampered(f"signed by {key}, a key that no entry registers")
    value = a2b_base64(form.value)
    if form.bundle is None:
        return verify(public, value, _prefix(origin) + form.event)
    index, path, size = form.bundle
    nodes = [a2b_base64(node) for node in path.replace('"', "").split(",") if node]
    root = root_from_path(int(index), int(size), leaf_hash(form.event), nodes)
    message = bundle_message(origin, int(size), root)
    if (key, form.value, message) not in checked:
        verify(public, value, message)
        checked.add((key, form.value, message))


@cache
def _prefix(origin: str) -> bytes:
    """What stands before an event in what is signed for it."""
    return event_message(origin, b"")


def _check_inner(entry: Entry, origin: str, keys: Mapping[str, bytes], checked: Checked) -> None:
    """The signature of the refused reading inside."""
    event, sig = nested_event(entry.event)
    public = keys.get(sig.key)
    if public is None:
        raise Tampered(f"the reading inside is signed by {sig.key}, a key that no entry registers")
    verify(public, sig.value, sig.message(origin, event.raw))


def registered_keys(start: int, data: bytes) -> dict[str, bytes]:
    """The signing keys that the entries of the bundle from `start` on put into the log, by key id.

    A key id is a hash of its key, so what is found here can't be a wrong key for the id; whether it
    counts is checked in order.
    """
    if b'"key.registered"' not in data and b'"ledger.created"' not in data:
        return {}
    found = {}
    for number, raw in enumerate(_split(start, data), start):
        try:
            entry = Entry.parse(raw)
        except LedgerError as error:
            raise Tampered(f"entry {number}: {error}") from error
        body, name = entry.event.body, entry.event.type.name
        named = [body] if name == "key.registered" and body["algorithm"] == "ed25519" else []
        if name == "ledger.created":
            named = [body["operator"], body["service"]]
        for key in named:
            public = b64decode(key["public_key"], 32)
            if key["key"] == key_id(ALGORITHM_ED25519, public):
                found[key["key"]] = public
    return found


def _split(start: int, data: bytes) -> list[bytes]:
    try:
        return split_bundle(data)
    except LedgerError as error:
        raise Tampered(f"the bundle from entry {start} on: {error}") from error


def hashes_of(data: bytes) -> list[bytes]:
    """The single hashes of a tile."""
    return [data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]
