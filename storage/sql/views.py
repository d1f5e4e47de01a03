"""Views: rows folded from entries by the pure folds. Disposable: built anew beside the live ones, compared,
swapped in. The sequencer's batch writes the same rows as entries come.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection

from durable.errors import StorageError
from ledger.entry import Entry
from ledger.follower import Follower, Progress
from ledger.refusals import Refusals
from ledger.rows import Rows, row_name
from ledger.types import fold
from storage.sql.database import Database
from storage.sql.entries import EntryStore
from storage.sql.rows import shape
from storage.sql.schema import TABLES

VIEWS = tuple(kind for kind in TABLES if kind is not Refusals)
"""The kinds of rows that the log alone tells; how often somebody was refused lately isn't one of them."""
WRITE_ROWS = 5_000
"""Rows written by one statement's batch."""


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild found: entries folded, rows made, and how the live rows differ, by view."""

    entries: int
    rows: int
    differences: dict[str, list[str]]
    """View → what is missing, surplus or other, by the row's key."""
    swapped: bool


def fold_log(
    store: EntryStore,
    connection: Connection,
    size: int,
    progress: Progress = lambda done, size: None,
) -> Rows:
    """All rows of a log of `size` entries, folded anew in memory; raises Tampered where one is missing."""
    rows = Rows()
    follower = Follower("rebuild", partial(store.range, connection), progress=progress)
    for bundle in follower.bundles(size):
        for raw in bundle:
            entry = Entry.stored(raw)
            for row in fold(entry, rows):
                rows.put(row)
    return rows


def rebuild(store: EntryStore, swap: bool, progress: Progress = lambda done, size: None) -> Rebuilt:
    """Build all views anew and compare them with the live ones, of the same instant.

    `swap`: put the new ones in place of those that differ; nothing is appended meanwhile.
    """
    database = store.database
    with database.write() if swap else database.read() as connection:
        head = store.head(connection, lock=swap)
        if head is None:
            raise StorageError("there is no log to build views from")
        rows = fold_log(store, connection, head.size, progress)
        found = {kind: _differences(connection, kind, rows) for kind in VIEWS}
        if swap:
            for kind in VIEWS:
                if found[kind]:
                    _replace(database, connection, kind, rows)
            if any(found.values()):
                # Whoever keeps rows in memory keeps them for this head: another one, and they are loaded anew.
                later = head._replace(published_time=head.published_time + 1)
                store.write_head(connection, later)
    differences = {TABLES[kind].name: places for kind, places in found.items() if places}
    made = sum(len(rows.all(kind)) for kind in VIEWS)
    return Rebuilt(head.size, made, differences, swap and bool(differences))


def fill(store: EntryStore, connection: Connection) -> None:
    """Fill all views from the log, after a change of their tables; in the caller's transaction."""
    head = store.head(connection)
    if head is not None:
        rows = fold_log(store, connection, head.size)
        for kind in VIEWS:
            _replace(store.database, connection, kind, rows)


def _differences(connection: Connection, kind: Any, rows: Rows) -> list[str]:
    form, left = shape(kind), dict(rows.all(kind))
    places = []
    for values in connection.exec_driver_sql(f'SELECT {form.columns} FROM "{form.table.name}"'):
        live = form.decode(values)
        key = row_name(live)[1]
        made = left.pop(key, None)
        if made != live:
            places.append(f"{_named(key)}: {'surplus' if made is None else 'other'}")
    return sorted(places + [f"{_named(key)}: missing" for key in left])


def _named(key: tuple[Any, ...]) -> str:
    return " ".join(str(part) for part in key if part != "")


def _replace(database: Database, connection: Connection, kind: Any, rows: Rows) -> None:
    form = shape(kind)
    connection.exec_driver_sql(f'DELETE FROM "{form.table.name}"')
    made = [form.encode(row) for row in rows.all(kind).values()]
    for start in range(0, len(made), WRITE_ROWS):
        database.insert(connection, form.table, made[start : start + WRITE_ROWS])
