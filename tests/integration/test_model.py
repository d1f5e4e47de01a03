"""A whole ledger against a simple model: whatever people do, in whatever order.

The machine does things through the real journeys on SQLite and writes down what it did in the plain
dicts of `tests/consentmodel.py`, which say what must come of the next thing. After every step the
log is folded and decided again from nothing, and must lead to the same rows and the same decisions.
"""

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

from api.settings import Settings
from consent.auditor import audit_export
from consent.facts import FOLDS, Grant, GrantName, Record
from consent.gate import gate
from crypto.signing import SigningKey
from identity.actors import Actor, new_id, new_key
from ledger.auditor import verify_export
from ledger.directory import Key
from ledger.entry import Entry, nested_event
from ledger.errors import Refused
from ledger.rows import Rows
from ledger.sequencer import Appended, Denied, Proposal
from ledger.times import DAY_MS, format_time
from records import directory, disclosures, grants, uploads
from records.appending import append
from records.desk import Near
from records.directory import AddedHospital, NewPatient
from records.errors import AccessDenied
from records.readings import history
from records.uploads import Upload
from storage.exports import write_export
from storage.views import rebuild
from tests import consentmodel as model
from tests.consentmodel import Ask, World
from tests.people import Person, Town, denied, vkeys
from tests.tilereader import read_log

SIGNERS: Final = {
    "append": ("doctor", "hospital_system", "patient"),
    "retract": ("doctor", "hospital_system", "patient"),
    "grant": ("patient",),
}
"""Who may sign such an event at all; readings, everybody."""
READINGS: Final = ("read", "read_history")
REFUSALS: Final = 20
"""Refusals an hour that are written, of one actor on one patient."""
PURPOSES: Final = st.sampled_from(("TREAT", "TREAT", "TREAT", "HRESCH", "BTG"))
CONTENT: Final = b"haemoglobin 13.9 g/dl"


class Book:
    """What the machine knows to have happened, in the model's dicts, and how long the log must be."""

    def __init__(self) -> None:
        """Entry 0: operator and service are there."""
        self.size = 1
        self.accounts: list[str] = []
        self.hospitals: dict[str, bool] = {}
        self.members: list[Ask] = []
        self.charts: dict[str, World] = {}
        self.lengths: Counter[str] = Counter()
        """Of each patient's stream."""
        self.refusals: Counter[tuple[str, str]] = Counter()
        """Of each actor, on each patient."""

    def took(self, chart: str = "", entries: int = 1) -> int:
        """The log grew, and the chart's stream by one of these; gives the first new number."""
        first = self.size
        self.size += entries
        if chart:
            self.lengths[chart] += 1
        return first

    def join(self, actor: Actor, entries: int = 3) -> None:
        """A new member; the last of the entries puts them into the role."""
        self.accounts.append(actor.account)
        seq = self.took(entries=entries) + entries - 1
        member = model.member(actor.account, actor.role, actor.hospital or None, seq)
        self.members.append(member)

    def world(self, chart: str) -> World:
        """All that is known when something is asked about this chart."""
        shared = {name: getattr(self, name) for name in ("accounts", "hospitals", "members")}
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

    doctors: Bundle[Actor] = Bundle("doctors")
    actors: Bundle[Actor] = Bundle("actors")
    charts: Bundle[Person] = Bundle("charts")
    records: Bundle[tuple[Person, str]] = Bundle("records")

    everybody = st.one_of(doctors, actors, charts.map(lambda chart: chart.actor))

    def __init__(self) -> None:
        """A ledger with two hospitals and their doctors, a patient and a record of the first."""
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="heartwood-model-"))
        self.town = Town.found(Settings(data=self.folder / "data", database_url=""))
        self.book, self.admins = Book(), dict[str, Actor]()
        self.third: list[AddedHospital] = []
        both = self.town.north, self.town.south
        for hospital in both:
            self.opened(hospital)
        self.author = self.new_doctor(self.town.north)
        self.strangers = [self.new_doctor(self.town.south) for _ in range(2)]
        self.first_chart = self.new_chart(None, False)
        self.first_record = self.new_record(self.town.north.system, self.first_chart, ())

    @initialize(target=doctors)
    def begin_doctors(self) -> MultipleResults[Actor]:
        return multiple(*self.strangers)

    @initialize(target=actors)
    def begin_actors(self) -> MultipleResults[Actor]:
        north, south = self.town.north, self.town.south
        return multiple(self.author, north.system, north.admin, south.system)

    @initialize(target=charts)
    def begin_charts(self) -> Person:
        return self.first_chart

    @initialize(target=records)
    def begin_records(self) -> tuple[Person, str]:
        assert self.first_record is not None
        return self.first_chart, self.first_record

    # People

    @rule(target=doctors, elsewhere=st.booleans())
    def add_doctor(self, elsewhere: bool) -> Actor:
        """At the hospital that wrote the first record, or at a third one."""
        if elsewhere and not self.third:
            self.third.append(
                directory.add_hospital(
                    Near(self.town.ledger), self.town.operator, "Ostklinik", "Europe/Berlin"
                )
            )
            self.opened(self.third[0])
        return self.new_doctor(self.third[0] if elsewhere else self.town.north)

    @rule(target=charts, years=st.sampled_from((30, 14, 5, None)), deceased=st.booleans())
    def add_patient(self, years: int | None, deceased: bool) -> Person:
        born = None if years is None else date(datetime.now(UTC).year - years, 1, 1)
        return self.new_chart(born, deceased and born is None)

    @rule(target=actors, doctor=doctors)
    def appoint_auditor(self, doctor: Actor) -> Actor:
        """For a month; whoever is appointed again has the newest term."""
        now = self.town.ledger.clock()
        term = {"start": format_time(now), "end": format_time(now + 30 * DAY_MS)}
        event = self.town.operator.event(
            "auditor.appointed", "ledger", {"account": doctor.account, **term}, now
        )
        append(self.town.ledger, self.town.operator, [event])
        auditor = doctor.in_role("auditor")
        old = [
            m for m in self.book.members if (m["account"], m["role"]) == (doctor.account, "auditor")
        ]
        for one in old:
            self.book.members.remove(one)
        self.book.join(auditor, entries=1)
        return auditor

    @rule(target=actors, doctor=consumes(doctors), record=records)
    def suspend(self, doctor: Actor, record: tuple[Person, str]) -> Actor:
        """By an admin of the hospital; the doctor goes on trying, and is refused."""
        admin = self.admins[doctor.hospital]
        stream, body = f"hospital/{doctor.hospital}", {"account": doctor.account}
        event = admin.event("doctor.suspended", stream, body, self.town.ledger.clock())
        append(self.town.ledger, admin, [event])
        self.book.took()
        for one in self.book.members:
            if (one["account"], one["role"]) == (doctor.account, "doctor"):
                one["active"] = False
        self.read(doctor, record)
        return doctor

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
        now = self.town.ledger.clock()
        event = actor.event("record.retracted", chart.stream, body, now)
        if self.act(actor, chart, "retract", partial(self.append, actor, event), record=name):
            self.row(chart, name)["retracted"] = self.book.size - 1
        self.read(reader, record)

    @rule(actor=everybody, record=records, purpose=PURPOSES)
    def look(self, actor: Actor, record: tuple[Person, str], purpose: str) -> None:
        self.read(actor, record, purpose)
        self.read_history(actor, record[0], purpose)

    def read(self, actor: Actor, record: tuple[Person, str], purpose: str = "TREAT") -> None:
        """A record opened, and its content compared."""
        chart, name = record
        reading = self.town.reading(actor, name, purpose)

        def act() -> None:
            given = disclosures.open_record(self.town.ledger, reading)
            assert b"".join(given.content) == CONTENT

        if self.act(actor, chart, "read", act, purpose, name):
            self.note_use(chart)

    def read_history(self, actor: Actor, chart: Person, purpose: str) -> None:
        """The patient's history; all that stood in the stream before is in it."""
        length = self.book.lengths[chart.patient]
        acts: list[Any] = []

        def act() -> None:
            acts.extend(history(Near(self.town.ledger), actor, chart.patient, purpose).acts())

        if self.act(actor, chart, "read_history", act, purpose):
            assert len(acts) == length

    # Consent

    @rule(
        record=records,
        reader=doctors,
        whole_hospital=st.booleans(),
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
        whole_hospital: bool,
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
        grantee, world = self.grantee(reader, whole_hospital), self.book.charts[chart.patient]
        lineages = [g["lineage"] for g in world["grants"] if g["grantee"] == grantee]
        given: Ask = {
            "records": [name] if some else [],
            "uses": uses,
            "lineage": lineages[0] if again and lineages else None,
        }
        given["sensitive"] = sensitive and not given["records"]
        made: list[str] = []

        def act() -> None:
            ledger = self.town.ledger
            made.append(grants.grant(Near(ledger), chart.actor, chart.patient, grantee, **given)[0])

        if self.act(chart.actor, chart, "grant", act, "PATRQT"):
            self.note_grant(chart, made[0], grantee, given)
        if restarted:
            self.town.reopen()
        self.read(reader, record)
        self.read(reader, record)
        if regretted:
            self.revoke_of(record, reader, whole_hospital, one=True)

    @rule(record=records, reader=doctors, whole_hospital=st.booleans(), one=st.booleans())
    def revoke(
        self, record: tuple[Person, str], reader: Actor, whole_hospital: bool, one: bool
    ) -> None:
        self.revoke_of(record, reader, whole_hospital, one)

    def revoke_of(
        self, record: tuple[Person, str], reader: Actor, whole_hospital: bool, one: bool
    ) -> None:
        """One lineage, named by its latest grant, or all of the grantee's, who then reads."""
        chart = record[0]
        grantee, world = self.grantee(reader, whole_hospital), self.book.charts[chart.patient]
        given = [g for g in world["grants"] if g["grantee"] == grantee]
        if not given:
            return
        name, lineage = (given[-1]["id"], given[-1]["lineage"]) if one else (None, None)
        act = partial(
            grants.revoke, Near(self.town.ledger), chart.actor, chart.patient, grantee, name
        )
        if self.act(chart.actor, chart, "grant", act, "PATRQT"):
            end = {"seq": self.book.size - 1, "grantee": grantee, "lineage": lineage}
            world["revocations"].append(end)
        self.read(reader, record)

    # The ledger itself

    @rule(part=st.floats(0, 1, exclude_max=True), reopened=st.booleans())
    def send_again(self, part: float, reopened: bool) -> None:
        """An event that stands in the log gets its first answer, also after a restart."""
        if reopened:
            self.town.reopen()
        entry = self.town.ledger.entry(int(part * self.book.size))
        known = self.town.ledger.append([Proposal(entry.event, entry.sig)])[0]
        assert known == Appended(entry, fresh=False)
        if entry.event.type.name == "access.refused":
            again = self.town.ledger.append([Proposal(*nested_event(entry.event))])[0]
            inner = denied(again)
            assert inner == Denied(entry.decision or {}, entry.link.seq, inner.purpose)

    # What must come of it

    def act(
        self,
        actor: Actor,
        chart: Person,
        action: str,
        act: Callable[[], object],
        purpose: str = "TREAT",
        record: str = "",
    ) -> bool:
        """Do something; what comes of it, and what the log then has, is what the book says."""
        ask = self.ask(actor, chart, action, purpose, record)
        decided = model.decide(self.book.world(chart.patient), ask, POLICY)
        effect, stage, reason, basis = decided
        expected: Outcome = (effect, stage, reason) if reason else ("permit", "", "")
        written = effect == "permit" or action in READINGS
        key = actor.account, chart.patient
        if stage == "S0" or actor.role not in SIGNERS.get(action, model.ROLES):
            expected, written = ("refused", "role", ""), False
        elif effect == "deny" and action in READINGS and self.book.refusals[key] >= REFUSALS:
            expected, written = ("refused", "too_many_refusals", ""), False
        elif effect == "deny":
            self.book.refusals[key] += written
        assert outcome(act) == expected, (ask, decided)
        if written:
            seq = self.book.took(chart.patient)
            entry = self.town.ledger.entry(seq)
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
            "now": self.town.ledger.clock(),
            "record": self.row(chart, record) if record else None,
        }

    def row(self, chart: Person, record: str) -> Ask:
        found: Ask = next(
            row for row in self.book.charts[chart.patient]["records"] if row["id"] == record
        )
        return found

    def grantee(self, reader: Actor, whole_hospital: bool) -> str:
        return reader.hospital if whole_hospital else reader.account

    def append(self, actor: Actor, event: dict[str, Any]) -> list[Entry]:
        return append(self.town.ledger, actor, [event])

    # Writing the book

    def opened(self, hospital: AddedHospital) -> None:
        """A hospital with its admin and its system: seven entries."""
        self.admins[hospital.hospital] = hospital.admin
        self.book.hospitals[hospital.hospital] = True
        self.book.took()
        self.book.join(hospital.admin)
        self.book.join(hospital.system)

    def new_doctor(self, hospital: AddedHospital) -> Actor:
        doctor = self.town.doctor(hospital)
        self.book.join(doctor)
        return doctor

    def new_chart(self, born: date | None, deceased: bool) -> Person:
        ledger, key = self.town.ledger, new_key()
        patient, account = new_id("pt", ledger.clock()), new_id("ac", ledger.clock())
        new = NewPatient(patient, account, "Pat", born, deceased, key)
        directory.register_patients(Near(ledger), self.town.north.system, [new])
        self.book.accounts.append(account)
        seq = self.book.took(patient, entries=2)
        self.book.charts[patient] = {
            "patient": {
                "id": patient,
                "account": account,
                "seq": seq,
                "teen_from": birthday(born, 12),
                "adult_from": birthday(born, 18),
                "deceased": seq if deceased else 0,
            },
            "records": [],
            "grants": [],
            "revocations": [],
            "openings": [],
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
            made.append(uploads.upload(self.town.ledger, author, [one])[0].record)

        if not self.act(author, chart, "append", act):
            return None
        seq = self.book.size - 1
        body = self.town.ledger.entry(seq).event.body
        row = {
            "id": made[0],
            "seq": seq,
            "author": author.account,
            "hospital": author.hospital or None,
            "labels": body.get("labels", []),
            "sensitive": bool(labels),
            "confidentiality": "normal",
            "retracted": None,
            "gone": None,
        }
        self.book.charts[chart.patient]["records"].append(row)
        return made[0]

    def note_grant(self, chart: Person, name: str, grantee: str, given: Ask) -> None:
        now = self.town.ledger.clock()
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
        decision = self.town.ledger.entry(seq).decision or {}
        used = {"seq": seq, "basis": decision["basis"] if decision["rule"] == "S9" else []}
        self.book.charts[chart.patient]["openings"].append(used)

    # What must always be so

    @invariant()
    def lengths_are_the_books(self) -> None:
        ledger = self.town.ledger
        assert ledger.head().size == self.book.size
        for patient, length in self.book.lengths.items():
            assert len(ledger.stream(f"patient/{patient}", self.book.size)) == length

    @invariant()
    def folding_and_deciding_anew_gives_the_same(self) -> None:
        ledger = self.town.ledger
        with ledger.database.read() as connection:
            raws = ledger.store.range(connection, 0, self.book.size)
        rows = Rows()
        for entry in map(Entry.parse, raws):
            if entry.decision is not None:
                assert decided_anew(entry, rows) == entry.decision
            for fold in FOLDS:
                for row in fold(entry, rows):
                    rows.put(row)
        for world in self.book.charts.values():
            self.same_facts(world, rows)

    def same_facts(self, world: World, rows: Rows) -> None:
        """The rows of SQL are those that were folded in memory, and there are no others."""
        ledger, patient = self.town.ledger, world["patient"]["id"]
        records = {row.record: row for row in ledger.records_of(patient)}
        assert records == {one["id"]: rows.get(Record, one["id"]) for one in world["records"]}
        names = {row.grant: row for row in ledger.rows(GrantName, "patient", patient)}
        assert names == {one["id"]: rows.get(GrantName, one["id"]) for one in world["grants"]}
        lineages = {(patient, grant["grantee"], grant["lineage"]) for grant in world["grants"]}
        found = {row[:3]: row for row in ledger.rows(Grant, "patient", patient)}
        assert found == {lineage: rows.get(Grant, *lineage) for lineage in lineages}

    def teardown(self) -> None:
        """The whole log verifies, by our verifier and by one that shares nothing with us; every decision is
        the rules' own, and the views are those of the log."""
        try:
            target, keys = self.folder / "export", vkeys(self.town.settings)
            size = write_export(self.town.ledger, target)
            assert verify_export(target, keys).size == size == self.book.size
            assert read_log(target, keys) == self.stored(size)
            assert not audit_export(target, keys).wrong
            assert not rebuild(self.town.ledger.store, swap=False).differences
        finally:
            self.town.close()
            shutil.rmtree(self.folder)

    def stored(self, size: int) -> Sequence[bytes]:
        ledger = self.town.ledger
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
    return gate(event, key, entry.link.seq, entry.time, rows).decision


def birthday(born: date | None, years: int) -> int | None:
    """Unix ms of 00:00Z on a birthday; None for those who have it behind them for good."""
    if born is None or born.year + 18 <= datetime.now(UTC).year:
        return None
    return int(datetime(born.year + years, 1, 1, tzinfo=UTC).timestamp()) * 1000


def person(origin: str, patient: str, account: str, key: SigningKey) -> Person:
    return Person(patient, Actor(origin, account, "patient", "", key))


# Four steps of each example only hand out what is there from the beginning.
Ledgers.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestLedgers = Ledgers.TestCase
