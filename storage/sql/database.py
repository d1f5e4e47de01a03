"""The SQL engine: connections, write transactions, and the few statements that differ by dialect.

SQLite takes an `flock` before `BEGIN IMMEDIATE`: without it a second process starves for seconds.
"""

import fcntl
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    create_engine,
    event,
)
from sqlalchemy.engine import Engine, ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from durable.errors import StartRefused
from durable.files import make_private, private
from storage.errors import OutcomeUnknown
from storage.sql import postgres

SQLITE_PAGE_BYTES = 8_192
SQLITE_CACHE_KIB = 262_144
SQLITE_CHECKPOINT_PAGES = 20_000
SQLITE_ROWS = 100
"""Rows in one INSERT: each statement hands the interpreter lock over once, not once a row."""
PRIMARY_CODE = 0xFF
"""The part of SQLite's error codes that names the kind."""
BUSY_MS = 30_000
"""How long a SQLite connection waits for another one's lock."""
CRASHED_SECONDS = 3.0
"""How long PostgreSQL may take to learn that a process is gone which did something alone."""
ALONE_RETRY_SECONDS = 0.05
"""How often it is asked meanwhile."""


_COPY_TYPES: dict[type, str] = {
    BigInteger: "int8",
    Boolean: "bool",
    Integer: "int4",
    LargeBinary: "bytea",
    SmallInteger: "int2",
    Text: "text",
}
"""PostgreSQL's names of the schema's types, for its binary COPY."""


class Database:
    """One database; any number of threads and processes."""

    def __init__(self, url: str, lock: Path, only_read: bool = False) -> None:
        """`url` as SQLAlchemy writes it; `lock`: the file whose flock orders SQLite's writers.

        `only_read`: no file is made or given another mode, not even beside SQLite's.
        """
        self.sqlite = make_url(url).get_backend_name() == "sqlite"
        self.url, self._only_read = url, only_read
        self._thread_lock = threading.Lock()
        self._lock_path = lock
        self._own, self._raw = threading.local(), list[_RawReader]()
        if self.sqlite:
            self._writer, self._reader = _sqlite(url, only_read)
            for engine, other in ((self._writer, self._reader), (self._reader, self._writer)):
                event.listen(engine, "handle_error", partial(self._begin_afresh, other))
            if not only_read:
                make_private(lock)
        else:
            self._writer = self._reader = create_engine(
                url,
                poolclass=QueuePool,
                pool_size=8,
                pool_pre_ping=True,
                isolation_level="READ COMMITTED",
                connect_args=postgres.connecting(url),
                hide_parameters=True,
            )
            postgres.watch(self._writer)
            try:
                self._check_answers()
            except BaseException:
                self.close()
                raise

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A write transaction: committed at the end, rolled back on an exception.

        Raises OutcomeUnknown where PostgreSQL gave up waiting for a standby: it then commits, and only warns.
        """
        if not self.sqlite:
            with self._writer.connect() as connection:
                warned: list[str] = connection.info[postgres.WARNED]
                with connection.begin():
                    yield connection
                    warned.clear()
                if warned:
                    raise OutcomeUnknown(
                        f"PostgreSQL committed with a warning ({warned[0]}): a failover could lose it; send it again"
                    )
            return
        with self._thread_lock, open(self._lock_path, "ab", opener=private) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with self._writer.begin() as connection:
                yield connection

    @contextmanager
    def alone(self, name: str, wait: float = 0.0) -> Iterator[bool]:
        """Whether this process alone does `name` (letters and `_`) now; given up at the end, and by a crash.

        `wait`: for how many seconds PostgreSQL is asked again, which may learn late that a process is gone.
        """
        if self.sqlite:
            with open(self._lock_path.with_name(f"{name}.lock"), "ab", opener=private) as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    yield False
                else:
                    yield True
            return
        # A lock of the session, on a connection that stays in no transaction.
        with self._writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            statement = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
            deadline = time.monotonic() + wait

            def took() -> bool:
                return bool(connection.exec_driver_sql(statement, (f"heartwood {name}",)).scalar())

            try:
                while not (alone := took()) and time.monotonic() < deadline:
                    time.sleep(ALONE_RETRY_SECONDS)
                yield alone
            finally:
                connection.exec_driver_sql("SELECT pg_advisory_unlock_all()")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction on one consistent state."""
        with self._reader.connect() as connection:
            if not self.sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    def hold(self, connection: Connection, *tables: str) -> None:
        """Let nobody else write to these tables until the transaction ends; SQLite has one writer anyway."""
        if not self.sqlite:
            names = ", ".join(f'"{table}"' for table in tables)
            connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")

    def fetch(self, statement: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The rows of one SELECT, written with `?`, by the driver itself: for what is asked at each reading.

        It stands alone: two of them may see two states. Raises DBAPIError, as statements of SQLAlchemy do.
        """
        try:
            return (
                self._fetch_sqlite(statement, parameters)
                if self.sqlite
                else self._fetch(statement, parameters)
            )
        except (sqlite3.Error, psycopg.Error) as error:
            raise DBAPIError(statement, None, error) from error

    def _fetch_sqlite(self, statement: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        reader = getattr(self._own, "reader", None)
        if reader is None:
            reader = self._own.reader = _RawReader(self.url, self._only_read)
            self._raw.append(reader)
        rows: list[tuple[Any, ...]] = reader.fetch(statement, parameters)
        return rows

    def _begin_afresh(self, other: Engine, context: ExceptionContext) -> None:
        """After a fault of the disk every connection is opened again, those of the `other` engine and of all threads, too.

        SQLite goes on believing what it then saw: a file that can only be read, a lock that it has. What it
        knows of the shared memory it keeps for the process, until the last connection is closed.
        """
        error = context.original_exception
        if isinstance(error, sqlite3.OperationalError) and (
            error.sqlite_errorcode & PRIMARY_CODE
            not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        ):
            context.is_disconnect = True
            running: Any = context.execution_context
            if running is not None and running.cursor is not None:
                running.cursor.close()  # an open one would keep the closed connection's files open
            other.dispose()
            for reader in self._raw:
                reader.close()

    def _fetch(self, statement: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        raw = self._reader.raw_connection()
        try:
            driver = raw.driver_connection
            assert driver is not None
            rows = list(driver.execute(self.sql(statement), parameters))
            driver.rollback()
            return rows
        except psycopg.Error:
            raw.invalidate()
            raise
        finally:
            raw.close()

    def select(
        self,
        connection: Connection,
        table: str,
        columns: str,
        names: Sequence[str],
        keys: Sequence[tuple[str, ...]],
        joined: str = "",
        where: str = "",
    ) -> Any:
        """`columns` of the rows of `table` whose columns `names` hold one of `keys`, none twice.

        The keys come as one parameter and drive the join, so each costs one index look-up; `joined` may
        join further tables.

        `where`: what else must hold of a row.
        """
        if not keys:
            return ()
        on = " AND ".join(f'"{table}"."{name}" = k{i}' for i, name in enumerate(names))
        parameters: tuple[Any, ...]
        if self.sqlite and len(names) == 1:
            source = "(SELECT value AS k0 FROM json_each(?)) CROSS JOIN"
            parameters = (json.dumps([key for (key,) in keys]),)
        elif self.sqlite:
            parts = ", ".join(f"json_extract(value, '$[{i}]') AS k{i}" for i in range(len(names)))
            source = f"(SELECT {parts} FROM json_each(?)) CROSS JOIN"
            parameters = (json.dumps(keys),)
        else:
            arrays = ", ".join("%s::text[]" for _ in names)
            aliases = ", ".join(f"k{i}" for i in range(len(names)))
            source = f"unnest({arrays}) AS wanted({aliases}) JOIN"
            parameters = tuple([key[i] for key in keys] for i in range(len(names)))
        statement = f'SELECT {columns} FROM {source} "{table}" ON {on} {joined} {where and f"WHERE {where}"}'
        return connection.exec_driver_sql(statement, parameters).all()

    def sql(self, statement: str) -> str:
        """`statement`, written with `?`, in the driver's own style of parameters."""
        return statement if self.sqlite else statement.replace("?", "%s")

    def insert(self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add many rows, in the order of the table's columns, by the driver's bulk path."""
        if not rows:
            return
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        if self.sqlite:
            marks = f"({', '.join('?' * len(table.columns))})"
            statement = f'INSERT INTO "{table.name}" ({columns}) VALUES '
            whole = len(rows) - len(rows) % SQLITE_ROWS
            for start in range(0, whole, SQLITE_ROWS):
                values = tuple(chain.from_iterable(rows[start : start + SQLITE_ROWS]))
                connection.exec_driver_sql(statement + ", ".join([marks] * SQLITE_ROWS), values)
            self.run_many(connection, statement + marks, rows[whole:])
            return
        driver = connection.connection.driver_connection
        assert driver is not None
        command = f'COPY "{table.name}" ({columns}) FROM STDIN WITH (FORMAT BINARY)'
        try:
            with driver.cursor().copy(command) as copy:
                copy.set_types([_COPY_TYPES[type(column.type)] for column in table.columns])
                for row in rows:
                    copy.write_row(row)
        except psycopg.Error as error:
            raise DBAPIError(command, None, error) from error

    def upsert(self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add or replace many rows by their primary key."""
        if not rows:
            return
        names = [column.name for column in table.columns]
        keys = ", ".join(f'"{column.name}"' for column in table.primary_key)
        sets = ", ".join(f'"{n}" = excluded."{n}"' for n in names if not table.c[n].primary_key)
        quoted, marks = ", ".join(f'"{n}"' for n in names), ", ".join("?" * len(names))
        statement = f'INSERT INTO "{table.name}" ({quoted}) VALUES ({marks}) ON CONFLICT ({keys}) DO UPDATE SET {sets}'
        self.run_many(connection, statement, rows)

    def run_many(
        self, connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Run a statement, written with `?`, once for each row, by the driver's `executemany`."""
        if rows:
            connection.exec_driver_sql(self.sql(statement), list(rows))

    def clock(self, connection: Connection) -> int | None:
        """The database server's clock in Unix ms; None where it is this process's own."""
        if self.sqlite:
            return None
        row = connection.exec_driver_sql(
            "SELECT extract(epoch FROM clock_timestamp()) * 1000"
        ).scalar()
        return int(row) if row is not None else None

    def replication(self) -> postgres.Replication | None:
        """How commits reach other servers; None for SQLite. Raises DBAPIError."""
        return None if self.sqlite else postgres.replication(self.fetch, self.url)

    def close(self) -> None:
        """Close every connection; SQLite's writer last, which then folds its write-ahead log away."""
        for reader in self._raw:
            reader.close()
        self._reader.dispose()
        self._writer.dispose()

    def _check_answers(self) -> None:
        """Raises StartRefused for a server that could lose what it acknowledged, DBAPIError if none answers."""
        try:
            self._writer.connect().close()
        except DBAPIError as error:
            if isinstance(error.orig, postgres.NotDurable):
                raise StartRefused(f"{error.orig}") from error
            raise


def _sqlite(url: str, only_read: bool) -> tuple[Engine, Engine]:
    path = make_url(url).database
    if not path or path == ":memory:":
        raise StartRefused(f"got {url}, expected a SQLite file: a log in memory keeps nothing")
    writer = create_engine(f"sqlite:///{path}", poolclass=QueuePool, pool_size=1, max_overflow=0,
                           connect_args={"check_same_thread": False}, hide_parameters=True)  # fmt: skip
    reader = create_engine(f"sqlite:///{_reading(path, only_read)}&uri=true", poolclass=QueuePool, pool_size=8,
                           connect_args={"check_same_thread": False}, hide_parameters=True)  # fmt: skip
    event.listen(writer, "do_connect", lambda *_: _make_private(Path(path)))
    event.listen(writer, "connect", _writer_pragmas)
    event.listen(writer, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    event.listen(reader, "connect", _reader_pragmas)
    event.listen(reader, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return writer, reader


def _make_private(path: Path) -> None:
    """The database's files: SQLite makes those beside it as readable as the first."""
    make_private(path, create=True)
    for beside in ("-wal", "-shm"):
        make_private(path.with_name(path.name + beside))


def _reading(path: str, only_read: bool = False) -> str:
    """The URI of a SQLite file for reading alone; `only_read`: as if the disk couldn't be written.

    On a disk that can't be written a file that was closed in good order is whole by itself (immutable); one with
    a write-ahead log beside it is not, and SQLite says whether it can be read.
    """
    whole = os.path.abspath(path)
    closed = not os.path.exists(f"{whole}-wal") or not os.path.getsize(f"{whole}-wal")
    fixed = (
        closed
        and os.path.exists(whole)
        and (only_read or not os.access(os.path.dirname(whole), os.W_OK))
    )
    return f"file:{whole}?mode=ro{'&immutable=1' if fixed else ''}"


class _RawReader:
    """A connection of one thread's own for single statements; any thread may close it between two of them."""

    def __init__(self, url: str, only_read: bool) -> None:
        self._path, self._only_read = str(make_url(url).database), only_read
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def fetch(self, statement: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The rows; raises sqlite3.Error, after which the next statement opens the file again."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open()
                return list(self._connection.execute(statement, parameters))
            except sqlite3.Error:
                self._close()  # as `Database._begin_afresh`
                raise

    def close(self) -> None:
        """Close it, once no statement runs; the next one opens it again."""
        with self._lock:
            self._close()

    def _open(self) -> sqlite3.Connection:
        path = _reading(self._path, self._only_read)
        connection = sqlite3.connect(path, uri=True, check_same_thread=False)
        _reader_pragmas(connection, None)
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _writer_pragmas(connection: Any, _: Any) -> None:
    connection.isolation_level = None
    for pragma in (
        f"page_size = {SQLITE_PAGE_BYTES}",
        "journal_mode = WAL",
        "synchronous = FULL",
        f"cache_size = -{SQLITE_CACHE_KIB}",
        f"wal_autocheckpoint = {SQLITE_CHECKPOINT_PAGES}",
        f"busy_timeout = {BUSY_MS}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _reader_pragmas(connection: Any, _: Any) -> None:
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
