"""Appends wait a little for a key keeper that is behind, and not at all for one that reads nothing."""

import time
from collections.abc import Sequence
from typing import Any

import pytest

from keeper.errors import KeeperUnavailable
from storage import feeding
from tests.support.ledger_fixture import LedgerFixture, entry_of
from tests.support.people import People
from tests.support.server import until

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
BEHIND, APPENDS = 6, 40


class Slowly:
    """The fixture's keeper, which takes its time for each of the entries that it reads, or reads none."""

    def __init__(self, keeper: Any, down: bool) -> None:
        self._keeper, self._down = keeper, down

    def follow(self, since: int, entries: Sequence[bytes], *rest: Any) -> Any:
        """As the keeper does, in the end."""
        if self._down:
            raise KeeperUnavailable("the key keeper doesn't answer")
        time.sleep(0.02 * len(entries))
        return self._keeper.follow(since, entries, *rest)

    def __getattr__(self, name: str) -> Any:
        """Whatever else it is asked."""
        return getattr(self._keeper, name)


@pytest.fixture
def people(fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch) -> People:
    made = People.of(fixture)
    feeding.feed(fixture.ledger, fixture.size())
    monkeypatch.setattr(feeding, "BEHIND_ENTRIES", BEHIND)
    monkeypatch.setattr(feeding, "FEED_SECONDS", 0.01)
    monkeypatch.setattr(feeding, "FOLLOW_ENTRIES", 3)
    return made


def farthest(people: People) -> int:
    """How far the keeper was behind at most, while one event after the other was appended."""
    ledger, most = people.fixture.ledger, 0
    for _ in range(APPENDS):
        entry_of(people.fixture.answer(people.grant(), people.pat.actor.key))
        most = max(most, people.fixture.size() - ledger.keeper_size)
    return most


def test_appends_wait_for_a_slow_keeper(people: People) -> None:
    """It is never further behind than it may be, but for what was on its way."""
    ledger = people.fixture.ledger
    ledger.keeper = Slowly(ledger.keeper, down=False)
    with feeding.feeding(ledger, lambda standing: None):
        assert farthest(people) <= BEHIND + 2
        until(lambda: ledger.keeper_size == people.fixture.size(), "it reads all in the end")


@pytest.mark.parametrize("away", [False, True])
def test_nobody_waits_for_a_keeper_that_reads_nothing(
    people: People, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    """Whether it doesn't answer, or has a whole log to read: then what is appended meanwhile is the least of it."""
    monkeypatch.setattr(feeding, "PACE_SECONDS", 1.0)
    ledger = people.fixture.ledger
    ledger.keeper = Slowly(ledger.keeper, down=not away)
    if away:
        monkeypatch.setattr(feeding, "AWAY_ENTRIES", BEHIND + 1)
    began = time.monotonic()
    with feeding.feeding(ledger, lambda standing: None):
        assert farthest(people) > BEHIND + 2
    assert time.monotonic() - began < APPENDS / 2  # and not a second for each
