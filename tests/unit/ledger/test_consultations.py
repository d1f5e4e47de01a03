"""Consultations: who opens, signs, notes and closes them; and that they show nothing but what S11 says."""

from typing import Any

import pytest

from consent.replay import Replay
from ledger.entry import Entry
from ledger.links import CONSULTATION_DAYS, CONSULTATIONS_OPEN
from ledger.times import DAY_MS, format_time
from tests.support.memory_log import SEALED, Body, Person, reading, verify_log
from tests.support.memory_people import MemoryPeople


class Consulting(MemoryPeople):
    """And a doctor of the second hospital, under a policy by which care links count unless `care_link` says otherwise."""

    def start(self, care_link: str = "basic") -> Person:
        """The doctor; the policy counts at once."""
        self.log.change_policy(care_link=care_link)
        self.log.wait(days=7)
        return self.log.doctor(self.stranger)

    def body(self, days: float = 30, **members: Any) -> Body:
        end = format_time(self.log.now + int(days * DAY_MS))
        kinds = [self.record.event.body["category"]]
        return {"categories": kinds, "end": end, "purpose": "TREAT", "words": SEALED} | members

    def say(self, who: Person, done: str, named: str, **members: Any) -> str:
        said = {"consultation": named, "purpose": "TREAT"} | members
        return self.log.answer(who, f"consultation.{done}", said, self.patient)

    def opened(self, doctor: Person, **members: Any) -> str:
        entry = self.log.do(doctor, "consultation.opened", self.body(**members), self.patient)
        return entry.event.id

    def reads(self, doctor: Person, purpose: str = "TREAT", record: Entry | None = None) -> str:
        said = reading(record or self.record, purpose)
        return self.log.answer(doctor, "record.opened", said, self.patient)


NO = "deny S12 no_consent"


def test_a_consultation_shows_what_it_is_about_from_the_patients_signature_to_its_end() -> None:
    c = Consulting()
    doctor = c.start()
    colleague = c.log.doctor(c.stranger)
    named = c.opened(doctor)
    assert c.reads(doctor) == NO
    assert c.say(doctor, "confirmed", named) == "deny S1 role"
    assert c.say(c.patient, "confirmed", named) == "appended"
    assert c.say(c.patient, "confirmed", named) == "conflict"
    assert [c.reads(doctor), c.reads(colleague)] == ["appended", "appended"]
    entry = c.log.entries[-1]
    assert entry.decision is not None and entry.decision["rule"] == "S11"
    assert c.reads(doctor, "HPAYMT") == NO
    assert c.log.answer(doctor, "chart.opened", {"purpose": "TREAT"}, c.patient) == "appended"
    for members in (
        {"confidentiality": "restricted"},
        {"sensitive": True, "labels": ["l_00000000000000000000000001"]},
        {"category": "imaging"},
    ):
        other = c.log.upload(c.doctor, c.patient, **members)
        assert c.reads(doctor, record=other) == NO, members
    excluded = {"purpose": "PATRQT", "reader": c.elsewhere}
    assert c.log.answer(c.patient, "reader.excluded", excluded, c.patient) == "appended"
    assert c.reads(doctor) == "deny S7 excluded"
    assert c.log.answer(c.patient, "reader.included", excluded, c.patient) == "appended"
    assert c.say(doctor, "noted", named, words=SEALED) == "appended"
    assert c.say(c.patient, "closed", named) == "appended"
    assert c.reads(doctor) == NO
    assert c.say(c.patient, "closed", named) == "conflict"
    # Its hospital isn't told: with what a reading is told it could tell an exclusion from it.
    assert c.say(doctor, "noted", named, words=SEALED) == "appended"
    assert c.say(doctor, "closed", named) == "appended"
    for done, words in (("noted", {"words": SEALED}), ("closed", {})):
        assert c.say(doctor, done, named, **words) == "conflict"
    assert verify_log(c.log).size == len(c.log.entries)
    replay = Replay()
    for one in c.log.entries:
        replay.take(one.raw)
    assert replay.wrong == []


def test_it_ends_at_its_instant() -> None:
    c = Consulting()
    doctor = c.start()
    named = c.opened(doctor, days=1)
    assert c.say(c.patient, "confirmed", named) == "appended"
    c.log.wait(days=1, milliseconds=-1)
    assert c.reads(doctor) == "appended"
    c.log.wait(milliseconds=1)
    assert c.reads(doctor) == NO


def test_the_policy_may_let_it_show_nothing() -> None:
    c = Consulting()
    doctor = c.start("off")
    assert c.say(c.patient, "confirmed", c.opened(doctor)) == "appended"
    assert c.reads(doctor) == NO


def test_nobody_elses() -> None:
    c = Consulting()
    doctor = c.start()
    named, other = c.opened(doctor), c.log.patient(c.admin)
    for done, words in (("noted", {"words": SEALED}), ("closed", {})):
        assert c.say(c.doctor, done, named, **words) == "unknown"
        assert c.say(doctor, done, c.record.event.id, **words) == "unknown"
    said = {"consultation": named, "purpose": "PATRQT"}
    assert c.log.answer(other, "consultation.confirmed", said, other) == "unknown"
    assert c.log.answer(other, "consultation.confirmed", said, c.patient) == "deny S0 invalid"


@pytest.mark.parametrize(
    ("days", "answer"),
    [(CONSULTATION_DAYS, "appended"), (CONSULTATION_DAYS + 0.001, "malformed"), (0, "malformed")],
)
def test_it_lasts_a_while_at_most(days: float, answer: str) -> None:
    c = Consulting()
    doctor = c.start()
    assert c.log.answer(doctor, "consultation.opened", c.body(days), c.patient) == answer


def test_a_few_at_a_time() -> None:
    c = Consulting()
    doctor = c.start()
    for _ in range(CONSULTATIONS_OPEN):
        last = c.opened(doctor)
    assert c.log.answer(doctor, "consultation.opened", c.body(), c.patient) == "conflict"
    assert c.say(doctor, "closed", last) == "appended"
    assert c.log.answer(doctor, "consultation.opened", c.body(), c.patient) == "appended"
