"""How much somebody to whom nobody gave a role may add to the log, over HTTP and beside the data."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from api.app.settings import Settings
from client import applying, registering
from client.local import LocalClient
from client.signers import possession
from crypto.encoding import b64encode
from identity.actors import Actor, new_id, new_key
from journeys import quotas
from ledger.errors import Refused
from ledger.messages import possession_message
from ledger.times import DAY_MS
from people import joining
from people.alone import register_alone
from tests.support.ledger_fixture import LedgerFixture, Person
from tests.support.server import Web, in_process, kind_of
from tests.support.sign_ins import Later, reopened

HOUR_MS = quotas.HOUR_MS


@dataclass
class Home:
    """A served ledger whose clocks can be moved."""

    fixture: LedgerFixture
    clock: Later
    web: Web

    def person(self) -> Actor:
        """Somebody in the role of a mere person."""
        return self.fixture.person().actor.in_role("person")

    def key_event(self, who: Actor) -> dict[str, Any]:
        """Another key for an account, by its own."""
        key = new_key()
        body = {
            "account": who.account, "algorithm": "ed25519", "custody": "device", "key": key.id,
            "proof": possession(key, self.web.origin, who.account), "public_key": b64encode(key.public),
        }  # fmt: skip
        return who.event("key.registered", f"account/{who.account}", body, self.clock())

    def revokes(self, who: Actor, count: int) -> str:
        """What comes of so many events in one call, each of which the log refuses: the keys are unknown."""
        sent = []
        for _ in range(count):
            body = {"account": who.account, "key": new_key().id}
            event = who.event("key.revoked", f"account/{who.account}", body, self.clock())
            sent.append(self.web.signed(event, who))
        return kind_of(self.web.post("/v1/events", sent))

    def bundles(self, who: Actor, count: int) -> str:
        """The same in a bundle."""
        events = [
            who.event(
                "key.revoked", f"account/{who.account}", {"account": who.account, "key": new_key().id}, self.clock()
            )
            for _ in range(count)
        ]  # fmt: skip
        return kind_of(self.web.post("/v1/bundles", self.web.bundled(who, events)))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    fixture = LedgerFixture.found(Settings(data=tmp_path_factory.mktemp("quotas") / "data"))
    clock = reopened(fixture)
    with in_process(fixture.ledger) as web:
        yield Home(fixture, clock, web)
    fixture.verify()
    fixture.close()


def test_a_person_appends_little_within_an_hour_and_a_day(home: Home) -> None:
    """Alone, in lists and in bundles; nobody else's counts for it."""
    pat, kim, most = home.person(), home.person(), quotas.PERSON_EVENTS_AN_HOUR
    assert home.revokes(pat, most - 10) == "200"
    assert home.bundles(pat, 11) == "quota"
    assert home.bundles(pat, 10) == "200"
    event = home.web.signed(home.key_event(pat), pat)
    answer = home.web.post("/v1/events", event)
    assert kind_of(answer) == "quota"
    assert int(answer.headers["retry-after"]) > 0
    assert home.revokes(kim, 1) == "200"
    for _ in range(2):
        home.clock.ahead += HOUR_MS
        assert home.revokes(pat, most) == "200"
    home.clock.ahead += HOUR_MS
    left = quotas.PERSON_EVENTS_A_DAY - 3 * most
    assert [home.revokes(pat, count) for count in (left + 1, left, 1)] == ["quota", "200", "quota"]
    home.clock.ahead += DAY_MS
    assert home.revokes(pat, most) == "200"


def test_a_stranger_does_not_use_up_what_others_may(home: Home) -> None:
    """What another's key signed counts for that key's owner."""
    pat, kim = home.person(), home.person()
    body = {"account": pat.account, "key": pat.key.id}
    for _ in range(quotas.PERSON_EVENTS_AN_HOUR):
        event = pat.event("key.revoked", f"account/{pat.account}", body, home.clock())
        assert kind_of(home.web.post("/v1/events", home.web.signed(event, None, kim.key))) == "key"
    assert home.revokes(pat, 1) == "200"
    assert home.revokes(kim, 1) == "quota"


def test_roles_that_somebody_gave_are_not_limited(home: Home) -> None:
    doctor = home.fixture.doctor()
    assert home.revokes(doctor, quotas.PERSON_EVENTS_A_DAY + 1) == "200"


def test_a_chart_that_somebody_opened_alone_has_a_quota(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of events, readings among them, and of bytes; nobody else uses it up, and who was registered by a hospital has none."""
    client = LocalClient(home.fixture.ledger)
    person, _ = applying.register(client, "Ada Allein")
    alone = Person(register_alone(home.fixture.ledger, person.caller, "Ada", "1958-03-14").patient, person.in_role("patient"))  # fmt: skip
    other = home.fixture.person()
    few = (quotas.Quota(5, HOUR_MS), quotas.Quota(8, DAY_MS))
    monkeypatch.setattr(quotas, "ALONE_EVENTS", few)

    def lists(who: Person, signer: Actor | None = None) -> str:
        stream = f"patient/{who.patient}"
        event = who.actor.event("chart.opened", stream, {"purpose": "PATRQT"}, home.clock())
        sent = home.web.signed(event, signer or who.actor, (signer or who.actor).key)
        return kind_of(home.web.post(f"/v1/patients/{who.patient}/chart", sent))

    assert {lists(alone, other.actor) for _ in range(6)} == {"key"}
    assert [lists(alone) for _ in range(6)] == ["200"] * 5 + ["quota"]
    assert [lists(other) for _ in range(6)] == ["200"] * 6
    home.clock.ahead += HOUR_MS
    assert [lists(alone) for _ in range(4)] == ["200"] * 3 + ["quota"]

    home.web._tokens.clear()  # their sessions have ended by now
    monkeypatch.setattr(quotas, "ALONE_BYTES", quotas.Quota(1_000, DAY_MS))

    def uploads(who: Person, size: int) -> str:
        path = f"/v1/patients/{who.patient}/blobs"
        return kind_of(home.web.post(path, actor=who.actor, content=bytes(size)))

    assert [uploads(alone, size) for size in (600, 600, 400, 1)] == [
        "200",
        "too_large",
        "200",
        "quota",
    ]
    assert uploads(other, 2_000) == "200"
    home.clock.ahead += DAY_MS
    home.web._tokens.clear()
    assert uploads(alone, 1_000) == "200"


def test_an_account_has_so_many_keys(home: Home) -> None:
    """In whatever role they are registered, over HTTP and beside the data; for one more another is revoked."""
    pat, client = home.person(), LocalClient(home.fixture.ledger)

    def register() -> str:
        key = new_key()
        proof = key.sign(possession_message(client.origin, pat.account, key.id))
        return registering.register_key(
            client, pat, pat.account, "device", key.public, proof
        )[0]  # fmt: skip

    for _ in range(quotas.KEYS_AN_ACCOUNT - 1):
        last = register()
    with pytest.raises(Refused, match="revoke one first"):
        register()
    sent = home.web.signed(home.key_event(pat), pat)
    assert kind_of(home.web.post("/v1/events", sent)) == "conflict"
    patient = pat.in_role("patient")
    sent = home.web.signed(home.key_event(patient), patient)
    assert kind_of(home.web.post("/v1/events", sent)) == "conflict"
    registering.revoke_key(client, pat, pat.account, last)
    sent = home.web.signed(home.key_event(pat), pat)
    assert [kind_of(home.web.post("/v1/events", sent)) for _ in range(2)] == ["200", "200"]


def test_an_address_registers_few_times_a_day(home: Home) -> None:
    """Every try counts, a bad one too; the day after it may again."""
    sent = {
        "account": new_id("ac", 1), "name": " ", "public_key": b64encode(new_key().public),
        "proof": b64encode(bytes(64)),
    }  # fmt: skip

    def tries(count: int) -> list[str]:
        return [kind_of(home.web.post("/v1/accounts", sent)) for _ in range(count)]

    hourly, daily = joining.REGISTERED_AN_HOUR, joining.REGISTERED_A_DAY
    for _ in range(daily // hourly):
        assert tries(hourly + 1) == ["malformed"] * hourly + ["quota"]
        home.clock.ahead += HOUR_MS
    assert tries(1) == ["quota"]
    home.clock.ahead += DAY_MS
    assert tries(1) == ["malformed"]
