"""Rules and folds that are stricter from an edition on; what stood before is replayed under its own."""

from collections.abc import Callable

import pytest

from consent.decide import MINOR_EXCEPT, SELF_ACTIONS
from ledger.editions import STRICTER
from ledger.policies import (
    DEFAULT_POLICY,
    OWN_CHART,
    POLICY_WAIT_MS,
    edition_in_force,
    policy_at,
    widened,
)
from ledger.registry import EDITION
from ledger.times import format_time
from tests.support.memory_log import MemoryLog, Person, reading
from tests.support.memory_people import MemoryPeople
from tests.unit.ledger.test_attempts import good

BEFORE = STRICTER - 1


@pytest.fixture(params=[BEFORE, STRICTER, "upgraded"])
def people(request: pytest.FixtureRequest) -> MemoryPeople:
    """People under the edition before, under the stricter one, and under one that came to it later."""
    edition = BEFORE if request.param == "upgraded" else request.param
    people = MemoryPeople(MemoryLog(edition=edition))
    if request.param == "upgraded":
        people.log.change_policy(STRICTER)
    return people


def strict(c: MemoryPeople) -> bool:
    return edition_in_force(c.log.batch.look) >= STRICTER


def grouped(c: MemoryPeople, doctor: Person, admin: Person) -> str:
    group = c.log.id("gp")
    c.log.do(admin, "group.formed", {"group": group})
    c.log.do(admin, "group.joined", {"account": doctor.account, "group": group})
    return group


def opened(c: MemoryPeople, who: Person) -> str:
    return c.log.answer(who, "record.opened", reading(c.record), c.patient)


@pytest.mark.parametrize("leaving", ["doctor.ended", "doctor.suspended"])
def test_who_comes_back_is_in_no_group_any_more(people: MemoryPeople, leaving: str) -> None:
    c, doctor = people, people.log.doctor(people.stranger)
    group = grouped(c, doctor, c.stranger)
    c.log.do(c.patient, "access.granted", c.log.grant_body(group, scope="full"), v=2)
    assert opened(c, doctor) == "appended"
    for kind in (leaving, "doctor.approved"):
        c.log.do(c.stranger, kind, {"account": doctor.account})
    assert opened(c, doctor) == ("deny S12 no_consent" if strict(c) else "appended")
    if strict(c):
        c.log.do(c.stranger, "group.joined", {"account": doctor.account, "group": group})
        assert opened(c, doctor) == "appended"
    good(c.log)


def test_who_left_before_the_edition_and_comes_back_under_it_is_in_no_group() -> None:
    c = MemoryPeople(MemoryLog(edition=BEFORE))
    doctor = c.log.doctor(c.stranger)
    group = grouped(c, doctor, c.stranger)
    c.log.do(c.patient, "access.granted", c.log.grant_body(group, scope="full"), v=2)
    c.log.do(c.stranger, "doctor.ended", {"account": doctor.account})
    c.log.change_policy(STRICTER)
    c.log.do(c.stranger, "doctor.approved", {"account": doctor.account})
    assert opened(c, doctor) == "deny S12 no_consent"
    good(c.log)


def test_groups_of_another_hospital_stay(people: MemoryPeople) -> None:
    c, doctor = people, people.log.doctor(people.stranger)
    c.log.do(c.admin, "doctor.approved", {"account": doctor.account})
    here = grouped(c, doctor, c.admin)
    c.log.do(c.stranger, "doctor.ended", {"account": doctor.account})
    c.log.do(c.patient, "reader.excluded", {"purpose": "PATRQT", "reader": here})
    c.log.do(c.patient, "access.granted", c.log.grant_body(doctor.account))
    record = c.log.upload(c.patient, c.patient, purpose="PATRQT")
    back = doctor.acting("doctor", c.hospital)
    answer = c.log.answer(back, "record.opened", reading(record), c.patient)
    assert answer == "deny S7 excluded"


def test_a_chart_that_nobody_registered_is_not_corrected(people: MemoryPeople) -> None:
    c, ghost = people, people.log.id("pt")
    body = {"adult": True, "patient": ghost, "purpose": "TREAT"}
    answer = c.log.answer(c.system, "patient.corrected", body, ghost)
    assert answer == ("unknown" if strict(c) else "appended")


def appointed(c: MemoryPeople, who: Person, days: int = 30) -> str:
    times = {"start": format_time(c.log.now), "end": format_time(c.log.now + days * 86_400_000)}
    return c.log.answer(c.operator, "auditor.appointed", {"account": who.account} | times)


def test_nobody_is_auditor_and_staff_at_once(people: MemoryPeople) -> None:
    c = people
    refused = "role" if strict(c) else "appended"
    assert appointed(c, c.doctor) == appointed(c, c.system) == appointed(c, c.admin) == refused
    auditor = c.log.auditor()
    joins: list[tuple[Person, str]] = [
        (c.admin, "doctor.approved"), (c.admin, "system.added"), (c.admin, "admin.appointed"),
    ]  # fmt: skip
    for admin, kind in joins:
        assert c.log.answer(admin, kind, {"account": auditor.account}) == refused
    good(c.log)


def test_after_the_term_an_auditor_may_join_a_hospital() -> None:
    c = MemoryPeople()
    auditor = c.log.auditor(days=1)
    c.log.wait(days=1)
    assert c.end("doctor.approved", auditor) == "appended"
    assert appointed(c, auditor) == "role"


def test_who_was_both_before_the_edition_audits_no_more_under_it() -> None:
    c = MemoryPeople(MemoryLog(edition=BEFORE))
    auditor = c.log.auditor()
    c.end("doctor.approved", auditor)
    look: Callable[[], str] = lambda: c.log.answer(  # noqa: E731
        auditor, "history.opened", {"purpose": "HOPERAT"}, c.patient
    )
    assert look() == "appended"
    c.log.change_policy(STRICTER)
    assert look() == "deny S0 invalid"
    good(c.log)


def test_asking_more_of_patients_on_their_own_charts_waits(people: MemoryPeople) -> None:
    c = people
    for action in sorted(OWN_CHART):
        old = dict(DEFAULT_POLICY["assurance"]) | {"read_sensitive": 1, action: 1}
        waits = ["assurance"] if strict(c) else []
        edition = STRICTER if strict(c) else BEFORE
        new = {**DEFAULT_POLICY, "assurance": old | {action: 2}}
        assert widened({**DEFAULT_POLICY, "assurance": old}, new, edition) == waits
    levels = dict(DEFAULT_POLICY["assurance"]) | {"list": 2}
    entry = c.log.change_policy(STRICTER if strict(c) else BEFORE, assurance=levels)
    row = policy_at(c.log.batch.look, c.log.now)
    assert (row.seq == entry.link.seq) != strict(c)
    c.log.wait(POLICY_WAIT_MS)
    assert policy_at(c.log.batch.look, c.log.now).seq == entry.link.seq
    good(c.log)


def test_asking_more_of_others_counts_at_once() -> None:
    levels = dict(DEFAULT_POLICY["assurance"])
    more = levels | {"amend": 2, "declare_emergency": 3, "request_access": 3}
    assert widened(dict(DEFAULT_POLICY), {**DEFAULT_POLICY, "assurance": more}, EDITION) == []


def test_the_patients_own_actions_are_those_of_s5() -> None:
    assert SELF_ACTIONS | MINOR_EXCEPT | {"read_sensitive", "retract"} == OWN_CHART
