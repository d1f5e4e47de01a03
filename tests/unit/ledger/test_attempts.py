"""Every signed attempt that can be attributed leaves an entry, within the limits of refusals."""

from dataclasses import replace
from typing import Any

import pytest

from consent.replay import Replay
from ledger.entry import Entry, nested_event
from ledger.errors import Refused
from ledger.refusals import REFUSALS_A_KEY, RefusalCounter
from ledger.sequencer import Denied, Outcome, Proposal
from tests.support.memory_log import MemoryLog, Person, reading, verify_log
from tests.support.memory_people import MemoryPeople, Scenario, after, suspend, upload


def opened(c: MemoryPeople, who: Person) -> str:
    return c.log.answer(who, "record.opened", reading(c.record), c.patient)


def carried(c: MemoryPeople, who: Person) -> str:
    body = reading(c.record, "HOPERAT")
    return c.log.answer(who, "record.carried", body, c.patient)


def retracted(c: MemoryPeople, who: Person) -> str:
    body = {"purpose": "TREAT", "record": c.record.event.body["record"]}
    return c.log.answer(who, "record.retracted", body, c.patient)


def granted(c: MemoryPeople, who: Person) -> str:
    body = c.log.grant_body(c.stranger.account)
    return c.log.answer(who, "access.granted", body, c.patient)


def corrected(c: MemoryPeople, who: Person) -> str:
    body = {"adult": True, "patient": c.patient.patient, "purpose": "TREAT"}
    return c.log.answer(who, "patient.corrected", body, c.patient)


def outsider(c: MemoryPeople) -> Person:
    return c.log.doctor(c.stranger)


ATTEMPTS: dict[str, tuple[str, Scenario]] = {
    "a reading by a suspended doctor": (
        "deny S0 invalid", lambda c: after(c.end("doctor.suspended", c.doctor), opened(c, c.doctor))),
    "a reading by a doctor who left": (
        "deny S0 invalid", lambda c: after(c.end("doctor.ended", c.doctor), opened(c, c.doctor))),
    "a reading by a suspended hospital's doctor": (
        "deny S0 invalid", lambda c: after(suspend(c), opened(c, c.doctor))),
    "a reading by a revoked key": (
        "deny S0 invalid", lambda c: after(c.revoke(c.operator, c.doctor), opened(c, c.doctor))),
    "a reading by a key that does not count yet": (
        "deny S0 invalid",
        lambda c: opened(c, c.recovered(c.admin).acting("patient")),
    ),
    "a reading in a role never held": (
        "deny S0 invalid", lambda c: opened(c, c.person.acting("doctor", c.hospital))),
    "a reading by the operator": ("deny S1 role", lambda c: opened(c, c.operator)),
    "a reading of a record that the patient has not": (
        "deny S12 no_consent",
        lambda c: c.log.answer(
            outsider(c), "record.opened", reading(c.record) | {"record": c.log.id("rc")}, c.patient),
    ),
    "a version carried by another hospital's system": (
        "deny S12 no_consent", lambda c: carried(c, c.log.system(c.stranger))),
    "a version carried by a doctor": ("deny S1 role", lambda c: carried(c, c.doctor)),
    "an upload by a revoked key": (
        "deny S0 invalid", lambda c: after(c.revoke(c.operator, c.doctor), upload(c, c.doctor))),
    "an upload by an admin": ("deny S1 role", lambda c: upload(c, c.admin)),
    "a retraction by another hospital": ("deny S12 no_consent", lambda c: retracted(c, outsider(c))),
    "a correction by another hospital": ("deny S12 no_consent", lambda c: corrected(c, outsider(c))),
    "a grant by a doctor": ("deny S1 role", lambda c: granted(c, c.doctor)),
    "a grant by the patient of another chart": (
        "deny S0 invalid", lambda c: granted(c, c.log.patient(c.admin))),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTEMPTS)
def test_an_attempt_leaves_an_entry(name: str) -> None:
    c, (expected, scenario) = MemoryPeople(), ATTEMPTS[name]
    assert scenario(c) == expected
    entry = c.log.entries[-1]
    assert (entry.event.type.name, entry.event.type.v) == ("access.refused", 2)
    assert entry.event.stream == f"patient/{c.patient.patient}"
    decision = entry.decision or {}
    assert f"deny {decision['rule']} {decision['reason']}" == expected
    assert Entry.parse(entry.raw) == entry
    good(c.log)


def good(log: MemoryLog) -> None:
    """The log verifies, and an auditor decides everything alike."""
    verify_log(log)
    replay = Replay()
    for entry in log.entries:
        replay.take(entry.raw)
    assert replay.wrong == []


UNATTRIBUTED: dict[str, tuple[str, Scenario]] = {
    "a key that no entry registered": ("key", lambda c: opened(c, c.doctor.holding(c.log.new_key()))),
    "another account's key": ("key", lambda c: opened(c, c.doctor.holding(c.system.key))),
    "a patient whom nobody registered": (
        "deny S0 invalid",
        lambda c: c.log.answer(c.doctor, "chart.opened", {"purpose": "TREAT"}, c.log.id("pt")),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNATTRIBUTED)
def test_what_nobody_can_be_named_for_leaves_none(name: str) -> None:
    c, (expected, scenario) = MemoryPeople(), UNATTRIBUTED[name]
    size = len(c.log.entries)
    assert scenario(c) == expected
    assert len(c.log.entries) == size


def test_a_hospitals_system_carries_what_its_hospital_wrote() -> None:
    """Whatever the patient excludes: the duty to keep records stays, and the entry shows it."""
    c = MemoryPeople()
    c.log.do(c.patient, "reader.excluded", {"purpose": "PATRQT", "reader": c.hospital})
    assert carried(c, c.system) == "appended"
    decision = c.log.entries[-1].decision or {}
    assert decision["rule"] == "S6"
    good(c.log)


def test_a_denied_event_is_answered_alike_at_each_retry_and_its_id_is_used() -> None:
    c = MemoryPeople()
    event = c.log.event(c.doctor, "access.granted", c.log.grant_body(c.stranger.account), c.patient)
    sig = c.log.sign(c.doctor, event)
    first = c.log.admit(event, sig)
    assert isinstance(first, Denied) and first.seq == c.log.entries[-1].link.seq
    assert nested_event(c.log.entries[-1].event) == (event, sig)
    assert c.log.admit(event, sig) == first
    # The grant that was not given gives its id to nobody.
    body = c.log.grant_body(c.stranger.account, grant=event.body["grant"])
    assert c.log.answer(c.patient, "access.granted", body) == "appended"


def test_denials_of_several_charts_by_one_key_have_a_limit_an_hour() -> None:
    c = MemoryPeople()
    who, charts = outsider(c), [c.log.patient(c.admin) for _ in range(REFUSALS_A_KEY // 20 + 1)]

    def look(chart: Person) -> str:
        return c.log.answer(who, "chart.opened", {"purpose": "TREAT"}, chart)

    answers = [look(chart) for chart in charts for _ in range(20)]
    assert answers == ["deny S12 no_consent"] * REFUSALS_A_KEY + ["too_many_refusals"] * 20
    size = len(c.log.entries)
    assert look(c.patient) == "too_many_refusals" and len(c.log.entries) == size
    c.log.wait(hours=1)
    assert look(charts[-1]) == "deny S12 no_consent"
    assert c.log.entries[-1].event.body["skipped"] == 20
    good(c.log)


def test_verifiers_hold_both_limits() -> None:
    counter = RefusalCounter()
    assert [counter.take("pt", "ac", "k", 0, 2) for _ in range(2)] == ["", ""]
    assert "3 refusals of ac within an hour, and 2 are written" in counter.take(
        "pt", "ac", "k", 0, 2
    )
    counter = RefusalCounter()
    found = [counter.take(f"pt{i}", "ac", "k", i, 2) for i in range(REFUSALS_A_KEY + 1)]
    assert found[:-1] == [""] * REFUSALS_A_KEY and "refusals of k " in found[-1]
    assert counter.take("pt0", "ac", "k", 3_600_000 + REFUSALS_A_KEY, 2) == ""


def test_a_log_with_too_many_refusals_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    c = MemoryPeople()
    monkeypatch.setattr("ledger.sequencer.REFUSALS_A_KEY", REFUSALS_A_KEY + 1)
    who, charts = outsider(c), [c.log.patient(c.admin) for _ in range(6)]
    for chart in charts:
        for _ in range(20):
            c.log.answer(who, "chart.opened", {"purpose": "TREAT"}, chart)
    with pytest.raises(
        Exception, match=f"{REFUSALS_A_KEY + 1} refusals of {who.key.id} within an hour"
    ):
        verify_log(c.log)


def test_under_an_older_edition_readings_alone_leave_one() -> None:
    c = MemoryPeople(MemoryLog(edition=2))
    size = len(c.log.entries)
    assert retracted(c, outsider(c)) == "deny S12 no_consent"
    c.end("doctor.suspended", c.doctor)
    opened(c, c.doctor)
    assert not any(e.event.type.name == "access.refused" for e in c.log.entries[size:])
    opened(c, outsider(c))
    assert c.log.entries[-1].event.type.v == 1
    good(c.log)


def test_a_limit_under_which_nothing_was_written_is_told_by_the_next_one() -> None:
    c = MemoryPeople()
    doctor = replace(outsider(c))
    for _ in range(25):
        retracted(c, doctor)
    c.log.wait(hours=1)
    retracted(c, doctor)
    assert c.log.entries[-1].event.body["skipped"] == 5


def refused_alone(
    c: MemoryPeople, who: Person, kind: str, body: dict[str, Any], **members: Any
) -> Outcome:
    """What is left of an attempt whose all-or-nothing call was undone."""
    event = c.log.event(who, kind, body, c.patient, **members)
    return c.log.batch.refuse(Proposal(event, c.log.sign(who, event), expect=99))


def test_a_denied_attempt_of_an_undone_call_leaves_its_refusal() -> None:
    """And what is permitted as the log stands leaves nothing; the length of the stream that was expected counts no more."""
    c = MemoryPeople()
    body, size = {"purpose": "TREAT", "record": c.record.event.body["record"]}, len(c.log.entries)
    permitted = refused_alone(c, c.doctor, "record.retracted", body)
    assert isinstance(permitted, Refused) and permitted.code == "atomic"
    assert len(c.log.entries) == size
    found = refused_alone(c, outsider(c), "record.retracted", body)
    assert isinstance(found, Denied) and found.seq == c.log.entries[-1].link.seq
    event, sig = nested_event(c.log.entries[-1].event)
    assert c.log.batch.refuse(Proposal(event, sig)) == found
    good(c.log)


def test_the_refusals_of_undone_calls_have_the_same_limit() -> None:
    c = MemoryPeople()
    who, body = outsider(c), {"purpose": "TREAT", "record": c.record.event.body["record"]}
    found = [refused_alone(c, who, "record.retracted", body) for _ in range(21)]
    assert all(isinstance(one, Denied) for one in found[:20])
    assert isinstance(found[20], Refused) and found[20].code == "too_many_refusals"


def test_an_undone_attempt_that_nobody_can_be_named_for_leaves_none() -> None:
    c = MemoryPeople()
    who, body = outsider(c), {"purpose": "TREAT", "record": c.record.event.body["record"]}
    size = len(c.log.entries)
    found = refused_alone(c, c.doctor.holding(c.log.new_key()), "record.retracted", body)
    assert isinstance(found, Refused) and found.code == "key"
    late = refused_alone(c, who, "record.retracted", body, at="2020-01-01T00:00:00.000Z")
    assert isinstance(late, Refused) and late.code == "clock"
    assert len(c.log.entries) == size
