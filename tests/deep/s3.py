"""Kills under load of processes whose blobs are in S3 (versitygw): what was acknowledged has its blob there."""

from __future__ import annotations

import os
import random
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path

from api.app.settings import Settings
from tests.deep.injection import Part, Tally, Trial, drive
from tests.deep.load import Crowd, act_for_ever, run_and_kill
from tests.support.versitygw import CREDENTIALS, Gateway

KILLS = 60
KILLS_A_PART = 15
WHOLE_EVERY = 10


def act_on_s3(settings: Settings, crowd: Crowd, path: Path, seed: int, mutant: str) -> None:
    """In a child: act for ever, with what opens the bucket."""
    os.environ.update(CREDENTIALS)
    act_for_ever(settings, crowd, path, seed, mutant)


@cache
def gateway() -> Gateway:
    """This process's server; stopped when it ends. Raises GatewayMissing."""
    os.environ.update(CREDENTIALS)
    running = Gateway.start()
    Finalize(running, running.stop, exitpriority=10)
    return running


def found(engine: str) -> Trial:
    """A ledger whose blobs are in a bucket of its own."""
    return Trial.found(engine, blobs=gateway().setting(gateway().place()))


def run(part: Part) -> list[Tally]:
    """The kills of one part."""

    def case(trial: Trial, number: int, chance: random.Random) -> bool:
        trial.stands(run_and_kill(trial.settings, trial.crowd, chance, target=act_on_s3))
        trial.fixture.close()
        return True

    numbers = range(part.first, part.first + part.count)
    return [
        drive(
            part,
            "killed under load, blobs in S3",
            [(number, number) for number in numbers],
            case,
            lambda: found(part.engine),
            lambda number, _: part.again(number),
            WHOLE_EVERY,
        )
    ]
