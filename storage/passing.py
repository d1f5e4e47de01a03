"""What lasts minutes: session challenges, sessions, read tokens. A file of its own, shared by the processes of
one machine; losing it costs a new sign-in, so nothing here waits for the disk.
"""

from pathlib import Path

from storage.ownfile import OwnFile

SWEEP_MS = 60_000
"""How often what has ended is removed."""

_TABLE = (
    "CREATE TABLE IF NOT EXISTS passing "
    "(kind TEXT, hash BLOB, value BLOB, end INTEGER, PRIMARY KEY (kind, hash)) WITHOUT ROWID"
)


class PassingStore:
    """Values under the SHA-256 of a secret that only its holder knows, each with its end (Unix ms).

    Every method raises StorageError if the file can't be read or written.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file, or creates it."""
        self._swept = 0
        self._file = OwnFile(path, "OFF", (_TABLE,))

    def put(self, kind: str, digest: bytes, value: bytes, now: int, end: int) -> None:
        """Keep a value until `end`."""
        with self._file.using() as connection:
            if now - self._swept > SWEEP_MS:
                connection.execute("DELETE FROM passing WHERE end <= ?", (now,))
                self._swept = now
            connection.execute(
                "INSERT OR REPLACE INTO passing VALUES (?, ?, ?, ?)", (kind, digest, value, end)
            )

    def get(self, kind: str, digest: bytes, now: int) -> bytes | None:
        """The value, or None once it has ended."""
        with self._file.using() as connection:
            row = connection.execute(
                "SELECT value FROM passing WHERE kind = ? AND hash = ? AND end > ?",
                (kind, digest, now),
            ).fetchone()
        return None if row is None else bytes(row[0])

    def take(self, kind: str, digest: bytes, now: int) -> bytes | None:
        """The value, for the one who takes it first; None for all others and once it has ended."""
        with self._file.using() as connection:
            row = connection.execute(
                "DELETE FROM passing WHERE kind = ? AND hash = ? AND end > ? RETURNING value",
                (kind, digest, now),
            ).fetchone()
        return None if row is None else bytes(row[0])

    def close(self) -> None:
        """Close the file."""
        self._file.close()
