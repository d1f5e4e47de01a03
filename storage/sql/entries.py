"""The entry store: entries, stream ends, tiles, checkpoints and the head row, on both engines."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection

from durable.errors import NotFound
from ledger.chain import ZERO
from ledger.entry import Entry
from ledger.merkle import HASH_BYTES, Node, leaf_hash
from ledger.tiles import TILE_WIDTH, edge_nodes, right_edge_of, tile_nodes
from ledger.witnessing import SIZE_LIMIT
from storage.sql import schema
from storage.sql.database import Database
from storage.sql.rows import shape

TILES_KEPT = 1_024
"""Full tiles kept for inclusion paths, about 16 KiB each."""
TREES_KEPT = 16
"""Sizes whose unfinished tiles are kept, a few times 16 KiB each."""


class Head(NamedTuple):
    """Where the log ends; times in Unix ms."""

    origin: str
    size: int
    tip: bytes
    root: bytes
    time: int
    checkpoint: bytes
    """The signed note of exactly this size."""
    streams: int
    """Streams so far; the next one gets this number."""
    published: int
    """Size of the last published checkpoint."""
    published_time: int
    registry: bytes


_HEAD = ", ".join(Head._fields)


def _as_head(row: Sequence[Any]) -> Head:
    values = list(row)
    for index in (2, 3, 5, 9):
        values[index] = bytes(values[index])
    return Head._make(values)


class Published(NamedTuple):
    """A published checkpoint."""

    size: int
    note: bytes
    """Signed by the log, and by witnesses if it is `cosigned`."""
    cosigned: bool
    """Whether their cosignatures met the policy."""


def _published(row: Sequence[Any]) -> Published:
    size, note, lines = row
    return Published(size, bytes(note) + bytes(lines or b""), lines is not None)


class Standing(NamedTuple):
    """How far a witness is."""

    size: int
    """Of the last checkpoint that it cosigned, as it told."""
    time: int
    """When it did, Unix ms; 0: never."""
    problem: str
    """What is wrong since, for people; empty if nothing is."""


class StreamEnd(NamedTuple):
    """A stream's number in the store, its length and the leaf hash of its last entry."""

    id: int
    length: int
    tip: bytes


@dataclass
class EntryStore:
    """Reads and writes the log's tables; every call names the connection it works on.

    A batch is written whole in the caller's transaction: durable at its commit, or not at all.
    """

    database: Database

    def __post_init__(self) -> None:
        """No tile is kept yet."""
        self.full: Node = tile_nodes(self._tile_now, TILES_KEPT)
        """The nodes inside full tiles, which never change; each tile is read once."""
        self._trees = lru_cache(TREES_KEPT)(self._tree_of)

    def head(self, connection: Connection, lock: bool = False) -> Head | None:
        """The head row; with `lock`, held until the transaction ends, before anything else is read."""
        suffix = " FOR UPDATE" if lock and not self.database.sqlite else ""
        row = connection.exec_driver_sql(f"SELECT {_HEAD} FROM head WHERE id = 1{suffix}").first()
        return None if row is None else _as_head(row)

    def head_now(self) -> Head | None:
        """The head row as it was last committed, on no connection of the caller's."""
        rows = self.database.fetch(f"SELECT {_HEAD} FROM head WHERE id = 1", ())
        return _as_head(rows[0]) if rows else None

    def write_head(self, connection: Connection, head: Head) -> None:
        """Replace the head row."""
        self.database.upsert(connection, schema.head, [(1, *head)])

    def streams(self, connection: Connection, names: Iterable[str]) -> dict[str, StreamEnd]:
        """The ends of those of the named streams that exist."""
        last = "(SELECT max(stream_seq) FROM entries WHERE stream = streams.id)"
        found = self.database.select(
            connection,
            "streams",
            "streams.name, streams.id, e.stream_seq, e.raw",
            ("name",),
            [(name,) for name in names],
            f"JOIN entries e ON e.stream = streams.id AND e.stream_seq = {last}",
        )
        return {
            name: StreamEnd(number, seq + 1, leaf_hash(bytes(raw)))
            for name, number, seq, raw in found
        }

    def add_streams(self, connection: Connection, numbers: Sequence[tuple[str, int]]) -> None:
        """Add new streams with their numbers."""
        self.database.insert(connection, schema.streams, numbers)

    def known(self, connection: Connection, events: Sequence[str]) -> dict[str, Entry]:
        """The entries that hold these event ids, also inside a refusal."""
        keys = [(event,) for event in dict.fromkeys(events)]
        ids = dict(
            tuple(row)
            for row in self.database.select(connection, "event_ids", "event, seq", ("event",), keys)
        )
        return {event: Entry.parse(self.entry(connection, seq)) for event, seq in ids.items()}

    def add(
        self, connection: Connection, entries: Sequence[tuple[int, Entry]], ids: dict[str, int]
    ) -> None:
        """Add entries, each with its stream's number, and the event ids they hold."""
        rows = [(e.link.seq, stream, e.link.stream_seq, e.raw) for stream, e in entries]
        self.database.insert(connection, schema.entries, rows)
        self.database.insert(connection, schema.event_ids, list(ids.items()))

    def tile(self, connection: Connection, level: int, number: int) -> bytes:
        """The hashes of one tile, as many as there are; raises NotFound."""
        statement = self.database.sql("SELECT hashes FROM tiles WHERE level = ? AND number = ?")
        row = connection.exec_driver_sql(statement, (level, number)).first()
        if row is None:
            raise NotFound(f"tile {number} of level {level} is not in the database")
        return bytes(row[0])

    def nodes(self, connection: Connection) -> Node:
        """The tree's nodes, from the stored tiles."""
        return tile_nodes(lambda level, number: self.tile(connection, level, number))

    def tree(self, size: int) -> Node:
        """The nodes of the tree over the first `size` entries, kept; on a connection of its own.

        Raises LookupError or NotFound if there are fewer.
        """
        return self._trees(size)

    def _tree_of(self, size: int) -> Node:
        return edge_nodes(size, right_edge_of(size, self._tile_now), self.full)

    def _tile_now(self, level: int, number: int) -> bytes:
        with self.database.read() as connection:
            return self.tile(connection, level, number)

    def write_tiles(self, connection: Connection, tiles: dict[tuple[int, int], bytes]) -> None:
        """Set the right-edge tiles, by level and number."""
        rows = [(level, number, hashes) for (level, number), hashes in tiles.items()]
        self.database.upsert(connection, schema.tiles, rows)

    def publish(self, connection: Connection, size: int, note: bytes) -> None:
        """Keep a published checkpoint, for ever."""
        self.database.insert(connection, schema.checkpoints, [(size, note)])

    def covered(self, seq: int) -> tuple[bytes, Published | None]:
        """An entry's bytes; the first published checkpoint that covers it, if there is one.

        Before all others comes one that its witnesses cosigned: it was final under a policy. On no connection of
        the caller's. Raises NotFound.
        """
        rows = self.database.fetch(
            "SELECT e.raw, c.size, c.note, w.lines FROM entries e LEFT JOIN checkpoints c ON c.size = COALESCE("
            "(SELECT min(size) FROM cosignatures WHERE size > e.seq), "
            "(SELECT min(size) FROM checkpoints WHERE size > e.seq)) "
            "LEFT JOIN cosignatures w ON w.size = c.size WHERE e.seq = ?",
            (seq,),
        )
        if not rows:
            raise NotFound(f"entry {seq} is not in the log")
        raw, *found = rows[0]
        return bytes(raw), None if found[0] is None else _published(found)

    def published_now(self) -> Published | None:
        """The newest published checkpoint."""
        return self._newest("LEFT JOIN")

    def cosigned_now(self, within: int = SIZE_LIMIT) -> Published | None:
        """The newest published checkpoint whose cosignatures met the policy; None if none ever did.

        `within`: of so many entries at most.
        """
        return self._newest("JOIN", within)

    def _newest(self, join: str, within: int = SIZE_LIMIT) -> Published | None:
        rows = self.database.fetch(
            f"SELECT c.size, c.note, w.lines FROM checkpoints c {join} cosignatures w ON w.size = c.size "
            "WHERE c.size <= ? ORDER BY c.size DESC LIMIT 1",
            (within,),
        )
        return _published(rows[0]) if rows else None

    def standings(self) -> dict[str, Standing]:
        """How far each witness is, by name and id of its key."""
        rows = self.database.fetch("SELECT witness, size, time, problem FROM log_witnesses", ())
        return {row[0]: Standing(*row[1:]) for row in rows}

    def keep_cosigned(self, connection: Connection, checkpoint: Published, lines: bytes) -> bool:
        """Keep the cosignatures of a published checkpoint; False, with nothing kept, where the log has it no more.

        A standby that was promoted without the last commits has lost it, and may have published another one of its size.
        """
        statement = self.database.sql("SELECT note FROM checkpoints WHERE size = ?")
        row = connection.exec_driver_sql(statement, (checkpoint.size,)).first()
        if row is None or not checkpoint.note.startswith(bytes(row[0])):
            return False
        self.database.upsert(connection, schema.cosignatures, [(checkpoint.size, lines)])
        return True

    def keep_standings(self, connection: Connection, standings: Mapping[str, Standing]) -> None:
        """Keep how far witnesses are."""
        rows = [(name, *standing) for name, standing in standings.items()]
        self.database.upsert(connection, schema.log_witnesses, rows)

    def entry(self, connection: Connection, seq: int) -> bytes:
        """The stored bytes of one entry; raises NotFound."""
        statement = self.database.sql("SELECT raw FROM entries WHERE seq = ?")
        row = connection.exec_driver_sql(statement, (seq,)).first()
        if row is None:
            raise NotFound(f"entry {seq} is not in the log")
        return bytes(row[0])

    def range(self, connection: Connection, start: int, end: int) -> list[bytes]:
        """The stored bytes of entries `start` to `end`, exclusive, in order."""
        statement = "SELECT raw FROM entries WHERE seq >= ? AND seq < ? ORDER BY seq"
        result = connection.exec_driver_sql(self.database.sql(statement), (start, end))
        return [bytes(row[0]) for row in result]

    def stream(self, connection: Connection, name: str, below: int, since: int = 0) -> list[bytes]:
        """The stored bytes of a stream's entries with numbers from `since` and below `below`, in order."""
        statement = self.database.sql(
            "SELECT e.raw FROM streams s JOIN entries e ON e.stream = s.id "
            "WHERE s.name = ? AND e.seq >= ? AND e.seq < ? ORDER BY e.stream_seq"
        )
        found = connection.exec_driver_sql(statement, (name, since, below))
        return [bytes(row[0]) for row in found]

    def tail(
        self, connection: Connection, name: str, count: int, below: int = 2**63 - 1
    ) -> list[bytes]:
        """The stored bytes of a stream's last entries, at most `count`, the newest first; `below` such a place in it."""
        statement = self.database.sql(
            "SELECT e.raw FROM streams s JOIN entries e ON e.stream = s.id "
            "WHERE s.name = ? AND e.stream_seq < ? ORDER BY e.stream_seq DESC LIMIT ?"
        )
        found = connection.exec_driver_sql(statement, (name, below, count))
        return [bytes(row[0]) for row in found]

    def last_hashes(self, connection: Connection, size: int) -> bytes:
        """The hashes of the last level-0 tile of a log of `size`; empty for an empty log."""
        if not size:
            return b""
        number = (size - 1) // TILE_WIDTH
        return self.tile(connection, 0, number)[: (size - number * TILE_WIDTH) * HASH_BYTES]

    def write_rows(self, connection: Connection, changes: Sequence[tuple[bool, Any]]) -> None:
        """Write changed rows of directory and facts: (is new, row)."""
        for fresh in (True, False):
            by_kind: dict[type, list[Any]] = {}
            for is_new, row in changes:
                if is_new is fresh:
                    by_kind.setdefault(type(row), []).append(row)
            for kind, rows in by_kind.items():
                form = shape(kind)
                write = self.database.insert if fresh else self.database.upsert
                write(connection, form.table, [form.encode(row) for row in rows])


def empty_head(origin: str, registry: bytes, root: bytes) -> Head:
    """The head of a log without entries."""
    return Head(origin, 0, ZERO, root, 0, b"", 0, 0, 0, registry)
