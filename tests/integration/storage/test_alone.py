"""One process at a time, on each engine: told at once, and given up when the process dies."""

import multiprocessing
from typing import Any

from api.app.settings import Settings
from storage.ledger import Ledger
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import until


def _hold(settings: Settings, ready: Any) -> None:
    with opened(settings).database.alone("counting") as alone:
        ready.send(alone)
        ready.recv()


def _free(ledger: Ledger) -> bool:
    with ledger.database.alone("counting") as alone:
        return alone


def test_alone(settings: Settings) -> None:
    LedgerFixture.found(settings).close()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_hold, args=(settings, theirs))
    child.start()
    assert ours.recv() is True
    ledger = opened(settings)
    try:
        with ledger.database.alone("counting") as alone:
            assert not alone
        with ledger.database.alone("other") as alone:
            assert alone
        child.kill()
        child.join()
        # PostgreSQL sees a moment later that its client is gone.
        until(lambda: _free(ledger), "the killed one's lock ends")
        assert _free(ledger)
    finally:
        ledger.close()
