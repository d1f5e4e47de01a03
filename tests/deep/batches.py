"""Random sequences in random batches against the same one by one: cold, warm, forgetful and in turn."""

from __future__ import annotations

import tempfile
from pathlib import Path

from api.app.settings import Settings
from tests.deep.injection import Part, Tally, cluster
from tests.deep.witness import everything_holds
from tests.support.ledger_fixture import LedgerFixture
from tests.support.one_by_one import KEEPING, play

SEQUENCES = 400
SEQUENCES_A_PART = 20
EVENTS = (100, 250, 600)
"""How long they are, by turns."""


def run(part: Part) -> list[Tally]:
    """Play `count` sequences, each on a ledger of its own, which in the end verifies and is audited."""
    tallies = {name: Tally(f"batches, {name.replace('_', ' ')}", part.engine) for name in KEEPING}
    for number in range(part.first, part.first + part.count):
        keeping = list(KEEPING)[number % len(KEEPING)]
        tally = tallies[keeping]
        tally.runs, tally.met = tally.runs + 1, tally.met + 1
        try:
            tally.acknowledged += _play(part, number, keeping)
        except Exception as error:
            tally.fail(error, f"sequence {number}", part.again(number))
    return [tally for tally in tallies.values() if tally.runs]


def _play(part: Part, number: int, keeping: str) -> int:
    url = cluster().database() if part.engine == "postgresql" else ""
    with tempfile.TemporaryDirectory(prefix="heartwood-deep-") as folder:
        fixture = LedgerFixture.found(Settings(data=Path(folder) / "data", database_url=url))
        try:
            sent = play(fixture, part.chance(number), keeping, EVENTS[number // 4 % len(EVENTS)])
            everything_holds(fixture)
        finally:
            fixture.close()
    return sent
