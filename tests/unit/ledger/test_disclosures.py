"""Who withholds a disclosure: a hospital that has something of the patient to disclose, as one that tells of it at once."""

from typing import Any

import pytest

from consent.replay import Replay
from crypto.encoding import b64encode
from ledger.codes import SUSPENDED_DAYS
from ledger.facts import Suspension
from ledger.sequencer import Batch
from ledger.times import DAY_MS, format_time
from tests.support.memory_log import SEALED, MemoryLog, Person, verify_log
from tests.support.memory_people import MemoryPeople


def later(c: MemoryPeople, patient: str) -> dict[str, Any]:
    """The body of a disclosure of which the patient is told tomorrow."""
    disclosed = {
        "count": 1, "description": SEALED, "given": format_time(c.log.now), "list": [SEALED], "purpose": "HLEGAL",
        "recipient": SEALED, "root": b64encode(bytes(32)), "statement": SEALED,
    }  # fmt: skip
    until = format_time(c.log.now + DAY_MS)
    return {"disclosed": disclosed, "order": SEALED, "patient": patient, "until": until}


def withhold(c: MemoryPeople, who: Person, patient: str = "") -> str:
    """What the log answers."""
    body = later(c, patient or c.patient.patient)
    return c.log.answer(who, "disclosure.withheld", body, who.hospital)


def test_a_hospital_withholds_disclosures_of_its_own_records_alone() -> None:
    """Not of a patient of whom it has no record: the service would tell that patient of what never was."""
    c = MemoryPeople()
    assert withhold(c, c.admin) == withhold(c, c.system) == "appended"
    for who in (c.stranger, c.log.system(c.stranger)):
        assert withhold(c, who) == "unknown"
    other = c.log.patient(c.admin)
    assert withhold(c, c.admin, other.patient) == "unknown"
    c.log.upload(c.log.doctor(c.stranger), c.patient)
    assert withhold(c, c.stranger) == "appended"
    found(c.log, 0)


def test_what_is_retracted_is_nothing_to_disclose() -> None:
    c = MemoryPeople()
    body = {"purpose": "TREAT", "record": c.record.event.body["record"]}
    c.log.do(c.doctor, "record.retracted", body, c.patient)
    assert withhold(c, c.admin) == "unknown"
    assert withhold(c, c.admin, c.log.id("pt")) == "unknown"


def test_an_audit_finds_one_of_a_hospital_without_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verifiers of proofs keep no records and take it; who folds them, doesn't."""
    c = MemoryPeople()
    with monkeypatch.context() as patch:
        patch.setattr(Batch, "_check_facts", lambda self, event: None)
        assert withhold(c, c.stranger) == "appended"
    verify_log(c.log)
    (wrong,) = found(c.log, 1).wrong
    assert (wrong.seq, "has no record of" in wrong.what) == (len(c.log.entries) - 1, True)


def test_nothing_is_told_before_it_was_given() -> None:
    c = MemoryPeople()
    for given, answer in ((0, "appended"), (1, "malformed")):
        told = later(c, c.patient.patient)["disclosed"] | {"given": format_time(c.log.now + given)}
        assert c.log.answer(c.system, "record.disclosed", told, c.patient) == answer


@pytest.mark.parametrize(
    ("until", "given", "answer"),
    [
        (1, 0, "appended"),
        (SUSPENDED_DAYS * DAY_MS, 0, "appended"),
        (SUSPENDED_DAYS * DAY_MS + 1, 0, "malformed"),
        (0, 0, "malformed"),
        (1, 1, "malformed"),
    ],
)
def test_for_how_long_one_is_withheld(until: int, given: int, answer: str) -> None:
    """Milliseconds from now: until when, and when it was given out."""
    c = MemoryPeople()
    body = later(c, c.patient.patient) | {"until": format_time(c.log.now + until)}
    body["disclosed"]["given"] = format_time(c.log.now + given)
    assert c.log.answer(c.admin, "disclosure.withheld", body, c.hospital) == answer


def test_the_service_tells_what_was_withheld_once_and_in_time() -> None:
    c = MemoryPeople()
    body = later(c, c.patient.patient)
    withheld = c.log.do(c.admin, "disclosure.withheld", body, c.hospital)
    told = {name: body[name] for name in ("disclosed", "order", "until")} | {
        "disclosure": withheld.event.id,
        "hospital": c.hospital,
    }

    def tell(by: Person = c.service, on: Person = c.patient, **members: Any) -> str:
        return c.log.answer(by, "disclosure.suspended", told | members, on)

    c.log.wait(DAY_MS - 1)
    assert tell() == "malformed"
    c.log.wait(1)
    assert tell(c.admin) == tell(c.system) == "role"
    assert tell(hospital=c.elsewhere) == tell(on=c.log.patient(c.admin)) == "unknown"
    assert tell(disclosure=c.log.id("ev")) == "unknown"
    assert tell(disclosed=body["disclosed"] | {"count": 2}) == "malformed"
    assert tell(until=format_time(c.log.now - 1)) == "malformed"
    assert tell() == "appended"
    row = c.log.batch.look.get(Suspension, withheld.event.id)
    assert row is not None and row.told == len(c.log.entries) - 1
    assert tell() == "conflict"
    verify_log(c.log)
    found(c.log, 0)


def found(log: MemoryLog, wrong: int) -> Replay:
    """What an audit finds, so much of it wrong."""
    replay = Replay()
    for entry in log.entries:
        replay.take(entry.raw)
    assert len(replay.wrong) == wrong, replay.wrong
    return replay
