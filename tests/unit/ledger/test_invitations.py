"""Doctors by invitation in the log: who becomes one by which code, on which terms, and when the code doesn't count."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from crypto.claims import invitation_key
from crypto.encoding import b64encode
from ledger.directory import DoctorInvitation, GroupMember, Member
from ledger.editions import PEOPLE
from ledger.entry import Entry
from ledger.messages import invitation_message
from ledger.times import DAY_MS, format_time
from ledger.types.invitations import DOCTOR_INVITATION_DAYS, DOCTOR_INVITATIONS_OPEN
from tests.support.memory_log import MemoryLog, Person, verify_log

NO = "invitation"
"""How every invitation is answered that doesn't count."""


@dataclass
class Clinic:
    """Two hospitals with their admins, and somebody who may be invited."""

    log: MemoryLog = field(default_factory=MemoryLog)

    def __post_init__(self) -> None:
        """Everybody is registered here."""
        log = self.log
        self.admin, self.other = log.admin(log.hospital()), log.admin(log.hospital())
        self.hospital = self.admin.hospital
        self.person, self.stranger = log.account(), log.account()

    def secret(self, number: int) -> bytes:
        return hashlib.sha256(b"doctor %d" % number).digest()[:16]

    def terms(self, number: int = 1, **bent: Any) -> dict[str, Any]:
        """An invitation by the code of that number, for 30 days."""
        public = invitation_key(self.secret(number), self.hospital).public
        until = format_time(self.log.now + DOCTOR_INVITATION_DAYS * DAY_MS)
        return {"code": b64encode(public), "profession": "nurse", "until": until} | bent

    def invite(self, number: int = 1, by: Person | None = None, **bent: Any) -> Entry:
        return self.log.do(by or self.admin, "doctor.invited", self.terms(number, **bent))

    def join(self, invited: Entry, number: int = 1, who: Person | None = None, **bent: Any) -> str:
        """What taking it up by the code of that number is answered."""
        person = who or self.person
        message = invitation_message(self.log.origin, self.hospital, person.account)
        proof = b64encode(invitation_key(self.secret(number), self.hospital).sign(message))
        body = {"account": person.account, "invitation": invited.event.id, "proof": proof} | bent
        return self.log.answer(person.acting("person"), "doctor.joined", body, self.hospital)

    def member(self, who: Person | None = None) -> Member:
        found = self.log.batch.look.get(
            Member, (who or self.person).account, "doctor", self.hospital
        )
        assert found is not None
        return found

    def again(self, admin: Person) -> Person:
        """The admin as the one who appointed somebody else, who then ended them."""
        second = self.log.admin(admin.hospital, by=admin)
        self.log.do(second, "admin.ended", {"account": admin.account})
        return second


@pytest.fixture
def c() -> Clinic:
    return Clinic()


def test_whoever_has_the_code_is_a_doctor_on_its_terms(c: Clinic) -> None:
    """Profession, end and department as invited; without anybody's further approval; and once."""
    group, end = c.log.id("gp"), c.log.now + 90 * DAY_MS
    c.log.do(c.admin, "group.formed", {"group": group})
    invited = c.invite(group=group, end=format_time(end))
    assert c.join(invited) == "appended"
    found, joined = c.member(), c.log.entries[-1].link.seq
    assert (found.profession, found.end, found.seq) == ("nurse", end, joined)
    assert found.holds(c.log.now) and not found.holds(end)
    in_group = c.log.batch.look.get(GroupMember, c.person.account, group)
    assert in_group is not None and in_group.active
    row = c.log.batch.look.get(DoctorInvitation, c.hospital, invited.event.id)
    assert row is not None and (row.closed, row.account) == (joined, c.person.account)
    assert c.join(invited, who=c.stranger) == NO
    pat = c.log.patient(c.admin)
    c.log.upload(c.person.acting("doctor", c.hospital), pat)
    assert verify_log(c.log).size == len(c.log.entries)


def test_it_answers_an_application(c: Clinic) -> None:
    body = {"account": c.person.account, "profession": "physician"}
    c.log.do(c.person.acting("person"), "doctor.applied", body, c.hospital)
    assert c.join(c.invite()) == "appended"
    again = c.log.answer(c.person.acting("person"), "doctor.applied", body, c.hospital)
    assert again != "appended"  # a doctor there has nothing to apply for


REFUSED: dict[str, Callable[[Clinic, Entry], str]] = {
    "another code": lambda c, invited: c.join(invited, 2),
    "another hospital's": lambda c, invited: c.join(c.log.do(c.other, "doctor.invited", c.terms())),
    "no invitation": lambda c, invited: c.join(invited, invitation=c.log.id("ev")),
    "somebody else's proof": lambda c, invited: c.join(
        invited,
        proof=b64encode(
            invitation_key(c.secret(1), c.hospital).sign(
                invitation_message(c.log.origin, c.hospital, c.stranger.account)
            )
        ),
    ),
    "for another account": lambda c, invited: c.join(invited, account=c.stranger.account),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_prove_it(c: Clinic, case: str) -> None:
    """All get the same answer; and the invitation still counts."""
    invited = c.invite()
    assert REFUSED[case](c, invited) == NO
    assert c.join(invited) == "appended"


def test_it_counts_for_its_time(c: Clinic) -> None:
    invited = c.invite()
    c.log.wait(DOCTOR_INVITATION_DAYS * DAY_MS - (c.log.now - invited.time) - 1_000)
    late = c.invite(2, until=format_time(c.log.now + 500))
    c.log.wait(500)
    assert c.join(late, 2) == NO
    assert c.join(invited) == "appended"


def test_a_withdrawn_one_counts_no_more(c: Clinic) -> None:
    """By any admin of the hospital, and by no other; once."""
    invited = c.invite()
    named = {"invitation": invited.event.id}
    second = c.log.admin(c.hospital, by=c.admin)
    assert c.log.answer(c.other, "invitation.withdrawn", named, c.hospital) == "stream"
    assert c.log.answer(c.other, "invitation.withdrawn", named) == "conflict"
    assert c.log.answer(second, "invitation.withdrawn", named) == "appended"
    assert c.join(invited) == NO
    assert c.log.answer(c.admin, "invitation.withdrawn", named) == "conflict"
    taken = c.invite(2)
    assert c.join(taken, 2) == "appended"
    named = {"invitation": taken.event.id}
    assert c.log.answer(c.admin, "invitation.withdrawn", named) == "conflict"


def test_a_suspended_hospital_invites_nobody(c: Clinic) -> None:
    """Nor does an invitation of before count while it is; it does when the hospital acts again."""
    invited = c.invite()
    c.log.do(c.log.operator, "hospital.suspended", {"hospital": c.hospital})
    assert c.join(invited) == NO
    assert c.log.answer(c.admin, "doctor.invited", c.terms(2)) != "appended"


def test_a_former_admins_invitation_counts_no_more(c: Clinic) -> None:
    invited = c.invite()
    second = c.again(c.admin)
    assert c.join(invited) == NO
    assert c.join(c.invite(2, by=second), 2) == "appended"


def test_it_brings_back_nobody_who_is_suspended(c: Clinic) -> None:
    """That is for an approval; whoever was ended may be invited again, into no group that they were in."""
    assert c.join(c.invite()) == "appended"
    named = {"account": c.person.account}
    invited = c.invite(2)
    assert (
        c.join(invited, 2) == "role"
    )  # who is a doctor there already leaves the code to somebody else
    c.log.do(c.admin, "doctor.suspended", named)
    assert c.join(invited, 2) == "role"
    assert not c.member().holds(c.log.now)
    c.log.do(c.admin, "doctor.ended", named)
    assert c.join(invited, 2) == "appended"
    assert c.member().holds(c.log.now)


def test_an_auditor_joins_no_hospital(c: Clinic) -> None:
    auditor = c.log.auditor()
    assert c.join(c.invite(), who=auditor.acting("person")) == "role"


TERMS: dict[str, tuple[Callable[[Clinic], dict[str, Any]], str]] = {
    "too long": (
        lambda c: {"until": format_time(c.log.now + DOCTOR_INVITATION_DAYS * DAY_MS + 60_000)},
        "malformed",
    ),
    "over": (lambda c: {"until": format_time(c.log.now - 1)}, "malformed"),
    "longer than the approval": (
        lambda c: {"end": format_time(c.log.now + DAY_MS)},
        "malformed",
    ),
    "an end that is over": (lambda c: {"end": format_time(c.log.now - 1)}, "malformed"),
    "no group": (lambda c: {"group": c.log.id("gp")}, "unknown"),
}


@pytest.mark.parametrize("case", TERMS)
def test_terms_that_no_invitation_has(c: Clinic, case: str) -> None:
    bent, code = TERMS[case]
    assert c.log.answer(c.admin, "doctor.invited", c.terms(**bent(c))) == code


def test_who_may_invite(c: Clinic) -> None:
    """The hospital's own admins."""
    doctor, system = c.log.doctor(c.admin), c.log.system(c.admin)
    for who in (doctor, system, c.log.operator, c.person.acting("person")):
        assert c.log.answer(who, "doctor.invited", c.terms(), c.hospital) == "role"
    assert c.log.answer(c.other, "doctor.invited", c.terms(), c.hospital) == "stream"


def test_so_many_wait_at_a_time(c: Clinic) -> None:
    entries = [c.invite(number) for number in range(DOCTOR_INVITATIONS_OPEN)]
    assert c.log.answer(c.admin, "doctor.invited", c.terms(-1)) == "conflict"
    c.log.do(c.admin, "invitation.withdrawn", {"invitation": entries[0].event.id})
    assert c.log.answer(c.admin, "doctor.invited", c.terms(-1)) == "appended"
    c.log.wait(DOCTOR_INVITATION_DAYS * DAY_MS)
    assert (
        c.log.answer(c.admin, "doctor.invited", c.terms(-2)) == "appended"
    )  # what ran out doesn't wait


def test_before_its_edition_there_are_none() -> None:
    log = MemoryLog(edition=PEOPLE)
    c = Clinic(log)
    assert c.log.answer(c.admin, "doctor.invited", c.terms()) != "appended"
