"""A whole ledger against a simple model: whatever people do, in whatever order.

The machine does things through the real journeys on SQLite and writes down what it did in the plain
dicts of `tests/support/consent/model.py`, which say what must come of the next thing. After every step the
log is folded and decided again from nothing, and must lead to the same rows and the same decisions.
It does so warm, and cold: with the ledger closed and opened again before each step, and what the log
keeps between batches forgotten before each act.
"""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from api.app.settings import Settings
from client import beside, emergencies, grants, groups, readings, registering, staff
from client.beside import append
from client.local import LocalClient
from client.readings import history
from client.registering import AddedHospital, NewPatient
from consent.auditor import audit_export
from consent.gate import gate
from crypto.signing import SigningKey
from identity.actors import Actor, new_id, new_key
from journeys.errors import AccessDenied
from ledger.auditor import verify_export
from ledger.directory import Key, Patient
from ledger.entry import Entry, nested_event
from ledger.errors import Refused
from ledger.facts import Exclusion, Grant, GrantName, Record
from ledger.rows import Rows
from ledger.sequencer import Appended, Denied, Proposal
from ledger.times import DAY_MS, format_time
from ledger.types import fold
from records import opening
from records.uploads import Upload
from storage.exports import write_export
from storage.sql.views import rebuild
from tests.support.consent import model
from tests.support.consent.model import Ask, Situation
from tests.support.ledger_fixture import LedgerFixture, Person, denied, vkeys
from tests.tilereader import read_log

SIGNERS: Final = {
    "append": ("doctor", "hospital_system", "patient"),
    "declare_emergency": ("doctor",),
    "exclude": ("patient",),
    "grant": ("patient",),
    "hide": ("patient",),
    "register": ("doctor", "hospital_admin", "hospital_system"),
    "retract": ("doctor", "hospital_system", "patient"),
    "review": ("hospital_admin",),
}
"""Who may sign such an event at all; readings, everybody."""
REFUSALS: Final = 20
REFUSALS_A_KEY: Final = 100
"""Refusals an hour that are written, of one actor on one patient, and of one key."""
PURPOSES: Final = st.sampled_from(("TREAT", "TREAT", "TREAT", "HRESCH", "BTG"))
WHOM: Final = st.sampled_from(("person", "hospital", "group"))
"""To or against whom something is said: a doctor, the doctor's hospital, or a group."""
BORN: Final = st.sampled_from((30, 14, 5, None))
"""Years ago."""
CONTENT: Final = b"haemoglobin 13.9 g/dl"


class Book:
    """What the machine knows to have happened, in the model's dicts, and how long the log must be."""

    def __init__(self) -> None:
        """Entry 0: operator and service are there."""
        self.size = 1
        self.accounts: list[str] = []
        self.hospitals: dict[str, bool] = {}
        self.members: list[Ask] = []
        self.groups: dict[str, str] = {}
        """Each group's hospital."""
        self.joinings: list[Ask] = []
        self.charts: dict[str, Situation] = {}
        self.lengths: Counter[str] = Counter()
        """Of each patient's stream."""
        self.refusals: Counter[tuple[str, str]] = Counter()
        """Of each actor on each patient, and of each key."""

    def took(self, chart: str = "", entries: int = 1) -> int:
        """The log grew, and the chart's stream by one of these; gives the first new number."""
        first = self.size
        self.size += entries
        if chart:
            self.lengths[chart] += 1
        return first

    def may_refuse(self, actor: Actor, chart: str) -> bool:
        """Whether one more refusal of the actor is written, which then counts: few an hour of one actor on
        one patient, and of one key."""
        own, by_key = (actor.account, chart), ("", actor.key.id)
        if self.refusals[own] >= REFUSALS or self.refusals[by_key] >= REFUSALS_A_KEY:
            return False
        self.refusals.update((own, by_key))
        return True

    def join(self, actor: Actor, entries: int = 3) -> None:
        """A new member; the last of the entries puts them into the role."""
        self.accounts.append(actor.account)
        seq = self.took(entries=entries) + entries - 1
        member = model.member(actor.account, actor.role, actor.hospital or None, seq)
        self.members.append(member)

    def situation(self, chart: str) -> Situation:
        """All that is known when something is asked about this chart."""
        names = ("accounts", "groups", "hospitals", "joinings", "members")
        shared = {name: getattr(self, name) for name in names}
        return self.charts[chart] | shared


Outcome = tuple[str, str, str]
"""permit, or deny with rule and reason, or refused with a code."""


def outcome(act: Callable[[], object]) -> Outcome:
    """What comes of an act."""
    try:
        act()
    except AccessDenied as denial:
        return "deny", denial.rule, denial.reason
    except Refused as refusal:
        return "refused", refusal.code, ""
    return "permit", "", ""


class Ledgers(RuleBasedStateMachine):
    """One ledger and its book."""

    cold = False

    doctors: Bundle[Actor] = Bundle("doctors")
    actors: Bundle[Actor] = Bundle("actors")
    charts: Bundle[Person] = Bundle("charts")
    records: Bundle[tuple[Person, str]] = Bundle("records")
    groups: Bundle[str] = Bundle("groups")

    everybody = st.one_of(doctors, actors, charts.map(lambda chart: chart.actor))

    def __init__(self) -> None:
        """A ledger with two hospitals and their doctors, a patient and a record of the first."""
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="heartwood-model-"))
        self.fixture = LedgerFixture.found(Settings(data=self.folder / "data", database_url=""))
        self.book, self.admins = Book(), dict[str, Actor]()
        self.third: list[AddedHospital] = []
        self.auditors: list[Actor] = []
        both = self.fixture.north, self.fixture.south
        for hospital in both:
            self.opened(hospital)
        self.author = self.new_doctor(self.fixture.north)
        self.strangers = [self.new_doctor(self.fixture.south) for _ in range(2)]
        self.first_chart = self.new_chart(None, False)
        self.first_record = self.new_record(self.fixture.north.system, self.first_chart, ())
        self.first_group = self.new_group(self.fixture.south.hospital)

    @initialize(target=doctors)
    def begin_doctors(self) -> MultipleResults[Actor]:
        return multiple(*self.strangers)

    @initialize(target=actors)
    def begin_actors(self) -> MultipleResults[Actor]:
        north, south = self.fixture.north, self.fixture.south
        return multiple(self.author, north.system, north.admin, south.system)

    @initialize(target=charts)
    def begin_charts(self) -> Person:
        return self.first_chart

    @initialize(target=records)
    def begin_records(self) -> tuple[Person, str]:
        assert self.first_record is not None
        return self.first_chart, self.first_record

    @initialize(target=groups)
    def begin_groups(self) -> str:
        return self.first_group

    # People

    @rule(target=doctors, elsewhere=st.booleans())
    def add_doctor(self, elsewhere: bool) -> Actor:
        """At the hospital that wrote the first record, or at a third one."""
        if elsewhere and not self.third:
            self.third.append(
                registering.add_hospital(
                    LocalClient(self.fixture.ledger),
                    self.fixture.operator,
                    "Ostklinik",
                    "Europe/Berlin",
                )
            )
            self.opened(self.third[0])
        return self.new_doctor(self.third[0] if elsewhere else self.fixture.north)

    @rule(target=charts, years=BORN, deceased=st.booleans())
    def add_patient(self, years: int | None, deceased: bool) -> Person:
        born = birth_date(years)
        return self.new_chart(born, deceased and born is None)

    @rule(actor=everybody, ours=st.booleans(), chart=charts, years=BORN, deceased=st.booleans())
    def correct(
        self, actor: Actor, ours: bool, chart: Person, years: int | None, deceased: bool
    ) -> None:
        """A patient's age or death, by the hospital that registered or by anybody; the patient then reads."""
        actor, born = self.fixture.north.system if ours else actor, birth_date(years)
        teen, adult = birthday(born, 12), birthday(born, 18)
        body: dict[str, Any] = {"patient": chart.patient, "purpose": "TREAT"}
        if teen is None or adult is None:
            body["adult"] = True
        else:
            body |= {"adult_from": format_time(adult), "teen_from": format_time(teen)}
        body |= {"deceased": True} if deceased else {}
        event = actor.event("patient.corrected", chart.stream, body, self.fixture.ledger.clock())
        if self.act(actor, chart, "register", lambda: self.append(actor, event)):
            patient = self.book.charts[chart.patient]["patient"]
            told = patient["deceased"] or self.book.size - 1
            ages = {"teen_from": teen, "adult_from": adult}
            patient |= ages | {"deceased": told if deceased else 0}
        self.list_chart(chart.actor, chart)

    @rule(group=groups, doctor=doctors, record=records, chart=charts)
    def join_or_leave(
        self, group: str, doctor: Actor, record: tuple[Person, str], chart: Person
    ) -> None:
        """A doctor joins a group of the same hospital, or leaves it; and reads."""
        book, admin = self.book, self.admins[self.book.groups[group]]
        inside = model.in_group(book.situation(record[0].patient), doctor.account, group)
        move = groups.leave if inside else groups.join
        expected: Outcome = ("permit", "", "")
        if not inside and admin.hospital != doctor.hospital:
            expected = ("refused", "unknown", "")
        self.forget()
        found = outcome(
            lambda: move(LocalClient(self.fixture.ledger), admin, group, doctor.account)
        )
        assert found == expected
        if found[0] == "permit":
            named = {"account": doctor.account, "group": group, "joined": not inside}
            book.joinings.append({"seq": book.took(), **named})
        self.read(doctor, record)
        self.list_chart(doctor, chart)

    @rule(target=groups, hospital=st.sampled_from(("north", "south")))
    def add_group(self, hospital: str) -> str:
        return self.new_group(getattr(self.fixture, hospital).hospital)

    @rule(target=actors, again=st.booleans())
    def appoint_auditor(self, again: bool) -> Actor:
        """For a month; whoever is appointed again has the newest term. Nobody of a hospital's staff is one."""
        operator, book, now = self.fixture.operator, self.book, self.fixture.ledger.clock()
        if not again or not self.auditors:
            client = LocalClient(self.fixture.ledger)
            auditor, _ = staff.appoint_auditor(client, operator, "Ada", 30, new_key())
            self.auditors.append(auditor)
            book.join(auditor)
            return auditor
        auditor = self.auditors[-1]
        term = {"start": format_time(now), "end": format_time(now + 30 * DAY_MS)}
        body = {"account": auditor.account} | term
        self.append(operator, operator.event("auditor.appointed", "ledger", body, now))
        book.members = [one for one in book.members if one["account"] != auditor.account]
        book.join(auditor, entries=1)
        return auditor

    @rule(doctor=doctors, ended=st.booleans(), record=records)
    def go_and_come_back(self, doctor: Actor, ended: bool, record: tuple[Person, str]) -> None:
        """A doctor is suspended or leaves, and is approved again: in no group of the hospital any more."""
        book, admin = self.book, self.admins[doctor.hospital]
        self.of_doctor(admin, "doctor.ended" if ended else "doctor.suspended", doctor)
        self.membership(doctor)["active"] = False
        self.read(doctor, record)
        seq = self.of_doctor(admin, "doctor.approved", doctor)
        self.membership(doctor).update(active=True, seq=seq)
        own = [group for group, hospital in book.groups.items() if hospital == doctor.hospital]
        gone = {"seq": seq, "account": doctor.account, "joined": False}
        book.joinings += [gone | {"group": group} for group in own]
        self.read(doctor, record)

    @rule(target=actors, doctor=consumes(doctors), record=records)
    def suspend(self, doctor: Actor, record: tuple[Person, str]) -> Actor:
        """By an admin of the hospital; the doctor goes on trying, and is refused."""
        self.of_doctor(self.admins[doctor.hospital], "doctor.suspended", doctor)
        self.membership(doctor)["active"] = False
        self.read(doctor, record)
        return doctor

    def of_doctor(self, admin: Actor, kind: str, doctor: Actor) -> int:
        """What an admin says of a doctor; gives the entry."""
        stream, body = f"hospital/{doctor.hospital}", {"account": doctor.account}
        self.append(admin, admin.event(kind, stream, body, self.fixture.ledger.clock()))
        return self.book.took()

    def membership(self, doctor: Actor) -> Ask:
        """The doctor's row among the members."""
        named = doctor.account, "doctor", doctor.hospital
        return next(
            one
            for one in self.book.members
            if (one["account"], one["role"], one["hospital"]) == named
        )

    # Records

    @rule(
        target=records,
        author=everybody,
        reader=everybody,
        chart=charts,
        labels=st.sampled_from(((), (), ("HIV",), ("BH", "PSY"))),
    )
    def upload(
        self, author: Actor, reader: Actor, chart: Person, labels: tuple[str, ...]
    ) -> MultipleResults[tuple[Person, str]]:
        """A record, which somebody then reads, if it was one."""
        record = self.new_record(author, chart, labels)
        if record is None:
            return multiple()
        self.read(reader, (chart, record))
        return multiple((chart, record))

    @rule(actor=everybody, record=records, reader=everybody)
    def retract(self, actor: Actor, record: tuple[Person, str], reader: Actor) -> None:
        """A record taken back, or not; somebody then reads it."""
        chart, name = record
        body = {"record": name, "purpose": "TREAT"}
        now = self.fixture.ledger.clock()
        event = actor.event("record.retracted", chart.stream, body, now)
        if self.act(actor, chart, "retract", partial(self.append, actor, event), record=name):
            self.row(chart, name)["retracted"] = self.book.size - 1
        self.read(reader, record)

    @rule(actor=everybody, record=records, purpose=PURPOSES)
    def look(self, actor: Actor, record: tuple[Person, str], purpose: str) -> None:
        self.read(actor, record, purpose)
        self.list_chart(actor, record[0], purpose)
        self.read_history(actor, record[0], purpose)

    @rule(record=records, reader=everybody)
    def hide_or_show(self, record: tuple[Person, str], reader: Actor) -> None:
        """A record hidden, or shown again, by its patient; somebody then reads it."""
        chart, name = record
        hidings = self.row(chart, name)["hidings"]
        say = grants.show if len(hidings) % 2 else grants.hide

        def act() -> None:
            say(LocalClient(self.fixture.ledger), chart.actor, chart.patient, name)

        if self.act(chart.actor, chart, "hide", act, "PATRQT", name):
            hidings.append(self.book.size - 1)
        self.read(reader, record)
        self.list_chart(reader, chart)

    def read(self, actor: Actor, record: tuple[Person, str], purpose: str = "TREAT") -> None:
        """A record opened, and its content compared."""
        chart, name = record
        reading = self.fixture.reading(actor, name, purpose)

        def act() -> None:
            given = opening.open_record(self.fixture.ledger, reading)
            assert b"".join(given.content) == CONTENT

        if self.act(actor, chart, "read", act, purpose, name):
            self.note_use(chart)

    def list_chart(self, actor: Actor, chart: Person, purpose: str = "TREAT") -> None:
        """The chart opened; of its records those are shown that the rules let read."""
        found: list[str] = []
        ask = self.ask(actor, chart, "list", purpose, "")
        decided, shown = model.decide_list(self.book.situation(chart.patient), ask, POLICY)

        def act() -> None:
            opened = readings.chart(LocalClient(self.fixture.ledger), actor, chart.patient, purpose)
            found.extend(line.record.record for line in opened.lines)

        if self.act(actor, chart, "list", act, purpose, decided=decided):
            assert sorted(found) == sorted(shown)

    def read_history(self, actor: Actor, chart: Person, purpose: str) -> None:
        """The patient's history; all that stood in the stream before is in it."""
        length = self.book.lengths[chart.patient]
        acts: list[Any] = []

        def act() -> None:
            acts.extend(
                history(LocalClient(self.fixture.ledger), actor, chart.patient, purpose).acts()
            )

        if self.act(actor, chart, "read_history", act, purpose):
            assert len(acts) == length

    # Consent

    @rule(
        record=records,
        reader=doctors,
        whom=WHOM,
        group=groups,
        some=st.booleans(),
        again=st.booleans(),
        uses=st.sampled_from((1, None, 2)),
        sensitive=st.booleans(),
        regretted=st.booleans(),
        restarted=st.booleans(),
    )
    def grant(
        self,
        record: tuple[Person, str],
        reader: Actor,
        whom: str,
        group: str,
        some: bool,
        again: bool,
        uses: int | None,
        sensitive: bool,
        regretted: bool,
        restarted: bool,
    ) -> None:
        """Of everything, or of one record; anew, or again in the grantee's first lineage.

        The reader then reads twice, perhaps after a restart; if the grant is regretted at once,
        a third time.
        """
        chart, name = record
        grantee, situation = self.named(whom, reader, group), self.book.charts[chart.patient]
        lineages = [g["lineage"] for g in situation["grants"] if g["grantee"] == grantee]
        given: Ask = {
            "records": [name] if some else [],
            "uses": uses,
            "lineage": lineages[0] if again and lineages else None,
        }
        given["sensitive"] = sensitive and not given["records"]
        made: list[str] = []

        def act() -> None:
            ledger = self.fixture.ledger
            made.append(
                grants.grant(LocalClient(ledger), chart.actor, chart.patient, grantee, **given)[0]
            )

        if self.act(chart.actor, chart, "grant", act, "PATRQT"):
            self.note_grant(chart, made[0], grantee, given)
        if restarted:
            self.fixture.reopen()
        self.read(reader, record)
        self.read(reader, record)
        if regretted:
            self.revoke_of(record, reader, grantee, one=True)

    @rule(record=records, reader=doctors, whom=WHOM, group=groups, one=st.booleans())
    def revoke(
        self, record: tuple[Person, str], reader: Actor, whom: str, group: str, one: bool
    ) -> None:
        self.revoke_of(record, reader, self.named(whom, reader, group), one)

    @rule(record=records, reader=doctors, whom=WHOM, group=groups, purpose=PURPOSES)
    def exclude_or_include(
        self, record: tuple[Person, str], reader: Actor, whom: str, group: str, purpose: str
    ) -> None:
        """Somebody is excluded, or no longer; the doctor then reads."""
        chart, named = record[0], self.named(whom, reader, group)
        situation = self.book.charts[chart.patient]
        lifted = model.excluded_by(situation, named) is not None
        say = grants.include if lifted else grants.exclude

        def act() -> None:
            say(LocalClient(self.fixture.ledger), chart.actor, chart.patient, named)

        if self.act(chart.actor, chart, "exclude", act, "PATRQT"):
            said = {"seq": self.book.size - 1, "reader": named, "lifted": lifted}
            situation["exclusions"].append(said)
        self.read(reader, record, purpose)
        self.list_chart(reader, chart, purpose)

    @rule(
        record=records, doctor=doctors, purpose=st.sampled_from(("BTG", "ETREAT")),
        ceiling=st.sampled_from(("", "", "normal", "restricted", "off")), restarted=st.booleans(),
        out=st.booleans(),
    )  # fmt: skip
    def emergency(
        self,
        record: tuple[Person, str],
        doctor: Actor,
        purpose: str,
        ceiling: str,
        restarted: bool,
        out: bool,
    ) -> None:
        """A doctor declares one and reads, perhaps after a restart, or after the patient excluded them or set a ceiling."""
        chart, client = record[0], LocalClient(self.fixture.ledger)
        situation = self.book.charts[chart.patient]
        if ceiling:
            say = partial(emergencies.configure, client, chart.actor, chart.patient, ceiling)
            step = "narrow" if ceiling == "off" else None
            if self.act(chart.actor, chart, "grant", say, "PATRQT", step=step):
                situation["ceilings"].append({"seq": self.book.size - 1, "ceiling": ceiling})
        declare = partial(
            emergencies.declare, client, doctor, chart.patient, "other", "Fell", purpose
        )
        if self.act(doctor, chart, "declare_emergency", declare, purpose):
            entry = self.fixture.ledger.entry(self.book.size - 1)
            row = {"seq": entry.link.seq, "id": entry.event.id, "start": entry.time}
            row |= {
                "end": entry.time + 4 * model.HOUR,
                "doctor": doctor.account,
                "hospital": doctor.hospital,
            }
            situation["emergencies"].append(row)
        if restarted:
            self.fixture.reopen()
        self.read(doctor, record, purpose)
        self.list_chart(doctor, chart, purpose)
        if out and model.excluded_by(situation, doctor.account) is None:
            client = LocalClient(self.fixture.ledger)
            exclude = partial(grants.exclude, client, chart.actor, chart.patient, doctor.account)
            if self.act(chart.actor, chart, "exclude", exclude, "PATRQT"):
                said = {"seq": self.book.size - 1, "reader": doctor.account, "lifted": False}
                situation["exclusions"].append(said)
            self.read(doctor, record, purpose)

    @rule(record=records, ours=st.booleans(), hospital=st.sampled_from(("north", "south")))
    def review(self, record: tuple[Person, str], ours: bool, hospital: str) -> None:
        """The last emergency of a chart, by an admin of the hospital where it was declared, or of some hospital."""
        chart, declared = record[0], self.book.charts[record[0].patient]["emergencies"]
        if not declared:
            return
        one = declared[-1]
        admin = self.admins[one["hospital"] if ours else getattr(self.fixture, hospital).hospital]
        review = partial(
            emergencies.review, LocalClient(self.fixture.ledger), admin, chart.patient, one["id"], "justified", "Fine",
        )  # fmt: skip
        ask = self.ask(admin, chart, "review", "HOPERAT", "") | {"about": one["id"]}
        decided = model.decide(self.book.situation(chart.patient), ask, POLICY)
        self.act(admin, chart, "review", review, "HOPERAT", decided=decided)

    def revoke_of(self, record: tuple[Person, str], reader: Actor, grantee: str, one: bool) -> None:
        """One lineage, named by its latest grant, or all of the grantee's, who then reads."""
        chart = record[0]
        situation = self.book.charts[chart.patient]
        given = [g for g in situation["grants"] if g["grantee"] == grantee]
        if not given:
            return
        name, lineage = (given[-1]["id"], given[-1]["lineage"]) if one else (None, None)

        def act() -> None:
            grants.revoke(
                LocalClient(self.fixture.ledger), chart.actor, chart.patient, grantee, name
            )

        if self.act(chart.actor, chart, "grant", act, "PATRQT", step="narrow"):
            end = {"seq": self.book.size - 1, "grantee": grantee, "lineage": lineage}
            situation["revocations"].append(end)
        self.read(reader, record)

    # The ledger itself

    @rule(part=st.floats(0, 1, exclude_max=True), reopened=st.booleans())
    def send_again(self, part: float, reopened: bool) -> None:
        """An event that stands in the log gets its first answer, also after a restart."""
        if reopened:
            self.fixture.reopen()
        entry = self.fixture.ledger.entry(int(part * self.book.size))
        known = self.fixture.ledger.append([Proposal(entry.event, entry.sig)])[0]
        assert known == Appended(entry, fresh=False)
        if entry.event.type.name == "access.refused":
            again = self.fixture.ledger.append([Proposal(*nested_event(entry.event))])[0]
            inner = denied(again)
            decision, seq = entry.decision or {}, entry.link.seq
            assert inner == Denied(decision, seq, inner.purpose, inner.action)

    # What must come of it

    def act(
        self,
        actor: Actor,
        chart: Person,
        action: str,
        act: Callable[[], object],
        purpose: str = "TREAT",
        record: str = "",
        decided: model.Answer | None = None,
        step: str | None = None,
    ) -> bool:
        """Do something; what comes of it, and what the log then has, is what the book says."""
        ask = self.ask(actor, chart, action, purpose, record) | {"step": step}
        decided = decided or model.decide(self.book.situation(chart.patient), ask, POLICY)
        if decided[0] == "permit" and actor.role not in SIGNERS.get(action, model.ROLES):
            decided = model.deny("S1", "role")
        effect, stage, reason, basis = decided
        expected: Outcome = (effect, stage, reason) if reason else ("permit", "", "")
        if reason:  # nobody learns that they are excluded
            told = model.told(decided, ask)
            expected = ("deny", told[1], told[2] or "")
        self.forget()
        written = effect == "permit" or self.book.may_refuse(actor, chart.patient)
        if not written:
            expected = ("refused", "too_many_refusals", "")
        assert outcome(act) == expected, (ask, decided)
        if written:
            seq = self.book.took(chart.patient)
            entry = self.fixture.ledger.entry(seq)
            assert said(entry) == (effect, stage, reason, list(basis)), (ask, decided)
        return expected[0] == "permit"

    def ask(self, actor: Actor, chart: Person, action: str, purpose: str, record: str) -> Ask:
        return {
            "actor": actor.account,
            "role": actor.role,
            "hospital": actor.hospital or None,
            "assurance": 3,
            "on_behalf_of": None,
            "action": action,
            "purpose": purpose,
            "now": self.fixture.ledger.clock(),
            "record": self.row(chart, record) if record else None,
        }

    def row(self, chart: Person, record: str) -> Ask:
        found: Ask = next(
            row for row in self.book.charts[chart.patient]["records"] if row["id"] == record
        )
        return found

    def named(self, whom: str, reader: Actor, group: str) -> str:
        return {"person": reader.account, "hospital": reader.hospital, "group": group}[whom]

    def forget(self) -> None:
        """The log keeps nothing from the batches before, as after a restart."""
        if self.cold:
            self.fixture.forget()

    def append(self, actor: Actor, event: dict[str, Any]) -> list[Entry]:
        return append(self.fixture.ledger, actor, [event])

    # Writing the book

    def opened(self, hospital: AddedHospital) -> None:
        """A hospital with its admin and its system: seven entries."""
        self.admins[hospital.hospital] = hospital.admin
        self.book.hospitals[hospital.hospital] = True
        self.book.took()
        self.book.join(hospital.admin)
        self.book.join(hospital.system)

    def new_doctor(self, hospital: AddedHospital) -> Actor:
        doctor = self.fixture.doctor(hospital)
        self.book.join(doctor)
        return doctor

    def new_group(self, hospital: str) -> str:
        admin = self.admins[hospital]
        group, seq = groups.form(LocalClient(self.fixture.ledger), admin, "Cardiology")
        assert seq == self.book.took()
        self.book.groups[group] = hospital
        return group

    def new_chart(self, born: date | None, deceased: bool) -> Person:
        ledger, key = self.fixture.ledger, new_key()
        patient, account = new_id("pt", ledger.clock()), new_id("ac", ledger.clock())
        new = NewPatient(patient, account, "Pat", born, deceased, key)
        registering.register_patients(LocalClient(ledger), self.fixture.north.system, [new])
        self.book.accounts.append(account)
        seq = self.book.took(patient, entries=2)
        self.book.charts[patient] = {
            "patient": {
                "id": patient,
                "account": account,
                "hospital": self.fixture.north.hospital,
                "seq": seq,
                "teen_from": birthday(born, 12),
                "adult_from": birthday(born, 18),
                "deceased": seq if deceased else 0,
            },
            "records": [],
            "grants": [],
            "revocations": [],
            "exclusions": [],
            "openings": [],
            "emergencies": [],
            "ceilings": [],
        }
        return person(ledger.origin, patient, account, key)

    def new_record(self, author: Actor, chart: Person, labels: tuple[str, ...]) -> str | None:
        """A record, or None if the author may not write one."""
        made: list[str] = []

        def act() -> None:
            one = Upload(
                chart.patient, "laboratory", "text/plain", [CONTENT], title="Blood",
                labels=labels, sensitive=bool(labels),
            )  # fmt: skip
            made.append(beside.upload(self.fixture.ledger, author, [one])[0].record)

        if not self.act(author, chart, "append", act):
            return None
        seq = self.book.size - 1
        body = self.fixture.ledger.entry(seq).event.body
        row = {
            "id": made[0],
            "seq": seq,
            "author": author.account,
            "hospital": author.hospital or None,
            "labels": body.get("labels", []),
            "sensitive": bool(labels),
            "confidentiality": "normal",
            "hidings": [],
            "retracted": None,
            "gone": None,
        }
        self.book.charts[chart.patient]["records"].append(row)
        return made[0]

    def note_grant(self, chart: Person, name: str, grantee: str, given: Ask) -> None:
        now = self.fixture.ledger.clock()
        row = {
            "seq": self.book.size - 1,
            "id": name,
            "lineage": given["lineage"] or name,
            "grantee": grantee,
            "kind": "selective" if given["records"] else "full",
            "records": given["records"],
            "purposes": [],
            "actions": ["list", "read"],
            "start": now - DAY_MS,
            "end": now + DAY_MS,
            "uses": given["uses"],
            "codes": [],
            "sensitive": given["sensitive"],
        }
        self.book.charts[chart.patient]["grants"].append(row)

    def note_use(self, chart: Person) -> None:
        """The reading just written, with what it rests on."""
        seq = self.book.size - 1
        decision = self.fixture.ledger.entry(seq).decision or {}
        used = {"seq": seq, "basis": decision["basis"] if decision["rule"] == "S9" else []}
        self.book.charts[chart.patient]["openings"].append(used)

    # What must always be so

    @invariant()
    def reopened(self) -> None:
        """What comes next finds the ledger closed and opened again, where it is cold."""
        if self.cold:
            self.fixture.reopen()

    @invariant()
    def lengths_are_the_books(self) -> None:
        ledger = self.fixture.ledger
        assert ledger.head().size == self.book.size
        for patient, length in self.book.lengths.items():
            assert len(ledger.stream(f"patient/{patient}", self.book.size)) == length

    @invariant()
    def folding_and_deciding_anew_gives_the_same(self) -> None:
        ledger = self.fixture.ledger
        with ledger.database.read() as connection:
            raws = ledger.store.range(connection, 0, self.book.size)
        rows = Rows()
        for entry in map(Entry.parse, raws):
            if entry.decision is not None:
                assert decided_anew(entry, rows) == entry.decision
            for row in fold(entry, rows):
                rows.put(row)
        for situation in self.book.charts.values():
            self.same_facts(situation, rows)

    def same_facts(self, situation: Situation, rows: Rows) -> None:
        """The rows of SQL are those that were folded in memory, and there are no others."""
        ledger, patient = self.fixture.ledger, situation["patient"]["id"]
        records = {row.record: row for row in ledger.records_of(patient)}
        assert records == {one["id"]: rows.get(Record, one["id"]) for one in situation["records"]}
        names = {row.grant: row for row in ledger.rows(GrantName, "patient", patient)}
        assert names == {one["id"]: rows.get(GrantName, one["id"]) for one in situation["grants"]}
        lineages = {(patient, grant["grantee"], grant["lineage"]) for grant in situation["grants"]}
        found = {row[:3]: row for row in ledger.rows(Grant, "patient", patient)}
        assert found == {lineage: rows.get(Grant, *lineage) for lineage in lineages}
        readers = {said["reader"] for said in situation["exclusions"]}
        excluded = {row.reader: row for row in ledger.rows(Exclusion, "patient", patient)}
        assert excluded == {reader: rows.get(Exclusion, patient, reader) for reader in readers}
        assert ledger.row(Patient, patient) == rows.get(Patient, patient)

    def teardown(self) -> None:
        """The whole log verifies, by our verifier and by one that shares nothing with us; every decision is
        the rules' own, and the views are those of the log."""
        try:
            target, keys = self.folder / "export", vkeys(self.fixture.settings)
            size = write_export(self.fixture.ledger, target)
            assert verify_export(target, keys).size == size == self.book.size
            assert read_log(target, keys) == self.stored(size)
            assert not audit_export(target, keys).wrong
            assert not rebuild(self.fixture.ledger.store, swap=False).differences
        finally:
            self.fixture.close()
            shutil.rmtree(self.folder)

    def stored(self, size: int) -> Sequence[bytes]:
        ledger = self.fixture.ledger
        with ledger.database.read() as connection:
            return ledger.store.range(connection, 0, size)


POLICY: Final[Ask] = {"custodian_reads": True, "assurance": model.ASSURANCE}


def said(entry: Entry) -> tuple[str, str, str | None, list[int]]:
    decision = entry.decision
    assert decision is not None
    return decision["effect"], decision["rule"], decision.get("reason"), decision["basis"]


def decided_anew(entry: Entry, rows: Rows) -> dict[str, Any]:
    """The decision on an entry's event, or on the reading that it refuses, by the rows before it."""
    event, sig = entry.event, entry.sig
    if event.type.name == "access.refused":
        event, sig = nested_event(event)
    key = rows.get(Key, sig.key)
    assert key is not None
    session = (entry.decision or {}).get("session")
    return gate(event, key, entry.link.seq, entry.time, rows, session).decision


def birth_date(years: int | None) -> date | None:
    """Of who is so many years old."""
    return None if years is None else date(datetime.now(UTC).year - years, 1, 1)


def birthday(born: date | None, years: int) -> int | None:
    """Unix ms of 00:00Z on a birthday; None for those who have it behind them for good."""
    if born is None or born.year + 18 <= datetime.now(UTC).year:
        return None
    return int(datetime(born.year + years, 1, 1, tzinfo=UTC).timestamp()) * 1000


def person(origin: str, patient: str, account: str, key: SigningKey) -> Person:
    return Person(patient, Actor(origin, account, "patient", "", key))


class ColdLedgers(Ledgers):
    """The same, with nothing kept from step to step or from act to act."""

    cold = True


# Five steps of each example only hand out what is there from the beginning.
SETTINGS: Final = settings(
    max_examples=int(os.environ.get("HEARTWOOD_TEST_MODEL_EXAMPLES", "20")),
    stateful_step_count=40,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
Ledgers.TestCase.settings = ColdLedgers.TestCase.settings = SETTINGS
TestLedgers = Ledgers.TestCase
TestColdLedgers = ColdLedgers.TestCase
