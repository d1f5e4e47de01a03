"""The facts that the keeper folds, in a SQLite file of its own: a row is looked up where it lies, and kept a while."""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from zlib import crc32

import msgspec

from ledger.rows import (
    GROUPS,
    KEY_LENGTHS,
    LIVE,
    ROW_TYPES,
    STANDING,
    Row,
    kind_of_id,
    row_name,
)

R = TypeVar("R")
ROWS_KEPT = 100_000
"""Rows of a kind kept in memory."""
GROUPS_KEPT, GROUP_ROWS = 10_000, 100
"""Groups kept in memory, and most rows of one that is kept."""
_encode = msgspec.msgpack.Encoder().encode
_DECODE: dict[type, Callable[[bytes], Any]] = {
    kind: msgspec.msgpack.Decoder(kind).decode for kind in ROW_TYPES
}
# By their names: in which order their modules were loaded differs from program to program.
_TABLES = {
    kind: f"row_{one.table}"
    for kind, one in sorted(ROW_TYPES.items(), key=lambda item: item[1].table)
}
ROW_TABLES = tuple(_TABLES.values())
TABLES = tuple(
    statement
    for kind, table in _TABLES.items()
    for statement in (
        f"CREATE TABLE IF NOT EXISTS {table} (key BLOB PRIMARY KEY, grouped BLOB, standing INTEGER, value BLOB) "
        "WITHOUT ROWID",
        *(
            (f"CREATE INDEX IF NOT EXISTS {table}_grouped ON {table} (grouped, standing)",)
            if kind in GROUPS
            else ()
        ),
    )
)
"""A table for each kind of row."""


def form_of(*statements: str) -> int:
    """A number of these tables and of those of rows, for `PRAGMA user_version`: another one where any of them differs."""
    fields = [(declared.table, kind._fields) for kind, declared in ROW_TYPES.items()]  # type: ignore[attr-defined]
    return crc32(repr((statements, TABLES, sorted(fields))).encode()) >> 1 or 1


_GET = {kind: f"SELECT value FROM {table} WHERE key = ?" for kind, table in _TABLES.items()}
_PUT = {
    kind: f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?)" for kind, table in _TABLES.items()
}
_GROUP = {
    kind: f"SELECT value FROM {table} WHERE grouped = ? AND standing"
    for kind, table in _TABLES.items()
}
_ANY = {kind: f"SELECT 1 FROM {table} WHERE grouped = ? LIMIT 1" for kind, table in _TABLES.items()}


class StoredRows:
    """A `ledger.rows.Look` on a connection, whose caller begins and ends the transaction.

    What was written by another process, or rolled back, is not seen to: `forget` then.
    """

    def __init__(self) -> None:
        """Nothing kept; `connection` is to be set before the first look."""
        self.connection: sqlite3.Connection
        self._kept: dict[type, dict[tuple[str, ...], Row]] = {}
        self._groups: dict[tuple[type, tuple[str, ...]], list[Row]] = {}
        self._unwritten: dict[type, dict[tuple[str, ...], Row]] = {}
        self.forget()

    def forget(self) -> None:
        """Keep nothing of what was looked up, or put and not written."""
        self._kept = {kind: {} for kind in KEY_LENGTHS}
        self._unwritten = {kind: {} for kind in KEY_LENGTHS}
        self._groups.clear()

    def write(self) -> None:
        """Write what was put."""
        for kind in self._unwritten:
            self._write(kind)

    def get(self, kind: type[R], *key: str) -> R | None:
        """The row of `kind` under `key`, or None."""
        kept = self._kept[kind]
        row = kept.get(key)
        if row is None:
            found = self.connection.execute(_GET[kind], (_encode(key),)).fetchone()
            if found is None:
                return None
            row = _DECODE[kind](found[0])
            self._keep(kind, key, row)
        return row  # type: ignore[no-any-return]

    def put(self, row: Row) -> None:
        """Add a row or replace the one under its key."""
        kind, key = row_name(row)
        self._unwritten[kind][key] = row
        self._keep(kind, key, row)
        fields = GROUPS.get(kind)
        if fields is not None:
            self._groups.pop((kind, row[fields]), None)

    def _keep(self, kind: type, key: tuple[str, ...], row: Row) -> None:
        kept = self._kept[kind]
        if len(kept) >= ROWS_KEPT:
            self._write(kind)  # what is not kept is found where it lies
            kept.clear()
        kept[key] = row

    def _write(self, kind: type) -> None:
        rows = self._unwritten[kind]
        if rows:
            fields, stands = GROUPS.get(kind), STANDING.get(kind)
            self.connection.executemany(
                _PUT[kind],
                [
                    (
                        _encode(key),
                        None if fields is None else _encode(row[fields]),
                        stands is None or stands(row),
                        _encode(row),
                    )
                    for key, row in rows.items()
                ],
            )
            rows.clear()

    def group(self, kind: type[R], *group: str) -> Iterable[R]:
        """The rows of `kind` in a group; of kinds whose rows leave it, those that stand."""
        found = self._groups.get((kind, group))
        if found is None:
            self._write(kind)
            rows = self.connection.execute(_GROUP[kind], (_encode(group),)).fetchall()
            found = [_DECODE[kind](value) for (value,) in rows]
            if len(found) <= GROUP_ROWS:
                if len(self._groups) >= GROUPS_KEPT:
                    self._groups.clear()
                self._groups[kind, group] = found
        return found

    def live(self, kind: type[R], time: int, *group: str) -> Iterable[R]:
        """The rows of `kind` in a group that are live at `time` (Unix ms) or later."""
        lives = LIVE[kind]
        return [row for row in self.group(kind, *group) if lives(row, time)]

    def any(self, kind: type, *group: str) -> bool:
        """Whether there was ever a row of `kind` in a group."""
        self._write(kind)
        return self.connection.execute(_ANY[kind], (_encode(group),)).fetchone() is not None

    def created(self, id_: str) -> bool:
        """Whether an entry has created this id, where a row tells of it; of events and blobs none does."""
        kind = kind_of_id(id_)
        return kind is not None and self.get(kind, id_) is not None
