"""What a key's owner can undo, and that a change and its entry stand together: on both engines."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pyotp
import pytest

from client import registering
from client.local import LocalClient
from crypto.signing import SigningKey
from durable.errors import StorageError
from identity import factors, onrecord, own, passkeys, passwords, sessions, signing_in, throttles
from identity.actors import Actor, Caller, new_key
from identity.errors import (
    BadPassword,
    FactorConflict,
    IdentityError,
    KeyNeeded,
    NotSignedIn,
    Throttled,
    WrongProof,
)
from identity.proving import Proof
from identity.sessions import Session
from identity.signing_in import SignIn
from ledger.messages import possession_message
from storage import reader
from storage.sql.credentials import Kept
from storage.sql.passkeys import Passkey
from tests.support.inbox import told
from tests.support.ledger_fixture import LedgerFixture
from tests.support.sign_ins import PASSWORD

HERE = "192.0.2.1"
NEW = "another horse"


class Owner:
    """An account, its keys, and what is done with them."""

    def __init__(self, fixture: LedgerFixture, actor: Actor | None = None) -> None:
        self.fixture, self.ledger = fixture, fixture.ledger
        self.actor = (actor or fixture.person().actor).in_role("person")
        self.account, self.by_key, self.seed = self.actor.account, self.actor.caller, ""
        self.open: list[Session] = []

    def sets(
        self, by: Caller | None = None, new: str = PASSWORD, proof: Proof | None = None
    ) -> None:
        factors.set_password(self.ledger, by or self.by_key, new, proof or Proof(), HERE)

    def code(self, steps: int = 0) -> str:
        return pyotp.TOTP(self.seed).at(self.ledger.clock() // 1_000 + 30 * steps)

    def enrols(self, by: Caller | None = None, password: str = PASSWORD) -> tuple[str, ...]:
        """By a code of the step now; the next one's, which is taken a step early, still counts, however long a test takes."""
        self.seed = factors.begin_code(self.ledger, by or self.by_key).seed
        proof = Proof(password, self.code())
        return factors.confirm_code(self.ledger, by or self.by_key, proof, HERE)

    def signs_in(self, role: str = "person", hospital: str = "", **proof: str) -> Session:
        shown = Proof(**({"password": PASSWORD} | proof))
        wanted = SignIn(self.account, shown, role, hospital)
        self.open.append(signing_in.sign_in_by_password(self.ledger, wanted, HERE))
        return self.open[-1]

    def caller(self, session: Session) -> Caller:
        return sessions.caller_of(self.ledger, self.ledger.tokens, session.token)

    def adds(self, key: SigningKey) -> Caller:
        """Another key of the owner's."""
        client = LocalClient(self.ledger)
        proof = key.sign(possession_message(client.origin, self.account, key.id))
        registering.register_key(client, self.actor, self.account, "device", key.public, proof)
        return Caller(self.account, "person", "", key.id)

    def revokes(self, key: str, by: Actor | None = None) -> None:
        registering.revoke_key(LocalClient(self.ledger), by or self.actor, self.account, key)

    def has_passkey(self) -> str:
        """As if one was registered; gives its name."""
        now = self.ledger.clock()
        row = Passkey(os.urandom(16), self.account, b"public", 0, now, now, 0)
        with self.ledger.database.write() as connection:
            assert self.ledger.credentials.add_passkey(connection, row)
        return row.name

    def kept(self) -> Kept:
        found = self.ledger.credentials.of(self.account)
        assert found is not None
        return found

    def entries(self, kind: str = "") -> list[dict[str, object]]:
        """What stands of sign-ins, the newest first."""
        found = own.sign_ins_of(self.ledger, self.by_key)
        return [one.body for one in found if kind in ("", one.type)]


def test_what_a_thief_of_a_key_set_is_undone(fixture: LedgerFixture) -> None:
    """The key is revoked: what was signed in to by password ends at once, and another key sets all of it anew."""
    owner = Owner(fixture)
    stolen = owner.adds(new_key())
    owner.sets(by=stolen)
    recovery = owner.enrols(by=stolen)
    session = owner.signs_in(code=owner.code(1))
    assert owner.caller(session).account == owner.account
    assert stolen.key is not None
    owner.revokes(stolen.key)
    with pytest.raises(NotSignedIn):
        owner.caller(session)
    assert own.sessions_of(owner.ledger, owner.by_key) == ()
    with pytest.raises(KeyNeeded):
        owner.sets(by=stolen, new=NEW)
    owner.sets(new=NEW)
    factors.remove_code(owner.ledger, owner.by_key, Proof(), HERE)
    with pytest.raises(NotSignedIn):
        owner.signs_in(recovery=recovery[0])
    assert owner.caller(owner.signs_in(password=NEW)).session is not None
    removed, reset = owner.entries()[1:3]
    by = {"account": owner.account, "key": owner.actor.key.id, "reset": True}
    assert removed == by | {"factor": "code"}
    assert reset == by | {"factor": "password", "replaces": True}
    assert owner.entries("factor.added")[-1]["key"] == stolen.key
    assert told(fixture, "factors_reset") == [("factors_reset", owner.account)] * 2


def test_a_reset_ends_every_session(fixture: LedgerFixture) -> None:
    """And is told, so that a thief of the key does it before its owner's eyes."""
    owner = Owner(fixture)
    owner.sets()
    recovery = owner.enrols()
    made = [owner.signs_in(recovery=code) for code in recovery[:3]]
    owner.sets(new=NEW)
    for one in made:
        with pytest.raises(NotSignedIn):
            owner.caller(one)
    ended = {body["session"] for body in owner.entries("session.ended")}
    assert ended == {one.caller.session.id for one in made if one.caller.session}
    assert owner.kept().confirmed, "the codes are another factor, and stay"
    assert told(fixture, "factors_reset") == [("factors_reset", owner.account)]


TAKING: dict[str, Callable[[Owner], None]] = {
    "a password is reset": lambda who: who.sets(new=NEW),
    "codes are removed": lambda who: factors.remove_code(who.ledger, who.by_key, Proof(PASSWORD, who.code(1)), HERE),
    "codes are reset": lambda who: factors.remove_code(who.ledger, who.by_key, Proof(), HERE),
}  # fmt: skip


@pytest.mark.parametrize("how", TAKING)
def test_passkeys_go_with_what_throws_a_thief_out(fixture: LedgerFixture, how: str) -> None:
    """Whoever added one signs in by it no more; that is on record."""
    owner = Owner(fixture)
    owner.sets()
    owner.enrols()
    owner.has_passkey()
    TAKING[how](owner)
    assert owner.ledger.credentials.passkeys.of(owner.account) == []
    assert [one["factor"] for one in owner.entries("factor.removed")].count("passkey") == 1


def test_passkeys_go_with_a_key_that_is_revoked(fixture: LedgerFixture) -> None:
    owner = Owner(fixture)
    owner.sets()
    owner.enrols()
    stolen = owner.adds(new_key())
    owner.has_passkey()
    owner.revokes(str(stolen.key))
    assert owner.ledger.credentials.passkeys.of(owner.account) == []


def test_a_passkey_outlives_a_change_by_proof(fixture: LedgerFixture) -> None:
    """Who shows password and code changes the password, and keeps what they sign in by."""
    owner = Owner(fixture)
    owner.sets()
    recovery = owner.enrols()
    owner.has_passkey()
    owner.sets(new=NEW, proof=Proof(PASSWORD, recovery=recovery[0]))
    assert len(owner.ledger.credentials.passkeys.of(owner.account)) == 1


def test_a_passkey_is_removed_without_codes(fixture: LedgerFixture) -> None:
    """A key that counts is enough, and one that doesn't isn't."""
    owner = Owner(fixture)
    owner.sets()
    name = owner.has_passkey()
    with pytest.raises(KeyNeeded):
        passkeys.remove_passkey(
            owner.ledger, Caller(owner.account, "person", "", "k_" + "0" * 26), name
        )
    passkeys.remove_passkey(owner.ledger, owner.by_key, name)
    assert owner.ledger.credentials.passkeys.of(owner.account) == []


def test_what_is_shown_is_compared_whoever_shows_it(fixture: LedgerFixture) -> None:
    """By key, too; and in a session by password nothing is reset."""
    owner = Owner(fixture)
    owner.sets()
    with pytest.raises(WrongProof):
        owner.sets(new=NEW, proof=Proof("wrong horse"))
    by_password = owner.caller(owner.signs_in())
    with pytest.raises(WrongProof):
        owner.sets(by=by_password, new=NEW)
    recovery = owner.enrols()
    by_password = owner.caller(owner.signs_in(code=owner.code(1)))
    with pytest.raises(WrongProof):
        factors.remove_code(owner.ledger, by_password, Proof(), HERE)
    with pytest.raises(WrongProof):
        owner.sets(by=by_password, new=NEW)
    assert owner.kept().confirmed
    with pytest.raises(NotSignedIn):
        owner.signs_in(password=NEW, recovery=recovery[0])


def test_a_key_alone_lets_no_codes_count(fixture: LedgerFixture) -> None:
    """The password is asked for, however one signed in."""
    owner = Owner(fixture)
    owner.sets()
    with pytest.raises(WrongProof):
        owner.enrols(password="")
    with pytest.raises(WrongProof):
        owner.enrols(password="wrong horse")
    assert not owner.kept().confirmed
    owner.enrols()


def test_a_key_that_does_not_count_yet_resets_nothing(fixture: LedgerFixture) -> None:
    """One of a recovery, before its 24 hours are over."""
    owner, key = Owner(fixture), new_key()
    owner.sets()
    client = LocalClient(owner.ledger)
    proof = key.sign(possession_message(client.origin, owner.account, key.id))
    registering.register_key(
        client, fixture.north.admin, owner.account, "device", key.public, proof, True
    )
    with pytest.raises(KeyNeeded, match="not valid yet"):
        owner.sets(by=Caller(owner.account, "person", "", key.id), new=NEW)


def test_a_key_that_is_revoked_meanwhile_resets_nothing(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the check and the change: the revocation comes first, so there is no change."""
    owner, hash_new = Owner(fixture), passwords.hash_new
    owner.sets()
    stolen = owner.adds(new_key())

    def revokes(new: str, account: str) -> str:
        owner.revokes(str(stolen.key))
        return hash_new(new, account)

    monkeypatch.setattr(passwords, "hash_new", revokes)
    with pytest.raises(KeyNeeded, match="revoked meanwhile"):
        owner.sets(by=stolen, new=NEW)
    monkeypatch.undo()
    assert owner.caller(owner.signs_in()).account == owner.account
    fresh = Owner(fixture)
    stolen = fresh.adds(new_key())

    def revokes_first(new: str, account: str) -> str:
        fresh.revokes(str(stolen.key))
        return hash_new(new, account)

    monkeypatch.setattr(passwords, "hash_new", revokes_first)
    with pytest.raises(KeyNeeded, match="revoked meanwhile"):
        fresh.sets(by=stolen)
    assert fresh.ledger.credentials.of(fresh.account) is None
    assert fresh.entries() == []


def test_a_session_that_ends_meanwhile_changes_nothing(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, hash_new = Owner(fixture), passwords.hash_new
    owner.sets()
    session = owner.signs_in()
    by_password = owner.caller(session)

    def ends(new: str, account: str) -> str:
        sessions.sign_out(owner.ledger, owner.ledger.tokens, session.token)
        return hash_new(new, account)

    monkeypatch.setattr(passwords, "hash_new", ends)
    with pytest.raises(NotSignedIn):
        owner.sets(by=by_password, new=NEW, proof=Proof(PASSWORD))
    assert owner.caller(owner.signs_in()).account == owner.account


def test_staff_set_up_codes_by_key(fixture: LedgerFixture) -> None:
    """Whoever has only their password sets up none, also once the role has ended; nor does a patient who has a key."""
    doctor, pat = Owner(fixture, fixture.doctor()), Owner(fixture)
    for who in (doctor, pat):
        who.sets()
    thief = doctor.caller(doctor.signs_in())
    with pytest.raises(KeyNeeded):
        factors.begin_code(doctor.ledger, thief)
    doctor.seed = factors.begin_code(doctor.ledger, doctor.by_key).seed
    with pytest.raises(KeyNeeded):
        factors.confirm_code(doctor.ledger, thief, Proof(PASSWORD, doctor.code()), HERE)
    admin, client = fixture.south.admin, LocalClient(fixture.ledger)
    body = {"account": doctor.account}
    stream = f"hospital/{admin.hospital}"
    client.append(admin, [admin.event("doctor.suspended", stream, body, client.now())])
    with pytest.raises(KeyNeeded):
        factors.begin_code(doctor.ledger, thief)
    assert not doctor.kept().confirmed
    with pytest.raises(KeyNeeded):
        pat.enrols(by=pat.caller(pat.signs_in()))
    assert len(pat.enrols()) == 10


def test_nothing_is_used_up_for_what_is_refused(fixture: LedgerFixture) -> None:
    """A role that isn't held, a password that nobody should have: the same code counts afterwards, and so do recovery codes."""
    owner = Owner(fixture, fixture.doctor())
    owner.sets()
    recovery = owner.enrols()
    hospital, code = fixture.south.hospital, owner.code(1)
    for shown in ({"code": code}, {"recovery": recovery[0]}):
        for role, at in (("hospital_admin", hospital), ("doctor", fixture.north.hospital)):
            with pytest.raises(NotSignedIn):
                owner.signs_in(role, at, **shown)
    for bad in ("short", "iloveyou", PASSWORD):
        with pytest.raises(BadPassword):
            owner.sets(new=bad, proof=Proof(PASSWORD, code))
        with pytest.raises(BadPassword):
            owner.sets(new=bad, proof=Proof(PASSWORD, recovery=recovery[0]))
    owner.signs_in("doctor", hospital, code=code)
    with pytest.raises(NotSignedIn):
        owner.signs_in("doctor", hospital, code=code)
    owner.signs_in("doctor", hospital, recovery=recovery[0])
    assert [body["left"] for body in owner.entries("recovery.used")] == [9]


def test_what_was_used_already_counts_as_a_failure(fixture: LedgerFixture) -> None:
    """A code or recovery code shown once more, beside the right password: whoever repeats that has to wait."""
    owner = Owner(fixture)
    owner.sets()
    recovery, code = owner.enrols(), owner.code(1)
    owner.signs_in(code=code)
    owner.signs_in(recovery=recovery[0])
    assert _failures_until_throttled(owner, code=code) >= throttles.ACCOUNT_FREE
    with owner.ledger.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM throttles")
    assert _failures_until_throttled(owner, recovery=recovery[0]) >= throttles.ACCOUNT_FREE


def _failures_until_throttled(owner: Owner, **shown: str) -> int:
    """How many tries fail until the wait is longer than a try takes."""
    for tried in range(12):
        try:
            owner.signs_in(**shown)
        except Throttled:
            return tried
        except NotSignedIn:
            continue
        pytest.fail("something counted twice")
    pytest.fail("nobody had to wait")


ACTS: dict[str, Callable[[Owner, str], object]] = {
    "sign in": lambda who, code: who.signs_in(recovery=code),
    "step up": lambda who, code: _steps_up(who, code),
    "set a password": lambda who, code: who.sets(new=NEW, proof=Proof(PASSWORD, recovery=code)),
    "reset a password": lambda who, code: who.sets(new=NEW),
    "remove codes": lambda who, code: factors.remove_code(
        who.ledger, who.by_key, Proof(PASSWORD, recovery=code), HERE
    ),
}


def _steps_up(who: Owner, code: str) -> Session:
    session, proof = who.open[-1], Proof(recovery=code)
    return signing_in.step_up(who.ledger, who.caller(session), session.token, proof, HERE)


@pytest.mark.parametrize("table", ["event_ids", "sessions", "credentials"])
@pytest.mark.parametrize("act", ACTS)
def test_what_fails_leaves_nothing(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch, act: str, table: str
) -> None:
    """Where the entry or the change can't be written, neither is there, and nothing was used up."""
    owner = Owner(fixture)
    owner.sets()
    recovery = owner.enrols()
    owner.signs_in(recovery=recovery[0])
    before = (owner.kept(), owner.entries(), own.sessions_of(owner.ledger, owner.by_key))
    put, done = onrecord.put_on_record, count()

    def fails(*arguments: object, **named: object) -> None:
        """The table is away while the entry and what goes with it are written."""
        next(done)
        with owner.ledger.database.write() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO gone")
        try:
            put(*arguments, **named)  # type: ignore[arg-type]
        finally:
            with owner.ledger.database.write() as connection:
                connection.exec_driver_sql(f"ALTER TABLE gone RENAME TO {table}")

    monkeypatch.setattr(onrecord, "put_on_record", fails)
    with pytest.raises(StorageError):
        ACTS[act](owner, recovery[1])
    assert next(done) == 1
    monkeypatch.undo()
    after = (owner.kept(), owner.entries(), own.sessions_of(owner.ledger, owner.by_key))
    assert after == before
    assert ACTS[act](owner, recovery[1]) is not False


def test_a_factor_that_was_changed_meanwhile_has_no_second_entry(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two changes at once: one stands, with its entry; the other one has none, and uses up nothing."""
    owner, hash_new = Owner(fixture), passwords.hash_new
    owner.sets()
    recovery = owner.enrols()

    def removes(new: str, account: str) -> str:
        factors.remove_code(owner.ledger, owner.by_key, Proof(), HERE)
        return hash_new(new, account)

    monkeypatch.setattr(passwords, "hash_new", removes)
    with pytest.raises(FactorConflict, match="meanwhile"):
        owner.sets(new=NEW, proof=Proof(PASSWORD, recovery=recovery[0]))
    assert len(owner.entries("factor.removed")) == 1
    assert owner.entries("recovery.used") == []
    assert [body.get("replaces") for body in owner.entries("factor.added")] == [None, None]
    assert owner.caller(owner.signs_in()).account == owner.account


def test_rows_and_entries_agree_however_many_sign_in_at_once(fixture: LedgerFixture) -> None:
    """Each session that was opened and hasn't its end on record is there, and no other; never more than may be."""
    owner = Owner(fixture)
    owner.sets()
    for _ in range(sessions.SESSIONS_MOST - 1):
        owner.signs_in()

    def tries() -> int:
        try:
            owner.signs_in()
        except StorageError:
            return 0
        return 1

    with ThreadPoolExecutor(4) as pool:
        done = sum(future.result() for future in [pool.submit(tries) for _ in range(12)])
    assert done > 0
    opened = [body["session"] for body in owner.entries("session.opened")]
    ended = [body["session"] for body in owner.entries("session.ended")]
    assert len(opened) == sessions.SESSIONS_MOST - 1 + done
    assert len(ended) == len(set(ended)) == done - 1
    there = {one.session for one in own.sessions_of(owner.ledger, owner.by_key)}
    assert there == set(opened) - set(ended)
    assert len(there) == sessions.SESSIONS_MOST


@pytest.mark.parametrize("overtaken", ["signs in", "signs out"])
def test_a_sign_in_that_is_overtaken_begins_anew(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch, overtaken: str
) -> None:
    """By one that takes the last place, or by the end of the session that was to make room."""
    owner, put = Owner(fixture), onrecord.put_on_record
    owner.sets()
    for _ in range(sessions.SESSIONS_MOST - (overtaken == "signs in")):
        owner.signs_in()
    oldest = owner.ledger.credentials.sessions.of(owner.account)[-1].session

    def late(*arguments: object) -> None:
        monkeypatch.undo()
        if overtaken == "signs in":
            owner.signs_in()
        else:
            assert sessions.end_session(owner.ledger, owner.by_key, oldest)
        put(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(onrecord, "put_on_record", late)
    owner.signs_in()
    opened = [body["session"] for body in owner.entries("session.opened")]
    ended = [body["session"] for body in owner.entries("session.ended")]
    there = {one.session for one in own.sessions_of(owner.ledger, owner.by_key)}
    assert len(ended) == len(set(ended)) == 1
    assert there == set(opened) - set(ended)
    assert len(there) == sessions.SESSIONS_MOST


def test_a_right_password_does_not_fill_the_log(fixture: LedgerFixture) -> None:
    """Sessions and changes of an hour are counted; the key's owner still resets, up to a bound of its own."""
    owner = Owner(fixture)
    owner.sets()
    _has_acted(owner, onrecord.ACTS_AN_HOUR - 2)
    by_password = owner.caller(owner.signs_in())
    owner.sets(by=by_password, new=NEW, proof=Proof(PASSWORD))
    size = fixture.size()
    with pytest.raises(Throttled) as waits:
        owner.signs_in(password=NEW)
    assert 3_000 < waits.value.seconds <= 3_600
    with pytest.raises(Throttled):
        owner.sets(by=by_password, proof=Proof(NEW))
    assert fixture.size() == size
    owner.sets()
    assert own.sessions_of(owner.ledger, owner.by_key) == ()
    _has_acted(owner, onrecord.RESETS_AN_HOUR)
    with pytest.raises(Throttled):
        owner.sets(new=NEW)
    _has_acted(owner, onrecord.RESETS_AN_HOUR, ago=onrecord.ACTS_MS)
    owner.signs_in()
    assert owner.kept().acts == 1


def _has_acted(owner: Owner, acts: int, ago: int = 1_000) -> None:
    statement = "UPDATE credentials SET acts = ?, acts_since = ? WHERE account = ?"
    sql = owner.ledger.database.sql(statement)
    with owner.ledger.database.write() as connection:
        connection.exec_driver_sql(sql, (acts, owner.ledger.clock() - ago, owner.account))


def test_other_entries_do_not_hide_ones_sign_ins(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is shown is chosen before it is cut to the page."""
    owner = Owner(fixture)
    owner.sets()
    owner.signs_in()
    for _ in range(5):
        owner.adds(new_key())
    monkeypatch.setattr(reader, "BACKWARDS", 3)
    monkeypatch.setattr(own, "SIGN_INS_SHOWN", 2)
    types = [one.type for one in own.sign_ins_of(owner.ledger, owner.by_key)]
    assert types == ["session.opened", "factor.added"]
    owner.signs_in()
    types = [one.type for one in own.sign_ins_of(owner.ledger, owner.by_key)]
    assert types == ["session.opened", "session.opened"]


def test_a_begun_enrolment_ends_with_the_key_and_the_password(fixture: LedgerFixture) -> None:
    """A seed that somebody else saw never comes to count."""
    owner = Owner(fixture)
    owner.sets()
    acts: list[Callable[[], None]] = [
        lambda: owner.sets(new=NEW),
        lambda: owner.revokes(str(owner.adds(new_key()).key)),
    ]
    for ends in acts:
        owner.seed = factors.begin_code(owner.ledger, owner.by_key).seed
        ends()
        proof = Proof(NEW, owner.code())
        with pytest.raises(IdentityError):
            factors.confirm_code(owner.ledger, owner.by_key, proof, HERE)
        assert not owner.kept().confirmed
