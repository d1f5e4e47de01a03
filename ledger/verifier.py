"""The verifier: re-hash, re-chain, re-check everything in an export, without trusting its server.

Pure: files come through `read`, bundles may be digested elsewhere, side by side.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from crypto.encoding import b64decode
from crypto.errors import CryptoError
from crypto.notes import VerifierKey
from crypto.texts import counted
from ledger.chain import Chain
from ledger.checkpoint import Checkpoint, open_checkpoint, parse_keys
from ledger.digest import BundleDigest, hashes_of
from ledger.directory import Member
from ledger.editions import edition_of
from ledger.entry import Entry, nested_event
from ledger.errors import LedgerError, ProofError, Tampered
from ledger.event import Event
from ledger.forms import KINDS, Signer
from ledger.handovers import followed, read_handovers
from ledger.layout import Read, check_tile
from ledger.logkeys import LogKeyRow, LogKeys, generations_of
from ledger.merkle import (
    HASH_BYTES,
    Frontier,
    check_consistency,
    consistency_proof,
    node_hash,
    root_of,
)
from ledger.policies import LOG, PolicyRow, last_policy, policy_at
from ledger.receipt import Receipt
from ledger.refusals import RefusalCounter
from ledger.remarks import Raised, Restored
from ledger.rows import Rows
from ledger.signers import check_edition, check_event, check_signer, created_ids, known_key
from ledger.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    split_bundle,
    tile_nodes,
    tile_path,
    tile_width,
)
from ledger.types import SIGNING, fold

_READINGS = frozenset(name for name, kind in KINDS.items() if kind.reading)


def read_checkpoint(
    read: Read, vkeys: Sequence[str] | None
) -> tuple[Checkpoint, list[VerifierKey]]:
    """The checkpoint, signed by every key of the log, and those keys.

    `vkeys` from outside are among them, or handed over to them in the log.
    """
    *own, end = read("log.vkey").decode("utf-8", "replace").split("\n")
    if end:
        raise Tampered("log.vkey: expected verifier keys, each on a line of its own")
    keys = _keys(own, "log.vkey")
    outside = keys if vkeys is None else _keys(vkeys, "the keys given from outside")
    apart = Tampered("log.vkey: holds other keys than those given from outside")
    if outside[0].name != keys[0].name or {k.kind for k in outside} != {k.kind for k in keys}:
        raise apart
    try:
        checkpoint = open_checkpoint(read("checkpoint"), keys)
    except CryptoError as error:
        if not set(outside) <= set(keys):
            raise apart from error
        raise Tampered(f"checkpoint: {str(error).removeprefix('checkpoint: ')}") from error
    if not set(outside) <= set(_followed(read, outside, checkpoint, keys)):
        raise apart
    return checkpoint, keys


def _keys(texts: Sequence[str], place: str) -> list[VerifierKey]:
    try:
        return parse_keys(texts)
    except CryptoError as error:
        raise Tampered(f"{place}: {error}") from error


def _followed(
    read: Read, outside: Sequence[VerifierKey], now: Checkpoint, keys: Sequence[VerifierKey]
) -> Sequence[VerifierKey]:
    """`outside` itself where it is among the `keys` of the checkpoint `now`, or is handed over to them; else nothing."""
    if set(outside) <= set(keys):
        return outside

    def there(path: str) -> bool:
        try:
            return bool(read(path))
        except Tampered:
            return False

    def check(shown: Checkpoint) -> None:
        check_extends(read, now, shown, "the hand-over of the log's keys")

    try:
        last = followed(outside, read_handovers(read, there), check)
    except ProofError as error:
        raise Tampered(f"handover: {error}") from error
    return outside if set(last) <= set(keys) else ()


@dataclass
class Counts:
    """What was checked."""

    entries: int = 0
    streams: int = 0
    accounts_keys: int = 0
    refusals: int = 0
    readings: int = 0


@dataclass
class LogVerifier:
    """Takes the bundles in order: chains, signers, ids, and the tree with all its tiles."""

    origin: str
    read: Read
    size: int
    counts: Counts = field(default_factory=Counts)
    created: Event | None = None
    """Entry 0's event."""
    restored: list[Restored] = field(default_factory=list)
    """What the log says it lost."""
    alarms: list[Raised] = field(default_factory=list)
    """What the key keeper found, as the log says."""

    def __post_init__(self) -> None:
        """Nothing taken so far."""
        self.log_keys = LogKeys(())
        self._chain = Chain()
        self._rows = Rows()
        self._upper = Frontier()
        self._tiles: dict[int, list[bytes]] = {}
        self._tail: list[bytes] = []
        self._signers: set[Signer] = set()
        self._refusals = RefusalCounter()
        self._roots: list[tuple[Restored, bytes]] = []

    def take(self, bundle: BundleDigest) -> None:
        """Check one bundle against all before it; raises Tampered with the entry's number."""
        if bundle.start != self._chain.size:
            raise Tampered(f"entry {self._chain.size}: got a bundle from {bundle.start} on")
        if bundle.streams and bundle.prev != self._chain.tip:
            raise Tampered(
                f"entry {bundle.start}: prev is not the hash of entry {bundle.start - 1}"
            )
        leaves = hashes_of(bundle.hashes)
        seq, whole, follow, signers = bundle.start, bundle.whole, self._chain.follow, self._signers
        ids_taken = self._take_ids(bundle)
        for stream, number, before, leaf, time, signer in zip(
            bundle.streams, bundle.numbers, bundle.befores, leaves, bundle.times, bundle.signers,
            strict=True,
        ):  # fmt: skip
            follow(stream, number, before, leaf, time)
            if seq in whole:
                self._in_order(seq, whole[seq])
            else:
                if signer not in signers or number == 0:
                    self._sign(seq, signer, stream, number, time)
                if not ids_taken:
                    self._take_each(seq, bundle.ids[seq - bundle.start])
                if signer.kind in _READINGS:
                    self.counts.readings += 1
            if number == 0:
                self.counts.streams += 1
            seq += 1
        self.counts.entries = seq
        self._check_skew(bundle)
        self._tile(0, bundle.start // TILE_WIDTH, bundle.hashes)
        if bundle.root:
            nodes: list[tuple[int, bytes]] = []
            self._upper.append(bundle.root, nodes)
            for level, node in nodes:
                self._node(level, node)
        else:
            self._tail = leaves

    def _take_ids(self, bundle: BundleDigest) -> bool:
        """Take all ids that a bundle's entries create, at once; False if they are to be looked at one by one:
        one was created before, or entries that are to be taken in order stand between."""
        if bundle.whole:
            return False
        ids, created = self._rows.ids, set(chain.from_iterable(bundle.ids))
        if len(created) < sum(map(len, bundle.ids)) or not ids.isdisjoint(created):
            return False
        ids |= created
        return True

    def _take_each(self, seq: int, new: Sequence[str]) -> None:
        ids = self._rows.ids
        if not ids.isdisjoint(new):
            twice = next(id_ for id_ in new if id_ in ids)
            raise Tampered(f"entry {seq}: got the id {twice}, which an earlier entry created")
        ids.update(new)

    def _check_skew(self, bundle: BundleDigest) -> None:
        """The authors' clocks, each by the policy in force at its entry.

        The worst of them tells, unless it is off by more than some policy allows that comes into force
        within the bundle: then each entry is looked at.
        """
        if not bundle.times:
            return
        rows = self._policies_within(bundle)
        worst, seq = bundle.skew
        if worst <= min(int(row.policy["clock_skew_ms"]) for row in rows):
            return
        if len(rows) == 1:
            raise Tampered(f"entry {seq}: its author's clock is {worst} ms off")
        path = tile_path("entries", bundle.start // TILE_WIDTH, len(bundle.times))
        for raw in split_bundle(self.read(path)):
            entry = Entry.parse(raw)
            skew = abs(entry.event.at - entry.time)
            if skew > self._skew_at(entry.link.seq, entry.time):
                raise Tampered(f"entry {entry.link.seq}: its author's clock is {skew} ms off")

    def _policies_within(self, bundle: BundleDigest) -> list[PolicyRow]:
        """The policies that may be in force at some entry of a bundle, which was taken: that at its first
        entry, and those that it sets or whose instant comes within it."""
        first, last = bundle.times[0], bundle.times[-1]
        begin = policy_at(self._rows, first, bundle.start)
        later = [
            row
            for row in self._rows.group(PolicyRow, LOG)
            if row.seq >= max(1, bundle.start) or first < row.since <= last
        ]
        return [begin, *later]

    def _skew_at(self, seq: int, time: int) -> int:
        return int(policy_at(self._rows, time, seq).policy["clock_skew_ms"])

    @property
    def time(self) -> int:
        """The time of the last entry taken, Unix ms; 0 without any."""
        return self._chain.time

    def finish(self, checkpoint: Checkpoint, registry: bytes, keys: Sequence[VerifierKey]) -> None:
        """The unfinished tiles, the root, and what entry 0 commits to; raises Tampered."""
        if self._chain.size != checkpoint.size:
            raise Tampered(
                f"the checkpoint says {counted(checkpoint.size, 'entry')}, there are {self._chain.size}"
            )
        for level, nodes in self._tiles.items():
            if nodes:
                number = (self.size >> (TILE_HEIGHT * level)) // TILE_WIDTH
                self._tile(level, number, b"".join(nodes))
        if self._root() != checkpoint.root:
            raise Tampered("checkpoint: its root is not that of the entries")
        node = tile_nodes(lambda level, number: _tile_of(self.read, self.size, level, number))
        for said, root in self._roots:
            if said.size != said.seq or root != root_of(said.seq, node):
                raise Tampered(
                    f"entry {said.seq}: says the log continued from another size or root"
                )
        if self.created is None:
            return
        body = self.created.body
        if body["origin"] != checkpoint.origin:
            raise Tampered(
                f"entry 0: is of the log {body['origin']}, the checkpoint of {checkpoint.origin}"
            )
        if b64decode(last_policy(self._rows).registry, 32) != hashlib.sha256(registry).digest():
            raise Tampered("registry.json: its SHA-256 is not the one that the log named last")
        self.log_keys = LogKeys(generations_of(self._rows.group(LogKeyRow, LOG)))
        if set(self.log_keys.at(checkpoint.size)) != set(keys):
            which = "entry 0 names" if len(self.log_keys.generations) == 1 else "the log names"
            raise Tampered(f"log.vkey: its keys are not those that {which}")
        self._check_handovers(checkpoint)

    def _check_handovers(self, now: Checkpoint) -> None:
        """There is a hand-over for each pair of generations, signed by the one and naming the other."""
        read, there = self.read, list(read_handovers(self.read, self._is_there))
        generations = self.log_keys.generations
        if len(there) != len(generations) - 1:
            raise Tampered(
                f"handover: got {len(there)}, expected {len(generations) - 1}, as the log names them"
            )
        for one, before, after in zip(there, generations, generations[1:], strict=False):
            try:
                shown, fresh = one.follow(before.keys, whole=True)
            except (CryptoError, LedgerError) as error:
                raise Tampered(f"handover: {error}") from error
            if fresh != after.keys:
                raise Tampered(f"handover: names other keys than entry {after.added}")
            check_extends(read, now, shown, "the hand-over of the log's keys")

    def _is_there(self, path: str) -> bool:
        try:
            return bool(self.read(path))
        except Tampered:
            return False

    def _sign(self, seq: int, signer: Signer, stream: str, number: int, time: int) -> None:
        """A plain entry's signer, who stays good until the directory changes (a term, an auditor's or a doctor's, ends by
        itself, so whoever has one is looked at each time)."""
        try:
            event = _as_signed(signer, stream, time)
            check_edition(event, self._rows)
            check_signer(event, signer.key, time, self._rows)
        except LedgerError as error:
            raise Tampered(f"entry {seq}: {error}") from error
        if number == 0:
            raise Tampered(f"entry {seq}: {stream} begins without patient.registered")
        member = self._rows.get(Member, event.actor, event.role, event.hospital)
        if member is None or not member.end:
            self._signers.add(signer)

    def _in_order(self, seq: int, raw: bytes) -> None:
        """An entry that changes who may sign, or that holds a refused reading."""
        try:
            self._whole(Entry.stored(raw))  # its digest has parsed it
        except LedgerError as error:
            raise Tampered(f"entry {seq}: {error}") from error

    def _whole(self, entry: Entry) -> None:
        event = entry.event
        check_event(event, entry.sig.key, entry.link.seq, entry.time, self.origin, self._rows)
        if event.type.name == "ledger.created":
            self.created = event
            if edition_of(b64decode(event.body["registry"], 32)) is None:
                raise Tampered("names a registry that this program does not know: use a later one")
        if event.type.name == "ledger.restored":
            said = Restored.of(entry)
            self.restored.append(said)
            self._roots.append((said, b64decode(event.body["root"], 32)))
        if event.type.name == "alarm.raised":
            self.alarms.append(Raised.of(entry))
        if event.type.name == "access.refused":
            self._refused(entry)
        self.counts.accounts_keys += event.type.name == "key.registered"
        self._rows.ids.update(created_ids(event, self._rows))
        if event.type.key in SIGNING:
            for row in fold(entry, self._rows):
                self._rows.put(row)
                self._signers.clear()

    def _refused(self, entry: Entry) -> None:
        """The event inside is of somebody whose key it is, of its time, and one of not too many.

        Whether key and role were active is for the rules to say, from the second version on (S0).
        """
        inner, sig = nested_event(entry.event)
        check_edition(inner, self._rows)
        if entry.event.type.v == 1:
            check_signer(inner, sig.key, entry.time, self._rows)
        else:
            known_key(inner, sig.key, self._rows)
            limit = policy_at(self._rows, entry.time, entry.link.seq).policy["refusals_per_hour"]
            if over := self._refusals.take(inner.subject, inner.actor, sig.key, entry.time, limit):
                raise Tampered(over)
        if abs(inner.at - entry.time) > self._skew_at(entry.link.seq, entry.time):
            raise Tampered("the refused event's clock is off by too much")
        self.counts.refusals += 1

    def _node(self, level: int, node: bytes) -> None:
        """A node above the full bundles: on every eighth level, an element of a tile."""
        above, rest = divmod(level, TILE_HEIGHT)
        if rest:
            return
        nodes = self._tiles.setdefault(above + 1, [])
        nodes.append(node)
        if len(nodes) == TILE_WIDTH:
            # The number of the last bundle names the tile that is now full.
            number = (self._upper.size - 1) >> (TILE_HEIGHT * (above + 1))
            self._tile(above + 1, number, b"".join(nodes))
            nodes.clear()

    def _tile(self, level: int, number: int, hashes: bytes) -> None:
        path = tile_path(level, number, len(hashes) // HASH_BYTES)
        if self.read(path) != hashes:
            raise Tampered(f"{path}: its hashes are not those of the entries")

    def _root(self) -> bytes:
        """The root over the full bundles and the last, unfinished one."""
        tail = Frontier()
        for leaf in self._tail:
            tail.append(leaf)
        if not self._tail:
            return self._upper.root()
        return tail.root() if not self._upper.size else _join(self._upper, tail.root())


def _as_signed(signer: Signer, stream: str, time: int) -> Event:
    """The event as far as the right to sign it goes."""
    acting = {"role": signer.role} | ({"hospital": signer.hospital} if signer.hospital else {})
    value = {"actor": signer.actor, "as": acting, "body": {}, "id": "", "stream": stream}
    return Event.checked(b"", value, KINDS[signer.kind], time)


def _join(upper: Frontier, root: bytes) -> bytes:
    for left in reversed(upper.stack):
        root = node_hash(left, root)
    return root


def check_at_least(
    read: Read, now: Checkpoint, receipt: bytes, keys: Sequence[VerifierKey]
) -> Checkpoint:
    """An older receipt's checkpoint is a prefix of the log of `now`; its entry stands in it. Raises Tampered."""
    try:
        old = Receipt.parse(receipt)
        checkpoint = old.verify(keys)
    except (LedgerError, CryptoError) as error:
        raise Tampered(f"the older receipt is not valid: {error}") from error
    check_extends(read, now, checkpoint, "the older receipt")
    return checkpoint


def check_extends(read: Read, now: Checkpoint, older: Checkpoint, what: str) -> None:
    """The log of `now` extends the `older` checkpoint, which `what` holds; raises Tampered.

    By a proof that both roots must bear out, so that the tiles need not have been checked.
    """
    if older.size > now.size:
        raise Tampered(
            f"the log was cut short: {what} knows {counted(older.size, 'entry')}, this log has {now.size}"
        )
    node = tile_nodes(lambda level, number: _tile_of(read, now.size, level, number))
    try:
        proof = consistency_proof(older.size, now.size, node)
        check_consistency(older.size, older.root, now.size, now.root, proof)
    except (ProofError, LookupError) as error:
        raise Tampered(
            f"the log does not extend {what}'s checkpoint of size {older.size}"
        ) from error


def _tile_of(read: Read, size: int, level: int, number: int) -> bytes:
    path = tile_path(level, number, tile_width(size, level, number))
    return check_tile(path, read(path), size, level, number)
