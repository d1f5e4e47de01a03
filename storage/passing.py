"""What lasts minutes: session challenges, sessions, read tokens. A file of its own, shared by the processes of
one machine; losing it costs a new sign-in, so nothing here waits for the disk.
"""

import sqlite3
import threading
from pathlib import Path

BUSY_SECONDS = 30
SWEEP_MS = 60_000
"""How often what has ended is removed."""


class PassingStore:
    """Values under the SHA-256 of a secret that only its holder knows, each with its end (Unix ms)."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or creates it."""
        self._lock, self._swept = threading.Lock(), 0
        self._connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        path.chmod(0o600)
        for pragma in ("journal_mode = WAL", "synchronous = OFF"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS passing "
            "(kind TEXT, hash BLOB, value BLOB, end INTEGER, PRIMARY KEY (kind, hash)) WITHOUT ROWID"
        )

    def put(self, kind: str, digest: bytes, value: bytes, now: int, end: int) -> None:
        """Keep a value until `end`."""
        with self._lock:
            if now - self._swept > SWEEP_MS:
                self._connection.execute("DELETE FROM passing WHERE end <= ?", (now,))
                self._swept = now
            self._connection.execute(
                "INSERT OR REPLACE INTO passing VALUES (?, ?, ?, ?)", (kind, digest, value, end)
            )

    def get(self, kind: str, digest: bytes, now: int) -> bytes | None:
        """The value, or None once it has ended."""
        with self._lock:
            row = self._connection.execute(
                "SELECT value FROM passing WHERE kind = ? AND hash = ? AND end > ?",
                (kind, digest, now),
            ).fetchone()
        return None if row is None else bytes(row[0])

    def take(self, kind: str, digest: bytes, now: int) -> bytes | None:
        """The value, for the one who takes it first; None for all others and once it has ended."""
        with self._lock:
            row = self._connection.execute(
                "DELETE FROM passing WHERE kind = ? AND hash = ? AND end > ? RETURNING value",
                (kind, digest, now),
            ).fetchone()
        return None if row is None else bytes(row[0])

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
