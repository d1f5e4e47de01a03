"""What lasts minutes: session challenges, sessions, read tokens, counts of an hour. A file of its own, shared by the processes of
one machine; losing it costs a new sign-in, so nothing here waits for the disk.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from durable.ownfile import OwnFile

SWEEP_MS = 60_000
"""How often what has ended is removed."""

_TABLE = (
    "CREATE TABLE IF NOT EXISTS passing "
    "(kind TEXT, hash BLOB, value BLOB, end INTEGER, PRIMARY KEY (kind, hash)) WITHOUT ROWID"
)


class TokenStore:
    """Values under a secret that only its holder knows, each with its end (Unix ms).

    Of the secret its SHA-256 is kept. Every method raises StorageError if the file can't be read or written.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file, or creates it."""
        self._swept = 0
        self._file = OwnFile(path, "OFF", (_TABLE,))

    def put(self, kind: str, secret: bytes, value: bytes, now: int, end: int) -> None:
        """Keep a value until `end`."""
        with self._file.using() as connection:
            if now - self._swept > SWEEP_MS:
                connection.execute("DELETE FROM passing WHERE end <= ?", (now,))
                self._swept = now
            connection.execute(
                "INSERT OR REPLACE INTO passing VALUES (?, ?, ?, ?)",
                (kind, _hash(secret), value, end),
            )

    def get(self, kind: str, secret: bytes, now: int) -> bytes | None:
        """The value, or None once it has ended."""
        with self._file.using() as connection:
            row = connection.execute(
                "SELECT value FROM passing WHERE kind = ? AND hash = ? AND end > ?",
                (kind, _hash(secret), now),
            ).fetchone()
        return None if row is None else bytes(row[0])

    def take(self, kind: str, secret: bytes, now: int) -> bytes | None:
        """The value, for the one who takes it first; None for all others and once it has ended."""
        with self._file.using() as connection:
            row = connection.execute(
                "DELETE FROM passing WHERE kind = ? AND hash = ? AND end > ? RETURNING value",
                (kind, _hash(secret), now),
            ).fetchone()
        return None if row is None else bytes(row[0])

    def change(
        self,
        kind: str,
        secret: bytes,
        change: Callable[[bytes | None], bytes],
        now: int,
        end: int,
    ) -> None:
        """Put `change(value)` in the value's place, until `end`; nobody else changes it meanwhile.

        The value is None if there is none, or once it has ended. What `change` raises leaves it as it was.
        """
        with self._file.using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                row = connection.execute(
                    "SELECT value FROM passing WHERE kind = ? AND hash = ? AND end > ?",
                    (kind, _hash(secret), now),
                ).fetchone()
                value = change(None if row is None else bytes(row[0]))
                connection.execute(
                    "INSERT OR REPLACE INTO passing VALUES (?, ?, ?, ?)",
                    (kind, _hash(secret), value, end),
                )
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _hash(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
