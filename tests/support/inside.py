"""A ledger whose key keeper is an object in this process: the same keeper, without the time that a process takes to start."""

from collections.abc import Callable
from typing import Any

from api.app.opening import open_ledger
from api.app.settings import Settings
from keeper.keeper import KeyKeeper
from keeper.process import open_keeper
from storage.clock import wall_clock
from storage.ledger import Ledger


def opened(settings: Settings, clock: Callable[[], int] = wall_clock, **how: Any) -> Ledger:
    """The ledger, opened after every check; `how`: see `open_ledger`."""
    return open_ledger(settings, clock, keeper_at=lambda place: open_keeper(place, clock), **how)


def keeper_of(ledger: Ledger) -> KeyKeeper:
    """The key keeper of a ledger that was opened here."""
    assert isinstance(ledger.keeper, KeyKeeper)
    return ledger.keeper
