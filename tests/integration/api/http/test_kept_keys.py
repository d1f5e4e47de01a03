"""Keys that the service keeps, over HTTP: used in their owner's session alone; made, replaced, rotated, revoked, lost."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pyotp
import pytest

from api.app.settings import Settings
from client.signers import possession, signer_of
from crypto.encoding import b64decode, b64encode
from identity import kept, onrecord, throttles
from identity.actors import Actor, new_id, new_key
from journeys.errors import NotThere
from ledger.directory import RECOVERY_WAIT_MS, Key
from ledger.sent import sent_event
from ledger.sequencer import Appended
from ledger.times import DAY_MS, format_time
from records.explaining import check_still_permitted
from tests.support.inbox import give
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import Web, bearer, good, in_process, kind_of, problem
from tests.support.sign_ins import PASSWORD, STEP_MS, Account, Later, reopened

KEPT = "/v1/me/keys/kept"


@dataclass
class Home:
    """A served ledger whose clocks can be moved."""

    fixture: LedgerFixture
    clock: Later
    web: Web

    def alone(self) -> "Alone":
        """Somebody who registered with a password, set up codes, and is signed in as a person with both."""
        ledger = self.fixture.ledger
        key = new_key()  # of their own; the service doesn't know it
        actor = Actor(ledger.origin, new_id("ac", ledger.clock()), "person", "", key)
        sent = {"account": actor.account, "name": "Ada", "password": PASSWORD}
        assert good(self.web.post("/v1/accounts", sent))["key"] == ""
        who = Alone(self.web, self.clock, actor)
        who.session = who.token()
        seed = good(who.act("POST", "/v1/me/factors/code"))["seed"]
        who.seed = seed
        confirmed = {"code": who.code(), "password": PASSWORD}
        who.recovery = good(who.act("POST", "/v1/me/factors/code/confirm", confirmed))["recovery"]
        self.next_code()
        who.signs_in("person")
        return who

    def with_chart(self) -> "Alone":
        """The same with a kept key and a chart, signed in as its patient."""
        who = self.alone()
        assert good(who.act("POST", KEPT, {}))["seq"] > 0
        who.chart = good(who.act("POST", "/v1/patients", {"name": "Ada", "born": "1958-03-14"}))[
            "patient"
        ]
        self.next_code()
        who.signs_in("patient")
        return who

    def next_code(self) -> None:
        """Until another code counts."""
        self.clock.ahead += STEP_MS


class Alone(Account):
    """Somebody in a session by password."""

    session = ""
    chart = ""
    role = ""

    def signs_in(self, role: str, **second: str) -> None:
        """With the code now, unless something else is shown."""
        self.role = role
        self.session = self.token(role=role, **(second or {"code": self.code()}))

    def act(self, method: str, path: str, value: Any = None) -> httpx2.Response:
        """A request in the session."""
        return self.send(method, path, value, self.session)

    def steps_up(self) -> None:
        """By a recovery code."""
        sent = self.shows()
        self.session = good(self.act("POST", "/v1/sessions/current/step-up", sent))["token"]

    def event(self, kind: str, body: dict[str, Any], stream: str = "", **bent: Any) -> Any:
        """An event without a signature."""
        actor = self.actor.in_role(self.role)
        event = actor.event(kind, stream or f"patient/{self.chart}", body, self.clock())
        return {"event": event | {"v": 2 if kind == "access.granted" else 1} | bent}

    def lists(self, **bent: Any) -> httpx2.Response:
        """The own chart."""
        sent = self.event("chart.opened", {"purpose": "PATRQT"}, **bent)
        return self.act("POST", f"/v1/patients/{self.chart}/chart", sent)

    def stages(self, content: bytes) -> httpx2.Response:
        """Content for the own chart."""
        path, headers = f"/v1/patients/{self.chart}/blobs", bearer(self.session)
        return self.web.client.post(path, content=content, headers=headers)

    def seals(self) -> httpx2.Response:
        """A text for the own chart, as before something is signed."""
        sent = {"object": self.chart, "event": new_id("ev", self.clock()), "texts": {"title": "x"}}
        return self.act("POST", f"/v1/patients/{self.chart}/seal", sent)

    def grants(self, reader: str) -> httpx2.Response:
        """The whole chart for a day."""
        now = self.clock()
        body = {
            "actions": ["list", "read"], "end": format_time(now + DAY_MS), "grant": new_id("gr", now),
            "grantee": reader, "purpose": "PATRQT", "scope": "full", "start": format_time(now),
        }  # fmt: skip
        return self.act("POST", "/v1/events", self.event("access.granted", body))

    def shown(self) -> list[dict[str, Any]]:
        """The own keys, the newest first."""
        found: list[dict[str, Any]] = good(self.act("GET", "/v1/me/keys"))
        return found

    def shows(self) -> dict[str, str]:
        """A recovery code, which counts once."""
        return {"recovery": self.recovery.pop()}

    def own_key(self) -> dict[str, str]:
        """What is sent to put the own key in, but for a code."""
        key, actor = self.actor.key, self.actor
        proof = possession(signer_of(actor), actor.origin, actor.account)
        return {"proof": proof, "public_key": b64encode(key.public)}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    fixture = LedgerFixture.found(Settings(data=tmp_path_factory.mktemp("kept") / "data"))
    clock = reopened(fixture)
    with in_process(fixture.ledger) as web:
        yield Home(fixture, clock, web)
    fixture.verify()
    fixture.close()


@pytest.fixture(autouse=True)
def _forgiven(home: Home) -> None:
    """What failed in the test before is forgiven by now."""
    home.clock.ahead += throttles.ADDRESS_FORGIVEN_MS * 60


def test_it_signs_in_the_owners_session_alone(home: Home) -> None:
    """Not without one, after its end, in another account's, for another account, or in another role."""
    ada, eve = home.with_chart(), home.with_chart()
    assert kind_of(ada.lists()) == "200"
    sent = ada.event("chart.opened", {"purpose": "PATRQT"})
    path = f"/v1/patients/{ada.chart}/chart"
    assert kind_of(home.web.post(path, sent)) == "malformed"
    assert kind_of(eve.act("POST", path, sent)) == "key"
    assert kind_of(ada.lists(**{"as": {"role": "person"}})) == "role"
    assert kind_of(home.web.post("/v1/events", sent | {"sig": {}})) == "malformed"
    own = ada.actor.in_role("patient")
    other = home.web.signed(sent["event"], own)
    assert kind_of(home.web.post(path, other)) == "key"  # a key that the log doesn't know
    old = ada.session
    assert ada.act("DELETE", "/v1/sessions").status_code == 204
    assert kind_of(ada.lists()) == "not_signed_in"
    home.next_code()
    ada.signs_in("patient")
    assert kind_of(ada.lists()) == "200"
    ada.session = old
    assert kind_of(ada.lists()) == "not_signed_in"


def test_what_was_opened_ends_with_the_session(home: Home) -> None:
    """A later range asks again; a step-up between ends nothing."""
    ada = home.with_chart()
    staged = good(ada.stages(b"RR 128/82 mmHg"))
    body = {
        "category": "document", "confidentiality": "normal", "media_type": "text/plain", "purpose": "PATRQT",
        "version": 1, **staged,
    }  # fmt: skip
    good(ada.act("POST", "/v1/events", ada.event("record.uploaded", body)))
    named = {"blob": staged["blob"], "purpose": "PATRQT", "record": staged["record"], "version": 1}
    path = f"/v1/records/{staged['record']}/content"
    ada.steps_up()
    read = ada.act("POST", path, ada.event("record.opened", named))
    assert read.content == b"RR 128/82 mmHg"
    ada.steps_up()
    entry = home.fixture.ledger.entry(int(read.headers["Heartwood-Entry"]))
    check_still_permitted(home.fixture.ledger, entry)
    ada.act("DELETE", "/v1/sessions")
    with pytest.raises(NotThere):
        check_still_permitted(home.fixture.ledger, entry)


def test_granting_takes_a_step_up(home: Home) -> None:
    """Within five minutes; each decision names the sign-in, or the step-up that gave its level."""
    ada, doctor = home.with_chart(), home.fixture.doctor().account
    denied = problem(ada.grants(doctor))
    assert (denied["rule"], denied["reason"]) == ("S3", "step_up")
    ada.steps_up()
    seq = good(ada.grants(doctor))["entries"][0]["seq"]
    entry = home.fixture.ledger.entry(seq)
    assert entry.decision is not None and entry.decision["assurance"] == 3
    named = home.fixture.ledger.entry(entry.decision["session"]).event
    assert (named.type.name, named.body["account"]) == ("session.stepped_up", ada.actor.account)
    listed = [ada.event("reader.excluded", {"purpose": "PATRQT", "reader": doctor}), {"event": 1}]
    found = good(ada.act("POST", "/v1/events", listed))["entries"]
    assert "seq" in found[0] and found[1]["problem"]["type"].endswith("malformed")
    home.clock.ahead += 300_000
    assert problem(ada.grants(doctor))["reason"] == "step_up"
    assert kind_of(ada.lists()) == "200"


def test_what_is_not_gated_takes_one_as_well(home: Home) -> None:
    """Its entry can't name the sign-in; and keys are changed by calls of their own."""
    ada, hospital = home.alone(), home.fixture.north.hospital
    assert kind_of(ada.act("POST", "/v1/subjects", {"subjects": []})) == "forbidden"
    assert good(ada.act("POST", KEPT, {}))["seq"] > 0
    body = {"account": ada.actor.account, "profession": "physician"}
    applied = ada.event("doctor.applied", body, f"hospital/{hospital}")
    assert kind_of(ada.act("POST", "/v1/events", applied)) == "step_up"
    revoked = {"account": ada.actor.account, "key": ada.shown()[0]["key"]}
    stream = f"account/{ada.actor.account}"
    sent = ada.event("key.revoked", revoked, stream)
    ada.steps_up()
    assert kind_of(ada.act("POST", "/v1/events", sent)) == "key"
    # Another's stream is for the log's own rules: a mere person registers nobody there.
    other = new_id("ac", home.clock())
    registered = ada.event("account.registered", {"account": other}, f"account/{other}")
    assert kind_of(ada.act("POST", "/v1/events", registered)) == "role"
    applied = ada.event("doctor.applied", body, f"hospital/{hospital}")
    assert kind_of(ada.act("POST", "/v1/events", applied)) == "200"


def test_a_second_factor_comes_first(home: Home) -> None:
    """Neither an account without one nor a session without it is given a kept key."""
    pat = home.fixture.person().actor
    who = Account(home.web, home.clock, pat)
    who.set_password()
    assert kind_of(who.send("POST", KEPT, {})) == "second_factor"
    assert kind_of(who.send("POST", KEPT, {}, who.token())) == "second_factor"


def test_ones_own_key_lets_the_service_keep_one(home: Home) -> None:
    """By its signature, and not otherwise; it is told."""
    pat = home.fixture.person().actor
    who = Account(home.web, home.clock, pat)
    who.set_password()
    who.enrol()
    made = good(who.send("POST", KEPT, {}))
    assert made["seq"] == 0
    home.next_code()
    token = who.token(code=who.code())
    assert not any(one["kept"] for one in good(who.send("GET", "/v1/me/keys", None, token)))
    body = {
        "account": pat.account, "algorithm": "ed25519", "custody": "service", "key": made["key"],
        "proof": made["proof"], "public_key": made["public_key"],
    }  # fmt: skip
    person = pat.in_role("person")
    event = person.event("key.registered", f"account/{pat.account}", body, home.clock())
    seq = good(home.web.post("/v1/events", home.web.signed(event, person)))["entries"][0]["seq"]
    shown = good(who.send("GET", "/v1/me/keys", None, token))
    assert [(one["custody"], one["kept"]) for one in shown] == [
        ("service", True),
        ("device", False),
    ]
    assert shown[0]["seq"] == seq
    told = home.fixture.ledger.database.fetch(
        "SELECT kind FROM outbox WHERE account = ? AND kind = 'key_registered'", (pat.account,)
    )
    assert len(told) == 1
    assert kind_of(who.send("POST", KEPT, {})) == "conflict"
    _revoke(home, pat, made["key"])
    assert home.fixture.ledger.credentials.kept_keys.of(pat.account) == []


def test_of_two_that_wait_one_is_registered(home: Home) -> None:
    """Also where the owner's own key signs for both."""
    who = Account(home.web, home.clock, home.fixture.person().actor.in_role("person"))
    who.set_password()
    who.enrol()
    found = []
    for made in [good(who.send("POST", KEPT, {})) for _ in range(2)]:
        body = {
            "account": who.actor.account, "algorithm": "ed25519", "custody": "service", "key": made["key"],
            "proof": made["proof"], "public_key": made["public_key"],
        }  # fmt: skip
        stream = f"account/{who.actor.account}"
        event = who.actor.event("key.registered", stream, body, home.clock())
        found.append(kind_of(home.web.post("/v1/events", home.web.signed(event, who.actor))))
    assert found == ["200", "conflict"]


def _revoke(home: Home, pat: Actor, key: str) -> None:
    person = pat.in_role("person")
    body = {"account": pat.account, "key": key}
    event = person.event("key.revoked", f"account/{pat.account}", body, home.clock())
    good(home.web.post("/v1/events", home.web.signed(event, person)))


def test_a_key_of_ones_own_takes_its_place(home: Home) -> None:
    """By a code; the kept one is revoked and destroyed, and what it signed stays good."""
    ada = home.with_chart()
    wrong = ada.own_key() | {"proof": b64encode(bytes(64)), "recovery": ada.recovery[-1]}
    assert kind_of(ada.act("POST", f"{KEPT}/replacement", wrong)) == "key"
    assert kind_of(ada.lists()) == "200"
    good(ada.act("POST", f"{KEPT}/replacement", ada.own_key() | ada.shows()))
    assert [(one["custody"], one["active"], one["kept"]) for one in ada.shown()] == [
        ("device", True, False), ("service", False, False),
    ]  # fmt: skip
    assert home.fixture.ledger.credentials.kept_keys.of(ada.actor.account) == []
    assert kind_of(ada.lists()) == "forbidden"
    patient = ada.actor.in_role("patient")
    signed = home.web.signed(ada.event("chart.opened", {"purpose": "PATRQT"})["event"], patient)
    assert kind_of(home.web.post(f"/v1/patients/{ada.chart}/chart", signed)) == "200"
    # The other way takes that key's signature.
    assert good(ada.act("POST", KEPT, {}))["seq"] == 0
    assert kind_of(ada.lists()) == "forbidden"


def test_it_is_rotated_and_revoked(home: Home) -> None:
    """Each by a code; without any key left there is only a recovery, which waits, and is told."""
    ada = home.with_chart()
    first = ada.shown()[0]["key"]
    second = good(ada.act("POST", f"{KEPT}/rotation", ada.shows()))["key"]
    assert [(one["key"], one["active"]) for one in ada.shown()] == [(second, True), (first, False)]
    kept_now = home.fixture.ledger.credentials.kept_keys.of(ada.actor.account)
    assert [one.key for one in kept_now] == [second]
    assert kind_of(ada.lists()) == "200"
    good(ada.act("DELETE", KEPT, ada.shows()))
    assert kind_of(ada.lists()) == "forbidden"
    assert kind_of(ada.act("POST", KEPT, {})) == "forbidden"
    home.clock.ahead += kept.SETTLED_MS
    ada.signs_in("patient")
    ada.steps_up()
    made = good(ada.act("POST", KEPT, {"recovery": True}))
    row = home.fixture.ledger.row(Key, made["key"])
    assert (
        row is not None
        and row.counts_from == home.fixture.ledger.entry(made["seq"]).time + RECOVERY_WAIT_MS
    )
    assert kind_of(ada.lists()) == kind_of(ada.seals()) == "forbidden"
    home.clock.ahead += RECOVERY_WAIT_MS
    ada.signs_in("patient")
    assert (
        kind_of(ada.seals()) == "200"
    )  # the keeper's clock, by which nothing is read yet, was not moved


def test_a_recovery_takes_a_step_up(home: Home) -> None:
    """And a key that was lost."""
    ada = home.alone()
    assert kind_of(ada.act("POST", KEPT, {"recovery": True})) == "conflict"
    good(ada.act("POST", KEPT, {}))
    good(ada.act("DELETE", KEPT, ada.shows()))
    assert kind_of(ada.act("POST", KEPT, {"recovery": True})) == "step_up"


def test_a_recovery_waits_for_what_was_changed(home: Home) -> None:
    """Whoever has just set up codes, or given an address, isn't given a key a day later: its owner is to hear of it first."""
    ada = home.alone()
    good(ada.act("POST", KEPT, {}))
    good(ada.act("DELETE", KEPT, ada.shows()))
    ada.steps_up()
    assert kind_of(ada.act("POST", KEPT, {"recovery": True})) == "conflict"
    home.clock.ahead += kept.SETTLED_MS
    ada.signs_in("person")
    ada.steps_up()
    give(home.fixture, ada.actor.account, "ada@kept.example")
    assert kind_of(ada.act("POST", KEPT, {"recovery": True})) == "conflict"
    home.clock.ahead += kept.SETTLED_MS
    ada.signs_in("person")
    ada.steps_up()
    good(ada.act("POST", KEPT, {"recovery": True}))


def test_who_has_a_key_recovers_none(home: Home) -> None:
    """That key can sign for another one."""
    who = Account(home.web, home.clock, home.fixture.person().actor)
    who.set_password()
    who.enrol()
    home.clock.ahead += kept.SETTLED_MS
    token = who.token(code=who.code())
    sent = {"recovery": who.recovery.pop()}
    token = good(who.send("POST", "/v1/sessions/current/step-up", sent, token))["token"]
    assert kind_of(who.send("POST", KEPT, {"recovery": True}, token)) == "conflict"


def test_without_codes_it_signs_nothing(home: Home) -> None:
    """They aren't removed while a key is kept; were they gone, a password alone would neither use it nor set up others."""
    ada, ledger = home.with_chart(), home.fixture.ledger
    path = "/v1/me/factors/code"
    removal = {"password": PASSWORD, "recovery": ada.recovery[0]}
    assert kind_of(ada.act("DELETE", path, removal)) == "conflict"
    with ledger.database.write() as connection:
        for table in ("factors", "recovery_codes"):
            statement = ledger.database.sql(f"DELETE FROM {table} WHERE account = ?")
            connection.exec_driver_sql(statement, (ada.actor.account,))
    assert kind_of(ada.lists()) == "second_factor"
    ada.session = ada.token(role="patient")
    assert kind_of(ada.lists()) == "second_factor"
    assert kind_of(ada.seals()) == "forbidden"
    assert kind_of(ada.act("POST", path)) == "forbidden"
    sent = ada.own_key() | {"code": "123456"}
    assert kind_of(ada.act("POST", f"{KEPT}/replacement", sent)) == "second_factor"


def test_codes_are_replaced_without_a_gap(home: Home) -> None:
    """By the password, a code of the new ones and one of those before, which count until then."""
    ada, path = home.with_chart(), "/v1/me/factors/code"
    old, recovery = ada.seed, ada.recovery[0]
    new = good(ada.act("POST", path))["seed"]
    home.next_code()
    code = pyotp.TOTP(new).at(home.clock() // 1_000)
    sent = {"code": code, "password": PASSWORD}
    for wrong in ({}, {"old_code": code}, {"recovery": "0123-4567-89ab-cdef"}):
        assert kind_of(ada.act("POST", f"{path}/confirm", sent | wrong)) == "proof"
    home.clock.ahead += throttles.WAIT_MOST_MS
    code = pyotp.TOTP(new).at(home.clock() // 1_000)
    shown = {"code": code, "password": PASSWORD, "old_code": ada.code()}
    ada.recovery = good(ada.act("POST", f"{path}/confirm", shown))["recovery"]
    assert len(ada.recovery) == 10
    assert kind_of(ada.lists()) == "200"
    home.next_code()
    assert kind_of(ada.sign_in(code=pyotp.TOTP(old).at(home.clock() // 1_000))) == "not_signed_in"
    assert kind_of(ada.sign_in(recovery=recovery)) == "not_signed_in"
    ada.seed = new
    ada.signs_in("patient")
    added = [one["body"] for one in good(ada.act("GET", "/v1/me/sign-ins"))]
    assert {"account": ada.actor.account, "factor": "code", "replaces": True} in added


@pytest.mark.parametrize("how", ["rotation", "replacement", "revocation"])
def test_a_stolen_token_makes_nothing_that_lasts(home: Home, how: str) -> None:
    """Not even within the minutes after a step-up: each takes a code of its own, and guesses are counted."""
    ada = home.with_chart()
    method, path, sent = {
        "rotation": ("POST", f"{KEPT}/rotation", {}),
        "replacement": ("POST", f"{KEPT}/replacement", ada.own_key()),
        "revocation": ("DELETE", KEPT, {}),
    }[how]
    ada.steps_up()
    assert kind_of(ada.act(method, path, sent)) == "proof"
    for _ in range(throttles.ACCOUNT_FREE + 1):
        wrong = {"recovery": "0123-4567-89ab-cdef"}
        assert kind_of(ada.act(method, path, sent | wrong)) == "proof"
    assert kind_of(ada.act(method, path, sent | ada.shows())) == "throttled"
    home.clock.ahead += throttles.FIRST_WAIT_MS
    assert kind_of(ada.act(method, path, sent | {"recovery": ada.recovery[-1]})) == "200"
    assert kind_of(ada.sign_in(recovery=ada.recovery[-1])) == "not_signed_in"  # it was used up


def test_what_is_done_to_it_is_counted(home: Home) -> None:
    """As changes of factors are: nobody fills the log so."""
    ada, ledger = home.alone(), home.fixture.ledger
    with ledger.database.write() as connection:
        statement = "UPDATE credentials SET acts = ?, acts_since = ? WHERE account = ?"
        values = (onrecord.ACTS_AN_HOUR - 1, home.clock(), ada.actor.account)
        connection.exec_driver_sql(ledger.database.sql(statement), values)
    good(ada.act("POST", KEPT, {}))
    sent = {"recovery": ada.recovery[-1]}
    assert kind_of(ada.act("POST", f"{KEPT}/rotation", sent)) == "throttled"
    assert kind_of(ada.act("DELETE", KEPT, sent)) == "throttled"
    home.clock.ahead += onrecord.ACTS_MS
    ada.signs_in("person")
    good(ada.act("POST", f"{KEPT}/rotation", sent))


def test_one_key_is_kept_at_a_time(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two who ask at once one is refused."""
    ada, made, first = home.alone(), kept._make, list[bool]()
    good(ada.act("POST", KEPT, {}))
    good(ada.act("DELETE", KEPT, ada.shows()))
    home.clock.ahead += kept.SETTLED_MS
    ada.signs_in("person")
    ada.steps_up()

    def recovers_twice(*arguments: Any) -> Any:
        if not first:
            first.append(True)
            good(ada.act("POST", KEPT, {"recovery": True}))
        return made(*arguments)

    monkeypatch.setattr(kept, "_make", recovers_twice)
    assert kind_of(ada.act("POST", KEPT, {"recovery": True})) == "conflict"
    assert [one["active"] for one in ada.shown()] == [True, False]


def test_a_key_that_is_called_kept_is_none(home: Home) -> None:
    """Who holds it signs in with no challenge, registers no such key, and its revocation ends sessions."""
    pat = home.fixture.person().actor.in_role("person")
    who = Account(home.web, home.clock, pat)
    who.set_password()
    key = new_key()
    disguised = Actor(pat.origin, pat.account, "person", "", key)
    body = {
        "account": pat.account, "algorithm": "ed25519", "custody": "service", "key": key.id,
        "proof": possession(signer_of(disguised), pat.origin, pat.account), "public_key": b64encode(key.public),
    }  # fmt: skip
    event = pat.event("key.registered", f"account/{pat.account}", body, home.clock())
    signed = home.web.signed(event, pat)
    assert kind_of(home.web.post("/v1/events", signed)) == "key"
    ledger = home.fixture.ledger
    sent, name, value, _ = sent_event(signed)
    proposal = ledger.signatures.check(sent, name, value)
    assert isinstance(ledger.append([proposal])[0], Appended)  # as it might stand from before
    assert kind_of(home.web.sign_in(disguised)) == "not_signed_in"
    token = who.token()
    _revoke(home, pat, key.id)
    assert kind_of(who.me(token)) == "not_signed_in"


def test_the_first_key_of_others_is_not_the_services(home: Home) -> None:
    """Whoever registered an account vouches for it."""
    ledger = home.fixture.ledger
    ada = home.alone()
    with ledger.database.write() as connection:
        connection.exec_driver_sql(
            ledger.database.sql("UPDATE accounts SET registrar = ? WHERE account = ?"),
            (home.fixture.north.hospital, ada.actor.account),
        )
    assert kind_of(ada.act("POST", KEPT, {})) == "forbidden"
    with ledger.database.write() as connection:
        connection.exec_driver_sql(
            ledger.database.sql("UPDATE accounts SET registrar = ? WHERE account = ?"),
            ("service", ada.actor.account),
        )


def test_waiting_keys_are_few(home: Home) -> None:
    """Those that nobody registers make room after a day."""
    pat = home.fixture.person().actor
    who = Account(home.web, home.clock, pat)
    who.set_password()
    who.enrol()
    for _ in range(kept.WAITING_MOST):
        good(who.send("POST", KEPT, {}))
    assert kind_of(who.send("POST", KEPT, {})) == "conflict"
    home.clock.ahead += kept.WAITING_MS + 1
    good(who.send("POST", KEPT, {}))
    assert len(home.fixture.ledger.credentials.kept_keys.of(pat.account)) == 1


def test_it_lies_nowhere_in_clear(home: Home) -> None:
    """Not its seed, not the password: in no file of the ledger; and another account's doesn't open."""
    ada, eve, ledger = home.with_chart(), home.with_chart(), home.fixture.ledger
    (mine,), (others,) = (ledger.credentials.kept_keys.of(one.actor.account) for one in (ada, eve))
    seed = ledger.identity.open(kept.SIGNING_KEY, ada.actor.account, mine.sealed)
    wanted = (seed, seed.hex().encode(), b64encode(seed).encode(), PASSWORD.encode())
    for path in home.fixture.settings.data.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(one in data for one in wanted), path
    with ledger.database.write() as connection:
        connection.exec_driver_sql(
            ledger.database.sql("UPDATE kept_keys SET sealed = ? WHERE key = ?"),
            (others.sealed, mine.key),
        )
    assert kind_of(ada.lists()) == "database"
    with ledger.database.write() as connection:
        connection.exec_driver_sql(
            ledger.database.sql("UPDATE kept_keys SET sealed = ? WHERE key = ?"),
            (mine.sealed, mine.key),
        )
    assert kind_of(ada.lists()) == "200"
    assert len(b64decode(ada.own_key()["public_key"], 32)) == 32


def test_it_signs_for_a_page_of_the_own_site_alone(home: Home) -> None:
    """In a session by cookie: with this site's origin and the session's CSRF token, and nothing without."""
    ada, url = home.with_chart(), home.web.url
    home.next_code()
    page = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
    sent = {
        "account": ada.actor.account,
        "password": PASSWORD,
        "role": "patient",
        "code": ada.code(),
    }
    asked = httpx2.post(
        f"{url}/v1/sessions", json=sent, headers=page | {"Heartwood-Session": "cookie"}
    )
    shown = "; ".join(line.partition(";")[0] for line in asked.headers.get_list("set-cookie"))

    def lists(**headers: str) -> str:
        path, event = (
            f"/v1/patients/{ada.chart}/chart",
            ada.event("chart.opened", {"purpose": "PATRQT"}),
        )
        return kind_of(
            httpx2.post(f"{url}{path}", json=event, headers={"Cookie": shown, **headers})
        )

    csrf = {"Heartwood-CSRF": good(asked)["csrf"]}
    assert lists(**page, **csrf) == "200"
    assert lists(**page) == "cross_site"
    assert lists(**csrf) == "cross_site"
    assert lists(**page | {"Origin": "https://elsewhere.example"}, **csrf) == "cross_site"
    assert lists(**page | {"Sec-Fetch-Site": "cross-site"}, **csrf) == "cross_site"
    assert lists(**page, **{"Heartwood-CSRF": "A" * 44}) == "cross_site"
