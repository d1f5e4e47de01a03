"""Reading one log: its head, its entries and views as of now, and the proofs of them. Nothing here opens a record."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from crypto.notes import VerifierKey
from durable.errors import NotFound
from ledger.entry import Entry
from ledger.errors import ProofError
from ledger.facts import Grant, Record
from ledger.handovers import HandOver
from ledger.merkle import HASH_BYTES, consistency_proof, inclusion_path, root_of
from ledger.policies import LOG, Policy, PolicyRow, policy_in_force
from ledger.receipt import Receipt
from ledger.rows import Rows
from ledger.tiles import TILE_HEIGHT, TILE_WIDTH, join_bundle
from ledger.witnesses import WitnessPolicy
from storage.log import publication_due
from storage.logkeys import hand_overs, keys_in
from storage.sql.database import Database
from storage.sql.entries import EntryStore, Head, Published
from storage.sql.rowcache import live_grants, records_of
from storage.sql.rows import shape
from storage.stores import restorations

R = TypeVar("R")
ENTRIES_KEPT = 4_096
"""Entries, and numbers of keys' entries, kept in memory."""
BACKWARDS = 500
"""Entries of a stream read at a time, from its end."""


@dataclass
class LogReader:
    """What whoever only asks gets. Thread-safe."""

    origin: str
    vkeys: Sequence[VerifierKey]
    """The log's verifier keys: of an open ledger all generations (`StoredKeys`)."""
    clock: Callable[[], int]
    """Unix ms."""
    database: Database
    store: EntryStore
    witnesses: WitnessPolicy | None = field(default=None, kw_only=True)
    """Whose cosignatures make a checkpoint, and so a receipt, final; None: nobody's."""
    _entries: dict[int, Entry] = field(default_factory=dict, kw_only=True)
    _cosigned: tuple[WitnessPolicy | None, bytes] = field(default=(None, b""), kw_only=True)
    """The last note that was seen to meet the policy, and that policy."""
    _restored: tuple[int, tuple[Entry, ...]] = field(default=(0, ()), kw_only=True)
    """Up to which entry the log was looked at for restorations, and those that were found."""

    @property
    def policy(self) -> Policy:
        """The policy in force now."""
        return policy_in_force(self.policies(), max(self.clock(), self.head().time))

    def policies(self) -> Rows:
        """Every policy that the log names, in force or not."""
        rows = Rows()
        for row in self.rows(PolicyRow, "log", LOG):
            rows.put(row)
        return rows

    def head(self) -> Head:
        """Where the log ends now."""
        return self._head(self.store.head_now())

    def row(self, kind: type[R], *key: str) -> R | None:
        """One row of directory or facts as of now, or None; cheap, as it is asked for with each request in a session."""
        form = shape(cast(Any, kind))
        found = self.database.fetch(form.one, key)
        return form.decode(found[0]) if found else None

    def rows(self, kind: type[R], column: str, value: str | bool) -> list[R]:
        """The rows of a kind with `value` in `column`, in no order that counts."""
        form = shape(cast(Any, kind))
        statement = f'SELECT {form.columns} FROM "{form.table.name}" WHERE "{form.table.c[column].name}" = ?'
        with self.database.read() as connection:
            result = connection.exec_driver_sql(self.database.sql(statement), (value,))
            return [form.decode(row) for row in result]

    def live_grants(self, patient: str, time: int) -> list[Grant]:
        """A patient's grants that are live at `time` (Unix ms) or later, in no order that counts; what ended costs nothing."""
        with self.database.read() as connection:
            return live_grants(self.database, connection, [(patient,)], time)

    def records_of(self, patient: str) -> list[Record]:
        """A patient's records as of now, in the order of their creation."""
        with self.database.read() as connection:
            found = records_of(self.database, connection, [patient])
        return sorted(found, key=lambda record: record.seq)

    def entry(self, seq: int) -> Entry:
        """One entry; raises NotFound."""
        with self.database.read() as connection:
            return Entry.parse(self.store.entry(connection, seq))

    def entries(self, seqs: Iterable[int]) -> dict[int, Entry]:
        """Several entries by their numbers; raises NotFound."""
        with self.database.read() as connection:
            return {seq: Entry.stored(self.store.entry(connection, seq)) for seq in seqs}

    def stream(self, name: str, below: int) -> list[Entry]:
        """A stream's entries with numbers below `below`, in order."""
        with self.database.read() as connection:
            return [Entry.parse(raw) for raw in self.store.stream(connection, name, below)]

    def tail(self, name: str, count: int) -> list[Entry]:
        """A stream's last entries, at most `count`, the newest first."""
        with self.database.read() as connection:
            return [Entry.stored(raw) for raw in self.store.tail(connection, name, count)]

    def backwards(self, name: str, most: int) -> Iterator[Entry]:
        """A stream's last entries, at most `most`, the newest first, read as they are asked for."""
        below = 2**63 - 1
        while most > 0:
            with self.database.read() as connection:
                raws = self.store.tail(connection, name, min(most, BACKWARDS), below)
            found = [Entry.stored(raw) for raw in raws]
            yield from found
            if len(found) < BACKWARDS:
                return
            most, below = most - len(found), found[-1].link.stream_seq

    def restorations(self, below: int) -> list[Entry]:
        """Every `ledger.restored` with a number below `below`, in order; no entry is looked at twice for it."""
        seen, found = self._restored
        if seen < below:
            found = (*found, *restorations(self.store, below, seen))
            self._restored = below, found
        return [entry for entry in found if entry.link.seq < below]

    def receipt(self, seq: int) -> tuple[Receipt, bool]:
        """The receipt of entry `seq`, and whether it is final.

        Final under the first published checkpoint that covers it and, if there is a witness policy, was cosigned
        as that demands; before that, provisional, under the newest one. A checkpoint that is due is published first.
        """
        self.publish()
        raw, found = self.store.covered(seq)
        if found is None or (self._demands and not found.cosigned):
            head = self.head()
            return self._receipt(seq, raw, head.size, head.checkpoint), False
        return self._receipt(seq, raw, found.size, found.note), True

    @property
    def _demands(self) -> bool:
        return self.witnesses is not None and self.witnesses.demands

    def cosigned(self) -> Published | None:
        """The newest checkpoint whose cosignatures meet the policy; None without a policy, or before the first."""
        if self.witnesses is None:
            return None
        found = self.store.cosigned_now() if self.witnesses.demands else None
        policy, note = self._cosigned
        if found is None or (found.note == note and policy is self.witnesses):
            return found
        if not meets(found.note, self.witnesses, self.vkeys):
            return None
        self._cosigned = self.witnesses, found.note
        return found

    def checkpoint(self) -> bytes:
        """The newest checkpoint, with cosignatures if it has them by now."""
        head = self.head()
        found = self.cosigned()
        return found.note if found is not None and found.size == head.size else head.checkpoint

    def handovers(self) -> list[HandOver]:
        """The hand-overs of the log's keys, in order."""
        size = self.head().size
        with self.database.read() as connection:
            keys = keys_in(self.store, connection)
        return hand_overs(self.store, keys, size)

    def receipts_now(self, seqs: Sequence[int]) -> list[Receipt]:
        """Receipts of several entries under the newest checkpoint."""
        with self.database.read() as connection:
            raws = [self.store.entry(connection, seq) for seq in seqs]
            head = self._head(self.store.head(connection))
        return [
            self._receipt(seq, raw, head.size, head.checkpoint)
            for seq, raw in zip(seqs, raws, strict=True)
        ]

    def kept_entry(self, seq: int) -> Entry:
        """An entry that is asked for again and again, kept for the next time; raises NotFound."""
        entry = self._entries.get(seq)
        if entry is None:
            if len(self._entries) >= ENTRIES_KEPT:
                self._entries.clear()
            with self.database.read() as connection:
                entry = self._entries[seq] = Entry.stored(self.store.entry(connection, seq))
        return entry

    def prove(self, old: int, new: int) -> list[bytes]:
        """The consistency proof between two sizes."""
        return consistency_proof(old, new, self.store.tree(new))

    def consistency(self, old: int, new: int) -> list[bytes]:
        """`prove` for sizes from outside: raises ProofError for those that have no proof, NotFound for later ones."""
        if not 0 < old <= new:
            raise ProofError(f"got the sizes {old} and {new}, expected 0 < old ≤ new")
        if new > (size := self.head().size):
            raise NotFound(f"the log has {size} entries so far, not {new}")
        return self.prove(old, new)

    def tile(self, level: int, number: int, width: int) -> bytes:
        """The first `width` hashes of a tile; raises NotFound unless there are so many."""
        self._check_there(level, number, width)
        with self.database.read() as connection:
            return self.store.tile(connection, level, number)[: width * HASH_BYTES]

    def bundle(self, number: int, width: int) -> bytes:
        """The first `width` entries of an entry bundle; raises NotFound unless there are so many."""
        self._check_there(0, number, width)
        start = number * TILE_WIDTH
        with self.database.read() as connection:
            return join_bundle(self.store.range(connection, start, start + width))

    def _check_there(self, level: int, number: int, width: int) -> None:
        size = self.head().size >> (TILE_HEIGHT * level)
        if number * TILE_WIDTH + width > size:
            raise NotFound(f"there are {size} hashes on level {level} yet")

    def root_at(self, size: int) -> bytes:
        """The root of the first `size` entries, 32 bytes."""
        return root_of(size, self.store.tree(size))

    def publish(self) -> None:
        """Publish the newest checkpoint if the last published one is older than a second."""
        head = self.head()
        if head.published == head.size or not publication_due(head, self.clock()):
            return
        with self.database.write() as connection:
            locked = self.store.head(connection, lock=True)
            if locked is None or locked.published == locked.size:
                return
            self.store.publish(connection, locked.size, locked.checkpoint)
            now = max(self.clock(), locked.time)
            self.store.write_head(
                connection, locked._replace(published=locked.size, published_time=now)
            )

    def _head(self, head: Head | None) -> Head:
        if head is None:
            raise NotFound("the database holds no log")
        return head

    def _receipt(self, seq: int, raw: bytes, size: int, note: bytes) -> Receipt:
        return Receipt(raw, seq, tuple(inclusion_path(seq, size, self.store.tree(size))), note)


def cosigned_under(
    store: EntryStore, policy: WitnessPolicy, vkeys: Sequence[VerifierKey], within: int
) -> Published | None:
    """The newest cosigned checkpoint; None if it doesn't meet this very policy, but another one before.

    `vkeys`: the log's verifier keys; `within`: of so many entries at most.
    """
    found = store.cosigned_now(within) if policy.demands else None
    return found if found is not None and meets(found.note, policy, vkeys) else None


def meets(note: bytes, policy: WitnessPolicy, vkeys: Sequence[VerifierKey]) -> bool:
    """Whether the cosignatures of a checkpoint meet a policy."""
    try:
        policy.check(note, vkeys)
    except ProofError:
        return False
    return True
