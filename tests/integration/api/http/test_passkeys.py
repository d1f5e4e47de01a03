"""Passkeys in real headless Chromium with its virtual authenticator: registered, used, replayed, copied, removed."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.app.settings import Settings
from api.http import passkeys as routes
from identity import passkeys
from identity.sites import Site
from journeys.quotas import HOUR_MS, Quota
from storage.tokens import TokenStore
from tests.support.chromium import Browser, chromium
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import Web, bearer, good, in_process, kind_of
from tests.support.sign_ins import STEP_MS, Account, Later, reopened

CREATE = """
const made = await navigator.credentials.create({publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options)});
return made.toJSON();
"""
GET = """
const made = await navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options)});
return made.toJSON();
"""
PASSKEYS = "/v1/me/passkeys"
STEP_UP = "/v1/sessions/current/step-up"


@dataclass
class Home:
    """A served ledger, a browser with an authenticator on its page, and a patient with password and codes."""

    fixture: LedgerFixture
    clock: Later
    web: Web
    browser: Browser
    who: Account
    authenticator: str

    def registers(self, **bent: Any) -> httpx2.Response:
        """Make a passkey, and send it."""
        options = good(self.who.send("POST", f"{PASSKEYS}/challenge"))
        made = self.browser.run(CREATE, options=options | bent)
        return self.who.send("POST", PASSKEYS, {"credential": made})

    def registers_in(self, token: str, **shown: str) -> httpx2.Response:
        """The same in a session by password."""
        options = good(self.who.send("POST", f"{PASSKEYS}/challenge", token=token))
        made = self.browser.run(CREATE, options=options)
        return self.who.send("POST", PASSKEYS, {"credential": made, **shown}, token)

    def answers(self, **bent: Any) -> dict[str, Any]:
        """What the browser answers to a fresh challenge."""
        options = good(self.web.post("/v1/sessions/passkey"))
        found: dict[str, Any] = self.browser.run(GET, options=options | bent)
        return found

    def signs_in(self, answer: dict[str, Any], role: str = "patient") -> httpx2.Response:
        """By what the browser answered."""
        return self.web.post("/v1/sessions", {"passkey": answer, "role": role})

    def asks_up(self, token: str) -> dict[str, Any]:
        """What a session by password is asked for to step up by a passkey."""
        found: dict[str, Any] = good(self.who.send("POST", f"{STEP_UP}/passkey", token=token))
        return found

    def answers_up(self, token: str, **bent: Any) -> dict[str, Any]:
        """What the browser answers to that."""
        found: dict[str, Any] = self.browser.run(GET, options=self.asks_up(token) | bent)
        return found

    def steps_up(self, token: str, answer: dict[str, Any]) -> httpx2.Response:
        """By what the browser answered."""
        return self.who.send("POST", STEP_UP, {"passkey": answer}, token)

    def by_passkey(self) -> str:
        """The token of a session that a passkey opened."""
        return str(good(self.signs_in(self.answers()))["token"])

    def shown(self) -> list[dict[str, Any]]:
        """The own passkeys."""
        found: list[dict[str, Any]] = good(self.who.send("GET", PASSKEYS))
        return found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    fixture = LedgerFixture.found(Settings(data=tmp_path / "data"))
    clock = reopened(fixture)
    with in_process(fixture.ledger) as web, chromium(tmp_path / "browser") as browser:
        who = Account(web, clock, fixture.person().actor)
        who.set_password()
        who.enrol()
        browser.visit(web.url.replace("127.0.0.1", "localhost") + "/healthz")
        browser.tell("WebAuthn.enable")
        made = browser.tell(
            "WebAuthn.addVirtualAuthenticator",
            options={
                "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal", "hasResidentKey": True,
                "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
            },
        )  # fmt: skip
        yield Home(fixture, clock, web, browser, who, made["authenticatorId"])
    fixture.verify()
    fixture.close()


def test_a_passkey_is_two_factors(home: Home) -> None:
    """It signs in by itself, once for each challenge; what is asked names nobody; it is on record, and removed."""
    added = good(home.registers())
    assert [one["passkey"] for one in home.shown()] == [added["passkey"]]
    options = good(home.web.post("/v1/sessions/passkey"))
    assert (options["userVerification"], options.get("allowCredentials", [])) == ("required", [])
    answer = home.answers()
    session = good(home.signs_in(answer))
    assert (session["account"], session["assurance"]) == (home.who.actor.account, 2)
    assert kind_of(home.signs_in(answer)) == "not_signed_in"
    assert kind_of(home.signs_in(home.answers(), "doctor")) == "not_signed_in"
    entries = good(home.who.send("GET", "/v1/me/sign-ins", token=session["token"]))
    assert entries[0]["body"]["means"] == "passkey"
    who = home.who.actor
    added_by_key = {"account": who.account, "factor": "passkey", "key": who.key.id}
    assert added_by_key in [entry["body"] for entry in entries]
    path = f"{PASSKEYS}/{added['passkey']}"
    assert kind_of(home.who.send("DELETE", path, token=session["token"])) == "step_up"
    assert home.who.send("DELETE", path).status_code == 204
    assert kind_of(home.web.get("/v1/me", headers=bearer(session["token"]))) == "not_signed_in"
    assert kind_of(home.signs_in(home.answers())) == "not_signed_in"
    assert kind_of(home.who.send("DELETE", path)) == "conflict"


def test_what_is_no_answer_is_refused(home: Home) -> None:
    """To a challenge that isn't ours or for something else, too late, or altered."""
    assert kind_of(home.registers(challenge="A" * 43)) == "proof"
    options = good(home.web.post("/v1/sessions/passkey"))
    assert kind_of(home.registers(challenge=options["challenge"])) == "proof"
    good(home.registers())
    assert kind_of(home.signs_in(home.answers(challenge="A" * 43))) == "not_signed_in"
    answer = home.answers()
    signature = answer["response"]["signature"]
    bent = answer | {"response": answer["response"] | {"signature": signature[:-4] + "AAAA"}}
    assert kind_of(home.signs_in(bent)) == "not_signed_in"
    assert kind_of(home.signs_in(answer)) == "not_signed_in"  # its challenge was used up
    for broken in ({}, {"rawId": 1}, {"response": {"clientDataJSON": "x"}}):
        assert kind_of(home.signs_in(broken)) in ("proof", "not_signed_in")
    late = home.answers()
    home.clock.ahead += 300_001
    assert kind_of(home.signs_in(late)) == "not_signed_in"
    assert kind_of(home.signs_in(home.answers())) == "200"


def test_without_user_verification_it_is_one_factor(home: Home) -> None:
    """And one factor is none here: neither is such a passkey kept, nor does a kept one sign in so."""
    good(home.registers())
    (known,) = home.browser.tell("WebAuthn.getCredentials", authenticatorId=home.authenticator)[
        "credentials"
    ]
    home.browser.tell("WebAuthn.removeVirtualAuthenticator", authenticatorId=home.authenticator)
    weak = home.browser.tell(
        "WebAuthn.addVirtualAuthenticator",
        options={
            "protocol": "ctap2", "transport": "usb", "hasResidentKey": True, "hasUserVerification": False,
            "automaticPresenceSimulation": True,
        },
    )["authenticatorId"]  # fmt: skip
    selected = {"residentKey": "discouraged", "userVerification": "discouraged"}
    made = home.registers(authenticatorSelection=selected, excludeCredentials=[])
    assert kind_of(made) == "proof"
    home.browser.tell("WebAuthn.addCredential", authenticatorId=weak, credential=known)
    name = known["credentialId"].rstrip("=").translate(str.maketrans("+/", "-_"))
    answer = home.answers(
        userVerification="discouraged", allowCredentials=[{"id": name, "type": "public-key"}]
    )
    assert kind_of(home.signs_in(answer)) == "not_signed_in"


def test_a_counter_that_goes_back_is_refused_and_told(home: Home) -> None:
    """As a copy's does: in the answer, and to the owner wherever the passkey is listed."""
    good(home.registers())
    good(home.signs_in(home.answers()))
    with home.fixture.ledger.database.write() as connection:
        connection.exec_driver_sql("UPDATE passkeys SET counter = 1000")
    refused = home.signs_in(home.answers())
    assert kind_of(refused) == "not_signed_in" and "went back" in refused.json()["detail"]
    assert home.shown()[0]["regressed"]


def test_one_is_registered_by_a_fresh_code(home: Home) -> None:
    """Or in a session by key; no step-up before stands in for it, and there is none for an account without codes."""
    home.clock.ahead += STEP_MS
    token = home.who.token(code=home.who.code())
    sent = {"recovery": home.who.recovery.pop()}
    token = good(home.who.send("POST", "/v1/sessions/current/step-up", sent, token))["token"]
    assert kind_of(home.registers_in(token)) == "proof"
    assert kind_of(home.registers_in(token, recovery=sent["recovery"])) == "proof"
    assert home.shown() == []
    good(home.registers_in(token, recovery=home.who.recovery.pop()))
    other = Account(home.web, home.clock, home.fixture.person().actor)
    other.set_password()
    assert kind_of(other.send("POST", f"{PASSKEYS}/challenge")) == "second_factor"


def test_a_ceremony_begun_at_one_server_ends_at_another(home: Home, tmp_path: Path) -> None:
    """Which has a token store of its own; neither takes the answer twice."""
    fixture, site = home.fixture, Site(home.web.url.replace("127.0.0.1", "localhost"))
    other = opened(fixture.settings, home.clock, boot=home.clock.boot)
    other.tokens.close()
    other.tokens = TokenStore(tmp_path / "other.db")
    caller = home.who.actor.in_role("person").caller
    with closing(other):
        options = passkeys.registration_options(other, caller, site)
        made = home.browser.run(CREATE, options=options)
        good(home.who.send("POST", PASSKEYS, {"credential": made}))
        answer = home.answers()
        session = passkeys.sign_in_by_passkey(other, site, answer, "patient", "", "")
        assert home.who.me(session.token).status_code == 200
        assert kind_of(home.signs_in(answer)) == "not_signed_in"


def test_one_that_is_removed_meanwhile_signs_nobody_in(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its answer and the session: the removal comes first."""
    name, proved = good(home.registers())["passkey"], passkeys._proved

    def removes(*arguments: Any) -> Any:
        found = proved(*arguments)
        assert home.who.send("DELETE", f"{PASSKEYS}/{name}").status_code == 204
        return found

    answer = home.answers()
    monkeypatch.setattr(passkeys, "_proved", removes)
    assert kind_of(home.signs_in(answer)) == "not_signed_in"


def test_one_that_a_revocation_took_signs_nobody_in(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That changes no factor's version, so the row is looked at once more."""
    good(home.registers())
    proved, ledger = passkeys._proved, home.fixture.ledger

    def takes(*arguments: Any) -> Any:
        found = proved(*arguments)
        with ledger.database.write() as connection:
            connection.exec_driver_sql("DELETE FROM passkeys")
        return found

    answer = home.answers()
    monkeypatch.setattr(passkeys, "_proved", takes)
    assert kind_of(home.signs_in(answer)) == "not_signed_in"


def test_a_passkey_steps_up(home: Home) -> None:
    """Once for each challenge, with another token; the log says by what, and an audit takes what rests on it for assurance 3."""
    good(home.registers())
    token = home.by_passkey()
    asked = home.asks_up(token)
    assert (asked["userVerification"], len(asked["allowCredentials"])) == ("required", 1)
    answer = home.answers_up(token)
    session = good(home.steps_up(token, answer))
    assert (session["assurance"], session["account"]) == (3, home.who.actor.account)
    assert kind_of(home.steps_up(token, answer)) == "not_signed_in"  # that token is dead
    assert kind_of(home.steps_up(session["token"], answer)) == "proof"
    newest = good(home.who.send("GET", "/v1/me/sign-ins", token=session["token"]))[0]
    said = {
        "account": home.who.actor.account, "means": "passkey", "session": session["session"],
    }  # fmt: skip
    assert (newest["type"], newest["body"]) == ("session.stepped_up", said)
    name = home.shown()[0]["passkey"]
    path = f"{PASSKEYS}/{name}"
    assert home.who.send("DELETE", path, token=session["token"]).status_code == 204
    assert (
        kind_of(home.who.send("POST", f"{STEP_UP}/passkey", token=session["token"])) == "conflict"
    )


def test_a_step_up_answers_its_own_challenge(home: Home) -> None:
    """Neither that of a sign-in, nor of another session, nor one that is too old, altered, or another account's passkey."""
    good(home.registers())
    token, other = home.by_passkey(), home.by_passkey()
    assert kind_of(home.steps_up(token, home.answers())) == "proof"
    assert kind_of(home.signs_in(home.answers_up(token))) == "not_signed_in"
    assert kind_of(home.steps_up(token, home.answers_up(other))) == "proof"
    answer = home.answers_up(token)
    signature = answer["response"]["signature"]
    bent = answer | {"response": answer["response"] | {"signature": signature[:-4] + "AAAA"}}
    assert kind_of(home.steps_up(token, bent)) == "proof"
    assert kind_of(home.steps_up(token, answer)) == "proof"  # its challenge was used up
    for broken in ({}, {"rawId": 1}, {"response": {"clientDataJSON": "x"}}):
        assert kind_of(home.steps_up(token, broken)) == "proof"
    both = {"code": "123456", "passkey": home.answers_up(token)}
    assert kind_of(home.who.send("POST", STEP_UP, both, token)) == "malformed"
    late = home.answers_up(token)
    home.clock.ahead += 300_001
    assert kind_of(home.steps_up(token, late)) == "proof"
    assert kind_of(home.who.send("POST", f"{STEP_UP}/passkey")) == "forbidden"
    assert kind_of(home.web.post(f"{STEP_UP}/passkey")) == "not_signed_in"
    assert good(home.steps_up(token, home.answers_up(token)))["assurance"] == 3


def test_nobody_steps_up_by_anothers_passkey(home: Home) -> None:
    """Though it answers the very challenge of this session."""
    good(home.registers())
    token, first = home.by_passkey(), home.who
    home.who = Account(home.web, home.clock, home.fixture.person().actor)
    home.who.set_password()
    home.who.enrol()
    made = good(home.registers())
    options = good(home.who.send("POST", f"{PASSKEYS}/challenge"))
    (own,) = [one["id"] for one in options["excludeCredentials"]]
    home.who = first
    answer = home.answers_up(token, allowCredentials=[{"id": own, "type": "public-key"}])
    assert answer["id"] == own and made["passkey"]
    assert kind_of(home.steps_up(token, answer)) == "proof"


def test_a_step_up_verifies_the_user(home: Home) -> None:
    """Whoever only touches the authenticator isn't known by it, whatever a page asked of the browser."""
    good(home.registers())
    token = home.by_passkey()
    home.browser.tell(
        "WebAuthn.setUserVerified", authenticatorId=home.authenticator, isUserVerified=False
    )
    answer = home.answers_up(token, userVerification="discouraged")
    assert kind_of(home.steps_up(token, answer)) == "proof"


def test_step_ups_by_passkey_are_counted(home: Home) -> None:
    """Among what an account does in an hour: nothing else would bound what they write into the log."""
    good(home.registers())
    token = home.by_passkey()
    with home.fixture.ledger.database.write() as connection:
        connection.exec_driver_sql("UPDATE credentials SET acts = 60")
    answer = home.answers_up(token)
    assert kind_of(home.steps_up(token, answer)) == "throttled"
    home.clock.ahead += 1_000_000
    home.clock.ahead += 2_600_000
    token = home.by_passkey()
    assert good(home.steps_up(token, home.answers_up(token)))["assurance"] == 3


@pytest.mark.parametrize("removes", ["DELETE FROM passkeys", "DELETE FROM sessions"])
def test_a_step_up_that_something_came_before(
    home: Home, monkeypatch: pytest.MonkeyPatch, removes: str
) -> None:
    """The passkey removed, or the session ended, between the answer and its entry."""
    good(home.registers())
    token, proved, ledger = home.by_passkey(), passkeys._proved, home.fixture.ledger

    def takes(*arguments: Any) -> Any:
        found = proved(*arguments)
        with ledger.database.write() as connection:
            connection.exec_driver_sql(removes)
        return found

    answer = home.answers_up(token)
    monkeypatch.setattr(passkeys, "_proved", takes)
    size = ledger.head().size
    assert kind_of(home.steps_up(token, answer)) in ("proof", "not_signed_in")
    assert ledger.head().size == size


def test_an_address_begins_so_many_an_hour(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for a challenge needs no account, and makes the database write."""
    monkeypatch.setattr(routes, "CHALLENGES", (Quota(2, HOUR_MS),))
    answers = [home.web.client.post("/v1/sessions/passkey") for _ in range(3)]
    assert [kind_of(one) for one in answers] == ["200", "200", "quota"]
