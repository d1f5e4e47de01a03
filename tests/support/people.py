"""People for tests of single events: two patients, a record, and events that can be bent one member at a time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from crypto.encoding import b64encode
from identity.actors import Actor, new_id
from journeys.sealing import reserve
from keeper.protocol import KeyRequest, NewBlob
from ledger.times import DAY_MS, format_time
from storage.keytable import LABEL_KEY
from tests.support.ledger_fixture import LedgerFixture, Person


@dataclass(frozen=True)
class People:
    """Two patients, a doctor of another hospital and one record of the first patient."""

    fixture: LedgerFixture
    pat: Person
    kim: Person
    doctor: Actor
    record: str
    blob: str

    @classmethod
    def of(cls, fixture: LedgerFixture) -> People:
        """Put them into the ledger."""
        pat, kim = fixture.person("Pat"), fixture.person("Kim")
        up = fixture.record(pat, title="Blood count")
        return cls(fixture, pat, kim, fixture.doctor(), up.record, up.blob)

    def id(self, prefix: str) -> str:
        """A fresh id."""
        return new_id(prefix, self.fixture.ledger.clock())

    def grant(self, grantee: str = "", **bent: Any) -> dict[str, Any]:
        """The first patient grants the doctor the whole chart for a day."""
        now = self.fixture.ledger.clock()
        body = {
            "actions": ["list", "read"], "end": format_time(now + DAY_MS), "grant": self.id("gr"),
            "grantee": grantee or self.doctor.account, "purpose": "PATRQT", "scope": "full",
            "start": format_time(now),
        }  # fmt: skip
        return self.pat.actor.event("access.granted", self.pat.stream, body | bent, now)

    def revocation(self) -> dict[str, Any]:
        """The first patient revokes all that the doctor has."""
        body = {"grantee": self.doctor.account, "purpose": "PATRQT"}
        now = self.fixture.ledger.clock()
        return self.pat.actor.event("access.revoked", self.pat.stream, body, now)

    def reading(self, actor: Actor | None = None, **bent: Any) -> dict[str, Any]:
        """The doctor, or somebody else, opens the record."""
        body = {"blob": self.blob, "purpose": "TREAT", "record": self.record, "version": 1}
        who, now = actor or self.doctor, self.fixture.ledger.clock()
        return who.event("record.opened", self.pat.stream, body | bent, now)

    def upload(
        self,
        author: Actor | None = None,
        staged_for: Person | None = None,
        stage: bool = True,
        **bent: Any,
    ) -> dict[str, Any]:
        """An author (the north's system) uploads a record of the first patient that was staged.

        `staged_for`: for whom the blob was staged.
        """
        ledger, system = self.fixture.ledger, self.fixture.north.system
        record, blob, digest = self.id("rc"), self.id("bl"), os.urandom(32)
        whose = (staged_for or self.pat).patient
        for subject, name in {(self.pat.patient, bent.get("record", record)), (whose, record)}:
            reserve(ledger, system.account, [KeyRequest(subject, (name,))])
        if stage:
            made = NewBlob(record, blob, digest, os.urandom(32))
            reserve(ledger, system.account, [KeyRequest(whose, (), (made,))], {blob: 21})
        body = {
            "blob": blob, "category": "laboratory", "confidentiality": "normal",
            "media_type": "text/plain", "purpose": "TREAT", "record": record,
            "sha256": b64encode(digest), "size": 21, "version": 1,
        }  # fmt: skip
        now = self.fixture.ledger.clock()
        return (author or system).event("record.uploaded", self.pat.stream, body | bent, now)

    def registration(
        self, reserved: bool = True, reserved_by: Actor | None = None, **bent: Any
    ) -> dict[str, Any]:
        """The north's system registers a third patient; `reserved_by`: whose the reserved keys are."""
        system, patient, account = self.fixture.north.system, self.id("pt"), self.id("ac")
        body: dict[str, Any] = {
            "account": account, "adult": True, "patient": patient, "purpose": "TREAT"
        } | bent  # fmt: skip
        if reserved:
            own = KeyRequest(body["patient"], (body["patient"], LABEL_KEY))
            accounts = KeyRequest(account, (body["account"],))
            reserve(self.fixture.ledger, (reserved_by or system).account, [own, accounts])
        now = self.fixture.ledger.clock()
        return system.event("patient.registered", f"patient/{body['patient']}", body, now)
