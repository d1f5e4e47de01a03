"""Whose failures hold up whom: the account by the name that was given, the address, and both where they are known."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from identity import factors, signing_in, throttles
from identity.addresses import MAIL, normal_address
from identity.errors import NotSignedIn, Throttled
from identity.proving import Proof
from identity.signing_in import SignIn
from storage.errors import Unavailable
from storage.sql.throttles import FAILED_MS, SWEEP_MS
from tests.support.ledger_fixture import LedgerFixture
from tests.support.sign_ins import PASSWORD, Later, reopened

CLINIC, HOME, AFAR = "192.0.2.1", "198.51.100.7", "203.0.113.9"


class People:
    """A ledger whose clocks can be moved, and accounts with a password."""

    def __init__(self, fixture: LedgerFixture) -> None:
        self.fixture = fixture
        self.clock: Later = reopened(fixture)

    def account(self) -> str:
        """A fresh account with a password."""
        caller = self.fixture.person().actor.in_role("person").caller
        factors.set_password(self.fixture.ledger, caller, PASSWORD, Proof(), "")
        return caller.account

    def mail(self, account: str, address: str) -> None:
        """Let an account be found by an e-mail address."""
        ledger = self.fixture.ledger
        hashed = ledger.identity.index(MAIL, normal_address(address))
        statement = ledger.database.sql("INSERT INTO addresses (hash, account) VALUES (?, ?)")
        with ledger.database.write() as connection:
            connection.exec_driver_sql(statement, (hashed, account))

    def sign_in(self, who: str, address: str, password: str = PASSWORD) -> str:
        """What comes of it: `in`, `out`, or the wait in seconds."""
        wanted = SignIn(who, Proof(password), "person")
        try:
            signing_in.sign_in_by_password(self.fixture.ledger, wanted, address)
        except NotSignedIn:
            return "out"
        except Throttled as error:
            return str(error.seconds)
        return "in"

    def fail(self, who: str, address: str, times: int) -> list[str]:
        """What comes of wrong passwords."""
        return [self.sign_in(who, address, "wrong horse") for _ in range(times)]

    def poison(self, address: str) -> None:
        """Fail from an address by names that nobody has, until it has to wait for minutes."""
        for number in range(throttles.ADDRESS_FREE + 10):
            name = f"{number}.{self.clock.ahead}@mail.example"
            if (wait := self.sign_in(name, address)).isdigit():
                self.clock.ahead += int(wait) * 1_000
                self.sign_in(name, address)
        assert self.sign_in("another@mail.example", address).isdigit()

    def locked(self, account: str) -> int:
        """How often a lock-out of the account is on record."""
        entries = self.fixture.ledger.tail(f"account/{account}", 200)
        return [entry.event.type.name for entry in entries].count("session.locked")


@pytest.fixture
def people(fixture: LedgerFixture, engine: str) -> People:
    """On SQLite, where clocks can be moved."""
    if engine != "sqlite":
        pytest.fail("the tests that move clocks are for SQLite")
    return People(fixture)


sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@sqlite
def test_a_poisoned_address_does_not_hold_up_who_always_signs_in_there(people: People) -> None:
    """Whoever is new there waits; each of the others is counted on their own, and limited."""
    pat, kim, new = (people.account() for _ in range(3))
    assert [people.sign_in(who, CLINIC) for who in (pat, kim)] == ["in", "in"]
    people.poison(CLINIC)
    assert people.sign_in(new, CLINIC).isdigit()
    assert [people.sign_in(who, CLINIC) for who in (pat, kim)] == ["in", "in"]
    assert people.fail(pat, CLINIC, 6)[:5] == ["out"] * 5
    assert people.sign_in(pat, CLINIC).isdigit()
    assert people.sign_in(kim, CLINIC) == "in"


@sqlite
def test_failures_of_the_known_do_not_hold_up_their_address(people: People) -> None:
    """They are limited on their own already."""
    known = [people.account() for _ in range(6)]
    assert {people.sign_in(who, CLINIC) for who in known} == {"in"}
    for who in known:
        people.fail(who, CLINIC, 6)
    assert people.sign_in(people.account(), CLINIC) == "in"


@sqlite
def test_an_address_that_is_not_known_is_nobodys(people: People) -> None:
    """Nothing is counted against it, and nobody is known there."""
    pat, kim = people.account(), people.account()
    assert people.sign_in(pat, "") == "in"
    people.fail(pat, AFAR, 6)
    assert people.sign_in(pat, "").isdigit()
    for number in range(throttles.ADDRESS_FREE + 5):
        assert people.sign_in(f"{number}@mail.example", "") == "out"
    assert people.sign_in(kim, "") == "in"


@sqlite
def test_good_sign_ins_do_not_use_up_an_address(people: People) -> None:
    """However many are new there."""
    for _ in range(throttles.ADDRESS_FREE + 5):
        assert people.sign_in(people.account(), CLINIC) == "in"


def test_tries_at_once_are_counted_before_they_are_looked_at(fixture: LedgerFixture) -> None:
    """Of an address, whichever accounts they name: while they wait for their hash, nothing more is tried."""
    most, tried = throttles.ADDRESS_FREE + 2, 40
    looked: list[str] = []

    def sign_in(number: int) -> None:
        wanted = SignIn(f"{number}@mail.example", Proof("wrong horse"), "person")
        try:
            signing_in.sign_in_by_password(fixture.ledger, wanted, AFAR)
        except NotSignedIn:
            looked.append("")
        except Throttled:
            return

    with ThreadPoolExecutor(tried) as pool:
        list(pool.map(sign_in, range(tried)))
    # A wait of a second may be over before the last are through.
    assert throttles.ADDRESS_FREE < len(looked) <= most


@sqlite
@pytest.mark.parametrize("exists", [True, False])
def test_a_name_counts_however_it_is_written(people: People, exists: bool) -> None:
    """Capitals, forms of Unicode and blanks give no fresh tries, and nothing tells whether there is an account."""
    account = people.account()
    if exists:
        people.mail(account, "päm@mail.example")
    ways = ["päm@mail.example", "PÄM@mail.example", " pa\u0308m@Mail.Example", "Päm@MAIL.example "]
    tried = [
        people.sign_in(way, f"192.0.2.{number}", "wrong horse")
        for number, way in enumerate((*ways, *ways))
    ]
    assert tried == ["out"] * 5 + ["1"] * 3


@sqlite
def test_tries_of_an_account_do_not_tell_whose_an_address_is(people: People) -> None:
    """Who makes an account wait by its id learns nothing of an e-mail address by that."""
    account = people.account()
    people.mail(account, "pat@mail.example")
    assert people.fail(account, AFAR, 6)[-1] == "1"
    assert people.sign_in("pat@mail.example", HOME, "wrong horse") == "out"
    assert people.sign_in("nobody@mail.example", HOME, "wrong horse") == "out"
    assert people.sign_in("pat@mail.example", HOME) == "in"
    assert people.fail("pat@mail.example", AFAR, 6)[-1] == "1"
    # Known there by whichever name.
    assert people.sign_in(account, HOME) == "in"


@sqlite
def test_a_lock_out_that_could_not_go_on_record_does_so_at_the_next_sign_in(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, however much later, and from wherever its owner signs in."""
    pat = people.account()
    assert people.sign_in(pat, HOME) == "in"
    with monkeypatch.context() as patch:
        patch.setattr(throttles, "put_lock_out_without_waiting", lambda *_: None)
        _lock(people, pat)
    assert people.locked(pat) == 0
    people.clock.ahead += FAILED_MS + SWEEP_MS
    people.fail("nobody@mail.example", CLINIC, 1)  # what tells nothing any more is removed
    assert people.sign_in(pat, HOME) == "in"
    assert people.locked(pat) == 1
    assert people.sign_in(pat, HOME) == "in"
    assert people.locked(pat) == 1
    people.clock.ahead += FAILED_MS * 2
    _lock(people, pat)
    people.fixture.ledger.append([])  # whatever was put before is through
    assert people.sign_in(pat, HOME) == "in"
    assert people.locked(pat) == 2


@sqlite
def test_a_lock_out_holds_where_nothing_can_go_on_record(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who fails is told no more than before."""

    def refuses(*_: object) -> None:
        raise Unavailable("full", "no")

    pat = people.account()
    monkeypatch.setattr(throttles, "put_lock_out_without_waiting", refuses)
    _lock(people, pat)
    assert people.sign_in(pat, AFAR).isdigit()


@sqlite
def test_whoever_is_right_at_last_was_not_locked_out(people: People) -> None:
    """The try that would have begun the longest wait is the right one: nothing of that is on record."""
    pat, waits = people.account(), 0
    assert people.sign_in(pat, HOME) == "in"
    while waits < throttles.WAIT_MOST_MS // 2_000:
        waits = int(people.fail(pat, AFAR, 6)[-1])
        people.clock.ahead += waits * 1_000
    assert people.sign_in(pat, AFAR) == "in"
    assert people.sign_in(pat, AFAR) == "in"
    assert people.locked(pat) == 0


def _lock(people: People, who: str) -> None:
    """Fail from afar until the longest wait begins."""
    while int(people.fail(who, AFAR, 6)[-1]) < throttles.WAIT_MOST_MS // 1_000:
        people.clock.ahead += int(people.sign_in(who, AFAR)) * 1_000
