"""The keeper's own store: key-encryption keys under the record root. Never in the log's database."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from durable.errors import StartRefused
from durable.files import PRIVATE_MODE
from durable.ownfile import OwnFile

_KEKS = (
    "CREATE TABLE IF NOT EXISTS keks (subject TEXT, version INTEGER, wrapped BLOB, "
    "PRIMARY KEY (subject, version)) WITHOUT ROWID"
)
_RELEASED = (
    "CREATE TABLE IF NOT EXISTS released (event TEXT PRIMARY KEY, time INTEGER) WITHOUT ROWID"
)


class KekStore:
    """Wrapped KEKs in a SQLite file of the keeper's own, durable when `add` returns.

    Every method raises StorageError if the file can't be read or written.
    """

    def __init__(self, path: Path, create: bool = False) -> None:
        """Opens the file, or creates it for a new ledger; raises StartRefused if it is missing."""
        if not create and not path.exists():
            raise StartRefused(
                f"the keeper's store {path} is missing: without it no record can be opened. Restore it from the "
                "keeper's own backup; it is never created again for an existing ledger."
            )
        self._swept = 0
        self._keks = OwnFile(path, "FULL", (_KEKS, _RELEASED), create)
        # What was released is kept over crashes of processes, not of the machine: it counts for minutes,
        # and waiting for the disk at each reading would be the dearest part of it.
        try:
            self._released = OwnFile(path, "NORMAL", (), create=False)
        except BaseException:
            self._keks.close()
            raise

    def latest(self, subjects: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        """The newest (version, wrapped KEK) of those subjects that have one."""
        found: dict[str, tuple[int, bytes]] = {}
        with self._keks.using() as connection:
            for subject in subjects:
                row = connection.execute(
                    "SELECT version, wrapped FROM keks WHERE subject = ? ORDER BY version DESC LIMIT 1",
                    (subject,),
                ).fetchone()
                if row is not None:
                    found[subject] = (row[0], row[1])
        return found

    def get(self, subject: str, version: int) -> bytes | None:
        """One wrapped KEK, or None."""
        with self._keks.using() as connection:
            row = connection.execute(
                "SELECT wrapped FROM keks WHERE subject = ? AND version = ?", (subject, version)
            ).fetchone()
        return None if row is None else bytes(row[0])

    def add(self, keks: Sequence[tuple[str, int, bytes]]) -> None:
        """Keep (subject, version, wrapped KEK); one that another process added first stays."""
        with self._keks.using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO keks VALUES (?, ?, ?)", keks)
            connection.execute("COMMIT")

    def use(self, event: str, now: int, keep_ms: int) -> bool:
        """Remember that the reading `event` had its key; False if it had it before.

        What is older than `keep_ms` is forgotten: it would not get a key any more.
        """
        with self._released.using() as connection:
            if now - self._swept > keep_ms:
                connection.execute("DELETE FROM released WHERE time < ?", (now - keep_ms,))
                self._swept = now
            done = connection.execute("INSERT OR IGNORE INTO released VALUES (?, ?)", (event, now))
        return done.rowcount == 1

    def close(self) -> None:
        """Close the file."""
        self._released.close()
        self._keks.close()


def copy_store(source: Path, target: Path) -> None:
    """Copy the keeper's store as of one instant, while it is in use; `target` is new, mode 0600."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE))
    with (
        closing(sqlite3.connect(f"file:{source.resolve()}?mode=ro", uri=True)) as reading,
        closing(sqlite3.connect(target)) as writing,
    ):
        reading.backup(writing)
        writing.execute("PRAGMA journal_mode = DELETE")
