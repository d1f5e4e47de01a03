"""What was signed once and stands in the log is no ticket for whoever finds it there.

Every entry out of an export is sent to every route that takes events.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from api.app.settings import Settings
from client import grants, groups, readings, registering
from client.local import LocalClient
from crypto.encoding import b64encode
from identity.actors import Actor, new_id, new_key
from journeys.errors import AccessDenied
from ledger.entry import Entry
from ledger.times import DAY_MS, format_time
from tests.integration.conftest import ENGINES, fresh_settings
from tests.support.ledger_fixture import CONTENT, vkeys
from tests.support.people import People
from tests.support.server import PROBLEM, good, in_process, kind_of, problem
from tests.support.server_fixture import ServerFixture, served_people
from tests.tilereader import check_proof

SECRET_HEADERS = ("heartwood-read-token", "heartwood-share", "heartwood-texts")


@dataclass(frozen=True)
class Replayed(ServerFixture):
    """People who did a bit of everything, and a server in this process."""

    auditor: Actor

    def entries(self) -> list[Entry]:
        """The whole log, as an export has it."""
        ledger = self.fixture.ledger
        return [ledger.entry(seq) for seq in range(self.fixture.size())]


@pytest.fixture(scope="module", params=ENGINES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replayed]:
    settings: Settings = fresh_settings(request.param, request, tmp_path_factory.mktemp("replays"))
    with served_people(settings) as served:
        auditor = a_bit_of_everything(served.people)
        yield Replayed(served.fixture, served.people, served.web, auditor)


def a_bit_of_everything(people: People) -> Actor:
    """Grants, readings, refusals, groups, an export, an audit; gives the auditor."""
    fixture, pat, doctor = people.fixture, people.pat, people.doctor
    client = LocalClient(fixture.ledger)
    with pytest.raises(AccessDenied):
        readings.read(client, doctor, people.record, "TREAT")
    with pytest.raises(AccessDenied):
        readings.chart(client, doctor, pat.patient, "TREAT")
    grants.grant(client, pat.actor, pat.patient, doctor.account)
    assert b"".join(readings.read(client, doctor, people.record, "TREAT")[1].content) == CONTENT
    readings.chart(client, doctor, pat.patient, "TREAT")
    readings.history(client, pat.actor, pat.patient, "PATRQT")
    readings.export(client, pat.actor, pat.patient, "PATRQT")
    grants.exclude(client, pat.actor, pat.patient, fixture.north.hospital)
    grants.hide(client, pat.actor, pat.patient, people.record)
    grants.revoke(client, pat.actor, pat.patient, doctor.account)
    group = groups.form(client, fixture.south.admin, "Ward")[0]
    groups.join(client, fixture.south.admin, group, doctor.account)
    key, now = new_key(), client.now()
    account, events = registering.new_account(client, fixture.operator, "Auditor", key, "device")
    body = {"account": account, "end": format_time(now + DAY_MS), "start": format_time(now)}
    events.append(fixture.operator.event("auditor.appointed", "ledger", body, now))
    client.append(fixture.operator, events)
    auditor = Actor(client.origin, account, "auditor", "", key)
    with in_process(fixture.ledger) as web:
        opened = auditor.event("log.opened", "ledger", {}, client.now())
        good(web.post("/v1/log/token", web.signed(opened, auditor)))
    return auditor


def given(entry: Entry) -> list[dict[str, Any]]:
    """The signed events that an entry shows: its own and, of a refusal, the one inside."""
    value = json.loads(entry.raw)
    own = {"event": value["event"], "sig": value["sig"]}
    inner = value["event"]["body"] if entry.event.type.name == "access.refused" else None
    return [own] if inner is None else [own, {"event": inner["event"], "sig": inner["sig"]}]


def routes(server: Replayed, sent: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every route that takes events, with every form in which it might take this one."""
    people, event = server.people, sent["event"]
    plain = {"event": event, "sig": {k: sent["sig"][k] for k in ("key", "value")}}
    for one in (sent, plain):
        yield "/v1/events", one
        yield "/v1/events", [one, one]
        yield "/v1/events?atomic=true", [one]
        yield "/v1/bundles", {"events": [event], "sig": one["sig"]}
        yield "/v1/log/token", one
        for record in {people.record, event["body"].get("record", people.record)}:
            yield f"/v1/records/{record}/content", one
        for patient in (people.pat.patient, people.kim.patient):
            for route in ("chart", "history"):
                yield f"/v1/patients/{patient}/{route}", one
            for listed in ([], [[people.record, 1]]):
                yield f"/v1/patients/{patient}/export", one | {"list": listed}


def check_nothing_given(answer: httpx2.Response, entry: Entry) -> None:
    """No content, no token, no key; what is answered well is where the entry stands."""
    assert answer.status_code < 500, answer.text
    assert not any(name in answer.headers for name in SECRET_HEADERS)
    for secret in (CONTENT, base64.b64encode(CONTENT), b"Blood count", b"PK\x03\x04", b'"token"'):
        assert secret not in answer.content
    if answer.status_code != 200:
        problem(answer)
        return
    for one in answer.json()["entries"]:
        assert "problem" in one or one["seq"] == entry.link.seq


def test_no_entry_of_the_log_gives_anything(server: Replayed) -> None:
    """Posted to each route in each form: no content, no second entry, no error of the program."""
    size = server.fixture.size()
    types = set()
    for entry in server.entries():
        types.add(entry.event.type.name)
        for sent in given(entry):
            for path, value in routes(server, sent):
                check_nothing_given(server.web.post(path, value), entry)
        assert server.fixture.size() == size, entry.event.type.name
    assert types >= {
        "access.refused", "chart.exported", "chart.opened", "history.opened", "log.opened", "record.opened"
    }  # fmt: skip


def test_no_bundle_of_the_log_gives_anything(server: Replayed) -> None:
    """The bundles put together again from their entries: each event is where it was."""
    size, bundles = server.fixture.size(), dict[str, list[dict[str, Any]]]()
    for entry in server.entries():
        value = json.loads(entry.raw)
        if "bundle" in value["sig"]:
            bundles.setdefault(value["sig"]["value"], []).append(value)
    assert len(bundles) > 3
    for entries in bundles.values():
        sig = {k: entries[0]["sig"][k] for k in ("key", "value")}
        events = [entry["event"] for entry in entries]
        for path in ("/v1/bundles", "/v1/bundles?atomic=true"):
            answer = good(server.web.post(path, {"events": events, "sig": sig}))
            seqs = [entry["seq"] for entry in answer["entries"]]
            assert seqs == [entry["seq"] for entry in entries]
    assert server.fixture.size() == size


def test_a_reading_gives_its_content_once(server: Replayed) -> None:
    """Again, by whomever: 409 with the receipt of the first time."""
    web, people = server.web, server.people
    event = people.reading(people.pat.actor, purpose="PATRQT")
    sent, path = web.signed(event, people.pat.actor), f"/v1/records/{people.record}/content"
    first = web.post(path, sent)
    assert first.content == CONTENT
    size = server.fixture.size()
    for _ in range(3):
        answer = web.post(path, sent)
        told = problem(answer)
        assert (kind_of(answer), told["seq"]) == (
            "already_used",
            int(first.headers["heartwood-entry"]),
        )
        seq, raw = check_proof(told["receipt"].encode(), vkeys(server.fixture.settings))
        assert (seq, raw) == (told["seq"], server.fixture.ledger.entry(seq).raw)
        assert CONTENT not in answer.content and "heartwood-read-token" not in answer.headers
    assert server.fixture.size() == size


def test_other_bytes_under_the_id_of_a_reading_are_a_conflict(server: Replayed) -> None:
    web, people = server.web, server.people
    event = people.reading(people.pat.actor, purpose="PATRQT")
    path = f"/v1/records/{people.record}/content"
    assert web.post(path, web.signed(event, people.pat.actor)).content == CONTENT
    other = event | {"body": event["body"] | {"purpose": "TREAT"}}
    assert kind_of(web.post(path, web.signed(other, people.pat.actor))) == "conflict"
    stolen = people.grant() | {"id": event["id"]}
    assert kind_of(web.post("/v1/events", web.signed(stolen, people.pat.actor))) == "conflict"


def test_a_refused_reading_stays_refused(server: Replayed) -> None:
    """The same document at each retry, also once it would be permitted; a new reading then is."""
    web, people = server.web, server.people
    doctor = server.fixture.doctor()
    sent = web.signed(people.reading(doctor), doctor)
    path = f"/v1/records/{people.record}/content"
    first = web.post(path, sent)
    assert kind_of(first) == "denied"
    grants.show(
        LocalClient(server.fixture.ledger), people.pat.actor, people.pat.patient, people.record
    )
    grants.grant(
        LocalClient(server.fixture.ledger), people.pat.actor, people.pat.patient, doctor.account
    )
    size = server.fixture.size()
    assert [web.post(path, sent).content for _ in range(2)] == [first.content] * 2
    assert server.fixture.size() == size
    assert web.post(path, web.signed(people.reading(doctor), doctor)).content == CONTENT
    grants.hide(
        LocalClient(server.fixture.ledger), people.pat.actor, people.pat.patient, people.record
    )


def test_readings_are_refused_where_events_are_appended(server: Replayed) -> None:
    """Alone, in a list, in a bundle, all or nothing."""
    web, people, pat = server.web, server.people, server.people.pat.actor
    size, now = server.fixture.size(), server.fixture.ledger.clock()
    opened = [
        people.reading(pat),
        *(
            pat.event(kind, people.pat.stream, {"purpose": "PATRQT"}, now)
            for kind in ("chart.opened", "history.opened")
        ),
    ]
    audit = server.auditor.event("log.opened", "ledger", {}, now)
    assert kind_of(web.post("/v1/events", web.signed(audit, server.auditor))) == "reading"
    for event in opened:
        sent = web.signed(event, pat)
        assert kind_of(web.post("/v1/events", sent)) == "reading"
        (only,) = good(web.post("/v1/events", [sent]))["entries"]
        assert only["problem"]["type"] == PROBLEM + "reading"
        for query in ("", "?atomic=true"):
            assert kind_of(web.post(f"/v1/bundles{query}", web.bundled(pat, [event]))) == "reading"
            both = web.bundled(pat, [people.grant(), event])
            assert kind_of(web.post(f"/v1/bundles{query}", both)) == "reading"
    assert server.fixture.size() == size


# All or nothing.


def answers(response: httpx2.Response) -> list[str]:
    """Of each event `stands`, or the kind of its problem."""
    return [
        str(e["problem"]["type"]).removeprefix(PROBLEM) if "problem" in e else "stands"
        for e in good(response)["entries"]
    ]


@pytest.mark.parametrize("form", ["list", "bundle"])
def test_all_or_nothing(server: Replayed, form: str) -> None:
    """One that is refused undoes the others; the next call works, with the same events too."""
    web, people, pat = server.web, server.people, server.people.pat.actor

    def send(events: list[dict[str, Any]], query: str = "?atomic=true") -> httpx2.Response:
        if form == "bundle":
            return web.post(f"/v1/bundles{query}", web.bundled(pat, events))
        return web.post(f"/v1/events{query}", [web.signed(event, pat) for event in events])

    good_ones = [people.grant(), people.grant()]
    nobody = new_id("gr", server.fixture.ledger.clock())
    bad = people.grant() | {
        "body": {"grant": nobody, "grantee": people.kim.actor.account, "purpose": "PATRQT"},
        "type": "access.revoked",
    }
    size = server.fixture.size()
    for events, at in (([*good_ones, bad], 2), ([bad, *good_ones], 0)):
        answer = send(events)
        expected = ["atomic"] * 3
        expected[at] = "unknown"
        assert answers(answer) == expected
        assert (answer.json()["appended"], "checkpoint" in answer.json()) == (0, False)
        assert server.fixture.size() == size
    assert answers(send(good_ones)) == ["stands"] * 2
    assert server.fixture.size() == size + 2
    again = send(good_ones)
    assert answers(again) == ["stands"] * 2 and server.fixture.size() == size + 2
    fresh = people.grant()
    mixed = send([good_ones[0], bad, fresh])
    assert answers(mixed) == ["stands", "unknown", "atomic"]
    assert mixed.json()["entries"][0]["seq"] == size
    assert server.fixture.size() == size + 2
    assert answers(send([good_ones[0], bad, fresh], "")) == ["stands", "unknown", "stands"]
    assert server.fixture.size() == size + 3


def test_a_malformed_event_undoes_its_list(server: Replayed) -> None:
    web, people = server.web, server.people
    size = server.fixture.size()
    right = web.signed(people.grant(), people.pat.actor)
    wrong = right | {"sig": {"key": right["sig"]["key"], "value": b64encode(bytes(64))}}
    assert answers(web.post("/v1/events?atomic=true", [right, wrong])) == ["atomic", "signature"]
    assert server.fixture.size() == size
    assert answers(web.post("/v1/events", [right, wrong])) == ["stands", "signature"]


def test_the_same_event_twice_in_one_call_is_one_entry(server: Replayed) -> None:
    web, people = server.web, server.people
    size = server.fixture.size()
    sent = web.signed(people.grant(), people.pat.actor)
    for query in ("?atomic=true", ""):
        answer = good(web.post(f"/v1/events{query}", [sent, sent]))
        assert [entry["seq"] for entry in answer["entries"]] == [size, size]
    assert server.fixture.size() == size + 1
