"""The log's keys are handed over, and the key keeper, a process of its own, goes on giving keys to who may read."""

import pytest

from api.app.opening import open_ledger
from api.operator.logkeys import retire_keys, rotate_keys
from client import readings
from client.local import LocalClient
from crypto.notes import LogSigner
from keeper.errors import KeeperRefused
from ledger.checkpoint import Checkpoint
from storage.feeding import feed
from tests.support.inside import keeper_of, opened
from tests.support.ledger_fixture import CONTENT, LedgerFixture, entry_of
from tests.support.people import People

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def people(fixture: LedgerFixture) -> People:
    """A patient who granted, and a doctor who may read."""
    made = People.of(fixture)
    entry_of(fixture.answer(made.grant(), made.pat.actor.key))
    return made


def read(people: People) -> bytes:
    """The record's content, as its reader gets it."""
    client = LocalClient(people.fixture.ledger)
    return b"".join(readings.read(client, people.doctor, people.record, "TREAT")[1].content)


def test_records_are_read_at_each_step(people: People) -> None:
    fixture = people.fixture
    fixture.ledger.close()
    fixture.ledger = open_ledger(fixture.settings)  # its keeper is a process
    for _ in range(2):
        for step in (rotate_keys, retire_keys):
            step(fixture.settings, fixture.ledger, fixture.operator)
            assert read(people) == CONTENT
    fixture.ledger.close()
    fixture.ledger = open_ledger(fixture.settings)
    assert read(people) == CONTENT
    assert fixture.ledger.keeper.standing().alarms == 0


def test_it_cosigns_under_the_new_keys(people: People) -> None:
    fixture = people.fixture
    for step in (rotate_keys, retire_keys):
        step(fixture.settings, fixture.ledger, fixture.operator)
        feed(fixture.ledger, fixture.size())
        size, note = fixture.size(), fixture.ledger.head().checkpoint
        assert keeper_of(fixture.ledger).cosign(size, note, ())


@pytest.mark.parametrize("made_anew", [False, True])
def test_who_has_the_old_keys_alone_shows_it_nothing(people: People, made_anew: bool) -> None:
    """Neither a keeper that has read of the new ones, nor one that was made with them."""
    fixture = people.fixture
    old = fixture.ledger.log._signers._of(tuple(fixture.ledger.vkeys))
    assert isinstance(old, LogSigner)
    for step in (rotate_keys, retire_keys):
        step(fixture.settings, fixture.ledger, fixture.operator)
    if made_anew:
        fixture.ledger.close()
        for path in (fixture.settings.data / "keeper").glob("followed.db*"):
            path.unlink()
        fixture.ledger = opened(fixture.settings)
    else:
        feed(fixture.ledger, fixture.size())
    keeper = keeper_of(fixture.ledger)
    stands = keeper.standing()
    with fixture.ledger.database.read() as connection:
        entries = fixture.ledger.store.range(connection, stands.read, fixture.size())
    forged = Checkpoint(fixture.ledger.origin, fixture.size() + 1, bytes(32))
    with pytest.raises(KeeperRefused):
        keeper.follow(stands.read, entries or [b"{}"], old.sign(forged, 1), ())
    with pytest.raises(KeeperRefused):
        keeper.cosign(stands.read, old.sign(forged, 1), ())
    assert keeper.standing() == stands
