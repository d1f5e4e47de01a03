"""Signing in by password over HTTP: what is asked, what is told, and what ends a session."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from api.app.settings import Settings
from client import registering
from client.local import LocalClient
from identity import onrecord, sessions, throttles
from identity.actors import Actor, new_key
from ledger.messages import possession_message
from tests.support.ledger_fixture import LedgerFixture, Person
from tests.support.server import Web, bearer, good, in_process, kind_of, problem
from tests.support.sign_ins import STEP_MS, Account, Later, reopened


@dataclass
class Home:
    """A served ledger whose clocks can be moved, and whoever has a password."""

    fixture: LedgerFixture
    clock: Later
    web: Web

    def account(self, actor: Actor | None = None, codes: bool = False) -> Account:
        """A fresh account with a password, by default a patient's."""
        self.web.forget()
        actor = actor or self.fixture.person().actor
        made = Account(self.web, self.clock, actor)
        assert made.set_password().status_code == 204
        if codes:
            made.enrol()
            self.clock.ahead += STEP_MS  # the code of the enrolment is used up
        return made

    def doctor(self) -> Account:
        """A doctor with a password and codes."""
        return self.account(self.fixture.doctor(), codes=True)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    fixture = LedgerFixture.found(Settings(data=tmp_path_factory.mktemp("passwords") / "data"))
    clock = reopened(fixture)
    with in_process(fixture.ledger) as web:
        yield Home(fixture, clock, web)
    fixture.verify()
    fixture.close()


@pytest.fixture(autouse=True)
def _forgiven(home: Home) -> None:
    """What failed in the test before is forgiven by now."""
    home.clock.ahead += throttles.ADDRESS_FORGIVEN_MS * 60


def on_record(who: Account, token: str = "") -> list[dict[str, Any]]:
    """What the log says of an account's sign-ins, the oldest first."""
    found: list[dict[str, Any]] = good(who.send("GET", "/v1/me/sign-ins", token=token))
    return found[::-1]


def test_a_patient_signs_in_by_password(home: Home) -> None:
    """Under a session that the log names, without its token."""
    pat = home.account()
    session = good(pat.sign_in())
    assert session["assurance"] == 1
    token = session["token"]
    assert good(pat.me(token))["account"] == pat.actor.account
    first, opened = on_record(pat, token)
    assert (first["type"], first["body"]["factor"]) == ("factor.added", "password")
    assert opened["type"] == "session.opened"
    assert opened["body"] == {
        "account": pat.actor.account, "assurance": 1, "means": "password", "role": "patient",
        "session": session["session"],
    }  # fmt: skip


def test_a_doctor_needs_a_second_factor(home: Home) -> None:
    """And once there is one, nobody comes in without it, in whatever role; recovery codes count once."""
    doctor = home.account(home.fixture.doctor())
    assert kind_of(doctor.sign_in()) == "second_factor"
    assert kind_of(doctor.sign_in(role="person", hospital="")) == "200"
    doctor.enrol()
    for role, hospital in ((doctor.actor.role, doctor.actor.hospital), ("person", "")):
        assert kind_of(doctor.sign_in(role=role, hospital=hospital)) == "not_signed_in"
    home.clock.ahead += STEP_MS
    session = good(doctor.sign_in(code=doctor.code()))
    assert session["assurance"] == 2
    assert good(doctor.me(session["token"]))["hospital"] == doctor.actor.hospital
    assert good(doctor.sign_in(recovery=doctor.recovery[0].upper()))["assurance"] == 2
    assert kind_of(doctor.sign_in(recovery=doctor.recovery[0])) == "not_signed_in"
    assert [e["body"]["left"] for e in on_record(doctor) if e["type"] == "recovery.used"] == [9]
    assert good(doctor.send("GET", "/v1/me/factors")) == {
        "code": True,
        "password": True,
        "recovery": 9,
    }


def test_everybody_else_is_told_the_same(home: Home) -> None:
    """A wrong password, code or account, a missing code, one too many: the document differs in nothing."""
    doctor, pat = home.doctor(), home.account()
    wrong = [
        doctor.sign_in(password="wrong horse", code=doctor.code()),
        doctor.sign_in(code="000000"),
        doctor.sign_in(),
        doctor.sign_in(recovery="0000-0000-0000-0000"),
        pat.sign_in(password="x" * 1_000),
        pat.sign_in(password=""),
        pat.sign_in(code="123456"),
        pat.sign_in(account="ac_01jd3q8m5c0000000000000001"),
        pat.sign_in(account="nobody@example.org"),
        pat.sign_in(account=home.fixture.operator.account),
    ]
    assert len({answer.text for answer in wrong}) == 1
    assert {kind_of(answer) for answer in wrong} == {"not_signed_in"}


def test_a_code_counts_once_and_in_its_time(home: Home) -> None:
    """One step early or late, never twice, never one before another that was used."""
    doctor = home.doctor()
    for steps in (-2, 2):
        assert kind_of(doctor.sign_in(code=doctor.code(steps))) == "not_signed_in"
    late, now, early = (doctor.code(steps) for steps in (-1, 0, 1))
    assert kind_of(doctor.sign_in(code=late)) == "not_signed_in"  # the enrolment's: used
    assert kind_of(doctor.sign_in(code=now)) == "200"
    assert kind_of(doctor.sign_in(code=now)) == "not_signed_in"
    assert kind_of(doctor.sign_in(code=early)) == "200"
    assert kind_of(doctor.sign_in(code=now)) == "not_signed_in"
    home.clock.ahead += 3 * STEP_MS
    assert kind_of(doctor.sign_in(code=early)) == "not_signed_in"
    assert kind_of(doctor.sign_in(code=doctor.code(-1))) == "200"


def test_a_role_that_is_not_held(home: Home) -> None:
    """Nor one that nobody takes up by password."""
    doctor = home.doctor()
    elsewhere = home.fixture.north.hospital
    for role, hospital in (
        ("operator", ""), ("doctor", elsewhere), ("hospital_admin", doctor.actor.hospital), ("patient", ""),
        ("service", ""), ("relative", ""), ("auditor", ""), ("person", elsewhere),
    ):  # fmt: skip
        home.clock.ahead += STEP_MS
        answer = doctor.sign_in(role=role, hospital=hospital, code=doctor.code())
        assert kind_of(answer) == "not_signed_in", role
    admin = home.fixture.south.admin
    home.clock.ahead += STEP_MS
    token = doctor.token(code=doctor.code())
    event = admin.event(
        "doctor.suspended", f"hospital/{admin.hospital}", {"account": doctor.actor.account}, home.clock()
    )  # fmt: skip
    LocalClient(home.fixture.ledger).append(admin, [event])
    assert kind_of(doctor.me(token)) == "not_signed_in"


def test_a_session_ends(home: Home) -> None:
    """By signing out, by its owner elsewhere, idle, and after twelve hours however much it is used."""
    pat = home.account()
    tokens = [pat.token() for _ in range(3)]
    assert pat.send("DELETE", "/v1/sessions", token=tokens[0]).status_code == 204
    assert kind_of(pat.me(tokens[0])) == "not_signed_in"
    mine = good(pat.send("GET", "/v1/me/sessions", token=tokens[1]))
    assert [one["current"] for one in mine].count(True) == 1
    (other,) = [one["session"] for one in mine if not one["current"]]
    kim = home.account()
    assert kim.send("DELETE", f"/v1/me/sessions/{other}").status_code == 204
    assert kind_of(pat.me(tokens[2])) == "200"  # somebody else's is not to be ended
    assert pat.send("DELETE", f"/v1/me/sessions/{other}", token=tokens[1]).status_code == 204
    assert kind_of(pat.me(tokens[2])) == "not_signed_in"
    reasons = [e["body"]["reason"] for e in on_record(pat) if e["type"] == "session.ended"]
    assert reasons == ["signed_out", "owner"]
    began = home.clock.ahead
    while home.clock.ahead - began < sessions.SESSION_MOST_MS - sessions.PERSON_IDLE_MS:
        home.clock.ahead += sessions.PERSON_IDLE_MS - sessions.TOUCH_MS
        assert kind_of(pat.me(tokens[1])) == "200"
    home.clock.ahead = began + sessions.SESSION_MOST_MS
    home.web.forget()
    assert kind_of(pat.me(tokens[1])) == "not_signed_in"


@pytest.mark.parametrize(
    ("staff", "idle"), [(True, sessions.STAFF_IDLE_MS), (False, sessions.PERSON_IDLE_MS)]
)
def test_an_idle_session_ends(home: Home, staff: bool, idle: int) -> None:
    """Sooner for staff; a use delays it."""
    who = home.doctor() if staff else home.account()
    token = who.token(code=who.code() if staff else "")
    home.clock.ahead += idle - 10_000
    assert kind_of(who.me(token)) == "200"
    home.clock.ahead += idle - 10_000
    assert kind_of(who.me(token)) == "200"
    home.clock.ahead += idle
    assert kind_of(who.me(token)) == "not_signed_in"


def test_a_changed_factor_ends_all_other_sessions(home: Home) -> None:
    """A password, codes added, codes removed."""
    pat = home.account()

    def survivors(change: str, value: dict[str, str]) -> list[str]:
        tokens = [pat.token(code=pat.code() if pat.seed else "")]
        home.clock.ahead += STEP_MS
        tokens.append(pat.token(code=pat.code() if pat.seed else ""))
        home.clock.ahead += STEP_MS
        method, _, path = change.partition(" ")
        if "code" in value:
            value["code"] = pat.code()
        answer = pat.send(method, path, value, token=tokens[1])
        assert answer.status_code in (200, 204), answer.text
        return [kind_of(pat.me(token)) for token in tokens]

    new = {"new": "another horse", "old": pat.password}
    assert survivors("PUT /v1/me/password", new) == ["not_signed_in", "200"]
    pat.password = new["new"]
    pat.seed = good(pat.send("POST", "/v1/me/factors/code"))["seed"]
    seed, pat.seed = pat.seed, ""
    tokens = [pat.token(), pat.token()]
    pat.seed = seed
    sent = {"code": pat.code(), "password": pat.password}
    answer = pat.send("POST", "/v1/me/factors/code/confirm", sent)  # by key, as they have one
    assert answer.status_code == 200
    assert [kind_of(pat.me(token)) for token in tokens] == ["not_signed_in", "not_signed_in"]
    home.clock.ahead += STEP_MS
    sent = {"code": "", "password": pat.password}
    assert survivors("DELETE /v1/me/factors/code", sent) == ["not_signed_in", "200"]
    reasons = {e["body"]["reason"] for e in on_record(pat) if e["type"] == "session.ended"}
    assert reasons == {"factor_changed"}


def test_a_change_needs_the_factors_that_count(home: Home) -> None:
    """The old password, and a code once there are codes; what is shown is compared also by key. An enrolment counts when shown."""
    doctor = home.account(home.fixture.doctor())
    token, password = doctor.token(role="person", hospital=""), ("PUT", "/v1/me/password")
    for sent in ({}, {"old": "wrong horse"}):
        answer = doctor.send(*password, {"new": "another horse", **sent}, token)
        assert kind_of(answer) == "proof"
    assert kind_of(doctor.set_password(old="wrong horse")) == "proof"
    begin, confirm = ("POST", "/v1/me/factors/code"), ("POST", "/v1/me/factors/code/confirm")
    shown = {"code": "123456", "password": doctor.password}
    assert kind_of(doctor.send(*confirm, shown)) == "conflict"
    doctor.seed = good(doctor.send(*begin))["seed"]
    assert kind_of(doctor.send(*confirm, shown | {"code": "000000"})) == "proof"
    assert kind_of(doctor.send(*confirm, {"code": doctor.code(), "password": "x"})) == "proof"
    assert kind_of(doctor.send(*confirm, {"code": doctor.code()})) == "malformed"
    home.clock.ahead += STEP_MS
    doctor.enrol()
    assert kind_of(doctor.send(*begin)) == "conflict"
    home.clock.ahead += STEP_MS
    old = {"old": doctor.password, "new": "another horse"}
    assert kind_of(doctor.set_password(**old)) == "proof"
    remove = "DELETE", "/v1/me/factors/code"
    assert kind_of(doctor.send(*remove, {"password": doctor.password})) == "proof"
    assert kind_of(doctor.send(*remove, {"password": "x", "code": doctor.code()})) == "proof"
    assert kind_of(doctor.set_password(**old, code=doctor.code())) == "204"
    sent = {"password": "another horse", "recovery": doctor.recovery[3]}
    assert kind_of(doctor.send(*remove, sent)) == "204"
    assert kind_of(doctor.send(*remove, sent)) == "conflict"


def test_a_key_resets_what_its_owner_can_not_show(home: Home) -> None:
    """Without the old ones; every session by password ends, and none of those resets anything."""
    doctor = home.doctor()
    token = doctor.token(code=doctor.code())
    remove = "DELETE", "/v1/me/factors/code"
    assert kind_of(doctor.send(*remove, {}, token)) == "proof"
    assert kind_of(doctor.send("PUT", "/v1/me/password", {"new": "another horse"}, token)) == (
        "proof"
    )
    assert kind_of(doctor.set_password(new="another horse")) == "204"
    assert kind_of(doctor.me(token)) == "not_signed_in"
    assert kind_of(doctor.send(*remove, {})) == "204"
    assert kind_of(doctor.sign_in(role="person", hospital="")) == "not_signed_in"
    doctor.password = "another horse"
    assert kind_of(doctor.sign_in(role="person", hospital="")) == "200"
    resets = [e["body"] for e in on_record(doctor) if e["body"].get("reset")]
    assert [body["key"] for body in resets] == [doctor.actor.key.id] * 2


def test_staff_set_up_codes_by_key(home: Home) -> None:
    """Whoever has stolen a doctor's password sets up none, and neither does who has that of a patient with a key."""
    doctor, pat = home.account(home.fixture.doctor()), home.account()
    token = doctor.token(role="person", hospital="")
    begin = "POST", "/v1/me/factors/code"
    assert kind_of(doctor.send(*begin, token=token)) == "forbidden"
    doctor.seed = good(doctor.send(*begin))["seed"]
    sent = {"code": doctor.code(), "password": doctor.password}
    assert kind_of(doctor.send("POST", f"{begin[1]}/confirm", sent, token)) == "forbidden"
    assert kind_of(pat.send(*begin, token=pat.token())) == "forbidden"
    assert kind_of(pat.send(*begin)) == "200"


def test_a_revoked_key_ends_sessions_by_password(home: Home) -> None:
    """At once, all of them: whoever had the key may have set what they were opened by."""
    pat, key = home.account(), new_key()
    client, actor = LocalClient(home.fixture.ledger), pat.actor.in_role("person")
    proof = key.sign(possession_message(client.origin, actor.account, key.id))
    registering.register_key(client, actor, actor.account, "device", key.public, proof)
    tokens = [pat.token(), pat.token(role="person")]
    registering.revoke_key(client, actor, actor.account, key.id)
    assert [kind_of(pat.me(token)) for token in tokens] == ["not_signed_in"] * 2
    assert good(pat.send("GET", "/v1/me/sessions")) == []
    assert kind_of(pat.me(pat.token())) == "200"


def test_a_receipt_needs_more_than_a_password(home: Home) -> None:
    """A key, or a second factor as the patient or for one's own acts: it is evidence that leaves the ledger."""
    pat, doctor = home.account(), home.doctor()
    seq = home.fixture.record(Person(good(pat.me(pat.token()))["patients"][0], pat.actor)).seq
    place = "GET", f"/v1/receipts/{seq}"
    assert kind_of(pat.send(*place)) == "200"
    assert kind_of(pat.send(*place, token=pat.token())) == "second_factor"
    assert kind_of(pat.send("GET", "/v1/receipts/999999", token=pat.token())) == "second_factor"
    pat.enrol()
    home.clock.ahead += STEP_MS
    assert kind_of(pat.send(*place, token=pat.token(code=pat.code()))) == "200"
    home.clock.ahead += STEP_MS
    token = pat.token(code=pat.code(), role="person")
    assert kind_of(pat.send(*place, token=token)) == "forbidden"
    by_two = doctor.token(code=doctor.code())
    assert kind_of(doctor.send(*place, token=by_two)) == "forbidden"
    assert kind_of(doctor.send("GET", "/v1/receipts/999999", token=by_two)) == "forbidden"
    own = good(doctor.send("GET", "/v1/me/sign-ins", token=by_two))[0]["seq"]
    assert kind_of(doctor.send("GET", f"/v1/receipts/{own}", token=by_two)) == "200"
    assert kind_of(pat.send("GET", f"/v1/receipts/{own}", token=token)) == "forbidden"


def test_whom_a_patient_excluded_is_shown_to_no_password_alone(home: Home) -> None:
    """No entry says who looked: not the grants and exclusions, nor whole explanations on one's own chart."""
    pat, doctor = home.account(), home.doctor()
    patient = good(pat.me(pat.token()))["patients"][0]
    question = {
        "patient": patient, "actor": doctor.actor.account, "role": "doctor", "hospital": doctor.actor.hospital,
        "action": "read", "purpose": "TREAT", "record": "",
    }  # fmt: skip
    asks: list[tuple[str, str, Any]] = [
        ("GET", f"/v1/patients/{patient}/grants", None), ("POST", "/v1/decisions", question),
    ]  # fmt: skip
    for ask in asks:
        assert kind_of(pat.send(*ask)) == "200"
        for role in ("patient", "person"):
            token = pat.token(role=role)
            answer = kind_of(pat.send(*ask, token=token))
            assert answer in ("second_factor", "forbidden" if role == "person" else "")
    pat.enrol()
    home.clock.ahead += STEP_MS
    token = pat.token(code=pat.code())
    assert [kind_of(pat.send(*ask, token=token)) for ask in asks] == ["200", "200"]


def test_sessions_of_an_hour_are_counted(home: Home) -> None:
    """With a right password, too; it is said when there may be more."""
    pat = home.account()
    statement = "UPDATE credentials SET acts = ? WHERE account = ?"
    with home.fixture.ledger.database.write() as connection:
        connection.exec_driver_sql(statement, (onrecord.ACTS_AN_HOUR - 1, pat.actor.account))
    assert kind_of(pat.sign_in()) == "200"
    answer = pat.sign_in()
    assert kind_of(answer) == "throttled"
    assert 3_000 < answer.json()["seconds"] <= 3_600
    home.clock.ahead += onrecord.ACTS_MS
    assert kind_of(pat.sign_in()) == "200"


def test_passwords_that_nobody_should_have(home: Home) -> None:
    pat = Account(home.web, home.clock, home.fixture.person().actor)
    for bad in ("short", "x" * 129, "iloveyou", "ILoveYou", pat.actor.account):
        answer = pat.set_password(new=bad)
        assert kind_of(answer) == "password"
        assert bad not in answer.text
    assert pat.set_password(new="ä" * 8).status_code == 204
    assert kind_of(pat.sign_in(password="a\u0308" * 8)) == "200"  # typed on another keyboard


def test_stepping_up(home: Home) -> None:
    """For five minutes, with another token; what was stolen before is worth nothing."""
    doctor = home.doctor()
    stolen = doctor.token(code=doctor.code())
    step = "POST", "/v1/sessions/current/step-up"
    assert kind_of(doctor.send(*step, {"code": doctor.code()}, stolen)) == "proof"
    home.clock.ahead += STEP_MS
    session = good(doctor.send(*step, {"code": doctor.code()}, stolen))
    assert session["assurance"] == 3
    token = session["token"]
    assert kind_of(doctor.me(stolen)) == "not_signed_in"
    (mine,) = good(doctor.send("GET", "/v1/me/sessions", token=token))
    assert (mine["assurance"], mine["session"]) == (3, session["session"])
    home.clock.ahead += sessions.STRONG_MS
    (mine,) = good(doctor.send("GET", "/v1/me/sessions", token=token))
    assert mine["assurance"] == 2
    renewed = good(doctor.send("POST", "/v1/sessions/current/renewal", token=token))
    assert kind_of(doctor.me(token)) == "not_signed_in"
    assert kind_of(doctor.me(renewed["token"])) == "200"
    assert kind_of(doctor.send("POST", "/v1/sessions/current/renewal", token=token)) == (
        "not_signed_in"
    )
    for path in ("step-up", "renewal"):
        answer = doctor.send("POST", f"/v1/sessions/current/{path}", {"code": "123456"})
        assert kind_of(answer) == "forbidden"  # by key
    pat = home.account()
    assert kind_of(pat.send(*step, {"code": "123456"}, pat.token())) == "conflict"
    types = [e["type"] for e in on_record(doctor)]
    assert types.count("session.stepped_up") == 1


def test_a_session_by_password_signs_nothing(home: Home) -> None:
    """It reads what its account may read, and prepares nothing that only a key can sign."""
    pat = home.account()
    token = pat.token()
    patient = good(pat.me(token))["patients"][0]
    headers = bearer(token)
    subjects = {"subjects": [{"id": "pt_" + "0" * 26, "event": "ev_" + "0" * 26}]}
    seal = {"object": patient, "event": "ev_" + "0" * 26, "texts": {}}
    for path, sent in (
        ("/v1/subjects", subjects), (f"/v1/patients/{patient}/seal", seal), (f"/v1/patients/{patient}/blobs", {}),
    ):  # fmt: skip
        assert kind_of(home.web.post(path, sent, headers=headers)) == "forbidden"
    fresh = Account(home.web, home.clock, home.fixture.person().actor)
    assert kind_of(fresh.sign_in()) == "not_signed_in"  # without a password


def test_a_token_in_the_wrong_place(home: Home) -> None:
    """It is no auditor's token, no read token, no challenge, no part of an address, and no other scheme's."""
    doctor = home.doctor()
    session = good(doctor.sign_in(code=doctor.code()))
    token = session["token"]
    record = home.fixture.record(home.fixture.person()).record
    for path in ("/tile/entries/000.p/1", "/v1/log/releases"):
        assert kind_of(home.web.get(path, headers=bearer(token))) == "not_signed_in"
    path = f"/v1/records/{record}/content"
    assert kind_of(home.web.get(path, headers=bearer(token))) == "not_found"
    for headers in (
        {},
        bearer(session["session"]),
        {"Authorization": f"Basic {token}"},
        {"Cookie": f"token={token}"},
    ):
        assert kind_of(home.web.get("/v1/me", headers=headers)) == "not_signed_in"
    assert kind_of(home.web.get(f"/v1/me?token={token}")) == "not_signed_in"
    key_token = home.web.token(doctor.actor)
    assert kind_of(home.web.get("/v1/me", headers=bearer(key_token))) == "200"


def test_who_fails_waits(home: Home) -> None:
    """Twice as long each time, the same for whoever doesn't exist; a lock-out is on record once, and it ends."""
    pat = home.account()
    stranger = Account(
        home.web,
        home.clock,
        Actor("", "ac_01jd3q8m5c00000000000000zz", "patient", "", pat.actor.key),
    )
    with home.clock.stopped():
        assert (
            _waits(home, pat)
            == _waits(home, stranger)
            == [0] * 4 + [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
        )
        locked = [e for e in on_record(pat) if e["type"] == "session.locked"]
        assert len(locked) == 1
        home.clock.ahead += throttles.WAIT_MOST_MS
        assert kind_of(pat.sign_in()) == "200"
        assert _waits(home, pat)[:5] == [0, 0, 0, 0, 1]  # all was forgiven


def _waits(home: Home, who: Account) -> list[int]:
    """The waits after each of 16 failures, s; the address is forgiven meanwhile."""
    home.clock.ahead += throttles.ADDRESS_FORGIVEN_MS * 60
    waits = list[int]()
    while len(waits) < 17:
        answer = who.sign_in(password="wrong horse")
        if kind_of(answer) == "throttled":
            waits[-1] = problem(answer)["seconds"]
            assert answer.headers["retry-after"] == str(waits[-1])
            home.clock.ahead += waits[-1] * 1_000
        else:
            assert kind_of(answer) == "not_signed_in"
            waits.append(0)
    return waits[:-1]
