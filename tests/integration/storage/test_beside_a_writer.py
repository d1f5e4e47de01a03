"""What is looked at beside a process that appends: two looks at two instants make no loss out of its work."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.app.maintenance import opened_stores
from api.app.settings import Settings
from api.operator.restoring import accept_restore
from journeys.errors import RecordsError
from ledger.checkpoint import open_checkpoint
from storage.ledger import Ledger
from storage.status import status
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture, Person

LOCKED_SECONDS = 1.0
"""How long a neighbour is waited for who may be waiting itself."""


def work(fixture: LedgerFixture, pat: Person) -> None:
    """One grant of the neighbour's, acknowledged and written to the trusted checkpoint."""
    fixture.fill(pat, fixture.size() + 1)
    fixture.ledger.log._trusted.write_now()


def neighbour(fixture: LedgerFixture, pat: Person) -> Callable[[], None]:
    """Lets the neighbour work once; gives up waiting where a lock holds the work up until later."""
    working = threading.Thread(target=work, args=(fixture, pat))

    def once() -> None:
        if not working.ident:
            working.start()
            working.join(LOCKED_SECONDS)

    town_closed = fixture.close

    def close() -> None:
        working.join()
        town_closed()

    fixture.close = close  # type: ignore[method-assign]
    return once


def at_the_anchor(
    settings: Settings, patch: pytest.MonkeyPatch, before: Callable[[], None]
) -> None:
    """Call `before` whenever the ledger's trusted is about to be read."""
    read, path = Path.read_bytes, settings.data / "checkpoint"

    def late(self: Path) -> bytes:
        if self == path:
            before()
        return read(self)

    patch.setattr(Path, "read_bytes", late)


def open_and_close(settings: Settings) -> None:
    """As every command does."""
    opened(settings).close()


def look(settings: Settings) -> None:
    """As a backup does."""
    with opened_stores(settings, anchored=True):
        pass


@pytest.mark.parametrize("opening", [open_and_close, look])
def test_opening_while_a_neighbour_appends(
    fixture: LedgerFixture, opening: Callable[[Settings], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right before the trusted checkpoint is read: no loss, and no refusal."""
    pat = fixture.person()
    size = fixture.size()
    at_the_anchor(fixture.settings, monkeypatch, neighbour(fixture, pat))
    opening(fixture.settings)
    assert fixture.size() == size + 1


def restored(settings: Settings) -> Ledger:
    """Opened as `accept-restore` does."""
    return opened(settings, restored=True)


def test_nothing_is_declared_lost_while_a_neighbour_appends(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database extends the trusted checkpoint: the operator is told so, and the log says nothing of a loss."""
    pat = fixture.person()
    fixture.ledger.log._trusted.write_now()
    other, trusted = restored(fixture.settings), fixture.settings.data / "checkpoint"
    at_the_anchor(fixture.settings, monkeypatch, neighbour(fixture, pat))
    try:
        with pytest.raises(RecordsError, match=r"nothing was lost: .*nothing to accept"):
            accept_restore(other, fixture.operator, trusted)
    finally:
        other.close()
    events = [fixture.ledger.entry(seq).event.type.name for seq in range(fixture.size())]
    assert "ledger.restored" not in events
    assert open_checkpoint(trusted.read_bytes(), fixture.ledger.vkeys).size <= fixture.size()


def test_the_status_knows_no_entry_of_the_future(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry made while the status is asked for isn't ahead of the clock."""
    pat, head, made = fixture.person(), type(fixture.ledger.store).head, list[int]()

    def late(self: Any, connection: Any, lock: bool = False) -> Any:
        if not lock and not made:
            made.append(fixture.size())
            work(fixture, pat)
        return head(self, connection, lock)

    monkeypatch.setattr(type(fixture.ledger.store), "head", late)
    found = status(fixture.ledger.store, fixture.settings.data, fixture.ledger.clock)
    assert made and found.last_age >= 0
