"""Erasures: asked for by the patient, withdrawn until they are due, begun and completed by the service, and by nobody else."""

from ledger.directory import Patient
from ledger.editions import CONSENT
from ledger.facts import ERASURE_WAIT_MS, Erasure, Record
from ledger.times import DAY_MS, format_time
from tests.support.memory_log import Body, MemoryLog, reading, verify_log
from tests.support.memory_people import MemoryPeople

ASKED: Body = {"purpose": "PATRQT"}


def old_record(c: MemoryPeople) -> str:
    """A record that no policy has the hospital keep."""
    return str(c.log.upload(c.doctor, c.patient, clinical_date="1980-01-01").event.body["record"])


def ask(c: MemoryPeople, **named: str) -> str:
    """The patient asks to erase; gives the erasure."""
    return c.log.do(c.patient, "erasure.requested", ASKED | named).event.id


def by_service(c: MemoryPeople, kind: str, **body: object) -> str:
    """What the log answers to the service."""
    return c.log.answer(c.service, kind, body, c.patient)


COUNTS: Body = {"blobs": 1, "keys": 2, "records": 1}


def test_what_is_asked_to_be_erased_is_gone_at_once_and_back_if_it_is_withdrawn() -> None:
    c = MemoryPeople()
    record = old_record(c)
    c.log.do(c.doctor, "record.retracted", {"purpose": "TREAT", "record": record}, c.patient)
    before = c.log.batch.look.get(Record, record)
    uploaded = c.log.entries[-2]
    erasure = ask(c, record=record)
    for who, kind, body in (
        (c.patient, "record.opened", reading(uploaded, "PATRQT")),
        (c.doctor, "record.opened", reading(uploaded)),
        (c.doctor, "record.amended", c.log.record_body(record=record, version=2)),
        (c.patient, "record.hidden", {"purpose": "PATRQT", "record": record}),
        (c.patient, "erasure.requested", ASKED | {"record": record}),
        (c.admin, "hold.placed",
         {"kind": "legal", "purpose": "HLEGAL", "reason": "claim", "record": record}),
    ):  # fmt: skip
        assert c.log.answer(who, kind, body, c.patient) == "deny S2 gone", kind
    c.log.wait(milliseconds=ERASURE_WAIT_MS - 1)
    withdrawal = {"erasure": erasure, "purpose": "PATRQT"}
    assert c.log.answer(c.doctor, "erasure.withdrawn", withdrawal, c.patient) == "deny S1 role"
    assert c.log.answer(c.patient, "erasure.withdrawn", withdrawal) == "appended"
    assert c.log.batch.look.get(Record, record) == before
    assert c.log.answer(c.patient, "erasure.withdrawn", withdrawal) == "conflict"
    c.log.wait(milliseconds=1)
    assert by_service(c, "erasure.begun", erasure=erasure) == "conflict"
    assert verify_log(c.log).size == len(c.log.entries)


def test_keys_are_destroyed_72_hours_later_and_not_before_and_then_nothing_is_withdrawn() -> None:
    c = MemoryPeople()
    erasure = ask(c, record=old_record(c))
    begun = ("erasure.begun", {"erasure": erasure})
    c.log.wait(milliseconds=ERASURE_WAIT_MS - 1)
    assert c.log.answer(c.service, *begun, c.patient) == "conflict"
    assert by_service(c, "erasure.completed", erasure=erasure, **COUNTS) == "conflict"
    c.log.wait(milliseconds=1)
    withdrawal = {"erasure": erasure, "purpose": "PATRQT"}
    assert c.log.answer(c.patient, "erasure.withdrawn", withdrawal) == "deny S2 gone"
    for who in (c.doctor, c.operator, c.patient):
        assert c.log.answer(who, *begun, c.patient) == "role"
    other = c.log.patient(c.admin)
    assert c.log.answer(c.service, *begun, other) == "unknown"
    assert c.log.answer(c.service, *begun, c.patient) == "appended"
    assert c.log.answer(c.service, *begun, c.patient) == "conflict"
    assert c.log.answer(c.patient, "erasure.withdrawn", withdrawal) == "deny S2 gone"
    until = format_time(c.log.now + DAY_MS)
    alone = COUNTS | {"erasure": erasure, "locked_until": until}
    assert by_service(c, "erasure.completed", **alone) == "malformed"
    assert by_service(c, "erasure.completed", **alone, locked=1) == "appended"
    row = c.log.batch.look.get(Erasure, erasure)
    assert row is not None
    assert (row.state, row.locked) == ("completed", 1)
    assert by_service(c, "erasure.completed", erasure=erasure, **COUNTS) == "conflict"
    assert verify_log(c.log).size == len(c.log.entries)


def test_a_whole_chart_is_erased_and_comes_back() -> None:
    c = MemoryPeople(MemoryLog())
    chart = c.log.patient(c.admin)
    c.log.upload(c.doctor, chart, clinical_date="1980-01-01")
    erasure = c.log.do(chart, "erasure.requested", ASKED).event.id
    upload = ("record.uploaded", c.log.record_body())
    assert c.log.answer(c.doctor, *upload, chart) == "deny S2 gone"
    assert c.log.answer(chart, "chart.opened", ASKED) == "deny S2 gone"
    assert c.log.answer(chart, "history.opened", ASKED) == "appended"
    withdrawal = {"erasure": erasure, "purpose": "PATRQT"}
    assert c.log.answer(chart, "erasure.withdrawn", withdrawal) == "appended"
    patient = c.log.batch.look.get(Patient, chart.patient)
    assert patient is not None
    assert not patient.erased
    assert c.log.answer(c.doctor, *upload, chart) == "appended"
    assert c.log.answer(chart, "chart.opened", ASKED) == "appended"
    assert c.log.answer(chart, "erasure.requested", ASKED) == "deny S2 retention"
    assert verify_log(c.log).size == len(c.log.entries)


def test_nobody_erases_another_chart_or_by_an_older_edition() -> None:
    c = MemoryPeople()
    erasure, other = ask(c, record=old_record(c)), c.log.patient(c.admin)
    withdrawal = {"erasure": erasure, "purpose": "PATRQT"}
    assert c.log.answer(other, "erasure.withdrawn", withdrawal) == "unknown"
    named = ASKED | {"record": c.record.event.body["record"]}
    assert c.log.answer(other, "erasure.requested", named) == "unknown"
    assert c.log.answer(c.patient, "erasure.requested", named) == "deny S2 retention"
    older = MemoryPeople(MemoryLog(edition=CONSENT - 1))
    assert older.log.answer(older.patient, "erasure.requested", ASKED) == "registry"
