"""A copy of the database as one SQLite file, whatever the engine, row by row in one read transaction.

Neither `VACUUM INTO` nor `pg_dump`: one way for both engines is tested on both, needs no program of the
right version beside ours, and restores on either. SQLite reads the state at which the transaction began (a
write-ahead log holds up no writer), PostgreSQL under REPEATABLE READ. Pages are not copied as they are, so
what can't be read shows now and not at the restore. The file has the very schema of its revision, made by
the same migrations: on SQLite it is the restored database.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from sqlalchemy import Connection, MetaData, Table, select
from sqlalchemy.engine import make_url

from durable.files import PRIVATE_MODE
from storage.errors import BackupRefused
from storage.sql.database import Database
from storage.sql.upgrade import make_schema, revision

ROWS = 2_000
"""Rows held in memory at a time; an entry has 1.5 KiB mostly, and 64 KiB at most."""
REVISIONS = "alembic_version"


def take(source: Database, path: Path) -> None:
    """Copy all tables as of one instant into a new SQLite file at `path`, mode 0600."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE))
    target = opened(path)
    try:
        with source.read() as connection:
            with target.write() as writing:
                make_schema(writing, revision_of(connection))
            # Committed as it goes: a cut-off file is thrown away anyway, and its own log stays short.
            _copy(connection, target, target.write)
    finally:
        target.close()


def opened(path: Path) -> Database:
    """A snapshot's file as a database; reading it writes nothing."""
    return Database(f"sqlite:///{path.resolve()}", path.with_name(f".{path.name}.lock"))


def seal(path: Path) -> None:
    """Make a snapshot one file that can be read from a medium that can't be written to."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    path.with_name(f".{path.name}.lock").unlink(missing_ok=True)


def load(path: Path, target: Database) -> None:
    """Put a snapshot's rows into an empty PostgreSQL database, in one transaction."""
    source = opened(path)
    try:
        with source.read() as connection, target.write() as writing:
            make_schema(writing, revision_of(connection))
            _copy(connection, target, lambda: nullcontext(writing))
    finally:
        source.close()


def is_empty(database: Database) -> bool:
    """Whether a database has no tables at all."""
    with database.read() as connection:
        metadata = MetaData()
        metadata.reflect(connection)
        return not metadata.tables


def _copy(
    connection: Connection,
    target: Database,
    write: Callable[[], AbstractContextManager[Connection]],
) -> None:
    """Copy the rows of all tables, some at a time, each time in what `write` gives."""
    for table in tables(connection):
        result = connection.execute(select(table).execution_options(yield_per=ROWS))
        for rows in result.partitions():
            with write() as writing:
                target.insert(writing, table, [tuple(row) for row in rows])


def tables(connection: Connection) -> list[Table]:
    """The tables that are there, with types of no engine's own, by name; of whatever revision."""
    metadata = MetaData()
    metadata.reflect(connection)
    found = [table for name, table in sorted(metadata.tables.items()) if name != REVISIONS]
    for table in found:
        for column in table.columns:
            column.type = column.type.as_generic()
    return found


def revision_of(connection: Connection) -> str:
    """The schema's revision; raises BackupRefused where there is none."""
    found = revision(connection)
    if found is None:
        raise BackupRefused(f"{make_url(str(connection.engine.url)).database} holds no ledger")
    return found
