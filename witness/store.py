"""What a witness keeps: its logs' keys, the last checkpoint that it cosigned of each, and what it refused.

One folder, and any number of processes on it: a step is taken under a lock, and is on the disk before it is told.
"""

import fcntl
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crypto.notes import VerifierKey
from durable.errors import StartRefused
from durable.files import private, replace_file
from durable.ownfile import OwnFile
from ledger.witnessing import Seen

STATE = "state.db"
STEPS = "steps"
"""How many steps were taken: a state of fewer is an old copy."""
LOCK = "lock"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS logs (vkey TEXT PRIMARY KEY, origin TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS seen (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, "
    "time INTEGER NOT NULL, note BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS refused (origin TEXT, two_faces INTEGER, time INTEGER NOT NULL, "
    "cosigned BLOB NOT NULL, request BLOB NOT NULL, PRIMARY KEY (origin, two_faces)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS steps (id INTEGER PRIMARY KEY, count INTEGER NOT NULL)",
)


@dataclass(frozen=True)
class Refused:
    """A submission that a log signed and that does not extend what was cosigned: the first of its kind."""

    two_faces: bool
    """It is proved by the two of them that the log signed two histories; else the proof was no good."""
    time: int
    """Unix seconds."""
    cosigned: bytes
    """The log's checkpoint that was cosigned before."""
    request: bytes
    """The submission, as it came."""


@dataclass(frozen=True)
class LogState:
    """How a witness stands to a log."""

    origin: str
    vkeys: tuple[str, ...]
    size: int
    time: int
    """When it last cosigned a larger log, Unix seconds; 0: never."""
    refused: tuple[Refused, ...]


@dataclass(frozen=True)
class Step:
    """One step, under the lock: nothing that it reads changes until it ends."""

    connection: sqlite3.Connection
    origin: str

    def seen(self) -> tuple[Seen, int, bytes]:
        """What was cosigned last, when (Unix seconds), and the log's note of it."""
        row = self.connection.execute(
            "SELECT size, root, time, note FROM seen WHERE origin = ?", (self.origin,)
        ).fetchone()
        return (Seen(), 0, b"") if row is None else (Seen(row[0], row[1]), row[2], row[3])

    def put(self, seen: Seen, time: int, note: bytes) -> None:
        """Keep what is cosigned from here on."""
        row = (self.origin, seen.size, seen.root, time, note)
        self.connection.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)", row)

    def keep_refused(self, refused: Refused) -> None:
        """Keep a refused submission, if it is the first of its kind: others can't fill the disk."""
        row = (self.origin, refused.two_faces, refused.time, refused.cosigned, refused.request)
        self.connection.execute("INSERT OR IGNORE INTO refused VALUES (?, ?, ?, ?, ?)", row)


class WitnessStore:
    """The folder's state. Thread-safe."""

    def __init__(self, folder: Path, create: bool = False) -> None:
        """Open it; raises StartRefused where it is older than what was told, StorageError where it can't be read.

        `create`: there is none yet.
        """
        self._folder = folder
        if create and (folder / STATE).exists():
            raise StartRefused(f"{folder / STATE} exists already")
        self._file = OwnFile(folder / STATE, "FULL", _TABLES, create)
        if create:
            replace_file(folder / STEPS, b"0\n")
        try:
            self._check_steps()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it."""
        self._file.close()

    def keys(self, origin: str) -> list[VerifierKey]:
        """The keys of a log; none if it isn't known."""
        with self._file.using() as connection:
            rows = connection.execute("SELECT vkey FROM logs WHERE origin = ?", (origin,))
            return [VerifierKey.parse(vkey) for (vkey,) in rows.fetchall()]

    def add(self, keys: Sequence[VerifierKey], only: bool = False) -> None:
        """Know these keys as their logs'; those that are known stay, unless they are to be the `only` ones."""
        with self._alone() as connection:
            if only:
                names = [(name,) for name in {key.name for key in keys}]
                connection.executemany("DELETE FROM logs WHERE origin = ?", names)
            rows = [(str(key), key.name) for key in keys]
            connection.executemany("INSERT OR IGNORE INTO logs VALUES (?, ?)", rows)

    def logs(self) -> list[LogState]:
        """How it stands to each log, by their origins."""
        with self._file.using() as connection:
            known: dict[str, list[str]] = {}
            for vkey, origin in connection.execute("SELECT vkey, origin FROM logs ORDER BY vkey"):
                known.setdefault(origin, []).append(vkey)
            seen = {row[0]: row[1:] for row in connection.execute("SELECT * FROM seen")}
            refused: dict[str, list[Refused]] = {}
            for row in connection.execute("SELECT * FROM refused ORDER BY two_faces DESC"):
                refused.setdefault(row[0], []).append(Refused(bool(row[1]), *row[2:]))
        out = []
        for origin, vkeys in sorted(known.items()):
            size, _, time, _ = seen.get(origin, (0, b"", 0, b""))
            told = tuple(refused.get(origin, ()))
            out.append(LogState(origin, tuple(vkeys), size, time, told))
        return out

    @contextmanager
    def step(self, origin: str) -> Iterator[Step]:
        """A step for one log: whole and on the disk when this ends, or not at all if it raises."""
        with self._alone() as connection:
            yield Step(connection, origin)

    @contextmanager
    def _alone(self) -> Iterator[sqlite3.Connection]:
        """The only transaction of all processes; counted, if it changes anything, in a file of its own, too."""
        with (
            self._file.using() as connection,
            open(self._folder / LOCK, "ab", opener=private) as lock,
        ):
            fcntl.flock(lock, fcntl.LOCK_EX)
            connection.execute("BEGIN IMMEDIATE")
            before = connection.total_changes
            try:
                yield connection
                if changed := connection.total_changes != before:
                    connection.execute(
                        "INSERT INTO steps VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET count = count + 1"
                    )
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            if changed:
                replace_file(self._folder / STEPS, f"{_count(connection)}\n".encode())

    def _check_steps(self) -> None:
        try:
            told = int((self._folder / STEPS).read_text())
        except (OSError, ValueError) as error:
            raise StartRefused(
                f"{self._folder / STEPS}, which tells how old the state may be, can't be read ({error}). "
                "Restore the whole folder, or set up a new witness with new keys"
            ) from error
        with self._file.using() as connection:
            count = _count(connection)
        if count < told:
            raise StartRefused(
                f"the state in {self._folder} has {count} steps, and {told} were told: it is an old copy, from which "
                "another history could be cosigned. Restore the newest, or set up a new witness with new keys"
            )


def _count(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT count FROM steps").fetchone()
    return 0 if row is None else int(row[0])
