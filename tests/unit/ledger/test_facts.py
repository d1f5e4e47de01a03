"""What a patient's entries fold to, recounted from whole random logs and in small examples."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.entry import Entry
from ledger.facts import Grant, GrantName, Record, version_of
from ledger.rows import KEY_LENGTHS, Row, Rows
from ledger.sequencer import Denied
from ledger.times import parse_time
from ledger.types import SIGNING, TYPES, fold
from tests.support.memory_log import Body, MemoryLog, Person, reading

STEPS: Final = 30
RANDOM_LOGS: Final = settings(
    max_examples=40,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


# --- people, and random acts of theirs


@dataclass
class Facts:
    """Two hospitals with a doctor each; the patients' records were all written in the first."""

    log: MemoryLog = field(default_factory=MemoryLog)
    doctors: list[Person] = field(init=False)
    patients: list[Person] = field(init=False)
    grants: list[tuple[Person, Body]] = field(default_factory=list)
    records: dict[str, tuple[Person, Entry]] = field(default_factory=dict)
    """By record: whose, and the entry of its latest version."""

    @property
    def patient(self) -> Person:
        """The first patient."""
        return self.patients[0]

    @property
    def grantees(self) -> list[str]:
        """Everybody to whom something may be granted."""
        accounts = [doctor.account for doctor in self.doctors]
        return accounts + [doctor.hospital for doctor in self.doctors]

    def upload(self, patient: Person, **members: Any) -> str:
        """A record written by the first doctor."""
        entry = self.log.upload(self.doctors[0], patient, **members)
        self.records[entry.event.body["record"]] = patient, entry
        return str(entry.event.body["record"])

    def amend(self, record: str) -> Entry:
        """The record's next version, by the first doctor."""
        patient, last = self.records[record]
        body = self.log.record_body(record=record, version=last.event.body["version"] + 1)
        entry = self.log.do(self.doctors[0], "record.amended", body, patient)
        self.records[record] = patient, entry
        return entry

    def retract(self, record: str) -> Entry:
        """The record taken back by the first doctor."""
        body = {"record": record, "purpose": "TREAT"}
        return self.log.do(self.doctors[0], "record.retracted", body, self.records[record][0])

    def open(self, doctor: Person, record: str) -> bool:
        """Whether the doctor may read the record's latest version; the log has the reading."""
        patient, entry = self.records[record]
        found = self.log.outcome(doctor, "record.opened", reading(entry), patient)
        return not isinstance(found, Denied)

    def grant(self, patient: Person, grantee: str, **members: Any) -> Entry:
        """A grant of the patient's."""
        entry = self.log.grant(patient, grantee, **members)
        self.grants.append((patient, entry.event.body))
        return entry

    def revoke(self, patient: Person, grantee: str, **members: Any) -> Entry:
        """One lineage (`grant`), or all that the grantee has."""
        body = {"grantee": grantee, "purpose": "PATRQT"} | members
        return self.log.do(patient, "access.revoked", body)

    def row(self, entry: Entry) -> Grant:
        """The row of the lineage to which this grant's entry belongs."""
        body = entry.event.body
        lineage = body.get("lineage", body["grant"])
        row = self.log.batch.look.get(Grant, entry.event.subject, body["grantee"], lineage)
        assert row is not None
        return row

    def record(self, record: str) -> Record:
        """The record's row."""
        row = self.log.batch.look.get(Record, record)
        assert row is not None
        return row


@pytest.fixture
def facts() -> Facts:
    return new_facts()


def new_facts() -> Facts:
    facts = Facts()
    admins = [facts.log.admin(facts.log.hospital()) for _ in range(2)]
    facts.doctors = [facts.log.doctor(admin) for admin in admins]
    facts.patients = [facts.log.patient(admin) for admin in admins]
    return facts


def random_facts(rng: Random) -> Facts:
    """People who tried STEPS random acts."""
    facts = new_facts()
    for patient in facts.patients:
        facts.upload(patient)
    for _ in range(STEPS):
        rng.choice((act_on_record, act_on_record, act_on_grant, act_on_grant, act_revoke))(
            rng, facts
        )
    return facts


def act_on_record(rng: Random, facts: Facts) -> None:
    record = rng.choice(sorted(facts.records))
    act = rng.randrange(8)
    if act == 0:
        facts.upload(rng.choice(facts.patients))
    elif act == 1:
        facts.amend(record)
    elif act == 2:
        facts.retract(record)
    else:
        facts.open(rng.choice(facts.doctors), record)


def act_on_grant(rng: Random, facts: Facts) -> None:
    """A grant, half of them again in the lineage of an earlier one."""
    members: Body = {"uses": rng.randint(1, 2)} if rng.random() < 0.6 else {}
    patient, grantee = rng.choice(facts.patients), rng.choice(facts.grantees)
    if facts.grants and rng.random() < 0.5:
        patient, before = rng.choice(facts.grants)
        grantee = before["grantee"]
        members["lineage"] = before.get("lineage", before["grant"])
    facts.grant(patient, grantee, **members)


def act_revoke(rng: Random, facts: Facts) -> None:
    if facts.grants:
        patient, body = rng.choice(facts.grants)
        named = {"grant": body["grant"]} if rng.random() < 0.5 else {}
        facts.revoke(patient, body["grantee"], **named)


# --- the same, counted again


Key = tuple[str, ...]


def folded(entries: Iterable[Entry]) -> dict[tuple[type, Key], Row]:
    """Every row that these entries fold to, from nothing, by kind and key."""
    rows = Rows()
    found: dict[tuple[type, Key], Row] = {}
    for entry in entries:
        for row in fold(entry, rows):
            rows.put(row)
            found[type(row), row[: KEY_LENGTHS[type(row)]]] = row
    return found


def of_type(entries: Iterable[Entry], *names: str) -> list[Entry]:
    return [entry for entry in entries if entry.event.type.name in names]


def recounted_grants(entries: list[Entry]) -> dict[Key, tuple[Any, ...]]:
    """By patient, grantee and lineage: grant, ruling entry, active, limit and uses; looked up anew."""
    granted = of_type(entries, "access.granted")
    lineages: dict[Key, list[Entry]] = {}
    for entry in granted:
        body = entry.event.body
        key = entry.event.subject, body["grantee"], body.get("lineage", body["grant"])
        lineages.setdefault(key, []).append(entry)
    return {key: recounted(key, grants, entries) for key, grants in lineages.items()}


def recounted(key: Key, grants: list[Entry], entries: list[Entry]) -> tuple[Any, ...]:
    last, ids = grants[-1], {entry.event.body["grant"] for entry in grants}
    ends = [
        entry.link.seq
        for entry in of_type(entries, "access.revoked")
        if (entry.event.subject, entry.event.body["grantee"]) == key[:2]
        and entry.event.body.get("grant", last.event.body["grant"]) in ids
        and entry.link.seq > last.link.seq
    ]
    basis = [last.link.seq]
    used = sum(
        entry.decision is not None and (entry.decision["rule"], entry.decision["basis"]) == ("S9", basis)
        for entry in of_type(entries, "record.opened")
    )  # fmt: skip
    limit = last.event.body.get("uses", 0)
    ruling = ends[0] if ends else last.link.seq
    return last.event.body["grant"], ruling, not ends, limit, used if limit else 0


def recounted_records(entries: list[Entry]) -> dict[str, tuple[Any, ...]]:
    """By record: first entry, versions, state, and the entry of the retraction that counts last."""
    out = {}
    for entry in of_type(entries, "record.uploaded"):
        name = entry.event.body["record"]
        about = [one for one in entries if one.event.body.get("record") == name]
        versions = of_type(about, "record.uploaded", "record.amended")
        retracted = of_type(about, "record.retracted")
        out[name] = (
            entry.link.seq,
            [(one.event.body["version"], one.event.body["blob"], one.link.seq) for one in versions],
            "retracted" if retracted else "live",
            (retracted or versions)[-1].link.seq,
        )
    return out


@RANDOM_LOGS
@given(rng=st.randoms(use_true_random=False))
def test_folding_is_deterministic(rng: Random) -> None:
    """Twice from nothing, from stored bytes, and one by one as the log grew: the same rows."""
    facts = random_facts(rng)
    entries = facts.log.entries
    rows = folded(entries)
    assert rows == folded(entries)
    assert rows == folded(Entry.parse(entry.raw) for entry in entries)
    for (kind, key), row in rows.items():
        assert facts.log.batch.look.get(kind, *key) == row


@RANDOM_LOGS
@given(rng=st.randoms(use_true_random=False))
def test_a_recount_finds_the_same(rng: Random) -> None:
    entries = random_facts(rng).log.entries
    rows = folded(entries)
    grants = {key: row for (_, key), row in rows.items() if isinstance(row, Grant)}
    assert {
        key: (row.grant, row.seq, row.active, row.uses, row.used) for key, row in grants.items()
    } == recounted_grants(entries)
    records = {row.record: row for row in rows.values() if isinstance(row, Record)}
    assert {
        name: (row.seq, [(v.version, v.blob, v.seq) for v in row.versions], row.state, row.state_seq)
        for name, row in records.items()
    } == recounted_records(entries)  # fmt: skip


# --- examples


def test_a_grant_becomes_a_row(facts: Facts) -> None:
    record = facts.upload(facts.patient)
    entry = facts.grant(
        facts.patient, facts.grantees[1], scope="selective", records=[record], uses=3,
        purposes=["HRESCH", "TREAT"], actions=["read"], labels=["l_" + "0" * 26],
    )  # fmt: skip
    body = entry.event.body
    assert facts.row(entry) == Grant(
        patient=facts.patient.patient,
        grantee=facts.grantees[1],
        lineage=body["grant"],
        grant=body["grant"],
        seq=entry.link.seq,
        active=True,
        scope="selective",
        records=(record,),
        actions=("read",),
        purposes=("HRESCH", "TREAT"),
        labels=("l_" + "0" * 26,),
        sensitive=False,
        start=parse_time(body["start"]),
        end=parse_time(body["end"]),
        uses=3,
        used=0,
    )


def test_a_grant_without_purposes_is_for_treatment(facts: Facts) -> None:
    assert facts.row(facts.grant(facts.patient, facts.grantees[0])).purposes == ("TREAT",)


def test_a_revocation_ends_a_whole_lineage_and_no_other(facts: Facts) -> None:
    grantee = facts.grantees[1]
    first, other = (facts.grant(facts.patient, grantee) for _ in range(2))
    lineage = first.event.body["grant"]
    again = facts.grant(facts.patient, grantee, lineage=lineage)
    end = facts.revoke(facts.patient, grantee, grant=again.event.body["grant"])
    assert not facts.row(first).active
    assert facts.row(first).seq == end.link.seq
    assert facts.row(other).active


def test_a_grant_after_the_revocation_counts_again(facts: Facts) -> None:
    grantee = facts.grantees[1]
    first = facts.grant(facts.patient, grantee)
    facts.revoke(facts.patient, grantee, grant=first.event.body["grant"])
    again = facts.grant(facts.patient, grantee, lineage=first.event.body["grant"])
    row = facts.row(again)
    assert (row.active, row.seq, row.grant) == (True, again.link.seq, again.event.body["grant"])


def test_revoking_without_an_id_ends_all_of_this_grantee_alone(facts: Facts) -> None:
    mine, theirs = facts.grantees[0], facts.grantees[1]
    ended = [facts.grant(facts.patient, mine) for _ in range(3)]
    left = [facts.grant(facts.patient, theirs), facts.grant(facts.patients[1], mine)]
    facts.revoke(facts.patient, mine)
    assert [facts.row(entry).active for entry in ended] == [False] * 3
    assert [facts.row(entry).active for entry in left] == [True] * 2


def test_a_lineage_is_named_by_its_first_grant(facts: Facts) -> None:
    """Else a revocation of that lineage would not end what was granted in it."""
    grantee = facts.grantees[1]
    first = facts.grant(facts.patient, grantee).event.body["grant"]
    second = facts.grant(facts.patient, grantee, lineage=first).event.body["grant"]
    body = facts.log.grant_body(grantee, lineage=second)
    assert facts.log.answer(facts.patient, "access.granted", body) == "malformed"


def test_only_permitted_readings_that_rest_on_a_grant_use_it_up(facts: Facts) -> None:
    """Not those of the hospital that wrote the record, not refused ones, not other people's."""
    author, stranger = facts.doctors
    record = facts.upload(facts.patient)
    mine = facts.grant(facts.patient, author.account, uses=5)
    grant = facts.grant(facts.patient, stranger.account, uses=2)
    used = []
    for doctor in (author, stranger, author, stranger, stranger):
        facts.open(doctor, record)
        used.append(facts.row(grant).used)
    assert used == [0, 1, 1, 2, 2]
    assert facts.row(mine).used == 0
    assert not facts.open(stranger, record)


def test_of_two_grants_one_is_used_up(facts: Facts) -> None:
    """Unlimited before limited, then the lowest number."""
    stranger, record = facts.doctors[1], facts.upload(facts.patient)
    second = [facts.grant(facts.patient, stranger.account, uses=1) for _ in range(2)]
    assert facts.open(stranger, record)
    assert [facts.row(entry).used for entry in second] == [1, 0]
    facts.grant(facts.patient, stranger.hospital)
    assert facts.open(stranger, record)
    assert [facts.row(entry).used for entry in second] == [1, 0]


def test_granted_again_the_uses_begin_anew(facts: Facts) -> None:
    stranger, record = facts.doctors[1], facts.upload(facts.patient)
    first = facts.grant(facts.patient, stranger.account, uses=1)
    assert [facts.open(stranger, record) for _ in range(2)] == [True, False]
    facts.grant(facts.patient, stranger.account, uses=1, lineage=first.event.body["grant"])
    assert [facts.open(stranger, record) for _ in range(2)] == [True, False]


def test_versions_append(facts: Facts) -> None:
    """The record keeps its first entry and its author; what it says is what the latest version says."""
    record = facts.upload(facts.patient, category="imaging")
    before = facts.record(record)
    entries = [facts.amend(record) for _ in range(3)]
    row = facts.record(record)
    assert [version.version for version in row.versions] == [1, 2, 3, 4]
    assert [version.seq for version in row.versions[1:]] == [entry.link.seq for entry in entries]
    assert row.versions[0] == before.versions[0]
    assert (row.seq, row.author, row.hospital) == before[2:5]
    assert (before.category, row.category) == ("imaging", "laboratory")
    assert version_of(row, 4) == row.versions[3]
    assert version_of(row, 0) is None and version_of(row, 5) is None


def test_a_version_out_of_order_is_refused(facts: Facts) -> None:
    record = facts.upload(facts.patient)
    body = facts.log.record_body(record=record, version=3)
    assert facts.log.answer(facts.doctors[0], "record.amended", body, facts.patient) == "conflict"


def test_what_was_retracted_stays_so_and_alone(facts: Facts) -> None:
    record, other = facts.upload(facts.patient), facts.upload(facts.patient)
    entry = facts.retract(record)
    facts.amend(record)
    row = facts.record(record)
    assert (row.state, row.state_seq, len(row.versions)) == ("retracted", entry.link.seq, 2)
    assert facts.record(other).state == "live"


def test_other_events_fold_to_nothing(facts: Facts) -> None:
    """Registrations, refused readings and readings of one's own records change no fact."""
    facts.open(facts.doctors[0], facts.upload(facts.patient))
    facts.open(facts.doctors[1], facts.upload(facts.patient))
    rows, changed = Rows(), []
    for entry in facts.log.entries:
        for row in fold(entry, rows):
            rows.put(row)
            changed.append(entry.event.type.name)
    of_facts = {kind.name for kind in TYPES} - {kind.name for kind in TYPES if kind.key in SIGNING}
    assert of_facts & set(changed) == {"record.uploaded"}
    assert not [row for row in folded(facts.log.entries).values() if isinstance(row, GrantName)]
