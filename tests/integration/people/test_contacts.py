"""How people are reached: an address counts once it is proved, is one account's, and stands nowhere in clear."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import pyotp
import pytest

from api.operator.restoring import accept_restore
from client import authoring, registering
from client.local import LocalClient
from crypto.errors import FormError
from identity import factors
from identity.actors import SignedIn, new_id
from identity.errors import KeyNeeded, StepUpNeeded
from identity.proving import Proof
from journeys.errors import NotThere, OverQuota, RecordsError
from people.contacts import contact_of, give_contact, prove_contact, remove_contact
from records.uploads import Upload
from storage.clock import wall_clock
from storage.contacts import (
    PROOF_MS,
    PROOF_PACE_MS,
    PROOFS_A_PAIR,
    PROOFS_AN_ACCOUNT,
    PROOFS_AN_ADDRESS,
)
from storage.ledger import Ledger
from tests.support.inbox import code_for, everywhere, inbox, mails_to, reach, send, told
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture, Person
from tests.support.sign_ins import PASSWORD


def later(fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch, by: int) -> None:
    """Let the ledger's clock, as what isn't an append asks it, be `by` ms ahead."""
    monkeypatch.setattr(fixture.ledger, "clock", lambda: wall_clock() + by)


def test_an_address_counts_once_it_is_proved(fixture: LedgerFixture) -> None:
    pat = fixture.person()
    who, ledger = pat.actor.caller, fixture.ledger
    shown = give_contact(ledger, who, "Pat@Example.com", "de")
    assert (shown.address, shown.pending) == ("", "Pat@Example.com")
    fixture.record(pat)
    assert send(fixture).sent == 1, "the code alone goes to an address that isn't proved"
    (mail,) = mails_to(fixture, "Pat@Example.com")
    code = code_for(fixture, pat.actor.account)
    assert code in mail
    prove_contact(ledger, f" {code.lower()}\n")
    shown = contact_of(ledger, who)
    assert (shown.address, shown.language, shown.pending) == ("Pat@Example.com", "de", "")
    assert shown.proved
    with pytest.raises(NotThere, match="unknown, was used or has expired"):
        prove_contact(ledger, code)
    fixture.reopen()
    assert contact_of(fixture.ledger, who) == shown


@pytest.mark.parametrize(
    "code", ["", "A", "A" * 26, "a-b", "é" * 26, "A" * 64, "=" * 26, "\0" * 26]
)
def test_codes_that_are_none(fixture: LedgerFixture, code: str) -> None:
    give_contact(fixture.ledger, fixture.person().actor.caller, "pat@example.com", "en")
    with pytest.raises(NotThere):
        prove_contact(fixture.ledger, code)


def test_a_code_counts_for_a_day(fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    pat = fixture.person()
    give_contact(fixture.ledger, pat.actor.caller, "pat@example.com", "en")
    send(fixture)
    code = code_for(fixture, pat.actor.account)
    later(fixture, monkeypatch, PROOF_MS + 1)
    assert contact_of(fixture.ledger, pat.actor.caller).pending == ""
    with pytest.raises(NotThere):
        prove_contact(fixture.ledger, code)
    give_contact(fixture.ledger, pat.actor.caller, "pat@example.com", "en")
    later(fixture, monkeypatch, 3 * PROOF_MS)
    done = send(fixture)
    assert (done.sent, done.unreachable) == (0, 1), "a code that counts no more isn't sent"
    monkeypatch.undo()


def test_a_new_address_takes_the_place_of_the_last(fixture: LedgerFixture) -> None:
    """The code of the one before counts no more; the proved one stays until the new one is proved, and is told then."""
    pat = fixture.person()
    who, ledger, account = pat.actor.caller, fixture.ledger, pat.actor.account
    give_contact(ledger, who, "wrong@example.com", "en")
    send(fixture)
    old = code_for(fixture, account)
    reach(fixture, pat.actor, "first@example.com")
    with pytest.raises(NotThere):
        prove_contact(ledger, old)
    give_contact(ledger, who, "second@example.com", "de")
    shown = contact_of(ledger, who)
    assert (shown.address, shown.pending) == ("first@example.com", "second@example.com")
    fixture.record(pat)
    send(fixture)
    assert any("wrote to your record" in mail for mail in mails_to(fixture, "first@example.com"))
    assert len(mails_to(fixture, "second@example.com")) == 1
    prove_contact(ledger, code_for(fixture, account))
    send(fixture)
    assert "Another e-mail address was proved" in mails_to(fixture, "first@example.com")[0]
    assert contact_of(ledger, who).address == "second@example.com"
    remove_contact(ledger, who)
    send(fixture)
    assert any("entfernt" in mail for mail in mails_to(fixture, "second@example.com"))
    assert contact_of(ledger, who).address == ""
    before = len(inbox(fixture).names())
    _another_hospital(fixture, pat)
    send(fixture)
    assert len(inbox(fixture).names()) == before


def _another_hospital(fixture: LedgerFixture, pat: Person) -> None:
    one = Upload(pat.patient, "document", "text/plain", [b"x"])
    authoring.upload(LocalClient(fixture.ledger), fixture.south.system, one)
    assert told(fixture, "hospital_wrote")


def test_an_address_is_one_accounts(fixture: LedgerFixture) -> None:
    """Another one that gives it sees the very same, and gets no code; its owner is told."""
    pat, kim = fixture.person(), fixture.person()
    reach(fixture, pat.actor, "pat@example.com")
    free = give_contact(fixture.ledger, kim.actor.caller, "free@example.com", "en")
    taken = give_contact(fixture.ledger, kim.actor.caller, "PAT@example.COM", "en")
    assert (taken.address, taken.pending) == ("", "PAT@example.COM")
    assert {**vars(free), "pending": "", "pending_until": ""} == {
        **vars(taken), "pending": "", "pending_until": ""
    }  # fmt: skip
    send(fixture)
    (mail,) = mails_to(fixture, "PAT@example.COM")
    assert "for another account than yours" in mail
    assert "counts once" not in mail
    assert contact_of(fixture.ledger, pat.actor.caller).address == "pat@example.com"


def test_of_two_that_wait_the_first_proved_wins(fixture: LedgerFixture) -> None:
    """The other gets the answer of every code that is none. At once from two processes: one wins."""
    people = [fixture.person().actor for _ in range(2)]
    for one in people:
        give_contact(fixture.ledger, one.caller, "both@example.com", "en")
    send(fixture)
    codes = [code_for(fixture, one.account) for one in people]
    other = opened(fixture.settings)
    begin, answers = threading.Barrier(2), list[str]()

    def prove(ledger: Ledger, code: str) -> None:
        begin.wait()
        try:
            prove_contact(ledger, code)
            answers.append("proved")
        except NotThere as error:
            answers.append(str(error))

    threads = [
        threading.Thread(target=prove, args=(ledger, code))
        for ledger, code in zip((fixture.ledger, other), codes, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert sorted(answers) == [
        "proved",
        "the code is unknown, was used or has expired: give the address again",
    ]
    reached = [contact_of(fixture.ledger, one.caller).address for one in people]
    assert sorted(reached) == ["", "both@example.com"]


def test_one_account_floods_nobody(fixture: LedgerFixture) -> None:
    """Neither many addresses nor a single one, whether somebody has it or not."""
    pat, kim = fixture.person().actor.caller, fixture.person().actor
    reach(fixture, kim, "kim@example.com")
    for address in ("kim@example.com", "free@example.com"):
        fixture.ledger.outbox.forget()
        for _ in range(PROOFS_A_PAIR):
            give_contact(fixture.ledger, pat, address, "en")
        with pytest.raises(OverQuota, match="3 times"):
            give_contact(fixture.ledger, pat, address, "en")
    fixture.ledger.outbox.forget()
    for number in range(PROOFS_AN_ACCOUNT):
        give_contact(fixture.ledger, pat, f"a{number}@example.com", "en")
    with pytest.raises(OverQuota, match="5 addresses"):
        give_contact(fixture.ledger, pat, "one.more@example.com", "en")


def test_strangers_delay_a_code_and_never_use_it_up(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond so many codes a day an address gets one each so often: all of them come, and each counts its whole day."""
    people = [fixture.person().actor for _ in range(PROOFS_AN_ADDRESS + 2)]
    for one in people:
        give_contact(fixture.ledger, one.caller, "all@example.com", "en")
    send(fixture)
    assert len(mails_to(fixture, "all@example.com")) == PROOFS_AN_ADDRESS
    for number in (1, 2):
        later(fixture, monkeypatch, number * PROOF_PACE_MS + 1_000)
        send(fixture)
        assert len(mails_to(fixture, "all@example.com")) == PROOFS_AN_ADDRESS + number
    later(fixture, monkeypatch, PROOF_MS + PROOF_PACE_MS)
    prove_contact(fixture.ledger, code_for(fixture, people[-1].account))
    assert contact_of(fixture.ledger, people[-1].caller).address == "all@example.com"


def test_the_owner_of_an_address_is_told_once_a_day(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many give it; and when their codes would end doesn't tell that somebody has it."""
    reach(fixture, fixture.person().actor, "pat@example.com")
    strangers = [fixture.person().actor for _ in range(PROOFS_AN_ADDRESS + 2)]
    now = wall_clock()
    monkeypatch.setattr(fixture.ledger, "clock", lambda: now)
    before = len(mails_to(fixture, "pat@example.com"))
    fixture.ledger.outbox.forget()
    answers = [
        [give_contact(fixture.ledger, one.caller, address, "en").pending_until for one in strangers]
        for address in ("pat@example.com", "free@example.com")
    ]
    assert answers[0] == answers[1]
    send(fixture)
    assert len(mails_to(fixture, "pat@example.com")) == before + 1


def test_an_address_changes_for_whoever_shows_enough(fixture: LedgerFixture) -> None:
    """A session by key, or one by password that was just stepped up; the first address of who has no second factor, too."""
    pat, ledger = fixture.person().actor, fixture.ledger
    key = pat.in_role("person").caller
    password, stepped = (
        replace(key, key=None, session=SignedIn(new_id("ss", 0), sure)) for sure in (2, 3)
    )
    assert give_contact(ledger, password, "first@example.com", "en").pending
    send(fixture)
    prove_contact(ledger, code_for(fixture, pat.account))
    for act in (
        lambda who: give_contact(ledger, who, "second@example.com", "en"),
        lambda who: give_contact(ledger, who, "first@example.com", "de"),
        lambda who: remove_contact(ledger, who),
    ):
        with pytest.raises(StepUpNeeded):
            act(password)
    shown = contact_of(ledger, key)
    assert (shown.address, shown.language, shown.pending) == ("first@example.com", "en", "")
    assert give_contact(ledger, stepped, "second@example.com", "en").pending
    remove_contact(ledger, stepped)
    assert contact_of(ledger, key).address == ""
    kim = fixture.person().actor.in_role("person").caller
    factors.set_password(ledger, kim, PASSWORD, Proof(), "here")
    seed = factors.begin_code(ledger, kim).seed
    code = pyotp.TOTP(seed).at(ledger.clock() // 1_000)
    factors.confirm_code(ledger, kim, Proof(PASSWORD, code), "here")
    with pytest.raises(StepUpNeeded):
        give_contact(ledger, replace(password, account=kim.account), "kim@example.com", "en")


def test_a_key_that_is_none_changes_no_address(fixture: LedgerFixture) -> None:
    """Beside the data there is no session: the key of a key file is looked at itself."""
    pat, kim = fixture.person().actor, fixture.person().actor
    with pytest.raises(KeyNeeded):
        give_contact(fixture.ledger, replace(pat.caller, key=kim.key.id), "eve@example.com", "en")
    client = LocalClient(fixture.ledger)
    registering.revoke_key(client, fixture.north.admin, pat.account, pat.key.id)
    with pytest.raises(KeyNeeded):
        give_contact(fixture.ledger, pat.caller, "eve@example.com", "en")
    with pytest.raises(KeyNeeded):
        remove_contact(fixture.ledger, pat.caller)


@pytest.mark.parametrize("how", ["password", "code", "key", "restore"])
def test_a_proof_dies_with_what_gave_it(fixture: LedgerFixture, tmp_path: Path, how: str) -> None:
    """Whoever was shut out by a change of factors doesn't come back by a code that was under way."""
    pat, ledger = fixture.person().actor, fixture.ledger
    who = pat.in_role("person").caller
    factors.set_password(ledger, who, PASSWORD, Proof(), "here")
    give_contact(ledger, who, "eve@example.com", "en")
    send(fixture)
    code = code_for(fixture, pat.account)
    if how == "password":
        factors.set_password(ledger, who, "another good password", Proof(PASSWORD), "here")
    elif how == "code":
        seed = factors.begin_code(ledger, who).seed
        shown = pyotp.TOTP(seed).at(ledger.clock() // 1_000)
        factors.confirm_code(ledger, who, Proof(PASSWORD, shown), "here")
    elif how == "key":
        registering.revoke_key(LocalClient(ledger), fixture.north.admin, pat.account, pat.key.id)
    else:
        accept_restore(ledger, fixture.operator, tmp_path / "checkpoint")
    with pytest.raises(NotThere):
        prove_contact(ledger, code)


@pytest.mark.parametrize(
    "address",
    [
        "", "pat", "pat@", "@example.com", "pat@example", "pat@example.com\n", "pat@example.com\r\nBcc: eve@example.com",
        "pat@example.com, eve@example.com", "Pat <pat@example.com>", '"pat"@example.com', "pat @example.com", "pat..x@example.com",
        ".pat@example.com", "pat@-example.com", "pat@example..com", "pat@[127.0.0.1]", "pät@example.com", "pat@exämple.com",
        "pat@example.com\0", "a" * 65 + "@example.com", "a@" + "b." * 130 + "com", "pat@example.com\u2028", "pat\t@example.com",
        "pat@example.com>", "pat@example.com RCPT TO:<eve@example.com>", "=?utf-8?q?pat?=@example.com\r\n x",
        "=?utf-8?q?pat=40example.org=2C?=@example.com", "a=?b@example.com", "?==?x@example.com",
    ],
)  # fmt: skip
def test_what_is_no_address(fixture: LedgerFixture, address: str) -> None:
    """And what it was isn't repeated, as an error may land in a log."""
    who = fixture.person().actor.caller
    with pytest.raises(FormError) as refused:
        give_contact(fixture.ledger, who, address, "en")
    assert len(address) < 4 or address not in str(refused.value)
    assert contact_of(fixture.ledger, who).pending == ""


def test_a_language_has_texts(fixture: LedgerFixture) -> None:
    with pytest.raises(RecordsError, match="expected one of de, en"):
        give_contact(fixture.ledger, fixture.person().actor.caller, "pat@example.com", "fr")


def test_addresses_and_codes_stand_nowhere_in_clear(fixture: LedgerFixture) -> None:
    """Not in the database's files, its write-ahead log, the log or its export; what was sent lies in the mail folder alone."""
    pat = fixture.person()
    planted = "planted.address.4711@example.com"
    give_contact(fixture.ledger, pat.actor.caller, planted, "en")
    send(fixture)
    code = code_for(fixture, pat.actor.account)
    assert not everywhere(fixture, planted, code)
    prove_contact(fixture.ledger, code)
    fixture.record(pat)
    assert not everywhere(fixture, planted, code)
    send(fixture)
    remove_contact(fixture.ledger, pat.actor.caller)
    send(fixture)
    assert not everywhere(fixture, planted, code)


def test_the_mail_folder_is_its_owners_alone(fixture: LedgerFixture) -> None:
    give_contact(fixture.ledger, fixture.person().actor.caller, "pat@example.com", "en")
    old = os.umask(0)
    try:
        send(fixture)
    finally:
        os.umask(old)
    folder = inbox(fixture).folder
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600]
