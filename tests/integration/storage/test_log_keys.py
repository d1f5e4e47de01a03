"""The log's keys are handed over to new ones while it is in use, and every checkpoint has the signatures that count."""

import pytest

from api.app.layout import VKEYS
from api.app.logkeys import seed_files
from api.operator.logkeys import retire_keys, rotate_keys
from crypto.errors import NoteError
from crypto.notes import LogSigner
from ledger.checkpoint import open_checkpoint
from ledger.errors import Refused
from ledger.logkeys import LogKeys
from storage.feeding import feed
from tests.support.inside import keeper_of, opened
from tests.support.ledger_fixture import LedgerFixture


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
    assert len(retired.destroyed) == 2 and not any(path.exists() for path in retired.destroyed)
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
