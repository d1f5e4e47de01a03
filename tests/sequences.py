"""Random sequences of signed events: what the people of two or three hospitals and their patients might send.

    drawn = Sequence(random.Random(7), town, 200)
    drawn.reserve()
    drawn.proposals

All of it is drawn before any of it is sent, by what would have come of the events before if all had
been taken; so most are taken, some are refused, and which ones the log alone decides. There are few
people and few records, so that they meet: what changes somebody's rights is mostly followed by a
reading of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Several
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, TypeVar

from crypto import canonical
from crypto.encoding import b64encode
from crypto.ids import ALGORITHM_X25519, key_id, random_id, timed_id
from crypto.signing import SigningKey
from identity.actors import Actor, possession
from ledger.event import Event, sign_event
from ledger.policies import last_policy
from ledger.sequencer import Proposal
from ledger.times import DAY_MS, format_time
from records.reserving import reserve
from storage.keeper import KeyRequest, NewBlob
from storage.staged import LABEL_KEY
from tests.people import Town

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
CHARTS, DOCTORS, HOSPITALS, GROUPS, RECORDS = 3, 7, 3, 3, 8
"""Most of each; the fewer there are, the more often they meet."""


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


class Sequence:
    """Proposals in the order in which they are sent, and the keys that they need reserved."""

    def __init__(self, rng: Random, town: Town, events: int) -> None:
        """At least so many `events`, after those that found hospitals, charts and records."""
        self.rng, self.town, self.now = rng, town, town.ledger.clock()
        self.origin, self.operator = town.ledger.origin, town.operator
        self.proposals: list[Proposal] = []
        self.objects: dict[tuple[str, str], str] = {}
        """Who reserved the key of an object of a subject."""
        self.blobs: dict[str, tuple[str, str, NewBlob]] = {}
        """Who staged a blob, and for which patient."""
        last = last_policy(town.ledger.policies())
        self.policy, self.registry = last.policy, last.registry
        self.hospitals: list[Hospital] = []
        self.doctors: list[Actor] = []
        self.left: list[tuple[Hospital, Actor]] = []
        self.in_groups: list[tuple[Hospital, str, Actor]] = []
        self.auditors: list[Actor] = []
        self.charts: list[Chart] = []
        self.labels = [self.id("l") for _ in range(2)]
        self._found()
        while len(self.proposals) < events:
            rng.choices(STEPS, WEIGHTS)[0](self)

    def reserve(self) -> None:
        """Reserve and stage with the keeper what the events name, in their authors' names."""
        ledger = self.town.ledger
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

    def do(self, actor: Actor, kind: str, stream: str, body: Body, v: int = 1) -> None:
        """One more event; now and then it is sent twice, bent, for somebody else or out of turn."""
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

    def signed(self, actor: Actor, event: Body, expect: int | None = None) -> Proposal:
        raw = canonical.write(event)
        return Proposal(Event.parse(raw), sign_event(actor.key, self.origin, raw), expect)

    # Hospitals and their people

    def _found(self) -> None:
        for _ in range(2):
            self.add_hospital()
            for _ in range(2):
                self.add_doctor(self.hospitals[-1])
        for _ in range(2):
            self.add_chart()
            self.upload()

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
            "key": person.key.id, "proof": possession(self.origin, person.account, person.key),
            "public_key": b64encode(person.key.public),
        }  # fmt: skip

    def add_hospital(self) -> None:
        if len(self.hospitals) >= HOSPITALS:
            return
        hospital = self.id("hs")
        body = {"hospital": hospital, "name": "Klinik", "time_zone": "Europe/Berlin"}
        self.do(self.operator, "hospital.approved", "ledger", body)
        stream, people = f"hospital/{hospital}", list[Actor]()
        for kind, role in (
            ("admin.appointed", "hospital_admin"),
            ("system.added", "hospital_system"),
        ):
            by = people[0] if people else self.operator
            person = self.account(by)
            self.do(by, kind, stream, {"account": person.account})
            people.append(person.in_role(role, hospital))
        admin, system = people
        self.hospitals.append(Hospital(hospital, admin, system))

    def suspend_hospital(self) -> None:
        """One is suspended and its doctor reads, perhaps on and on, until it is approved again."""
        at = self.rng.choice(self.hospitals)
        self.do(self.operator, "hospital.suspended", "ledger", {"hospital": at.hospital})
        for _ in range(self.rng.randint(1, 3)):
            self.read(self.doctor_of(at))
        body = {"hospital": at.hospital, "name": "Klinik", "time_zone": "Europe/Berlin"}
        self.do(self.operator, "hospital.approved", "ledger", body)

    def add_doctor(self, at: Hospital | None = None) -> None:
        """A new one; or one of another hospital, who then has two."""
        at = at or self.rng.choice(self.hospitals)
        if self.doctors and (len(self.doctors) >= DOCTORS or self.maybe(0.2)):
            person = self.rng.choice(self.doctors)
        else:
            person = self.account(at.admin, self.rng.choice(("device", "device", "service")))
        self.approve(at, person)

    def approve(self, at: Hospital, person: Actor) -> None:
        self.do(at.admin, "doctor.approved", at.stream, {"account": person.account})
        doctor = person.in_role("doctor", at.hospital)
        if doctor not in self.doctors:
            self.doctors.append(doctor)

    def end_doctor(self) -> None:
        """One is suspended or ended, and goes on trying; mostly approved again soon."""
        if len(self.doctors) < 3:
            return
        doctor = self.rng.choice(self.doctors)
        at = self.home(doctor)
        kind = self.rng.choice(("doctor.suspended", "doctor.ended"))
        self.do(at.admin, kind, at.stream, {"account": doctor.account})
        self.doctors.remove(doctor)
        self.left.append((at, doctor))
        self.read(doctor)

    def approve_again(self) -> None:
        if self.left:
            at, doctor = self.left.pop()
            self.approve(at, doctor)
            self.read(doctor)

    def change_staff(self) -> None:
        """A second admin or system comes, and goes at once."""
        at = self.rng.choice(self.hospitals)
        person = self.account(at.admin)
        joins, leaves, role = self.rng.choice((
            ("admin.appointed", "admin.ended", "hospital_admin"),
            ("system.added", "system.ended", "hospital_system"),
        ))  # fmt: skip
        body = {"account": person.account}
        self.do(at.admin, joins, at.stream, body)
        actor = person.in_role(role, at.hospital)
        self.do(actor, "account.registered", f"account/{actor.account}", body)
        self.do(at.admin, leaves, at.stream, body)
        self.read(actor)

    def change_keys(self) -> None:
        """A doctor gets another key; one of theirs is revoked, and used once more."""
        doctor = self.rng.choice(self.doctors)
        person, stream = doctor.in_role("person"), f"account/{doctor.account}"
        if self.maybe(0.3):
            public = self.rng.randbytes(32)
            exchange = self.key_body(person) | {
                "algorithm": "x25519", "key": key_id(ALGORITHM_X25519, public),
                "public_key": b64encode(public),
            }  # fmt: skip
            del exchange["proof"]
            self.do(person, "key.registered", stream, exchange)
        new = Actor(self.origin, doctor.account, "person", "", self.new_key())
        self.do(person, "key.registered", stream, self.key_body(new))
        old, kept = (person, new) if self.maybe(0.7) else (new, person)
        self.do(kept, "key.revoked", stream, {"account": doctor.account, "key": old.key.id})
        self.doctors = [self._holding(one, kept) for one in self.doctors]
        self.in_groups = [
            (at, group, self._holding(one, kept)) for at, group, one in self.in_groups
        ]
        self.read(old.in_role("doctor", doctor.hospital))

    def _holding(self, one: Actor, person: Actor) -> Actor:
        """Whoever is the person signs with the person's key from now on."""
        if one.account != person.account:
            return one
        return person.in_role(one.role, one.hospital)

    def appoint_auditor(self) -> None:
        if not self.auditors:
            person = self.account(self.operator)
            start = self.now - self.rng.choice((HOUR_MS, 3 * DAY_MS))
            term = {"end": format_time(start + 2 * DAY_MS), "start": format_time(start)}
            body = {"account": person.account} | term
            self.do(self.operator, "auditor.appointed", "ledger", body)
            self.auditors.append(person.in_role("auditor"))
        auditor = self.auditors[0]
        self.do(auditor, "log.opened", "ledger", {})
        self.read(auditor)
        if self.maybe(0.2):
            body = {"account": auditor.account}
            self.do(self.operator, "auditor.ended", "ledger", body)
            self.read(auditor)

    def change_policy(self) -> None:
        policy = dict(self.policy)
        name, value = self.rng.choice((
            ("refusals_per_hour", 2), ("grant_days_max", 30), ("emergency_hours", 2),
            ("custodian_reads", False), ("custodian_reads", True),
            ("assurance", policy["assurance"] | {"read": self.rng.randint(1, 3)}),
        ))  # fmt: skip
        self.policy = policy | {name: value}
        body = {"policy": self.policy, "registry": self.registry}
        self.do(self.operator, "policy.changed", "ledger", body)
        self.read(self.rng.choice(self.doctors))

    # Groups

    def form_group(self, at: Hospital | None = None) -> None:
        at = at or self.rng.choice(self.hospitals)
        if len(at.groups) < GROUPS:
            at.groups.append(self.id("gp"))
            self.do(at.admin, "group.formed", at.stream, {"group": at.groups[-1]})

    def join(self) -> None:
        """A doctor joins a group that a patient excluded or granted something, and reads there."""
        at = self.rng.choice(self.hospitals[1:])
        if not at.groups:
            self.form_group(at)
        group = self.rng.choice(at.groups)
        inside = {one.account for _, name, one in self.in_groups if name == group}
        own = [one for one in self.doctors if one.hospital == at.hospital]
        outside = [one for one in own if one.account not in inside]
        if not outside:
            self.add_doctor(at)
            return
        doctor = self.rng.choice(outside)
        about = [one for one in self.charts if group in (*one.excluded, *one.grantees())]
        if not about or self.maybe(0.2):
            chart = self.rng.choice(self.charts)
            self.exclude(chart, group) if self.maybe(0.3) else self.grant(chart, group)
            return
        body = {"account": doctor.account, "group": group}
        self.do(at.admin, "group.joined", at.stream, body)
        self.in_groups.append((at, group, doctor))
        for _ in range(2):
            self.read(doctor, self.rng.choice(about))

    def leave(self) -> None:
        if self.in_groups:
            at, group, doctor = self.in_groups.pop(self.rng.randrange(len(self.in_groups)))
            body = {"account": doctor.account, "group": group}
            self.do(at.admin, "group.left", at.stream, body)
            self.read(doctor)

    # Charts and records

    def add_chart(self) -> None:
        """A patient is registered by somebody of a hospital; a doctor's patient gets a key by the admin."""
        if len(self.charts) >= CHARTS:
            return
        at = self.hospitals[0] if self.maybe(0.7) else self.rng.choice(self.hospitals)
        by = self.rng.choice((at.system, at.admin, self.doctor_of(at)))
        patient, person = (
            self.id("pt"),
            Actor(self.origin, self.id("ac"), "patient", "", self.new_key()),
        )
        for name, subject in (
            (patient, patient), (LABEL_KEY, patient), (person.account, person.account)
        ):  # fmt: skip
            self.objects[name, subject] = by.account
        chart = Chart(patient, person, at)
        body = {"account": person.account, "patient": patient, "purpose": "TREAT"}
        ages = self.rng.choice((ADULT, ADULT, ADULT, TEEN))
        self.do(by, "patient.registered", chart.stream, body | ages)
        self.do(at.admin, "key.registered", f"account/{person.account}", self.key_body(person))
        self.charts.append(chart)

    def correct(self) -> None:
        """By the hospital that registered or another; of age or not, now and then dead or nobody."""
        chart = self.rng.choice(self.charts)
        at = chart.at if self.maybe(0.8) else self.rng.choice(self.hospitals)
        patient = chart.patient if self.maybe(0.9) else self.id("pt")
        body: Body = {"patient": patient, "purpose": "TREAT"} | self.rng.choice(
            (ADULT, ADULT, TEEN, CHILD)
        )
        if self.maybe(0.1):
            body["deceased"] = True
        by = self.rng.choice((at.system, at.admin, self.doctor_of(at)))
        self.do(by, "patient.corrected", f"patient/{patient}", body)
        self.rng.choice((self.consent, self.read))()

    def upload(self) -> None:
        """A new record, or a version more of one; read at once, perhaps."""
        chart = self.rng.choice(self.charts)
        author = self.rng.choice((
            chart.at.system, chart.at.system, self.doctor_of(chart.at), chart.actor,
            self.rng.choice(self.doctors),
        ))  # fmt: skip
        if chart.records and (len(chart.records) >= RECORDS or self.maybe(0.3)):
            record = self.rng.choice(chart.records)
            if self.maybe(0.8):
                author = self.author_at(record.hospital) or author
            record.blobs.append(self.version(chart, author, record))
        else:
            at = author.hospital
            record = Record(self.id("rc"), at, [], self.labels[:1] if self.maybe(0.2) else [])
            record.blobs.append(self.version(chart, author, record))
            chart.records.append(record)
        if self.maybe(0.3):
            self.read(None, chart, record)

    def version(self, chart: Chart, author: Actor, record: Record) -> str:
        """The next version's event; one in fifty names a blob that was not staged or that is another's."""
        blob = NewBlob(record.record, self.id("bl"), self.rng.randbytes(32), self.rng.randbytes(32))
        self.objects.setdefault((record.record, chart.patient), author.account)
        if self.maybe(0.98):
            self.blobs[blob.blob] = author.account, chart.patient, blob
        body: Body = {
            "blob": blob.blob, "category": self.rng.choice(CATEGORIES),
            "confidentiality": "restricted" if self.maybe(0.15) else "normal",
            "media_type": "text/plain", "purpose": "TREAT", "record": record.record,
            "sha256": b64encode(blob.sha256), "size": SIZE, "version": len(record.blobs) + 1,
        }  # fmt: skip
        if record.labels:
            body |= {"labels": record.labels, "sensitive": True}
        if self.maybe(0.5):
            body["clinical_date"] = self.rng.choice(("2026-01-02", "2026-03-04"))
        kind = "record.amended" if record.blobs else "record.uploaded"
        self.do(author, kind, chart.stream, body)
        return blob.blob

    def change_record(self) -> None:
        """Hidden or shown by the patient, or retracted by somebody; and read."""
        chart = self.rng.choice(self.charts)
        if not chart.records:
            return
        record = self.rng.choice(chart.records)
        if self.maybe(0.7):
            kind = "record.shown" if record.hidden else "record.hidden"
            record.hidden = not record.hidden
            actor, purpose = chart.actor, "PATRQT"
        else:
            kind, purpose = "record.retracted", "TREAT"
            actor = self.author_at(record.hospital) or chart.actor
            actor = actor if self.maybe(0.8) else self.rng.choice(self.doctors)
        self.do(actor, kind, chart.stream, {"purpose": purpose, "record": record.record})
        self.read(None, chart, record)

    # Consent

    def consent(self) -> None:
        """A grant, a revocation, an exclusion, or the end of one; and readings by whom it is about."""
        chart = self.rng.choice(self.charts)
        act = self.rng.choice((*5 * (self.grant,), self.revoke, *2 * (self.exclude,)))
        reader = act(chart)
        for _ in range(self.rng.randint(1, 2)):
            self.read(self.reader_of(reader), chart)

    def anybody(self) -> str:
        """A person, a hospital or a group; now and then one that nobody registered."""
        doctor, at = self.rng.choice(self.doctors), self.rng.choice(self.hospitals)
        usual = (doctor.account, doctor.account, at.hospital, *at.groups, *at.groups)
        return self.rng.choice(usual) if self.maybe(0.97) else self.id("gp")

    def reader_of(self, reader: str) -> Actor:
        """A doctor whom a grant or an exclusion of `reader` is about, as far as is known here."""
        fitting = [one for one in self.doctors if reader in (one.account, one.hospital)]
        fitting += [doctor for _, group, doctor in self.in_groups if group == reader]
        return self.rng.choice(fitting or self.doctors)

    def exclude(self, chart: Chart, reader: str = "") -> str:
        """An exclusion, or the end of one."""
        if not reader:
            known = [*5 * chart.excluded, *chart.grantees()]
            reader = self.rng.choice(known) if known and self.maybe(0.7) else self.anybody()
        kind = "reader.included" if reader in chart.excluded else "reader.excluded"
        if reader in chart.excluded:
            chart.excluded.remove(reader)
        else:
            chart.excluded.append(reader)
        self.do(chart.actor, kind, chart.stream, {"purpose": "PATRQT", "reader": reader})
        return reader

    def grant(self, chart: Chart, grantee: str = "") -> str:
        """Of all, some categories or some records; anew or in an old lineage."""
        grant, lineage = self.id("gr"), ""
        if chart.grants and not grantee and self.maybe(0.3):
            _, grantee, lineage = self.rng.choice(chart.grants)
        grantee = grantee or self.anybody()
        start = self.now + (HOUR_MS if self.maybe(0.05) else -HOUR_MS)
        end = self.now - 1 if self.maybe(0.03) else self.now + DAY_MS * self.rng.choice((1, 60))
        body: Body = {
            "actions": self.rng.choice((*6 * (["list", "read"],), ["read"], ["list"])),
            "end": format_time(end), "grant": grant, "grantee": grantee, "purpose": "PATRQT",
            "scope": "full", "start": format_time(start),
        } | ({"lineage": lineage} if lineage else {})  # fmt: skip
        body |= self.scope(chart)
        if self.maybe(0.3):
            body["uses"] = self.rng.randint(1, 2)
        if self.maybe(0.2):
            body["purposes"] = ["HRESCH", "TREAT"]
        self.do(chart.actor, "access.granted", chart.stream, body, v=2)
        chart.grants.append((grant, grantee, lineage or grant))
        return grantee

    def scope(self, chart: Chart) -> Body:
        """What of the chart is granted, with or without exceptions."""
        body: Body = {}
        dice = self.rng.random()
        if dice < 0.15 and chart.records:
            records = sorted(record.record for record in self.some(chart.records, 3))
            body = {"records": records, "scope": "selective"}
        elif dice < 0.3:
            body = {"scope": "partial", "what": {"categories": sorted(self.some(CATEGORIES, 2))}}
        elif self.maybe(0.3):
            body["sensitive"] = True
        if self.maybe(0.1):
            inner: Body = {"date_to": "2026-02-01", "type": "permit"}
            denied: Body = {"categories": [self.rng.choice(CATEGORIES)], "type": "deny"}
            body["exceptions"] = [denied | ({"exceptions": [inner]} if self.maybe(0.5) else {})]
        if self.maybe(0.2):
            body["labels"] = sorted(self.labels)
        return body

    def revoke(self, chart: Chart) -> str:
        """One grant's lineage, or all of a grantee's."""
        if not chart.grants:
            return self.grant(chart)
        grant, grantee, _ = self.rng.choice(chart.grants)
        body = {"grantee": grantee, "purpose": "PATRQT"}
        if self.maybe(0.5):
            body["grant"] = grant
        self.do(chart.actor, "access.revoked", chart.stream, body, v=2)
        return grantee

    # Readings

    def read(
        self, actor: Actor | None = None, chart: Chart | None = None, record: Record | None = None
    ) -> None:
        """A record, the chart's list or its history opened, or all exported."""
        chart = chart or self.rng.choice(self.charts)
        actor = actor or self.rng.choice((
            *self.doctors, *self.doctors, *(doctor for _, _, doctor in self.in_groups[-2:]),
            chart.actor, chart.at.system, self.rng.choice(self.charts).actor,
            *(doctor for _, doctor in self.left[-1:]),
        ))  # fmt: skip
        body: Body = {"purpose": self.rng.choice(PURPOSES)}
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

    def insist(self) -> None:
        """Somebody reads on and on, whatever the answer; in every sequence the same doctor and chart."""
        for _ in range(5):
            self.read(self.doctors[0], self.charts[0])

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


Step = Callable[[Sequence], None]
_WEIGHED: Final[tuple[tuple[Step, int], ...]] = (
    (Sequence.read, 30), (Sequence.consent, 30), (Sequence.join, 16), (Sequence.leave, 4),
    (Sequence.form_group, 2), (Sequence.upload, 10), (Sequence.change_record, 8),
    (Sequence.correct, 3), (Sequence.add_chart, 1), (Sequence.add_doctor, 3),
    (Sequence.end_doctor, 4), (Sequence.approve_again, 6), (Sequence.change_staff, 1),
    (Sequence.change_keys, 2), (Sequence.add_hospital, 1), (Sequence.suspend_hospital, 2),
    (Sequence.appoint_auditor, 1), (Sequence.change_policy, 1), (Sequence.insist, 2),
)  # fmt: skip
STEPS: Final = tuple(step for step, _ in _WEIGHED)
WEIGHTS: Final = tuple(weight for _, weight in _WEIGHED)
