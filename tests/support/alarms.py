"""Alarms of the key keeper: let it have some, and read those in the log."""

from keeper.keeper import KeyKeeper
from keeper.protocol import Alarm
from ledger.entry import Entry
from storage.alarms import KIND
from storage.ledger import Ledger


def raised(ledger: Ledger) -> list[Entry]:
    """The alarms in the log."""
    entries = ledger.stream("ledger", ledger.head().size)
    return [entry for entry in entries if entry.event.type is KIND]


def raise_alarms(keeper: KeyKeeper, *alarms: Alarm) -> None:
    """Let the keeper have found all this."""
    with keeper._followed._changing() as (connection, _):
        for alarm in alarms:
            keeper._followed._raise_alarm(connection, alarm)
