"""Whoever acts for a child is told what the child would be: emergencies, disclosures, and who writes into the chart."""

import time
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from client import authoring, disclosing, registering, relatives
from client.disclosing import Disclosure, Suspending
from client.local import LocalClient
from client.registering import NewPatient
from identity.actors import Actor, new_id, new_key
from journeys.days import today
from records.uploads import Upload
from storage.suspended import tell_due
from tests.support.inbox import mails_to, reach, rows, send
from tests.support.ledger_fixture import LedgerFixture, Person
from tests.support.memory_log import SEALED

WHAT = Disclosure("A court", "A blood count", "A subpoena")


def minor(fixture: LedgerFixture, age: int) -> Person:
    """A patient so old, registered by the north hospital, whose account nobody has claimed an address for."""
    now, key = fixture.ledger.clock(), new_key()
    born = date(today(now).year - age, 1, 1)
    new = NewPatient(new_id("pt", now), new_id("ac", now), "Kid", born, False, key)
    registering.register_patients(LocalClient(fixture.ledger), fixture.north.system, [new])
    return Person(new.patient, Actor(fixture.ledger.origin, new.account, "patient", "", key))


def parent(fixture: LedgerFixture, address: str) -> Actor:
    """Somebody with an account and an address."""
    client, key = LocalClient(fixture.ledger), new_key()
    account, events = registering.new_account(client, fixture.operator, "Kim", key, "device")
    client.append(fixture.operator, events)
    who = Actor(client.origin, account, "person", "", key)
    reach(fixture, who, address)
    return who


def since(fixture: LedgerFixture, act: Callable[[], object]) -> set[tuple[str, str]]:
    """What an act told whom, but the hospital's administrators."""
    before = {one.id for one in rows(fixture)}
    act()
    return {
        (one.kind, one.account)
        for one in rows(fixture)
        if one.id not in before and one.kind != "emergency_to_review"
    }


@pytest.fixture
def family(fixture: LedgerFixture) -> tuple[Person, str, Actor, Actor, Actor]:
    """A child of eight with its record, a guardian who counts and one who still waits, and a doctor of another hospital."""
    client, kid, doctor = LocalClient(fixture.ledger), minor(fixture, 8), fixture.doctor()
    record = fixture.record(kid).record
    counts, waits = (parent(fixture, f"{name}@example.com") for name in ("counts", "waits"))
    authoring.upload(client, doctor, Upload(kid.patient, "document", "text/plain", [b"x"]))
    for one in (counts, waits):
        relatives.appoint(client, fixture.north.admin, kid.patient, one.account)
    relatives.confirm(client, fixture.south.admin, kid.patient, counts.account)
    return kid, record, counts, waits, doctor


def acted(
    fixture: LedgerFixture, who: Actor, kind: str, person: Person, body: dict[str, Any]
) -> Callable[[], str]:
    """An event in a chart; gives its id."""
    client = LocalClient(fixture.ledger)
    event = who.event(kind, person.stream, body, client.now())

    def act() -> str:
        client.append(who, [event])
        return str(event["id"])

    return act


def test_a_childs_guardian_is_told_what_the_child_is(
    fixture: LedgerFixture, family: tuple[Person, str, Actor, Actor, Actor]
) -> None:
    """In words of their own; not the guardian who doesn't count yet."""
    kid, record, counts, _, doctor = family
    client, own, north = LocalClient(fixture.ledger), kid.actor.account, fixture.north
    declared = list[str]()
    declare = acted(
        fixture, doctor, "emergency.declared", kid,
        {"purpose": "BTG", "reason": "life_at_risk", "text": SEALED},
    )  # fmt: skip
    assert since(fixture, lambda: declared.append(declare())) == {
        ("emergency_declared", own),
        ("child_emergency", counts.account),
    }
    review = acted(
        fixture, fixture.south.admin, "emergency.reviewed", kid,
        {"emergency": declared[0], "finding": "justified", "purpose": "HOPERAT", "text": SEALED},
    )  # fmt: skip
    assert since(fixture, review) == {
        ("emergency_reviewed", own),
        ("child_emergency_reviewed", counts.account),
    }
    assert since(fixture, lambda: disclosing.disclose(client, north.system, [record], WHAT)) == {
        ("records_disclosed", own),
        ("child_records_disclosed", counts.account),
    }
    later = Suspending(fixture.ledger.clock() + 300, "Order 1")
    assert (
        since(fixture, lambda: disclosing.disclose(client, north.admin, [record], WHAT, later))
        == set()
    )
    while fixture.ledger.clock() <= later.until:
        time.sleep(0.05)
    assert since(fixture, lambda: tell_due(fixture.ledger)) == {
        ("records_disclosed", own),
        ("child_records_disclosed", counts.account),
    }
    send(fixture)
    assert any(kid.patient in mail for mail in mails_to(fixture, "counts@example.com"))
    assert not any("emergency" in mail for mail in mails_to(fixture, "waits@example.com"))


def test_a_hospitals_first_record_is_told_a_guardian_once(
    fixture: LedgerFixture, family: tuple[Person, str, Actor, Actor, Actor]
) -> None:
    kid, _, counts, _, doctor = family
    client = LocalClient(fixture.ledger)

    def writes() -> None:
        authoring.upload(client, doctor, Upload(kid.patient, "document", "text/plain", [b"x"]))

    assert since(fixture, writes) == {("child_hospital_wrote", counts.account)}
    assert since(fixture, writes) == set()


def test_from_twelve_on_it_is_the_minors_own(fixture: LedgerFixture) -> None:
    """A guardian still acts, and isn't told of what the minor is told of."""
    kid, doctor, counts = minor(fixture, 13), fixture.doctor(), parent(fixture, "c@example.com")
    client = LocalClient(fixture.ledger)
    fixture.record(kid)
    authoring.upload(client, doctor, Upload(kid.patient, "document", "text/plain", [b"x"]))
    relatives.appoint(client, fixture.north.admin, kid.patient, counts.account)
    relatives.confirm(client, fixture.south.admin, kid.patient, counts.account)
    declare = acted(
        fixture, doctor, "emergency.declared", kid,
        {"purpose": "BTG", "reason": "life_at_risk", "text": SEALED},
    )  # fmt: skip
    assert since(fixture, declare) == {("emergency_declared", kid.actor.account)}
