"""Profiles of doctors: who writes them, who sees them, what gets in; over HTTP and beside the data. None of it is in the log."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from client import applying, operations, staff
from client.http import HttpClient
from client.local import LocalClient
from client.port import LedgerClient
from identity.actors import Actor, new_key
from identity.errors import KeyNeeded, NotSignedIn
from journeys.errors import Forbidden, NotThere, OverQuota, RecordsError
from ledger.errors import Refused
from people.profiles import (
    HOURS_BYTES,
    LANGUAGES_SPOKEN,
    PLACES,
    PROFILES_AN_HOUR,
    SPECIALTY_BYTES,
    Place,
    Profile,
    ProfileShown,
    set_profile,
)
from tests.integration.people.test_public_names import GOOD, NAMES
from tests.support.inbox import everywhere
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import in_process, kind_of

SAID = Profile(
    "Kinderkardiologie Zwetschgental",
    ("de", "tr"),
    (Place("Station 3, Powidlstraße 7", "Mon, Wed 9–12"), Place("Praxis am See")),
)
NO = (Forbidden, NotSignedIn, Refused)


@dataclass
class Ward:
    """A ledger, a client of it, and a doctor of its north hospital."""

    fixture: LedgerFixture
    client: LedgerClient
    doctor: Actor

    def shown(self, who: Actor, account: str = "") -> ProfileShown:
        account = account or self.doctor.account
        return self.client.ask(who, operations.PROFILE_SHOWN, account=account)

    def own(self, who: Actor) -> ProfileShown:
        return self.client.ask(who, operations.OWN_PROFILE)

    def write(self, who: Actor, said: Profile = SAID, account: str = "") -> ProfileShown:
        return self.client.set_profile(who, account or self.doctor.account, said)


@pytest.fixture(params=["beside", "http"])
def ward(request: pytest.FixtureRequest, fixture: LedgerFixture) -> Iterator[Ward]:
    doctor = fixture.doctor(fixture.north)
    if request.param == "beside":
        yield Ward(fixture, LocalClient(fixture.ledger), doctor)
        return
    with in_process(fixture.ledger) as web, closing(HttpClient(web.url)) as client:
        yield Ward(fixture, client, doctor)


def test_a_doctor_is_shown_with_it(ward: Ward) -> None:
    """To whoever is signed in, as it was written; nothing of it in the log, or in clear in the ledger."""
    size = ward.fixture.size()
    empty = ward.own(ward.doctor)
    assert (empty.specialty, empty.languages, empty.places, empty.changed) == ("", (), (), "")
    ward.write(ward.doctor)
    for who in (ward.doctor, ward.fixture.person().actor, ward.fixture.south.admin):
        found = ward.shown(who)
        assert (found.specialty, found.languages, found.places) == (
            SAID.specialty, SAID.languages, SAID.places,
        )  # fmt: skip
        assert (found.name, found.author) == ("Dr. Ö", ward.doctor.account) and found.changed
    assert everywhere(ward.fixture, SAID.specialty, "Powidlstraße", "Praxis am See") == []
    later = Profile("Cardiology")
    ward.write(ward.doctor, later)
    assert ward.shown(ward.doctor).places == ()
    ward.write(ward.doctor, Profile())
    assert ward.shown(ward.doctor).changed == ""
    entries = [ward.fixture.ledger.entry(seq) for seq in range(size, ward.fixture.size())]
    assert not [one for one in entries if one.event.subject == ward.doctor.account]


def test_an_admin_of_theirs_writes_it(ward: Ward) -> None:
    """And it shows who did; nobody else does: another hospital's admin, a colleague, a patient, the operator."""
    fixture = ward.fixture
    ward.write(fixture.north.admin)
    assert ward.shown(ward.doctor).author == fixture.north.admin.account
    others = (
        fixture.south.admin, fixture.doctor(fixture.north), fixture.person().actor, fixture.operator, fixture.north.system,
    )  # fmt: skip
    for who in others:
        with pytest.raises(NO):
            ward.write(who, Profile("Nothing"))
    assert ward.shown(ward.doctor).specialty == SAID.specialty


def test_it_is_shown_while_they_are_active(ward: Ward) -> None:
    """Suspended, or at a suspended hospital, nobody finds it but they themselves; and no admin writes it."""
    fixture, client = ward.fixture, ward.client
    ward.write(ward.doctor)
    person, patient = ward.doctor.in_role("person"), fixture.person().actor
    staff.suspend_doctor(client, fixture.north.admin, ward.doctor.account)
    with pytest.raises(NotThere):
        ward.shown(patient)
    with pytest.raises(NO):
        ward.write(fixture.north.admin, Profile("Nothing"))
    with pytest.raises(NotThere):
        ward.write(person, Profile("Nothing"))
    assert ward.own(person).specialty == SAID.specialty
    ward.write(person, Profile())  # taking it away is theirs in any case
    assert ward.own(person).changed == ""
    applying.approve_doctor(client, fixture.north.admin, ward.doctor.account)
    ward.write(ward.doctor)
    staff.suspend_hospital(client, fixture.operator, fixture.north.hospital)
    with pytest.raises(NotThere):
        ward.shown(patient)


def test_who_is_no_doctor_has_none(ward: Ward) -> None:
    patient = ward.fixture.person().actor
    with pytest.raises(NotThere):
        ward.write(patient, account=patient.account)
    for account in (patient.account, "ac_01jd3q8m5c0000000000000001"):
        with pytest.raises(NotThere):
            ward.shown(ward.doctor, account)


BAD = {
    **{f"specialty: {kind}": Profile(name) for kind, name in NAMES.items()},
    **{f"place: {kind}": Profile(places=(Place(name),)) for kind, name in NAMES.items()},
    **{f"hours: {kind}": Profile(places=(Place("Here", name),)) for kind, name in NAMES.items()},
    "long": Profile("x" * (SPECIALTY_BYTES + 1)),
    "long in bytes": Profile("ß" * (SPECIALTY_BYTES // 2 + 1)),
    "long hours": Profile(places=(Place("Here", "x" * (HOURS_BYTES + 1)),)),
    "space around": Profile(" Cardiology"),
    "a place without a name": Profile(places=(Place("", "Mon"),)),
    "many places": Profile(places=(Place("Here"),) * (PLACES + 1)),
    "no code": Profile(languages=("German",)),
    "a large code": Profile(languages=("DE",)),
    "twice": Profile(languages=("de", "de")),
    "many languages": Profile(languages=tuple(f"{chr(97 + n)}a" for n in range(LANGUAGES_SPOKEN + 1))),
}  # fmt: skip


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_does_not_get_in(ward: Ward) -> None:
    """What shows as another, as with a hospital's public name; what is too long, or no code. Other scripts do."""
    ward.write(ward.doctor, Profile(GOOD, ("ar",), (Place(GOOD, GOOD),)))
    for said in BAD.values():
        with pytest.raises((RecordsError, Refused)):
            ward.write(ward.doctor, said)
    assert ward.shown(ward.doctor).specialty == GOOD


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_bodies_of_another_form(fixture: LedgerFixture) -> None:
    doctor = fixture.doctor(fixture.north)
    bad: tuple[object, ...] = (
        [], {"specialty": 1}, {"specialty": None}, {"places": ["here"]}, {"places": [{}]}, {"language": "de"},
        {"places": [{"name": "Here", "room": "3"}]},
    )  # fmt: skip
    with in_process(fixture.ledger) as web:
        token = web.sign_in(doctor).json()["token"]
        for sent in bad:
            answer = web.client.put(
                "/v1/me/profile", json=sent, headers={"Authorization": f"Bearer {token}"}
            )
            assert kind_of(answer) == "malformed", sent


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_so_many_an_hour(fixture: LedgerFixture) -> None:
    doctor = fixture.doctor(fixture.north)
    for _ in range(PROFILES_AN_HOUR):
        set_profile(fixture.ledger, doctor.caller, SAID)
    with pytest.raises(OverQuota):
        set_profile(fixture.ledger, doctor.caller, SAID)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_key_that_is_not_the_accounts(fixture: LedgerFixture) -> None:
    doctor = fixture.doctor(fixture.north)
    forged = Actor(doctor.origin, doctor.account, "doctor", doctor.hospital, new_key())
    with pytest.raises(KeyNeeded):
        set_profile(fixture.ledger, forged.caller, SAID)
