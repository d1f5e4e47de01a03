"""Requests for access, over HTTP and beside the data: asked, told, seen, answered; and what the excluded can't tell."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from client import disclosing, grants, operations, readings, relatives, requests
from client.disclosing import Disclosure
from client.http import HttpClient
from client.local import LocalClient
from client.port import LedgerClient
from client.requests import Asked, Smaller
from identity.actors import Actor
from identity.errors import NotSignedIn
from journeys.errors import AccessDenied, Forbidden, NotThere
from journeys.questions import Question
from ledger.asking import AccessRequest
from ledger.errors import Refused
from tests.integration.people.test_relatives import person
from tests.support.inbox import everywhere, mails_to, reach, send, told
from tests.support.ledger_fixture import LedgerFixture
from tests.support.people import People
from tests.support.server import in_process

WORDS = "Planning the operation of the left knee"


@dataclass
class Place:
    """People, and how they are reached."""

    people: People
    client: LedgerClient

    def ask(self, by: Actor, **members: Any) -> str:
        return requests.ask(self.client, by, self.people.pat.patient, Asked(WORDS, 30, **members))[
            0
        ]

    def on_chart(self, by: Actor | None = None) -> dict[str, str]:
        """What the patient is shown of requests: id and state."""
        who = by or self.people.pat.actor
        found = requests.listed(self.client, who, self.people.pat.patient)
        return {one.request.request: one.state for one in found}

    def own(self, by: Actor) -> dict[str, str]:
        return {one.request.request: one.state for one in requests.listed(self.client, by)}

    def found(self, request: str) -> AccessRequest:
        return requests.found(self.client, self.people.pat.actor, request, self.people.pat.patient)

    def opens(self, by: Actor) -> str:
        try:
            b"".join(readings.read(self.client, by, self.people.record, "TREAT")[1].content)
        except AccessDenied as denial:
            return str(denial.rule)
        return ""


@pytest.fixture(params=["beside", "http"])
def place(request: pytest.FixtureRequest, fixture: LedgerFixture) -> Iterator[Place]:
    people = People.of(fixture)
    if request.param == "beside":
        yield Place(people, LocalClient(fixture.ledger))
        return
    with in_process(fixture.ledger) as web, closing(HttpClient(web.url)) as client:
        yield Place(people, client)


def test_a_request_is_seen_and_answered_with_less(place: Place) -> None:
    people, pat = place.people, place.people.pat
    doctor = people.fixture.doctor()
    request = place.ask(doctor)
    assert place.on_chart() == place.own(doctor) == {request: "open"}
    assert place.own(people.fixture.doctor()) == {}
    (shown,) = requests.listed(place.client, pat.actor, pat.patient)
    assert shown.name and shown.request.asker == doctor.account
    look = readings.history(place.client, pat.actor, pat.patient, "PATRQT")
    assert look.texts[str(shown.request.seq)] == {"words": WORDS}
    assert place.opens(doctor) == "S12"
    less = Smaller(days=7, records=(people.record,), uses=1)
    grant, seq = requests.grant(place.client, pat.actor, place.found(request), less)
    assert place.on_chart() == place.own(doctor) == {request: "granted"}
    assert [place.opens(doctor), place.opens(doctor)] == ["", "S12"]
    given = next(g for g in place.client.consents(pat.actor, pat.patient)[0] if g.grant == grant)
    assert (given.seq, given.grantee, given.records) == (seq, doctor.account, (people.record,))
    with pytest.raises(Refused, match="answered already"):
        requests.decline(place.client, pat.actor, place.found(request))
    assert everywhere(people.fixture, WORDS) == []


def test_what_is_asked_in_part_is_granted_as_asked(place: Place) -> None:
    pat, doctor = place.people.pat, place.people.fixture.doctor()
    request = place.ask(doctor, what={"categories": ["imaging"]}, purpose="HRESCH")
    more = Smaller(what={"categories": ["imaging", "laboratory"]})
    with pytest.raises(Refused, match="more records"):
        requests.grant(place.client, pat.actor, place.found(request), more)
    requests.grant(place.client, pat.actor, place.found(request))
    given = place.client.consents(pat.actor, pat.patient)[0][-1]
    assert (given.scope, given.what[0].categories, given.purposes) == (
        "partial", ("imaging",), ("HRESCH",),
    )  # fmt: skip


def test_others_see_and_answer_nothing(place: Place) -> None:
    people = place.people
    fixture, other = people.fixture, people.fixture.person("Kim")
    place.ask(fixture.doctor())
    for who in (other.actor, fixture.doctor(), fixture.north.admin):
        with pytest.raises(NotThere):
            requests.listed(place.client, who, people.pat.patient)
    north = fixture.north.hospital
    with pytest.raises((Forbidden, Refused), match="its admins alone"):
        place.client.ask(fixture.south.admin, operations.REQUESTS_TO, hospital=north)


def test_who_is_told(place: Place) -> None:
    """The patient, or the admins of the hospital that is asked; then whoever asked. Nothing of why."""
    fixture, pat = place.people.fixture, place.people.pat
    doctor, admin = fixture.doctor(), fixture.north.admin
    reach(fixture, pat.actor, "pat@example.com", "de")
    reach(fixture, admin, "admin@example.com")
    first = place.ask(doctor)
    assert told(fixture, "access_requested") == [("access_requested", pat.actor.account)]
    second = place.ask(doctor, hospital=fixture.north.hospital)
    assert told(fixture, "access_to_answer") == [("access_to_answer", admin.account)]
    assert len(told(fixture, "access_requested")) == 1
    requests.decline(place.client, pat.actor, place.found(first))
    assert told(fixture, "access_answered") == [("access_answered", doctor.account)]
    (asked,) = requests.listed(place.client, admin)
    requests.forward(place.client, admin, asked.request)
    assert len(told(fixture, "access_requested")) == 2
    send(fixture)
    german, english = mails_to(fixture, "pat@example.com"), mails_to(fixture, "admin@example.com")
    assert any("bittet um Einsicht" in mail and first in mail for mail in german)
    assert any("asked your hospital" in mail and second in mail for mail in english)
    assert not any(WORDS in mail for mail in (*german, *english))


def test_the_excluded_ask_and_nobody_is_told(place: Place) -> None:
    """In person or by hospital; what they are told is what whoever waits is told."""
    fixture, pat = place.people.fixture, place.people.pat
    shut, waits = fixture.doctor(), fixture.doctor(fixture.north)
    grants.exclude(place.client, pat.actor, pat.patient, shut.account)
    north = fixture.north.hospital
    mine = [place.ask(shut), place.ask(shut, hospital=north)]
    told_of = told(fixture, "access_requested") + told(fixture, "access_to_answer")
    assert told_of == []
    assert place.on_chart() == {}
    assert requests.listed(place.client, fixture.north.admin) == ()
    theirs = [place.ask(waits)]
    assert place.on_chart() == {theirs[0]: "open"}
    assert place.own(shut) == dict.fromkeys(mine, "open")
    assert place.own(waits) == {theirs[0]: "open"}
    answers = []
    for who in (shut, waits):
        with pytest.raises(Refused) as again:
            place.ask(who)
        question = Question(
            pat.patient, who.account, "doctor", who.hospital, "request_access", "TREAT"
        )
        said = place.client.why(who, question).explanation
        answers.append((again.value.code, said.decision.effect, said.decision.rule, said.why))
    assert answers[0] == answers[1] and answers[0][1:3] == ("permit", "S12")
    history = readings.history(place.client, pat.actor, pat.patient, "PATRQT").acts()
    assert [a.effect for a in history if a.actor == shut.account] == ["permit", "permit"]
    grants.exclude(place.client, pat.actor, pat.patient, fixture.north.hospital)
    assert place.on_chart() == {}


def test_a_hospital_answers_for_what_it_wrote(place: Place) -> None:
    fixture, doctor = place.people.fixture, place.people.fixture.doctor()
    admin, north = fixture.north.admin, fixture.north.hospital
    asked = {place.ask(doctor, hospital=north): "declined"}
    (one,) = requests.listed(place.client, admin)
    requests.close(place.client, admin, one.request, "declined")
    asked[place.ask(doctor, hospital=north)] = "disclosed"
    waiting = requests.listed(place.client, admin)[0]
    given = Disclosure("Dr. South", "The blood count", "She asked for it", purpose="TREAT")
    event = disclosing.disclose(place.client, admin, [place.people.record], given)[1]
    requests.close(place.client, admin, waiting.request, "disclosed", event)
    assert place.own(doctor) == asked
    assert requests.listed(place.client, fixture.south.admin) == ()
    assert place.on_chart() == {}


def test_a_relative_asks_for_more_and_answers_for_the_patient(place: Place) -> None:
    people, pat = place.people, place.people.pat
    kin = person(people.fixture)
    made = relatives.invite(place.client, pat.actor, pat.patient, ("grant", "list"), 30)
    patient, invitation, code = relatives.invited(place.client, made.link)
    relatives.link(place.client, kin, patient, invitation, code)
    request = requests.ask(place.client, kin, pat.patient, Asked(WORDS, 7))[0]
    assert place.own(kin) == {request: "open"}
    acting = relatives.for_patient(place.client, kin, pat.patient)
    assert place.on_chart(acting) == {request: "open"}
    with pytest.raises(Refused, match="the patient may give it"):
        requests.grant(place.client, acting, place.found(request))
    requests.grant(place.client, pat.actor, place.found(request))
    assert place.opens(kin.in_role("relative")) == ""
    doctor = people.fixture.doctor()
    second = place.ask(doctor, actions=("list",))
    requests.grant(place.client, acting, place.found(second), Smaller(days=1))
    assert place.own(doctor) == {second: "granted"}
    relatives.unlink(place.client, pat.actor, pat.patient, kin.account)
    with pytest.raises((NotThere, NotSignedIn)):
        place.on_chart(acting)
