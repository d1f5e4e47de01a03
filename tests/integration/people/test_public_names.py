"""Public names of hospitals: what shows otherwise than it is gets in by no door, and what stood before still verifies."""

from collections.abc import Iterator
from typing import Any

import pytest

from identity.actors import Actor, new_id, write_keyfile
from ledger.event import Event, sign_event
from ledger.sequencer import Appended, Proposal
from tests.support.commands import heartwood
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import Web, in_process, problem

NAMES = {
    "C1": "Klinik\x9b31m Nord",
    "next line": "Klinik\x85Nord",
    "override": "Klinik \u202edroN",
    "isolate": "Klinik\u2066Nord",
    "mark": "Klinik\u200fNord",
    "line separator": "Klinik\u2028Nord",
    "noncharacter": "Klinik\ufffe",
    "noncharacter of a higher plane": "Klinik\U0010ffff",
}
GOOD = "مستشفى חולים 病院 Süd №1 🏥"


@pytest.fixture
def web(fixture: LedgerFixture) -> Iterator[Web]:
    with in_process(fixture.ledger) as served:
        yield served


def approval(actor: Actor, name: str, now: int) -> dict[str, Any]:
    body = {"hospital": new_id("hs", now), "name": name, "time_zone": "Europe/Berlin"}
    return actor.event("hospital.approved", "ledger", body, now)


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_no_door_takes_a_name_that_shows_as_another(
    fixture: LedgerFixture, web: Web, kind: str
) -> None:
    name, size, now = NAMES[kind], fixture.size(), fixture.ledger.clock()
    operator = fixture.operator
    event = approval(operator, name, now)
    for path, sent in (
        ("/v1/events", web.signed(event, operator)),
        ("/v1/bundles", web.bundled(operator, [approval(operator, GOOD, now), event])),
    ):
        found = problem(web.post(path, sent))
        assert found["type"].endswith(":malformed") and "public name" in found["detail"]
        assert found["detail"].isprintable()
    key = write_keyfile(fixture.settings.data.with_name("operator.key"), operator)
    for where in ((), ("--url", web.url)):
        ran = heartwood(fixture.settings, "hospital", "add", name, "--as", key, *where)
        assert ran.code == 2 and "public name" in ran.err
        assert all(line.isprintable() for line in ran.err.rstrip("\n").split("\n"))
    assert fixture.size() == size


def test_names_of_every_script_are_taken(fixture: LedgerFixture) -> None:
    key = write_keyfile(fixture.settings.data.with_name("operator.key"), fixture.operator)
    ran = heartwood(fixture.settings, "hospital", "add", GOOD, "--as", key)
    assert ran.code == 0, ran


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_name_that_an_older_program_took_verifies_and_is_shown_safely(
    fixture: LedgerFixture, kind: str
) -> None:
    """The rule is the door's: here the log is gone to directly, and the ledger is verified at the end."""
    operator = fixture.operator
    event = Event.of(approval(operator, NAMES[kind], fixture.ledger.clock()))
    sig = sign_event(operator.key, fixture.ledger.origin, event.raw)
    assert isinstance(fixture.ledger.append([Proposal(event, sig)])[0], Appended)
    person = fixture.person()
    key = write_keyfile(fixture.settings.data.with_name("person.key"), person.actor)
    ran = heartwood(fixture.settings, "hospital", "show", event.body["hospital"], "--as", key)
    assert ran.code == 0 and "Klinik" in ran.out
    assert all(line.isprintable() for line in ran.out.splitlines())
    assert "\x9b" not in ran.out and "\u202e" not in ran.out


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_titles_and_names_of_people_are_shown_safely(fixture: LedgerFixture) -> None:
    """What an author wrote is text: it moves no cursor, starts no line and turns no writing."""
    person = fixture.person("Pat\u202e2J\u2028WRONG")
    fixture.record(person, title="Letter\u2066\u202e\u202899 acts, none missing")
    key = write_keyfile(fixture.settings.data.with_name("pat.key"), person.actor)
    for command in ("chart", "history"):
        ran = heartwood(fixture.settings, command, "--as", key)
        assert ran.code == 0 and all(line.isprintable() for line in ran.out.splitlines())
        assert not any(line.startswith(("WRONG", "99 acts")) for line in ran.out.splitlines())
    assert "Letter\\u2066\\u202e\\u202899" in heartwood(fixture.settings, "chart", "--as", key).out
