"""Views are what the log says: built anew they are the same; what differs is named, and put right whole."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import Connection, select

from api.app.settings import Settings
from ledger.entry import Entry
from ledger.errors import Tampered
from ledger.rows import Rows
from ledger.types import TYPES, fold
from storage.sql.database import Database
from storage.sql.entries import EntryStore
from storage.sql.schema import TABLES
from storage.sql.views import VIEWS, Rebuilt, rebuild
from tests.integration.conftest import fresh_settings
from tests.support.child_processes import start
from tests.support.commands import heartwood
from tests.support.copies import copy_ledger
from tests.support.histories import History, reading, rich_history
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture

FOLDED = {kind.name for kind in TYPES if kind.changes}
NAMES = sorted(TABLES[kind].name for kind in VIEWS)


@pytest.fixture(scope="module", params=("sqlite", "postgresql"))
def rich(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A closed ledger with a rich history."""
    settings = fresh_settings(request.param, request, tmp_path_factory.mktemp("rich"))
    fixture = LedgerFixture.found(settings)
    rich_history(fixture)
    fixture.verify()
    fixture.close()
    return settings


@pytest.fixture
def copied(rich: Settings, tmp_path: Path) -> Settings:
    """A copy of it."""
    return copy_ledger(rich, tmp_path / "data")


@contextmanager
def sql(settings: Settings) -> Iterator[Connection]:
    """A write transaction past all checks."""
    database = Database(settings.url(), settings.data / "lock")
    with database.write() as connection:
        yield connection
    database.close()


def built(settings: Settings, swap: bool = False) -> Rebuilt:
    """What a rebuild finds."""
    ledger = opened(settings)
    try:
        return rebuild(ledger.store, swap)
    finally:
        ledger.close()


def rows(settings: Settings) -> dict[str, list[str]]:
    """Every row of every view."""
    with sql(settings) as connection:
        return {
            TABLES[kind].name: sorted(map(repr, connection.execute(select(TABLES[kind])).all()))
            for kind in VIEWS
        }


# Damage


@dataclass(frozen=True)
class Damage:
    """How a view is altered behind the log's back; `said` of each row."""

    said: str
    alter: Callable[[Connection, Any], int]
    """Gives how many rows it altered."""


def _lose(connection: Connection, table: Any) -> int:
    return int(connection.execute(table.delete()).rowcount)


def _add(connection: Connection, table: Any) -> int:
    """One more row, like another under a key that no entry made."""
    row = dict(connection.execute(select(table)).mappings().first() or {})
    key = table.primary_key.columns[0].name
    connection.execute(table.insert(), [row | {key: f"{row[key]}x"}])
    return 1


def _alter(connection: Connection, table: Any) -> int:
    """Another entry's number in every row, or another member where rows have none."""
    last = table.columns["seq"] if "seq" in table.columns else list(table.columns)[-1]
    value = "other" if last.type.python_type is str else last + 1
    return int(connection.execute(table.update().values({last.name: value})).rowcount)


DAMAGES = {
    "missing": Damage("missing", _lose),
    "surplus": Damage("surplus", _add),
    "other": Damage("other", _alter),
}


def damaged(settings: Settings, view: str, damage: Damage) -> int:
    """Damage a view; gives how many places differ then."""
    table = next(TABLES[kind] for kind in VIEWS if TABLES[kind].name == view)
    with sql(settings) as connection:
        return damage.alter(connection, table)


# Tests


def test_views_are_what_the_log_says(rich: Settings) -> None:
    ledger = opened(rich)
    with ledger.database.read() as connection:
        raws = ledger.store.range(connection, 0, ledger.head().size)
        counts = {kind: len(connection.execute(select(TABLES[kind])).all()) for kind in VIEWS}
    ledger.close()
    # What comes three days later is rebuilt in test_erasing.
    later = {"erasure.begun", "erasure.completed"}
    assert {Entry.parse(raw).event.type.name for raw in raws} >= FOLDED - later
    assert all(counts.values()), "a view without a row shows nothing"
    rows_so_far = Rows()
    for entry in map(Entry.parse, raws):
        for row in fold(entry, rows_so_far):
            assert type(row) in entry.event.type.changes, entry.event.type.name
            rows_so_far.put(row)
    found = built(rich)
    assert (found.entries, found.rows) == (len(raws), sum(counts.values()))
    assert found.differences == {} and not found.swapped


@pytest.mark.parametrize("view", NAMES)
def test_damage_is_found_and_put_right(copied: Settings, view: str) -> None:
    before = rows(copied)
    for damage in DAMAGES.values():
        count = damaged(copied, view, damage)
        bad = rows(copied)
        assert count and bad != before
        found = built(copied)
        assert found.differences.keys() == {view} and not found.swapped
        assert len(found.differences[view]) == count
        assert all(place.endswith(f": {damage.said}") for place in found.differences[view])
        assert rows(copied) == bad, "comparing alters nothing"
        swapped = built(copied, swap=True)
        assert swapped.differences == found.differences and swapped.swapped
        assert rows(copied) == before
    assert built(copied, swap=True).differences == {}


def test_the_command(copied: Settings) -> None:
    good = heartwood(copied, "rebuild")
    assert good.code == 0 and "every view is what the log says" in good.out
    before = rows(copied)
    count = damaged(copied, "grants", DAMAGES["missing"])
    for arguments in ((), ("--check",)):
        ran = heartwood(copied, "rebuild", *arguments)
        assert ran.code == 1 and ran.out.count("grants pt_") == count
        assert "rebuild --swap" in ran.out
    told = heartwood(copied, "rebuild", "--json")
    assert told.code == 1 and len(told.json["differences"]["grants"]) == count
    assert not told.json["swapped"] and rows(copied) != before
    ran = heartwood(copied, "rebuild", "--swap")
    assert ran.code == 0 and "corrected" in ran.out and rows(copied) == before
    assert heartwood(copied, "rebuild", "--check").code == 0


@pytest.mark.parametrize("swap", [False, True])
def test_a_gap_in_the_log_ends_it(copied: Settings, swap: bool) -> None:
    """Views without what an entry said would be other views: nothing is compared, and nothing put in their place."""
    before = rows(copied)
    with sql(copied) as connection:
        connection.exec_driver_sql("DELETE FROM entries WHERE seq = 7")
    # Past the start, which would see it in so short a log.
    database = Database(copied.url(), copied.data / "lock")
    with pytest.raises(Tampered, match="rebuild stopped at entry 0"):
        rebuild(EntryStore(database), swap)
    database.close()
    assert rows(copied) == before


def test_an_open_ledger_loads_what_was_put_right(fixture: LedgerFixture) -> None:
    """Rows that another process keeps in memory don't outlive the swap."""
    history, doctor = History(fixture, fixture.person()), fixture.doctor()
    lab = history.upload(fixture.north.system)
    history.grant(doctor.account)
    damaged(fixture.settings, "grants", DAMAGES["missing"])
    fixture.reopen()
    assert history.refused(doctor, "record.opened", reading(lab))[1] == "no_consent"
    assert built(fixture.settings, swap=True).differences.keys() == {"grants"}
    history.do(doctor, "record.opened", reading(lab))


def _killed(settings: Settings, when: str, after: int) -> None:
    """In a process of its own: rebuild, and die before the `after`-th write or right after the commit."""
    calls = iter(range(1_000))
    real = Database.insert

    def dying(*arguments: Any) -> None:
        if next(calls) == after:
            os.kill(os.getpid(), signal.SIGKILL)
        real(*arguments)

    ledger = opened(settings)
    with patch.object(Database, "insert", dying if when == "during" else real):
        rebuild(ledger.store, swap=True)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(("when", "after"), [("during", 0), ("during", 2), ("after", 0)])
def test_a_kill_leaves_the_old_or_the_new(copied: Settings, when: str, after: int) -> None:
    good = rows(copied)
    for view in ("grants", "keys", "records"):
        damaged(copied, view, DAMAGES["missing"])
    bad = rows(copied)
    child = start(_killed, copied, when, after)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert rows(copied) == (bad if when == "during" else good)
    built(copied, swap=True)
    assert rows(copied) == good
