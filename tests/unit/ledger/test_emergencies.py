"""Emergencies: what the patient's ceiling lets be seen, for how long, by whom; and who reviews them."""

from typing import Any

import pytest

from ledger.codes import REVIEW_DAYS
from ledger.entry import Entry
from ledger.facts import Emergency, EmergencySetting
from ledger.times import DAY_MS, HOUR_MS
from tests.support.memory_log import SEALED, Body, MemoryLog, Person, reading, verify_log
from tests.support.memory_people import MemoryPeople

DECLARED: Body = {"purpose": "BTG", "reason": "life_at_risk", "text": SEALED}
REVIEWED: Body = {"finding": "justified", "purpose": "HOPERAT", "text": SEALED}


class Ward(MemoryPeople):
    """And a doctor of the second hospital, who knows nothing of the patient."""

    def __post_init__(self) -> None:
        """The doctor is approved by the stranger, who is that hospital's admin."""
        super().__post_init__()
        self.stand_in = self.log.doctor(self.stranger)

    def configure(self, ceiling: str, by: Person | None = None) -> str:
        body = {"ceiling": ceiling, "purpose": "PATRQT"}
        return self.log.answer(by or self.patient, "emergency.configured", body, self.patient)

    def declare(self, by: Person | None = None) -> str:
        return self.log.answer(by or self.stand_in, "emergency.declared", DECLARED, self.patient)

    def declared(self) -> Entry:
        return self.log.do(self.stand_in, "emergency.declared", DECLARED, self.patient)

    def opens(self, record: Entry | None = None, by: Person | None = None) -> str:
        body = reading(record or self.record, "BTG")
        return self.log.answer(by or self.stand_in, "record.opened", body, self.patient)

    def review(self, emergency: str, by: Person | None = None, **members: Any) -> str:
        body = REVIEWED | {"emergency": emergency} | members
        return self.log.answer(by or self.stranger, "emergency.reviewed", body, self.patient)

    def row(self, emergency: Entry) -> Emergency:
        row = self.log.batch.look.get(Emergency, emergency.event.id)
        assert row is not None
        return row


@pytest.fixture
def c() -> Ward:
    return Ward()


def audited(log: MemoryLog) -> None:
    assert verify_log(log).size == len(log.entries)


def test_a_declaration_opens_what_lies_below_the_ceiling(c: Ward) -> None:
    restricted = c.log.upload(c.doctor, c.patient, confidentiality="restricted")
    sensitive = c.log.upload(c.doctor, c.patient, labels=[c.log.id("l")], sensitive=True)
    assert c.opens() == "deny S8 emergency_needed"
    c.declared()
    assert c.opens() == "appended"
    for ceiling, answers in (
        ("restricted", ("appended", "appended", "appended")),
        ("normal", ("appended", "deny S8 emergency_ceiling", "deny S8 emergency_ceiling")),
        ("off", ("deny S8 emergency_off",) * 3),
    ):
        assert c.configure(ceiling) == "appended"
        setting = c.log.batch.look.get(EmergencySetting, c.patient.patient)
        assert setting is not None and setting.ceiling == ceiling
        assert tuple(c.opens(one) for one in (c.record, restricted, sensitive)) == answers, ceiling
    assert c.declare() == "deny S8 emergency_off"
    audited(c.log)


def test_nobody_but_the_patient_says_what_it_opens(c: Ward) -> None:
    for who in (c.doctor, c.stand_in, c.admin, c.system):
        assert c.configure("off", who) == "deny S1 role"
    assert c.declare(c.admin) == c.declare(c.system) == c.declare(c.patient) == "deny S1 role"


def test_it_counts_for_its_doctor_for_its_hours(c: Ward) -> None:
    emergency = c.declared()
    row, start = c.row(emergency), emergency.time
    assert (row.start, row.end, row.due) == (
        start,
        start + 4 * HOUR_MS,
        start + REVIEW_DAYS * DAY_MS,
    )
    assert c.opens(by=c.log.doctor(c.stranger)) == "deny S8 emergency_needed"
    c.log.wait(milliseconds=row.end - c.log.now - 1)
    assert c.opens() == "appended"
    c.log.wait(milliseconds=1)
    assert c.opens() == "deny S8 emergency_needed"
    audited(c.log)


def test_readings_that_rest_on_it_are_counted_and_no_others(c: Ward) -> None:
    emergency = c.declared()
    look = {"purpose": "BTG"}
    assert c.log.answer(c.stand_in, "chart.opened", look, c.patient) == "appended"
    assert c.row(emergency).readings == 1
    assert c.opens() == "appended"
    assert c.row(emergency).readings == 2
    c.log.grant(c.patient, c.stand_in.account)
    opened = reading(c.record)
    assert c.log.answer(c.stand_in, "record.opened", opened, c.patient) == "appended"
    treat = {"purpose": "TREAT"}
    assert c.log.answer(c.stand_in, "chart.opened", treat, c.patient) == "appended"
    assert c.row(emergency).readings == 2
    audited(c.log)


def test_another_admin_of_the_hospital_reviews(c: Ward) -> None:
    emergency = c.declared()
    named = emergency.event.id
    assert c.review(named, c.admin) == "deny S12 no_consent"
    assert c.review(named, c.stand_in) == "deny S1 role"
    assert c.review(c.log.id("ev")) == "deny S12 no_consent"
    assert c.end("admin.appointed", c.stand_in, c.stranger) == "appended"
    own = c.stand_in.acting("hospital_admin", c.elsewhere)
    assert c.review(named, own) == "role"
    assert c.row(emergency).reviewed == 0
    assert c.review(named) == "appended"
    row = c.row(emergency)
    assert (row.reviewed, row.finding) == (len(c.log.entries) - 1, "justified")
    assert c.review(named, finding="not_justified") == "appended"
    assert c.row(emergency).finding == "not_justified"
    audited(c.log)
