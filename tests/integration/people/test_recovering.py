"""Both factors lost: the operator, who identified the person, recovers for the service; it waits, is told, and can be stopped."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyotp
import pytest

from client import registering
from client.local import LocalClient
from identity import factors, signing_in
from identity.actors import Actor, SignedIn, new_id, new_key
from identity.errors import NotSignedIn, StepUpNeeded, Throttled, WrongProof
from identity.kept import keep_key
from identity.proving import Proof
from identity.signing_in import SignIn
from identity.throttles import ACCOUNT_FREE
from journeys.errors import Forbidden, RecordsError
from ledger.directory import RECOVERY_WAIT_MS, Key
from ledger.errors import Refused
from ledger.messages import possession_message
from people.joining import Registration, register_alone
from people.recovering import open_recovery, revoke_recovery
from tests.support.commands import heartwood
from tests.support.inbox import mails_to, reach, send
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import good, in_process, kind_of
from tests.support.sign_ins import PASSWORD, Later, reopened

IN_TIME = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
"""Time is moved in these; PostgreSQL has a clock of its own, and nothing is appended where the two differ."""
HERE = "192.0.2.1"
ADDRESS = "ida@example.com"


def alone(fixture: LedgerFixture) -> Actor:
    """Somebody who registered alone."""
    ledger, key = fixture.ledger, new_key()
    account = new_id("ac", ledger.clock())
    proof = key.sign(possession_message(ledger.origin, account, key.id))
    register_alone(ledger, Registration(account, "Ida", key.public, proof))
    return Actor(ledger.origin, account, "person", "", key)


def test_a_key_is_put_in(fixture: LedgerFixture) -> None:
    """It counts a day later, the account is told how to stop it, and an older key does."""
    ida, client, new = alone(fixture), LocalClient(fixture.ledger), new_key()
    reach(fixture, ida, "ida@example.com")
    proof = new.sign(possession_message(client.origin, ida.account, new.id))
    given = (client, fixture.operator, ida.account, "device", new.public, proof, True)
    key, seq = registering.register_key(*given)
    assert registering.register_key(*given) == (key, seq), "a retry gives the same"
    row, entry = fixture.ledger.row(Key, key), fixture.ledger.entry(seq)
    assert row is not None
    assert row.counts_from == entry.time + RECOVERY_WAIT_MS
    assert (entry.event.role, entry.event.body["recovery"]) == ("service", True)
    send(fixture)
    assert f"heartwood key revoke {key}" in mails_to(fixture, "ida@example.com")[0]
    registering.revoke_key(client, ida, ida.account, key)
    row = fixture.ledger.row(Key, key)
    assert row is not None
    assert not row.active
    fixture.verify()


def test_who_may_not(fixture: LedgerFixture) -> None:
    """Nobody but the operator, just stepped up or by key; and not for an account that a hospital registered."""
    ida, pat, ledger, new = alone(fixture), fixture.person().actor, fixture.ledger, new_key()

    def proof(account: str) -> bytes:
        return new.sign(possession_message(ledger.origin, account, new.id))

    for who in (ida, fixture.north.admin, fixture.doctor(), pat):
        with pytest.raises(Forbidden):
            open_recovery(ledger, who.caller, ida.account, new.public, proof(ida.account))
    operator = fixture.operator.caller
    weak = replace(operator, key=None, session=SignedIn(new_id("ss", 0), 2))
    with pytest.raises(StepUpNeeded):
        open_recovery(ledger, weak, ida.account, new.public, proof(ida.account))
    with pytest.raises(RecordsError, match="the hospital that did"):
        open_recovery(ledger, operator, pat.account, new.public, proof(pat.account))
    with pytest.raises(Refused, match="proof of possession"):
        open_recovery(ledger, operator, ida.account, new.public, proof(pat.account))
    assert ledger.row(Key, new.id) is None


def test_a_password_revokes_on_either_engine(fixture: LedgerFixture) -> None:
    """As the log and its views have it."""
    ida, ledger, new = alone(fixture), fixture.ledger, new_key()
    factors.set_password(ledger, ida.caller, PASSWORD, Proof(), HERE)
    proof = new.sign(possession_message(ledger.origin, ida.account, new.id))
    key = open_recovery(ledger, fixture.operator.caller, ida.account, new.public, proof).key
    with pytest.raises(WrongProof):
        revoke_recovery(ledger, ida.account, Proof(f"{PASSWORD}!"), HERE)
    revoke_recovery(ledger, ida.account, Proof(PASSWORD), HERE)
    row = ledger.row(Key, key)
    assert row is not None and not row.active
    fixture.verify()


@dataclass
class Robbed:
    """Somebody with a password, codes and an address, for whom the operator opens recoveries; time can pass."""

    fixture: LedgerFixture
    clock: Later
    actor: Actor
    seed: str = ""
    recovery: tuple[str, ...] = ()

    @classmethod
    def of(cls, fixture: LedgerFixture) -> "Robbed":
        """Registered alone, with codes set up and an address proved."""
        clock = reopened(fixture)
        found, ledger = cls(fixture, clock, alone(fixture)), fixture.ledger
        caller = found.actor.caller
        factors.set_password(ledger, caller, PASSWORD, Proof(), HERE)
        found.seed = factors.begin_code(ledger, caller).seed
        proof = Proof(PASSWORD, found.code())
        found.recovery = factors.confirm_code(ledger, caller, proof, HERE)
        clock.ahead += 30_000
        reach(fixture, found.actor, ADDRESS)
        send(fixture)
        return found

    def code(self) -> str:
        """The code of the step now."""
        return pyotp.TOTP(self.seed).at(self.clock() // 1_000)

    def opens(self) -> str:
        """The operator opens a recovery; its key."""
        ledger, new, account = self.fixture.ledger, new_key(), self.actor.account
        proof = new.sign(possession_message(ledger.origin, account, new.id))
        return open_recovery(ledger, self.fixture.operator.caller, account, new.public, proof).key

    def stops(self, who: str = "", **shown: str) -> int:
        """Revoke what waits, by what is shown."""
        proof = Proof(**shown)
        return revoke_recovery(self.fixture.ledger, who or self.actor.account, proof, HERE)

    def active(self, key: str) -> bool:
        """Whether a key isn't revoked."""
        row = self.fixture.ledger.row(Key, key)
        assert row is not None
        return row.active


@pytest.fixture
def ida(fixture: LedgerFixture) -> Iterator[Robbed]:
    yield Robbed.of(fixture)
    fixture.verify()


@IN_TIME
@pytest.mark.parametrize("means", ["password", "code", "recovery"])
def test_a_factor_revokes_once(ida: Robbed, means: str) -> None:
    """Each by itself, by id or address; it is on record and told. The next recovery goes on, and counts a day later."""
    shown = {"password": PASSWORD, "code": ida.code(), "recovery": ida.recovery[0]}[means]
    first = ida.opens()
    seq = ida.stops(ADDRESS if means == "code" else "", **{means: shown})
    event = ida.fixture.ledger.entry(seq).event
    assert (event.type.name, event.body["means"], event.role) == (
        "recovery.revoked",
        means,
        "service",
    )
    assert not ida.active(first) and ida.active(ida.actor.key.id)
    send(ida.fixture)
    words = "was revoked by your password or a code"
    assert sum(words in mail for mail in mails_to(ida.fixture, ADDRESS)) == 1
    second = ida.opens()
    others = {"password": PASSWORD, "recovery": ida.recovery[1]}
    for name, value in others.items():
        with pytest.raises(WrongProof):
            ida.stops(**{name: value})
    assert ida.active(second)
    ida.clock.ahead += RECOVERY_WAIT_MS
    third = ida.opens()
    ida.stops(password=PASSWORD)
    assert (ida.active(second), ida.active(third)) == (True, False)


@IN_TIME
def test_what_revokes_no_recovery(ida: Robbed) -> None:
    """Nothing that waits, a wrong or used factor, two at once, nobody: the same answer, and nothing is appended."""
    with pytest.raises(WrongProof):
        ida.stops(password=PASSWORD)
    key, ledger = ida.opens(), ida.fixture.ledger
    size = ledger.head().size
    wrong = ({"password": f"{PASSWORD}!"}, {"code": "000000"}, {"recovery": "0000-0000-0000-0000"})
    for shown in wrong:
        ida.clock.ahead += 3_600_000  # a failure is forgiven
        with pytest.raises(WrongProof):
            ida.stops(**shown)
    with pytest.raises(WrongProof):
        ida.stops("nobody@example.com", password=PASSWORD)
    for both in ({}, {"password": PASSWORD, "code": ida.code()}):
        with pytest.raises(RecordsError, match="one of these"):
            ida.stops(**both)
    assert ledger.head().size == size and ida.active(key)


@IN_TIME
def test_a_code_that_signed_in_revokes_nothing(ida: Robbed) -> None:
    """And one that revoked signs nobody in."""
    key, code, ledger = ida.opens(), ida.code(), ida.fixture.ledger
    wanted = SignIn(ida.actor.account, Proof(PASSWORD, code), "person")
    signing_in.sign_in_by_password(ledger, wanted, HERE)
    with pytest.raises(WrongProof):
        ida.stops(code=code)
    assert ida.active(key)
    ida.clock.ahead += 30_000
    code = ida.code()
    ida.stops(code=code)
    with pytest.raises(NotSignedIn):
        signing_in.sign_in_by_password(ledger, replace(wanted, proof=Proof(PASSWORD, code)), HERE)


@IN_TIME
def test_one_factor_wipes_out_no_failures_at_the_other(ida: Robbed) -> None:
    """A thief with the phone guesses no more passwords for it, whatever waits: each try counts, a right one, too."""
    wanted, ledger = (
        SignIn(ida.actor.account, Proof("guess after guess"), "person"),
        ida.fixture.ledger,
    )
    with ida.clock.stopped():
        for _ in range(ACCOUNT_FREE):
            with pytest.raises(NotSignedIn):
                signing_in.sign_in_by_password(ledger, wanted, HERE)
        ida.opens()
        ida.stops(code=ida.code())
        with pytest.raises(Throttled):
            signing_in.sign_in_by_password(ledger, wanted, HERE)
        with pytest.raises(Throttled):
            ida.stops(password=PASSWORD)


@IN_TIME
def test_a_key_that_the_service_keeps_is_destroyed(ida: Robbed) -> None:
    """A recovery that its owner asks for in a session waits as well; revoked, its private key is gone."""
    ledger, actor = ida.fixture.ledger, ida.actor
    registering.revoke_key(LocalClient(ledger), actor, actor.account, actor.key.id)
    ida.clock.ahead += RECOVERY_WAIT_MS
    wanted = SignIn(actor.account, Proof(PASSWORD, ida.code()), "person")
    session = signing_in.sign_in_by_password(ledger, wanted, HERE)
    ida.clock.ahead += 30_000
    session = signing_in.step_up(
        ledger, session.caller, session.token, Proof(code=ida.code()), HERE
    )
    made = keep_key(ledger, session.caller, recovery=True)
    assert [one.key for one in ledger.credentials.kept_keys.of(actor.account)] == [made.key]
    ida.stops(password=PASSWORD)
    assert not ida.active(made.key)
    assert ledger.credentials.kept_keys.of(actor.account) == []
    wanted = replace(wanted, proof=Proof(PASSWORD, recovery=ida.recovery[0]))
    signing_in.sign_in_by_password(ledger, wanted, HERE)


@IN_TIME
def test_over_http_and_by_command(ida: Robbed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same from afar, without a session."""
    settings, account = ida.fixture.settings, ida.actor.account

    def types(line: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{line}\n"))

    with in_process(ida.fixture.ledger) as web:
        path, first = "/v1/recovery-revocations", ida.opens()
        for shown in ({}, {"password": PASSWORD, "code": "123456"}):
            assert kind_of(web.post(path, {"account": account, **shown})) == "malformed"
        assert kind_of(web.post(path, {"account": account, "password": "wrong one"})) == "proof"
        assert good(web.post(path, {"account": account, "password": PASSWORD}))["seq"] > 0
        assert not ida.active(first)
        second = ida.opens()
        types(PASSWORD)
        done = heartwood(settings, "account", "revoke-recovery", account, "--url", web.url)
        assert done.code == 1 and "once" in done.err
        ida.clock.ahead += RECOVERY_WAIT_MS
        third = ida.opens()
        types(ida.code())
        done = heartwood(
            settings, "account", "revoke-recovery", ADDRESS, "--code", "--url", web.url
        )
        assert done.code == 0 and "never count" in done.out, done.err
    assert (ida.active(second), ida.active(third)) == (True, False)
