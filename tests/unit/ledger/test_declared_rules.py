"""What each type demands and changes, where no other page of these tests comes by: an answer, or a row, a type."""

from collections.abc import Callable
from typing import Any

import pytest

from crypto.encoding import b64encode
from crypto.notes import LogSigner
from ledger.directory import GroupMember, Patient
from ledger.editions import PEOPLE
from ledger.errors import Refused
from ledger.facts import Exclusion, Grant, Record
from ledger.registry import registry_hash
from ledger.signers import check_rules, created_ids
from tests.support.memory_log import Body, MemoryLog, Person, reading
from tests.support.memory_people import MemoryPeople, Scenario, after, say


def stranger_patient(c: MemoryPeople) -> Person:
    """A patient of the other hospital, with a record of their own."""
    return c.log.patient(c.stranger)


def others_record(c: MemoryPeople) -> str:
    """A record in somebody else's chart."""
    doctor = c.log.doctor(c.stranger)
    return str(c.log.upload(doctor, stranger_patient(c)).event.body["record"])


def record(c: MemoryPeople) -> str:
    """The record in the patient's chart."""
    return str(c.record.event.body["record"])


def as_patient(c: MemoryPeople, kind: str, v: int = 1, **body: Any) -> str:
    """The patient says something of their own chart."""
    return c.log.answer(c.patient, kind, {"purpose": "PATRQT", **body}, v=v)


def as_admin(c: MemoryPeople, kind: str, **body: Any) -> str:
    """The hospital's admin says something."""
    return c.log.answer(c.admin, kind, body)


def group(c: MemoryPeople) -> str:
    """A group of the hospital."""
    formed = c.log.do(c.admin, "group.formed", {"group": c.log.id("gp")})
    return str(formed.event.body["group"])


def with_doctor(c: MemoryPeople, kind: str, *kinds_before: str) -> str:
    """The answer to the last of these about the doctor in one group."""
    body = {"account": c.doctor.account, "group": group(c)}
    for before in kinds_before:
        assert as_admin(c, before, **body) == "appended"
    return as_admin(c, kind, **body)


def corrected(c: MemoryPeople, **members: Any) -> str:
    """A correction of the patient's chart."""
    body = {"patient": c.patient.patient, "purpose": "TREAT", "adult": True} | members
    return c.log.answer(c.admin, "patient.corrected", body, c.patient)


def carried(c: MemoryPeople, **members: Any) -> str:
    """The hospital's system carries the record forward."""
    body = reading(c.record, "HOPERAT") | members
    return c.log.answer(c.system, "record.carried", body, c.patient)


def added_keys(
    c: MemoryPeople, seed: int = 1, origin: str = "", turned: bool = False, by: Person | None = None
) -> str:
    """New keys of the log."""
    keys = LogSigner(origin or c.log.origin, bytes([seed] * 32), bytes([seed] * 32)).keys
    texts = [str(key) for key in keys][:: -1 if turned else 1]
    return c.log.answer(by or c.operator, "log_key.added", {"log_keys": texts})


def retired_keys(c: MemoryPeople, off: int = 0) -> str:
    """The keys before those of the last entry are retired."""
    seq = c.log.batch.entries[-1].link.seq
    return c.log.answer(c.operator, "log_key.retired", {"added": seq + off})


SIGN_INS: dict[str, Body] = {
    "factor.added": {"factor": "code"},
    "factor.removed": {"factor": "code"},
    "recovery.used": {"left": 9},
    "session.ended": {"reason": "owner"},
    "session.locked": {"until": "2026-11-20T07:39:00.123Z"},
    "session.opened": {"assurance": 1, "means": "password", "role": "person"},
    "session.stepped_up": {"means": "code"},
}
"""The types of sign-ins, and their bodies but for account and session."""


def signs_in(
    c: MemoryPeople, kind: str, by: Person | None = None, of: str = "", on: str = "", **members: Any
) -> str:
    """The service says of the patient's account, or of another, that somebody signed in."""
    body = {"account": of or c.patient.account} | SIGN_INS[kind] | members
    if kind in ("session.ended", "session.opened", "session.stepped_up"):
        body = {"session": c.log.id("ss")} | body
    return c.log.answer(by or c.service, kind, body, on)


def opened_twice(c: MemoryPeople) -> str:
    """Two sessions of one id."""
    session = c.log.id("ss")
    return after(*(signs_in(c, "session.opened", session=session) for _ in range(2)))


RULES: dict[str, tuple[str, Scenario]] = {
    "a partial grant of nothing": (
        "malformed",
        lambda c: as_patient(c, "access.granted", 2, **c.log.grant_body(c.doctor.account, scope="partial")),
    ),
    "a grant to a group that nobody formed": (
        "unknown",
        lambda c: as_patient(c, "access.granted", 2, **c.log.grant_body(c.log.id("gp"))),
    ),
    "a grant that is too long, in the first form": (
        "malformed", lambda c: as_patient(c, "access.granted", **c.log.grant_body(c.doctor.account, 400))),
    "a revocation of nothing, in the first form": (
        "unknown", lambda c: as_patient(c, "access.revoked", grantee=c.doctor.account)),
    "a revocation of nothing": (
        "unknown", lambda c: as_patient(c, "access.revoked", 2, grantee=c.doctor.account)),
    "a grant to a group that nobody formed, in the newest form": (
        "unknown",
        lambda c: as_patient(c, "access.granted", 3, **c.log.grant_body(c.log.id("gp"))),
    ),
    "a grant that is too long, in the newest form": (
        "malformed", lambda c: as_patient(c, "access.granted", 3, **c.log.grant_body(c.doctor.account, 400))),
    "a revocation of nothing, in the newest form": (
        "unknown", lambda c: as_patient(c, "access.revoked", 3, grantee=c.doctor.account)),
    "the operator's account again": (
        "duplicate_id",
        lambda c: c.log.answer(c.operator, "account.registered", {"account": c.operator.account}),
    ),
    "a group in another hospital": (
        "stream", say("group.formed", "stranger", lambda c: {"group": c.log.id("gp")}, "hospital")),
    "into a group twice": ("conflict", lambda c: with_doctor(c, "group.joined", "group.joined")),
    "out of a group twice": ("unknown", lambda c: with_doctor(c, "group.left", "group.joined", "group.left")),
    "a correction of another patient": (
        "stream", lambda c: corrected(c, patient=stranger_patient(c).patient)),
    "a registry that holds less": (
        "registry",
        lambda c: c.log.answer(c.operator, "policy.changed", {
            "policy": c.log.batch.policies[c.log.now], "registry": b64encode(registry_hash(2))}),
    ),
    "new keys of the log": ("appended", lambda c: added_keys(c)),
    "new keys of the log, of another name": ("malformed", lambda c: added_keys(c, origin="other.example/log")),
    "new keys of the log, in another order": ("malformed", lambda c: added_keys(c, turned=True)),
    "new keys of the log, which it has": (
        "conflict", lambda c: c.log.answer(c.operator, "log_key.added", {"log_keys": c.log.vkeys})),
    "new keys of the log, before the ones before are retired": (
        "conflict", lambda c: after(added_keys(c), added_keys(c, seed=2))),
    "new keys of the log, signed by the service": ("role", lambda c: added_keys(c, by=c.service)),
    "retiring the only keys of the log": (
        "conflict", lambda c: c.log.answer(c.operator, "log_key.retired", {"added": 1})),
    "retiring the log's keys for others than the newest": (
        "conflict", lambda c: after(added_keys(c), retired_keys(c, off=1))),
    "retiring the log's older keys": ("appended", lambda c: after(added_keys(c), retired_keys(c))),
    "retiring the log's keys twice": (
        "conflict", lambda c: after(added_keys(c), retired_keys(c), retired_keys(c, off=-1))),
    "whoever is excluded already": (
        "conflict",
        lambda c: after(
            as_patient(c, "reader.excluded", reader=c.doctor.account),
            as_patient(c, "reader.excluded", reader=c.doctor.account),
        ),
    ),
    "whoever isn't excluded": (
        "conflict", lambda c: as_patient(c, "reader.included", reader=c.doctor.account)),
    "what is hidden already": (
        "conflict",
        lambda c: after(
            as_patient(c, "record.hidden", record=record(c)),
            as_patient(c, "record.hidden", record=record(c)),
        ),
    ),
    "what isn't hidden": ("conflict", lambda c: as_patient(c, "record.shown", record=record(c))),
    "somebody else's record hidden": (
        "unknown", lambda c: as_patient(c, "record.hidden", record=others_record(c))),
    "a version that isn't there, carried": ("unknown", lambda c: carried(c, version=2)),
    "carried": ("appended", lambda c: carried(c)),
    "somebody else's record opened": (
        "unknown",
        lambda c: as_patient(c, "record.opened", **reading(c.record) | {"record": others_record(c)}),
    ),
    "one's own record retracted": (
        "appended",
        lambda c: c.log.answer(
            c.doctor, "record.retracted", {"purpose": "TREAT", "record": record(c)}, c.patient),
    ),
    "one's own record amended": (
        "appended",
        lambda c: c.log.answer(
            c.doctor, "record.amended", c.log.record_body(record=record(c), version=2), c.patient),
    ),
    "a session in a role that a hospital gives, without one": (
        "malformed", lambda c: signs_in(c, "session.opened", role="doctor")),
    "a session in a role that no hospital gives, at one": (
        "malformed", lambda c: signs_in(c, "session.opened", hospital=c.hospital)),
    "a session at a hospital": (
        "appended",
        lambda c: signs_in(
            c, "session.opened", role="doctor", hospital=c.hospital, assurance=2, means="password_code"),
    ),
    "a reset by a key": ("appended", lambda c: signs_in(c, "factor.removed", key=c.patient.key.id, reset=True)),
    "a reset by no key": ("malformed", lambda c: signs_in(c, "factor.removed", reset=True)),
    "a password reset by a key": (
        "appended", lambda c: signs_in(
            c, "factor.added", factor="password", key=c.patient.key.id, replaces=True, reset=True)),
    "a password reset by no key": (
        "malformed", lambda c: signs_in(c, "factor.added", factor="password", replaces=True, reset=True)),
    "a reset of nothing": (
        "malformed", lambda c: signs_in(c, "factor.added", factor="password", key=c.patient.key.id, reset=True)),
    "a session of two factors by one": ("malformed", lambda c: signs_in(c, "session.opened", assurance=2)),
    "a session of one factor by two": (
        "malformed", lambda c: signs_in(c, "session.opened", means="password_recovery")),
    "a session twice": ("duplicate_id", opened_twice),
}  # fmt: skip


@pytest.mark.parametrize("kind", SIGN_INS)
def test_sign_ins_are_said_by_the_service_of_accounts_that_are_there(kind: str) -> None:
    """In their own stream."""
    c = MemoryPeople()
    assert signs_in(c, kind) == "appended"
    assert signs_in(c, kind, by=c.person) == "role"
    assert signs_in(c, kind, by=c.operator) == "role"
    assert signs_in(c, kind, of=c.log.id("ac")) == "unknown"
    assert signs_in(c, kind, on=c.doctor.account) == "stream"


def test_no_earlier_edition_has_sign_ins() -> None:
    c = MemoryPeople(MemoryLog(edition=PEOPLE - 1))
    assert {signs_in(c, kind) for kind in SIGN_INS} == {"registry"}


@pytest.mark.parametrize(("answer", "scenario"), RULES.values(), ids=RULES)
def test_rules(answer: str, scenario: Scenario) -> None:
    assert scenario(MemoryPeople()) == answer


def test_somebody_elses_hidden_record_stays_so() -> None:
    c = MemoryPeople()
    other = stranger_patient(c)
    doctor = c.log.doctor(c.stranger)
    theirs = str(c.log.upload(doctor, other).event.body["record"])
    c.log.do(other, "record.hidden", {"purpose": "PATRQT", "record": theirs})
    assert as_patient(c, "record.shown", record=theirs) == "unknown"


def _row(c: MemoryPeople, kind: type, *key: str) -> Any:
    return c.log.batch.look.get(kind, *key)


def granted_and_revoked(c: MemoryPeople, v: int) -> Any:
    body = c.log.grant_body(c.doctor.account)
    assert as_patient(c, "access.granted", v, **body) == "appended"
    assert as_patient(c, "access.revoked", v, grantee=c.doctor.account) == "appended"
    return _row(c, Grant, c.patient.patient, c.doctor.account, body["grant"]).active


def joined_and_left(c: MemoryPeople) -> Any:
    body = {"account": c.doctor.account, "group": group(c)}
    assert as_admin(c, "group.joined", **body) == "appended"
    joined = _row(c, GroupMember, body["account"], body["group"]).active
    assert as_admin(c, "group.left", **body) == "appended"
    return joined, _row(c, GroupMember, body["account"], body["group"]).active


def died(c: MemoryPeople) -> Any:
    assert corrected(c, deceased=True) == "appended"
    seq = c.log.batch.entries[-1].link.seq
    return _row(c, Patient, c.patient.patient).deceased == seq


def excluded_and_included(c: MemoryPeople) -> Any:
    found = []
    for kind in ("reader.excluded", "reader.included"):
        assert as_patient(c, kind, reader=c.hospital) == "appended"
        found.append(_row(c, Exclusion, c.patient.patient, c.hospital).active)
    return tuple(found)


def hidden_and_shown(c: MemoryPeople) -> Any:
    found = []
    for kind in ("record.hidden", "record.shown"):
        assert as_patient(c, kind, record=record(c)) == "appended"
        found.append(_row(c, Record, record(c)).hidden > 0)
    return tuple(found)


CHANGES: dict[str, tuple[Any, Callable[[MemoryPeople], Any]]] = {
    "a grant of the first form ends": (False, lambda c: granted_and_revoked(c, 1)),
    "a grant of the second form ends": (False, lambda c: granted_and_revoked(c, 2)),
    "who joins and leaves": ((True, False), joined_and_left),
    "who has died": (True, died),
    "who is excluded and included": ((True, False), excluded_and_included),
    "what is hidden and shown": ((True, False), hidden_and_shown),
}


@pytest.mark.parametrize(("expected", "scenario"), CHANGES.values(), ids=CHANGES)
def test_changes(expected: Any, scenario: Callable[[MemoryPeople], Any]) -> None:
    assert scenario(MemoryPeople()) == expected


@pytest.mark.parametrize("v", [1, 2])
def test_a_refusal_uses_up_the_id_of_what_it_refused(v: int) -> None:
    c = MemoryPeople()
    inner = c.log.event(c.doctor, "record.opened", reading(c.record), c.patient)
    body: Body = {"event": inner.value, "sig": c.log.sign(c.doctor, inner).json()}
    refusal = c.log.event(c.service, "access.refused", body, c.patient, v=v)
    assert created_ids(refusal, c.log.batch.look) == [refusal.id, inner.id]


def test_from_the_third_edition_on_refusals_are_of_the_second_form() -> None:
    c = MemoryPeople()
    inner = c.log.event(c.doctor, "record.opened", reading(c.record), c.patient)
    body: Body = {"event": inner.value, "sig": c.log.sign(c.doctor, inner).json()}
    first, second = (c.log.event(c.service, "access.refused", body, c.patient, v=v) for v in (1, 2))
    given = c.log.now, c.log.origin, c.log.batch.look
    check_rules(second, *given)
    with pytest.raises(Refused, match="expected v2"):
        check_rules(first, *given)
