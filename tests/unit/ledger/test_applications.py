"""Applications: who may apply, where and how often; who decides; and what an approval with an end is after it."""

from typing import Any

import pytest

from ledger.codes import PENDING_APPLICATIONS
from ledger.directory import DoctorApplication, GroupMember, Hospital, HospitalApplication, Member
from ledger.editions import PEOPLE
from ledger.times import DAY_MS, format_time
from tests.support.memory_log import SEALED, MemoryLog, Person, reading
from tests.support.memory_people import MemoryPeople, Scenario, after, suspend, wait
from tests.unit.ledger.test_attempts import good

BEFORE = PEOPLE - 1
TOLD = {"name": "Westklinik", "time_zone": "Europe/Berlin"}


def applies(c: MemoryPeople, who: Person, hospital: str = "", **bent: Any) -> str:
    """Somebody applies to a hospital as a doctor."""
    body = {"account": who.account, "profession": "physician"} | bent
    return c.log.answer(who, "doctor.applied", body, hospital or c.hospital)


def applies_for(c: MemoryPeople, who: Person, hospital: str = "") -> str:
    """Somebody applies for a hospital."""
    body = {"contact": SEALED, "hospital": hospital or c.log.id("hs"), **TOLD, "name": SEALED}
    return c.log.answer(who, "hospital.applied", body)


def decides(c: MemoryPeople, kind: str, hospital: str, by: Person | None = None) -> str:
    """The operator, or another, decides on a hospital."""
    body = {"hospital": hospital}
    body |= {"reason": "not_verified"} if kind == "hospital.declined" else TOLD
    return c.log.answer(by or c.operator, kind, body)


def approves(
    c: MemoryPeople, who: Person, days: float = 0, by: Person | None = None, **members: Any
) -> str:
    """The hospital's admin, or another, approves a doctor; for so many days, if for any."""
    body = {"account": who.account, "profession": "nurse"} | members
    body |= {"end": format_time(c.log.now + int(days * DAY_MS))} if days else {}
    return c.log.answer(by or c.admin, "doctor.approved", body, c.hospital, v=2)


def waiting(c: MemoryPeople, who: Person) -> str:
    """The id of the last application to the hospital; of who never applied, one that is none."""
    row = c.log.batch.look.get(DoctorApplication, who.account, c.hospital)
    return row.application if row else c.log.id("ev")


def declines(c: MemoryPeople, who: Person, by: Person | None = None, application: str = "") -> str:
    body = {"account": who.account, "reason": "not_known"}
    body["application"] = application or waiting(c, who)
    return c.log.answer(by or c.admin, "doctor.declined", body, c.hospital)


def somebody(c: MemoryPeople) -> Person:
    """Who registered alone, by the service."""
    return c.log.account(c.service)


def one_of(c: MemoryPeople) -> tuple[Person, str]:
    """Somebody and the id of a hospital that they applied for."""
    who, hospital = somebody(c), c.log.id("hs")
    assert applies_for(c, who, hospital) == "appended"
    return who, hospital


def group(c: MemoryPeople, by: Person) -> str:
    formed = c.log.do(by, "group.formed", {"group": c.log.id("gp")})
    return str(formed.event.body["group"])


def twice(c: MemoryPeople, *between: Any) -> str:
    """An application, something, and another application of the same person."""
    who = somebody(c)
    assert applies(c, who) == "appended"
    for act in between:
        assert act(c, who) == "appended"
    return applies(c, who)


def ended(c: MemoryPeople, who: Person) -> str:
    return c.end("doctor.ended", who)


def suspended(c: MemoryPeople, who: Person) -> str:
    return c.end("doctor.suspended", who)


def on_hospital(*kinds: str, last_by: str = "operator") -> Scenario:
    """The answer to the last of these about one hospital that somebody applied for."""

    def scenario(c: MemoryPeople) -> str:
        _, hospital = one_of(c)
        for kind in kinds[:-1]:
            assert decides(c, kind, hospital) == "appended"
        return decides(c, kinds[-1], hospital, getattr(c, last_by))

    return scenario


RULES: dict[str, tuple[str, Scenario]] = {
    "for a hospital that is there": ("duplicate_id", lambda c: applies_for(c, somebody(c), c.hospital)),
    "for a hospital that another applied for": (
        "duplicate_id", lambda c: applies_for(c, somebody(c), one_of(c)[1])),
    "for a hospital that one applied for": ("duplicate_id", lambda c: applies_for(c, *one_of(c))),
    "for a hospital, as the operator": ("role", lambda c: applies_for(c, c.operator)),
    "a hospital approved": ("appended", on_hospital("hospital.approved")),
    "a hospital approved by an admin": ("role", on_hospital("hospital.approved", last_by="admin")),
    "a hospital approved twice": (
        "duplicate_id", on_hospital("hospital.approved", "hospital.approved")),
    "a hospital declined": ("appended", on_hospital("hospital.declined")),
    "a hospital declined by an admin": ("role", on_hospital("hospital.declined", last_by="admin")),
    "a hospital declined twice": ("unknown", on_hospital("hospital.declined", "hospital.declined")),
    "a hospital declined after it was approved": (
        "unknown", on_hospital("hospital.approved", "hospital.declined")),
    "a hospital approved after it was declined": (
        "conflict", on_hospital("hospital.declined", "hospital.approved")),
    "a hospital declined that nobody applied for": (
        "unknown", lambda c: decides(c, "hospital.declined", c.hospital)),
    "for a declined hospital again": ("duplicate_id", lambda c: applies_for(c, *declined_one(c))),
    "for another after a declined one": ("appended", lambda c: applies_for(c, declined_one(c)[0])),
    "an admin of a hospital that waits": (
        "unknown",
        lambda c: c.log.answer(
            c.operator, "admin.appointed", {"account": somebody(c).account}, one_of(c)[1]),
    ),
    "a grant to a hospital that waits": (
        "unknown", lambda c: c.log.answer(
            c.patient, "access.granted", c.log.grant_body(one_of(c)[1], scope="full"), v=2)),
    "a grant to a hospital that is suspended": (
        "appended", lambda c: after(suspend(c), c.log.answer(
            c.patient, "access.granted", c.log.grant_body(c.hospital, scope="full"), v=2))),
    "to a hospital that waits": ("unknown", lambda c: applies(c, somebody(c), one_of(c)[1])),
    "to a hospital that is suspended": ("unknown", lambda c: after(suspend(c), applies(c, somebody(c)))),
    "to a hospital that is none": ("unknown", lambda c: applies(c, somebody(c), c.log.id("hs"))),
    "to a hospital": ("appended", lambda c: applies(c, somebody(c))),
    "to a hospital, as a patient's person": ("appended", lambda c: applies(c, c.person)),
    "to a hospital, as a patient": ("role", lambda c: applies(c, c.patient)),
    "for somebody else": ("role", lambda c: applies(c, somebody(c), account=c.person.account)),
    "twice": ("conflict", lambda c: twice(c)),
    "twice, declined between": ("appended", lambda c: twice(c, declines)),
    "twice, approved between": ("conflict", lambda c: twice(c, approves)),
    "twice, approved and ended between": ("appended", lambda c: twice(c, approves, ended)),
    "twice, approved and suspended between": ("conflict", lambda c: twice(c, approves, suspended)),
    "twice, suspended and ended between": (
        "appended", lambda c: twice(c, approves, suspended, ended)),
    "as an auditor in term": (
        "role", lambda c: applies(c, c.log.auditor().acting("person"))),
    "declined by another hospital's admin": (
        "stream", lambda c: after(w := somebody(c), applies(c, w), declines(c, w, c.stranger))),
    "declined by oneself": (
        "role", lambda c: after(w := somebody(c), applies(c, w), declines(c, w, w))),
    "declined without an application": ("unknown", lambda c: declines(c, somebody(c))),
    "declined after it was approved": (
        "unknown", lambda c: after(w := somebody(c), applies(c, w), approves(c, w), declines(c, w))),
    "approved by another hospital's admin": (
        "stream", lambda c: after(w := somebody(c), applies(c, w), approves(c, w, by=c.stranger))),
    "approved without an application": ("appended", lambda c: approves(c, somebody(c))),
    "approved in the first version": ("appended", lambda c: c.end("doctor.approved", somebody(c))),
    "approved into a group": ("appended", lambda c: approves(c, somebody(c), group=group(c, c.admin))),
    "approved into another hospital's group": (
        "unknown", lambda c: approves(c, somebody(c), group=group(c, c.stranger))),
    "approved into a group that is none": (
        "unknown", lambda c: approves(c, somebody(c), group=c.log.id("gp"))),
    "approved until now": (
        "malformed", lambda c: approves(c, somebody(c), end=format_time(c.log.now))),
    "suspended after the end": (
        "unknown", lambda c: after(w := somebody(c), approves(c, w, 1), wait(c, DAY_MS), suspended(c, w))),
    "ended after the end": (
        "appended", lambda c: after(w := somebody(c), approves(c, w, 1), wait(c, DAY_MS), ended(c, w))),
    "into a group after the end": (
        "unknown", lambda c: after(w := somebody(c), approves(c, w, 1), wait(c, DAY_MS), joins(c, w))),
    "ended twice": ("unknown", lambda c: after(w := somebody(c), approves(c, w), ended(c, w), ended(c, w))),
}  # fmt: skip


def declined_one(c: MemoryPeople) -> tuple[Person, str]:
    """Somebody and the id of a hospital that they applied for, and that was declined."""
    who, hospital = one_of(c)
    assert decides(c, "hospital.declined", hospital) == "appended"
    return who, hospital


def joins(c: MemoryPeople, who: Person) -> str:
    body = {"account": who.account, "group": group(c, c.admin)}
    return c.log.answer(c.admin, "group.joined", body)


@pytest.mark.parametrize("name", RULES)
def test_who_may_apply_and_decide(name: str) -> None:
    c, (expected, scenario) = MemoryPeople(), RULES[name]
    assert scenario(c) == expected
    good(c.log)


@pytest.mark.parametrize("what", ["doctor", "hospital"])
def test_few_applications_wait(what: str) -> None:
    """One more is refused until one of them is decided; those of others don't count."""
    c = MemoryPeople()
    who, other, made = somebody(c), somebody(c), []
    for _ in range(PENDING_APPLICATIONS + 1):
        made.append(c.log.hospital() if what == "doctor" else c.log.id("hs"))
    ask = applies if what == "doctor" else applies_for
    answers = [ask(c, who, hospital) for hospital in made]
    assert answers == [*["appended"] * PENDING_APPLICATIONS, "conflict"]
    assert ask(c, other, made[-1]) == "appended"
    if what == "doctor":
        admin = c.log.admin(made[0])
        row = c.log.batch.look.get(DoctorApplication, who.account, made[0])
        assert row is not None
        body = {"account": who.account, "application": row.application, "reason": "other"}
        c.log.do(admin, "doctor.declined", body, made[0])
        assert ask(c, who, made[-1]) == "appended"
    else:
        assert decides(c, "hospital.approved", made[0]) == "appended"
        assert ask(c, who) == "appended"
    good(c.log)


def test_nobody_acts_for_a_hospital_that_waits() -> None:
    """Its applicant neither; approved, the operator appoints, and it is a hospital like any other."""
    c = MemoryPeople()
    who, hospital = one_of(c)
    look = c.log.batch.look
    assert look.get(Hospital, hospital) == Hospital(
        hospital, c.log.batch.entries[-1].link.seq, False, False
    )
    admin = who.acting("hospital_admin", hospital)
    body = {"account": who.account}
    assert c.log.answer(admin, "doctor.approved", body, hospital) == "role"
    assert decides(c, "hospital.approved", hospital) == "appended"
    row = look.get(HospitalApplication, hospital)
    assert row is not None and (row.state, row.decided) == (
        "approved", c.log.batch.entries[-1].link.seq,
    )  # fmt: skip
    assert c.log.answer(admin, "doctor.approved", body, hospital) == "role"
    c.log.do(c.operator, "admin.appointed", body, hospital)
    assert c.log.answer(admin, "doctor.approved", body, hospital) == "appended"
    assert c.log.answer(c.operator, "admin.appointed", body, hospital) == "role"
    good(c.log)


def test_the_end_of_an_approval_ends_it() -> None:
    """To the millisecond, in the gate and for whatever the role signs; approved again it is new, without groups."""
    c = MemoryPeople()
    who = c.log.account(c.service)
    assert applies(c, who) == "appended"
    doctor = who.acting("doctor", c.hospital)

    def ask() -> str:
        return c.log.answer(doctor, "record.opened", reading(c.record), c.patient)

    assert ask() == "deny S0 invalid"  # it waits
    assert approves(c, who, 1, group=group(c, c.admin)) == "appended"
    assert ask() == "appended"
    c.log.wait(DAY_MS - 1)
    assert ask() == "appended"
    c.log.wait(1)
    assert ask() == "deny S0 invalid"
    assert applies(c, who, profession="trainee") == "appended"
    assert ask() == "deny S0 invalid"
    assert approves(c, who) == "appended"
    assert ask() == "appended"
    joined = [m for m in c.log.batch.look.group(GroupMember, who.account) if m.active]
    assert joined == []
    member = c.log.batch.look.get(Member, who.account, "doctor", c.hospital)
    assert member is not None and (member.profession, member.end) == ("nurse", 0)
    good(c.log)


def test_whose_approval_ran_out_may_audit() -> None:
    c = MemoryPeople()
    who = c.log.account(c.operator)
    assert approves(c, who, 1) == "appended"
    term = {"end": format_time(c.log.now + 30 * DAY_MS), "start": format_time(c.log.now)}
    body = {"account": who.account, **term}
    assert c.log.answer(c.operator, "auditor.appointed", body) == "role"
    c.log.wait(days=1)
    assert c.log.answer(c.operator, "auditor.appointed", body) == "appended"
    auditor = who.acting("auditor")
    look = c.log.answer(auditor, "history.opened", {"purpose": "HOPERAT"}, c.patient)
    assert look == "appended"
    good(c.log)


def test_what_was_approved_says_how_the_application_stands() -> None:
    c = MemoryPeople()
    who = somebody(c)
    key = DoctorApplication, who.account, c.hospital

    def row() -> DoctorApplication | None:
        return c.log.batch.look.get(*key)

    assert applies(c, who, profession="laboratory") == "appended"
    applied = c.log.batch.entries[-1].link.seq
    event = c.log.batch.entries[-1].event.id
    waits = DoctorApplication(
        who.account, c.hospital, applied, event, "laboratory", "pending", 0, ""
    )
    assert row() == waits
    assert declines(c, who) == "appended"
    assert row() == waits._replace(state="declined", decided=applied + 1, reason="not_known")
    assert applies(c, who) == "appended"
    assert c.end("doctor.approved", who) == "appended"  # the first version answers it, too
    last = row()
    assert last is not None
    assert (last.state, last.reason, last.decided) == ("approved", "", applied + 3)
    good(c.log)


@pytest.mark.parametrize("decide", [declines, approves])
def test_a_decision_is_on_the_application_that_it_names(decide: Any) -> None:
    """One that came after the admin looked is another; and so is anybody else's."""
    c = MemoryPeople()
    who, other = somebody(c), somebody(c)
    assert applies(c, who) == applies(c, other) == "appended"
    first = waiting(c, who)
    assert declines(c, who) == "appended"
    assert applies(c, who, profession="laboratory") == "appended"
    assert waiting(c, who) != first
    assert decide(c, who, application=first) == "conflict"
    assert decide(c, who, application=waiting(c, other)) == "conflict"
    second = waiting(c, who)
    assert decide(c, who, application=second) == "appended"
    assert decide(c, who, application=second) == ("unknown" if decide is declines else "conflict")
    good(c.log)


def test_before_the_edition_nobody_applies() -> None:
    """And whoever is suspended can't be ended; from it on all of that holds, of the same log."""
    c = MemoryPeople(MemoryLog(edition=BEFORE))
    who = somebody(c)
    assert (
        applies(c, who) == applies_for(c, who) == declines(c, who) == approves(c, who) == "registry"
    )
    assert suspended(c, c.doctor) == "appended"
    assert ended(c, c.doctor) == "unknown"
    c.log.change_policy(PEOPLE)
    assert ended(c, c.doctor) == applies(c, who) == applies_for(c, who) == "appended"
    assert approves(c, who) == "appended"
    good(c.log)
