"""The rollback guard: no process appends to a database that lacks what was acknowledged.

The start compares the database with the checkpoint kept outside of it (`start`). This compares it at every batch, as
a running process may find itself connected to another server: a standby promoted without the last commits, or a
backup restored below it. Appended to, that would be a second history, with the first one in the hands of its readers.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from crypto.cosignatures import Checkpoint
from crypto.errors import CryptoError
from crypto.notes import VerifierKey
from durable.errors import NotFound
from durable.trusted import TrustedCheckpoint
from ledger.checkpoint import open_checkpoint
from ledger.merkle import leaf_hash, root_of
from storage.errors import Unavailable
from storage.sql.entries import EntryStore, Head

_REMEDY = (
    "Nothing is appended. Is it a standby that was promoted without the last commits, or a restored backup? Bring "
    "back the server that has them. If it is lost, stop every process, and the operator declares the loss "
    "for all to see: `heartwood accept-restore --as OPERATOR`"
)


@dataclass(frozen=True)
class Acknowledged:
    """What a database must hold: the head that this process saw last, and a neighbour's later checkpoint."""

    head: Head | None
    told: Checkpoint | None


class RollbackGuard:
    """Knows what was acknowledged, here and by the processes beside. Thread-safe."""

    def __init__(
        self, store: EntryStore, trusted: TrustedCheckpoint | None, keys: Sequence[VerifierKey]
    ) -> None:
        """`trusted`: the checkpoint outside the database, which every process here writes; `keys`: the log's.

        Without one, what this process itself saw counts alone.
        """
        self._store, self._trusted, self._keys = store, trusted, keys
        self._lock = threading.Lock()
        self._head: Head | None = None
        self._told: Checkpoint | None = None

    def saw(self, head: Head) -> None:
        """The head was committed, or read and found good; call it before anybody is told."""
        with self._lock:
            self._head = head
            if self._told is not None and self._told.size <= head.size:
                self._told = None

    def acknowledged(self) -> Acknowledged:
        """What counts now. Take it before the database is read, else a neighbour's append looks lost.

        Raises Unavailable for a file that is no checkpoint of this log.
        """
        with self._lock:
            size = max(self._head.size if self._head else 0, self._told.size if self._told else 0)
            try:
                note = self._trusted.read_beyond(size) if self._trusted else None
                if note is not None:
                    self._told = open_checkpoint(note, self._keys)
            except CryptoError as error:
                raise Unavailable(
                    "rolled_back",
                    f"the checkpoint outside the database is not valid ({error}), so whether the database is whole "
                    "can't be told. Nothing is appended. Put the file `checkpoint` back; if it is lost, stop every "
                    "process and run `heartwood accept-restore --as OPERATOR`",
                ) from error
            return Acknowledged(self._head, self._told)

    def check(self, connection: Connection, head: Head, known: Acknowledged) -> None:
        """Raises Unavailable unless `head`, read on `connection`, extends what is known."""
        last, told = known.head, known.told
        # Each entry names the hash of the one before it, so one leaf stands for all that precede it.
        if last is not None and last != head and last.size:
            self._behind(head.size, last.size)
            if self._leaf(connection, last.size - 1) != last.tip:
                self._another(last.size)
        if told is not None:
            self._behind(head.size, told.size)
            # Read anew: the tiles kept in memory are those of the history that was acknowledged.
            try:
                root = root_of(told.size, self._store.nodes(connection))
            except (NotFound, IndexError):
                self._another(told.size)
            if root != told.root:
                self._another(told.size)

    def _leaf(self, connection: Connection, seq: int) -> bytes:
        try:
            return leaf_hash(self._store.entry(connection, seq))
        except NotFound:
            return b""

    def _behind(self, got: int, expected: int) -> None:
        if got < expected:
            raise Unavailable(
                "rolled_back",
                f"the database has {got} entries, and {expected} were acknowledged. {_REMEDY}",
            )

    def _another(self, size: int) -> None:
        raise Unavailable(
            "rolled_back",
            f"the database does not extend the {size} entries that were acknowledged: it is another history. {_REMEDY}",
        )
