"""Several servers over one database, each with a token store of its own: challenges and tries of claims are shared, on both engines."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from api.app.maintenance import target_of
from api.app.settings import Settings
from api.operator.restoring import accept_restore
from journeys.errors import NotClaimed, TooManyTries
from people.tries import CLAIM_FIRST_WAIT_MS, CLAIM_FORGOTTEN_MS, CLAIM_FREE_TRIES, CLAIMS, trying
from storage.ledger import Ledger
from storage.maintenance.restore import check_backup, restore
from storage.sql.challenges import SWEEP_MS
from storage.sql.throttles import CLAIM
from storage.sql.throttles import SWEEP_MS as COUNTS_SWEEP_MS
from storage.tokens import TokenStore
from tests.integration.conftest import fresh_settings
from tests.integration.storage.test_backup import make_backup
from tests.integration.storage.test_upgrade import sql
from tests.support.child_processes import CONTEXT, start
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture
from tests.support.sign_ins import Later, reopened
from tests.support.workers import PATIENCE_SECONDS

PURPOSE, SECRET, WHO = "passkey", b"c" * 32, "ac_one"
ADDRESS = "address 192.0.2.1"


@pytest.fixture
def clock(fixture: LedgerFixture) -> Later:
    return reopened(fixture)


@pytest.fixture
def other(fixture: LedgerFixture, clock: Later, tmp_path: Path) -> Iterator[Ledger]:
    """The same log at another server."""
    ledger = opened(fixture.settings, clock, boot=clock.boot)
    ledger.tokens.close()
    ledger.tokens = TokenStore(tmp_path / "other-tokens.db")
    with closing(ledger):
        yield ledger


def test_a_challenge_of_one_server_counts_once_at_any(
    fixture: LedgerFixture, other: Ledger
) -> None:
    """For its purpose, and until its end."""
    here, there, now = fixture.ledger.credentials.challenges, other.credentials.challenges, 1_000
    here.put(PURPOSE, SECRET, WHO, now, now + 100)
    assert there.take("another", SECRET, now) is None
    assert there.take(PURPOSE, b"d" * 32, now) is None
    assert there.take(PURPOSE, SECRET, now) == WHO
    assert here.take(PURPOSE, SECRET, now) is None
    here.put(PURPOSE, SECRET, WHO, now, now + 100)
    assert there.take(PURPOSE, SECRET, now + 100) is None


def test_challenges_that_have_ended_are_removed(fixture: LedgerFixture, other: Ledger) -> None:
    """By whichever server gives the next one."""
    fixture.ledger.credentials.challenges.put(PURPOSE, SECRET, WHO, 1_000, 1_100)
    other.credentials.challenges.put(PURPOSE, b"d" * 32, WHO, 1_000, 10 * SWEEP_MS)
    other.credentials.challenges.put(PURPOSE, b"e" * 32, "", 2 * SWEEP_MS, 10 * SWEEP_MS)
    found = other.database.fetch("SELECT account FROM passkey_challenges ORDER BY account", ())
    assert found == [("",), (WHO,)]


def _take_each(
    settings: Settings, secrets: list[bytes], now: int, barrier: Barrier, answer: Connection
) -> None:
    ledger, out = opened(settings), []
    for secret in secrets:
        barrier.wait(PATIENCE_SECONDS)
        out.append(ledger.credentials.challenges.take(PURPOSE, secret, now))
    ledger.close()
    answer.send(out)


def test_one_of_two_processes_takes_a_challenge(fixture: LedgerFixture) -> None:
    """Each is answered in both at the same moment."""
    secrets, now = [bytes([number]) * 32 for number in range(20)], fixture.ledger.clock()
    for secret in secrets:
        fixture.ledger.credentials.challenges.put(PURPOSE, secret, WHO, now, now + 1)
    barrier, pipes = CONTEXT.Barrier(2), [CONTEXT.Pipe(duplex=False) for _ in range(2)]
    children = [
        start(_take_each, fixture.settings, secrets, now, barrier, sender) for _, sender in pipes
    ]
    first, second = (receiver.recv() for receiver, _ in pipes)
    for child in children:
        child.join()
    assert [{a, b} for a, b in zip(first, second, strict=True)] == [{WHO, None}] * len(secrets)


def _claims(ledger: Ledger, names: dict[str, int], right: bool = False) -> str:
    try:
        with trying(ledger, CLAIMS, names):
            if not right:
                raise NotClaimed("wrong")
    except NotClaimed:
        return "wrong"
    except TooManyTries:
        return "waits"
    return "claimed"


def _claim_each(
    settings: Settings, tries: int, barrier: Barrier, answer: Connection
) -> None:  # fmt: skip
    ledger, out = opened(settings), []
    for _ in range(tries):
        barrier.wait(PATIENCE_SECONDS)
        out.append(_claims(ledger, {f"account {WHO}": CLAIM_FREE_TRIES, ADDRESS: 20}))
    ledger.close()
    answer.send(out)


def test_guesses_in_two_processes_are_as_many_as_in_one(fixture: LedgerFixture) -> None:
    """None is lost between them, at the same moment or not."""
    barrier, pipes = CONTEXT.Barrier(2), [CONTEXT.Pipe(duplex=False) for _ in range(2)]
    children = [
        start(_claim_each, fixture.settings, 2 * CLAIM_FREE_TRIES, barrier, sender)
        for _, sender in pipes
    ]
    found = [answer for receiver, _ in pipes for answer in receiver.recv()]
    for child in children:
        child.join()
    assert found.count("wrong") == CLAIM_FREE_TRIES
    assert found.count("waits") == 3 * CLAIM_FREE_TRIES


def test_waits_hold_at_every_server_and_end(
    fixture: LedgerFixture, other: Ledger, clock: Later
) -> None:
    """A try that waits isn't counted, nor are those beside it; what succeeds at one server is forgiven at all."""
    names = {f"account {WHO}": CLAIM_FREE_TRIES}
    with clock.stopped():
        for _ in range(CLAIM_FREE_TRIES):
            assert _claims(fixture.ledger, names) == "wrong"
        assert _claims(other, names | {ADDRESS: 1}, right=True) == "waits"
        assert _claims(other, {ADDRESS: 1}) == "wrong"
        clock.ahead += CLAIM_FIRST_WAIT_MS - 1
        assert _claims(other, names, right=True) == "waits"
        clock.ahead += 1
        assert _claims(other, names, right=True) == "claimed"
        for _ in range(CLAIM_FREE_TRIES):
            assert _claims(fixture.ledger, names) == "wrong"
        assert _claims(other, names) == "waits"


def test_counts_of_claims_outlast_those_of_sign_ins(
    fixture: LedgerFixture, other: Ledger, clock: Later
) -> None:
    """They are forgotten after a week without a try, and then removed."""
    names = {f"account {WHO}": CLAIM_FREE_TRIES}
    for _ in range(CLAIM_FREE_TRIES - 1):
        _claims(fixture.ledger, names)
    clock.ahead += CLAIM_FORGOTTEN_MS - 60_000
    other.credentials.throttles._swept = 0
    assert _claims(other, names) == "wrong"
    assert _claims(fixture.ledger, names) == "waits"
    clock.ahead += CLAIM_FORGOTTEN_MS + COUNTS_SWEEP_MS
    assert _claims(other, {ADDRESS: 20}) == "wrong"
    found = other.database.fetch("SELECT failures FROM throttles WHERE kind = 'claim'", ())
    assert found == [(1,)]
    assert _claims(other, names) == "wrong"


@contextmanager
def _without(ledger: Ledger, table: str) -> Iterator[None]:
    """A table that can't be read."""
    with ledger.database.write() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO gone")
    yield
    with ledger.database.write() as connection:
        connection.exec_driver_sql(f"ALTER TABLE gone RENAME TO {table}")


def test_nobody_answers_a_challenge_that_can_not_be_looked_up(fixture: LedgerFixture) -> None:
    """It is there again when its table is."""
    challenges = fixture.ledger.credentials.challenges
    challenges.put(PURPOSE, SECRET, WHO, 1_000, 2_000)
    with _without(fixture.ledger, "passkey_challenges"), pytest.raises(DBAPIError):
        challenges.take(PURPOSE, SECRET, 1_000)
    assert challenges.take(PURPOSE, SECRET, 1_000) == WHO


def test_nobody_guesses_where_nothing_counts(fixture: LedgerFixture) -> None:
    """What isn't counted isn't tried."""
    with _without(fixture.ledger, "throttles"), pytest.raises(DBAPIError):
        _claims(fixture.ledger, {ADDRESS: 20})


def test_names_and_challenges_are_kept_as_hashes(fixture: LedgerFixture) -> None:
    """An address by a keyed one: there are few."""
    ledger = fixture.ledger
    ledger.credentials.challenges.put(PURPOSE, SECRET, WHO, 1_000, 2_000)
    _claims(ledger, {ADDRESS: 20})
    ((kept,),) = ledger.database.fetch("SELECT hash FROM passkey_challenges", ())
    ((name,),) = ledger.database.fetch("SELECT name FROM throttles WHERE kind = ?", (CLAIM,))
    assert bytes(kept) != SECRET
    assert bytes(name) == ledger.identity.index("claim tries", ADDRESS)


def test_no_challenge_outlives_a_restored_copy(fixture: LedgerFixture, tmp_path: Path) -> None:
    """Whether it was answered since the copy was made isn't known."""
    ledger, now = fixture.ledger, fixture.ledger.clock()
    ledger.credentials.challenges.put(PURPOSE, SECRET, WHO, now, now + 100_000)
    accept_restore(ledger, fixture.operator, tmp_path / "checkpoint")
    assert ledger.credentials.challenges.take(PURPOSE, SECRET, now) is None


def test_no_backup_has_a_challenge(
    fixture: LedgerFixture, engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """One that was answered after it would count again."""
    ledger, now = fixture.ledger, fixture.ledger.clock()
    ledger.credentials.challenges.put(PURPOSE, SECRET, WHO, now, now + 100_000)
    ledger.close()
    backup, keeper = tmp_path / "backup", tmp_path / "keeper"
    make_backup(fixture.settings, backup, keeper)
    fixture.ledger = opened(fixture.settings)
    assert fixture.ledger.credentials.challenges.take(PURPOSE, SECRET, now) == WHO
    place = fresh_settings(engine, request, tmp_path / "new")
    restore(check_backup(backup, keeper), target_of(place))
    with sql(place) as connection:
        found = connection.exec_driver_sql("SELECT account FROM passkey_challenges").fetchall()
    assert found == []
