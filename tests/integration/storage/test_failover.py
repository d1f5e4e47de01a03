"""Another server takes the database over: with everything, without the last commits, or not fit for it."""

import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from api.app.opening import open_ledger
from api.app.settings import Settings
from durable.errors import StartRefused
from ledger.sequencer import Appended, Outcome, Proposal
from storage.errors import OutcomeUnknown, Unavailable
from storage.ledger import Ledger
from tests.support.ledger_fixture import LedgerFixture, signed
from tests.support.people import People
from tests.support.postgres import Cluster, PostgresMissing
from tests.support.server import Web, kind_of, serving, until
from tests.support.standby import Standby, administrator, alter, both, caught_up

PATIENCE_SECONDS = 60.0
ROLLED_BACK = "entries, and [0-9]+ were acknowledged.*Nothing is appended.*accept-restore"


class Pair:
    """A primary, its standby, and a ledger on whichever of them takes writes."""

    def __init__(self, folder: Path) -> None:
        """Starts both."""
        self.primary = Cluster.start()
        url = self.primary.database()
        self.standby = Standby.of(self.primary)
        self.settings = Settings(
            data=folder / "data", database_url=both(url, self.primary, self.standby)
        )
        self.fixture = LedgerFixture.found(self.settings)
        self.people = People.of(self.fixture)

    def proposal(self) -> Proposal:
        """A registration that was never sent."""
        return signed(
            self.fixture.ledger, self.people.registration(), self.fixture.north.system.key
        )

    def append(self, ledger: Ledger | None = None) -> Appended:
        """Register somebody; raises what the log does."""
        (outcome,) = (ledger or self.fixture.ledger).append([self.proposal()])
        assert isinstance(outcome, Appended)
        return outcome

    def synchronous(self) -> None:
        """Let every commit wait for the standby."""
        alter(self.primary, "synchronous_standby_names", "*")

    def lose_the_last(self) -> None:
        """Acknowledge what the standby does not get; then it is all that there is."""
        caught_up(self.primary)
        self.standby.kill()
        self.append()
        self.primary.kill()
        self.standby.restart()
        self.standby.promote()

    def stop(self) -> None:
        """Stop both."""
        self.standby.stop()
        self.primary.stop()


@pytest.fixture
def pair(cluster: Cluster, tmp_path: Path) -> Iterator[Pair]:
    """Two servers; `cluster` is asked for so that these are left out where it would be."""
    try:
        two = Pair(tmp_path)
    except PostgresMissing as missing:  # pragma: no cover
        pytest.skip(f"{missing}")
    yield two
    try:
        two.fixture.close()
    finally:
        two.stop()


def told(pair: Pair, proposals: list[Proposal]) -> list[Outcome]:
    """What comes of proposals that are sent again until they have an outcome, as clients do."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return pair.fixture.ledger.append(proposals)
        except (Unavailable, OutcomeUnknown) as error:
            if time.monotonic() > deadline or getattr(error, "code", "database") != "database":
                raise
            time.sleep(0.05)


def test_a_synchronous_standby_takes_over(pair: Pair) -> None:
    """A running process goes on with everything that was acknowledged, sent again or not."""
    pair.synchronous()
    sent = [pair.proposal() for _ in range(5)]
    first = pair.fixture.ledger.append(sent)
    pair.primary.kill()
    pair.standby.promote()
    again = told(pair, [*sent, pair.proposal()])
    assert again[:5] == [
        Appended(one.entry, fresh=False) for one in first if isinstance(one, Appended)
    ]
    assert isinstance(again[5], Appended)
    assert again[5].fresh
    pair.fixture.verify()


def test_commits_that_wait_for_no_standby(pair: Pair) -> None:
    """Said at a start: a failover could lose what was acknowledged."""
    found = pair.fixture.ledger.database.replication()
    assert found is not None
    assert (found.hosts, found.standbys, found.synchronous) == (2, 1, "")
    assert "commits wait for no standby" in (found.doubt or "")
    pair.synchronous()
    found = pair.fixture.ledger.database.replication()
    assert found is not None
    assert found.doubt is None


def test_a_standby_without_the_last_commits(pair: Pair) -> None:
    """Refused by a running process and by a start; once the right server is back, all goes on."""
    pair.lose_the_last()
    for _ in range(3):
        with pytest.raises(Unavailable, match=ROLLED_BACK) as caught:
            told(pair, [pair.proposal()])
        assert caught.value.code == "rolled_back"
    with pytest.raises(Unavailable, match=ROLLED_BACK):
        pair.fixture.ledger.log.check_takes()
    assert "were acknowledged" in (pair.fixture.ledger.log.unavailable() or "")
    with pytest.raises(StartRefused, match=r"promoted without the last commits.*accept-restore"):
        open_ledger(pair.settings)
    pair.standby.kill()
    pair.primary.restart()
    told(pair, [pair.proposal()])
    pair.fixture.verify()


def test_workers_meet_a_standby_without_the_last_commits(pair: Pair) -> None:
    """`serve` warns at its start; its workers say what is wrong, append nothing, and go on once it is right."""
    pair.fixture.close()
    with serving(pair.settings, workers=2) as served:
        web = Web(served.url, pair.fixture.ledger.origin)
        until(lambda: "commits wait for no standby" in served.log.read_text(), "it is warned")
        caught_up(pair.primary)
        pair.standby.kill()
        pair.fixture.reopen()
        pair.append()
        pair.fixture.close()
        pair.primary.kill()
        pair.standby.restart()
        pair.standby.promote()
        until(lambda: kind_of(web.get("/readyz")) == "rolled_back", "a worker says so")
        pair.standby.kill()
        pair.primary.restart()
        until(lambda: kind_of(web.get("/readyz")) == "200", "it goes on")
        web.close()
    pair.fixture.reopen()


def test_what_a_neighbour_was_acknowledged(pair: Pair) -> None:
    """A process that saw nothing of what is lost refuses as well, by the checkpoint outside the database."""
    with closing(open_ledger(pair.settings)) as neighbour:
        pair.append(neighbour)
        pair.lose_the_last()
        with pytest.raises(Unavailable, match=ROLLED_BACK):  # this one tells the file
            told(pair, [pair.proposal()])
        for _ in range(2):
            with pytest.raises(Unavailable, match=ROLLED_BACK):
                pair.append(neighbour)
        pair.standby.kill()
        pair.primary.restart()
        told(pair, [pair.proposal()])


def test_another_history(pair: Pair) -> None:
    """A database as long as the one that was acknowledged, with another last entry."""
    pair.lose_the_last()
    elsewhere = pair.settings.data.with_name("elsewhere")
    shutil.copytree(pair.settings.data, elsewhere)
    stranger = pair.settings.model_copy(update={"data": elsewhere})
    with closing(open_ledger(stranger, restored=True)) as forked:
        for _ in range(2):
            pair.append(forked)
    with pytest.raises(Unavailable, match=r"another history.*accept-restore"):
        told(pair, [pair.proposal()])


def test_a_leader_that_became_read_only(pair: Pair) -> None:
    """Its pooled connections are given up: the next are to the server that takes writes."""
    pair.synchronous()
    later = pair.proposal()
    alter(pair.primary, "default_transaction_read_only", "on")
    pair.standby.promote()
    with pytest.raises(Unavailable, match="read-only transaction") as caught:
        pair.fixture.ledger.append([later])
    assert caught.value.code == "database"
    told(pair, [later])
    pair.primary.kill()  # what was told is not on it
    pair.fixture.verify()


def test_a_standby_alone(pair: Pair) -> None:
    """No start from a server that only reads: what it shows may be behind."""
    pair.fixture.ledger.log.close()
    pair.primary.kill()
    with pytest.raises(StartRefused, match=r"no server that takes writes"):
        open_ledger(pair.settings)


def test_a_new_leader_that_forgets(pair: Pair) -> None:
    """What is asked of the server at the start is asked of the one that takes over."""
    pair.synchronous()
    later = pair.proposal()
    alter(pair.standby, "fsync", "off")
    pair.primary.kill()
    pair.standby.promote()
    _until_told(pair, later, "PostgreSQL has fsync = off, expected on")
    alter(pair.standby, "fsync", "on")
    told(pair, [later])


def _until_told(pair: Pair, proposal: Proposal, words: str) -> None:
    """Send it until that is the reason why nothing is appended."""
    deadline, said = time.monotonic() + PATIENCE_SECONDS, ""
    while words not in said:
        assert time.monotonic() < deadline, said
        with pytest.raises((Unavailable, OutcomeUnknown)) as caught:
            pair.fixture.ledger.append([proposal])
        said = f"{caught.value}"


def test_a_commit_that_did_not_wait(pair: Pair) -> None:
    """PostgreSQL commits on cancellation, and only warns: nobody is told that it stands until it does."""
    proposal = pair.proposal()
    alter(pair.primary, "synchronous_standby_names", "nobody")
    cancelling = threading.Thread(target=_cancel, args=(pair.primary,))
    cancelling.start()
    with pytest.raises(OutcomeUnknown, match="outcome is unknown; send the same events again"):
        pair.fixture.ledger.append([proposal])
    cancelling.join()
    alter(pair.primary, "synchronous_standby_names", "*")
    (outcome,) = told(pair, [proposal])
    assert isinstance(outcome, Appended)
    assert not outcome.fresh


def _cancel(cluster: Cluster) -> None:
    """Cancel the commit that waits for a standby."""
    question = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    deadline = time.monotonic() + PATIENCE_SECONDS
    with administrator(cluster) as connection:
        while time.monotonic() < deadline and not connection.execute(question).fetchone():
            time.sleep(0.01)


def test_a_checkpoint_that_is_none(fixture: LedgerFixture) -> None:
    """Altered under a running process: nothing is appended until it is put back."""
    people = People.of(fixture)
    file = fixture.settings.data / "checkpoint"
    fixture.reopen()
    good, later = file.read_bytes(), people.registration()
    proposal = signed(fixture.ledger, later, fixture.north.system.key)
    for bad in (b"", b"nonsense\n", good.replace(b"heartwood", b"heartwoed", 1)):
        file.write_bytes(bad)
        with pytest.raises(Unavailable, match=r"is not valid.*Put the file") as caught:
            fixture.ledger.append([proposal])
        assert caught.value.code == "rolled_back"
    file.write_bytes(good)
    assert isinstance(fixture.ledger.append([proposal])[0], Appended)


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_backup_put_back_below_a_running_process(fixture: LedgerFixture, tmp_path: Path) -> None:
    """On SQLite, too: whoever copies an older database into the file is noticed at the next batch."""
    people = People.of(fixture)
    file, older = fixture.settings.data / "heartwood.db", tmp_path / "older.db"
    _copy(file, older)
    newer = tmp_path / "newer.db"
    fixture.ledger.append([signed(fixture.ledger, people.registration(), fixture.north.system.key)])
    _copy(file, newer)
    _copy(older, file)
    with pytest.raises(Unavailable, match=ROLLED_BACK):
        fixture.ledger.append(
            [signed(fixture.ledger, people.registration(), fixture.north.system.key)]
        )
    _copy(newer, file)
    fixture.ledger.append([signed(fixture.ledger, people.registration(), fixture.north.system.key)])


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
