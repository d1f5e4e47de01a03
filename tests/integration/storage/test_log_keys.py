"""The log's keys are handed over to new ones while it is in use, and every checkpoint has the signatures that count."""

from dataclasses import replace
from pathlib import Path

import pytest

from api.app.layout import CHECKPOINT, VKEYS, database_of
from api.app.logkeys import seed_files
from api.operator.logkeys import forget_keys, retire_keys, rotate_keys
from api.operator.restoring import accept_restore
from crypto.errors import NoteError
from crypto.notes import LogSigner
from durable.errors import StartRefused
from identity.actors import new_key
from ledger.checkpoint import open_checkpoint
from ledger.entry import Entry
from ledger.errors import Refused
from ledger.event import Event, sign_event
from ledger.logkeys import LogKeys
from ledger.tiles import TILE_WIDTH
from ledger.types.log import ALARM_RAISED
from storage.errors import Unavailable
from storage.feeding import feed
from tests.support.copies import copy_ledger, put_database
from tests.support.inside import keeper_of, opened
from tests.support.ledger_fixture import LedgerFixture, entry_of


def signed(fixture: LedgerFixture, keys: object) -> bool:
    """Whether all these keys signed the newest checkpoint."""
    try:
        open_checkpoint(fixture.ledger.head().checkpoint, keys)  # type: ignore[arg-type]
    except NoteError:
        return False
    return True


def test_old_and_new_sign_and_then_the_new_alone(fixture: LedgerFixture) -> None:
    old = tuple(fixture.ledger.vkeys)
    added = rotate_keys(fixture.settings, fixture.ledger, fixture.operator)
    new = tuple(fixture.ledger.vkeys)[2:]
    assert added.fresh and len(new) == 2
    assert signed(fixture, old) and signed(fixture, new)
    fixture.reopen()
    fixture.person()
    assert signed(fixture, old) and signed(fixture, new)
    feed(fixture.ledger, fixture.size())
    assert not rotate_keys(fixture.settings, fixture.ledger, fixture.operator).fresh
    retired = retire_keys(fixture.settings, fixture.ledger, fixture.operator)
    assert retired.fresh and not retired.destroyed
    assert len(seed_files(fixture.settings.data / "keys")) == 4
    gone = forget_keys(fixture.settings, fixture.ledger).destroyed
    assert len(gone) == 2 and not any(path.exists() for path in gone)
    assert not signed(fixture, old) and signed(fixture, new)
    assert (fixture.settings.data / VKEYS).read_text() == "".join(f"{key}\n" for key in new)
    fixture.reopen()
    fixture.person()
    assert signed(fixture, new) and signed(fixture, LogKeys(fixture.ledger.vkeys.generations))
    feed(fixture.ledger, fixture.size())
    assert keeper_of(fixture.ledger).standing().alarms == 0
    assert len(seed_files(fixture.settings.data / "keys")) == 2


def test_a_process_beside_learns_without_a_restart(fixture: LedgerFixture) -> None:
    beside = opened(fixture.settings)
    old = tuple(fixture.ledger.vkeys)
    for step in (rotate_keys, retire_keys):
        step(fixture.settings, fixture.ledger, fixture.operator)
        fixture.ledger, beside = beside, fixture.ledger
        fixture.person()
        assert signed(fixture, fixture.ledger.vkeys)
        assert signed(fixture, old) == (step is rotate_keys)
        feed(fixture.ledger, fixture.size())
    beside.close()


def test_a_keeper_that_reads_anew_goes_through_the_hand_overs(fixture: LedgerFixture) -> None:
    for _ in range(2):
        rotate_keys(fixture.settings, fixture.ledger, fixture.operator)
        retire_keys(fixture.settings, fixture.ledger, fixture.operator)
        fixture.person()
    fixture.ledger.close()
    folder = fixture.settings.data / "keeper"
    for path in folder.glob("followed.db*"):
        path.unlink()
    fixture.ledger = opened(fixture.settings)
    feed(fixture.ledger, fixture.size())
    assert keeper_of(fixture.ledger).standing().read == fixture.size()


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_keys_that_are_not_here_are_not_added(fixture: LedgerFixture) -> None:
    """Whoever holds no private key of theirs would end the log."""
    signer = LogSigner(fixture.ledger.origin, bytes(32), bytes(32))
    body = {"log_keys": [str(key) for key in signer.keys]}
    event = fixture.operator.event("log_key.added", "ledger", body, fixture.ledger.clock())
    answer = fixture.answer(event, fixture.operator.key)
    assert isinstance(answer, Refused) and answer.code == "key"


@pytest.mark.parametrize("lacks", ["the retirement", "the hand-over"])
def test_a_standby_that_lacks_the_retirement_is_gone_on_with(
    fixture: LedgerFixture, tmp_path: Path, lacks: str
) -> None:
    """As long as the old private keys aren't forgotten: they still sign there."""
    settings, first = fixture.settings, tuple(fixture.ledger.vkeys)
    if lacks == "the retirement":
        rotate_keys(settings, fixture.ledger, fixture.operator)
    feed(fixture.ledger, fixture.size())
    fixture.ledger.close()
    standby = copy_ledger(settings, tmp_path / "standby")
    fixture.ledger = opened(settings)
    rotate_keys(settings, fixture.ledger, fixture.operator)
    fixture.person()
    retire_keys(settings, fixture.ledger, fixture.operator)
    feed(fixture.ledger, fixture.size())
    fixture.ledger.close()
    fixture.settings = settings = put_database(standby, settings)
    with pytest.raises(StartRefused):
        opened(settings)
    if lacks == "the hand-over":  # as the docs say
        (settings.data / VKEYS).write_bytes((standby.data / VKEYS).read_bytes())
    with pytest.raises(StartRefused, match="heartwood accept-restore"):
        opened(settings)
    fixture.ledger = opened(settings, restored=True)
    accept_restore(fixture.ledger, fixture.operator, settings.data / CHECKPOINT)
    fixture.reopen()
    fixture.person()
    assert signed(fixture, first) and signed(fixture, fixture.ledger.vkeys)
    rotate_keys(settings, fixture.ledger, fixture.operator)
    retire_keys(settings, fixture.ledger, fixture.operator)
    forget_keys(settings, fixture.ledger)
    fixture.reopen()
    fixture.person()
    assert not signed(fixture, first) and signed(fixture, fixture.ledger.vkeys)
    feed(fixture.ledger, fixture.size())


def make_up_a_retirement(fixture: LedgerFixture, seq: int) -> None:
    """Whoever can write the database puts a `log_key.retired` into the place of an old entry."""
    ledger, nobody = fixture.ledger, replace(fixture.operator, key=new_key())
    body = {"added": ledger.vkeys.generations[-1].added}
    made = Event.of(nobody.event("log_key.retired", "ledger", body, ledger.clock()))
    with ledger.database.write() as connection:
        link = Entry.stored(ledger.store.entry(connection, seq)).link
        sig = sign_event(nobody.key, ledger.origin, made.raw)
        raw = Entry.make(made, sig, link, made.at, None).raw
        update = ledger.database.sql("UPDATE entries SET raw = ? WHERE seq = ?")
        connection.exec_driver_sql(update, (raw, seq))


def an_old_alarm(fixture: LedgerFixture) -> int:
    """An entry of the log's own stream, behind the hand-over and far from the end; its number."""
    body = {"entry": 0, "taken": True, "wrong": "decision"}
    log = fixture.ledger.log
    entry = entry_of(log.append([log.by_service(ALARM_RAISED, "ledger", body)])[0])
    fixture.fill(fixture.person(), TILE_WIDTH + fixture.size())
    return entry.link.seq


def test_a_made_up_retirement_destroys_nothing(fixture: LedgerFixture) -> None:
    settings = fixture.settings
    rotate_keys(settings, fixture.ledger, fixture.operator)
    pinned, old = (settings.data / VKEYS).read_text(), an_old_alarm(fixture)
    with fixture.ledger.database.read() as connection:
        whole = fixture.ledger.store.entry(connection, old)
    make_up_a_retirement(fixture, old)
    with pytest.raises(StartRefused, match=f"entry {old} is no log_key.retired of the log"):
        forget_keys(settings, fixture.ledger)
    fixture.ledger.close()
    with pytest.raises(StartRefused, match=f"entry {old} is no log_key.retired of the log"):
        opened(settings)
    assert (settings.data / VKEYS).read_text() == pinned
    assert len(seed_files(settings.data / "keys")) == 4
    database = database_of(settings)
    with database.write() as connection:
        update = database.sql("UPDATE entries SET raw = ? WHERE seq = ?")
        connection.exec_driver_sql(update, (whole, old))
    database.close()
    fixture.ledger = opened(settings)


def test_a_damaged_view_does_not_say_who_signs(fixture: LedgerFixture) -> None:
    rotate_keys(fixture.settings, fixture.ledger, fixture.operator)
    database, size = fixture.ledger.database, fixture.size()
    damage = database.sql("UPDATE log_keys SET retired = ? WHERE seq = 0")
    with database.write() as connection:
        connection.exec_driver_sql(damage, (size - 1,))
    for again in (fixture.forget, fixture.reopen):
        again()
        with pytest.raises(Unavailable, match="view of the log's keys"):
            fixture.person()
    with fixture.ledger.database.write() as connection:
        connection.exec_driver_sql(damage, (0,))
    fixture.person()
    assert signed(fixture, fixture.ledger.vkeys) and len(fixture.ledger.vkeys) == 4


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_database_that_lacks_the_hand_over_is_not_taken_for_the_log(
    fixture: LedgerFixture, tmp_path: Path
) -> None:
    """log.vkey tells of keys that the log doesn't name, though its last checkpoint went back with it."""
    fixture.ledger.close()
    before = copy_ledger(fixture.settings, tmp_path / "before")
    fixture.ledger = opened(fixture.settings)
    rotate_keys(fixture.settings, fixture.ledger, fixture.operator)
    fixture.ledger.close()
    after = copy_ledger(fixture.settings, tmp_path / "after")
    settings = put_database(before, fixture.settings)
    (settings.data / CHECKPOINT).write_bytes((before.data / CHECKPOINT).read_bytes())
    with pytest.raises(StartRefused, match=r"doesn't name all keys of log\.vkey"):
        opened(settings)
    put_database(after, settings)
    fixture.ledger = opened(settings)
