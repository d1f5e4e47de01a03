"""What fault injection found: after a fault of the disk nothing goes on believing what it then saw."""

import errno
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

import durable.trusted
from api.app.settings import Settings
from durable.errors import StartRefused, StorageError
from keeper.keks import Kek, KekStore
from storage.sql.database import Database
from tests.support.ledger_fixture import LedgerFixture

KEK = Kek("pt_x", 1, b"wrapped")


def test_an_own_file_is_opened_again_after_an_error(tmp_path: Path) -> None:
    """The error is told as ours, and the transaction it met holds nothing up."""
    store, other = KekStore(tmp_path / "keks.db", create=True), KekStore(tmp_path / "keks.db")
    told = pytest.raises(StorageError, match=r"keks\.db can't be read or written: no such table")
    with told, store._keks.using() as connection:
        break_off(connection)
    other.add([KEK])
    assert store.get("pt_x", 1) == KEK
    store.close()
    other.close()


def break_off(connection: sqlite3.Connection) -> None:
    """Begin a transaction and fail in it."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("SELECT * FROM nowhere")


@pytest.mark.parametrize("engine", ["sqlite"])
def test_the_database_is_opened_again_after_an_error(fixture: LedgerFixture) -> None:
    """Both connections are others than before, and the old ones are closed."""
    database = fixture.ledger.database
    before = connections(database)
    with pytest.raises(DBAPIError, match="no such table"), database.write() as connection:
        connection.exec_driver_sql("SELECT * FROM nowhere")
    after = connections(database)
    assert all(old is not new for old, new in zip(before, after, strict=True))
    for old in before:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            old.execute("SELECT 1")
    fixture.person()


@pytest.mark.parametrize("engine", ["sqlite"])
def test_no_thread_keeps_the_database_open_over_an_error(fixture: LedgerFixture) -> None:
    """What SQLite believes of the shared memory goes with the last connection of the process, whichever thread has it."""
    database = fixture.ledger.database
    with ThreadPoolExecutor(1) as idle:
        idle.submit(database.fetch, "SELECT 1", ()).result()
        database.fetch("SELECT 1", ())
        with pytest.raises(DBAPIError, match="no such table"), database.write() as connection:
            connection.exec_driver_sql("SELECT * FROM nowhere")
        held = [name for name in open_files(fixture.settings) if "heartwood.db" in name]
        assert held == []
        assert idle.submit(database.fetch, "SELECT 1", ()).result() == [(1,)]
    fixture.person()


def connections(database: Database) -> list[Any]:
    """The driver's own connections of writer and reader."""
    with database.write() as writer, database.read() as reader:
        return [writer.connection.driver_connection, reader.connection.driver_connection]


def test_closing_tells_that_the_anchor_is_not_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To who closes, not to a dying thread; everything is closed, and what was acknowledged stands."""
    fixture = LedgerFixture.found(settings)
    fixture.reopen()
    fixture.person()
    size = fixture.size()
    with monkeypatch.context() as patch:
        patch.setattr(durable.trusted, "replace_file", _disk_full)
        with pytest.raises(OSError, match="No space left"):
            fixture.ledger.close()
    with pytest.raises(StorageError):
        fixture.ledger.submit([])
    fixture.reopen()
    assert fixture.size() == size
    fixture.verify()
    fixture.close()


def _disk_full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_start_that_is_refused_leaves_nothing_open(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Database, keeper and token store are closed again."""
    fixture = LedgerFixture.found(settings)
    fixture.close()
    held = open_files(settings)
    monkeypatch.setattr("api.app.opening.tune_collector", _refuse)
    with pytest.raises(StartRefused):
        fixture.reopen()
    assert open_files(settings) == held


def _refuse() -> None:
    raise StartRefused("planted")


def open_files(settings: Settings) -> list[str]:
    """The files below the data directory that this process has open."""
    links = (file.readlink() for file in Path("/proc/self/fd").iterdir() if file.is_symlink())
    return sorted(f"{link}" for link in links if link.is_relative_to(settings.data))
