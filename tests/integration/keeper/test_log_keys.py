"""The log's keys are handed over, and the key keeper, a process of its own, goes on giving keys to who may read."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from api.app.layout import CHECKPOINT
from api.app.opening import open_ledger
from api.app.settings import Settings
from api.operator.logkeys import retire_keys, rotate_keys
from api.operator.restoring import accept_restore
from client import readings
from client.local import LocalClient
from crypto.notes import LogSigner
from durable.errors import StartRefused
from identity.actors import Actor
from keeper.errors import KeeperRefused
from keeper.process import open_keeper
from ledger.checkpoint import Checkpoint
from storage.clock import wall_clock
from storage.feeding import feed
from storage.ledger import Ledger
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


Steps = list[Callable[[Settings, Ledger, Actor], object]]
STEPS: list[Steps] = [[rotate_keys], [rotate_keys, retire_keys], [rotate_keys, retire_keys] * 2]


@pytest.mark.parametrize("steps", STEPS, ids=["rotated", "retired", "twice"])
def test_it_starts_though_it_has_not_read_of_the_hand_over(people: People, steps: Steps) -> None:
    """Its last checkpoint is signed by keys that it wasn't made with: as after a kill just behind the commit."""
    fixture = people.fixture
    feed(fixture.ledger, fixture.size())
    fixture.ledger.close()
    fixture.ledger = opened(fixture.settings)  # it has written where it stands
    for step in steps:
        step(fixture.settings, fixture.ledger, fixture.operator)
    fixture.reopen()
    feed(fixture.ledger, fixture.size())
    assert read(people) == CONTENT
    assert fixture.ledger.keeper.standing().alarms == 0


@pytest.mark.parametrize("steps", STEPS, ids=["rotated", "retired", "twice"])
def test_of_its_own_user_it_reads_the_log_anew_by_its_old_keys(
    people: People, steps: Steps
) -> None:
    """It was made with the first ones, and goes through all hand-overs, though its last checkpoint is by the newest."""
    fixture, old = people.fixture, tuple(map(str, people.fixture.ledger.vkeys))
    for step in steps:
        step(fixture.settings, fixture.ledger, fixture.operator)
        feed(fixture.ledger, fixture.size())
    fixture.ledger.close()
    for path in (fixture.settings.data / "keeper").glob("followed.db*"):
        path.unlink()
    fixture.ledger = open_ledger(
        fixture.settings,
        keeper_at=lambda place: open_keeper(replace(place, vkeys=old), wall_clock),
    )
    feed(fixture.ledger, fixture.size())
    assert read(people) == CONTENT


def test_a_last_checkpoint_of_another_log_is_not_its_own(people: People) -> None:
    fixture = people.fixture
    feed(fixture.ledger, fixture.size())
    fixture.ledger.close()
    file = fixture.settings.data / "keeper" / "checkpoint"
    whole = file.read_bytes()
    file.write_bytes(whole.replace(fixture.ledger.origin.encode(), b"other.example/log", 1))
    with pytest.raises(StartRefused, match=r"got a checkpoint of other\.example/log"):
        opened(fixture.settings)
    file.write_bytes(whole)
    fixture.ledger = opened(fixture.settings)


def test_a_backup_from_just_before_a_hand_over_is_gone_on_from(
    people: People, tmp_path: Path
) -> None:
    """The keeper knows of keys that the restored log doesn't."""
    fixture, data = people.fixture, people.fixture.settings.data
    fixture.ledger.close()
    backup = (data / "heartwood.db").read_bytes()
    fixture.ledger = opened(fixture.settings)
    rotate_keys(fixture.settings, fixture.ledger, fixture.operator)
    fixture.person()
    feed(fixture.ledger, fixture.size())
    fixture.ledger.close()
    for path in data.glob("heartwood.db*"):
        path.unlink()
    (data / "heartwood.db").write_bytes(backup)
    fixture.ledger = opened(fixture.settings, restored=True)
    accept_restore(fixture.ledger, fixture.operator, data / CHECKPOINT)
    fixture.reopen()
    feed(fixture.ledger, fixture.size())
    assert read(people) == CONTENT
