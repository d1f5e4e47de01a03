"""A forgotten password: replaced by a link and the second factor together, once, and nobody learns who is there."""

import io
import re
import threading
from collections.abc import Iterator

import pyotp
import pytest

from api.operator.restoring import accept_restore
from identity import factors, own, sessions, signing_in
from identity.actors import Caller
from identity.errors import BadPassword, FactorConflict, NotSignedIn, Throttled, WrongProof
from identity.proving import Proof
from identity.signing_in import SignIn
from identity.throttles import ACCOUNT_FREE
from journeys.errors import OverQuota
from people.contacts import give_contact, prove_contact, remove_contact
from people.resetting import RESETS_A_PAIR, RESETS_AN_ADDRESS, ask_reset, mail_reset, reset_password
from storage.ledger import Ledger
from storage.resets import (
    RESET_LINK_MS,
    RESET_PACE_MS,
    RESETS_DAY_MS,
    RESETS_MAILED_A_DAY,
    Resets,
)
from storage.sql.passkeys import Passkey
from tests.support.commands import heartwood
from tests.support.inbox import code_for, everywhere, inbox, mails_to, reach, rows, send, told
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import Web, in_process, kind_of
from tests.support.sign_ins import PASSWORD

HERE = "192.0.2.1"
NEW = "another staple of a horse"
ADDRESS = "pat@example.com"


class Owner:
    """Somebody with a password, one-time codes and an address."""

    def __init__(self, fixture: LedgerFixture, address: str = ADDRESS, codes: bool = True) -> None:
        self.fixture, self.address = fixture, address
        self.actor = fixture.person().actor
        self.caller = self.actor.in_role("person").caller
        self.account = self.caller.account
        factors.set_password(fixture.ledger, self.caller, PASSWORD, Proof(), HERE)
        self.recovery = self._enrol() if codes else ()
        if address:
            reach(fixture, self.actor, address)

    def _enrol(self) -> tuple[str, ...]:
        ledger = self.fixture.ledger
        self.seed = factors.begin_code(ledger, self.caller).seed
        # The code of the step before: the present one is for the test.
        code = pyotp.TOTP(self.seed).at(ledger.clock() // 1_000 - 30)
        return factors.confirm_code(ledger, self.caller, Proof(PASSWORD, code), HERE)

    def code(self) -> str:
        return pyotp.TOTP(self.seed).at(self.fixture.ledger.clock() // 1_000)

    def link(self, who: str = "") -> str:
        """A fresh link, as it came by mail."""
        mail_reset(self.fixture.ledger, who or self.address)
        send(self.fixture)
        newest = next(one for one in rows(self.fixture, "password_reset"))
        found = re.search(rb"\b[A-Z2-7]{26}\b", inbox(self.fixture).read(newest.id))
        assert found is not None
        return found[0].decode()

    def reset(self, link: str, new: str = NEW, **proof: str) -> None:
        reset_password(self.fixture.ledger, link, new, Proof(**proof), HERE)

    def sign_in(self, password: str, **proof: str) -> Caller:
        wanted = SignIn(self.account, Proof(password, **proof), "person")
        ledger = self.fixture.ledger
        session = signing_in.sign_in_by_password(ledger, wanted, HERE)
        return sessions.caller_of(ledger, ledger.tokens, session.token)


def rows_of_tokens(ledger: Ledger) -> int:
    """How many rows there are of what passes: sessions by key, counts of asked resets."""
    with ledger.tokens._file.using() as connection:
        count: int = connection.execute("SELECT count(*) FROM passing").fetchone()[0]
    return count


def later(fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch, by: int) -> None:
    clock = fixture.ledger.clock
    monkeypatch.setattr(fixture.ledger, "clock", lambda: clock() + by)


def test_a_password_is_replaced(fixture: LedgerFixture) -> None:
    """By link and code: sessions by password end, it is on record, and told; the old password and the link are worth nothing."""
    pat, ledger = Owner(fixture), fixture.ledger
    before = pat.sign_in(PASSWORD, recovery=pat.recovery[0])
    link = pat.link()
    pat.reset(f" {link.lower()}\n", recovery=pat.recovery[1])
    assert own.sessions_of(ledger, before) == ()
    with pytest.raises(NotSignedIn):
        pat.sign_in(PASSWORD, recovery=pat.recovery[2])
    pat.sign_in(NEW, recovery=pat.recovery[3])
    types = [one.type for one in own.sign_ins_of(ledger, pat.caller)]
    assert types[:5] == [
        "session.opened", "recovery.used", "session.ended", "factor.added", "recovery.used",
    ]  # fmt: skip
    assert len(told(fixture, "password_changed")) == 1
    send(fixture)
    assert any("another password was set" in one for one in mails_to(fixture, ADDRESS))
    with pytest.raises(WrongProof):
        pat.reset(link, "yet another password", code=pat.code())
    fixture.verify()


def test_passkeys_go_with_it(fixture: LedgerFixture) -> None:
    """Whoever knew the old password may have added one."""
    pat, ledger = Owner(fixture), fixture.ledger
    row = Passkey(b"id", pat.account, b"public", 0, ledger.clock(), ledger.clock(), 0)
    with ledger.database.write() as connection:
        assert ledger.credentials.add_passkey(connection, row)
    pat.reset(pat.link(), code=pat.code())
    assert ledger.credentials.passkeys.of(pat.account) == []
    removed = {"account": pat.account, "factor": "passkey"}
    assert removed in [one.body for one in own.sign_ins_of(ledger, pat.caller)]


def test_by_a_code(fixture: LedgerFixture) -> None:
    pat = Owner(fixture)
    pat.reset(pat.link(pat.account), code=pat.code())
    pat.sign_in(NEW, recovery=pat.recovery[0])


@pytest.mark.parametrize("wrong", ["code", "recovery", "none", "link", "empty", "other"])
def test_neither_is_enough(fixture: LedgerFixture, wrong: str) -> None:
    """One answer to all of it; and the link counts still, for who then shows the right code."""
    pat = Owner(fixture)
    link = pat.link()
    other = Owner(fixture, "kim@example.com") if wrong == "other" else pat
    proof: dict[str, str] = {
        "code": {"code": "000000"},
        "recovery": {"recovery": "0000-0000-0000-0000"},
        "none": {},
        "other": {"recovery": other.recovery[0]},
    }.get(wrong, {"recovery": pat.recovery[0]})
    shown = {"link": "A" * 26, "empty": ""}.get(wrong, link)
    with pytest.raises(WrongProof, match="the link, the code or the recovery code is wrong"):
        pat.reset(shown, **proof)
    pat.sign_in(PASSWORD, recovery=pat.recovery[1])
    with pytest.raises(BadPassword):
        pat.reset(link, "short", recovery=pat.recovery[2])
    pat.reset(link, recovery=pat.recovery[2])
    pat.sign_in(NEW, recovery=pat.recovery[3])


def test_guesses_wait(fixture: LedgerFixture) -> None:
    """Of the code with a right link, and of links."""
    pat = Owner(fixture)
    link = pat.link()

    def until_throttled(shown: Iterator[str]) -> bool:
        for one, _ in zip(shown, range(60), strict=False):
            try:
                pat.reset(one, code="000000")
            except Throttled:
                return True
            except WrongProof:
                continue
        return False

    assert until_throttled(iter([link] * 60))
    assert until_throttled(f"{number:026}" for number in range(60))


def test_guesses_with_link_after_link_wait(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads the mailbox gets no fresh tries with each link, nor with another spelling of one."""
    pat, tries = Owner(fixture), 0
    later(fixture, monkeypatch, 0)
    clock, ahead = fixture.ledger.clock, [0]
    monkeypatch.setattr(fixture.ledger, "clock", lambda: clock() + ahead[0])
    for number in range(4):
        link = pat.link()
        for spelled in (link, link.lower(), f" {link} ", link.replace("I", "\u0131")):
            for _ in range(3):
                try:
                    reset_password(
                        fixture.ledger, spelled, NEW, Proof(code="000000"), f"192.0.2.{number}"
                    )
                except Throttled:
                    continue
                except WrongProof:
                    tries += 1
        ahead[0] += RESET_PACE_MS + 1_000
    assert tries <= 4 * (ACCOUNT_FREE + 1)
    assert tries < 4 * 12 - 16


@pytest.mark.parametrize("how", ["late", "password", "removed", "replaced", "restored"])
def test_a_link_dies(
    fixture: LedgerFixture, tmp_path: object, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """With its time, with what it was mailed for, and with where it was mailed to."""
    pat, ledger = Owner(fixture), fixture.ledger
    give_contact(ledger, pat.caller, "second@example.com", "en")
    send(fixture)
    proof, link = code_for(fixture, pat.account), pat.link()
    if how == "late":
        later(fixture, monkeypatch, RESET_LINK_MS)
    elif how == "password":
        shown = Proof(PASSWORD, recovery=pat.recovery[0])
        factors.set_password(ledger, pat.caller, "a password of the owner", shown, HERE)
    elif how == "removed":
        remove_contact(ledger, pat.caller)
    elif how == "replaced":
        prove_contact(ledger, proof)
    else:
        accept_restore(ledger, fixture.operator, fixture.settings.data / "other-checkpoint")
    with pytest.raises(WrongProof):
        pat.reset(link, recovery=pat.recovery[1])


def test_a_link_that_comes_too_late_is_not_sent(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    Owner(fixture)
    mail_reset(fixture.ledger, ADDRESS)
    later(fixture, monkeypatch, RESET_LINK_MS + 1_000)
    done = send(fixture)
    assert (done.sent, done.unreachable) == (0, 1)


def test_a_link_counts_once_at_once(fixture: LedgerFixture) -> None:
    """Two with the same link and two good codes, in two processes: one wins."""
    pat = Owner(fixture)
    link, other = pat.link(), opened(fixture.settings)
    begin, answers = threading.Barrier(2), list[str]()

    def reset(ledger: Ledger, number: int) -> None:
        begin.wait()
        try:
            shown = Proof(recovery=pat.recovery[number])
            reset_password(ledger, link, f"{NEW} {number}", shown, HERE)
            answers.append("reset")
        except (WrongProof, FactorConflict):
            answers.append("refused")

    threads = [
        threading.Thread(target=reset, args=(ledger, number))
        for number, ledger in enumerate((fixture.ledger, other))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert sorted(answers) == ["refused", "reset"]


def test_who_comes_second_puts_nothing_on_record(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link was there when it was looked at, and was taken by another one before it was used."""
    pat, ledger = Owner(fixture), fixture.ledger
    link = pat.link()
    with ledger.database.write() as connection:
        assert ledger.resets.take(connection, link)
    monkeypatch.setattr(Resets, "account_of", lambda *_: pat.account)
    with pytest.raises(WrongProof):
        pat.reset(link, recovery=pat.recovery[0])
    assert told(fixture, "password_changed") == []


def test_whom_no_link_goes_to(fixture: LedgerFixture) -> None:
    """Nobody by that name, or nobody who can be reached; of who has no second factor, that a mail alone resets nothing."""
    unreached, weak = Owner(fixture, ""), Owner(fixture, "weak@example.com", codes=False)
    before = len(rows(fixture))
    for who in ("nobody@example.com", unreached.account, "", "ac_0", "x" * 300, "\ud800"):
        mail_reset(fixture.ledger, who)
    assert len(rows(fixture)) == before
    mail_reset(fixture.ledger, weak.account)
    assert told(fixture, "password_reset") == []
    send(fixture)
    mail = mails_to(fixture, "weak@example.com")[0]
    assert "mail alone replaces no password" in mail
    assert not re.search(r"\b[A-Z2-7]{26}\b", mail)
    newest = rows(fixture, "password_no_reset")[0]
    with pytest.raises(WrongProof):
        weak.reset(fixture.ledger.contacts.code(newest.id))


def test_nobody_is_flooded_with_links(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And whoever asks for somebody else leaves them with a link that counts."""
    pat = Owner(fixture)
    for _ in range(3):
        link = pat.link()
    assert len(rows(fixture, "password_reset")) == 1
    later(fixture, monkeypatch, RESET_PACE_MS + 1_000)
    pat.link()
    assert len(rows(fixture, "password_reset")) == 2
    pat.reset(link, recovery=pat.recovery[0])
    ledger = fixture.ledger
    for _ in range(RESETS_A_PAIR):
        ask_reset(ledger, ADDRESS, "192.0.2.7")
    with pytest.raises(OverQuota):
        ask_reset(ledger, f" {ADDRESS.upper()}", "192.0.2.7")
    ask_reset(ledger, ADDRESS, "192.0.2.8")
    for number in range(RESETS_AN_ADDRESS):
        ask_reset(ledger, f"p{number}@example.com", "192.0.2.9")
    kept = rows_of_tokens(ledger)
    for number in range(3):
        with pytest.raises(OverQuota):
            ask_reset(ledger, f"one.more.{number}@example.com", "192.0.2.9")
    assert rows_of_tokens(ledger) == kept
    for number in range(RESETS_AN_ADDRESS + 1):
        ask_reset(
            ledger, f"q{number}@example.com", ""
        )  # an address that isn't known counts for nobody


def test_a_link_alone_replaces_nothing(fixture: LedgerFixture) -> None:
    """Even if one was given to who has no second factor."""
    weak, ledger = Owner(fixture, "weak@example.com", codes=False), fixture.ledger
    kept = ledger.credentials.of(weak.account)
    assert kept is not None
    assert ledger.resets.give(weak.account, kept.version, ledger.clock())
    newest = rows(fixture, "password_reset")[0]
    with pytest.raises(WrongProof):
        weak.reset(ledger.contacts.code(newest.id))
    weak.sign_in(PASSWORD)


@pytest.fixture
def web(fixture: LedgerFixture) -> Iterator[Web]:
    with in_process(fixture.ledger) as serving:
        yield serving


def test_over_http(fixture: LedgerFixture, web: Web) -> None:
    """The same bytes for who is there and who isn't; then the journey to its end."""
    pat = Owner(fixture)
    answers = [
        web.post("/v1/password-resets", {"account": who})
        for who in (ADDRESS, "nobody@example.com", pat.account, "ac_00000000000000000000000000")
    ]
    assert {(one.status_code, one.content) for one in answers} == {(204, b"")}
    assert len({tuple(sorted(one.headers)) for one in answers}) == 1
    link = pat.link()
    assert len(rows(fixture, "password_reset")) == 1
    sent = {"link": link, "new": NEW, "recovery": pat.recovery[0]}
    wrong = web.post("/v1/password-resets/completion", sent | {"link": "A" * 26})
    assert kind_of(wrong) == "proof"
    done = web.post("/v1/password-resets/completion", sent)
    assert (done.status_code, done.content) == (204, b"")
    again = web.post("/v1/password-resets/completion", sent)
    assert kind_of(again) == "proof"
    assert wrong.json()["detail"] == again.json()["detail"]
    pat.sign_in(NEW, recovery=pat.recovery[1])


def test_links_stand_nowhere_in_clear(fixture: LedgerFixture) -> None:
    """Neither before nor after they were sent or used; nor does the new password."""
    pat = Owner(fixture)
    link = pat.link()
    assert not everywhere(fixture, link, link.lower())
    pat.reset(link, recovery=pat.recovery[0])
    assert not everywhere(fixture, link, NEW)


def test_by_command(fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the data and from afar; nothing tells whether there is such an account."""
    pat = Owner(fixture)
    with in_process(fixture.ledger) as web:
        said = [
            heartwood(fixture.settings, "account", "reset", who, "--url", web.url).out
            for who in (ADDRESS, "nobody@example.com")
        ]
        assert said[0] == said[1] != ""
        link = pat.link()
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{pat.recovery[0]}\n{NEW}\n"))
        done = heartwood(
            fixture.settings, "account", "reset", "--link", link, "--recovery", "--url", web.url
        )
        assert "was replaced" in done.out, done.err
    pat.sign_in(NEW, recovery=pat.recovery[1])
    fixture.close()
    assert heartwood(fixture.settings, "account", "reset", ADDRESS).code == 0
    both = heartwood(fixture.settings, "account", "reset", ADDRESS, "--link", link)
    assert both.code == 2
    assert "give your account, or --link" in both.err


def test_only_so_many_mails_go_to_one_account_a_day(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many ask, from wherever; a day later there are mails again."""
    pat, ledger = Owner(fixture, codes=False), fixture.ledger
    clock, ahead = ledger.clock, [0]
    monkeypatch.setattr(ledger, "clock", lambda: clock() + ahead[0])
    for _ in range(RESETS_MAILED_A_DAY + 3):
        mail_reset(ledger, ADDRESS)
        ahead[0] += RESET_LINK_MS
    assert len(rows(fixture, "password_no_reset")) == RESETS_MAILED_A_DAY
    ahead[0] += RESETS_DAY_MS
    mail_reset(ledger, pat.account)
    assert len(rows(fixture, "password_no_reset")) == RESETS_MAILED_A_DAY + 1
