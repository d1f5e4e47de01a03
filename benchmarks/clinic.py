"""A ledger for workloads: charts of people with keys, records with content, and a doctor whom all granted."""

import os
import random
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from benchmarks.fixture import ORIGIN, REGISTER_AT_ONCE, BenchFixture, Signed
from benchmarks.rising import Operation
from client.beside import append, upload
from client.local import LocalClient
from client.registering import NewPatient, add_hospital, add_member, register_patients
from crypto.encoding import b64encode
from identity.actors import Actor, new_id, new_key
from ledger.event import Event, sign_event
from ledger.facts import Record
from ledger.times import DAY_MS, format_time
from records.charts import list_chart
from records.opening import find_records, give_record, settled
from records.uploads import Upload, stage
from storage.ledger import Ledger
from storage.log import CommittedBatch

RECORD_BYTES = 1_000
"""As YCSB has it: ten fields of 100 bytes."""
THETA = 0.99
"""Of the zipfian choice, as YCSB has it."""
UPLOAD_AT_ONCE = 500
GRANT_DAYS = 30


@dataclass(frozen=True)
class Chart:
    """A patient with a key, and the grants that are given again and again: to the doctor, to the hospital."""

    patient: str
    actor: Actor
    to_doctor: str
    to_hospital: str


@dataclass
class Clinic:
    """Charts, their records, who reads them."""

    fixture: BenchFixture
    doctor: Actor
    charts: list[Chart]
    records: list[Record]
    """The records that can be read."""
    fresh: list[str]
    """The patients of records staged since `settle`, whose records aren't among `records` yet."""

    @property
    def ledger(self) -> Ledger:
        """The log worked on."""
        return self.fixture.ledger

    @classmethod
    def build(
        cls, place: Path, charts: int, records: int, url: str = "", blobs: str = ""
    ) -> "Clinic":
        """A new ledger with `charts` patients and `records` records of RECORD_BYTES each.

        `url` of its database and `blobs` as HEARTWOOD_BLOBS says it; empty: SQLite and files in `place`.
        """
        fixture = BenchFixture.build(place, 0, url, blobs)
        ledger, client = fixture.ledger, LocalClient(fixture.ledger)
        away = add_hospital(client, fixture.operator, "Away", "Etc/UTC")
        doctor, _ = add_member(client, away.admin, "doctor", away.hospital, "Dr. Bench", new_key())
        made = [_granted(ledger, chart, doctor) for chart in _charts(fixture, charts)]
        patients = [chart.patient for chart in made for _ in range(records)]
        for start in range(0, len(patients), UPLOAD_AT_ONCE):
            part = patients[start : start + UPLOAD_AT_ONCE]
            upload(ledger, fixture.system, [_content(patient) for patient in part])
        found = [record for chart in made for record in find_records(ledger, chart.patient)]
        return cls(fixture, doctor, made, found, [])

    def settle(self) -> None:
        """Let what was inserted be read from now on, newest last."""
        for patient in dict.fromkeys(self.fresh):
            known = {record.record for record in self.records if record.patient == patient}
            new = (r for r in find_records(self.ledger, patient) if r.record not in known)
            self.records += new
        self.fresh.clear()

    def read(self, record: Record) -> Operation:
        """The doctor opens a record: decided, appended, key released, content decrypted."""

        def give(committed: CommittedBatch) -> None:
            if len(b"".join(give_record(self.ledger, settled(committed)).content)) != RECORD_BYTES:
                raise SystemExit("got another content than was uploaded")

        return Operation(self._opening(record), after=give)

    def view(self, record: Record) -> Operation:
        """The record's row alone, as the service looks at it: nobody is given anything."""
        return Operation(look=lambda: self.ledger.row(Record, record.record))

    def scan(self, patient: str) -> Operation:
        """The doctor opens a chart's list, decided record by record."""
        body = {"purpose": "TREAT"}
        event = self._event(self.doctor, "chart.opened", patient, body)
        return Operation([event], after=lambda committed: _listed(self.ledger, committed))

    def own_chart(self, chart: Chart, then: Operation | None = None) -> Operation:
        """The patient opens the own chart's list; `then` follows, expecting nothing to have come between."""
        event = self._event(chart.actor, "chart.opened", chart.patient, {"purpose": "PATRQT"})

        def give(committed: CommittedBatch) -> Operation | None:
            _listed(self.ledger, committed)
            return then and _expecting(then, committed)

        return Operation([event], after=give)

    def grant(self, chart: Chart, to_hospital: bool = False) -> Signed:
        """The patient replaces the grant to the doctor, or to the hospital, by one that says the same."""
        lineage = chart.to_hospital if to_hospital else chart.to_doctor
        grantee = self.doctor.hospital if to_hospital else self.doctor.account
        return signed(chart.actor, grant_event(chart, grantee, lineage, self.ledger.clock()))

    def revoke(self, chart: Chart, to_hospital: bool = False) -> Signed:
        """The patient revokes it."""
        grantee = self.doctor.hospital if to_hospital else self.doctor.account
        body = {"grantee": grantee, "purpose": "PATRQT"}
        return self._event(chart.actor, "access.revoked", chart.patient, body)

    def change(self, record: Record, chart: Chart) -> Operation:
        """Read, then write what depends on it: refused as a conflict if the chart has changed in between."""
        write = Operation([self.grant(chart)])

        def give(committed: CommittedBatch) -> Operation:
            b"".join(give_record(self.ledger, settled(committed)).content)
            return _expecting(write, committed)

        return Operation(self._opening(record), after=give)

    def insert(self, patient: str) -> Operation:
        """The hospital's system uploads a record whose content was staged before."""
        system = self.fixture.system
        staged = stage(self.ledger, system.caller, patient, [os.urandom(RECORD_BYTES)])
        body = {
            "blob": staged.blob, "category": "laboratory", "confidentiality": "normal",
            "media_type": "application/octet-stream", "purpose": "TREAT", "record": staged.record,
            "sha256": b64encode(staged.sha256), "size": staged.size, "version": 1,
        }  # fmt: skip
        self.fresh.append(patient)
        return Operation([self._event(system, "record.uploaded", patient, body)])

    def _opening(self, record: Record) -> list[Signed]:
        body = {"blob": record.versions[0].blob, "purpose": "TREAT", "record": record.record, "version": 1}  # fmt: skip
        return [self._event(self.doctor, "record.opened", record.patient, body)]

    def _event(self, actor: Actor, kind: str, patient: str, body: dict[str, Any]) -> Signed:
        return signed(actor, actor.event(kind, f"patient/{patient}", body, self.ledger.clock()))


def zipfian(items: int) -> list[float]:
    """Rising weights of `items` ranks, for `random.choices`: rank n has 1/n^0.99 (Cooper et al. 2010)."""
    return list(accumulate(1 / rank**THETA for rank in range(1, items + 1)))


def shuffled(count: int) -> list[int]:
    """0 to `count`, so that popular ones lie anywhere, and always at the same places."""
    order = list(range(count))
    random.Random(7).shuffle(order)
    return order


def grant_event(chart: Chart, grantee: str, lineage: str, now: int) -> dict[str, Any]:
    """A grant of the whole chart; the first of its lineage where `lineage` is empty."""
    body = {
        "actions": ["list", "read"], "end": format_time(now + GRANT_DAYS * DAY_MS),
        "grant": new_id("gr", now), "grantee": grantee, "purpose": "PATRQT", "scope": "full",
        "start": format_time(now),
    } | ({"lineage": lineage} if lineage else {})  # fmt: skip
    stream = f"patient/{chart.patient}"
    return chart.actor.event("access.granted", stream, body, now) | {"v": 2}


def _charts(fixture: BenchFixture, count: int) -> list[Chart]:
    """Registered patients with keys of their own, who have granted nothing yet."""
    out: list[Chart] = []
    for start in range(0, count, REGISTER_AT_ONCE):
        now = fixture.ledger.clock()
        new = [
            NewPatient(new_id("pt", now), new_id("ac", now), "Bench", None, False, new_key())
            for _ in range(min(REGISTER_AT_ONCE, count - start))
        ]
        register_patients(LocalClient(fixture.ledger), fixture.system, new)
        for one in new:
            assert one.key is not None
            out.append(Chart(one.patient, Actor(ORIGIN, one.account, "patient", "", one.key), "", ""))  # fmt: skip
    return out


def _granted(ledger: Ledger, chart: Chart, doctor: Actor) -> Chart:
    """The chart with the names of its first grants, to doctor and hospital."""
    now = ledger.clock()
    events = [grant_event(chart, to, "", now) for to in (doctor.account, doctor.hospital)]
    append(ledger, chart.actor, events)
    names = [event["body"]["grant"] for event in events]
    return Chart(chart.patient, chart.actor, *names)


def _content(patient: str) -> Upload:
    return Upload(patient, "laboratory", "application/octet-stream", [os.urandom(RECORD_BYTES)])


def _listed(ledger: Ledger, committed: CommittedBatch) -> None:
    if not list_chart(ledger, settled(committed)).lines:
        raise SystemExit("got an empty chart")


def _expecting(write: Operation, committed: CommittedBatch) -> Operation:
    """`write`, expecting that its stream ends with the reading that was just committed."""
    (read,) = committed.outcomes
    return Operation(write.events, write.atomic, write.after, None, read.entry.link.stream_seq + 1)  # type: ignore[union-attr]


def signed(actor: Actor, event: dict[str, Any]) -> Signed:
    """An event of an actor, signed alone."""
    raw = Event.of(event).raw
    signature = sign_event(actor.key, ORIGIN, raw)
    return Signed(raw, signature.key, signature.value)
