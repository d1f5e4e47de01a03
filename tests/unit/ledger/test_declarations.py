"""An event type is declared whole or not at all, and so is a kind of row."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from ledger import types
from ledger.event import Event
from ledger.facts import Record
from ledger.rows import ROW_TYPES, kind_of_id, row_type
from ledger.types import REGISTRY, TYPES
from ledger.types.declaration import EventType, nothing
from storage.sql import schema
from storage.sql.database import Database
from storage.sql.upgrade import upgrade_schema
from tests.golden import make

OPENED = REGISTRY["record.opened", 1]
FORMED = REGISTRY["group.formed", 1]


@pytest.mark.parametrize("part", ["rule", "fold", "changes", "wants", "example"])
def test_a_type_without_a_part_is_none(part: str) -> None:
    """What is left out doesn't become nothing by itself."""
    given: dict[str, Any] = {f.name: getattr(OPENED, f.name) for f in fields(EventType) if f.init}
    assert EventType(**given) == OPENED
    del given[part]
    with pytest.raises(TypeError, match=part):
        EventType(**given)


CONTRADICTIONS: dict[str, tuple[EventType, dict[str, Any]]] = {
    "gated without a rule of the gate": (OPENED, {"gate_rule": None}),
    "gated about nothing": (OPENED, {"about": None}),
    "a rule of the gate, not gated": (OPENED, {"action": None}),
    "gated in a hospital's stream": (OPENED, {"stream": "hospital"}),
    "a reading that isn't gated": (FORMED, {"reading": True}),
    "changes without a fold": (OPENED, {"fold": nothing}),
    "a fold without changes": (OPENED, {"changes": ()}),
    "plain with a rule": (OPENED, {"rule": FORMED.rule}),
    "plain, not gated": (FORMED, {"plain": True, "rule": nothing}),
    "an id that the body doesn't have": (OPENED, {"creates": ("grant",)}),
}


@pytest.mark.parametrize(("kind", "change"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_type_does_not_belie_itself(kind: EventType, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=kind.name):
        replace(kind, **change)


def test_no_area_is_forgotten() -> None:
    """Each module of the package that declares a type is one of the areas."""
    names = [one.name for one in pkgutil.iter_modules(types.__path__)]
    modules = [importlib.import_module(f"ledger.types.{name}") for name in names]
    assert [module for module in modules if types.declared(module)] == list(types.AREAS)


def _row(table: str, prefix: str = "", key: int = 1, group: tuple[str, ...] = ()) -> None:
    class Row(NamedTuple):
        name: str
        other: str
        seq: int

    row_type(table, key=key, prefix=prefix, group=group)(Row)


ROWS: dict[str, Callable[[], None]] = {
    "another's table": lambda: _row("records"),
    "another's ids": lambda: _row("others", prefix="rc"),
    "ids under half a key": lambda: _row("others", prefix="ot", key=2),
    "all of it key": lambda: _row("others", key=3),
    "no key": lambda: _row("others", key=0),
    "a group of what lies apart": lambda: _row("others", group=("name", "seq")),
}


@pytest.mark.parametrize("declare", ROWS.values(), ids=ROWS)
def test_a_kind_of_row_is_declared_rightly(declare: Callable[[], None]) -> None:
    before = dict(ROW_TYPES)
    with pytest.raises(ValueError, match="Row"):
        declare()
    assert before == ROW_TYPES


def test_each_id_has_one_kind_of_row() -> None:
    assert kind_of_id("rc_0") is Record
    assert kind_of_id("bl_0") is None  # by which entry is told by its key's row


def test_examples_are_events_of_their_type() -> None:
    for kind in TYPES:
        event = Event.of(make.EVENTS[kind.key])
        assert event.type is kind
        for wanted in kind.wants(event):
            assert wanted.kind in ROW_TYPES, kind.name


def test_the_migrations_make_the_declared_tables(tmp_path: Path) -> None:
    """Each column, key and index of `schema.metadata`, and no other."""
    database = Database(f"sqlite:///{tmp_path / 'made.db'}", tmp_path / "lock")
    with database.write() as connection:
        upgrade_schema(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, schema.metadata)
    database.close()
    assert [one for one in found if "alembic_version" not in str(one)] == []
