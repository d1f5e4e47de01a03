"""Inquiries: whoever asks by a number or a health card learns nothing; whom it reaches decides as ever."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pytest

from client import grants, inquiries, operations, readings, relatives
from client.http import HttpClient
from client.local import LocalClient
from client.port import LedgerClient
from crypto.errors import FormError
from identity.actors import Actor, SignedIn, new_id
from identity.errors import NotSignedIn, SecondFactorNeeded
from journeys.errors import Forbidden, NotThere, OverQuota, RecordsError
from ledger.times import DAY_MS
from people.numbers import state_number
from records.inquiries import (
    INQUIRIES_AN_HOUR,
    INQUIRY_LASTS_MS,
    Inquiry,
    dismiss_inquiry,
    inquire,
    inquiries_of,
)
from storage.clock import wall_clock
from tests.integration.people.test_relatives import person
from tests.support.inbox import everywhere
from tests.support.ledger_fixture import LedgerFixture, Person
from tests.support.server import in_process

NUMBER, NOBODYS = "+49 170 5550123", "+49 170 5550199"
WORDS = "planted words of Dr. Ö: your rehabilitation course"
NO_CARD = "pt_5k2m9q7x1c3v8b6n4z0f2h9j7r"


@dataclass
class Ward:
    """A ledger, a client of it, and a patient who stated a number."""

    fixture: LedgerFixture
    client: LedgerClient
    pat: Person

    def listed(self) -> list[Inquiry]:
        return list(inquiries.listed(self.client, self.pat.actor, self.pat.patient))

    def asks(self, who: Actor, to: str = NUMBER, **said: Any) -> str:
        given: dict[str, Any] = {"words": WORDS, "days": 30}
        return inquiries.inquire(self.client, who, to, **given | said).until


@pytest.fixture(params=["beside", "http"])
def ward(request: pytest.FixtureRequest, fixture: LedgerFixture) -> Iterator[Ward]:
    pat = fixture.person()
    state_number(fixture.ledger, pat.actor.caller, pat.patient, NUMBER)
    if request.param == "beside":
        yield Ward(fixture, LocalClient(fixture.ledger), pat)
        return
    with in_process(fixture.ledger) as web, closing(HttpClient(web.url)) as client:
        yield Ward(fixture, client, pat)


def test_a_doctor_asks_by_number_and_by_card_and_is_let_in(ward: Ward) -> None:
    pat, client, fixture = ward.pat, ward.client, ward.fixture
    record = fixture.record(pat).record
    doctor, size = fixture.doctor(), fixture.size()
    ward.asks(doctor)
    ward.asks(doctor, pat.patient, days=3, categories=("laboratory",))
    ward.asks(doctor, pat.patient, days=5, categories=("laboratory",))
    assert fixture.size() == size, "an entry would tell that there is somebody"
    by_card, by_number = ward.listed()
    assert (by_card.days, by_number.days) == (5, 30), "asked again, it takes the last one's place"
    assert by_number.words == WORDS and by_number.name == "Dr. Ö"
    assert (by_card.asker, by_card.role, by_card.categories) == (
        doctor.account,
        "doctor",
        ("laboratory",),
    )
    inquiries.grant(client, pat.actor, pat.patient, by_card, days=90)
    (given,) = client.consents(pat.actor, pat.patient)[0]
    assert given.grantee == doctor.account and given.end - given.start == 5 * DAY_MS, (
        "no more than asked"
    )
    assert b"".join(readings.read(client, doctor, record, "TREAT")[1].content)
    client.dismiss_inquiry(pat.actor, pat.patient, by_number.inquiry)
    assert ward.listed() == []


def test_nothing_tells_whether_there_is_such_a_person(ward: Ward) -> None:
    """The answer, the log, and what is kept are alike; nobody is looked for; what one asked for isn't listed either."""
    fixture, pat = ward.fixture, ward.pat
    doctor, size = fixture.doctor(), fixture.size()
    size = fixture.size()
    twice = fixture.person("Pia"), fixture.person("Kim")
    for one in twice:
        state_number(fixture.ledger, one.actor.caller, one.patient, "+15005550006")
    size = fixture.size()
    asked = NUMBER, NOBODYS, "+15005550006", pat.patient, NO_CARD
    untils = [ward.asks(doctor, to) for to in asked]
    assert all(len(until) == len(untils[0]) for until in untils)
    assert fixture.size() == size
    rows = fixture.ledger.database.fetch(
        "SELECT length(hash), length(sealed), asker FROM inquiries", ()
    )
    assert len(rows) == len(asked) and len({tuple(row) for row in rows}) == 1
    assert not ward.client.ask(doctor, operations.OWN_REQUESTS).requests
    for one in twice:
        reached = inquiries_of(fixture.ledger, one.actor.caller, one.patient)
        assert not reached.inquiries, "a number of two is nobody's"
    assert len(ward.listed()) == 2


def test_an_inquiry_looks_for_nobody(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it takes the same work: between the sender's own rows and the inquiry no table is asked that has patients."""
    pat, doctor = fixture.person(), fixture.doctor()
    state_number(fixture.ledger, pat.actor.caller, pat.patient, NUMBER)
    asked = list[str]()
    real = type(fixture.ledger.database).fetch

    def noted(self: Any, statement: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        asked.append(statement)
        return real(self, statement, parameters)

    monkeypatch.setattr(type(fixture.ledger.database), "fetch", noted)
    traces = []
    for to in (NUMBER, NOBODYS, pat.patient, NO_CARD):
        asked.clear()
        inquire(fixture.ledger, doctor.caller, to, WORDS, 30)
        traces.append(asked[:])
    assert all(trace == traces[0] for trace in traces)
    assert not [one for one in traces[0] if "patient" in one.lower()]


def test_hospitals_and_relatives_ask_too(ward: Ward) -> None:
    """A hospital by its admin, to whom the hospital is let in; a relative of somebody, whom an invitation lets in."""
    pat, client, fixture = ward.pat, ward.client, ward.fixture
    ward.asks(fixture.south.admin, words="Südklinik, admissions")
    (one,) = ward.listed()
    assert (one.role, one.hospital) == ("hospital_admin", fixture.south.hospital)
    inquiries.grant(client, pat.actor, pat.patient, one, days=3)
    assert [g.grantee for g in client.consents(pat.actor, pat.patient)[0]] == [
        fixture.south.hospital
    ]
    somebody = person(fixture)
    with pytest.raises((Forbidden, NotSignedIn)):
        ward.asks(somebody)
    other = fixture.person("Pia")
    made = relatives.invite(client, other.actor, other.patient, ("list",), None)
    patient, invitation, code = relatives.invited(client, made.link)
    relatives.link(client, somebody, patient, invitation, code)
    ward.asks(somebody, words="Your niece")
    (one,) = ward.listed()
    assert (one.role, one.asker, one.name) == ("relative", somebody.account, "")
    with pytest.raises(RecordsError, match="once you invite them"):
        inquiries.grant(client, pat.actor, pat.patient, one)


def test_whom_the_patient_keeps_out_troubles_nobody(ward: Ward) -> None:
    """Also by their hospital, or once they left; they are answered as ever. Lifted, it is there."""
    pat, client, fixture = ward.pat, ward.client, ward.fixture
    doctor = fixture.doctor()
    grants.exclude(client, pat.actor, pat.patient, doctor.account)
    ward.asks(doctor)
    ward.asks(fixture.south.admin)
    assert [one.asker for one in ward.listed()] == [fixture.south.admin.account]
    grants.include(client, pat.actor, pat.patient, doctor.account)
    assert len(ward.listed()) == 2
    grants.exclude(client, pat.actor, pat.patient, fixture.south.hospital)
    assert ward.listed() == []
    with pytest.raises(NotThere):
        inquiries.found(client, pat.actor, pat.patient, new_id("ev", 0))
    grants.include(client, pat.actor, pat.patient, fixture.south.hospital)
    assert len(ward.listed()) == 2


def test_others_see_nothing(fixture: LedgerFixture) -> None:
    pat, other, ledger = fixture.person(), fixture.person("Pia"), fixture.ledger
    inquire(ledger, fixture.doctor().caller, pat.patient, WORDS, 30)
    (one,) = inquiries_of(ledger, pat.actor.caller, pat.patient).inquiries
    for caller in (other.actor.caller, fixture.north.admin.caller, fixture.doctor().caller):
        with pytest.raises(NotThere):
            inquiries_of(ledger, caller, pat.patient)
        with pytest.raises(NotThere):
            dismiss_inquiry(ledger, caller, pat.patient, one.inquiry)
    with pytest.raises(NotThere):  # of one's own chart, another's inquiry
        dismiss_inquiry(ledger, other.actor.caller, other.patient, one.inquiry)
    weak = replace(pat.actor.caller, key=None, session=SignedIn(new_id("ss", 0), 1))
    for act in (
        lambda: inquiries_of(ledger, weak, pat.patient),
        lambda: dismiss_inquiry(ledger, weak, pat.patient, one.inquiry),
    ):
        with pytest.raises(SecondFactorNeeded):
            act()
    assert inquiries_of(ledger, pat.actor.caller, pat.patient).inquiries == (one,)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [({"to": "0170 5550123"}, FormError), ({"to": "pt_x"}, FormError), ({"to": ""}, FormError), ({"words": " "}, RecordsError),
     ({"words": "a\nb"}, RecordsError), ({"words": "a" * 1025}, RecordsError), ({"days": 0}, RecordsError),
     ({"days": 3_650}, RecordsError), ({"categories": ["magic"]}, RecordsError)],
)  # fmt: skip
def test_bad_input(fixture: LedgerFixture, wrong: dict[str, Any], error: type[Exception]) -> None:
    said: dict[str, Any] = {"to": NUMBER, "words": WORDS, "days": 30} | wrong
    with pytest.raises(error):
        inquire(fixture.ledger, fixture.doctor().caller, **said)
    assert not fixture.ledger.database.fetch("SELECT 1 FROM inquiries", ())


def test_only_some_ask_and_not_often(fixture: LedgerFixture) -> None:
    ledger, doctor, pat = fixture.ledger, fixture.doctor().caller, fixture.person()
    for caller in (pat.actor.caller, fixture.operator.caller, fixture.north.system.caller):
        with pytest.raises(Forbidden):
            inquire(ledger, caller, NUMBER, WORDS, 30)
    with pytest.raises(SecondFactorNeeded):
        inquire(
            ledger,
            replace(doctor, key=None, session=SignedIn(new_id("ss", 0), 1)),
            NUMBER,
            WORDS,
            30,
        )
    for _ in range(INQUIRIES_AN_HOUR):
        inquire(ledger, doctor, NUMBER, WORDS, 30)
    with pytest.raises(OverQuota):
        inquire(ledger, doctor, NOBODYS, WORDS, 30)


def test_it_lapses_and_is_removed(fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    pat, ledger = fixture.person(), fixture.ledger
    doctor = fixture.doctor().caller
    inquire(ledger, doctor, pat.patient, WORDS, 30)
    (one,) = ledger.inquiries.to([ledger.inquiries.card(pat.patient)], ledger.clock())
    assert not ledger.inquiries.to([ledger.inquiries.card(pat.patient)], one.until)
    assert one.until - one.created == INQUIRY_LASTS_MS
    monkeypatch.setattr(ledger, "clock", lambda: wall_clock() + INQUIRY_LASTS_MS)
    assert not inquiries_of(ledger, pat.actor.caller, pat.patient).inquiries
    ledger.inquiries.remove_old(ledger.clock())
    assert not ledger.database.fetch("SELECT 1 FROM inquiries", ())


def test_nothing_of_it_stands_in_clear(ward: Ward) -> None:
    doctor = ward.fixture.doctor()
    ward.asks(doctor)
    ward.asks(doctor, NO_CARD)
    assert ward.listed()
    assert not everywhere(ward.fixture, WORDS, "rehabilitation course", "705550123", NO_CARD)
