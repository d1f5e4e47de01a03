"""A small SQLite file of one part's own, opened again after an error."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from durable.errors import StorageError
from durable.files import make_private

BUSY_SECONDS = 30
"""How long another connection's lock is waited for."""


class OwnFile:
    """One connection, for one thread at a time.

    A connection that met a fault of the disk may go on believing what it then saw (an open transaction, a
    file that can only be read), so it is not used again.
    """

    def __init__(
        self, path: Path, synchronous: str, tables: Sequence[str], create: bool = True
    ) -> None:
        """Opens the file with its `tables` (SQL); raises StorageError. `create`: or makes it."""
        self._path, self._tables = path.resolve(), tables
        self._uri = f"{self._path.as_uri()}?mode={'rwc' if create else 'rw'}"
        self._pragmas = ("journal_mode = WAL", f"synchronous = {synchronous}")
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        make_private(self._path, create)  # before SQLite makes files beside it, as readable as this
        with self.using():
            pass

    @contextmanager
    def using(self) -> Iterator[sqlite3.Connection]:
        """The connection; raises StorageError if the file can't be read or written."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open()
                yield self._connection
            except sqlite3.Error as error:
                self._forget()
                raise StorageError(f"{self._path} can't be read or written: {error}") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._forget()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._uri, BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True
        )
        try:
            for statement in (*(f"PRAGMA {pragma}" for pragma in self._pragmas), *self._tables):
                connection.execute(statement)
            # Shared memory that can only be read shows here, before another connection shares the belief.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _forget(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):  # what was not committed is rolled back all the same
                self._connection.close()
            self._connection = None
