"""The key keeper as a witness of its own log."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from api.app.witnesses import KEEPER, asking, witness_policy
from client import staff
from client.http import HttpClient
from client.local import LocalClient
from client.witnesses import WitnessConnection
from durable.errors import StartRefused
from identity.actors import new_key
from keeper.errors import KeeperRefused
from ledger.errors import Tampered
from ledger.witnesses import WitnessPolicy
from storage.cosigning import WitnessFeed
from storage.evidence import cosigned_by_keeper
from storage.ledger import Ledger
from tests.support.copies import copy_ledger
from tests.support.inside import keeper_of, opened
from tests.support.ledger_fixture import LedgerFixture, entry_of, signed
from tests.support.lying_server import lying
from tests.support.people import People
from tests.support.server import in_process, until

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def people(fixture: LedgerFixture) -> People:
    return People.of(fixture)


def policy_of(ledger: Ledger, url: str = "") -> bytes:
    """A policy that demands the keeper's cosignatures, under both of its keys."""
    log = "".join(f"log {key}\n" for key in ledger.vkeys)
    names = [f"witness k{n} {vkey} {url}\n" for n, vkey in enumerate(ledger.keeper.vkeys())]
    return (log + "".join(names) + "group both all k0 k1\nquorum both\n").encode()


def grown(people: People, count: int = 3) -> None:
    """A few entries more."""
    for _ in range(count):
        entry_of(people.fixture.answer(people.grant(), people.pat.actor.key))


def test_what_it_cosigns_meets_a_policy(people: People) -> None:
    """Each checkpoint, whatever was read meanwhile; both signatures, under the keys that it tells."""
    ledger, notes = people.fixture.ledger, list[bytes]()
    for _ in range(3):
        grown(people)
        notes.append(ledger.head().checkpoint)
    for note in [*notes[1:], notes[0]]:
        lines = cosigned_by_keeper(ledger, note)
        policy = WitnessPolicy.parse(policy_of(ledger))
        assert policy.check(note + lines, ledger.vkeys) == ["k0", "k1"]


def test_its_keys_stay_the_same(people: People) -> None:
    before = people.fixture.ledger.keeper.vkeys()
    people.fixture.reopen()
    assert people.fixture.ledger.keeper.vkeys() == before


def test_it_cosigns_no_second_history(people: People, tmp_path: Path) -> None:
    """Of the same length or longer, also where what it had read is lost."""
    fixture = people.fixture
    fixture.ledger.close()
    fork = opened(copy_ledger(fixture.settings, tmp_path / "fork"))
    fixture.ledger = opened(fixture.settings)
    grown(people)
    cosigned_by_keeper(fixture.ledger, fixture.ledger.head().checkpoint)
    for lost in (False, True):
        if lost:
            fixture.ledger.close()
            for path in (fixture.settings.data / "keeper").glob("followed.db*"):
                path.unlink()
            fixture.ledger = opened(fixture.settings)
        fork.append([signed(fork, people.grant(), people.pat.actor.key) for _ in range(3)])
        fork.keeper, own = keeper_of(fixture.ledger), fork.keeper
        fork.keeper_size = fork.keeper.seen.size
        with pytest.raises(KeeperRefused):
            cosigned_by_keeper(fork, fork.head().checkpoint)
        fork.keeper = own
    assert cosigned_by_keeper(fixture.ledger, fixture.ledger.head().checkpoint)
    fork.close()


def test_what_it_cosigned_is_on_the_disk_before_it_answers(people: People) -> None:
    """Not a second later: the file holds the very checkpoint."""
    ledger = people.fixture.ledger
    for _ in range(3):
        grown(people, 1)
        note = ledger.head().checkpoint
        cosigned_by_keeper(ledger, note)
        assert (people.fixture.settings.data / "keeper" / "checkpoint").read_bytes() == note


def test_after_a_restoration_it_cosigns_no_more(people: People) -> None:
    """It goes on to keep keys, of the log as it was restored; but it said of another one that it was the log."""
    from keeper.cosigning import end_cosigning

    ledger = people.fixture.ledger
    note = ledger.head().checkpoint
    assert cosigned_by_keeper(ledger, note)
    end_cosigning(people.fixture.settings.data / "keeper", note)
    with pytest.raises(KeeperRefused, match="no second history"):
        cosigned_by_keeper(ledger, note)
    people.fixture.reopen()
    with pytest.raises(KeeperRefused, match="no second history"):
        cosigned_by_keeper(people.fixture.ledger, note)


@contextmanager
def _cosigned(people: People, path: Path) -> Iterator[Ledger]:
    """The ledger with a policy that demands the keeper, of which a checkpoint is cosigned."""
    ledger = people.fixture.ledger
    path.write_bytes(policy_of(ledger, KEEPER))
    settings = people.fixture.settings.model_copy(update={"witness_policy": path})
    policy = witness_policy(settings, ledger.vkeys)
    assert policy is not None
    people.fixture.ledger.close()
    people.fixture.ledger = ledger = opened(settings)
    ledger.witnesses = policy
    with (
        closing(WitnessConnection()) as connection,
        WitnessFeed(ledger, policy, asking(ledger, connection.ask)).running(),
    ):
        until(lambda: ledger.cosigned() is not None, "nothing was cosigned")
        yield ledger


def test_a_lie_about_what_was_cosigned_is_no_log_without_witnesses(
    people: People, tmp_path: Path
) -> None:
    """An export goes on without a policy only where nothing is cosigned yet."""
    auditor, _ = staff.appoint_auditor(
        LocalClient(people.fixture.ledger), people.fixture.operator, "Aud", 1, new_key()
    )

    def longer(path: str, body: bytes) -> bytes:
        return body * 1_000 if path == "/v1/log/cosigned" else body

    with (
        _cosigned(people, tmp_path / "policy") as ledger,
        in_process(ledger) as web,
        lying(web.url, longer) as url,
        closing(HttpClient(url)) as far,
        closing(HttpClient(web.url)) as near,
    ):
        with pytest.raises(Tampered, match="cosigned: has more than"):
            far.source(auditor)
        assert near.source(auditor).policy


def test_the_logs_feed_asks_it(people: People, tmp_path: Path) -> None:
    """As one of the policy's witnesses, by the word that stands for its address."""
    with _cosigned(people, tmp_path / "policy") as ledger:
        found, policy = ledger.cosigned(), ledger.witnesses
    assert found is not None and policy is not None
    assert policy.check(found.note, ledger.vkeys) == ["k0", "k1"]


def test_another_word_is_refused(people: People, tmp_path: Path) -> None:
    path = tmp_path / "policy"
    path.write_bytes(policy_of(people.fixture.ledger, "keeper:elsewhere"))
    settings = people.fixture.settings.model_copy(update={"witness_policy": path})
    with pytest.raises(StartRefused, match=r"expected http://…, https://… or keeper:"):
        witness_policy(settings, people.fixture.ledger.vkeys)


def test_a_checkpoint_that_one_of_the_logs_keys_did_not_sign(fixture: LedgerFixture) -> None:
    """It lies on the branch all the same, and gets no cosignature."""
    ledger = fixture.ledger
    note = ledger.head().checkpoint
    half = b"".join(note.splitlines(keepends=True)[:-1])
    with pytest.raises(KeeperRefused, match="has not signed it"):
        cosigned_by_keeper(ledger, half)
    assert cosigned_by_keeper(ledger, note)
