"""Random sequences of signed events: what the people of two or three hospitals and their patients might send.

    drawn = Sequence(random.Random(7), fixture, 200)
    drawn.reserve()
    drawn.proposals

All of it is drawn before any of it is sent, by what would have come of the events before if all had
been taken; so most are taken, some are refused, and which ones the log alone decides. There are few
people and few records, so that they meet: what changes somebody's rights is mostly followed by a
reading of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from crypto.encoding import b64encode
from crypto.ids import ALGORITHM_X25519, key_id
from identity.actors import Actor
from ledger.times import DAY_MS, format_time
from tests.support.chart_drawing import Charts
from tests.support.drawing import HOUR_MS, Hospital
from tests.support.ledger_fixture import LedgerFixture
from tests.support.memory_log import SEALED

DOCTORS, HOSPITALS, GROUPS = 7, 3, 3
"""Most of each; the fewer there are, the more often they meet."""


class Sequence(Charts):
    """At least so many events, after those that found hospitals, charts and records."""

    def __init__(self, rng: Random, fixture: LedgerFixture, events: int) -> None:
        """Drawn when this returns; see `reserve` and `proposals`."""
        super().__init__(rng, fixture)
        self._found()
        while len(self.proposals) < events:
            rng.choices(STEPS, WEIGHTS)[0](self)

    def _found(self) -> None:
        for _ in range(2):
            self.add_hospital()
            for _ in range(2):
                self.add_doctor(self.hospitals[-1])
        for _ in range(2):
            self.add_chart()
            self.upload()

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

    def apply(self) -> None:
        """Somebody applies to a hospital, perhaps twice, and is declined or approved, perhaps for a moment only."""
        at = self.rng.choice(self.hospitals)
        person = self.rng.choice((*self.doctors, *self.auditors)).in_role("person")
        body = {"account": person.account, "profession": "nurse"}
        applied = [
            self.do(person, "doctor.applied", at.stream, body)
            for _ in range(self.rng.randint(1, 2))
        ]
        self.read(person.in_role("doctor", at.hospital))
        if self.maybe(0.3):
            named = {"account": person.account, "application": self.rng.choice(applied)}
            said = named | {"reason": "not_known"}
            self.do(at.admin, "doctor.declined", at.stream, said)
        if self.maybe(0.7):
            end = format_time(self.now + self.rng.choice((1, 10, 1_000, DAY_MS)))
            groups = {"group": self.rng.choice(at.groups)} if at.groups and self.maybe(0.5) else {}
            groups |= {"application": self.rng.choice(applied)} if self.maybe(0.5) else {}
            self.do(at.admin, "doctor.approved", at.stream, {**body, **groups, "end": end}, 2)
        for _ in range(2):
            self.read(person.in_role("doctor", at.hospital))

    def apply_for_hospital(self) -> None:
        """Somebody applies for a hospital, which is declined or approved, or both; another acts for it too early."""
        person, hospital = self.rng.choice(self.doctors).in_role("person"), self.id("hs")
        self.objects[hospital, hospital] = person.account
        named = {"hospital": hospital, "name": "Klinik", "time_zone": "Europe/Berlin"}
        applied, system = named | {"contact": SEALED, "name": SEALED}, self._applies_with(hospital)
        if system is not None:
            key = self.key_body(system, "system")
            applied |= {name: key[name] for name in ("key", "proof", "public_key")}
            applied["system"] = system.account
        self.do(person, "hospital.applied", "ledger", applied, 2 if system else 1)
        first, stream = {"account": person.account}, f"hospital/{hospital}"
        for _ in range(2):
            if self.maybe(0.3):
                said = {"hospital": hospital, "reason": "other"}
                self.do(self.operator, "hospital.declined", "ledger", said)
            elif self.maybe(0.7):
                self.do(self.operator, "hospital.approved", "ledger", named)
            self.do(self.operator, "admin.appointed", stream, first)
        self.do(person.in_role("hospital_admin", hospital), "doctor.approved", stream, first)
        if system is not None:
            self._add_applied(system)

    def _applies_with(self, hospital: str) -> Actor | None:
        """The system that a hospital is to have; of some that apply none."""
        if self.maybe(0.5):
            return None
        return Actor(self.origin, self.id("ac"), "hospital_system", hospital, self.new_key())

    def _add_applied(self, system: Actor) -> None:
        """The operator adds it, perhaps under another key, too early, or twice; and it acts."""
        stream, added = f"account/{system.account}", {"account": system.account}
        self.objects[system.account, system.account] = self.operator.account
        self.do(self.operator, "account.registered", stream, added)
        key = system if self.maybe(0.8) else replace(system, key=self.new_key())
        self.do(self.operator, "key.registered", stream, self.key_body(key, "system"))
        for _ in range(2):
            self.do(self.operator, "system.added", f"hospital/{system.hospital}", added, 2)
        self.read(system)

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

    def mix_roles(self) -> None:
        """Somebody of a hospital is to be an auditor too, or an auditor a doctor; and reads as both."""
        at = self.rng.choice(self.hospitals)
        person = self.rng.choice((*self.auditors, self.rng.choice(self.doctors)))
        start = self.now - HOUR_MS
        term = {"end": format_time(start + 2 * DAY_MS), "start": format_time(start)}
        for _ in range(2):
            if self.maybe(0.5):
                body = {"account": person.account} | term
                self.do(self.operator, "auditor.appointed", "ledger", body)
            elif self.maybe(0.7):
                self.do(at.admin, "doctor.approved", at.stream, {"account": person.account})
            else:
                self.do(self.operator, "auditor.ended", "ledger", {"account": person.account})
            self.read(person.in_role("auditor"))
        self.read(person.in_role("doctor", at.hospital))

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

    def insist(self) -> None:
        """Somebody reads on and on, whatever the answer; in every sequence the same doctor and chart."""
        for _ in range(5):
            self.read(self.doctors[0], self.charts[0])


Step = Callable[[Sequence], None]
_WEIGHED: Final[tuple[tuple[Step, int], ...]] = (
    (Sequence.emergency, 6), (Sequence.link, 8), (Sequence.disclose, 1), (Sequence.read, 30), (Sequence.consent, 30), (Sequence.join, 16), (Sequence.leave, 4),
    (Sequence.form_group, 2), (Sequence.upload, 10), (Sequence.change_record, 8),
    (Sequence.correct, 3), (Sequence.add_chart, 1), (Sequence.add_doctor, 3),
    (Sequence.end_doctor, 4), (Sequence.approve_again, 6), (Sequence.change_staff, 1),
    (Sequence.apply, 4), (Sequence.apply_for_hospital, 1),
    (Sequence.change_keys, 2), (Sequence.add_hospital, 1), (Sequence.suspend_hospital, 2),
    (Sequence.appoint_auditor, 1), (Sequence.mix_roles, 2), (Sequence.change_policy, 1), (Sequence.insist, 2),
)  # fmt: skip
STEPS: Final = tuple(step for step, _ in _WEIGHED)
WEIGHTS: Final = tuple(weight for _, weight in _WEIGHED)
