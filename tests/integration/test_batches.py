"""Whatever is decided in one batch is decided as if each event had been a batch of its own.

Random sequences (`tests/sequences.py`) go into a real log in random batches and, one after the other,
into one that is kept in memory with every row there is (`tests/onebyone.py`): both must answer the same,
hold the same bytes and end with the same rows.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from api.bootstrap import open_ledger
from api.settings import Settings
from storage import working
from tests.onebyone import play
from tests.people import Town

SEED = 20_261_125
RUNS = int(os.environ.get("HEARTWOOD_TEST_BATCH_RUNS", "5"))
"""Sequences of each kind on each engine; `HEARTWOOD_TEST_BATCH_RUNS=200` looks longer."""
FEW_ROWS = 40
"""So many are there after a batch or two."""

Between = Callable[[Town], object]
"""What happens before each batch."""


@contextmanager
def cold(town: Town, patch: pytest.MonkeyPatch) -> Iterator[Between]:
    """Nothing is kept from batch to batch: the ledger is closed and opened again."""
    yield Town.reopen


@contextmanager
def warm(town: Town, patch: pytest.MonkeyPatch) -> Iterator[Between]:
    """Everything is kept."""
    yield Town.size


@contextmanager
def forgetful(town: Town, patch: pytest.MonkeyPatch) -> Iterator[Between]:
    """There is room for few rows, so they are forgotten again and again."""
    patch.setattr(working, "ROWS_LIMIT", FEW_ROWS)
    yield Town.size


@contextmanager
def in_turn(town: Town, patch: pytest.MonkeyPatch) -> Iterator[Between]:
    """Two ledgers on one database: what each has kept is old whenever its turn comes."""
    other = open_ledger(town.settings)

    def swap(town: Town) -> None:
        nonlocal other
        other, town.ledger = town.ledger, other

    try:
        yield swap
    finally:
        other.close()


KINDS = {make.__name__: make for make in (cold, warm, forgetful, in_turn)}


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_decides_as_one_by_one(
    settings: Settings, kind: str, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same answers, the same bytes, the same rows."""
    town = Town.found(settings)
    try:
        with KINDS[kind](town, monkeypatch) as between:
            play(town, random.Random(f"{SEED} {kind} {run}"), between)
    finally:
        town.close()
