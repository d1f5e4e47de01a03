"""Being told: which act tells whom, in the transaction of the act, once."""

import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyotp
import pytest

from api.operator.restoring import accept_restore
from client import authoring, beside, claiming, registering
from client.local import LocalClient
from client.registering import NewPatient
from crypto.signing import SigningKey
from identity import factors
from identity.actors import Actor, new_id, new_key
from identity.errors import NotSignedIn
from identity.onrecord import Act, put_on_record
from identity.proving import Proof
from identity.sessions import caller_of
from identity.signing_in import SignIn, sign_in_by_password
from keeper.protocol import Alarm
from ledger.directory import Key
from ledger.errors import Refused
from ledger.messages import possession_message
from ledger.times import DAY_MS, format_time
from people.contacts import give_contact, prove_contact, remove_contact
from people.mailing import Round
from records.uploads import Upload
from storage.alarms import Alarms
from storage.clock import wall_clock
from storage.errors import Unavailable
from storage.maintenance.backup import back_up
from storage.outbox import KEEP_MS
from storage.sql.entries import EntryStore
from storage.sql.views import rebuild
from tests.support.alarms import raise_alarms
from tests.support.inbox import code_for, give, inbox, mails_to, reach, rows, send, told
from tests.support.inside import keeper_of
from tests.support.ledger_fixture import LedgerFixture, Person
from tests.support.sign_ins import PASSWORD

BORN = "1958-03-14"


def _registered_alone(fixture: LedgerFixture) -> Actor:
    """Somebody with an account and no role."""
    client, key = LocalClient(fixture.ledger), new_key()
    account, events = registering.new_account(client, fixture.operator, "Kim", key, "device")
    client.append(fixture.operator, events)
    return Actor(client.origin, account, "person", "", key)


def _chart(fixture: LedgerFixture) -> Person:
    """A chart of the north hospital's, whose account has no key."""
    now = fixture.ledger.clock()
    new = NewPatient(new_id("pt", now), new_id("ac", now), "Pat", None, False, None, born=BORN)
    registering.register_patients(LocalClient(fixture.ledger), fixture.north.system, [new])
    actor = Actor(fixture.ledger.origin, new.account, "patient", "", new_key())
    return Person(new.patient, actor)


def _since(fixture: LedgerFixture, act: Callable[[], object]) -> set[tuple[str, str]]:
    """What an act told whom."""
    before = {one.id for one in rows(fixture)}
    act()
    return {(one.kind, one.account) for one in rows(fixture) if one.id not in before}


def _upload(fixture: LedgerFixture, who: Actor, person: Person) -> None:
    one = Upload(person.patient, "document", "text/plain", [b"x"])
    authoring.upload(LocalClient(fixture.ledger), who, one)


def test_each_act_tells_whom_it_concerns(fixture: LedgerFixture) -> None:
    client, admin = LocalClient(fixture.ledger), fixture.south.admin
    doctor, pat = fixture.doctor(), fixture.person()
    assert ("hospital_approved", fixture.operator.account) in told(fixture)
    assert ("admin_appointed", admin.account) in told(fixture)
    assert ("doctor_approved", doctor.account) in told(fixture)

    def act(who: Actor, kind: str, stream: str, body: dict[str, object]) -> Callable[[], object]:
        return lambda: client.append(who, [who.event(kind, stream, body, client.now())])

    at_south, account = f"hospital/{fixture.south.hospital}", {"account": doctor.account}
    for kind in ("doctor.suspended", "doctor.approved", "doctor.ended"):
        told_now = _since(fixture, act(admin, kind, at_south, dict(account)))
        assert told_now == {(kind.replace(".", "_"), doctor.account)}
    own, another = pat.actor.account, new_key()
    assert ("key_registered", own) not in told(fixture), "the first key is told nobody"
    assert _since(fixture, lambda: _key(fixture, pat.actor, own, another)) == {
        ("key_registered", own)
    }
    assert _since(fixture, lambda: registering.revoke_key(client, pat.actor, own, another.id)) == {
        ("key_revoked", own)
    }
    assert _since(fixture, lambda: _key(fixture, fixture.north.admin, own, new_key(), True)) == {
        ("key_recovered", own)
    }


def test_what_changes_of_sign_ins_is_told(fixture: LedgerFixture) -> None:
    """Factors added, changed, removed, reset; recovery codes used; lock-outs. Sessions are not."""
    pat, ledger = fixture.person(), fixture.ledger
    caller, own = pat.actor.caller, pat.actor.account
    reach(fixture, pat.actor, "pat@example.com")

    def sets(new: str, *proof: str) -> Callable[[], object]:
        return lambda: factors.set_password(ledger, caller, new, Proof(*proof), "")

    def enrols() -> object:
        totp = pyotp.TOTP(factors.begin_code(ledger, caller).seed)
        proof = Proof(PASSWORD, totp.at(ledger.clock() // 1_000))
        recovery.extend(factors.confirm_code(ledger, caller, proof, ""))
        return None

    def signs_in() -> object:
        wanted = SignIn(own, Proof(PASSWORD, recovery=recovery.pop()), "patient")
        return sign_in_by_password(ledger, wanted, "192.0.2.1")

    def removes() -> object:
        factors.remove_code(ledger, caller, Proof(PASSWORD, recovery=recovery.pop()), "")
        return None

    def locks() -> object:
        until = {"until": format_time(ledger.clock() + DAY_MS)}
        put_on_record(ledger, own, [("session.locked", until)])
        return None

    recovery: list[str] = []
    for act, kinds in (
        (sets("another horse"), {"password_set"}), (sets(PASSWORD, "another horse"), {"password_changed"}),
        (enrols, {"codes_added"}), (signs_in, {"recovery_used"}), (removes, {"recovery_used", "codes_removed"}),
        (sets("another horse"), {"factors_reset"}), (locks, {"session_locked"}),
    ):  # fmt: skip
        assert _since(fixture, act) == {(kind, own) for kind in kinds}
    send(fixture)
    mails = mails_to(fixture, "pat@example.com")
    assert sum(f"heartwood key revoke {pat.actor.key.id}" in mail for mail in mails) == 1
    assert not [mail for mail in mails if "horse" in mail]


def _key(
    fixture: LedgerFixture, who: Actor, account: str, key: SigningKey, recovery: bool = False
) -> None:
    client = LocalClient(fixture.ledger)
    proof = key.sign(possession_message(client.origin, account, key.id))
    registering.register_key(client, who, account, "device", key.public, proof, recovery)


def test_a_recovery_says_what_can_be_done_against_it(fixture: LedgerFixture) -> None:
    pat, key = fixture.person(), new_key()
    reach(fixture, pat.actor, "pat@example.com")
    _key(fixture, fixture.north.admin, pat.actor.account, key, recovery=True)
    send(fixture)
    mail = mails_to(fixture, "pat@example.com")[0]
    assert f"heartwood key revoke {key.id}" in mail
    row = fixture.ledger.row(Key, key.id)
    assert row is not None
    counts = time.strftime("%Y-%m-%d, %H:%M UTC", time.gmtime(row.counts_from / 1000))
    assert counts in mail


def test_the_operator_is_told_of_an_alarm(fixture: LedgerFixture) -> None:
    raise_alarms(keeper_of(fixture.ledger), Alarm(7, "signature", "it is not signed", taken=False))
    assert Alarms(fixture.ledger).put() == 1
    assert told(fixture, "alarm_raised") == [("alarm_raised", fixture.operator.account)]


def test_each_hospital_is_told_of_once(fixture: LedgerFixture) -> None:
    """In one batch, in several, after a restart, and after the row itself is gone."""
    pat, kim = fixture.person(), fixture.person()
    reach(fixture, pat.actor, "pat@example.com")
    one = Upload(pat.patient, "document", "text/plain", [b"x"])
    beside.upload(fixture.ledger, fixture.north.system, [one] * 3)
    fixture.record(pat)
    assert told(fixture, "hospital_wrote") == [("hospital_wrote", pat.actor.account)]
    fixture.reopen()
    fixture.record(pat)
    _upload(fixture, pat.actor, pat)
    assert len(told(fixture, "hospital_wrote")) == 1
    _upload(fixture, fixture.doctor(), pat)
    _upload(fixture, fixture.south.system, kim)
    assert len(told(fixture, "hospital_wrote")) == 2, "kim has no address"
    send(fixture)
    (first, second) = mails_to(fixture, "pat@example.com")[:2]
    assert {fixture.north.hospital in first, fixture.north.hospital in second} == {True, False}
    assert fixture.ledger.outbox.remove_old(wall_clock() + KEEP_MS - DAY_MS) == 0
    assert fixture.ledger.outbox.remove_old(wall_clock() + KEEP_MS + DAY_MS) > 0
    assert rows(fixture) == []
    fixture.record(pat)
    assert told(fixture, "hospital_wrote") == []


def test_people_are_written_to_in_their_language(fixture: LedgerFixture) -> None:
    pat, kim = fixture.person(), fixture.person()
    reach(fixture, pat.actor, "pat@example.com", "de")
    reach(fixture, kim.actor, "kim@example.com", "en")
    for person in (pat, kim):
        fixture.record(person)
    assert send(fixture).sent == 2
    german, english = (mails_to(fixture, f"{who}@example.com")[0] for who in ("pat", "kim"))
    assert "Content-Language: de" in german
    assert "in Ihre Akte" in german
    assert "wrote to your record" in english
    reach_again = give_contact(fixture.ledger, pat.actor.caller, "pat@example.com", "en")
    assert (reach_again.language, reach_again.pending) == ("en", "")
    _upload(fixture, fixture.doctor(), pat)
    send(fixture)
    assert "wrote to your record" in mails_to(fixture, "pat@example.com")[0]


def test_who_has_no_address_is_counted_and_holds_nothing_up(fixture: LedgerFixture) -> None:
    """And isn't told of it later, once there is an address."""
    pat = fixture.person()
    before = fixture.ledger.outbox.ended()["unreachable"]
    _key(fixture, pat.actor, pat.actor.account, new_key())
    assert fixture.ledger.outbox.waiting() == (0, 0)
    assert fixture.ledger.outbox.ended()["unreachable"] == before + 1
    reach(fixture, pat.actor, "pat@example.com")
    assert send(fixture) == Round()
    assert len(inbox(fixture).names()) == 1, "the code alone"


def test_what_is_told_once_is_told_where_somebody_is_reached(fixture: LedgerFixture) -> None:
    """Of whom there is no address, nothing is noted: once there is one, the next record of the hospital tells."""
    pat = fixture.person()
    fixture.record(pat)
    assert told(fixture, "hospital_wrote") == []
    reach(fixture, pat.actor, "pat@example.com")
    for _ in range(2):
        fixture.record(pat)
    assert told(fixture, "hospital_wrote") == [("hospital_wrote", pat.actor.account)]


def test_a_chart_that_waits_to_be_claimed_tells_its_claimant(fixture: LedgerFixture) -> None:
    """Not whoever holds the account that the hospital made for it, and nothing counts as told by that."""
    client, north = LocalClient(fixture.ledger), fixture.north
    pat = _chart(fixture)
    give(fixture, pat.actor.account, "made.by.hospital@example.com")
    code = claiming.new_code(pat.patient)
    claiming.offer_claim(client, north.admin, code, BORN)
    fixture.record(pat)
    assert told(fixture, "hospital_wrote") == []
    kim = _registered_alone(fixture)
    reach(fixture, kim, "kim@example.com")
    claiming.claim_chart(client, kim, pat.patient, code.text, BORN)
    fixture.record(pat)
    assert told(fixture, "hospital_wrote") == [("hospital_wrote", kim.account)]


@pytest.mark.parametrize("then", ["removed", "replaced"])
def test_what_waits_goes_where_one_was_reached_when_it_happened(
    fixture: LedgerFixture, then: str
) -> None:
    """Whoever takes an address over, or away, doesn't take the warnings with it."""
    pat = fixture.person()
    who, account = pat.actor.caller, pat.actor.account
    reach(fixture, pat.actor, "first@example.com")
    give_contact(fixture.ledger, who, "second@example.com", "en")
    send(fixture)
    _key(fixture, pat.actor, account, new_key())
    if then == "removed":
        remove_contact(fixture.ledger, who)
    else:
        prove_contact(fixture.ledger, code_for(fixture, account))
    send(fixture)
    first = "".join(mails_to(fixture, "first@example.com"))
    assert "A new key was added" in first
    assert ("was removed" if then == "removed" else "Another e-mail address") in first
    assert len(mails_to(fixture, "second@example.com")) == 1, "its code alone"
    _key(fixture, pat.actor, account, new_key())
    send(fixture)
    assert len(mails_to(fixture, "second@example.com")) == (1 if then == "removed" else 2)


def test_nothing_is_told_of_what_was_refused(fixture: LedgerFixture) -> None:
    """Neither alone, nor with something good in a call that is all or nothing."""
    client, admin = LocalClient(fixture.ledger), fixture.south.admin
    doctor, before = fixture.doctor(), rows(fixture)
    stream = f"hospital/{fixture.south.hospital}"
    good = admin.event("doctor.suspended", stream, {"account": doctor.account}, client.now())
    bad = admin.event(
        "doctor.suspended", stream, {"account": fixture.operator.account}, client.now()
    )
    with pytest.raises(Refused):
        client.append(admin, [bad])
    with pytest.raises(Refused):
        client.append(admin, [good, bad], atomic=True)
    assert rows(fixture) == before


def test_a_batch_that_fails_tells_nothing(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message is there with its entry, or neither is; the next try tells."""
    client, admin, doctor = LocalClient(fixture.ledger), fixture.south.admin, fixture.doctor()
    stream, before = f"hospital/{fixture.south.hospital}", rows(fixture)
    event = admin.event("doctor.suspended", stream, {"account": doctor.account}, client.now())

    def fail(*_: object) -> None:
        raise OSError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(EntryStore, "write_head", fail)
        with pytest.raises(Unavailable, match="planted"):
            client.append(admin, [event])
    assert rows(fixture) == before
    client.append(admin, [event])
    assert len(rows(fixture)) == len(before) + 1


def test_nothing_is_told_twice(fixture: LedgerFixture) -> None:
    """The same event again, the views made anew, and a restart tell nobody anything."""
    client, admin, doctor = LocalClient(fixture.ledger), fixture.south.admin, fixture.doctor()
    reach(fixture, doctor, "doc@example.com")
    stream = f"hospital/{fixture.south.hospital}"
    event = admin.event("doctor.suspended", stream, {"account": doctor.account}, client.now())
    for _ in range(2):
        client.append(admin, [event])
    assert len(told(fixture, "doctor_suspended")) == 1
    send(fixture)
    before = rows(fixture)
    client.append(admin, [event])
    rebuild(fixture.ledger.store, swap=True)
    fixture.reopen()
    client = LocalClient(fixture.ledger)
    client.append(admin, [event])
    assert rows(fixture) == before
    assert send(fixture) == Round()


def test_a_backup_sends_nothing(fixture: LedgerFixture, tmp_path: Path) -> None:
    """It holds no message, but the addresses; and a database that was put back sends none of its own."""
    pat = fixture.person()
    reach(fixture, pat.actor, "pat@example.com")
    fixture.record(pat)
    give_contact(fixture.ledger, pat.actor.caller, "other@example.com", "en")
    assert fixture.ledger.outbox.waiting()[0] == 2
    data = fixture.settings.data
    back_up(fixture.ledger.stores, data / "heartwood.json", tmp_path / "backup", wall_clock())
    (path,) = (tmp_path / "backup").glob("snapshot-*/heartwood.db")
    with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as copy:
        counts = [
            copy.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("outbox", "contact_proofs", "contacts", "addresses", "told_once")
        ]
    assert counts[:2] == [0, 0]
    assert all(counts[2:])
    accept_restore(fixture.ledger, fixture.operator, tmp_path / "checkpoint")
    assert fixture.ledger.outbox.waiting() == (0, 0)


def test_what_was_half_done_does_not_outlive_a_restore(
    fixture: LedgerFixture, tmp_path: Path
) -> None:
    """Sessions that may have been ended since, enrolments, and addresses that wait for their code; what counts stays."""
    pat, ledger = fixture.person(), fixture.ledger
    caller, account = pat.actor.caller, pat.actor.account
    reach(fixture, pat.actor, "pat@example.com")
    give_contact(ledger, caller, "new@example.com", "en")
    send(fixture)
    code = code_for(fixture, account)
    factors.set_password(ledger, caller, PASSWORD, Proof(), "")
    factors.begin_code(ledger, caller)
    wanted = SignIn(account, Proof(PASSWORD), "patient")
    session = sign_in_by_password(ledger, wanted, "192.0.2.1")
    accept_restore(ledger, fixture.operator, tmp_path / "checkpoint")
    with pytest.raises(NotSignedIn):
        caller_of(ledger, ledger.tokens, session.token)
    kept, reached = ledger.credentials.of(account), ledger.contacts.of(account)
    assert kept is not None
    assert not kept.seed
    assert not ledger.contacts.prove(code, wall_clock())
    assert reached is not None
    assert reached[0].address == "pat@example.com"
    assert sign_in_by_password(ledger, wanted, "192.0.2.1").caller.account == account


def test_the_registering_hospital_is_told_of_offers_and_claims(fixture: LedgerFixture) -> None:
    """Its admins, each, but for the one who offered; not of what its own system offers, which prints letters by the thousand."""
    client, north = LocalClient(fixture.ledger), fixture.north
    pat, kim, second = _chart(fixture), _registered_alone(fixture), _registered_alone(fixture)
    event = north.admin.event(
        "admin.appointed", f"hospital/{north.hospital}", {"account": second.account}, client.now()
    )
    client.append(north.admin, [event])
    reach(fixture, north.admin, "admin@north.example")

    def offered(by: Actor) -> set[tuple[str, str]]:
        code = claiming.new_code(pat.patient)
        return _since(fixture, lambda: claiming.offer_claim(client, by, code, BORN))

    assert offered(north.system) == set()
    assert offered(north.admin) == {("claim_offered", second.account)}
    both = {north.admin.account, second.account}
    other = pat
    pat = _chart(fixture)
    _upload(fixture, fixture.south.system, pat)
    for by in (fixture.south.admin, fixture.south.system):
        assert offered(by) == {("claim_offered", one) for one in both}
    pat = other
    third = _registered_alone(fixture)
    for kind in ("admin.appointed", "admin.ended"):
        body = {"account": third.account}
        event = north.admin.event(kind, f"hospital/{north.hospital}", body, client.now())
        client.append(north.admin, [event])
    code = claiming.new_code(pat.patient)
    claiming.offer_claim(client, north.system, code, BORN)
    assert _since(
        fixture, lambda: claiming.claim_chart(client, kim, pat.patient, code.text, BORN)
    ) == {("chart_claimed", one) for one in both}
    send(fixture)
    newest = mails_to(fixture, "admin@north.example")[0]
    assert pat.patient in newest
    assert kim.account in newest


def test_each_factor_is_told(fixture: LedgerFixture) -> None:
    """What changes or uses up a factor, and that an account was locked."""
    pat, ledger = fixture.person().actor, fixture.ledger
    own = pat.account
    acts: list[tuple[Act, str]] = [
        (("factor.added", {"factor": "password"}), "password_set"),
        (("factor.added", {"factor": "password", "replaces": True}), "password_changed"),
        (("factor.added", {"factor": "code"}), "codes_added"),
        (("factor.removed", {"factor": "code"}), "codes_removed"),
        (("factor.added", {"factor": "passkey"}), "passkey_added"),
        (("factor.removed", {"factor": "passkey"}), "passkey_removed"),
        (("recovery.used", {"left": 3}), "recovery_used"),
        (("session.locked", {"until": "2026-11-20T07:39:00.123Z"}), "session_locked"),
    ]
    reach(fixture, pat, "pat@example.com")
    for act, kind in acts:
        assert _since(fixture, partial(put_on_record, ledger, own, [act])) == {(kind, own)}
    send(fixture)
    assert len(mails_to(fixture, "pat@example.com")) == 1 + len(acts)
    assert any("2026-11-20, 07:39 UTC" in one for one in mails_to(fixture, "pat@example.com"))
    assert any("3 recovery codes" in one for one in mails_to(fixture, "pat@example.com"))
