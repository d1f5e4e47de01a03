"""Referrals over HTTP: who sees which, what a taking up gives, once, and how it is answered when it doesn't fit."""

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from api.app.settings import Settings
from client import referring
from client.http import HttpClient
from client.local import LocalClient
from crypto.xwing import ReceivingKey
from identity.actors import Actor
from ledger.errors import Tampered
from ledger.packages import Package
from tests.integration.conftest import fresh_settings
from tests.support.ledger_fixture import CONTENT
from tests.support.server import good, kind_of
from tests.support.server_fixture import ServerFixture, served_people


@pytest.fixture
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerFixture]:
    settings: Settings = fresh_settings("sqlite", request, tmp_path_factory.mktemp("referrals"))
    with served_people(settings) as served:
        yield served


class Referred:
    """The record of the north, referred to the south, which has a key."""

    def __init__(self, server: ServerFixture) -> None:
        self.server, self.key = server, ReceivingKey.generate()
        self.south, self.pat = server.fixture.south, server.people.pat
        client = LocalClient(server.fixture.ledger)
        referring.register_receiving(client, self.south.system, self.key)
        _, self.referral, _ = referring.send(
            client,
            server.fixture.north.system,
            self.south.hospital,
            [server.people.record],
            "Kidneys",
        )
        self.path = f"/v1/patients/{self.pat.patient}/referrals"

    def accept(self) -> None:
        client = LocalClient(self.server.fixture.ledger)
        referring.accept(client, self.south.system, self.pat.patient, self.referral)

    def listed(self, who: Actor, path: str = "") -> list[str]:
        """The ids that somebody is shown."""
        found = good(self.server.web.get(path or self.path, who))["referrals"]
        return [one["referral"]["referral"] for one in found]

    def event(self, who: Actor, **bent: Any) -> dict[str, Any]:
        (standing,) = good(self.server.web.get(self.path, self.server.fixture.north.system))[
            "referrals"
        ]
        body = {
            "count": standing["count"], "key": self.key.id, "purpose": "TREAT", "referral": self.referral,
            "root": standing["root"],
        }  # fmt: skip
        now = self.server.fixture.ledger.clock()
        return who.event("referral.taken", self.pat.stream, body | bent, now)

    def take(self, who: Actor, event: dict[str, Any] | None = None, **bent: Any) -> Any:
        web = self.server.web
        return web.post(f"{self.path}/package", web.signed(event or self.event(who, **bent), who))


@pytest.fixture
def referred(server: ServerFixture) -> Referred:
    return Referred(server)


def test_a_package_is_given_once(referred: Referred) -> None:
    """In the call that appended its entry; a known one is answered with the receipt, and never with keys again."""
    referred.accept()
    system = referred.south.system
    event = referred.event(system)
    answer = referred.take(system, event)
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/zip"
    with Package(io.BytesIO(answer.content)) as package:
        (version,) = package.opened(referred.key).versions
        assert b"".join(package.content(version)) == CONTENT
        assert version.title == "Blood count"
    again = referred.take(system, event)
    assert kind_of(again) == "already_used"
    other = referred.take(system)
    assert other.content != answer.content  # another entry, and a key of its own


def test_the_plain_route_takes_no_reading(referred: Referred) -> None:
    """Else a permitted taking up would stand in the log as a ticket for whoever finds it."""
    referred.accept()
    web, system = referred.server.web, referred.south.system
    answer = web.post("/v1/events", [web.signed(referred.event(system), system)])
    assert answer.status_code >= 400 or "problem" in answer.json()["entries"][0]
    assert referred.take(system).status_code == 200


def test_what_doesnt_fit_is_refused(referred: Referred) -> None:
    referred.accept()
    system, size = referred.south.system, referred.server.fixture.size()
    assert kind_of(referred.take(system, count=2)) == "malformed"
    assert kind_of(referred.take(system, root="A" * 43 + "=")) == "malformed"
    assert kind_of(referred.take(system, key=ReceivingKey.generate().id)) == "key"
    web = referred.server.web
    path = f"/v1/patients/{referred.server.people.kim.patient}/referrals/package"
    answer = web.post(path, web.signed(referred.event(system), system))
    assert kind_of(answer) == "malformed"  # the address names another patient
    assert referred.server.fixture.size() == size


def test_who_sees_which(referred: Referred) -> None:
    """Sender, receiver and the patient; not another hospital, nor another patient; the excluded see nothing that they are sent."""
    server, at_south = referred.server, f"/v1/hospitals/{referred.south.hospital}/referrals"
    doctor, north = server.fixture.doctor(), server.fixture.north
    assert referred.listed(referred.pat.actor) == [referred.referral]
    for who in (north.admin, north.system, doctor, referred.south.system):
        assert referred.listed(who) == [referred.referral]
    assert referred.listed(doctor, at_south) == [referred.referral]
    assert kind_of(server.web.get(at_south, north.system)) == "forbidden"
    assert kind_of(server.web.get(referred.path, server.people.kim.actor)) == "not_found"
    client = LocalClient(server.fixture.ledger)
    for reader in (doctor.account, referred.south.hospital):
        event = referred.pat.actor.event(
            "reader.excluded", referred.pat.stream, {"purpose": "PATRQT", "reader": reader}, client.now()
        )  # fmt: skip
        client.append(referred.pat.actor, [event])
        assert referred.listed(doctor, at_south) == referred.listed(doctor) == []
    assert referred.listed(referred.south.system, at_south) == []
    assert referred.listed(north.admin) == [referred.referral]
    answered = {"purpose": "TREAT", "referral": referred.referral}
    web = server.web
    event = doctor.event("referral.accepted", referred.pat.stream, answered, client.now())
    told = web.post("/v1/events", [web.signed(event, doctor)]).json()["entries"][0]["problem"]
    assert (told["rule"], told["reason"]) == ("S12", "no_consent")
    none = answered | {"referral": server.people.id("ev")}
    made_up = event | {"id": server.people.id("ev"), "body": none}
    other = web.post("/v1/events", [web.signed(made_up, doctor)]).json()["entries"][0]["problem"]
    entries = ("as_of", "detail", "seq", "title")  # which name the refusals' own entries
    assert {n: v for n, v in told.items() if n not in entries} == {
        n: v for n, v in other.items() if n not in entries
    }


def test_the_key_to_seal_for(referred: Referred) -> None:
    """The newest that counts; of a hospital without one, nothing."""
    server, client = referred.server, LocalClient(referred.server.fixture.ledger)
    path = f"/v1/hospitals/{referred.south.hospital}/receiving-key"
    assert good(server.web.get(path, referred.pat.actor))["key"] == referred.key.id
    newer = ReceivingKey.generate()
    referring.register_receiving(client, referred.south.system, newer)
    assert good(server.web.get(path, referred.pat.actor))["key"] == newer.id
    bare = f"/v1/hospitals/{server.fixture.north.hospital}/receiving-key"
    assert kind_of(server.web.get(bare, referred.pat.actor)) == "not_found"


def test_a_client_takes_no_other_package(
    referred: Referred, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that sends the package of an earlier entry in place of this one's."""
    referred.accept()
    system = referred.south.system
    old = referred.take(system).content
    vkeys = referred.server.fixture.ledger.vkeys
    with closing(HttpClient(referred.server.web.url, vkeys=vkeys)) as client:
        monkeypatch.setattr("client.http.pieces", lambda *given: iter([old]))
        with pytest.raises(Tampered, match="another package"):
            referring.take(client, system, referred.pat.patient, referred.referral, io.BytesIO())
    with zipfile.ZipFile(io.BytesIO(old)) as archive:
        assert json.loads(archive.read("referral.json"))["referral"] == referred.referral
