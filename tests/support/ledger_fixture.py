"""A ledger with hospitals, doctors and patients for tests, made through the real journeys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from api.app.creating import create_ledger
from api.app.settings import Settings
from client import beside, registering
from client.beside import append
from client.local import LocalClient
from client.registering import AddedHospital, NewPatient
from crypto import canonical
from crypto.signing import SigningKey
from identity.actors import Actor, new_id, new_key, read_keyfile
from ledger.auditor import Report, verify_export
from ledger.entry import Entry
from ledger.errors import Refused
from ledger.event import sign_event
from ledger.files import read_vkeys
from ledger.sequencer import Appended, Denied, Outcome, Proposal
from ledger.times import DAY_MS, format_time
from records import opening
from records.uploads import Upload, Uploaded
from storage.clock import wall_clock
from storage.exports import write_export
from storage.ledger import Ledger
from tests.support.copies import copy_ledger
from tests.support.inside import opened

ORIGIN = "heartwood.example/tests"
CONTENT = b"haemoglobin 13.9 g/dl"
Clock = Callable[[], int]


@dataclass(frozen=True)
class Person:
    """A patient: the chart's id, and the patient as an actor."""

    patient: str
    actor: Actor

    @property
    def stream(self) -> str:
        """The stream of the chart."""
        return f"patient/{self.patient}"


@dataclass
class LedgerFixture:
    """An open ledger with a hospital that writes records (north) and one that doesn't (south)."""

    settings: Settings
    ledger: Ledger
    operator: Actor
    north: AddedHospital
    south: AddedHospital
    exports: int = field(default=0)

    @classmethod
    def found(
        cls,
        settings: Settings,
        clock: Clock = wall_clock,
        origin: str = ORIGIN,
        zone: str = "Europe/Berlin",
    ) -> Self:
        """Make the ledger and its two hospitals, both in the same time zone."""
        created = create_ledger(settings, origin, clock)
        ledger = opened(settings, clock)
        operator = read_keyfile(created.keyfile, settings.secret())
        north, south = (
            registering.add_hospital(LocalClient(ledger), operator, name, zone)
            for name in ("Nordklinik", "Südklinik")
        )
        return cls(settings, ledger, operator, north, south)

    def copied(self, data: Path) -> LedgerFixture:
        """Its like in another data directory and database, open; this one must be closed.

        It is made in a tenth of the time, and is the same log under the same keys: no stranger to this one.
        """
        settings = copy_ledger(self.settings, data)
        return replace(self, settings=settings, ledger=opened(settings))

    def reopen(self, clock: Clock = wall_clock) -> None:
        """Close the ledger and open it again, as after a restart."""
        self.ledger.close()
        self.ledger = opened(self.settings, clock)

    def forget(self) -> None:
        """Let the log keep nothing of the batches before, as after a restart; nobody else may append meanwhile."""
        self.ledger.log._state = None

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    def doctor(self, hospital: AddedHospital | None = None) -> Actor:
        """A new doctor, by default at the south hospital, which has written nothing."""
        at = hospital or self.south
        return registering.add_member(
            LocalClient(self.ledger), at.admin, "doctor", at.hospital, "Dr. Ö", new_key()
        )[0]

    def person(self, name: str = "Pat") -> Person:
        """A new patient, of age, registered by the north hospital's system."""
        now, key = self.ledger.clock(), new_key()
        new = NewPatient(new_id("pt", now), new_id("ac", now), name, None, False, key)
        registering.register_patients(LocalClient(self.ledger), self.north.system, [new])
        return Person(new.patient, Actor(self.ledger.origin, new.account, "patient", "", key))

    def record(self, person: Person, content: bytes = CONTENT, title: str = "") -> Uploaded:
        """A new record of a patient, written by the north hospital's system."""
        one = Upload(person.patient, "laboratory", "text/plain", [content], title=title)
        return beside.upload(self.ledger, self.north.system, [one])[0]

    def reading(self, actor: Actor, record: str, purpose: str = "TREAT") -> Proposal:
        """A signed reading of a record's latest version."""
        found = opening.find_record(self.ledger, record)
        return beside.reading(self.ledger, actor, found, purpose)

    def fill(self, person: Person, size: int) -> None:
        """Let a patient grant until the log has `size` entries."""
        now = self.ledger.clock()
        body = {
            "actions": ["list"], "end": format_time(now + DAY_MS), "purpose": "PATRQT",
            "grantee": self.south.hospital, "scope": "full", "start": format_time(now),
        }  # fmt: skip
        events = [
            person.actor.event(
                "access.granted", person.stream, body | {"grant": new_id("gr", now)}, now
            )
            for _ in range(size - self.size())
        ]
        append(self.ledger, person.actor, events)

    def size(self) -> int:
        """Entries in the log."""
        return self.ledger.head().size

    def answer(
        self, event: dict[str, Any], key: SigningKey, session: int | None = None, **sent: Any
    ) -> Outcome:
        """What comes of an event signed by `key`, in the sign-in of entry `session`; see `signed` for what can be bent."""
        try:
            proposal = signed(self.ledger, event, key, **sent)._replace(session=session)
            return self.ledger.append([proposal])[0]
        except Refused as refusal:
            return refusal

    def verify(self) -> Report:
        """Export the whole log and verify it, against keys from outside the export."""
        target = self.settings.data.with_name(f"export-{self.exports}")
        self.exports += 1
        write_export(self.ledger, target)
        return verify_export(target, vkeys(self.settings))


def signed(
    ledger: Ledger,
    event: dict[str, Any],
    key: SigningKey,
    *,
    origin: str = "",
    raw: bytes = b"",
    value: bytes = b"",
    as_key: str = "",
    expect: int | None = None,
) -> Proposal:
    """A proposal; the event's bytes, the signature, its key's id and the origin can be others than true."""
    data = raw or canonical.write(event)
    signature = sign_event(key, origin or ledger.origin, data)
    return ledger.signatures.event(data, as_key or signature.key, value or signature.value, expect)


def vkeys(settings: Settings) -> Sequence[str]:
    """The log's verifier keys."""
    keys = read_vkeys(settings.data / "log.vkey")
    assert keys is not None
    return keys


def entry_of(outcome: Outcome) -> Entry:
    """The entry of an outcome that must be one."""
    assert isinstance(outcome, Appended), outcome
    return outcome.entry


def denied(outcome: Outcome) -> Denied:
    """An outcome that must be a denial."""
    assert isinstance(outcome, Denied), outcome
    return outcome


def refused(outcome: Outcome) -> Refused:
    """An outcome that must be a refusal."""
    assert isinstance(outcome, Refused), outcome
    return outcome


def keys_of(settings: Settings) -> Path:
    """The folder of the log's private keys."""
    return settings.data / "keys"
