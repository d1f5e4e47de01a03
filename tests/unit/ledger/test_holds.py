"""Holds: who places and lifts which, on what, for how long, how often; and what nobody may say of them."""

from typing import Any

import pytest

from ledger.editions import CONSENT
from ledger.facts import Hold
from ledger.times import DAY_MS, format_time
from tests.support.memory_log import SEALED, Body, MemoryLog, Person, reading, verify_log
from tests.support.memory_people import MemoryPeople


def harm(c: MemoryPeople, days: float = 14, **members: Any) -> Body:
    """The body of a harm hold of the record against its patient."""
    return {
        "against": c.patient.account, "kind": "harm", "purpose": "TREAT", "reason": "therapeutic",
        "record": c.record.event.body["record"], "until": format_time(c.log.now + int(days * DAY_MS)),
        "words": SEALED,
    } | members  # fmt: skip


def legal(c: MemoryPeople, **members: Any) -> Body:
    """The body of a legal hold of the record."""
    record = c.record.event.body["record"]
    return {
        "kind": "legal",
        "purpose": "HLEGAL",
        "reason": "court_order",
        "record": record,
    } | members


def place(c: MemoryPeople, by: Person, body: Body) -> str:
    """What the log answers."""
    return c.log.answer(by, "hold.placed", body, c.patient)


def without(body: Body, *names: str) -> Body:
    """The same without some members."""
    return {name: value for name, value in body.items() if name not in names}


def test_a_harm_hold_ends_at_its_instant_and_is_renewed_once() -> None:
    c = MemoryPeople()
    opened = ("record.opened", reading(c.record, "PATRQT"))
    assert c.log.answer(c.patient, *opened) == "appended"
    assert place(c, c.doctor, harm(c)) == "appended"
    assert c.log.answer(c.patient, *opened) == "deny S4 harm_hold"
    assert c.log.answer(c.doctor, "record.opened", reading(c.record), c.patient) == "appended"
    c.log.wait(days=14, milliseconds=-1)
    assert c.log.answer(c.patient, *opened) == "deny S4 harm_hold"
    c.log.wait(milliseconds=1)
    assert c.log.answer(c.patient, *opened) == "appended"
    second = c.log.do(c.doctor, "hold.placed", harm(c), c.patient)
    assert c.log.answer(c.patient, *opened) == "deny S4 harm_hold"
    lifted = {"hold": second.event.id, "purpose": "TREAT", "record": c.record.event.body["record"]}
    assert c.log.answer(c.doctor, "hold.lifted", lifted, c.patient) == "appended"
    assert c.log.answer(c.patient, *opened) == "appended"
    assert c.log.answer(c.doctor, "hold.lifted", lifted, c.patient) == "conflict"
    c.log.wait(days=400)
    assert place(c, c.doctor, harm(c)) == "conflict"
    assert place(c, c.doctor, harm(c, against=c.doctor.account)) == "unknown"
    assert verify_log(c.log).size == len(c.log.entries)


@pytest.mark.parametrize(
    ("who", "bent", "answer"),
    [
        ("doctor", {"days": 14.001}, "malformed"),
        ("doctor", {"days": 0}, "malformed"),
        ("doctor", {"reason": "court_order"}, "malformed"),
        ("doctor", {"against": "ac_00000000000000000000000001"}, "unknown"),
        ("doctor", {"record": "rc_00000000000000000000000001"}, "deny S12 no_consent"),
        ("admin", {}, "role"),
        ("system", {}, "deny S1 role"),
        ("patient", {}, "deny S1 role"),
        ("stranger", {}, "deny S12 no_consent"),
    ],
)
def test_a_harm_hold_is_a_doctors_of_the_own_record(who: str, bent: Body, answer: str) -> None:
    c = MemoryPeople()
    assert place(c, getattr(c, who), harm(c, **bent)) == answer


@pytest.mark.parametrize("missing", ["against", "record", "until", "words"])
def test_a_harm_hold_says_all_of_it(missing: str) -> None:
    c = MemoryPeople()
    got = place(c, c.doctor, without(harm(c), missing))
    assert got == ("deny S12 no_consent" if missing == "record" else "malformed")


def test_a_legal_hold_is_an_admins_one_at_a_time_and_says_nothing_else() -> None:
    c = MemoryPeople()
    assert place(c, c.doctor, legal(c)) == "role"
    assert place(c, c.admin, legal(c, against=c.patient.account)) == "malformed"
    assert place(c, c.admin, legal(c, reason="therapeutic")) == "malformed"
    assert place(c, c.stranger, legal(c)) == "deny S12 no_consent"
    assert place(c, c.stranger, without(legal(c), "record")) == "deny S12 no_consent"
    placed = c.log.do(c.admin, "hold.placed", legal(c), c.patient)
    assert place(c, c.admin, legal(c)) == "conflict"
    whole = c.log.do(c.admin, "hold.placed", without(legal(c), "record"), c.patient)
    record = c.record.event.body["record"]
    lift = {"hold": placed.event.id, "purpose": "HLEGAL"}
    assert c.log.answer(c.admin, "hold.lifted", lift, c.patient) == "unknown"
    named = lift | {"record": record}
    assert c.log.answer(c.doctor, "hold.lifted", named, c.patient) == "unknown"
    assert c.log.answer(c.stranger, "hold.lifted", named, c.patient) == "deny S12 no_consent"
    assert c.log.answer(c.admin, "hold.lifted", named, c.patient) == "appended"
    assert (
        c.log.answer(c.admin, "hold.lifted", lift | {"hold": whole.event.id}, c.patient)
        == "appended"
    )
    rows = c.log.batch.look.all(Hold).values()
    assert [row.lifted > 0 for row in rows] == [True, True]
    assert verify_log(c.log).size == len(c.log.entries)


def test_an_older_edition_has_no_holds() -> None:
    c = MemoryPeople(MemoryLog(edition=CONSENT - 1))
    assert place(c, c.doctor, harm(c)) == "registry"
