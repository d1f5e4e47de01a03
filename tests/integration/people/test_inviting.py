"""Doctors by invitation, over HTTP and beside the data: a code that is handed out or mailed, taken up, withdrawn, guessed."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from client import applying, authoring, groups, inviting, operations, readings, staff
from client.http import HttpClient
from client.inviting import InvitedDoctor
from client.local import LocalClient
from client.port import LedgerClient
from crypto.claims import claim_code, read_claim_code
from crypto.errors import FormError
from identity.actors import Actor, new_key
from identity.errors import NotSignedIn
from journeys.errors import Forbidden, NotThere, OverQuota, RecordsError, TooManyTries
from ledger.errors import Refused
from ledger.times import DAY_MS
from people.inviting import (
    INVITED_AN_ADDRESS,
    JOIN_FIRST_WAIT_MS,
    JOIN_FREE_TRIES,
    InvitationStanding,
)
from records.uploads import Upload
from storage.contacts import Contact
from storage.outbox import DOCTOR_INVITED
from tests.support.inbox import everywhere, give, mails_to, rows, send, told
from tests.support.ledger_fixture import CONTENT, LedgerFixture
from tests.support.server import in_process, kind_of

ADDRESS = "wilhelmine.zwetschge@klinik.example"
WRONG = claim_code(bytes(16))
ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@dataclass
class Clinic:
    """A ledger, a client of it, the admin of its north hospital and people with accounts of their own."""

    fixture: LedgerFixture
    client: LedgerClient

    @property
    def admin(self) -> Actor:
        return self.fixture.north.admin

    @property
    def hospital(self) -> str:
        return self.admin.hospital

    def somebody(self, name: str = "Ida Ost") -> Actor:
        return applying.register(self.client, name)[0]

    def join(self, who: Actor, made: InvitedDoctor, code: str = "") -> int:
        return inviting.take_up(self.client, who, made.hospital, made.invitation, code or made.code)

    def listed(self, state: str = "") -> list[InvitationStanding]:
        return list(inviting.all_invitations(self.client, self.admin, state))

    def states(self) -> list[str]:
        return [one.state for one in self.listed()]


@pytest.fixture(params=["beside", "http"])
def clinic(request: pytest.FixtureRequest, fixture: LedgerFixture) -> Iterator[Clinic]:
    if request.param == "beside":
        yield Clinic(fixture, LocalClient(fixture.ledger))
        return
    with in_process(fixture.ledger) as web, closing(HttpClient(web.url)) as client:
        yield Clinic(fixture, client)


def test_from_an_invitation_to_a_reading(clinic: Clinic) -> None:
    """A letter's code makes somebody who registered alone a doctor, by name, in the department, without a further approval."""
    client, fixture = clinic.client, clinic.fixture
    group, _ = groups.form(client, clinic.admin, "Radiology")
    end = client.now() + 90 * DAY_MS
    made = inviting.invite(client, clinic.admin, "nurse", group, end)
    letter = inviting.letter_of(client, made)
    assert clinic.states() == ["open"]
    person = clinic.somebody()
    hospital, invitation, code = inviting.scanned(client, letter.link)
    seq = inviting.take_up(client, person, hospital, invitation, code.lower())
    doctor = person.in_role("doctor", hospital)
    pat = fixture.person()
    up = authoring.upload(
        client, doctor, Upload(pat.patient, "laboratory", "text/plain", [CONTENT])
    )
    assert b"".join(readings.read(client, doctor, up.record, "TREAT")[1].content) == CONTENT
    (found,) = clinic.listed()
    assert (found.state, found.account, found.name) == ("joined", person.account, "Ida Ost")
    assert (found.profession, found.group, found.inviter) == ("nurse", group, clinic.admin.account)
    stands = client.doctor(clinic.admin, hospital, person.account)
    assert (stands.state, stands.profession, stands.groups) == ("approved", "nurse", (group,))
    assert (stands.name, stands.seq, stands.end[:10]) == ("Ida Ost", seq, found.end[:10])
    assert client.hospital(pat.actor, hospital).doctors[person.account] == "Ida Ost"
    with pytest.raises(Refused, match="nobody becomes"):
        clinic.join(clinic.somebody(), made)


def test_an_account_that_one_has_takes_it_up(clinic: Clinic) -> None:
    """A doctor of another hospital, who stays one there."""
    south, client = clinic.fixture.south, clinic.client
    doctor = clinic.fixture.doctor(south)
    clinic.join(doctor, inviting.invite(client, clinic.admin))
    held = client.holder(doctor, doctor.account).acts_as("doctor")
    assert {one.hospital for one in held} == {south.hospital, clinic.hospital}


def test_a_mailed_code(clinic: Clinic) -> None:
    """Goes to the address alone, in its language, with nothing of it in clear in the ledger; and makes a doctor."""
    client, fixture = clinic.client, clinic.fixture
    give(fixture, clinic.admin.account, "admin@klinik.example")
    made = inviting.invite(client, clinic.admin, mail=Contact(ADDRESS, "de"))
    assert made.code == ""
    (row,) = rows(fixture, DOCTOR_INVITED)
    assert row.account == clinic.hospital
    assert everywhere(fixture, ADDRESS) == []
    assert send(fixture).sent >= 1
    (mail,) = mails_to(fixture, ADDRESS)
    assert "lädt Sie ein" in mail and made.invitation in mail
    assert "Ida" not in mail
    found = re.search(r"(?:[0-9A-Z]{4}-){6}[0-9A-Z]{2}[0-9A-Z*~$=]", mail)
    assert found is not None
    assert everywhere(fixture, found[0], read_claim_code(found[0]).hex()) == []
    person = clinic.somebody()
    clinic.join(person, made, found[0])
    assert clinic.states() == ["joined"]
    assert ("invitation_taken_up", clinic.admin.account) in told(fixture)
    assert ("doctor_joined", person.account) in told(fixture)
    send(fixture)
    assert any("took up" in one for one in mails_to(fixture, "admin@klinik.example"))


def test_a_mail_that_is_asked_for_again_is_put_in_once(clinic: Clinic) -> None:
    """The answer was lost: the same signed event gives the same entry and no second mail."""
    client, admin = clinic.client, clinic.admin
    sent: list[tuple[object, ...]] = []
    first = client.invite

    def twice(*args: object) -> int:
        sent.append(args)
        return first(*args)  # type: ignore[arg-type]

    client.invite = twice  # type: ignore[method-assign,assignment]
    made = inviting.invite(client, admin, mail=Contact(ADDRESS, "en"))
    assert first(*sent[0]) == made.seq  # type: ignore[arg-type]
    assert len(rows(clinic.fixture, DOCTOR_INVITED)) == 1


def test_only_the_services_code_is_mailed(clinic: Clinic) -> None:
    """An event with another code isn't taken with an address beside it, and nothing is mailed."""
    client, admin = clinic.client, clinic.admin
    handed_out = inviting.invite(client, admin)
    body = dict(clinic.fixture.ledger.entry(handed_out.seq).event.body)
    again = admin.event("doctor.invited", f"hospital/{clinic.hospital}", body, client.now())
    with pytest.raises(Refused, match="another code"):
        client.invite(admin, again, Contact(ADDRESS, "en"))
    assert rows(clinic.fixture, DOCTOR_INVITED) == []


@pytest.mark.parametrize(
    ("address", "language"),
    [("nobody", "en"), ("a@b.example\r\nBcc: c@d.example", "en"), (ADDRESS, "fr")],
)
def test_where_no_mail_goes(clinic: Clinic, address: str, language: str) -> None:
    size = clinic.fixture.size()
    with pytest.raises((FormError, RecordsError, Refused)):
        inviting.invite(clinic.client, clinic.admin, mail=Contact(address, language))
    assert (clinic.fixture.size(), rows(clinic.fixture, DOCTOR_INVITED)) == (size, [])


@ONE_ENGINE
def test_nobody_is_flooded(clinic: Clinic) -> None:
    """An address gets a few invitations a day; what is over is neither appended nor mailed."""
    for _ in range(INVITED_AN_ADDRESS):
        inviting.invite(clinic.client, clinic.admin, mail=Contact(ADDRESS, "en"))
    size = clinic.fixture.size()
    with pytest.raises((OverQuota, Refused), match="this address"):
        inviting.invite(clinic.client, clinic.admin, mail=Contact(ADDRESS.upper(), "en"))
    assert clinic.fixture.size() == size
    assert len(rows(clinic.fixture, DOCTOR_INVITED)) == INVITED_AN_ADDRESS


def test_a_withdrawn_invitation(clinic: Clinic) -> None:
    made = inviting.invite(clinic.client, clinic.admin)
    inviting.withdraw(clinic.client, clinic.admin, made.invitation)
    assert clinic.states() == ["withdrawn"]
    with pytest.raises(Refused, match="nobody becomes"):
        clinic.join(clinic.somebody(), made)
    with pytest.raises(Refused, match="is open"):
        inviting.withdraw(clinic.client, clinic.admin, made.invitation)


def test_what_does_not_count_when_it_is_taken_up(clinic: Clinic) -> None:
    """A former admin's, which is listed as void; and a suspended hospital's."""
    client, fixture = clinic.client, clinic.fixture
    made = inviting.invite(client, clinic.admin)
    person, second = clinic.somebody(), clinic.somebody("Nora")
    stream = f"hospital/{clinic.hospital}"
    for kind, by, whom in (
        ("admin.appointed", clinic.admin, second),
        ("admin.ended", second.in_role("hospital_admin", clinic.hospital), clinic.admin),
    ):
        event = by.event(kind, stream, {"account": whom.account}, client.now())
        client.append(by, [event])
    admin = second.in_role("hospital_admin", clinic.hospital)
    (void,) = inviting.all_invitations(client, admin, "void")
    assert void.invitation == made.invitation
    with pytest.raises(Refused, match="nobody becomes"):
        clinic.join(person, made)
    fresh = inviting.invite(client, admin)
    staff.suspend_hospital(client, fixture.operator, clinic.hospital)
    with pytest.raises(Refused, match="nobody becomes"):
        clinic.join(person, fresh)


def test_who_sees_the_invitations(clinic: Clinic) -> None:
    """The hospital's admins; not its doctors, another hospital's admin, a patient, the operator."""
    made, fixture = inviting.invite(clinic.client, clinic.admin), clinic.fixture
    for who in (fixture.doctor(), fixture.south.admin, fixture.person().actor, fixture.operator):
        with pytest.raises((Forbidden, NotSignedIn, Refused)):
            clinic.client.ask(who, operations.INVITATIONS_LISTED, hospital=clinic.hospital)
        with pytest.raises((Forbidden, NotSignedIn, Refused)):
            clinic.client.ask(
                who, operations.MAILED_CODE, hospital=clinic.hospital, invitation=made.invitation
            )  # fmt: skip


@ONE_ENGINE
def test_guesses_have_to_wait(fixture: LedgerFixture) -> None:
    """A few by an account are free, then each waits longer; the right code after the wait counts, and nobody else waits."""
    with in_process(fixture.ledger) as web, closing(HttpClient(web.url)) as client:
        c = Clinic(fixture, client)
        made = inviting.invite(client, c.admin)
        for _ in range(7):
            person = c.somebody()
            for _ in range(JOIN_FREE_TRIES):
                with pytest.raises(Refused, match="nobody becomes"):
                    c.join(person, made, WRONG)
            with pytest.raises((TooManyTries, Refused), match="try again in 1 minute"):
                c.join(person, made)
        c.join(c.somebody(), made)  # from the same address
        assert JOIN_FIRST_WAIT_MS == 60_000


def test_it_has_a_route_of_its_own(fixture: LedgerFixture) -> None:
    """The plain ones would count no tries."""
    with in_process(fixture.ledger) as web, closing(HttpClient(web.url)) as client:
        c = Clinic(fixture, client)
        made, person = inviting.invite(client, c.admin), c.somebody()
        body = {"account": person.account, "invitation": made.invitation, "proof": "A" * 86 + "=="}
        event = person.event("doctor.joined", f"hospital/{c.hospital}", body, client.now())
        for path, sent in (
            ("/v1/events", web.signed(event, person)),
            ("/v1/bundles", web.bundled(person, [event])),
        ):
            assert kind_of(web.post(path, sent)) == "invitation"
        assert kind_of(web.post("/v1/invitations", web.signed(event, person))) == "invitation"
        other = web.signed(event, Actor(client.origin, person.account, "person", "", new_key()))
        assert kind_of(web.post("/v1/invitations", other)) == "key"


def test_an_admin_changes_what_a_doctor_is(clinic: Clinic) -> None:
    """Profession, department and end, each by itself; what isn't named stays. Nobody comes back by a change."""
    client, admin = clinic.client, clinic.admin
    doctor = clinic.fixture.doctor(clinic.fixture.north)
    first, second = (groups.form(client, admin, name)[0] for name in ("Radiology", "Surgery"))
    end = client.now() + 30 * DAY_MS
    done = applying.change_doctor(client, admin, doctor.account, end=end, group=first)
    assert (done.profession, done.groups) == ("physician", (first,)) and done.end
    done = applying.change_doctor(client, admin, doctor.account, "trainee")
    assert (done.profession, done.groups) == ("trainee", (first,)) and done.end
    done = applying.change_doctor(client, admin, doctor.account, group=second, end=0)
    assert (done.profession, done.groups, done.end) == ("trainee", (second,), "")
    with pytest.raises(Refused):
        applying.change_doctor(client, admin, doctor.account, end=1)
    staff.suspend_doctor(client, admin, doctor.account)
    with pytest.raises(NotThere, match="suspended"):
        applying.change_doctor(client, admin, doctor.account, "nurse")
    with pytest.raises((NotThere, Refused)):
        applying.change_doctor(client, clinic.fixture.south.admin, doctor.account, "nurse")
    applying.end_doctor(client, admin, doctor.account)
    with pytest.raises(NotThere, match="ended"):
        applying.change_doctor(client, admin, doctor.account, "nurse")
