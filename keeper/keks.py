"""The keeper's own store: key-encryption keys under the record root. Never in the log's database."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from durable.errors import StartRefused
from durable.files import PRIVATE_MODE, private
from durable.ownfile import OwnFile

KEKS = "keks.db"
"""The store's file, in the keeper's folder."""
_KEKS = (
    "CREATE TABLE IF NOT EXISTS keks (subject TEXT, version INTEGER, wrapped BLOB, "
    "root INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (subject, version)) WITHOUT ROWID"
)
_ROOTS = (
    "CREATE TABLE IF NOT EXISTS roots (id INTEGER PRIMARY KEY CHECK (id = 1), oldest INTEGER NOT NULL, "
    "current INTEGER NOT NULL)"
)
_FIRST = "INSERT OR IGNORE INTO roots VALUES (1, 1, 1)"
_COPYING = ".copying"
"""The file beside the store whose lock keeps what a backup copies."""
_ROW = "subject, version, wrapped, root"


class Kek(NamedTuple):
    """A wrapped KEK; `root` is the generation of the record root that wraps it."""

    subject: str
    version: int
    wrapped: bytes
    root: int = 1


class KekStore:
    """Wrapped KEKs in a SQLite file of the keeper's own, durable when a write returns.

    Every process of the ledger has it open; what one has committed the next statement of another sees. Every method
    raises StorageError if the file can't be read or written.
    """

    def __init__(self, path: Path, create: bool = False) -> None:
        """Opens the file, or creates it for a new ledger; raises StartRefused if it is missing."""
        if not create and not path.exists():
            raise StartRefused(
                f"the keeper's store {path} is missing: without it no record can be opened. Restore it from the "
                "keeper's own backup; it is never created again for an existing ledger."
            )
        self._folder = path.parent
        # What is removed is overwritten: the wrap of a destroyed KEK opens nothing only while the root is kept safe.
        tables = ("PRAGMA secure_delete = ON", _KEKS, _ROOTS, _FIRST)
        self._keks = OwnFile(path, "FULL", tables, create)
        try:
            self._take_over()
        except BaseException:
            self._keks.close()
            raise

    def latest(self, subjects: Sequence[str]) -> dict[str, Kek]:
        """The newest KEK of those subjects that have one."""
        found: dict[str, Kek] = {}
        statement = f"SELECT {_ROW} FROM keks WHERE subject = ? ORDER BY version DESC LIMIT 1"
        with self._keks.using() as connection:
            for subject in subjects:
                row = connection.execute(statement, (subject,)).fetchone()
                if row is not None:
                    found[subject] = Kek._make(row)
        return found

    def get(self, subject: str, version: int) -> Kek | None:
        """One KEK, or None."""
        statement = f"SELECT {_ROW} FROM keks WHERE subject = ? AND version = ?"
        with self._keks.using() as connection:
            row = connection.execute(statement, (subject, version)).fetchone()
        return None if row is None else Kek._make(row)

    def versions(self, subjects: Sequence[str]) -> dict[str, list[int]]:
        """The versions that are kept of each subject, ascending."""
        statement = "SELECT version FROM keks WHERE subject = ? ORDER BY version"
        with self._keks.using() as connection:
            return {
                subject: [number for (number,) in connection.execute(statement, (subject,))]
                for subject in subjects
            }

    def add(self, keks: Sequence[Kek]) -> bool:
        """Keep KEKs; one that another process added first stays.

        False, with nothing kept, if one is under another root than the current one: a rotation has begun meanwhile.
        """
        with self._keks.using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            (current,) = connection.execute("SELECT current FROM roots").fetchone()
            if any(kek.root != current for kek in keks):
                connection.execute("ROLLBACK")
                return False
            connection.executemany("INSERT OR IGNORE INTO keks VALUES (?, ?, ?, ?)", keks)
            connection.execute("COMMIT")
        return True

    def remove(self, keks: Sequence[tuple[str, int]]) -> None:
        """Destroy (subject, version), in the file and, where no other process reads just now, in its log beside it.

        Raises BlockingIOError while the store is copied.
        """
        with not_copied(self._folder, wait=False), self._keks.using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM keks WHERE subject = ? AND version = ?", keks)
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # The root that wraps them.

    def roots(self) -> tuple[int, int]:
        """(oldest, current): the oldest generation of the root that is needed, and the one that new KEKs are under."""
        with self._keks.using() as connection:
            oldest, current = connection.execute("SELECT oldest, current FROM roots").fetchone()
        return oldest, current

    def set_current_root(self, generation: int) -> None:
        """From now on no process adds a KEK under another generation."""
        with self._keks.using() as connection:
            connection.execute("UPDATE roots SET current = ?", (generation,))

    def retire_roots(self) -> int:
        """Say that only the current generation is needed; gives how many KEKs are under others, in which case it isn't so."""
        with self._keks.using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            (left,) = connection.execute(
                "SELECT count(*) FROM keks WHERE root <> (SELECT current FROM roots)"
            ).fetchone()
            if not left:
                connection.execute("UPDATE roots SET oldest = current")
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return int(left)

    def under_roots(self) -> dict[int, int]:
        """How many KEKs are under each generation; it looks at every one."""
        with self._keks.using() as connection:
            rows = connection.execute("SELECT root, count(*) FROM keks GROUP BY root ORDER BY root")
            return dict(rows.fetchall())

    def page(self, after: tuple[str, int], not_under: int, limit: int) -> list[Kek]:
        """The next KEKs after (subject, version) that are under another root than `not_under`."""
        statement = (
            f"SELECT {_ROW} FROM keks WHERE (subject, version) > (?, ?) AND root <> ? "
            "ORDER BY subject, version LIMIT ?"
        )
        with self._keks.using() as connection:
            rows = connection.execute(statement, (*after, not_under, limit)).fetchall()
        return [Kek._make(row) for row in rows]

    def rewrap(self, keks: Sequence[tuple[bytes, int, str, int, int]]) -> None:
        """Put (wrapped, root) in the place of (subject, version, root); what was removed or re-wrapped meanwhile stays so."""
        with self._keks.using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "UPDATE keks SET wrapped = ?, root = ? WHERE subject = ? AND version = ? AND root = ?",
                keks,
            )
            connection.execute("COMMIT")

    def old_used(self) -> list[tuple[str, int]]:
        """What a program before 0.2.0 kept here: readings that had their key, and when (Unix ms)."""
        with self._keks.using() as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'released'").fetchone():
                return connection.execute("SELECT event, time FROM released").fetchall()
        return []

    def close(self) -> None:
        """Close the file."""
        self._keks.close()

    def _take_over(self) -> None:
        """Bring a store of an older program to this one's form: all its KEKs are under generation 1."""
        with self._keks.using() as connection:
            if _has_roots(connection):
                return
            connection.execute("BEGIN IMMEDIATE")
            if not _has_roots(connection):  # another process came first
                connection.execute("ALTER TABLE keks ADD COLUMN root INTEGER NOT NULL DEFAULT 1")
            connection.execute("COMMIT")


def _has_roots(connection: sqlite3.Connection) -> bool:
    return any(row[1] == "root" for row in connection.execute("PRAGMA table_info(keks)"))


@contextmanager
def copying(folder: Path) -> Iterator[None]:
    """While the database, the keeper's store in `folder` and the roots are copied, nothing that opens a key is destroyed:
    the copies fit each other."""
    with open(folder / _COPYING, "ab", opener=private) as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@contextmanager
def not_copied(folder: Path, wait: bool = True) -> Iterator[None]:
    """Wait until nobody copies, and let nobody begin to; without `wait` raises BlockingIOError where somebody does."""
    with open(folder / _COPYING, "ab", opener=private) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def copy_store(source: Path, target: Path) -> None:
    """Copy the keeper's store as of one instant, while it is in use; `target` is new, mode 0600."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE))
    with (
        closing(sqlite3.connect(f"file:{source.resolve()}?mode=ro", uri=True)) as reading,
        closing(sqlite3.connect(target)) as writing,
    ):
        reading.backup(writing)
        writing.execute("PRAGMA journal_mode = DELETE")
