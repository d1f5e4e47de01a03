"""PostgreSQL killed under load, and started again: under a process that goes on, or is killed as well."""

from __future__ import annotations

import random
import time

from tests.deep.injection import Part, Tally, Trial, cluster, drive
from tests.deep.load import LONGEST_MS, Acting, act_on
from tests.deep.witness import Wrong

KILLS = 100
KILLS_A_PART = 25
AGAIN_SECONDS = 30.0
"""How long a process may take until it appends again once the server is back."""


def run(part: Part) -> list[Tally]:
    """The kills of one part."""

    def case(trial: Trial, number: int, chance: random.Random) -> bool:
        with Acting() as acting:
            acting.child(act_on, trial.settings, trial.crowd, chance.getrandbits(32))
            acting.wait()
            time.sleep(chance.random() * LONGEST_MS / 1000)
            cluster().kill()
            if goes_on := chance.random() < 0.5:
                cluster().restart()
                _appends_again(acting)
            acting.kill()
            if not goes_on:
                cluster().restart()
            trial.stands(acting.acknowledged())
        trial.fixture.close()
        return True

    numbers = range(part.first, part.first + part.count)
    return [
        drive(
            part,
            "PostgreSQL killed under load",
            [(number, number) for number in numbers],
            case,
            lambda: Trial.found(part.engine),
            lambda number, _: part.again(number),
        )
    ]


def _appends_again(acting: Acting) -> None:
    """Wait until more is acknowledged; raises Wrong if nothing is."""
    before, deadline = len(acting.acknowledged()), time.monotonic() + AGAIN_SECONDS
    while len(acting.acknowledged()) == before:
        if time.monotonic() > deadline:
            raise Wrong(f"nothing is appended {AGAIN_SECONDS:.0f} s after PostgreSQL is back")
        time.sleep(0.01)
