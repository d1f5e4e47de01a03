"""An all-or-nothing call leaves an entry of everything in it that was denied, as the same events one by one do."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from api.app.settings import Settings
from identity.actors import Actor
from ledger.entry import nested_event
from tests.integration.conftest import ENGINES, fresh_settings
from tests.support.memory_log import SEALED
from tests.support.server import PROBLEM, good, kind_of
from tests.support.server_fixture import ServerFixture, served_people

LIMIT = 20
"""Refusals of one actor on one chart an hour, as the policy says."""
FORMS = ("single", "list", "bundle")


@pytest.fixture(params=ENGINES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerFixture]:
    settings: Settings = fresh_settings(request.param, request, tmp_path_factory.mktemp("denied"))
    with served_people(settings) as served:
        yield served


def send(server: ServerFixture, form: str, who: Actor, *events: dict[str, Any]) -> httpx2.Response:
    """Events of one author in an all-or-nothing call."""
    web = server.web
    if form == "bundle":
        return web.post("/v1/bundles?atomic=true", web.bundled(who, list(events)))
    each = [web.signed(event, who) for event in events]
    return web.post("/v1/events?atomic=true", each[0] if form == "single" else each)


def kinds(response: httpx2.Response) -> list[str]:
    """Of each event `stands`, or the kind of its problem."""
    if response.status_code != 200 or "entries" not in response.json():
        return [kind_of(response)]
    return [
        str(e["problem"]["type"]).removeprefix(PROBLEM) if "problem" in e else "stands"
        for e in good(response)["entries"]
    ]


def retraction(server: ServerFixture) -> dict[str, Any]:
    """A doctor of another hospital retracts a record that is none of theirs."""
    people = server.people
    body = {"purpose": "TREAT", "record": people.record}
    now = server.fixture.ledger.clock()
    return people.doctor.event("record.retracted", people.pat.stream, body, now)


def refused_ids(server: ServerFixture, start: int) -> list[str]:
    """The ids of the events that refusals from entry `start` on hold."""
    entries = [server.fixture.ledger.entry(seq) for seq in range(start, server.fixture.size())]
    assert {entry.event.type.name for entry in entries} <= {"access.refused"}
    return [nested_event(entry.event)[0].id for entry in entries]


@pytest.mark.parametrize("form", FORMS)
def test_each_denied_attempt_leaves_an_entry_up_to_the_limit(
    server: ServerFixture, form: str
) -> None:
    size = server.fixture.size()
    tried = [retraction(server) for _ in range(LIMIT)]
    for event in tried:
        assert kinds(send(server, form, server.people.doctor, event)) == ["denied"]
    assert refused_ids(server, size) == [event["id"] for event in tried]
    assert kinds(send(server, form, server.people.doctor, retraction(server))) == [
        "too_many_refusals"
    ]
    # The same event again gets the same answer and no second entry.
    assert kinds(send(server, form, server.people.doctor, tried[0])) == ["denied"]
    assert server.fixture.size() == size + LIMIT


def declared(server: ServerFixture) -> dict[str, Any]:
    """A doctor declares an emergency."""
    people, now = server.people, server.fixture.ledger.clock()
    body = {"purpose": "BTG", "reason": "life_at_risk", "text": SEALED}
    return people.doctor.event("emergency.declared", people.pat.stream, body, now)


@pytest.mark.parametrize("form", FORMS[1:])
def test_what_is_undone_with_it_leaves_none(server: ServerFixture, form: str) -> None:
    """A dry run of an emergency, undone by what is denied beside it: the denials stand, in their order, and nothing else."""
    people, size = server.people, server.fixture.size()
    dry, first, now = declared(server), retraction(server), server.fixture.ledger.clock()
    other = people.doctor.event("record.retracted", people.kim.stream, first["body"], now)
    found = send(server, form, people.doctor, dry, first, other)
    assert kinds(found) == ["atomic", "denied", "denied"]
    assert (found.json()["appended"], "checkpoint" in found.json()) == (0, False)
    assert refused_ids(server, size) == [first["id"], other["id"]]
    assert kinds(send(server, form, people.doctor, dry)) == ["stands"]
    assert server.fixture.size() == size + 3
    server.fixture.verify()


def test_what_only_the_undone_denied_is_no_attempt(server: ServerFixture) -> None:
    """Denied for a setting before it in the same call, which was undone with it: the log as it stands permits it."""
    web, people, size = server.web, server.people, server.fixture.size()
    pat, now = people.pat.actor, server.fixture.ledger.clock()
    body = {"ceiling": "off", "purpose": "PATRQT"}
    off = pat.event("emergency.configured", people.pat.stream, body, now)
    sent = [web.signed(off, pat), web.signed(declared(server), people.doctor)]
    assert kinds(web.post("/v1/events?atomic=true", sent)) == ["atomic", "denied"]
    assert server.fixture.size() == size
    assert kinds(web.post("/v1/events", sent)) == ["stands", "denied"]


def test_the_next_call_does_not_begin_cold(server: ServerFixture) -> None:
    """What an undone call changed is forgotten, what it only loaded is kept: it slows nobody."""
    people, ledger = server.people, server.fixture.ledger
    nobody = people.revocation() | {"body": {"grant": people.id("gr"), "grantee": people.doctor.account, "purpose": "PATRQT"}}  # fmt: skip
    send(server, "list", people.pat.actor, people.grant())
    before = ledger.log._state
    assert kinds(send(server, "list", people.pat.actor, people.grant(), nobody)) == [
        "atomic",
        "unknown",
    ]
    after = ledger.log._state
    assert before is not None and after is before
    server.fixture.verify()
