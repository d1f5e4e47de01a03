"""A ledger with people and a server in this process, as the tests over HTTP use it."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from api.app.settings import Settings
from client import readings, registering
from client.http import HttpClient
from client.registering import NewPatient
from identity.actors import Actor, new_id, new_key
from ledger.times import DAY_MS, format_time
from storage.clock import wall_clock
from tests.support.ledger_fixture import LedgerFixture, Person
from tests.support.people import People
from tests.support.server import Web, in_process, kind_of

PURPOSE = {"purpose": "TREAT"}
OWN = {"purpose": "PATRQT"}
BIG = bytes(random.Random(4).randbytes(200_000))
KINDS: dict[str, dict[str, Any]] = {
    "old": {"category": "laboratory", "clinical_date": "2019-03-01", "title": "Blood count"},
    "new": {"category": "laboratory", "clinical_date": "2026-03-01"},
    "scan": {"category": "imaging", "clinical_date": "2026-04-01", "media_type": "image/png"},
    "restricted": {"category": "document", "confidentiality": "restricted"},
    "sensitive": {"category": "laboratory", "sensitive": True, "labels": ("HIV",)},
    "hidden": {"category": "document"},
    "retracted": {"category": "document"},
}
"""The records of the patient, by what is particular about each."""


@dataclass
class Clock:
    """The machine's clock, ahead by `ahead` ms."""

    ahead: int = 0

    def __call__(self) -> int:
        return wall_clock() + self.ahead


@dataclass(frozen=True)
class ServerFixture:
    """A ledger with people, and a server over it in this process."""

    fixture: LedgerFixture
    people: People
    web: Web


@contextmanager
def served_people(
    settings: Settings, clock: Callable[[], int] = wall_clock
) -> Iterator[ServerFixture]:
    """Make the ledger and serve it; in the end the whole log verifies."""
    fixture = LedgerFixture.found(settings, clock)
    with in_process(fixture.ledger) as web:
        yield ServerFixture(fixture, People.of(fixture), web)
    fixture.verify()
    fixture.close()


@dataclass(frozen=True)
class ServedChart(ServerFixture):
    """A patient with a record of each of `KINDS`, and who reads them."""

    client: HttpClient
    clock: Clock
    pat: Person
    doctor: Actor
    records: dict[str, str] = field(default_factory=dict)

    def event(self, actor: Actor, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        """An event of an actor on the patient's chart."""
        return actor.event(kind, self.pat.stream, body, self.clock())

    def reading(self, actor: Actor, record: str, **bent: Any) -> dict[str, Any]:
        """A signed reading, in the form of the HTTP face."""
        blob = self.client.address(self.fixture.north.system, record).blobs[0]
        body = {"blob": blob, "record": record, "version": 1, **PURPOSE, **bent}
        return self.web.signed(self.event(actor, "record.opened", body), actor)

    def open(self, actor: Actor, record: str, **bent: Any) -> Any:
        """The answer to a reading."""
        return self.web.post(f"/v1/records/{record}/content", self.reading(actor, record, **bent))

    def readable(self, actor: Actor, record: str) -> bool:
        """Whether a reading gives content; otherwise it must be denied."""
        answer = self.open(actor, record)
        assert kind_of(answer) in ("200", "denied"), answer.text
        return kind_of(answer) == "200"

    def shown(self, actor: Actor) -> set[str]:
        """The records of the list."""
        lines = readings.chart(self.client, actor, self.pat.patient, "TREAT").lines
        return {line.record.record for line in lines}


def new_patient(client: HttpClient, fixture: LedgerFixture, identifier: str = "") -> Person:
    """A patient with a key, registered by the hospital of the north."""
    now, key = client.now(), new_key()
    new = NewPatient(new_id("pt", now), new_id("ac", now), "Ada Lind", None, False, key, identifier)
    registering.register_patients(client, fixture.north.system, [new])
    return Person(new.patient, Actor(client.origin, new.account, "patient", "", key))


def new_doctor(client: HttpClient, fixture: LedgerFixture) -> Actor:
    """A doctor of the hospital of the south."""
    south = fixture.south
    return registering.add_member(
        client, south.admin, "doctor", south.hospital, "Dr. Ö", new_key()
    )[0]


def new_auditor(server: ServedChart) -> Actor:
    """An auditor in term; made beside the data, as the operator does."""
    client, operator, key = server.client, server.fixture.operator, new_key()
    account, events = registering.new_account(client, operator, "Auditor", key, "device")
    now = server.clock()
    body = {"account": account, "end": format_time(now + DAY_MS), "start": format_time(now)}
    events.append(operator.event("auditor.appointed", "ledger", body, now))
    client.append(operator, events)
    return Actor(client.origin, account, "auditor", "", key)


def question_of(server: ServedChart, actor: Actor, record: str) -> dict[str, Any]:
    """Whether an actor may read a record, as `/v1/decisions` is asked."""
    return {
        "action": "read", "actor": actor.account, "hospital": actor.hospital,
        "patient": server.pat.patient, "record": record, "role": actor.role, **PURPOSE,
    }  # fmt: skip
