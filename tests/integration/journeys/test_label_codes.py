"""Codes of labels: for an append that is staged, counted; and none by the way."""

import contextlib
import threading
from collections.abc import Sequence

import pytest

import people.reserving
from client import authoring, grants
from client.local import LocalClient
from identity.actors import Actor, new_id
from journeys.errors import Forbidden, OverQuota, RecordsError
from journeys.labelling import HOUR_MS, LABELS_AN_HOUR
from journeys.sealing import seal_texts
from ledger.codes import LABELS
from people.reserving import Subject, reserve_counted
from records import uploads
from records.uploads import Upload
from storage.clock import wall_clock
from tests.support.ledger_fixture import LedgerFixture, Person

MANY = LABELS[: LABELS_AN_HOUR + 1]
"""One label more than an author gets the codes of."""


class Clock:
    """The machine's clock, ahead by `ahead` ms."""

    ahead = 0

    def __call__(self) -> int:
        """Unix ms."""
        return wall_clock() + self.ahead


@pytest.fixture
def pat(fixture: LedgerFixture) -> Person:
    """A patient."""
    return fixture.person()


def codes(
    fixture: LedgerFixture, actor: Actor, pat: Person, record: str, labels: Sequence[str]
) -> list[str]:
    """What sealing gives."""
    event = new_id("ev", fixture.ledger.clock())
    return seal_texts(fixture.ledger, actor.caller, pat.patient, record, event, {}, labels)[1]


def staged(fixture: LedgerFixture, actor: Actor, pat: Person, record: str = "") -> str:
    """The record of content that an author staged."""
    return uploads.stage(fixture.ledger, actor.caller, pat.patient, [b"x"], record).record


def one_of(pat: Person, labels: Sequence[str]) -> Upload:
    """An upload with labels."""
    return Upload(
        pat.patient, "document", "text/plain", [b"x"], labels=tuple(labels), sensitive=True
    )


def test_no_code_without_a_staged_append(fixture: LedgerFixture, pat: Person) -> None:
    """Not of the chart, not of a record that stands, of another's, of another patient, or that was appended."""
    doctor, system, other = fixture.doctor(), fixture.north.system, fixture.person()
    there = fixture.record(pat).record
    for actor, record in ((doctor, pat.patient), (system, pat.patient), (system, there)):
        with pytest.raises(Forbidden, match=r"of which nothing is staged.*Stage its content first"):
            codes(fixture, actor, pat, record, ["HIV"])
    mine = staged(fixture, doctor, pat)
    assert len(codes(fixture, doctor, pat, mine, ["HIV"])) == 1
    for actor, whose in ((system, pat), (fixture.doctor(), pat), (doctor, other)):
        with pytest.raises(RecordsError):
            codes(fixture, actor, whose, mine, ["HIV"])
    stood = authoring.upload(LocalClient(fixture.ledger), doctor, one_of(pat, ["HIV"]))
    with pytest.raises(Forbidden, match="nothing is staged"):
        codes(fixture, doctor, pat, stood.record, ["HIV"])
    assert staged(fixture, doctor, pat, stood.record) == stood.record  # its next version
    assert len(codes(fixture, doctor, pat, stood.record, ["HIV", "PSY"])) == 2


def test_asking_is_counted_and_appending_is_free(fixture: LedgerFixture, pat: Person) -> None:
    """Whoever only asks gets few; whoever appends what they asked for is never held up."""
    doctor, other = fixture.doctor(), fixture.person()
    record = staged(fixture, doctor, pat)
    for label in MANY[:-1]:
        codes(fixture, doctor, pat, record, [label])
    assert len(codes(fixture, doctor, pat, record, MANY[:-1])) == LABELS_AN_HOUR  # known already
    for again in (record, staged(fixture, doctor, pat)):
        with pytest.raises(OverQuota, match=r"expected at most 4: append what you staged"):
            codes(fixture, doctor, pat, again, [MANY[-1]])
    fresh = fixture.doctor()
    with pytest.raises(OverQuota):
        codes(fixture, fresh, pat, staged(fixture, fresh, pat), MANY)
    assert codes(fixture, doctor, other, staged(fixture, doctor, other), MANY[-1:])
    busy = fixture.doctor()
    for label in LABELS:
        authoring.upload(LocalClient(fixture.ledger), busy, one_of(pat, [label]))
    assert len(codes(fixture, busy, pat, staged(fixture, busy, pat), LABELS)) == len(LABELS)


def test_an_hour_later_it_begins_anew(fixture: LedgerFixture, pat: Person) -> None:
    doctor, clock = fixture.doctor(), Clock()
    fixture.ledger.clock = clock
    record = staged(fixture, doctor, pat)
    codes(fixture, doctor, pat, record, MANY[:-1])
    clock.ahead = HOUR_MS - 60_000
    with pytest.raises(OverQuota):
        codes(fixture, doctor, pat, record, MANY[-1:])
    clock.ahead = HOUR_MS
    assert codes(fixture, doctor, pat, record, MANY[-1:])


def test_two_at_a_time_get_no_more(fixture: LedgerFixture, pat: Person) -> None:
    """The count is one for all threads and processes."""
    doctor, got = fixture.doctor(), list[str]()
    record = staged(fixture, doctor, pat)

    def ask(label: str) -> None:
        with contextlib.suppress(OverQuota):
            got.extend(codes(fixture, doctor, pat, record, [label]))

    threads = [threading.Thread(target=ask, args=(label,)) for label in LABELS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == LABELS_AN_HOUR


def test_patients_get_those_of_their_own_chart(fixture: LedgerFixture, pat: Person) -> None:
    """For grants; of no other chart."""
    assert len(codes(fixture, pat.actor, pat, pat.patient, LABELS)) == len(LABELS)
    client = LocalClient(fixture.ledger)
    grants.grant(client, pat.actor, pat.patient, fixture.south.hospital, labels=["HIV"])
    with pytest.raises(Forbidden):
        codes(fixture, pat.actor, other := fixture.person(), other.patient, ["HIV"])


def test_ids_are_reserved_by_quota(fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each account has its own, by the hour; what is refused is not reserved, and doesn't count."""
    monkeypatch.setattr(people.reserving, "RESERVED_AN_HOUR", 5)
    ledger, clock = fixture.ledger, Clock()
    ledger.clock = clock
    system, other = fixture.north.system, fixture.south.system

    def subjects(count: int) -> list[Subject]:
        return [Subject(new_id("ac", clock()), new_id("ev", clock())) for _ in range(count)]

    assert len(reserve_counted(ledger, system.caller, subjects(3))) == 3
    asked = subjects(3)
    with pytest.raises(
        OverQuota, match=r"got 6 ids within an hour, expected at most 5: try again in"
    ):
        reserve_counted(ledger, system.caller, asked)
    with ledger.database.read() as connection:
        names = [(one.id, one.id) for one in asked]
        assert ledger.keys.object_keys(connection, names) == []
    assert len(reserve_counted(ledger, system.caller, subjects(2))) == 2
    assert len(reserve_counted(ledger, other.caller, subjects(5))) == 5
    clock.ahead = HOUR_MS
    assert len(reserve_counted(ledger, system.caller, subjects(5))) == 5
