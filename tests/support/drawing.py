"""What random sequences of signed events are drawn from: people, charts, and the events made of them.

All of it is a function of the `Random` that is given, and of the time.
"""

from __future__ import annotations

from collections.abc import Sequence as Several
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, TypeVar

from client.signers import possession
from crypto import canonical
from crypto.encoding import b64encode
from crypto.ids import random_id, timed_id
from crypto.signing import SigningKey
from identity.actors import Actor
from journeys.sealing import reserve
from keeper.protocol import KeyRequest, NewBlob
from ledger.event import Event, sign_event
from ledger.policies import last_policy
from ledger.sequencer import Proposal
from ledger.times import format_time
from tests.support.ledger_fixture import LedgerFixture

Body = dict[str, Any]
T = TypeVar("T")
SIZE: Final = 21
"""Bytes of every made-up plaintext."""
PURPOSES: Final = (*16 * ("TREAT",), "HOPERAT", "HRESCH", "BTG", "PATRQT")
CATEGORIES: Final = ("document", "imaging", "laboratory")
CHILD: Final = {
    "adult_from": "2045-01-01T00:00:00.000Z",
    "teen_from": "2039-01-01T00:00:00.000Z",
}
TEEN: Final = CHILD | {"teen_from": "2020-01-01T00:00:00.000Z"}
ADULT: Final = {"adult": True}
HOUR_MS: Final = 3_600_000


@dataclass
class Hospital:
    """A hospital, who acts for it, and its groups."""

    hospital: str
    admin: Actor
    system: Actor
    groups: list[str] = field(default_factory=list)

    @property
    def stream(self) -> str:
        return f"hospital/{self.hospital}"


@dataclass
class Record:
    """A record: its versions' blobs, and what was said of it last."""

    record: str
    hospital: str
    blobs: list[str]
    labels: list[str]
    hidden: bool = False


@dataclass
class Chart:
    """A patient's chart: the records, the grants (their id, grantee and lineage) and who is excluded."""

    patient: str
    actor: Actor
    at: Hospital
    records: list[Record] = field(default_factory=list)
    grants: list[tuple[str, str, str]] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)

    def grantees(self) -> list[str]:
        return [grantee for _, grantee, _ in self.grants]

    @property
    def stream(self) -> str:
        return f"patient/{self.patient}"


class Drawing:
    """Proposals in the order in which they are sent, and the keys that they need reserved."""

    def __init__(self, rng: Random, fixture: LedgerFixture) -> None:
        """Nobody yet."""
        self.rng, self.fixture, self.now = rng, fixture, fixture.ledger.clock()
        self.origin, self.operator = fixture.ledger.origin, fixture.operator
        self.proposals: list[Proposal] = []
        self.objects: dict[tuple[str, str], str] = {}
        """Who reserved the key of an object of a subject."""
        self.blobs: dict[str, tuple[str, str, NewBlob]] = {}
        """Who staged a blob, and for which patient."""
        last = last_policy(fixture.ledger.policies())
        self.policy, self.registry = last.policy, last.registry
        self.hospitals: list[Hospital] = []
        self.doctors: list[Actor] = []
        self.left: list[tuple[Hospital, Actor]] = []
        self.in_groups: list[tuple[Hospital, str, Actor]] = []
        self.auditors: list[Actor] = []
        self.charts: list[Chart] = []
        self.labels = [self.id("l") for _ in range(2)]

    def reserve(self) -> None:
        """Reserve and stage with the keeper what the events name, in their authors' names."""
        ledger = self.fixture.ledger
        for author in dict.fromkeys(self.objects.values()):
            own = [KeyRequest(s, (o,)) for (o, s), by in self.objects.items() if by == author]
            reserve(ledger, author, own)
        for author in dict.fromkeys(by for by, _, _ in self.blobs.values()):
            made = [(p, blob) for by, p, blob in self.blobs.values() if by == author]
            wanted = [KeyRequest(patient, (), (blob,)) for patient, blob in made]
            reserve(ledger, author, wanted, {blob.blob: SIZE for _, blob in made})

    # What everything is made of

    def id(self, prefix: str) -> str:
        """A fresh id, the same for the same seed and clock."""
        if prefix == "pt":
            return random_id(prefix, self.rng.randbytes(16))
        return timed_id(prefix, self.now, self.rng.randbytes(10))

    def new_key(self) -> SigningKey:
        return SigningKey(self.rng.randbytes(32))

    def maybe(self, chance: float) -> bool:
        return self.rng.random() < chance

    def some(self, of: Several[T], most: int) -> list[T]:
        return self.rng.sample(of, self.rng.randint(1, min(most, len(of))))

    def do(self, actor: Actor, kind: str, stream: str, body: Body, v: int = 1) -> str:
        """One more event; now and then it is sent twice, bent, for somebody else or out of turn. Gives its id."""
        event = actor.event(kind, stream, body, self.now, self.id("ev")) | {"v": v}
        if self.maybe(0.01):
            event["on_behalf_of"] = self.rng.choice(self.doctors or [actor]).account
        expect = self.rng.randint(0, 9) if self.maybe(0.01) else None
        sent = self.signed(actor, event, expect)
        self.proposals.append(sent)
        if self.maybe(0.02):
            self.proposals.append(self.rng.choice((sent, self.rng.choice(self.proposals))))
        if self.maybe(0.01):
            self.proposals.append(self.signed(actor, event | {"at": format_time(self.now + 1)}))
        return str(event["id"])

    def signed(self, actor: Actor, event: Body, expect: int | None = None) -> Proposal:
        raw = canonical.write(event)
        return Proposal(Event.parse(raw), sign_event(actor.key, self.origin, raw), expect)

    def account(self, registrar: Actor, custody: str = "device") -> Actor:
        """A new account with its first key."""
        person = Actor(self.origin, self.id("ac"), "person", "", self.new_key())
        self.objects[person.account, person.account] = registrar.account
        stream = f"account/{person.account}"
        self.do(registrar, "account.registered", stream, {"account": person.account})
        self.do(registrar, "key.registered", stream, self.key_body(person, custody))
        return person

    def key_body(self, person: Actor, custody: str = "device") -> Body:
        return {
            "account": person.account, "algorithm": "ed25519", "custody": custody,
            "key": person.key.id, "proof": possession(person.key, self.origin, person.account),
            "public_key": b64encode(person.key.public),
        }  # fmt: skip

    # Readings

    def read(
        self, actor: Actor | None = None, chart: Chart | None = None, record: Record | None = None,
        purpose: str = "",
    ) -> None:  # fmt: skip
        """A record, the chart's list or its history opened, or all exported."""
        chart = chart or self.rng.choice(self.charts)
        actor = actor or self.rng.choice((
            *self.doctors, *self.doctors, *(doctor for _, _, doctor in self.in_groups[-2:]),
            chart.actor, chart.at.system, self.rng.choice(self.charts).actor,
            *(doctor for _, doctor in self.left[-1:]),
        ))  # fmt: skip
        body: Body = {"purpose": purpose or self.rng.choice(PURPOSES)}
        dice = self.rng.random()
        if chart.records and dice < 0.7:
            record = record or self.rng.choice(chart.records)
            number = self.rng.randint(1, len(record.blobs))
            wrong = self.maybe(0.03)
            blob = self.id("bl") if wrong else record.blobs[number - 1]
            body |= {"blob": blob, "record": record.record, "version": number}
            kind = "record.opened"
        elif dice < 0.95:
            kind = "chart.opened"
        elif dice < 0.98:
            kind = "history.opened"
        else:
            kind = "chart.exported"
            body |= {"count": 0, "root": b64encode(bytes(32))}
        self.do(actor, kind, chart.stream, body)

    # Who belongs where

    def home(self, doctor: Actor) -> Hospital:
        return next(one for one in self.hospitals if one.hospital == doctor.hospital)

    def doctor_of(self, at: Hospital) -> Actor:
        own = [one for one in self.doctors if one.hospital == at.hospital]
        return self.rng.choice(own or self.doctors)

    def author_at(self, hospital: str) -> Actor | None:
        """Somebody who may amend or retract what the hospital wrote; None of a patient's own."""
        if not hospital:
            return None
        at = next(one for one in self.hospitals if one.hospital == hospital)
        return self.rng.choice((at.system, self.doctor_of(at)))
