"""The commands about consultations, over a server, as people type them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.api.cli.test_commands_from_afar import Afar
from tests.support.inbox import told
from tests.support.ledger_fixture import LedgerFixture
from tests.support.people import People
from tests.support.server import in_process

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def afar(fixture: LedgerFixture, tmp_path: Path) -> Iterator[Afar]:
    people = People.of(fixture)
    with in_process(fixture.ledger) as web:
        yield Afar(people, web.url, tmp_path)


def test_a_consultation_from_its_opening_to_its_end(afar: Afar) -> None:
    people, pat = afar.people, afar.people.pat
    doctor, other = people.fixture.doctor(), people.fixture.north.admin
    about = ("--category", "laboratory", "--words", "Your kidneys", "--days", "14")
    opened = afar.json("consultation", "open", pat.patient, *about, actor=doctor)
    named, chart = opened["consultation"], ("--patient", pat.patient)
    assert told(people.fixture, "consultation_opened") == [
        ("consultation_opened", pat.actor.account)
    ]
    assert "waits to be signed" in afar.run("consultation", "list", actor=pat.actor).out
    assert named not in afar.run("consultation", "list", *chart, actor=other).out
    signed = afar.run("consultation", "confirm", named, actor=pat.actor).out
    assert "the operator's policy lets nobody see anything by it" in signed
    afar.run("consultation", "confirm", named, actor=pat.actor, code=1)
    note = ("--words", "Drink more")
    assert "Noted" in afar.run("consultation", "note", named, *chart, *note, actor=doctor).out
    history = afar.run("history", actor=pat.actor).out
    assert "Your kidneys" in history and "Drink more" in history
    assert "signed by entry" in afar.run("consultation", "list", actor=pat.actor).out
    theirs = afar.run("consultation", "list", *chart, actor=doctor).out
    assert "Closed" in afar.run("consultation", "close", named, actor=pat.actor).out
    closed = afar.run("consultation", "list", actor=pat.actor).out
    assert "closed by entry" in closed and "0 consultations open" in closed
    again = afar.run("consultation", "list", *chart, actor=doctor).out
    assert theirs == again and f"{named}  open" in again
    afar.run("consultation", "close", named, actor=pat.actor, code=1)
    assert "Closed" in afar.run("consultation", "close", named, *chart, actor=doctor).out
    afar.run("consultation", "note", named, *chart, *note, actor=doctor, code=1)
    afar.run("consultation", "list", actor=doctor, code=2)
