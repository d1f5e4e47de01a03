"""What is kept of factors, sessions and failures: on both engines, through a restart, and when it can't be read."""

import pyotp
import pytest
from argon2 import PasswordHasher
from sqlalchemy.exc import DBAPIError

from client import registering
from client.local import LocalClient
from identity import factors, own, passwords, sessions, signing_in, throttles
from identity.actors import Caller, new_key
from identity.addresses import MAIL, normal_address
from identity.errors import FactorConflict, KeyNeeded, NotSignedIn, Throttled
from identity.proving import Proof
from identity.sessions import Session
from identity.signing_in import SignIn
from storage.maintenance import snapshot
from storage.maintenance.backup import DATABASE, back_up
from storage.sql.sessions import SWEEP_MS
from tests.support.ledger_fixture import LedgerFixture
from tests.support.sign_ins import PASSWORD, STEP_MS, Later, reopened

HERE = "192.0.2.1"


class Person:
    """An account in the role of a mere person, and what its owner does."""

    def __init__(self, fixture: LedgerFixture) -> None:
        self.fixture = fixture
        self.by_key = fixture.person().actor.in_role("person").caller
        self.account = self.by_key.account
        factors.set_password(fixture.ledger, self.by_key, PASSWORD, Proof(), HERE)
        self.seed = ""

    def code(self) -> str:
        return pyotp.TOTP(self.seed).at(self.fixture.ledger.clock() // 1_000)

    def sign_in(self, who: str = "", address: str = HERE, **proof: str) -> Session:
        shown = Proof(**({"password": PASSWORD} | proof))
        wanted = SignIn(who or self.account, shown, "person")
        return signing_in.sign_in_by_password(self.fixture.ledger, wanted, address)

    def fails_until_throttled(self, address: str = HERE) -> int:
        """Fail until the wait is longer than a try takes; gives how many were tried."""
        for tried in range(10):
            try:
                self.sign_in(password="wrong horse", address=address)
            except Throttled:
                return tried
            except NotSignedIn:
                continue
        pytest.fail("nobody had to wait")

    def caller(self, session: Session) -> Caller:
        ledger = self.fixture.ledger
        return sessions.caller_of(ledger, ledger.tokens, session.token)

    def enrol(self) -> tuple[str, ...]:
        ledger = self.fixture.ledger
        self.seed = factors.begin_code(ledger, self.by_key).seed
        return factors.confirm_code(ledger, self.by_key, Proof(PASSWORD, self.code()), HERE)


@pytest.fixture
def clock(fixture: LedgerFixture, engine: str) -> Later:
    """Clocks that can be moved; PostgreSQL's own can't, so there they stand as they are."""
    return reopened(fixture) if engine == "sqlite" else Later()


def test_all_of_it(fixture: LedgerFixture, clock: Later, engine: str) -> None:
    """Set, change, enrol, sign in, step up, renew, remove; what was before is worth nothing each time."""
    pat, ledger = Person(fixture), fixture.ledger
    first = pat.sign_in()
    recovery = pat.enrol()
    with pytest.raises(NotSignedIn):
        pat.caller(first)
    with pytest.raises(FactorConflict):
        factors.begin_code(ledger, pat.by_key)
    clock.ahead += STEP_MS
    session = pat.sign_in(recovery=recovery[0])
    step = Proof(recovery=recovery[1])
    strong = signing_in.step_up(ledger, pat.caller(session), session.token, step, HERE)
    renewed = signing_in.renew(ledger, pat.caller(strong), strong.token)
    for dead in (session, strong):
        with pytest.raises(NotSignedIn):
            pat.caller(dead)
    caller = pat.caller(renewed)
    assert caller.session is not None
    assert caller.session.assurance == 3
    other = pat.sign_in(recovery=recovery[2])
    proof = Proof(PASSWORD, recovery=recovery[3])
    factors.set_password(ledger, caller, "another horse", proof, HERE)
    with pytest.raises(NotSignedIn):
        pat.caller(other)
    assert pat.caller(renewed) == caller
    assert own.factors_of(ledger, caller) == own.Factors(True, True, 6)
    proof = Proof("another horse", recovery=recovery[4])
    factors.remove_code(ledger, caller, proof, HERE)
    assert own.factors_of(ledger, caller) == own.Factors(False, True, 0)
    sessions.sign_out(ledger, ledger.tokens, renewed.token)
    assert own.sessions_of(ledger, pat.by_key) == ()
    assert pat.sign_in(password="another horse").caller.account == pat.account


def test_a_key_of_the_account_sets_the_first_password(fixture: LedgerFixture) -> None:
    """Also beside the data, where no session was checked: another account's, a revoked or an unknown one sets none."""
    pat, kim, ledger = fixture.person().actor, fixture.person().actor, fixture.ledger
    for key in (kim.key.id, new_key().id, None):
        caller = Caller(pat.account, "person", "", key)
        with pytest.raises(KeyNeeded):
            factors.set_password(ledger, caller, PASSWORD, Proof(), HERE)
    assert ledger.credentials.of(pat.account) is None
    registering.revoke_key(LocalClient(ledger), pat.in_role("person"), pat.account, pat.key.id)
    with pytest.raises(KeyNeeded):
        factors.set_password(ledger, pat.caller, PASSWORD, Proof(), HERE)


def test_failures_survive_a_restart(fixture: LedgerFixture) -> None:
    pat = Person(fixture)
    assert pat.fails_until_throttled() >= throttles.ACCOUNT_FREE
    fixture.reopen()
    assert pat.fails_until_throttled() <= 2


def test_what_can_not_be_counted_is_not_tried(fixture: LedgerFixture) -> None:
    """With the right password, too; the ledger goes on otherwise."""
    pat, size = Person(fixture), fixture.size()
    with fixture.ledger.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE throttles RENAME TO gone")
    with pytest.raises(DBAPIError):
        pat.sign_in()
    assert fixture.size() == size
    with fixture.ledger.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO throttles")
    assert pat.sign_in().caller.account == pat.account


def test_an_address_is_made_to_wait(fixture: LedgerFixture) -> None:
    """Whichever accounts it tries; from elsewhere nothing is held up."""
    pat = Person(fixture)
    names = [f"{number}@mail.example" for number in range(throttles.ADDRESS_FREE + 1)]
    for name in names:
        with pytest.raises(NotSignedIn):
            pat.sign_in(who=name, address="203.0.113.9")
    with pytest.raises(Throttled):
        pat.sign_in(address="203.0.113.9")
    pat.sign_in()


def test_strangers_do_not_keep_an_owner_out(fixture: LedgerFixture) -> None:
    """Who has signed in from an address is counted there on their own."""
    pat = Person(fixture)
    pat.sign_in()
    assert pat.fails_until_throttled("203.0.113.9") >= throttles.ACCOUNT_FREE
    pat.sign_in()


def test_an_account_is_found_by_its_address(fixture: LedgerFixture) -> None:
    """By a keyed hash of it, however it is written; the table is another part's to fill."""
    pat, ledger = Person(fixture), fixture.ledger
    hashed = ledger.identity.index(MAIL, normal_address("Pat@Mail.Example"))
    statement = ledger.database.sql("INSERT INTO addresses (hash, account) VALUES (?, ?)")
    with ledger.database.write() as connection:
        connection.exec_driver_sql(statement, (hashed, pat.account))
    assert pat.sign_in(who=" pat@mail.EXAMPLE").caller.account == pat.account
    with pytest.raises(NotSignedIn):
        pat.sign_in(who="kim@mail.example")


class Counted:
    """The hasher, and how often it compared."""

    def __init__(self) -> None:
        self.compared, self._hasher = 0, passwords._HASHER

    def verify(self, kept: str, password: bytes) -> bool:
        self.compared += 1
        return self._hasher.verify(kept, password)


def test_whoever_is_unknown_costs_the_same(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One comparison by the same parameters, whatever is wrong."""
    pat, kim = Person(fixture), fixture.person().actor.account
    counted = Counted()
    monkeypatch.setattr(passwords, "_HASHER", counted)
    tries = [
        {"password": "wrong horse"}, {"password": "x"}, {"password": "x" * 2_000}, {"code": "123456"},
        {"recovery": "0" * 16}, {"who": kim}, {"who": "nobody@mail.example"}, {"who": "ac_01jd3q8m5c0000000000000001"},
    ]  # fmt: skip
    for number, shown in enumerate(tries, 1):
        with pytest.raises(NotSignedIn, match="account, password or code is wrong"):
            pat.sign_in(address=f"192.0.2.{number}", **shown)
        assert counted.compared == number
        with fixture.ledger.database.write() as connection:
            connection.exec_driver_sql("DELETE FROM throttles")


def test_a_hash_follows_the_parameters(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the next sign-in; its sessions stay."""
    pat, ledger = Person(fixture), fixture.ledger
    before = pat.sign_in()
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(3, 32 * 1024, 1))
    old = ledger.credentials.of(pat.account)
    pat.sign_in()
    new = ledger.credentials.of(pat.account)
    assert old is not None
    assert new is not None
    assert passwords.outdated(old.password)
    assert not passwords.outdated(new.password)
    assert pat.caller(before).account == pat.account


def test_the_session_used_longest_ago_makes_room(fixture: LedgerFixture) -> None:
    """For the one that is too many; that is on record."""
    pat = Person(fixture)
    made = [pat.sign_in() for _ in range(sessions.SESSIONS_MOST + 1)]
    shown = {one.session for one in own.sessions_of(fixture.ledger, pat.by_key)}
    assert len(shown) == sessions.SESSIONS_MOST
    assert made[-1].caller.session is not None
    assert made[-1].caller.session.id in shown
    ended = [
        one.body["reason"]
        for one in own.sign_ins_of(fixture.ledger, pat.by_key)
        if one.type == "session.ended"
    ]
    assert ended == ["replaced"]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_has_ended_is_forgotten(fixture: LedgerFixture) -> None:
    """Within an hour, with whatever was kept of it."""
    clock, pat, kim = reopened(fixture), Person(fixture), Person(fixture)
    pat.sign_in()
    clock.ahead += sessions.PERSON_IDLE_MS + SWEEP_MS
    kim.sign_in()
    assert fixture.ledger.database.fetch("SELECT account FROM sessions", ()) == [(kim.account,)]


def test_a_sign_in_that_saw_older_factors_comes_to_nothing(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password changes between the comparison and the session: there is none, and no entry of one."""
    pat, ledger = Person(fixture), fixture.ledger
    check = sessions.check_role

    def changes(*arguments: object) -> None:
        check(*arguments)  # type: ignore[arg-type]
        factors.set_password(ledger, pat.by_key, "another horse", Proof(PASSWORD), HERE)

    monkeypatch.setattr(signing_in, "check_role", changes)
    with pytest.raises(NotSignedIn, match="changed meanwhile"):
        pat.sign_in()
    assert own.sessions_of(ledger, pat.by_key) == ()
    types = [one.type for one in own.sign_ins_of(ledger, pat.by_key)]
    assert types == ["factor.added", "factor.added"]


def test_a_backup_holds_no_session(fixture: LedgerFixture) -> None:
    """Whoever signed out since stays out; passwords are in it."""
    pat = Person(fixture)
    pat.sign_in()
    folder = fixture.settings.data.with_name("backup")
    marker = fixture.settings.data / "heartwood.json"
    back_up(fixture.ledger.stores, marker, folder, fixture.ledger.clock())
    (file,) = folder.rglob(DATABASE)
    copy = snapshot.opened(file)
    assert not copy.fetch("SELECT session FROM sessions", ())
    assert copy.fetch("SELECT account FROM credentials", ()) == [(pat.account,)]
    copy.close()
    assert own.sessions_of(fixture.ledger, pat.by_key)
