"""Mobile numbers: stated by patients, found by those who may alone; nothing else tells whether a number is anybody's."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import pytest

from client import erasing, grants, operations, relatives
from client.http import HttpClient
from client.local import LocalClient
from client.port import LedgerClient
from crypto.errors import CryptoError, FormError
from identity.actors import Actor, Caller, SignedIn, new_id
from identity.errors import KeyNeeded, SecondFactorNeeded, StepUpNeeded
from journeys.errors import Forbidden, NotThere, OverQuota
from ledger.errors import Refused
from people import lookups
from people.lookups import Found, lookup
from people.numbers import (
    LOOKED_UP_AN_HOUR,
    STATED_A_MONTH,
    NumberShown,
    number_of,
    remove_number,
    state_number,
)
from storage.numbers import Numbers, normal_number
from tests.integration.people.test_relatives import person
from tests.support.inbox import everywhere
from tests.support.ledger_fixture import LedgerFixture, Person
from tests.support.server import in_process

NUMBER, OTHER = "+49 170 5550123", "+49 170 5550199"
TEL = f"tel:{NUMBER}"


@dataclass
class Ward:
    """A ledger, a client of it, and a patient whom the north hospital registered."""

    fixture: LedgerFixture
    client: LedgerClient
    pat: Person

    def found(self, who: Actor, number: str = TEL) -> dict[str, Found]:
        return self.client.lookup(who, [number])

    def state(self, whose: Person, number: str = NUMBER) -> None:
        self.client.state_number(whose.actor, whose.patient, number)


@pytest.fixture(params=["beside", "http"])
def ward(request: pytest.FixtureRequest, fixture: LedgerFixture) -> Iterator[Ward]:
    pat = fixture.person()
    if request.param == "beside":
        yield Ward(fixture, LocalClient(fixture.ledger), pat)
        return
    with in_process(fixture.ledger) as web, closing(HttpClient(web.url)) as client:
        yield Ward(fixture, client, pat)


def test_a_number_is_stated_replaced_and_removed(ward: Ward) -> None:
    pat, client, north = ward.pat, ward.client, ward.fixture.north
    size = ward.fixture.size()

    def kept() -> NumberShown:
        return client.ask(pat.actor, operations.NUMBER, patient=pat.patient)

    assert kept().stated == ""
    assert client.state_number(pat.actor, pat.patient, NUMBER) == kept()
    assert kept().stated
    assert ward.found(north.admin) == {TEL: Found(pat.patient, pat.actor.account)}
    ward.state(pat, "tel:+49-(170)-555.01/99")
    assert ward.found(north.admin) == {}
    assert ward.found(north.admin, f"tel:{OTHER}")[f"tel:{OTHER}"].patient == pat.patient
    client.remove_number(pat.actor, pat.patient)
    assert kept().stated == ""
    assert ward.found(north.admin, f"tel:{OTHER}") == {}
    assert ward.fixture.size() == size, "none of it is in the log"


def test_those_who_may_find_a_patient_and_nobody_else(ward: Ward) -> None:
    """A hospital that has a record, and whom the rules would let list the chart; of others the answer is that for nobody."""
    pat, client, fixture = ward.pat, ward.client, ward.fixture
    fixture.record(pat)
    ward.state(pat)
    doctor, south = fixture.doctor(), fixture.south
    for who in (doctor, south.admin, south.system):
        assert ward.found(who) == ward.found(who, "tel:+491111111111") == {}
    given, _ = grants.grant(client, pat.actor, pat.patient, doctor.account, days=3)
    assert ward.found(doctor) == {TEL: Found(pat.patient, "")}, "the account isn't told"
    grants.exclude(client, pat.actor, pat.patient, doctor.account)
    assert ward.found(doctor) == {}, "whom the patient keeps out finds nobody"
    grants.include(client, pat.actor, pat.patient, doctor.account)
    assert ward.found(doctor)
    grants.revoke(client, pat.actor, pat.patient, doctor.account, given)
    assert ward.found(doctor) == {}
    relative = person(fixture).in_role("relative")
    made = relatives.invite(client, pat.actor, pat.patient, ("list",), None)
    patient, invitation, code = relatives.invited(client, made.link)
    relatives.link(client, relative.in_role("person"), patient, invitation, code)
    assert ward.found(relative) == {TEL: Found(pat.patient, "")}
    relatives.unlink(client, pat.actor, pat.patient, relative.account)


def test_roles_that_find_nobody(fixture: LedgerFixture) -> None:
    pat = fixture.person()
    for role in ("patient", "person", "operator", "auditor"):
        with pytest.raises(Forbidden):
            lookup(fixture.ledger, pat.actor.in_role(role).caller, [TEL])
    with pytest.raises(Forbidden):  # a hospital's own identifiers are no relative's
        lookup(fixture.ledger, pat.actor.in_role("relative").caller, [TEL, "a|1"])


def test_a_number_of_two_is_nobodys(ward: Ward) -> None:
    """Also if only one of the two may be found; and it is the other's once one of them has another."""
    pat, other = ward.pat, ward.fixture.person("Pia")
    ward.state(pat)
    ward.state(other)
    assert ward.found(ward.fixture.north.admin) == {}
    ward.state(pat, OTHER)
    assert ward.found(ward.fixture.north.admin)[TEL].patient == other.patient


def test_every_answer_takes_the_same_work(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody's number, two patients' and that of one who may not be found: each is one decision on some patient's chart."""
    pats = [fixture.person(f"Pat {number}") for number in range(4)]
    south, judged = fixture.south.admin.caller, list[str]()
    real = lookups.may_find

    def counted(ledger: object, caller: Caller, patient: object) -> bool:
        judged.append(patient.patient)  # type: ignore[attr-defined]
        return real(ledger, caller, patient)  # type: ignore[arg-type]

    monkeypatch.setattr(lookups, "may_find", counted)
    for pat, number in zip(pats, (NUMBER, NUMBER, OTHER, "+15005550006"), strict=True):
        state_number(fixture.ledger, pat.actor.caller, pat.patient, number)
    unknown = [f"tel:+4930{number:08}" for number in range(20)]
    for number in (TEL, f"tel:{OTHER}", *unknown):
        judged.clear()
        assert lookup(fixture.ledger, south, [number]) == {}
        assert len(judged) == 1, "the same one decision, whosever it is"
        first = judged[:]
        lookup(fixture.ledger, south, [number])
        assert judged == first * 2, "always the same one's: asking again tells nothing more"


@pytest.mark.parametrize(
    "text",
    ["", "0170 5550123", "+49", "+0170555012", "+49 (0)170 5550123", "+49 170 555012a", "+" + "1" * 16, "+1" + " " * 40 + "2345678",
     "+49 170 555٠123", "tel:tel:+491705550123", "+49\n1705550123", "++491705550123", "+49170;5550123"],
)  # fmt: skip
def test_numbers_that_are_none(text: str) -> None:
    with pytest.raises(FormError) as error:
        normal_number(text)
    assert isinstance(error.value, CryptoError)
    assert len(text) < 5 or text not in str(error.value), "nothing of it is repeated"


def test_how_a_number_is_read() -> None:
    for text in (NUMBER, "tel:+49-170-555-0123", " +49\u00a0(170) 555.0123 ", "+49/170/5550123"):
        assert normal_number(text) == "+491705550123"


def test_only_who_is_sure_of_themselves_states_a_number(fixture: LedgerFixture) -> None:
    """A session by password needs its second factor anew; nobody states or looks for another's; nobody looks by one factor."""
    pat, other, ledger = fixture.person(), fixture.person("Pia"), fixture.ledger
    who = pat.actor.caller
    weak = [replace(who, key=None, session=SignedIn(new_id("ss", 0), sure)) for sure in (1, 2)]
    for caller in weak:
        with pytest.raises(StepUpNeeded):
            state_number(ledger, caller, pat.patient, NUMBER)
    strong = replace(weak[0], session=SignedIn(new_id("ss", 0), 3))
    state_number(ledger, strong, pat.patient, NUMBER)
    for caller in weak:
        with pytest.raises(StepUpNeeded):
            remove_number(ledger, caller, pat.patient)
    with pytest.raises(KeyNeeded):
        state_number(ledger, replace(who, key="k_0"), pat.patient, NUMBER)
    for act in (
        lambda caller: state_number(ledger, caller, pat.patient, OTHER),
        lambda caller: remove_number(ledger, caller, pat.patient),
        lambda caller: number_of(ledger, caller, pat.patient),
    ):
        with pytest.raises(NotThere):
            act(other.actor.caller)
    assert number_of(ledger, who, pat.patient).stated
    admin = fixture.north.admin.caller
    password = replace(admin, key=None, session=SignedIn(new_id("ss", 0), 1))
    with pytest.raises(SecondFactorNeeded):
        lookup(ledger, password, [TEL])


def test_numbers_are_not_tried_through(fixture: LedgerFixture) -> None:
    pat, ledger, admin = fixture.person(), fixture.ledger, fixture.north.admin.caller
    tried = [f"tel:+49170{number:07}" for number in range(LOOKED_UP_AN_HOUR)]
    assert lookup(ledger, admin, tried) == {}
    with pytest.raises(OverQuota):
        lookup(ledger, admin, [TEL])
    assert lookup(ledger, admin, ["urn:nord|1"]) == {}, "what isn't a number is no matter of it"
    for _ in range(STATED_A_MONTH):
        state_number(ledger, pat.actor.caller, pat.patient, NUMBER)
    with pytest.raises(OverQuota, match=r"within 30 days, .* try again in 30 days"):
        state_number(ledger, pat.actor.caller, pat.patient, NUMBER)


def test_no_number_stands_anywhere(ward: Ward) -> None:
    ward.state(ward.pat)
    ward.found(ward.fixture.north.admin)
    (kept,) = ward.fixture.ledger.database.fetch("SELECT patient, hash FROM patient_numbers", ())
    assert kept[0] == ward.pat.patient
    assert not everywhere(ward.fixture, NUMBER, normal_number(NUMBER), "705550123", "170 5550123")
    stranger = Numbers(ward.fixture.ledger.database, type(ward.fixture.ledger.identity)(bytes(32)))
    assert stranger.hash(normal_number(NUMBER)) != bytes(kept[1]), "keyed by the identity root"


def test_a_chart_that_is_to_be_erased_takes_no_number(ward: Ward) -> None:
    ward.state(ward.pat)
    erasing.erase(ward.client, ward.pat.actor, ward.pat.patient)
    with pytest.raises(Refused, match="is to be erased"):
        ward.state(ward.pat, OTHER)
