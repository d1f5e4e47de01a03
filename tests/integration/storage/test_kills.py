"""Fifty kills at random moments: nothing acknowledged is lost, nothing half done, no hand needed.

`make deep` does the same two thousand times.
"""

import os
import random
import time

import pytest

from api.app.settings import Settings
from tests.deep.load import LONGEST_MS, Acting, act_on, found, run_and_kill
from tests.deep.witness import Witness
from tests.support.postgres import Cluster

KILLS = 50
SERVER_KILLS = 5
VERIFY_EVERY = 10


def test_fifty_kills(settings: Settings) -> None:
    """After each kill the ledger opens, has what was acknowledged, and goes on."""
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")  # shown when it fails
    chance, witness = random.Random(seed), Witness()
    fixture, crowd = found(settings)
    for kill in range(1, KILLS + 1):
        lines = run_and_kill(settings, crowd, chance)
        fixture.reopen()  # with every check of the start
        witness.check(fixture.ledger, lines)
        if kill % VERIFY_EVERY == 0:
            report = fixture.verify()
            assert report.size >= witness.looked_at
        fixture.close()
    print(f"{witness.acknowledged} acknowledged, {witness.looked_at} entries, {witness.counts}")
    assert witness.acknowledged >= KILLS
    assert {"record.uploaded", "access.granted", "record.opened"} <= witness.counts.keys()


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_the_database_server_is_killed(settings: Settings, cluster: Cluster) -> None:
    """PostgreSQL itself dies in the middle of it: what was acknowledged is there after its recovery."""
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    chance, witness = random.Random(seed), Witness()
    fixture, crowd = found(settings)
    for _ in range(SERVER_KILLS):
        with Acting() as acting:
            acting.child(act_on, settings, crowd, chance.getrandbits(32))
            acting.wait()
            time.sleep(chance.random() * LONGEST_MS / 1000)
            cluster.kill()
            acting.kill()
            cluster.restart()
            fixture.reopen()
            witness.check(fixture.ledger, acting.acknowledged())
        fixture.verify()
        fixture.close()
    assert witness.acknowledged >= SERVER_KILLS
