"""The log's keys as the database has them, which may change while a process runs, and what signs checkpoints with them."""

import threading
from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from crypto.cosignatures import Checkpoint
from crypto.notes import LogSigner, VerifierKey
from durable.errors import NotFound, StartRefused, StorageError
from ledger.directory import Key
from ledger.entry import Entry
from ledger.handovers import CHAIN_LIMIT, HandOver
from ledger.logkeys import (
    LOG,
    NAMING,
    Generation,
    LogKeyRow,
    LogKeys,
    generations_named,
    generations_of,
)
from ledger.merkle import inclusion_path
from ledger.receipt import Receipt
from ledger.rows import Look
from storage.errors import Unavailable
from storage.sql.database import Database
from storage.sql.entries import EntryStore
from storage.sql.rowcache import select_rows

Pair = tuple[VerifierKey, ...]
"""The keys of one generation."""
_MARKS = tuple(f'"type":"{name}"'.encode() for name in sorted(NAMING))


class StoredKeys(LogKeys):
    """The generations as they are committed now, asked anew each time. Thread-safe.

    Whoever holds it had the database checked (`start.check_start`).
    """

    def __init__(self, store: EntryStore) -> None:
        """`store`: of the log."""
        super().__init__(())
        self._store = store
        self._read: tuple[int, tuple[Entry, ...]] = (0, ())
        """Up to which entry the log was looked at, and what was found of its keys."""

    @property
    def generations(self) -> tuple[Generation, ...]:
        """From the first to the newest."""
        below, found = self._read
        with self._store.database.read() as connection:
            head = self._store.head(connection)
            size = 0 if head is None else head.size
            if size < below:  # another database
                below, found = 0, ()
            if size > below:
                found = (*found, *_naming(self._store, connection, below, size))
                self._read = size, found
        return generations_named(found)


def keys_there(keys: Sequence[VerifierKey]) -> list[VerifierKey]:
    """Every key of a log that ever counted, as far as that is known of these keys."""
    return keys.ever() if isinstance(keys, LogKeys) else list(keys)


def keys_in(store: EntryStore, connection: Connection) -> LogKeys:
    """The generations as of a transaction, by the entries themselves: a view may be damaged."""
    head = store.head(connection)
    return keys_below(store, connection, 0 if head is None else head.size)


def keys_below(store: EntryStore, connection: Connection, size: int) -> LogKeys:
    """The generations that the first `size` entries name; raises LookupError where they fit no rule."""
    return LogKeys(generations_named(_naming(store, connection, 0, size)))


def _naming(store: EntryStore, connection: Connection, since: int, below: int) -> list[Entry]:
    """The entries that name keys of the log, or retire them."""
    raws = store.stream(connection, "ledger", below, since)
    found = (Entry.stored(raw) for raw in raws if any(mark in raw for mark in _MARKS))
    return [entry for entry in found if entry.event.type.name in NAMING]


def keys_of(look: Look) -> LogKeys:
    """The generations as of a batch, with those that it adds itself."""
    return LogKeys(generations_of(look.group(LogKeyRow, LOG)))


class Signers:
    """The private keys of a log by generation, found when they are needed. Thread-safe."""

    def __init__(self, find: Callable[[Pair], LogSigner | None]) -> None:
        """`find`: the signer of a generation, or None if its private keys aren't here; it may raise StorageError."""
        self._find = find
        self._lock = threading.Lock()
        self._found: dict[Pair, LogSigner] = {}

    def has(self, keys: Pair) -> bool:
        """Whether the private keys of a generation are here."""
        return self._of(keys) is not None

    def sign(self, keys: LogKeys, checkpoint: Checkpoint, timestamp: int) -> bytes:
        """The note of a checkpoint with the signatures of all keys that count at its size.

        Raises Unavailable where one is not here: what only some of them signed must never be shown.
        """
        lines = b""
        for one in keys.generations:
            if not one.counts(checkpoint.size):
                continue
            signer = self._of(one.keys)
            if signer is None:
                raise Unavailable(
                    "stopped",
                    f"the log's private keys that entry {one.added} named are not here; nothing was appended. Put "
                    "their files into the folder `keys` of the data directory",
                )
            lines += signer.lines(checkpoint, timestamp)
        if not lines:
            raise Unavailable("stopped", "the log's keys can't be told: `heartwood rebuild --swap`")
        return checkpoint.text() + b"\n" + lines

    def check(self, keys: LogKeys, size: int) -> None:
        """Raises StartRefused unless the private keys of all generations that count at `size` are here."""
        for one in keys.generations:
            if one.counts(size) and not self._knows(one.keys):
                raise StartRefused(
                    "the log's private keys are not those of log.vkey: put the right keys back"
                )

    def _knows(self, keys: Pair) -> bool:
        try:
            return self.has(keys)
        except StartRefused:
            raise
        except StorageError as error:
            raise StartRefused(str(error)) from error

    def _of(self, keys: Pair) -> LogSigner | None:
        with self._lock:
            if keys not in self._found:
                signer = self._find(keys)
                if signer is None:
                    return None
                self._found[keys] = signer
            return self._found[keys]


def only(signer: LogSigner) -> Signers:
    """The signers of a log that has one generation."""
    return Signers(lambda keys: signer if keys == tuple(signer.keys) else None)


def standing(keys: Sequence[VerifierKey]) -> str:
    """Verifier keys as the file `log.vkey` holds them."""
    return "".join(f"{key}\n" for key in keys)


def hand_over_note(database: Database, added: int) -> tuple[int, bytes] | None:
    """The size and note of the first published checkpoint that covers entry `added`, in which keys are handed over."""
    rows = database.fetch(
        "SELECT size, note FROM checkpoints WHERE size > ? ORDER BY size LIMIT 1", (added,)
    )
    return (int(rows[0][0]), bytes(rows[0][1])) if rows else None


def hand_overs(store: EntryStore, keys: LogKeys, size: int) -> list[HandOver]:
    """The hand-overs of the log's keys within its first `size` entries, in order; raises NotFound."""
    return [_hand_over(store, one.added) for one in keys.generations[1:] if one.added < size]


def _hand_over(store: EntryStore, added: int) -> HandOver:
    found = hand_over_note(store.database, added)
    if found is None:
        raise NotFound(f"no published checkpoint covers entry {added}")
    size, note = found
    tree = store.tree(size)

    def receipt(seq: int) -> Receipt:
        with store.database.read() as connection:
            raw = store.entry(connection, seq)
        return Receipt(raw, seq, tuple(inclusion_path(seq, size, tree)), note)

    named, chain = receipt(added), list[Receipt]()
    signed = Entry.stored(named.entry)
    while len(chain) < CHAIN_LIMIT:
        with store.database.read() as connection:
            (row,) = select_rows(store.database, connection, Key, [(signed.sig.key,)])
        if row.seq == 0 and chain:
            break
        chain.insert(0, receipt(row.seq))
        signed = Entry.stored(chain[0].entry)
        if (
            signed.event.role != "person"
        ):  # entry 0's key, or one that no other of the operator's put in
            break
    return HandOver(named, tuple(chain), receipt(0))
