"""What its label makes private to a minor is so by every door: no guardian reads it once the minor is old enough to act."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest

from client import authoring, beside, readings, registering, relatives
from client.http import HttpClient
from client.local import LocalClient
from client.port import LedgerClient
from crypto.encoding import b64encode
from identity.actors import Actor, new_id, write_keyfile
from journeys.days import today
from journeys.errors import AccessDenied
from ledger.codes import PRIVATE_LABELS
from ledger.errors import Refused
from ledger.facts import Record
from records.uploads import Upload, members_of
from tests.integration.people.test_relatives import person
from tests.support.commands import heartwood
from tests.support.inbox import reach
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import Web, in_process

BOTH = ("beside the data", "over HTTP")


@pytest.fixture
def web(fixture: LedgerFixture) -> Iterator[Web]:
    with in_process(fixture.ledger) as served:
        yield served


@pytest.fixture
def clients(fixture: LedgerFixture, web: Web) -> Iterator[dict[str, LedgerClient]]:
    with ExitStack() as stack:
        afar = stack.enter_context(closing(HttpClient(web.url)))
        yield dict(zip(BOTH, (LocalClient(fixture.ledger), afar), strict=True))


def minor(fixture: LedgerFixture, years: int) -> tuple[str, Actor]:
    """A minor of so many years whom both hospitals know, and the guardian."""
    client = LocalClient(fixture.ledger)
    now = client.now()
    born = today(now) - timedelta(days=years * 366)
    new = registering.NewPatient(new_id("pt", now), new_id("ac", now), "Kid", born, False, None)
    registering.register_patients(client, fixture.north.system, [new])
    for house in (fixture.north, fixture.south):
        authoring.upload(
            client, house.system, Upload(new.patient, "document", "text/plain", [b"x"])
        )
    guardian = person(fixture)
    reach(fixture, guardian, f"mum{years}@example.com")
    relatives.appoint(client, fixture.north.admin, new.patient, guardian.account)
    relatives.confirm(client, fixture.south.admin, new.patient, guardian.account)
    return new.patient, relatives.for_patient(client, guardian, new.patient)


def is_private(fixture: LedgerFixture, record: str) -> bool:
    row = fixture.ledger.row(Record, record)
    assert row is not None
    return row.minor_private


def test_a_private_label_makes_it_private_by_each_door(
    fixture: LedgerFixture, clients: dict[str, LedgerClient], tmp_path: Path
) -> None:
    """Uploaded and amended, by the client on both sides, the command and the import's own writing; another label doesn't."""
    teen, guardian = minor(fixture, 14)
    child, parent = minor(fixture, 8)
    system, local = fixture.north.system, clients[BOTH[0]]
    key, file = write_keyfile(tmp_path / "north.key", system), tmp_path / "note.txt"
    file.write_text("pregnancy test positive")
    records: dict[str, list[str]] = {teen: [], child: []}
    for label in sorted(PRIVATE_LABELS):
        for patient in (teen, child):
            one = Upload(patient, "document", "text/plain", [b"x"], labels=(label,), sensitive=True)
            plain = Upload(patient, "document", "text/plain", [b"x"])
            made = [beside.upload(fixture.ledger, system, [one])[0].record]
            for client in clients.values():
                made.append(authoring.upload(client, system, one).record)
                made.append(amended := authoring.upload(client, system, plain).record)
                assert not is_private(fixture, amended)
                authoring.amend(client, system, amended, one)
            asked = (
                "upload",
                file,
                "--patient",
                patient,
                "--category",
                "document",
                "--label",
                label,
            )
            ran = heartwood(fixture.settings, *asked, "--as", key, "--json")
            assert ran.code == 0, ran
            made.append(ran.json["record"])
            assert all(is_private(fixture, record) for record in made), label
            records[patient] = [*records[patient], *made]
    other = Upload(teen, "document", "text/plain", [b"x"], labels=("HIV",), sensitive=True)
    assert not is_private(fixture, authoring.upload(local, system, other).record)
    for record in records[child]:
        assert b"".join(readings.read(local, parent, record, "FAMRQT")[1].content)
    for record in records[teen][::2]:  # fewer than the refusals of an hour
        with pytest.raises(AccessDenied, match=r"S1[02]"):
            readings.read(local, guardian, record, "FAMRQT")


def test_an_event_that_names_a_private_label_and_does_not_say_so_is_refused(
    fixture: LedgerFixture, clients: dict[str, LedgerClient], web: Web
) -> None:
    """Alone, in a list, in a bundle and in an all-or-nothing one: nothing of it stands; the others of a list do."""
    patient, system = fixture.person().patient, fixture.north.system
    for client in clients.values():
        events = []
        for label in ("PSY", "HIV"):
            one = Upload(patient, "document", "text/plain", [b"x"], sensitive=True)
            staged, now = client.stage(system, patient, [b"x"]), client.now()
            event_id = new_id("ev", now)
            made = client.seal(system, patient, staged.record, event_id, {}, [label])
            assert made.minor_private == (label == "PSY")
            body = members_of(one) | {
                "blob": staged.blob, "labels": made.codes, "purpose": "TREAT", "record": staged.record,
                "sha256": b64encode(staged.sha256), "size": staged.size, "version": 1,
            }  # fmt: skip
            stream = f"patient/{patient}"
            events.append(system.event("record.uploaded", stream, body, now, event_id))
        size = fixture.size()
        for wrong in ([events[0]], events):
            with pytest.raises(Refused, match="private to minors") as raised:
                client.append(system, wrong, atomic=True)
            assert raised.value.code == "malformed"
        assert fixture.size() == size
        if isinstance(client, HttpClient):  # a list: each by itself
            listed = web.post("/v1/events", [web.signed(event, system) for event in events]).json()
            assert listed["appended"] == 1 and listed["entries"][1]["seq"] == size
            assert listed["entries"][0]["problem"]["type"].endswith(":malformed")
        else:
            client.append(system, [events[1]])
        good = events[0] | {"body": events[0]["body"] | {"minor_private": True}}
        client.append(system, [good])
