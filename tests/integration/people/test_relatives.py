"""Relatives, guardians and colleagues over HTTP and beside the data: from the invitation to the reading, and its end."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date

import pytest

from client import authoring, grants, holds, readings, registering, relatives
from client.http import HttpClient
from client.local import LocalClient
from client.port import LedgerClient
from client.registering import NewPatient
from identity.actors import Actor, new_id, new_key
from identity.errors import NotSignedIn
from journeys.days import today
from journeys.errors import AccessDenied, Forbidden, NotThere, RecordsError
from journeys.questions import Question
from keeper.errors import KeeperRefused
from ledger.errors import Refused
from ledger.times import DAY_MS
from records.opening import RECHECK_MS, release, settle
from records.uploads import Upload
from storage.feeding import feed
from tests.support.ledger_fixture import CONTENT, LedgerFixture, Person
from tests.support.server import in_process

GONE = (AccessDenied, NotSignedIn)
"""What a relation that was ended is answered: by the log, or where it takes a session first."""
KIN = b"what the daughter noticed"


@dataclass
class Place:
    """A ledger, a client of it, a patient with a record, and a person with an account of their own."""

    fixture: LedgerFixture
    client: LedgerClient
    pat: Person
    record: str
    person: Actor

    def linked(self, *actions: str, days: int | None = None) -> Actor:
        """The person, linked, as the patient's relative."""
        made = relatives.invite(
            self.client, self.pat.actor, self.pat.patient, actions or ("list", "read"), days
        )
        patient, invitation, code = relatives.invited(self.client, made.link)
        relatives.link(self.client, self.person, patient, invitation, code)
        return relatives.for_patient(self.client, self.person, self.pat.patient)


def person(fixture: LedgerFixture) -> Actor:
    """Somebody with an account of their own and no role."""
    local, key = LocalClient(fixture.ledger), new_key()
    account, events = registering.new_account(local, fixture.operator, "Ida", key, "device")
    local.append(fixture.operator, events)
    return Actor(local.origin, account, "person", "", key)


@pytest.fixture(params=["beside", "http"])
def place(request: pytest.FixtureRequest, fixture: LedgerFixture) -> Iterator[Place]:
    pat = fixture.person()
    made = pat, fixture.record(pat, title="Blood count").record, person(fixture)
    if request.param == "beside":
        yield Place(fixture, LocalClient(fixture.ledger), *made)
        return
    with in_process(fixture.ledger) as web, closing(HttpClient(web.url)) as client:
        yield Place(fixture, client, *made)


def content(client: LedgerClient, who: Actor, record: str, purpose: str = "FAMRQT") -> bytes:
    return b"".join(readings.read(client, who, record, purpose)[1].content)


def test_a_relative_from_the_invitation_to_the_end(place: Place) -> None:
    """Lists, reads, appends, grants and sees the history on the patient's behalf; and no more once unlinked."""
    pat, client, fixture = place.pat, place.client, place.fixture
    relative = place.linked("append", "grant", "list", "read", "read_history")
    assert content(client, relative, place.record) == CONTENT
    own = Upload(pat.patient, "document", "text/plain", [KIN], title="Notes")
    done = authoring.upload(client, relative, own, "FAMRQT")
    assert content(client, pat.actor, done.record, "PATRQT") == KIN
    seen = readings.chart(client, relative, pat.patient, "FAMRQT")
    assert {line.record.record for line in seen.lines} == {place.record, done.record}
    doctor = fixture.doctor()
    grants.grant(client, relative, pat.patient, doctor.account, days=3)
    assert content(client, doctor, done.record, "TREAT") == KIN
    acts = readings.history(client, relative, pat.patient, "FAMRQT").acts()
    mine = [act for act in acts if act.actor == relative.account and act.on_behalf_of]
    assert {act.type for act in mine} == {
        "access.granted", "chart.opened", "record.opened", "record.uploaded",
    }  # fmt: skip
    assert {act.on_behalf_of for act in mine} == {pat.actor.account}
    relatives.unlink(client, place.person, pat.patient, relative.account)
    with pytest.raises(GONE):
        content(client, relative, place.record)
    with pytest.raises(RecordsError, match="neither a relative"):
        relatives.for_patient(client, place.person, pat.patient)


def test_what_each_sees_of_it(place: Place) -> None:
    """The relative the patients, the patient the relatives and invitations; nobody else's."""
    pat, client = place.pat, place.client
    relative = place.linked(days=5)
    waiting = relatives.invite(client, pat.actor, pat.patient)
    (found,) = relatives.acting(client, place.person).patients
    assert (found.patient, found.principal, found.counts) == (pat.patient, pat.actor.account, True)
    shown = relatives.representatives(client, pat.actor, pat.patient)
    assert [one.account for one in shown.relations] == [relative.account]
    assert [one.invitation for one in shown.invitations] == [waiting.invitation]
    relatives.unlink(client, pat.actor, pat.patient, waiting.invitation)
    assert relatives.representatives(client, pat.actor, pat.patient).invitations == ()
    for who in (place.fixture.person("Kim").actor, place.person):
        with pytest.raises(NotThere):
            relatives.representatives(client, who, pat.patient)
    assert relatives.acting(client, place.fixture.doctor()).patients == ()


def test_what_is_left_out_is_the_patients_to_know(place: Place) -> None:
    pat, client = place.pat, place.client
    left_out = [{"records": [place.record]}]
    invited = relatives.invite(client, pat.actor, pat.patient, exceptions=left_out)
    relatives.link(client, place.person, pat.patient, invited.invitation, invited.code)
    (found,) = relatives.acting(client, place.person).patients
    assert found.relation.exceptions == () and found.relation.actions == ("list", "read")
    (known,) = relatives.representatives(client, pat.actor, pat.patient).relations
    assert [one.records for one in known.exceptions] == [(place.record,)]


def test_a_code_is_checked_before_it_is_sent(place: Place) -> None:
    made = relatives.invite(place.client, place.pat.actor, place.pat.patient)
    other = relatives.invite(place.client, place.pat.actor, place.pat.patient)
    with pytest.raises(Refused, match="nobody is linked"):
        relatives.link(place.client, place.person, made.patient, made.invitation, other.code)
    with pytest.raises(RecordsError, match="of the log"):
        relatives.invited(place.client, made.link.replace("origin=", "origin=x"))
    with pytest.raises(RecordsError, match="expected the link"):
        relatives.invited(place.client, made.code)


def test_only_a_relative_who_may_append_stages(place: Place) -> None:
    """And seals: nothing is staged in charts of strangers, or of whoever only lets look."""
    relative = place.linked()
    one = Upload(place.pat.patient, "document", "text/plain", [KIN])
    with pytest.raises((Forbidden, Refused)):
        authoring.upload(place.client, relative, one)
    kim = place.fixture.person("Kim")
    theirs = Upload(kim.patient, "document", "text/plain", [KIN])
    with pytest.raises((Forbidden, Refused)):
        authoring.upload(place.client, relative.acting_for(kim.actor.account), theirs)


def test_why(place: Place) -> None:
    """What the relation lacks is told to the relative; to the excluded nothing that tells of the exclusion."""
    pat, client = place.pat, place.client
    relative = place.linked("read")

    def asked(action: str) -> tuple[str, str, tuple[str, ...]]:
        question = Question(
            pat.patient, relative.account, "relative", "", action, "FAMRQT", place.record, pat.actor.account
        )  # fmt: skip
        found = client.why(relative, question).explanation
        return found.decision.effect, found.decision.rule, found.changes

    assert asked("read")[:2] == ("permit", "S10")
    effect, rule, changes = asked("append")
    assert (effect, rule) == ("deny", "S12")
    assert any("not for append" in change for change in changes)
    grants.exclude(client, pat.actor, pat.patient, relative.account)
    excluded = _refused(lambda: asked("read"))
    grants.include(client, pat.actor, pat.patient, relative.account)
    assert place.linked("read") == relative
    relatives.unlink(client, pat.actor, pat.patient, relative.account)
    assert _refused(lambda: asked("read")) == excluded


def _refused(ask: Callable[[], tuple[str, str, tuple[str, ...]]]) -> object:
    """The answer, which is a denial, or why nobody in that role is answered at all."""
    try:
        effect, rule, changes = ask()
    except NotSignedIn as refused:
        return str(refused)
    assert (effect, rule) == ("deny", "S0")
    return changes


def test_a_colleague_on_leave(place: Place) -> None:
    client, fixture = place.client, place.fixture
    doctor, colleague = fixture.doctor(), fixture.doctor()
    grants.grant(client, place.pat.actor, place.pat.patient, doctor.account)
    acting = colleague.acting_for(doctor.account)
    with pytest.raises(AccessDenied):
        content(client, acting, place.record, "TREAT")
    relatives.delegate(client, doctor, colleague.account, 10)
    assert content(client, acting, place.record, "TREAT") == CONTENT
    (found,) = relatives.acting(client, colleague).colleagues
    assert (found.giver, found.hospital) == (doctor.account, doctor.hospital)
    question = Question(
        place.pat.patient, colleague.account, "doctor", colleague.hospital, "read", "TREAT", place.record,
        doctor.account,
    )  # fmt: skip
    assert client.why(acting, question).explanation.decision.rule == "S10"
    relatives.end_delegation(client, doctor, colleague.account)
    with pytest.raises(AccessDenied):
        content(client, acting, place.record, "TREAT")


def test_a_guardian(place: Place) -> None:
    """Appointed by the hospital that registered, confirmed by a second one; and ended."""
    fixture, client = place.fixture, place.client
    now = client.now()
    born = date(today(now).year - 8, 1, 1)
    key = new_key()
    new = NewPatient(new_id("pt", now), new_id("ac", now), "Kid", born, False, key)
    registering.register_patients(LocalClient(fixture.ledger), fixture.north.system, [new])
    kid = Person(new.patient, Actor(client.origin, new.account, "patient", "", key))
    record = fixture.record(kid).record
    relatives.appoint(client, fixture.north.admin, kid.patient, place.person.account)
    guardian = relatives.for_patient(client, place.person, kid.patient)
    with pytest.raises(AccessDenied):
        content(client, guardian, record)
    with pytest.raises(AccessDenied):
        relatives.confirm(client, fixture.south.admin, kid.patient, place.person.account)
    one = Upload(kid.patient, "document", "text/plain", [CONTENT])
    authoring.upload(client, fixture.doctor(), one)
    relatives.confirm(client, fixture.south.admin, kid.patient, place.person.account)
    assert content(client, guardian, record) == CONTENT
    assert len(readings.chart(client, guardian, kid.patient, "FAMRQT").lines) == 2
    relatives.end_guardian(client, fixture.north.admin, kid.patient, place.person.account)
    with pytest.raises(GONE):
        content(client, guardian, record)


def test_a_period_that_ends_in_the_middle_of_a_download_stops_it(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream is looked at again every minute, with no new entry; it goes on until the end of the period."""
    client, pat = LocalClient(fixture.ledger), fixture.person()
    record = fixture.record(pat, bytes(3 * 1024 * 1024)).record
    here = Place(fixture, client, pat, record, person(fixture))
    relative, start = here.linked(days=1), fixture.ledger.clock()
    pieces = readings.read(client, relative, record, "FAMRQT")[1].content
    size = fixture.size()
    assert next(pieces)
    with monkeypatch.context() as later:
        later.setattr(fixture.ledger, "clock", lambda: start + DAY_MS - 2 * RECHECK_MS)
        assert next(pieces)
        later.setattr(fixture.ledger, "clock", lambda: start + DAY_MS)
        with pytest.raises(NotThere, match="may not read this any more"):
            next(pieces)
    assert fixture.size() == size


def test_what_is_held_back_meanwhile_is_given_to_nobody_who_acts_for_whom_it_is_held_from(
    place: Place,
) -> None:
    """Between the reading and its key; staff read on, in their role at the hospital."""
    fixture, pat = place.fixture, place.pat
    doctor, kin = fixture.doctor(fixture.north), place.linked("list", "read")
    mine = settle(fixture.ledger, fixture.reading(kin, place.record, "FAMRQT"))
    theirs = settle(fixture.ledger, fixture.reading(doctor, place.record))
    against = pat.actor.account
    holds.hold_back(
        place.client, doctor, pat.patient, place.record, against, "therapeutic", "as they said", 14
    )
    feed(fixture.ledger, fixture.ledger.head().size)  # it reads of the hold before it is asked
    with pytest.raises(KeeperRefused, match="held back by entry"):
        release(fixture.ledger, mine)
    assert release(fixture.ledger, theirs).key
