"""One contract for the entry store on every engine: what a batch writes is there whole, or not at all."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any, get_type_hints

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from api.app.settings import Settings
from crypto.signing import SigningKey
from durable.errors import NotFound
from identity.actors import Actor, new_id
from ledger.chain import Chain
from ledger.directory import ChartLink
from ledger.entry import Entry
from ledger.event import Event, sign_event
from ledger.facts import Provision, Version
from ledger.merkle import leaf_hash
from ledger.rows import KEY_LENGTHS
from ledger.signins import SignIn
from storage.clock import wall_clock
from storage.sql import schema
from storage.sql.database import Database
from storage.sql.entries import EntryStore, Head, Published, Standing, StreamEnd
from storage.sql.rowcache import select_rows
from storage.sql.schema import TABLES
from storage.sql.upgrade import upgrade_schema

ORIGIN = "heartwood.example/store"
BIG = 2**52
"""Larger than any 32-bit integer, within what JSON numbers carry exactly."""
DATABASE_ERRORS = (DBAPIError, psycopg.Error)
"""PostgreSQL's bulk path answers with the driver's own error."""
TEXT = "Ärztin \u2028 \U0001f9ec 'quoted' \\N % ? \t"
"""What trips drivers: line separators, quotes, COPY's own signs, parameters' marks."""
BYTES = bytes(range(256))
HEAD = Head(ORIGIN, BIG, b"\0" * 32, BYTES, BIG + 1, b"note\n\0", 3, 5, BIG - 1, b"\xff" * 32)
VERSIONS = (Version(1, BIG, "bl_1", "c2hh", BIG, "text/plain"), Version(2, 7, "bl_2", "", 0, TEXT))
PROVISIONS = (
    Provision(False, labels=("l_1",)),
    Provision(True, ("ac_1", "hs_1"), exceptions=(Provision(False, records=("rc_1",)),)),
)
SIGN_INS = (
    SignIn("ss_1", "patient", "", 2, BIG, BIG + 1, 7, 8, 5, 6),
    SignIn("ss_2", "doctor", "hs_1", 1, 3, 4),
)
LINKS = (
    ChartLink("pt_2", BIG, "hs_1", BIG + 1, 5, 6, True),
    ChartLink("pt_3", 7, "", 0, 0, 0, False),
)
VALUES: dict[Any, tuple[Any, Any]] = {
    bool: (True, False),
    bytes: (BYTES, b""),
    int: (BIG, 3),
    str: (TEXT, ""),
    tuple[int, ...]: ((1, BIG), ()),
    tuple[str, ...]: (("l_1", TEXT), ()),
    tuple[ChartLink, ...]: (LINKS, LINKS[:1]),
    tuple[SignIn, ...]: (SIGN_INS, SIGN_INS[:1]),
    tuple[Provision, ...]: (PROVISIONS, PROVISIONS[:1]),
    tuple[Version, ...]: (VERSIONS, VERSIONS[:1]),
}
"""Two values of each type that a row's field may have."""


def pair_of(kind: Any) -> tuple[Any, Any]:
    """A row of a kind and another one under the same key; no field but the key is alike in both."""
    fields = list(get_type_hints(kind).items())
    key = [f"{name}_1" for name, _ in fields[: KEY_LENGTHS[kind]]]
    rest = [VALUES[hint] for _, hint in fields[KEY_LENGTHS[kind] :]]
    return kind(*key, *(one for one, _ in rest)), kind(*key, *(other for _, other in rest))


ROWS = [pair_of(kind) for kind in TABLES]
"""Of each kind, a row and another one under the same key."""


@pytest.fixture
def store(settings: Settings) -> Iterator[EntryStore]:
    """An empty store."""
    settings.data.mkdir()
    database = Database(settings.url(), settings.data / "lock")
    with database.write() as connection:
        upgrade_schema(connection)
    yield EntryStore(database)
    database.close()


@pytest.fixture
def other(store: EntryStore, settings: Settings) -> Iterator[EntryStore]:
    """The same store as another process has it."""
    database = Database(settings.url(), settings.data / "lock")
    yield EntryStore(database)
    database.close()


def entries(count: int, streams: int = 3) -> list[tuple[int, Entry]]:
    """`count` chained entries, by turns in `streams` streams, each with its stream's number."""
    key, chain, now = SigningKey(b"\7" * 32), Chain(), wall_clock()
    actor = Actor(ORIGIN, new_id("ac", now), "service", "", key)
    accounts, out = [new_id("ac", now) for _ in range(streams)], []
    for number in range(count):
        account = accounts[number % streams]
        raw = actor.event("account.registered", f"account/{account}", {"account": account}, now)
        event = Event.of(raw)
        sig = sign_event(key, ORIGIN, event.raw)
        link = chain.next(event.stream)
        entry = Entry.make(event, sig, link, now + number, None)
        chain.extend(event.stream, link, leaf_hash(entry.raw), entry.time)
        out.append((number % streams, entry))
    return out


def add(store: EntryStore, batch: Sequence[tuple[int, Entry]]) -> None:
    """Commit entries with their new streams."""
    with store.database.write() as connection:
        store.add(connection, batch, {e.event.id: e.link.seq for _, e in batch})
        fresh = [(e.event.stream, number) for number, e in batch if e.link.stream_seq == 0]
        store.add_streams(connection, fresh)


def rows_in(store: EntryStore) -> dict[str, int]:
    """How many rows each table has."""
    with store.database.read() as connection:
        return {
            table.name: int(
                connection.exec_driver_sql(f'SELECT count(*) FROM "{table.name}"').scalar() or 0
            )
            for table in schema.metadata.sorted_tables
        }


def head_of(store: EntryStore) -> Head | None:
    """The committed head."""
    with store.database.read() as connection:
        head = store.head(connection)
    assert store.head_now() == head
    return head


def test_a_new_store_is_empty(store: EntryStore) -> None:
    """No head, no rows."""
    assert head_of(store) is None
    assert set(rows_in(store).values()) == {0}


def test_the_head_comes_back_field_by_field(store: EntryStore) -> None:
    """Bytes stay bytes, large numbers whole; a second writing replaces the first."""
    for head in (HEAD, HEAD._replace(size=BIG + 1, checkpoint=BYTES)):
        with store.database.write() as connection:
            store.write_head(connection, head)
        found = head_of(store)
        assert found == head
        assert [type(value) for value in found] == [type(value) for value in head]
    assert rows_in(store)["head"] == 1


def test_the_head_lock_orders_writers(store: EntryStore, other: EntryStore) -> None:
    """A second writer waits for the first one's commit, and then sees it."""
    with store.database.write() as connection:
        store.write_head(connection, HEAD._replace(size=0))
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        with other.database.write() as connection:
            waiting.set()
            head = other.head(connection, lock=True)
            order.append(f"second sees {head.size if head else None}")

    thread = threading.Thread(target=second)
    with store.database.write() as connection:
        locked = store.head(connection, lock=True)
        assert locked is not None
        thread.start()
        waiting.wait(0.2)
        thread.join(0.2)
        assert thread.is_alive()
        store.write_head(connection, locked._replace(size=41))
        order.append("first writes 41")
    thread.join(10)
    assert order == ["first writes 41", "second sees 41"]


def test_the_head_lock_counts_up_under_many_writers(store: EntryStore, other: EntryStore) -> None:
    """Read, add one, write: of 80 such steps by eight threads on two databases none is lost."""
    with store.database.write() as connection:
        store.write_head(connection, HEAD._replace(size=0))

    def count(mine: EntryStore) -> None:
        for _ in range(10):
            with mine.database.write() as connection:
                head = mine.head(connection, lock=True)
                assert head is not None
                mine.write_head(connection, head._replace(size=head.size + 1))

    threads = [
        threading.Thread(target=count, args=(mine,)) for mine in (store, other) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    head = head_of(store)
    assert head is not None and head.size == 80


def test_entries_come_back_byte_for_byte(store: EntryStore) -> None:
    """One by one, by range, by bundle and by stream."""
    batch = entries(600)
    raws = [entry.raw for _, entry in batch]
    add(store, batch[:100])
    add(store, batch[100:])
    with store.database.read() as connection:
        assert [store.entry(connection, seq) for seq in (0, 99, 100, 599)] == [
            raws[seq] for seq in (0, 99, 100, 599)
        ]
        for start, end in ((0, 600), (0, 0), (5, 6), (255, 257), (590, 700), (600, 700)):
            assert store.range(connection, start, end) == raws[start:end]
        assert {type(raw) for raw in store.range(connection, 0, 600)} == {bytes}


def test_a_missing_entry_is_said(store: EntryStore) -> None:
    """The number that isn't there is in the message."""
    add(store, entries(3))
    with (
        store.database.read() as connection,
        pytest.raises(NotFound, match="entry 3 is not in the log"),
    ):
        store.entry(connection, 3)


def test_a_stream_is_its_entries_in_order(store: EntryStore) -> None:
    """Below a number; nothing of other streams; nothing for a name that isn't there."""
    batch = entries(20)
    add(store, batch)
    name = batch[1][1].event.stream
    own = [(e.link.seq, e.raw) for _, e in batch if e.event.stream == name]
    with store.database.read() as connection:
        for below in (0, 1, 2, 11, 20, 99):
            assert store.stream(connection, name, below) == [r for s, r in own if s < below]
        assert store.stream(connection, "account/ac_nobody", 99) == []


def test_known_ids(store: EntryStore) -> None:
    """An id gives the entry that holds it; one inside a refusal that refusal; others nothing."""
    batch = entries(5)
    with store.database.write() as connection:
        ids = {e.event.id: e.link.seq for _, e in batch}
        store.add(connection, batch, ids | {"ev_inside": 3})
    with store.database.read() as connection:
        found = store.known(connection, [*ids, "ev_inside", "ev_unknown"])
        assert {i: e.raw for i, e in found.items()} == {
            **{e.event.id: e.raw for _, e in batch}, "ev_inside": batch[3][1].raw
        }  # fmt: skip
        assert store.known(connection, []) == {}


def test_stream_ends(store: EntryStore) -> None:
    """Number, length and last leaf hash of those asked for, as batch follows batch."""
    batch = entries(20)
    for part in (batch[:2], batch[2:7], batch[7:]):
        add(store, part)
        done = batch[: part[-1][1].link.seq + 1]
        ends = {
            e.event.stream: StreamEnd(number, e.link.stream_seq + 1, leaf_hash(e.raw))
            for number, e in done
        }
        with store.database.read() as connection:
            assert store.streams(connection, [e.event.stream for _, e in batch[:3]]) == ends
            one = done[0][1].event.stream
            assert store.streams(connection, [one, "account/ac_nobody"]) == {one: ends[one]}
            assert store.streams(connection, []) == {}


def test_tiles(store: EntryStore) -> None:
    """A tile grows in place, by level and number; one that isn't there is said."""
    tiles = {(0, 0): b"a" * 32, (0, 1): b"b" * 32, (1, 0): b"c" * 32}
    with store.database.write() as connection:
        store.write_tiles(connection, tiles)
        store.write_tiles(connection, {(0, 1): b"d" * 64})
        store.write_tiles(connection, {})
    with store.database.read() as connection:
        for (level, number), hashes in (tiles | {(0, 1): b"d" * 64}).items():
            assert store.tile(connection, level, number) == hashes
        with pytest.raises(NotFound, match="tile 5 of level 2"):
            store.tile(connection, 2, 5)


@pytest.mark.parametrize(("size", "number", "width"), [(1, 0, 1), (256, 0, 256), (257, 1, 1)])
def test_last_hashes(store: EntryStore, size: int, number: int, width: int) -> None:
    """Those of the last level-0 tile, as many as the size says."""
    with store.database.write() as connection:
        store.write_tiles(connection, {(0, number): BYTES * 32})
    with store.database.read() as connection:
        assert store.last_hashes(connection, size) == (BYTES * 32)[: width * 32]
        assert store.last_hashes(connection, 0) == b""


def test_cosigned_checkpoints(store: EntryStore) -> None:
    """The first cosigned one that covers an entry goes before every other, with its cosignatures."""
    batch = entries(31)
    add(store, batch)
    assert (store.published_now(), store.cosigned_now(), store.standings()) == (None, None, {})
    with store.database.write() as connection:
        for size in (10, 20, 30):
            store.publish(connection, size, b"note %d\n" % size)
        assert store.keep_cosigned(connection, Published(20, b"note 20\n", False), b"line\n")
        store.keep_standings(connection, {"w": Standing(20, 7, "")})
    cosigned = Published(20, b"note 20\nline\n", True)
    assert store.covered(0)[1] == store.covered(19)[1] == store.cosigned_now() == cosigned
    assert (store.cosigned_now(20), store.cosigned_now(19)) == (cosigned, None)
    assert store.covered(20)[1] == store.published_now() == Published(30, b"note 30\n", False)
    with store.database.write() as connection:
        store.keep_standings(connection, {"w": Standing(20, 7, "down"), "v": Standing(0, 0, "")})
    assert store.standings() == {"w": Standing(20, 7, "down"), "v": Standing(0, 0, "")}


@pytest.mark.parametrize(
    "lost", [Published(40, b"note 40\n", False), Published(30, b"another 30\n", False)]
)
def test_a_checkpoint_that_the_log_has_no_more_gets_no_cosignatures(
    store: EntryStore, lost: Published
) -> None:
    """It was lost in a failover, and perhaps another one of its size published since."""
    add(store, entries(31))
    with store.database.write() as connection:
        store.publish(connection, 30, b"note 30\n")
        assert not store.keep_cosigned(connection, lost, b"line\n")
    assert store.cosigned_now() is None
    assert store.database.fetch("SELECT size FROM cosignatures", ()) == []


def test_published_checkpoints(store: EntryStore) -> None:
    """The first one that covers an entry, and never another one for the same size."""
    batch = entries(31)
    add(store, batch)
    with store.database.write() as connection:
        for size in (10, 30, 20):
            store.publish(connection, size, b"note %d" % size)
    for seq, size in ((0, 10), (9, 10), (10, 20), (19, 20), (20, 30), (29, 30)):
        assert store.covered(seq) == (
            batch[seq][1].raw, Published(size, b"note %d" % size, False),
        )  # fmt: skip
    assert store.covered(30) == (batch[30][1].raw, None)
    with pytest.raises(NotFound, match="entry 31 is not in the log"):
        store.covered(31)
    with pytest.raises(DATABASE_ERRORS), store.database.write() as connection:
        store.publish(connection, 20, b"another story")


@pytest.mark.parametrize(
    ("row", "changed"), ROWS, ids=[type(pair[0]).__name__ for pair in ROWS]
)  # fmt: skip
def test_rows_come_back_with_their_types(store: EntryStore, row: Any, changed: Any) -> None:
    """Tuples, booleans, bytes and large numbers, when added and when replaced."""
    kind = type(row)
    for fresh, written in ((True, row), (False, changed)):
        with store.database.write() as connection:
            store.write_rows(connection, [(fresh, written)])
        with store.database.read() as connection:
            found = select_rows(store.database, connection, kind, [key_of(row)])
        assert found == [written]
        assert _types(found[0]) == _types(written)


def key_of(row: Any) -> tuple[str, ...]:
    """The fields that name a row among those of its kind."""
    return tuple(row[: KEY_LENGTHS[type(row)]])


def _types(value: Any) -> Any:
    """The types of a value and of everything inside it."""
    return (type(value), [_types(v) for v in value]) if isinstance(value, tuple) else type(value)


def test_many_rows_of_many_kinds_at_once(store: EntryStore) -> None:
    """New ones and changed ones of all kinds in one call."""
    with store.database.write() as connection:
        store.write_rows(connection, [(True, row) for row, _ in ROWS])
        store.write_rows(connection, [(False, changed) for _, changed in ROWS])
        store.write_rows(connection, [])
    for _, changed in ROWS:
        with store.database.read() as connection:
            found = select_rows(store.database, connection, type(changed), [key_of(changed)])
        assert found == [changed]


def test_a_row_that_is_new_twice_is_refused(store: EntryStore) -> None:
    """What the batch holds for new must be new: else two stories would lie under one key."""
    row = ROWS[0][0]
    with store.database.write() as connection:
        store.write_rows(connection, [(True, row)])
    with pytest.raises(DATABASE_ERRORS), store.database.write() as connection:
        store.write_rows(connection, [(True, row)])


def test_a_rolled_back_transaction_leaves_nothing(store: EntryStore) -> None:
    """An error after every kind of write takes all of them back."""
    with store.database.write() as connection:
        store.write_head(connection, HEAD)
        store.write_tiles(connection, {(0, 0): b"old"})
    before = rows_in(store)
    with pytest.raises(ZeroDivisionError):
        _write_everything_and_fail(store)
    assert rows_in(store) == before
    assert head_of(store) == HEAD
    with store.database.read() as connection:
        assert store.tile(connection, 0, 0) == b"old"


def _write_everything_and_fail(store: EntryStore) -> None:
    batch = entries(5)
    with store.database.write() as connection:
        store.add(connection, batch, {e.event.id: e.link.seq for _, e in batch})
        store.add_streams(connection, [("ledger", 0)])
        store.write_tiles(connection, {(0, 0): b"new", (0, 1): b"new"})
        store.publish(connection, 5, b"note")
        store.write_rows(connection, [(True, row) for row, _ in ROWS])
        store.write_head(connection, HEAD._replace(size=5))
        raise ZeroDivisionError


@pytest.mark.parametrize("twice", ["number", "event id", "stream's number"])
def test_nothing_is_numbered_twice(store: EntryStore, twice: str) -> None:
    """A second entry under a number, an event id or a stream's number is refused with its whole batch."""
    batch = entries(4)
    add(store, batch[:2])
    old, new = batch[1][1], batch[2][1]
    added, ids = {
        "number": ((7, old), "ev_new"),
        "event id": ((7, new), old.event.id),
        "stream's number": ((1, new), "ev_new"),
    }[twice]
    before = rows_in(store)
    with pytest.raises(DATABASE_ERRORS):
        _add_raw(store, [batch[3], added], {ids: added[1].link.seq})
    assert rows_in(store) == before


def _add_raw(store: EntryStore, batch: Sequence[tuple[int, Entry]], ids: dict[str, int]) -> None:
    with store.database.write() as connection:
        store.add(connection, batch, ids)


def test_readers_see_committed_batches_only(store: EntryStore, other: EntryStore) -> None:
    """Nothing of an open transaction; and a reader that began before a commit keeps its state."""
    with store.database.write() as connection:
        store.write_head(connection, HEAD._replace(size=1))
    with other.database.read() as reading:
        before = other.head(reading)
        with store.database.write() as connection:
            store.write_head(connection, HEAD._replace(size=2))
            assert head_of(other) == HEAD._replace(size=1)
        assert other.head(reading) == before
    assert head_of(other) == HEAD._replace(size=2)
