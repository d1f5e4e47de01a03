"""Whatever is decided in one batch is decided as if each event had been a batch of its own.

Random sequences (`tests/support/sequences.py`) go into a real log in random batches and, one after the other,
into one that is kept in memory with every row there is (`tests/support/one_by_one.py`): both must answer the same,
hold the same bytes and end with the same rows.
"""

import os
import random

import pytest

from api.app.settings import Settings
from ledger.refusals import Refusals
from tests.deep.witness import everything_holds
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture, denied, refused
from tests.support.one_by_one import KEEPING, play

SEED = 20_261_125
RUNS = int(os.environ.get("HEARTWOOD_TEST_BATCH_RUNS", "5"))
"""Sequences of each kind on each engine; `HEARTWOOD_TEST_BATCH_RUNS=200` looks longer."""
REFUSALS = 20
"""Refusals an hour that are written, of one actor on one patient."""


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize("keeping", KEEPING)
def test_a_batch_decides_as_one_by_one(settings: Settings, keeping: str, run: int) -> None:
    """The same answers, the same bytes, the same rows; and verifier and auditor agree."""
    fixture = LedgerFixture.found(settings)
    try:
        play(fixture, random.Random(f"{SEED} {keeping} {run}"), keeping)
        everything_holds(fixture)
    finally:
        fixture.close()


def test_refusals_that_leave_no_entry_are_counted_by_all(settings: Settings) -> None:
    """Two ledgers on one database: the head stays where it is, and yet each must see the other's count."""
    fixture = LedgerFixture.found(settings)
    pat, doctor = fixture.person(), fixture.doctor()
    record = fixture.record(pat).record
    for _ in range(REFUSALS):
        denied(fixture.ledger.append([fixture.reading(doctor, record)])[0])
    size, other = fixture.size(), opened(settings)
    try:
        for ledger in (other, fixture.ledger, other, other, fixture.ledger, fixture.ledger):
            outcome = ledger.append([fixture.reading(doctor, record)])[0]
            assert refused(outcome).code == "too_many_refusals"
        row = fixture.ledger.row(Refusals, pat.patient, doctor.account)
        assert row is not None and row.skipped == 6
        assert fixture.size() == size
    finally:
        other.close()
        fixture.close()
