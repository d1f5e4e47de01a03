"""A ledger to measure on: a hospital's system, patients, and uploads that are staged and signed."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.app.settings import Settings
from client.local import LocalClient
from client.registering import NewPatient, register_patients
from crypto.encoding import b64encode
from crypto.signing import SigningKey
from identity.actors import Actor, new_id
from journeys.sealing import reserve
from keeper.protocol import KeyRequest, NewBlob
from ledger.event import Event, sign_bundle, sign_event
from storage.ledger import Ledger
from tests.support.ledger_fixture import LedgerFixture

ORIGIN = "bench.example/log"
REGISTER_AT_ONCE = 500
RESERVED_AT_ONCE = 2_500
"""Uploads whose keys are reserved at once: the keeper makes 10,000 in a call."""


@dataclass(frozen=True)
class Signed:
    """An event's bytes and one signature, as they would come from outside."""

    raw: bytes
    key: str
    value: bytes


@dataclass
class BenchFixture:
    """An open ledger with a system that may append, and patients to append for."""

    settings: Settings
    ledger: Ledger
    system: Actor
    patients: list[str]
    admin: Actor
    operator: Actor
    appended: int = 0
    """Uploads made so far: the next ones go on round the patients."""

    @classmethod
    def build(cls, place: Path, patients: int, url: str = "", blobs: str = "") -> "BenchFixture":
        """A new ledger in `place` with `patients` charts; `blobs`: elsewhere, as HEARTWOOD_BLOBS says it."""
        settings = Settings(data=place / "ledger", database_url=url, blobs=blobs, root=None)
        made = LedgerFixture.found(settings, origin=ORIGIN)
        fixture = cls(settings, made.ledger, made.north.system, [], made.north.admin, made.operator)
        fixture.register(patients)
        return fixture

    def register(self, patients: int) -> None:
        """Add `patients` charts, of people who have no key yet."""
        for start in range(0, patients, REGISTER_AT_ONCE):
            now = self.ledger.clock()
            new = [
                NewPatient(new_id("pt", now), new_id("ac", now), "Bench", None, False, None)
                for _ in range(min(REGISTER_AT_ONCE, patients - start))
            ]
            register_patients(LocalClient(self.ledger), self.system, new)
            self.patients += [one.patient for one in new]

    def uploads(self, count: int, shuffle: int = 1) -> list[bytes]:
        """`count` uploads by the system, each with its keys staged, round the patients in steps of `shuffle`.

        Each has ids and time of the moment it is made, as those of a hospital's system have.
        """
        ledger, system, before = self.ledger, self.system, self.appended
        self.appended += count
        events, requests, sizes = [], [], {}
        for number in range(before, before + count):
            now = ledger.clock()
            patient = self.patients[number * shuffle % len(self.patients)]
            record, blob, sha = new_id("rc", now), new_id("bl", now), os.urandom(32)
            requests.append(
                KeyRequest(patient, (record,), (NewBlob(record, blob, sha, os.urandom(32)),))
            )
            sizes[blob] = 10_240
            body: dict[str, Any] = {
                "blob": blob,
                "category": "laboratory",
                "clinical_date": "2026-03-04",
                "confidentiality": "normal",
                "episode": new_id("ep", now),
                "media_type": "application/fhir+json",
                "purpose": "TREAT",
                "record": record,
                "sha256": b64encode(sha),
                "size": 10_240,
                "title": b64encode(os.urandom(92)),
                "version": 1,
            }
            event = system.event("record.uploaded", f"patient/{patient}", body, now)
            events.append(Event.of(event).raw)
        for start in range(0, count, RESERVED_AT_ONCE):
            part = requests[start : start + RESERVED_AT_ONCE]
            named = {one.blob: sizes[one.blob] for request in part for one in request.blobs}
            reserve(ledger, system.account, part, named)
        return events

    def signed(self, events: Sequence[bytes]) -> list[Signed]:
        """Each event under a signature of its own."""
        key = self.system.key
        out = []
        for raw in events:
            signature = sign_event(key, ORIGIN, raw)
            out.append(Signed(raw, key.id, signature.value))
        return out

    def bundled(self, events: Sequence[bytes], size: int) -> list[tuple[list[bytes], str, bytes]]:
        """The events in bundles of `size`: (events, key, signature)."""
        key: SigningKey = self.system.key
        parts = [list(events[i : i + size]) for i in range(0, len(events), size)]
        return [(part, key.id, sign_bundle(key, ORIGIN, part)[0].value) for part in parts]
