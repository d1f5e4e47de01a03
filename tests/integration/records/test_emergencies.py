"""Emergencies: what they open and what not, who is told, what is reviewed, and what a refused doctor can't tell."""

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from api.app.settings import Settings
from client import beside, emergencies, grants, readings, registering
from client.http import HttpClient
from client.local import LocalClient
from client.port import LedgerClient
from identity.actors import Actor, new_key
from journeys.errors import AccessDenied, Forbidden, NotThere, RecordsError
from journeys.questions import Question
from journeys.sealing import object_key
from keeper.errors import KeeperRefused
from keeper.protocol import Evidence, SealedField, SealedObject
from ledger.errors import Refused
from ledger.facts import Emergency
from ledger.times import DAY_MS, HOUR_MS
from records.explaining import check_still_permitted
from records.opening import settle
from records.uploads import Upload
from storage.clock import wall_clock
from storage.evidence import ask_keeper, of_reading
from storage.ledger import Ledger
from storage.reviews import owed
from tests.integration.conftest import verified
from tests.integration.storage.test_races import Pair
from tests.support.inbox import everywhere, mails_to, reach, send, told
from tests.support.ledger_fixture import LedgerFixture, Person
from tests.support.memory_log import SEALED
from tests.support.people import People
from tests.support.server import in_process
from tests.support.workers import declare_and_read, exclude_and_include

WORDS = "Unresponsive after a fall, allergies unknown"
ROUNDS = 150
"""Of a race: in each an exclusion comes while an emergency is declared and read in."""


def tried(act: Callable[[], object]) -> tuple[str, str]:
    """Rule and reason of a denial; both empty where nothing was denied."""
    try:
        act()
    except AccessDenied as denial:
        return denial.rule, denial.reason
    return "", ""


def read(
    client: LedgerClient, doctor: Actor, record: str, purpose: str = "ETREAT"
) -> tuple[str, str]:
    """What a doctor is told who opens a record."""

    def act() -> None:
        b"".join(readings.read(client, doctor, record, purpose)[1].content)

    return tried(act)


def declare(client: LedgerClient, doctor: Actor, patient: str) -> tuple[str, int]:
    return emergencies.declare(client, doctor, patient, "cannot_consent", WORDS)


def another(fixture: LedgerFixture, person: Person, **members: Any) -> str:
    """A further record, written by the north."""
    one = Upload(person.patient, "document", "text/plain", [b"x"], **members)
    return beside.upload(fixture.ledger, fixture.north.system, [one])[0].record


@pytest.fixture
def clocked(tmp_path: Path) -> Iterator[LedgerFixture]:
    """On SQLite, where the ledger's clock can be any: PostgreSQL has one of its own."""
    yield from verified(LedgerFixture.found(Settings(data=tmp_path / "data", database_url="")))


def test_an_emergency_opens_what_the_patient_allows(fixture: LedgerFixture) -> None:
    """Beside the data and over HTTP: normal records until the patient says otherwise, never what is hidden, and nothing after it
    was turned off; list and reading say the same."""
    people, ledger = People.of(fixture), fixture.ledger
    sensitive = another(fixture, people.pat, sensitive=True, labels=("HIV",))
    hidden, pat = another(fixture, people.pat), people.pat
    grants.hide(LocalClient(ledger), pat.actor, pat.patient, hidden)
    with in_process(ledger) as web, closing(HttpClient(web.url)) as afar:
        for client in (LocalClient(ledger), afar):
            doctor = fixture.doctor()

            def seen(who: Actor = doctor, by: LedgerClient = client) -> set[str]:
                chart = readings.chart(by, who, pat.patient, "BTG")
                assert not chart.more_in_emergency
                return {line.record.record for line in chart.lines}

            assert read(client, doctor, people.record) == ("S8", "emergency_needed")
            emergency, seq = declare(client, doctor, pat.patient)
            ours = people.record, sensitive, hidden
            ceiling = ("S8", "emergency_ceiling")
            assert [read(client, doctor, one) for one in ours] == [("", ""), ceiling, ceiling]
            assert seen() == {people.record}
            emergencies.configure(client, pat.actor, pat.patient, "restricted")
            assert [read(client, doctor, one) for one in ours] == [("", ""), ("", ""), ceiling]
            assert seen() == {people.record, sensitive}
            assert read(client, doctor, people.record, "TREAT") == ("S12", "no_consent")
            assert read(client, fixture.doctor(), people.record) == ("S8", "emergency_needed")
            emergencies.configure(client, pat.actor, pat.patient, "off")
            assert read(client, doctor, people.record) == ("S8", "emergency_needed")
            assert tried(partial(declare, client, doctor, pat.patient)) == ("S8", "emergency_off")
            emergencies.configure(client, pat.actor, pat.patient, "normal")
            assert read(client, doctor, people.record) == ("", "")
            row = ledger.row(Emergency, emergency)
            assert row is not None and (row.seq, row.readings) == (seq, 6)
            found = readings.history(client, pat.actor, pat.patient, "PATRQT")
            assert found.texts[str(seq)] == {"text": WORDS}
            marked = [
                a for a in found.acts() if (a.rule, a.basis, a.effect) == ("S8", (seq,), "permit")
            ]
            assert [a.type for a in marked].count("record.opened") == 4
            assert [a.type for a in marked].count("chart.opened") == 2
    assert everywhere(fixture, WORDS) == []


def test_who_is_told_and_what_they_are_told(fixture: LedgerFixture) -> None:
    """The patient and the hospital's admins, in their languages, at once; nothing clinical, and not what the doctor wrote."""
    people, client, admin = People.of(fixture), LocalClient(fixture.ledger), fixture.south.admin
    reach(fixture, people.pat.actor, "pat@example.com", "de")
    reach(fixture, admin, "admin@example.com")
    emergency, _ = declare(client, people.doctor, people.pat.patient)
    assert told(fixture, "emergency_declared") == [("emergency_declared", people.pat.actor.account)]
    assert told(fixture, "emergency_to_review") == [("emergency_to_review", admin.account)]
    send(fixture)
    (german,), (english,) = (
        mails_to(fixture, "pat@example.com")[:1],
        mails_to(fixture, "admin@example.com")[:1],
    )
    assert "Notfall erklärt" in german and people.doctor.account in german
    assert "review" in english and emergency in english
    assert not any(WORDS in mail or "cannot_consent" in mail for mail in (german, english))
    emergencies.review(client, admin, people.pat.patient, emergency, "justified", "It was")
    assert told(fixture, "emergency_reviewed") == [("emergency_reviewed", people.pat.actor.account)]


def test_an_excluded_doctor_is_told_what_all_are_told_where_it_is_off(
    fixture: LedgerFixture,
) -> None:
    """Whatever they ask, before and within an emergency, and of `why` too; the log has the true reasons. The exclusion of
    their hospital doesn't hold then."""
    people, client = People.of(fixture), LocalClient(fixture.ledger)
    pat, patient, answers = people.pat, people.pat.patient, []
    for turn in ("excluded", "off"):
        doctor = fixture.doctor()
        declare(client, doctor, patient)
        assert read(client, doctor, people.record) == ("", "")
        if turn == "excluded":
            grants.exclude(client, pat.actor, patient, doctor.account)
        else:
            emergencies.configure(client, pat.actor, patient, "off")
        asked = [
            Question(patient, doctor.account, "doctor", doctor.hospital, action, purpose, record)
            for action, purpose, record in (
                ("read", "BTG", people.record), ("list", "ETREAT", ""), ("declare_emergency", "BTG", ""),
                ("declare_emergency", "TREAT", ""),
            )
        ]  # fmt: skip
        explained = [client.why(doctor, one).explanation for one in asked]
        answers.append([
            read(client, doctor, people.record, "BTG"), read(client, doctor, people.record),
            tried(partial(readings.chart, client, doctor, patient, "BTG")),
            tried(partial(declare, client, doctor, patient)),
            *((one.decision.rule, one.decision.reason, one.decision.basis, one.why, one.changes) for one in explained),
        ])  # fmt: skip
    assert answers[0] == answers[1]
    assert answers[0][0] == ("S8", "emergency_needed") and answers[0][3] == ("S8", "emergency_off")
    reasons = {
        a.reason for a in readings.history(client, pat.actor, patient, "PATRQT").acts() if a.reason
    }
    assert reasons == {"excluded", "emergency_off"}
    emergencies.configure(client, pat.actor, patient, "normal")
    grants.exclude(client, pat.actor, patient, fixture.south.hospital)
    other = fixture.doctor()
    declare(client, other, patient)
    assert read(client, other, people.record) == ("", "")
    assert read(client, other, people.record, "TREAT") == ("S12", "no_consent")


def test_it_ends_with_its_hours_and_a_download_with_it(clocked: LedgerFixture) -> None:
    """By the policy of its entry; a shorter one that comes meanwhile counts, a longer one doesn't."""
    fixture = clocked
    people, hours = People.of(fixture), 4
    declare(LocalClient(fixture.ledger), people.doctor, people.pat.patient)
    entry = fixture.ledger.entry(fixture.size() - 1)
    assert read(LocalClient(fixture.ledger), people.doctor, people.record) == ("", "")
    opened = fixture.ledger.entry(fixture.size() - 1)
    check_still_permitted(fixture.ledger, opened)
    fixture.reopen(lambda: wall_clock() + hours * HOUR_MS)
    assert read(LocalClient(fixture.ledger), people.doctor, people.record) == (
        "S8",
        "emergency_needed",
    )
    with pytest.raises(NotThere):
        check_still_permitted(fixture.ledger, opened)
    row = fixture.ledger.row(Emergency, entry.event.id)
    assert row is not None and (row.start, row.end) == (entry.time, entry.time + hours * HOUR_MS)


def test_the_hospital_reviews(clocked: LedgerFixture) -> None:
    """By another admin of the very hospital; what is overdue shows in list, status and metrics until it is reviewed."""
    fixture = clocked
    people, client, admin = People.of(fixture), LocalClient(fixture.ledger), fixture.south.admin
    patient, south = people.pat.patient, fixture.south.hospital
    own, _ = registering.add_member(client, admin, "doctor", south, "Dr. Adm", new_key())
    both = own.in_role("hospital_admin", south)
    client.append(
        admin,
        [
            admin.event(
                "admin.appointed", f"hospital/{south}", {"account": own.account}, client.now()
            )
        ],
    )
    emergency, seq = declare(client, own, patient)
    review = emergencies.review
    for who, words in ((fixture.north.admin, "S12"), (people.doctor, "S1")):
        with pytest.raises(AccessDenied, match=words):
            review(client, who, patient, emergency, "justified", "Fine")
    with pytest.raises(AccessDenied, match="S12"):
        review(client, admin, people.kim.patient, emergency, "justified", "Fine")
    with pytest.raises(Refused, match="another administrator"):
        review(client, both, patient, emergency, "justified", "Fine")
    with pytest.raises(RecordsError, match="expected one of"):
        review(client, admin, patient, emergency, "fine", "Fine")
    with pytest.raises(Forbidden):
        emergencies.listed(client, fixture.north.admin, south)
    fixture.reopen(lambda: wall_clock() + 7 * DAY_MS)
    client = LocalClient(fixture.ledger)
    (one,) = emergencies.listed(client, admin, south, "overdue").emergencies
    assert (one.emergency, one.seq, one.state, one.name) == (emergency, seq, "overdue", "Dr. Adm")
    assert owed(fixture.ledger.database, fixture.ledger.clock())[:2] == (1, 1)
    with in_process(fixture.ledger) as web:
        metrics = web.client.get("/metrics").text
        assert 'heartwood_emergency_reviews{state="overdue"} 1.0' in metrics
        with closing(HttpClient(web.url)) as afar:
            assert emergencies.found(afar, admin, south, emergency) == one
    reviewed = review(client, admin, patient, emergency, "not_justified", "Curiosity")
    (one,) = emergencies.listed(client, admin, south, "reviewed").emergencies
    assert (one.reviewed, one.finding) == (reviewed, "not_justified")
    again = review(
        client, admin, patient, emergency, "partly_justified", "More was read than needed"
    )
    assert again > reviewed
    assert emergencies.found(client, admin, south, emergency).finding == "partly_justified"
    assert owed(fixture.ledger.database, fixture.ledger.clock())[:2] == (0, 0)
    texts = readings.history(client, people.pat.actor, patient, "PATRQT").texts
    assert texts[str(reviewed)] == {"text": "Curiosity"}


def test_whoever_reviews_sees_what_was_declared_and_read(fixture: LedgerFixture) -> None:
    """Beside the data and over HTTP; that look stands in the patient's history, and nobody else gets it."""
    people, admin = People.of(fixture), fixture.south.admin
    local, patient = LocalClient(fixture.ledger), people.pat.patient
    emergency, _ = declare(local, people.doctor, patient)
    read(local, people.doctor, people.record)
    readings.chart(local, people.doctor, patient, "BTG")
    read(local, fixture.doctor(), people.record)
    with in_process(fixture.ledger) as web, closing(HttpClient(web.url)) as afar:
        for client in (local, afar):
            opened = emergencies.open_for_review(client, admin, patient, emergency)
            assert (opened.reason, opened.text) == ("cannot_consent", WORDS)
            kinds = [(a.type, a.record, a.actor) for a in opened.acts]
            doctor = people.doctor.account
            assert kinds == [("record.opened", people.record, doctor), ("chart.opened", "", doctor)]
            for who, rule in (
                (fixture.north.admin, "S12"),
                (people.doctor, "S1"),
                (people.pat.actor, "S1"),
            ):
                with pytest.raises(AccessDenied, match=f"{rule} "):
                    emergencies.open_for_review(client, who, patient, emergency)
    acts = readings.history(local, people.pat.actor, patient, "PATRQT").acts()
    assert [a.actor for a in acts if a.type == "emergency.opened" and a.effect == "permit"] == [
        admin.account
    ] * 2


def test_the_keeper_opens_for_a_review_the_declaration_alone(fixture: LedgerFixture) -> None:
    """No other field of the chart: not the patient's name, nor what another doctor declared."""
    people, ledger, admin = People.of(fixture), fixture.ledger, fixture.south.admin
    client, patient = LocalClient(ledger), people.pat.patient
    emergency, seq = declare(client, people.doctor, patient)
    _, other = declare(client, fixture.doctor(fixture.north), patient)
    body = {"emergency": emergency, "purpose": "HOPERAT"}
    event = admin.event("emergency.opened", people.pat.stream, body, ledger.clock())
    reading = settle(ledger, beside.propose(ledger, admin, [event])[0])
    key = object_key(ledger.keys, patient, patient)
    registered = ledger.stream(people.pat.stream, fixture.size())[0].event
    for said, name in ((ledger.entry(other).event, "text"), (registered, "name")):
        sealed = [SealedObject(key, (SealedField(said.stream, said.id, name, said.body[name]),))]
        shown = of_reading(ledger, reading.committed, reading.entry)
        with pytest.raises(KeeperRefused, match="what was declared"):
            ask_keeper(ledger, shown, partial(_opened_fields, ledger, sealed))
    assert emergencies.open_for_review(client, admin, patient, emergency).text == WORDS
    assert seq < other


def _opened_fields(ledger: Ledger, sealed: list[SealedObject], found: Evidence) -> Any:
    return ledger.keeper.open_fields(found, sealed)


def test_words_that_can_not_be_opened_keep_nothing_else_back(fixture: LedgerFixture) -> None:
    """A doctor who signs made-up bytes in place of sealed words hides neither the history nor what was read."""
    people, client, admin = People.of(fixture), LocalClient(fixture.ledger), fixture.south.admin
    pat, patient = people.pat, people.pat.patient
    _, good = declare(client, people.doctor, patient)
    body = {"purpose": "BTG", "reason": "other", "text": SEALED}
    event = people.doctor.event("emergency.declared", pat.stream, body, client.now())
    bad = client.append(people.doctor, [event])[0].seq
    assert read(client, people.doctor, people.record) == ("", "")
    texts = readings.history(client, pat.actor, patient, "PATRQT").texts
    assert (texts[str(good)], texts[str(bad)]) == ({"text": WORDS}, {})
    opened = emergencies.open_for_review(client, admin, patient, event["id"])
    assert (opened.text, [a.type for a in opened.acts]) == ("", ["record.opened"])


def test_a_declaration_races_an_exclusion(fixture: LedgerFixture) -> None:
    """From two processes: in the log's order nothing is declared or read while the doctor is excluded, and all else is."""
    people, pair = People.of(fixture), Pair(fixture.settings)
    pat, doctor = people.pat, people.doctor
    pair.child(exclude_and_include, pat.patient, pat.actor, doctor.account, ROUNDS, answers=False)
    pair.child(declare_and_read, people.record, doctor, ROUNDS)
    (outcomes,) = pair.answers()
    excluded, seen, open_since = False, {True: 0, False: 0}, list[int]()
    for entry in fixture.ledger.stream(pat.stream, fixture.size()):
        name, decision = entry.event.type.name, entry.decision or {}
        if name in ("reader.excluded", "reader.included"):
            excluded = name == "reader.excluded"
        elif name in ("emergency.declared", "record.opened"):
            assert not excluded, f"entry {entry.link.seq}"
            assert decision["basis"] == ([] if name == "emergency.declared" else open_since[-1:])
            seen[True] += 1
            open_since += [entry.link.seq] if name == "emergency.declared" else []
        elif name == "access.refused":
            assert excluded and decision["reason"] == "excluded", f"entry {entry.link.seq}"
            seen[False] += 1
    assert seen[True] == outcomes.count("Appended")
    assert min(seen.values()) > 0, "one of the two was always first"


def test_declared_and_excluded_in_one_batch(fixture: LedgerFixture) -> None:
    """In their order within the batch: an exclusion that stands before beats what comes after it."""
    people, ledger = People.of(fixture), fixture.ledger
    pat, doctor, now = people.pat, people.doctor, fixture.ledger.clock()
    sealed = LocalClient(ledger).seal(
        doctor, pat.patient, pat.patient, f"ev_{'0' * 26}", {"text": WORDS}
    )[0]
    body = {"purpose": "BTG", "reason": "other", "text": sealed["text"]}

    def signed(who: Actor, kind: str, said: dict[str, Any]) -> Any:
        return beside.propose(ledger, who, [who.event(kind, pat.stream, said, now)])[0]

    first, second = (signed(doctor, "emergency.declared", body) for _ in range(2))
    out = signed(pat.actor, "reader.excluded", {"purpose": "PATRQT", "reader": doctor.account})
    inside, after = (
        signed(doctor, "record.opened", people.reading(purpose="BTG")["body"]) for _ in range(2)
    )
    kinds = [type(one).__name__ for one in ledger.append([first, inside, out, after, second])]
    assert kinds == ["Appended", "Appended", "Appended", "Denied", "Denied"]
