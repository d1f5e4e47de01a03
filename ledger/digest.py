"""Checks on entry bundles that need nothing from other bundles; they run side by side.

What they leave to be checked in order goes into small digests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from crypto.encoding import b64decode
from crypto.errors import CryptoError
from crypto.ids import ALGORITHM_ED25519, key_id
from crypto.signing import verify
from ledger.entry import Entry, nested_reading
from ledger.errors import LedgerError, Tampered
from ledger.event import Event, Signature
from ledger.merkle import HASH_BYTES, Frontier, leaf_hash
from ledger.registry import REGISTRY
from ledger.tiles import TILE_WIDTH, split_bundle

IN_ORDER = frozenset(
    name for name, _ in REGISTRY if not name.startswith("record.") and name != "history.opened"
) - {"access.granted", "access.revoked"}
"""Types that change who may sign, or hold another's event: their entries are looked at whole, in order."""


class Digest(NamedTuple):
    """What is checked in order: the place in the chains, the times (Unix ms), the signer."""

    stream_seq: int
    stream_prev: bytes
    time: int
    at: int
    key: str
    event: dict[str, Any]
    """The event without what needs no order: of its body, only the ids that it creates."""
    raw: bytes
    """The whole entry, for the types in `IN_ORDER`; else empty."""


@dataclass(frozen=True, slots=True)
class BundleDigest:
    """One entry bundle: the first entry's `prev`, the leaf hashes, their root if full, the digests."""

    start: int
    prev: bytes
    hashes: bytes
    root: bytes
    entries: list[Digest]


def digest_bundle(
    start: int, data: bytes, origin: str, keys: Mapping[str, bytes] | None
) -> BundleDigest:
    """Check the bundle whose first entry is `start`; raises Tampered, the message names the entry.

    `keys`: public keys by key id, or None to leave signatures out.
    """
    frontier, hashes, digests = Frontier(), [], []
    bundles: set[tuple[str, bytes, bytes]] = set()
    previous, time = b"", 0
    first = b""
    number = start
    try:
        for raw in split_bundle(data):
            entry = Entry.parse(raw)
            leaf = leaf_hash(raw)
            if entry.link.seq != number:
                raise Tampered(f"got the number {entry.link.seq}")
            if previous and entry.link.prev != previous:
                raise Tampered(f"prev is not the hash of entry {number - 1}")
            if entry.time < time:
                raise Tampered("its time lies before that of the entry before")
            if keys is not None:
                check_signatures(entry, origin, keys, bundles)
            first = first or entry.link.prev
            previous, time = leaf, entry.time
            frontier.append(leaf, _ignore)
            hashes.append(leaf)
            digests.append(_digest(entry))
            number += 1
    except (LedgerError, CryptoError) as error:
        raise Tampered(f"entry {number}: {error}") from error
    root = frontier.root() if len(hashes) == TILE_WIDTH else b""
    return BundleDigest(start, first, b"".join(hashes), root, digests)


def check_signatures(
    entry: Entry, origin: str, keys: Mapping[str, bytes], bundles: set[tuple[str, bytes, bytes]]
) -> None:
    """The entry's signature, and that of a refused reading inside; a bundle's is checked once."""
    _check(entry.event, entry.sig, origin, keys, bundles)
    if entry.event.type.name == "access.refused":
        _check(*nested_reading(entry.event), origin, keys, bundles)


def _check(
    event: Event,
    sig: Signature,
    origin: str,
    keys: Mapping[str, bytes],
    bundles: set[tuple[str, bytes, bytes]],
) -> None:
    public = keys.get(sig.key)
    if public is None:
        raise Tampered(f"signed by {sig.key}, a key that no entry registers")
    message = sig.message(origin, event.raw)
    if not sig.size:
        return verify(public, sig.value, message)
    if (sig.key, sig.value, message) not in bundles:
        verify(public, sig.value, message)
        bundles.add((sig.key, sig.value, message))


def _digest(entry: Entry) -> Digest:
    event, link = entry.event, entry.link
    value, body, name = event.value, event.body, event.type.name
    raw = entry.raw if name in IN_ORDER else b""
    slim = {
        "actor": value["actor"],
        "as": value["as"],
        "body": {} if raw else {m: body[m] for m in event.type.creates},
        "id": value["id"],
        "stream": value["stream"],
        "type": name,
        "v": value["v"],
    }
    if name == "access.granted":
        slim["body"] = body
    return Digest(link.stream_seq, link.stream_prev, entry.time, event.at, entry.sig.key, slim, raw)


def registered_keys(start: int, data: bytes) -> dict[str, bytes]:
    """The signing keys that the entries of the bundle from `start` on put into the log, by key id.

    A key id is a hash of its key, so what is found here can't be a wrong key for the id; whether it
    counts is checked in order.
    """
    if b'"key.registered"' not in data and b'"ledger.created"' not in data:
        return {}
    found = {}
    for number, raw in enumerate(split_bundle(data), start):
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


def _ignore(level: int, node: bytes) -> None:
    """The nodes of a bundle's own tree are not needed one by one."""


def hashes_of(data: bytes) -> list[bytes]:
    """The single hashes of a tile."""
    return [data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]
