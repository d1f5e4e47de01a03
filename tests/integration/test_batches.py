"""Whatever is decided in one batch is decided as if each event had been a batch of its own.

Random sequences (`tests/sequences.py`) go into a real log in random batches and, one after the other,
into one that is kept in memory with every row there is (`tests/onebyone.py`): both must answer the same,
hold the same bytes and end with the same rows.
"""

import os
import random

import pytest

from api.settings import Settings
from tests.deep.witness import everything_holds
from tests.onebyone import KEEPING, play
from tests.people import Town

SEED = 20_261_125
RUNS = int(os.environ.get("HEARTWOOD_TEST_BATCH_RUNS", "5"))
"""Sequences of each kind on each engine; `HEARTWOOD_TEST_BATCH_RUNS=200` looks longer."""


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize("keeping", KEEPING)
def test_a_batch_decides_as_one_by_one(settings: Settings, keeping: str, run: int) -> None:
    """The same answers, the same bytes, the same rows; and verifier and auditor agree."""
    town = Town.found(settings)
    try:
        play(town, random.Random(f"{SEED} {keeping} {run}"), keeping)
        everything_holds(town)
    finally:
        town.close()
