"""A town with a server in this process, as the tests over HTTP use it."""

import random
from dataclasses import dataclass, field
from typing import Any

from client import readings, registering
from client.http import HttpClient
from client.registering import NewPatient
from identity.actors import Actor, new_id, new_key
from ledger.times import DAY_MS, format_time
from storage.clock import wall_clock
from tests.support.people import Person, Town
from tests.support.server import Web, kind_of

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


@dataclass
class Place:
    """A town, its people and a server in this process."""

    town: Town
    web: Web
    far: HttpClient
    clock: Clock
    pat: Person
    doctor: Actor
    records: dict[str, str] = field(default_factory=dict)

    def event(self, actor: Actor, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        """An event of an actor on the patient's chart."""
        return actor.event(kind, self.pat.stream, body, self.clock())

    def reading(self, actor: Actor, record: str, **bent: Any) -> dict[str, Any]:
        """A signed reading, in the form of the HTTP face."""
        blob = self.far.address(self.town.north.system, record).blobs[0]
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
        lines = readings.chart(self.far, actor, self.pat.patient, "TREAT").lines
        return {line.record.record for line in lines}


def new_patient(far: HttpClient, town: Town, identifier: str = "") -> Person:
    """A patient with a key, registered by the hospital of the north."""
    now, key = far.now(), new_key()
    new = NewPatient(new_id("pt", now), new_id("ac", now), "Ada Lind", None, False, key, identifier)
    registering.register_patients(far, town.north.system, [new])
    return Person(new.patient, Actor(far.origin, new.account, "patient", "", key))


def new_doctor(far: HttpClient, town: Town) -> Actor:
    """A doctor of the hospital of the south."""
    south = town.south
    return registering.add_member(far, south.admin, "doctor", south.hospital, "Dr. Ö", new_key())[0]


def new_auditor(place: Place) -> Actor:
    """An auditor in term; made beside the data, as the operator does."""
    far, operator, key = place.far, place.town.operator, new_key()
    account, events = registering.new_account(far, operator, "Auditor", key, "device")
    now = place.clock()
    body = {"account": account, "end": format_time(now + DAY_MS), "start": format_time(now)}
    events.append(operator.event("auditor.appointed", "ledger", body, now))
    far.append(operator, events)
    return Actor(far.origin, account, "auditor", "", key)


def question_of(place: Place, actor: Actor, record: str) -> dict[str, Any]:
    """Whether an actor may read a record, as `/v1/decisions` is asked."""
    return {
        "action": "read", "actor": actor.account, "hospital": actor.hospital,
        "patient": place.pat.patient, "record": record, "role": actor.role, **PURPOSE,
    }  # fmt: skip
