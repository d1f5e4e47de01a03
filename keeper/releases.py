"""The keeper's own log: what it gave out, and for which reading, on the disk before anything leaves.

A file of its own holds the entries (`ledger.releases`), the right edge of their tree, and which readings had their key,
which change in one transaction. Whoever waits for the disk meanwhile is written with the next one, all at once.
"""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from crypto.cosignatures import Checkpoint
from crypto.notes import LogSigner
from crypto.texts import counted
from durable.errors import StartRefused, StorageError
from durable.files import replace_file
from durable.ownfile import OwnFile
from keeper.errors import KeeperRefused
from keeper.roots import create_root, load_root
from ledger.chain import ZERO
from ledger.digest import hashes_of
from ledger.merkle import Frontier, leaf_hash
from ledger.releases import RELEASE_MS, RESTORED, Release, What, releases_origin

RELEASES = "releases.db"
"""The log's file, in the keeper's folder."""
LAST = "releases.last"
"""How many entries it has, and the last one's leaf hash, beside it: a file that was put back or cut short shows.
Backups don't hold it."""
RELEASES_SEEDS = ("releases-ed25519.seed", "releases-ml-dsa-44.seed")
"""The keys of this log alone; under the passphrase, if there is one."""
PAGE = 1_000
"""Most entries given at once."""
SIGN_SECONDS = 1.0
"""Least time between two checkpoints: signing one costs more than a release."""
LAST_SECONDS = 1.0
"""Least time between two writings of `LAST`."""
_TABLES = (
    "CREATE TABLE IF NOT EXISTS releases (seq INTEGER PRIMARY KEY, raw BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER, tip BLOB, edge BLOB)",
    "CREATE TABLE IF NOT EXISTS used (event TEXT PRIMARY KEY, time INTEGER) WITHOUT ROWID",
)
_KEEP_MS = 2 * RELEASE_MS
"""How long it is remembered which readings had their key: older ones get none."""


class Reading(NamedTuple):
    """What something is given for: a permitted reading, and when the keeper looked at it, Unix ms."""

    seq: int
    event: str
    time: int


@dataclass
class _Asked:
    """What one caller waits for: written, or why not."""

    reading: Reading
    whats: Sequence[What]
    once: bool
    done: bool = False
    error: Exception | None = None


class _Edge:
    """How far the log goes, and what the next entry follows."""

    def __init__(self, size: int, tip: bytes, edge: bytes) -> None:
        self.tip, self.tree = tip, Frontier(size)
        self.tree.stack = hashes_of(edge)

    @property
    def size(self) -> int:
        return self.tree.size

    def add(self, connection: sqlite3.Connection, release: Release) -> None:
        raw = release.raw()
        self.tip = leaf_hash(raw)
        self.tree.append(self.tip)
        connection.execute("INSERT INTO releases VALUES (?, ?)", (release.seq, raw))


class Releases:
    """Thread-safe; several processes may have one. Every method raises StorageError if the file can't be used."""

    def __init__(self, folder: Path, clock: Callable[[], int]) -> None:
        """Opens the log, or begins it; raises StartRefused where it isn't the one that was there before."""
        self._path, self._last, self._clock = folder / RELEASES, folder / LAST, clock
        before = self._read_last()
        if before is not None and before[0] and not self._path.exists():
            raise StartRefused(
                f"{self._path}, the log of what the key keeper gave out, is missing: {_REMEDY}"
            )
        self._file = OwnFile(self._path, "FULL", _TABLES)
        self._edge: _Edge | None = None
        self._waiting: deque[_Asked] = deque()
        self._writing, self._signing = threading.Lock(), threading.Lock()
        self._swept, self._told, self._signed_at = 0, 0.0, -SIGN_SECONDS
        self._behind = False
        """Whether `LAST` lacks entries that this process wrote."""
        self._signed: tuple[int, bytes] | None = None
        try:
            self._check(before)
        except BaseException:
            self._file.close()
            raise

    @property
    def size(self) -> int:
        """How many entries there are."""
        return self._end()[0]

    def record(self, reading: Reading, whats: Sequence[What], once: bool) -> None:
        """Write what is about to be given; it is on the disk when this returns.

        `once`: raises KeeperRefused where the reading had its key before; then nothing is written.
        """
        asked = _Asked(reading, whats, once)
        self._waiting.append(asked)
        with self._writing:
            if not asked.done:  # or else the one before wrote it with its own
                self._write_all()
        if asked.error is not None:
            raise asked.error

    def page(self, since: int, count: int) -> list[bytes]:
        """Entries from `since` on, at most `count` of them; raises KeeperRefused for more than PAGE."""
        if not 0 < count <= PAGE:
            raise KeeperRefused(f"got {count} releases to give, expected 1 to {PAGE}")
        statement = "SELECT CAST(raw AS BLOB) FROM releases WHERE seq >= ? AND seq < ? ORDER BY seq"
        with self._file.using() as connection:
            return [raw for (raw,) in connection.execute(statement, (since, since + count))]

    def checkpoint(self, signer: LogSigner) -> bytes:
        """The note of all entries so far, signed; a new one at most each SIGN_SECONDS, which it waits for."""
        with self._signing:
            if self._signed is None or self._signed[0] != self.size:
                time.sleep(max(0.0, self._signed_at + SIGN_SECONDS - time.monotonic()))
                size, root = self._end()
                with self._writing:
                    self._write_last()  # first: what was shown is never gone back behind
                note = signer.sign(
                    Checkpoint(signer.keys[0].name, size, root), self._clock() // 1000
                )
                self._signed, self._signed_at = (size, note), time.monotonic()
            return self._signed[1]

    def catch_up(self) -> None:
        """Write `LAST` if it lacks entries for LAST_SECONDS; to be called now and then, by whoever asks the keeper how it stands."""
        if self._behind and time.monotonic() - self._told >= LAST_SECONDS:
            with self._writing:
                self._write_last()

    def take_over(self, used: Sequence[tuple[str, int]]) -> None:
        """Remember what an older program had written elsewhere: readings that had their key, and when (Unix ms)."""
        with self._changing() as (connection, _):
            connection.executemany("INSERT OR IGNORE INTO used VALUES (?, ?)", used)

    def close(self) -> None:
        """Write `LAST`, close the file."""
        try:
            with self._writing:
                self._write_last()
        finally:
            self._file.close()

    # Writing.

    def _write_all(self) -> None:
        """Write all that wait, in one transaction: each is refused by itself, and fails with all."""
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        failed = "it was stopped"
        try:
            with self._changing() as (connection, edge):
                for asked in batch:
                    self._put(connection, edge, asked)
                self._sweep(connection, batch[-1].reading.time)
            self._behind = True
            if time.monotonic() - self._told >= LAST_SECONDS:
                self._write_last()
            failed = ""
        except (StorageError, OSError) as error:
            failed = str(error)
        finally:
            for asked in batch:
                if failed:
                    asked.error = StorageError(
                        f"the key keeper can't write its log of releases, so it gives nothing: {failed}"
                    )
                asked.done = True

    def _put(self, connection: sqlite3.Connection, edge: _Edge, asked: _Asked) -> None:
        reading = asked.reading
        if asked.once:
            values = (reading.event, reading.time)
            if not connection.execute("INSERT OR IGNORE INTO used VALUES (?, ?)", values).rowcount:
                words = f"entry {reading.seq} has already received its key"
                asked.error = KeeperRefused(words)
                return
        for what in asked.whats:
            release = Release(edge.size, edge.tip, reading.time, what, reading.seq, reading.event)
            edge.add(connection, release)

    def _sweep(self, connection: sqlite3.Connection, now: int) -> None:
        """Forget, now and then, which readings had their key that are too old to get one."""
        if now - self._swept > _KEEP_MS:
            connection.execute("DELETE FROM used WHERE time < ?", (now - _KEEP_MS,))
            self._swept = now

    @contextmanager
    def _changing(self) -> Iterator[tuple[sqlite3.Connection, _Edge]]:
        """A transaction; rolled back, and nothing of it kept, where anything is raised."""
        with self._file.using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                edge = self._at(connection)
                yield connection, edge
                state = (1, edge.size, edge.tip, b"".join(edge.tree.stack))
                connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)", state)
                connection.execute("COMMIT")
            except BaseException:
                self._edge = None
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _at(self, connection: sqlite3.Connection) -> _Edge:
        """Where the log ends; what another process wrote since isn't taken from memory."""
        size, tip, edge = _state(connection)
        if self._edge is None or (self._edge.size, self._edge.tip) != (size, tip):
            self._edge = _Edge(size, tip, edge)
        return self._edge

    def _end(self) -> tuple[int, bytes]:
        """Size and root."""
        with self._file.using() as connection:
            size, tip, edge = _state(connection)
        return size, _Edge(size, tip, edge).tree.root()

    # The file beside it.

    def _write_last(self) -> None:
        with self._file.using() as connection:
            size, tip, _ = _state(connection)
        replace_file(self._last, f"{size} {tip.hex()}\n".encode())
        self._told, self._behind = time.monotonic(), False

    def _read_last(self) -> tuple[int, bytes] | None:
        if not self._last.exists():
            return None
        try:
            size, tip = self._last.read_text().split()
            return int(size), bytes.fromhex(tip)
        except ValueError as error:
            raise StartRefused(f"{self._last} can't be read: {error}. {_REMEDY}") from error

    def _check(self, before: tuple[int, bytes] | None) -> None:
        """The log is whole, and goes on from what stands beside it; raises StartRefused."""
        with self._changing() as (connection, edge):
            size, tip = before or (0, ZERO)
            if _tip(connection, edge.size) != edge.tip or _tip(connection, size) != tip:
                raise StartRefused(
                    f"{self._path}, the log of what the key keeper gave out, was put back, cut short or altered: it has "
                    f"{counted(edge.size, 'entry')}, and {size} were there before. {_REMEDY}"
                )
            if edge.size and before is None:
                edge.add(
                    connection,
                    Release(edge.size, edge.tip, self._clock(), {"kind": RESTORED}),
                )
        self._write_last()


_REMEDY = (
    f"Put the right {RELEASES} back. If it is lost, remove {LAST} beside it: the keeper goes on from what is there, and an "
    "entry of its log says so"
)


def _state(connection: sqlite3.Connection) -> tuple[int, bytes, bytes]:
    row = connection.execute("SELECT size, tip, edge FROM state").fetchone()
    return row or (0, ZERO, b"")


def _tip(connection: sqlite3.Connection, size: int) -> bytes | None:
    """The leaf hash of the last of the first `size` entries; None if it isn't there."""
    if not size:
        return ZERO
    row = connection.execute(
        "SELECT CAST(raw AS BLOB) FROM releases WHERE seq = ?", (size - 1,)
    ).fetchone()
    return leaf_hash(row[0]) if row else None


def open_signer(folder: Path, origin: str, secret: str | None, begun: bool) -> LogSigner:
    """The keys of the log of releases, drawn when there are none; raises StartRefused for what can't be opened.

    `begun`: the log has entries already, whose keys are there.
    """
    paths = [folder / name for name in RELEASES_SEEDS]
    for path in paths:
        if path.exists():
            continue
        if begun:
            raise StartRefused(
                f"{path}, a key of the key keeper's log of releases, is missing: put it back from the keeper's backup"
            )
        try:
            create_root(path, secret)
        except FileExistsError:
            continue  # by another process that opens this folder
    return LogSigner(releases_origin(origin), *(load_root(path, secret) for path in paths))
