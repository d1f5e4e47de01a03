"""What else one could keep events in: each takes a batch of the same events and returns when it is durable."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore
from pymerkle import SqliteTree
from sqlalchemy import make_url

from benchmarks.fixture import ORIGIN
from crypto.signing import verify
from ledger.messages import event_message

SYNCHRONOUS_FULL = 2
_COLUMNS = "seq bigint PRIMARY KEY, id text NOT NULL UNIQUE, stream text NOT NULL, raw {0} NOT NULL, sig {0} NOT NULL"


@dataclass(frozen=True)
class Plain:
    """An event as its bytes, its signature, and what a table is indexed by."""

    seq: int
    id: str
    stream: str
    kind: str
    raw: bytes
    sig: bytes
    public: bytes
    """The key that the signature is checked with."""

    @property
    def row(self) -> tuple[int, str, str, bytes, bytes]:
        """As a table holds it."""
        return self.seq, self.id, self.stream, self.raw, self.sig


Append = Callable[[Sequence[Plain]], None]
"""Appends one batch; durable when it returns."""


@contextmanager
def sqlite(place: Path, url: str) -> Iterator[Append]:
    """One table in SQLite, in WAL with a sync at each commit, by `executemany`."""
    connection = sqlite3.connect(place / "plain.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"CREATE TABLE events ({_COLUMNS.format('blob')})")

    def append(events: Sequence[Plain]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?)", [event.row for event in events]
        )
        connection.execute("COMMIT")

    yield append
    connection.close()


@contextmanager
def _postgres(url: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("DROP TABLE IF EXISTS events")
        connection.execute(f"CREATE TABLE events ({_COLUMNS.format('bytea')})".encode())
        connection.commit()
        yield connection


@contextmanager
def postgres_insert(place: Path, url: str) -> Iterator[Append]:
    """One table in PostgreSQL, by `executemany`, which psycopg sends as a pipeline."""
    with _postgres(url) as connection:

        def append(events: Sequence[Plain]) -> None:
            with connection.cursor() as cursor:
                rows = [event.row for event in events]
                cursor.executemany("INSERT INTO events VALUES (%s, %s, %s, %s, %s)", rows)
            connection.commit()

        yield append


@contextmanager
def postgres_copy(place: Path, url: str) -> Iterator[Append]:
    """One table in PostgreSQL, by binary COPY."""
    with _postgres(url) as connection:

        def append(events: Sequence[Plain]) -> None:
            with (
                connection.cursor() as cursor,
                cursor.copy("COPY events FROM STDIN WITH (FORMAT BINARY)") as copy,
            ):
                copy.set_types(["int8", "text", "text", "bytea", "bytea"])
                for event in events:
                    copy.write_row(event.row)
            connection.commit()

        yield append


@contextmanager
def merkle(place: Path, url: str) -> Iterator[Append]:
    """pymerkle's tree in SQLite; in WAL as the others, though it doesn't ask for it."""
    with SqliteTree(str(place / "tree.db")) as tree:
        tree.con.execute("PRAGMA journal_mode = WAL")
        _check_synced(tree.con.execute("PRAGMA synchronous").fetchone())
        yield lambda events: tree.append_entries([event.raw + event.sig for event in events])


@contextmanager
def eventsourcing_sqlite(place: Path, url: str) -> Iterator[Append]:
    """The library's recorder on SQLite, without its mapping from Python objects."""
    store = SQLiteDatastore(str(place / "sourcing.db"))
    recorder = SQLiteApplicationRecorder(store)
    recorder.create_table()
    with store.transaction(commit=False) as cursor:
        cursor.execute("PRAGMA synchronous")
        _check_synced(cursor.fetchone()[0])
    yield lambda events: recorder.insert_events([_stored(event) for event in events])
    store.close()


@contextmanager
def eventsourcing_postgres(place: Path, url: str) -> Iterator[Append]:
    """The library's recorder on PostgreSQL, without its mapping from Python objects."""
    where = make_url(url)
    store = PostgresDatastore(
        where.database, where.host, where.port, where.username, where.password,
        originator_id_type="text",
    )  # fmt: skip
    recorder = PostgresApplicationRecorder(store)
    recorder.create_table()
    yield lambda events: recorder.insert_events([_stored(event) for event in events])
    store.close()


def checked(append: Append) -> Append:
    """The same, each event's signature checked first."""

    def check(events: Sequence[Plain]) -> None:
        for event in events:
            verify(event.public, event.sig, event_message(ORIGIN, event.raw))
        append(events)

    return check


def _stored(event: Plain) -> StoredEvent:
    return StoredEvent(event.stream, event.seq, event.kind, event.raw + event.sig)


def _check_synced(synchronous: int) -> None:
    if synchronous != SYNCHRONOUS_FULL:
        raise SystemExit(f"got synchronous = {synchronous}, expected {SYNCHRONOUS_FULL} (FULL)")
