"""Linked charts beside the data, over HTTP and by commands: a hospital's word, both patients' and the end of it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from client import applying, authoring, grants, linking, readings
from client.http import HttpClient
from client.local import LocalClient
from client.port import LedgerClient
from identity.actors import Actor, write_keyfile
from journeys.errors import AccessDenied, NotThere
from journeys.questions import Question
from ledger.entry import Entry
from ledger.errors import Refused
from records.uploads import Upload
from tests.support.commands import heartwood
from tests.support.ledger_fixture import CONTENT, LedgerFixture, Person
from tests.support.server import in_process

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@dataclass
class Place:
    """Two charts of somebody who registered twice, with a record of the north in each, and a doctor of the south."""

    fixture: LedgerFixture
    client: LedgerClient
    one: Person
    two: Person
    records: tuple[str, str]
    doctor: Actor

    def opened(self, record: str) -> bytes:
        return b"".join(readings.read(self.client, self.doctor, record, "TREAT")[1].content)

    def linked(self) -> None:
        north = self.fixture.north
        linking.link(self.client, north.admin, self.one.patient, self.two.patient)
        for own, other in ((self.one, self.two), (self.two, self.one)):
            linking.link(self.client, own.actor, own.patient, other.patient)


def place_in(fixture: LedgerFixture, client: LedgerClient) -> Place:
    people: list[Person] = []
    for name in ("Ada", "Ada L."):
        person = applying.register(client, name)[0]
        patient = client.own_chart(person, name, "1990-02-03").patient
        people.append(Person(patient, person.in_role("patient")))
    one, two = people
    first, second = (
        authoring.upload(
            client, fixture.north.system, Upload(who.patient, "laboratory", "text/plain", [CONTENT])
        ).record
        for who in people
    )
    return Place(fixture, client, one, two, (first, second), fixture.doctor())


@pytest.fixture(params=["beside", "http"])
def place(request: pytest.FixtureRequest, fixture: LedgerFixture) -> Iterator[Place]:
    if request.param == "beside":
        yield place_in(fixture, LocalClient(fixture.ledger))
        return
    with in_process(fixture.ledger) as web, closing(HttpClient(web.url)) as client:
        yield place_in(fixture, client)


def test_from_a_hospitals_word_to_the_end(place: Place) -> None:
    """Exclusions at once; grants once both have signed; the keeper gives the key; and then nothing any more."""
    client, north, (one, two) = place.client, place.fixture.north, (place.one, place.two)
    grants.grant(client, one.actor, one.patient, place.doctor.account)
    assert len(linking.link(client, north.admin, one.patient, two.patient)) == 2
    with pytest.raises(AccessDenied):
        place.opened(place.records[1])
    linking.link(client, one.actor, one.patient, two.patient)
    with pytest.raises(AccessDenied):
        place.opened(place.records[1])
    linking.link(client, two.actor, two.patient, one.patient)
    assert place.opened(place.records[1]) == CONTENT
    lines = readings.chart(client, two.actor, two.patient, "PATRQT").lines
    assert lines[0].readers == (place.doctor.account,)
    (shown,) = linking.links(client, two.actor, two.patient).links
    assert (shown.other, shown.joined, shown.holds) == (one.patient, True, True)
    with pytest.raises(NotThere):
        linking.links(client, one.actor, two.patient)
    grants.exclude(client, two.actor, two.patient, place.doctor.account)
    with pytest.raises(AccessDenied) as refused:
        place.opened(place.records[0])
    assert refused.value.reason == "no_consent", "nobody is told of an exclusion"
    asked = Question(one.patient, place.doctor.account, "doctor", place.doctor.hospital, "read", "TREAT", place.records[0])  # fmt: skip
    (change,) = client.why(one.actor, asked).explanation.changes
    assert f"in the linked chart {two.patient}" in change
    assert len(linking.unlink(client, north.admin, one.patient, two.patient)) == 2
    with pytest.raises(AccessDenied):
        place.opened(place.records[0])
    linking.unlink(client, one.actor, one.patient, two.patient)
    assert place.opened(place.records[0]) == CONTENT
    with pytest.raises(AccessDenied):
        place.opened(place.records[1])
    acts = readings.history(client, two.actor, two.patient, "PATRQT").entries
    history = [Entry.parse(raw).event.type.name for raw in acts]
    assert history.count("patient.linked") == 2
    place.fixture.verify()


def test_a_word_is_mended_on_one_side(place: Place) -> None:
    """Where one patient ended it, the hospital says it anew in that stream alone; twice is a conflict."""
    client, north, (one, two) = place.client, place.fixture.north, (place.one, place.two)
    linking.link(client, north.system, one.patient, two.patient)
    with pytest.raises(Refused) as twice:
        linking.link(client, north.system, one.patient, two.patient)
    assert twice.value.code in ("atomic", "conflict")
    linking.unlink(client, one.actor, one.patient, two.patient)
    assert len(linking.link(client, north.system, one.patient, two.patient)) == 1
    with pytest.raises(AccessDenied):
        linking.link(client, place.fixture.south.admin, one.patient, two.patient)


def test_by_commands(fixture: LedgerFixture, tmp_path: Path) -> None:
    place = place_in(fixture, LocalClient(fixture.ledger))
    one, two = place.one.patient, place.two.patient
    keys = {
        name: write_keyfile(tmp_path / name, who)
        for name, who in (("admin", fixture.north.admin), ("one", place.one.actor), ("two", place.two.actor))
    }  # fmt: skip

    def run(*arguments: str, who: str, code: int = 0) -> Any:
        ran = heartwood(fixture.settings, "patient", *arguments, "--as", keys[who], "--json")
        assert ran.code == code, ran
        return ran.json

    assert run("links", who="one")["links"] == []
    assert len(run("link", one, two, who="admin")["seqs"]) == 2
    assert run("link", one, two, who="admin", code=1)["problem"] in ("conflict", "atomic")
    run("link", one, two, who="one")
    run("link", two, one, who="two")
    (shown,) = run("links", who="one")["links"]
    assert (shown["other"], shown["holds"]) == (two, True)
    assert len(run("unlink", one, two, who="admin")["seqs"]) == 2
    run("unlink", one, two, who="one")
    assert run("unlink", one, two, who="one", code=1)["problem"] == "denied"
