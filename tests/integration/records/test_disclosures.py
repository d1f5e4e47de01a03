"""Disclosures: what hospitals record, the accounting that patients make of it, and telling that the law suspends."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from client import beside, disclosing, grants, readings
from client.disclosing import Disclosure, Suspending
from client.http import HttpClient
from client.local import LocalClient
from client.port import LedgerClient
from identity.actors import write_keyfile
from journeys.errors import AccessDenied, Forbidden, NotThere, RecordsError
from ledger.codes import DISCLOSED_RECORDS
from ledger.errors import LedgerError, Refused
from ledger.facts import Suspension
from ledger.times import DAY_MS, format_time, parse_time
from records.uploads import Upload
from storage import suspended
from storage.reviews import due_suspensions, owed
from storage.suspended import tell_due
from tests.support.commands import heartwood
from tests.support.inbox import everywhere, reach, told
from tests.support.ledger_fixture import LedgerFixture
from tests.support.people import People
from tests.support.server import in_process

WHAT = Disclosure(
    "Amtsgericht Mitte", "One blood count", "A subpoena of the court", "Littenstraße 12, Berlin"
)
PLANTED = ("Amtsgericht", "blood count of", "subpoena", "Littenstra", "order 4711")


def accounting(client: LedgerClient, people: People) -> list[disclosing.Line]:
    """The patient's, of the last six years."""
    pat = people.pat
    found = readings.history(client, pat.actor, pat.patient, "PATRQT")
    since = client.now() - disclosing.YEARS * disclosing.DAYS_A_YEAR_MS
    return disclosing.accounting(found, since)


def test_an_accounting_has_the_fields_of_the_law(fixture: LedgerFixture) -> None:
    """45 CFR 164.528(b)(2): date, name and address, description, purpose; of Regulation (EU) 2025/327: who, when, which data.

    By the hospital's system and its admin, beside the data and over HTTP; told at once.
    """
    people, north = People.of(fixture), fixture.north
    reach(fixture, people.pat.actor, "pat@example.com")
    given = fixture.ledger.clock() - DAY_MS
    with in_process(fixture.ledger) as web, closing(HttpClient(web.url)) as afar:
        for client, who in ((LocalClient(fixture.ledger), north.system), (afar, north.admin)):
            what = Disclosure(*(WHAT.recipient, WHAT.description, WHAT.statement), given=given)
            disclosing.disclose(client, who, [people.record], what)
            disclosing.disclose(client, who, [people.record], WHAT)
            lines = accounting(client, people)
            assert [line.given for line in lines[:-1]] == sorted(line.given for line in lines[:-1])
            assert lines[0].given == format_time(given) and lines[0].address == ""
            line = lines[-1]
            assert (line.recipient, line.address) == (WHAT.recipient, WHAT.address)
            assert (line.description, line.statement) == (WHAT.description, WHAT.statement)
            assert (line.purpose, line.hospital) == ("HLEGAL", north.hospital)
            assert (line.records, line.whole) == (((people.record, 1),), True)
    assert len(told(fixture, "records_disclosed")) == 4
    assert everywhere(fixture, *PLANTED) == []


def test_what_is_older_than_was_asked_is_left_out(fixture: LedgerFixture) -> None:
    people, client, ledger = People.of(fixture), LocalClient(fixture.ledger), fixture.ledger
    old = ledger.clock() - (disclosing.YEARS * 366 + 10) * DAY_MS
    disclosing.disclose(
        client, fixture.north.system, [people.record], Disclosure(*WHAT_WORDS, given=old)
    )
    disclosing.disclose(client, fixture.north.system, [people.record], WHAT)
    assert len(accounting(client, people)) == 1


WHAT_WORDS = ("An insurer", "All of it", "A claim")


def test_a_long_list_comes_in_pieces_and_is_the_one_that_was_committed_to(
    fixture: LedgerFixture,
) -> None:
    people, client, north = People.of(fixture), LocalClient(fixture.ledger), fixture.north
    uploads = [Upload(people.pat.patient, "document", "text/plain", [b"x"]) for _ in range(120)]
    records = [one.record for one in beside.upload(fixture.ledger, north.system, uploads)]
    disclosing.disclose(client, north.system, records, WHAT)
    (line,) = accounting(client, people)
    assert ([record for record, _ in line.records], line.whole) == (sorted(records), True)
    body = fixture.ledger.entry(line.seq).event.body
    assert len(body["list"]) == 4 and body["count"] == 120
    with pytest.raises(RecordsError, match="none twice"):
        disclosing.disclose(client, north.system, [records[0]] * 2, WHAT)
    with pytest.raises(RecordsError, match=f"1 to {DISCLOSED_RECORDS}"):
        disclosing.disclose(client, north.system, [], WHAT)


def test_another_list_than_the_committed_one_shows(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hospital that seals one list and commits to another is found by the patient."""
    people, client = People.of(fixture), LocalClient(fixture.ledger)
    another = fixture.record(people.pat).record
    monkeypatch.setattr(
        disclosing, "_pieces", lambda wanted: iter([("list_a", f"{another[3:]} 1")])
    )
    disclosing.disclose(client, fixture.north.system, [people.record], WHAT)
    (line,) = accounting(client, people)
    assert (line.records, line.whole) == (((another, 1),), False)


GARBAGE = {
    "no id": "nonsense 1", "a path": "../../v1/me 1", "unknown": f"{'0' * 26} 1", "version 0": "{own} 0", "no such version": "{own} 7",
    "a long number": "{own} " + "9" * 900, "another patient's": "{other} 1", "nothing": ";;", "no version": "{own}",
}  # fmt: skip
"""What a hospital may seal as its list."""


def test_a_list_that_is_none_hides_no_other_disclosure(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are shown, and of the garbage that it isn't what the log commits to; beside the data and over HTTP, and by the command."""
    people, local, north = People.of(fixture), LocalClient(fixture.ledger), fixture.north
    other = fixture.record(people.kim).record
    disclosing.disclose(local, north.system, [people.record], WHAT)
    for piece in GARBAGE.values():
        said = piece.format(own=people.record[3:], other=other[3:])
        monkeypatch.setattr(
            disclosing, "_pieces", lambda wanted, said=said: iter([("list_a", said)])
        )
        disclosing.disclose(local, north.system, [people.record], WHAT)
    monkeypatch.undo()
    key = write_keyfile(fixture.settings.data.with_name("pat.key"), people.pat.actor)
    with in_process(fixture.ledger) as web, closing(HttpClient(web.url)) as afar:
        for client in (local, afar):
            whole = [line.whole for line in accounting(client, people)]
            assert sorted(whole) == [False] * len(GARBAGE) + [True]
        for where in ((), ("--url", web.url)):
            ran = heartwood(fixture.settings, "disclosures", "--as", key, *where)
            assert ran.code == 0, ran
            assert ran.out.count("Amtsgericht Mitte") == len(GARBAGE) + 1
            assert ran.out.count("is not the one that the log commits to") == len(GARBAGE)


def test_words_that_can_not_be_opened_are_said_to_be(fixture: LedgerFixture) -> None:
    people, client, north = People.of(fixture), LocalClient(fixture.ledger), fixture.north
    disclosing.disclose(client, north.system, [people.record], WHAT)
    (seq,) = (line.seq for line in accounting(client, people))
    body = fixture.ledger.entry(seq).event.body  # sealed for that event, and no other
    client.append(
        north.system,
        [north.system.event("record.disclosed", people.pat.stream, body, client.now())],
    )
    good, bad = accounting(client, people)
    assert (good.unopened, good.whole) == ((), True)
    assert (bad.whole, bad.recipient) == (False, "")
    assert bad.unopened == ("address", "description", "list_a", "recipient", "statement")
    key = write_keyfile(fixture.settings.data.with_name("pat.key"), people.pat.actor)
    ran = heartwood(fixture.settings, "disclosures", "--as", key)
    assert ran.code == 0 and "(who received it can't be opened)" in ran.out, ran
    assert "Amtsgericht Mitte" in ran.out


def test_who_may_disclose(fixture: LedgerFixture) -> None:
    """System and admin of a hospital that has a record of the patient; nobody else, and nobody in advance."""
    people, client, north = People.of(fixture), LocalClient(fixture.ledger), fixture.north
    for who in (fixture.south.system, fixture.south.admin):
        with pytest.raises(AccessDenied, match="S12"):
            disclosing.disclose(client, who, [people.record], WHAT)
    with pytest.raises(AccessDenied, match="S1 "):
        disclosing.disclose(client, fixture.doctor(north), [people.record], WHAT)
    later = Disclosure(*WHAT_WORDS, given=fixture.ledger.clock() + DAY_MS)
    with pytest.raises(Refused, match="expected one before"):
        disclosing.disclose(client, north.system, [people.record], later)
    grants.exclude(client, people.pat.actor, people.pat.patient, north.hospital)
    disclosing.disclose(client, north.admin, [people.record], WHAT)


def suspend(fixture: LedgerFixture, people: People, ms: int = 1_500) -> Suspending:
    """A disclosure of which the patient is told that much later."""
    until = fixture.ledger.clock() + ms
    order = Suspending(until, "Court order 4711")
    client = LocalClient(fixture.ledger)
    disclosing.disclose(client, fixture.north.admin, [people.record], WHAT, order)
    return order


def test_nothing_tells_of_what_the_law_suspends_until_it_ends(fixture: LedgerFixture) -> None:
    """No entry and no gap in the patient's stream, no mail, no receipt; afterwards all of it, once, whoever looks at once."""
    people, client, ledger = People.of(fixture), LocalClient(fixture.ledger), fixture.ledger
    reach(fixture, people.pat.actor, "pat@example.com")
    before = len(ledger.stream(people.pat.stream, fixture.size()))
    mails = told(fixture)
    order = suspend(fixture, people)
    seq = fixture.size() - 1
    assert tell_due(ledger) == 0 and owed(ledger.database, ledger.clock()).untold == 0
    assert len(ledger.stream(people.pat.stream, fixture.size())) == before
    assert accounting(client, people) == [] and told(fixture) == mails
    with pytest.raises(Exception, match="there is no entry"):
        client.receipt(people.pat.actor, seq)
    while ledger.clock() < order.until:
        time.sleep(0.05)
    assert owed(ledger.database, ledger.clock()).untold == 1
    done = [0, 0]

    def tell(number: int) -> None:
        done[number] = tell_due(ledger)

    threads = [threading.Thread(target=tell, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == 1 and tell_due(ledger) == 0
    fixture.reopen()
    assert (
        tell_due(fixture.ledger) == 0
        and owed(fixture.ledger.database, fixture.ledger.clock()).untold == 0
    )
    (line,) = accounting(LocalClient(fixture.ledger), people)
    assert (line.recipient, line.whole, line.order) == (WHAT.recipient, True, order.order)
    assert (parse_time(line.suspended_until), line.hospital) == (
        order.until,
        fixture.north.hospital,
    )
    assert told(fixture, "records_disclosed") == [("records_disclosed", people.pat.actor.account)]
    assert everywhere(fixture, *PLANTED) == []


def test_a_server_tells_by_itself(fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspended, "LOOK_SECONDS", 0.1)
    people = People.of(fixture)
    suspend(fixture, people, 500)
    with in_process(fixture.ledger):
        until = time.monotonic() + 30
        while owed_rows(fixture)[0].told == 0 and time.monotonic() < until:
            time.sleep(0.05)
    assert owed_rows(fixture)[0].told > 0


def owed_rows(fixture: LedgerFixture) -> list[Suspension]:
    return fixture.ledger.rows(Suspension, "hospital", fixture.north.hospital)


def bent(fixture: LedgerFixture, change: Callable[[dict[str, Any]], object]) -> str:
    """What the log says to a telling that was changed."""
    ledger = fixture.ledger
    proposal = suspended._telling(ledger, owed_rows(fixture)[0])
    body = json.loads(json.dumps(proposal.event.body))
    change(body)
    made = ledger.log.by_service(suspended.KIND, proposal.event.stream, body)
    outcome = ledger.append([made])[0]
    return outcome.code if isinstance(outcome, Refused) else type(outcome).__name__


def test_the_service_tells_just_that_and_not_before(fixture: LedgerFixture) -> None:
    people, ledger = People.of(fixture), fixture.ledger
    order = suspend(fixture, people)
    assert bent(fixture, lambda body: None) == "malformed"
    while ledger.clock() < order.until:
        time.sleep(0.05)
    changes: list[Callable[[dict[str, Any]], object]] = [
        lambda body: body["disclosed"].update(count=2),
        lambda body: body["disclosed"].pop("address"),
        lambda body: body.update(order=body["disclosed"]["statement"]),
        lambda body: body.update(until=format_time(order.until - 1)),
    ]
    for change in changes:
        assert bent(fixture, change) == "malformed"
    south, another = fixture.south.hospital, people.id("ev")
    assert bent(fixture, lambda body: body.update(hospital=south)) == "unknown"
    assert bent(fixture, lambda body: body.update(disclosure=another)) == "unknown"
    assert bent(fixture, lambda body: None) == "Appended"
    assert bent(fixture, lambda body: None) == "conflict"


def test_what_may_be_suspended(fixture: LedgerFixture) -> None:
    """By a hospital in its own stream, of a patient who is known, for five years at most."""
    people, client, north = People.of(fixture), LocalClient(fixture.ledger), fixture.north
    now = fixture.ledger.clock()
    for until in (now - 1, now + 1_830 * DAY_MS):
        with pytest.raises(Refused, match="expected one within"):
            disclosing.disclose(client, north.admin, [people.record], WHAT, Suspending(until, "x"))
    tomorrow = Suspending(now + DAY_MS, "x")
    with pytest.raises(Refused, match="got the role"):
        disclosing.disclose(client, fixture.doctor(north), [people.record], WHAT, tomorrow)
    assert due_suspensions(fixture.ledger.database, now + DAY_MS, 10) == []


def test_a_hospital_without_a_record_suspends_nothing(fixture: LedgerFixture) -> None:
    """Else the service would tell a patient, by mail and as a fact, of a disclosure in a stranger's words; over HTTP, too."""
    people, south = People.of(fixture), fixture.south
    reach(fixture, people.pat.actor, "pat@example.com")
    mails, tomorrow = told(fixture), Suspending(fixture.ledger.clock() + DAY_MS, "x")
    with in_process(fixture.ledger) as web, closing(HttpClient(web.url)) as afar:
        for client in (LocalClient(fixture.ledger), afar):
            for who in (south.admin, south.system):
                with pytest.raises((Refused, RecordsError), match="has no record of"):
                    disclosing.disclose(client, who, [people.record], WHAT, tomorrow)
    assert fixture.ledger.rows(Suspension, "hospital", south.hospital) == []
    assert due_suspensions(fixture.ledger.database, tomorrow.until + 1, 10) == []
    assert told(fixture) == mails


def test_a_refused_telling_is_told_the_operator(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the log refuses for another reason than that it was told is an error, and nothing is lost by it."""
    people, ledger = People.of(fixture), fixture.ledger
    order = suspend(fixture, people, 300)
    while ledger.clock() < order.until:
        time.sleep(0.05)
    true = suspended._telling

    def spoiled(one: Any, row: Suspension) -> Any:
        proposal = true(one, row)
        body = proposal.event.body | {"order": proposal.event.body["disclosed"]["statement"]}
        return ledger.log.by_service(suspended.KIND, proposal.event.stream, body)

    monkeypatch.setattr(suspended, "_telling", spoiled)
    with pytest.raises(LedgerError, match="refused to tell"):
        tell_due(ledger)
    monkeypatch.setattr(suspended, "_telling", true)
    assert tell_due(ledger) == 1


def test_admins_seal_words_of_their_own_and_no_records(fixture: LedgerFixture) -> None:
    """For reviews and disclosures, of patients who are known: no title of a record, and no label."""
    people, client, admin = People.of(fixture), LocalClient(fixture.ledger), fixture.north.admin
    patient, event, words = people.pat.patient, people.id("ev"), {"text": "Fine"}
    assert client.seal(admin, patient, patient, event, words)[0].keys() == {"text"}
    for object_id, labels in ((people.record, ()), (patient, ("HIV",))):
        with pytest.raises(Forbidden):
            client.seal(admin, patient, object_id, event, words, labels)
    with pytest.raises(NotThere):
        client.seal(admin, f"pt_{'0' * 26}", f"pt_{'0' * 26}", event, words)
