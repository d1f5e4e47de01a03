"""Linked charts in the log: who says that two are one person's, what that changes at once, and what only both patients change.
What holds for the sequencer holds for whoever reads the log."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from consent.replay import Replay
from ledger.directory import Patient
from ledger.entry import Entry
from ledger.times import DAY_MS, format_time
from ledger.types.links import LINKS_MOST
from tests.support.memory_log import SEALED, MemoryLog, Person, reading, verify_log

NO = "deny S12 no_consent"
OUT = "deny S7 excluded"


@dataclass
class Two:
    """Two charts of one person who registered twice, both with a record of one hospital, and a doctor of another."""

    log: MemoryLog = field(default_factory=MemoryLog)

    def __post_init__(self) -> None:
        """Everybody is registered here."""
        log = self.log
        self.admin, self.other = log.admin(log.hospital()), log.admin(log.hospital())
        self.author, self.doctor = log.doctor(self.admin), log.doctor(self.other)
        self.one, self.two = self.alone(), self.alone()
        self.first, self.second = (log.upload(self.author, pat) for pat in (self.one, self.two))

    def alone(self, **ages: Any) -> Person:
        """A patient who registered alone: no hospital has put in the key."""
        log, patient = self.log, self.log.id("pt")
        person = log.account(log.service)
        body = {"account": person.account, "patient": patient, "purpose": "PATRQT"} | (ages or {"adult": True})  # fmt: skip
        log.do(log.service, "patient.registered", body, patient)
        return Person(person.account, person.key, "patient", "", patient)

    def say(
        self, who: Person, own: Person, other: Person, kind: str = "linked", **bent: Any
    ) -> str:
        body = {"other": other.patient, "patient": own.patient, "purpose": "TREAT"} | bent
        return self.log.answer(who, f"patient.{kind}", body, own)

    def both(self, who: Person, kind: str = "linked") -> None:
        """A hospital's word, in both streams."""
        assert self.say(who, self.one, self.two, kind) == "appended"
        assert self.say(who, self.two, self.one, kind) == "appended"

    def sign(self, *whose: Person) -> None:
        for own in whose:
            other = self.two if own is self.one else self.one
            assert self.say(own, own, other) == "appended"

    def grant(self, pat: Person, **terms: Any) -> Entry:
        now = self.log.now
        body = {
            "actions": ["list", "read"], "end": format_time(now + DAY_MS), "grant": self.log.id("gr"),
            "grantee": self.doctor.account, "purpose": "PATRQT", "scope": "full", "start": format_time(now),
        } | terms  # fmt: skip
        return self.log.do(pat, "access.granted", body, pat, v=2)

    def exclude(self, pat: Person, reader: str, kind: str = "excluded") -> str:
        return self.log.answer(pat, f"reader.{kind}", {"purpose": "PATRQT", "reader": reader}, pat)

    def read(self, pat: Person, purpose: str = "TREAT") -> str:
        record = self.first if pat is self.one else self.second
        return self.log.answer(self.doctor, "record.opened", reading(record, purpose), pat)

    def declare(self, pat: Person) -> str:
        body = {"purpose": "BTG", "reason": "other", "text": SEALED}
        return self.log.answer(self.doctor, "emergency.declared", body, pat)

    def row(self, pat: Person) -> Patient:
        found = self.log.batch.look.get(Patient, pat.patient)
        assert found is not None
        return found

    def checked(self) -> None:
        """Auditors come to the same."""
        replay = Replay()
        for entry in self.log.batch.entries:
            replay.take(entry.raw)
        assert replay.wrong == []
        verify_log(self.log)


@pytest.fixture
def two() -> Two:
    return Two()


def test_exclusions_hold_in_both_from_the_first_entry_on(two: Two) -> None:
    """In whichever stream it stands, and whichever came first, exclusion or link; lifted, it holds nowhere."""
    two.grant(two.two)
    assert two.read(two.two) == "appended"
    assert two.exclude(two.one, two.doctor.account) == "appended"
    assert two.read(two.two) == "appended"
    assert two.say(two.admin, two.two, two.one) == "appended"
    assert two.read(two.two) == OUT
    assert two.declare(two.two) == OUT
    assert two.exclude(two.one, two.doctor.account, "included") == "appended"
    assert two.read(two.two) == "appended"
    assert two.exclude(two.two, two.doctor.hospital) == "appended"
    assert two.read(two.one) == OUT
    two.checked()


def test_nobody_is_let_in_before_both_have_signed(two: Two) -> None:
    grant = two.grant(two.one)
    two.both(two.admin)
    assert two.read(two.two) == NO
    two.sign(two.one)
    assert two.read(two.two) == NO
    two.sign(two.two)
    assert two.read(two.two) == "appended"
    decision = two.log.batch.entries[-1].decision
    link = two.row(two.two).links[0]
    assert decision is not None
    assert decision["rule"] == "S9"
    assert decision["basis"] == sorted((grant.link.seq, link.signed, link.theirs))
    two.checked()


@pytest.mark.parametrize("terms", [
    {"uses": 3},
    {"exceptions": [{"categories": ["imaging"], "type": "deny"}]},
    {"sensitive": True},
], ids=["counted", "with exceptions", "sensitive"])  # fmt: skip
def test_what_a_link_does_not_carry(two: Two, terms: dict[str, Any]) -> None:
    """Uses that are counted, records that are named, exceptions; and nothing of what is sensitive."""
    two.both(two.admin)
    two.sign(two.one, two.two)
    two.grant(two.one, **terms)
    if "sensitive" in terms:
        two.second = two.log.upload(two.author, two.two, labels=[two.log.id("l")], sensitive=True)
    assert two.read(two.one) == "appended"
    assert two.read(two.two) == NO
    selective = {"records": [two.first.event.body["record"]], "scope": "selective"}
    two.grant(two.one, **selective)
    assert two.read(two.two) == NO


def test_a_revocation_in_one_ends_it_in_both_at_once(two: Two) -> None:
    two.both(two.admin)
    two.sign(two.one, two.two)
    grant = two.grant(two.one).event.body["grant"]
    assert two.read(two.two) == "appended"
    body = {"grant": grant, "grantee": two.doctor.account, "purpose": "PATRQT"}
    assert two.log.answer(two.one, "access.revoked", body, two.one) == "appended"
    assert two.read(two.two) == NO
    two.checked()


def test_ending_a_link_lets_nobody_in(two: Two) -> None:
    """By the hospital: grants stop, exclusions stay. By the chart's own patient alone do the other's exclusions end."""
    two.both(two.admin)
    two.sign(two.one, two.two)
    two.grant(two.one)
    two.grant(two.two)
    assert two.exclude(two.one, two.doctor.account) == "appended"
    two.both(two.admin, "unlinked")
    assert two.read(two.two) == OUT
    assert two.exclude(two.two, two.author.account) == "appended"
    assert two.say(two.two, two.two, two.one, "unlinked") == "appended"
    assert two.read(two.two) == "appended"
    assert two.exclude(two.one, two.doctor.account, "included") == "appended"
    assert two.exclude(two.two, two.doctor.account) == "appended"
    assert two.read(two.one) == OUT, "the first one's patient has ended nothing"
    two.checked()


def test_after_an_end_both_sign_anew(two: Two) -> None:
    """The word of the one who had signed before counts no more."""
    two.grant(two.one)
    two.both(two.admin)
    two.sign(two.one, two.two)
    assert two.say(two.two, two.two, two.one, "unlinked") == "appended"
    assert two.read(two.two) == NO
    assert two.say(two.two, two.two, two.one) == NO, "no hospital says so in this stream any more"
    assert two.say(two.admin, two.two, two.one) == "appended"
    two.sign(two.two)
    assert two.read(two.two) == NO
    two.sign(two.one)
    assert two.read(two.two) == "appended"
    two.checked()


Try = Callable[[Two], str]
REFUSED: dict[str, tuple[Try, str]] = {
    "a hospital without a record": (lambda t: t.say(t.other, t.one, t.two), NO),
    "a doctor": (lambda t: t.say(t.author, t.one, t.two), "deny S1 role"),
    "a patient whom no hospital asks": (lambda t: t.say(t.one, t.one, t.two), NO),
    "in the other's stream": (lambda t: t.say(t.one, t.two, t.one), "deny S0 invalid"),
    "with itself": (lambda t: t.say(t.admin, t.one, t.one), NO),
    "with nobody": (lambda t: t.say(t.admin, t.one, Person("", t.one.key, patient=t.log.id("pt"))), NO),
    "under another's name": (lambda t: t.say(t.admin, t.one, t.two, patient=t.two.patient), "stream"),
    "an end of nothing": (lambda t: t.say(t.admin, t.one, t.two, "unlinked"), NO),
    "an end of nothing by the patient": (lambda t: t.say(t.one, t.one, t.two, "unlinked"), NO),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_who_may_not(two: Two, case: str) -> None:
    act, answer = REFUSED[case]
    assert act(two) == answer


def test_an_end_is_under_its_own_name(two: Two) -> None:
    two.both(two.admin)
    other = two.alone()
    assert two.say(two.admin, two.one, two.two, "unlinked", patient=other.patient) == "stream"
    assert two.say(two.admin, two.one, two.two, "unlinked") == "appended"


def test_nothing_is_said_twice(two: Two) -> None:
    two.both(two.admin)
    assert two.say(two.admin, two.one, two.two) == "conflict"
    two.sign(two.one)
    assert two.say(two.one, two.one, two.two) == "conflict"
    assert two.say(two.other, two.one, two.two, "unlinked") == NO, "another hospital's word"


def test_no_chart_of_the_hospitals_own_staff(two: Two) -> None:
    """Neither of the two; another hospital may (Grants 7)."""
    at = two.admin.hospital
    two.log.do(two.admin, "doctor.approved", {"account": two.two.account}, at)
    assert two.say(two.admin, two.one, two.two) == "role"
    assert two.say(two.admin, two.two, two.one) == "role"
    elsewhere = two.log.doctor(two.other)
    for pat in (two.one, two.two):
        two.log.upload(elsewhere, pat)
    two.both(two.other)


def test_a_key_that_a_hospital_put_in_signs_for_nobody(two: Two) -> None:
    """Only whoever claimed the chart, or registered alone, is asked: the hospital could sign for both."""
    put_in = two.log.patient(two.admin)
    two.log.upload(two.author, put_in)
    assert two.say(two.admin, two.one, put_in) == "appended"
    assert two.say(two.admin, put_in, two.one) == "appended"
    assert two.say(put_in, put_in, two.one) == NO
    assert two.say(put_in, put_in, two.one, "unlinked") == NO


def test_a_weak_sign_in_lets_nobody_in(two: Two) -> None:
    """As a grant does, signing a link needs the second factor just now."""
    two.both(two.admin)
    key = two.log.new_key()
    kept = two.one.holding(key)
    two.log.register_key(two.one.acting("person"), kept, custody="service")
    assert two.say(kept, two.one, two.two).startswith("deny S")


def test_the_dead_sign_nothing(two: Two) -> None:
    two.both(two.admin)
    gone = two.row(two.one)
    two.log.batch.look.put(gone._replace(deceased=gone.seq))
    assert two.say(two.one, two.one, two.two) == "deny S2 deceased"


def test_a_third_chart_is_not_reached_through_a_second(two: Two) -> None:
    """Exclusions hold where somebody said that it is the same person, and no further (P8)."""
    three = two.alone()
    record = two.log.upload(two.author, three)
    two.both(two.admin)
    assert two.say(two.admin, two.two, three) == "appended"
    two.grant(three)
    assert two.exclude(two.one, two.doctor.account) == "appended"
    assert two.log.answer(two.doctor, "record.opened", reading(record), three) == "appended"
    assert two.exclude(two.two, two.doctor.account) == "appended"
    assert two.log.answer(two.doctor, "record.opened", reading(record), three) == OUT


def test_so_many_and_no_more(two: Two) -> None:
    for _ in range(LINKS_MOST):
        another = two.alone()
        two.log.upload(two.author, another)
        assert two.say(two.admin, two.one, another) == "appended"
    assert two.say(two.admin, two.two, two.one) == "conflict"
