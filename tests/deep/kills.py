"""Kills under load: one or two processes with five threads each, killed at a random moment."""

from __future__ import annotations

import random

from tests.deep.injection import Part, Tally, Trial, drive
from tests.deep.load import run_and_kill

KILLS = 2_000
KILLS_A_PART = 100
WHOLE_EVERY = 10
"""Kills until the whole log is verified again, beside what each kill ends with."""
TWO_SHARE = 0.25
"""Of the kills, how many find two processes at work."""


def run(part: Part) -> list[Tally]:
    """The kills of one part."""

    def case(trial: Trial, number: int, chance: random.Random) -> bool:
        children = 2 if chance.random() < TWO_SHARE else 1
        lines = run_and_kill(trial.settings, trial.crowd, chance, children)
        trial.stands(lines)
        trial.fixture.close()
        return True

    numbers = range(part.first, part.first + part.count)
    return [
        drive(
            part,
            "killed under load",
            [(number, number) for number in numbers],
            case,
            lambda: Trial.found(part.engine),
            lambda number, _: part.again(number),
            WHOLE_EVERY,
        )
    ]
