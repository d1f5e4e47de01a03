"""Requests for access: who asks whom, for what; what answers them, when, and never with more."""

from typing import Any

import pytest

from consent.replay import Replay
from ledger.asking import AccessRequest
from ledger.facts import Grant
from ledger.times import DAY_MS, format_time
from tests.support.memory_log import SEALED, Body, MemoryLog, Person, reading, verify_log
from tests.support.memory_people import MemoryPeople

NOBODYS = "ev_00000000000000000000000001"


class Asking(MemoryPeople):
    """And a doctor of the second hospital, who asks."""

    def __post_init__(self) -> None:
        """The doctor is approved by the stranger."""
        super().__post_init__()
        self.asker = self.log.doctor(self.stranger)

    def ask(self, by: Person | None = None, **members: Any) -> str:
        return self.log.answer(
            by or self.asker, "access.requested", asked() | members, self.patient
        )

    def asked(self, **members: Any) -> str:
        """The id of a request that was taken."""
        body = asked() | members
        return self.log.do(self.asker, "access.requested", body, self.patient).event.id

    def answer(self, request: str, by: Person | None = None, **members: Any) -> str:
        body = granting(self.log, request) | members
        kept = {name: value for name, value in body.items() if value is not None}
        return self.log.answer(by or self.patient, "access.answered", kept, self.patient)

    def rows(self) -> Replay:
        """What an audit finds."""
        replay = Replay()
        for entry in self.log.entries:
            replay.take(entry.raw)
        assert replay.wrong == []
        return replay

    def row(self, kind: type[AccessRequest], request: str) -> AccessRequest | None:
        return self.rows().rows.get(kind, request)

    def grants(self) -> list[Grant]:
        return list(self.rows().rows.group(Grant, self.patient.patient, self.asker.account))

    def opens(self) -> str:
        return self.log.answer(self.asker, "record.opened", reading(self.record), self.patient)


def asked() -> Body:
    return {
        "actions": ["list", "read"], "days": 30, "purpose": "TREAT", "scope": "full", "words": SEALED,
    }  # fmt: skip


def granting(log: MemoryLog, request: str) -> Body:
    return {
        "actions": ["list", "read"], "end": format_time(log.now + 30 * DAY_MS), "grant": log.id("gr"), "purpose": "PATRQT",
        "request": request, "scope": "full", "start": format_time(log.now), "verdict": "granted",
    }  # fmt: skip


def no(request: str) -> Body:
    return {"purpose": "PATRQT", "request": request, "verdict": "declined"}


def test_a_request_is_answered_with_a_grant_once() -> None:
    c = Asking()
    assert c.opens() == "deny S12 no_consent"
    request = c.asked()
    assert c.opens() == "deny S12 no_consent"
    assert c.answer(request) == "appended"
    assert c.opens() == "appended"
    assert c.answer(request) == "conflict"
    assert c.log.answer(c.patient, "access.answered", no(request), c.patient) == "conflict"
    ended = {"grantee": c.asker.account, "purpose": "PATRQT"}
    assert c.log.answer(c.patient, "access.revoked", ended, c.patient) == "appended"
    assert c.opens() == "deny S12 no_consent"
    assert verify_log(c.log).size == len(c.log.entries)
    row = c.row(AccessRequest, request)
    assert row is not None and row.state(c.log.now) == "granted"


def test_a_grant_that_answers_has_an_id_of_its_own() -> None:
    c = Asking()
    grant = c.log.id("gr")
    assert c.answer(c.asked(), grant=grant) == "appended"
    second = c.asked()
    assert c.answer(second, grant=grant) == "duplicate_id"
    assert c.answer(second) == "appended"


def test_a_request_lapses_at_its_instant() -> None:
    for milliseconds, answer in ((-1, "appended"), (0, "conflict")):
        c = Asking()
        request = c.asked()
        c.log.wait(days=30, milliseconds=milliseconds)
        row = c.row(AccessRequest, request)
        assert row is not None
        assert row.state(c.log.now) == ("open" if milliseconds else "lapsed")
        assert c.answer(request) == answer


def test_no_gives_nothing() -> None:
    c = Asking()
    request = c.asked()
    assert c.answer(request, verdict="declined") == "malformed"
    assert c.log.answer(c.patient, "access.answered", no(request), c.patient) == "appended"
    assert c.opens() == "deny S12 no_consent"
    assert c.answer(request) == "conflict"


PART: Body = {"scope": "partial", "what": {"categories": ["laboratory"], "date_from": "2020-01-01"}}


@pytest.mark.parametrize(
    ("wanted", "given", "answer"),
    [
        ({}, {"actions": ["read"]}, "appended"),
        ({}, {"actions": ["append", "list", "read"]}, "malformed"),
        ({"actions": ["read"]}, {}, "malformed"),
        ({"days": 29}, {}, "malformed"),
        ({}, {"purposes": ["TREAT"]}, "appended"),
        ({}, {"purposes": ["HRESCH", "TREAT"]}, "malformed"),
        ({"purpose": "HRESCH"}, {}, "malformed"),
        ({"purpose": "HRESCH"}, {"purposes": ["HRESCH"]}, "appended"),
        ({}, {"sensitive": True}, "malformed"),
        ({}, {"labels": ["l_00000000000000000000000001"]}, "malformed"),
        ({"sensitive": True}, {"sensitive": True}, "appended"),
        ({}, {"uses": 1}, "appended"),
        ({}, {"exceptions": [{"categories": ["imaging"], "type": "deny"}]}, "appended"),
        ({}, PART, "appended"),
        (PART, {}, "malformed"),
        (PART, PART, "appended"),
        (PART, {"scope": "partial", "what": {"categories": ["laboratory"]}}, "malformed"),
        (PART, {"scope": "partial", "what": PART["what"] | {"date_from": "2019-12-31"}}, "malformed"),
        (PART, {"scope": "partial", "what": PART["what"] | {"date_from": "2020-01-02"}}, "appended"),
        (PART, {"scope": "partial", "what": PART["what"] | {"categories": ["imaging", "laboratory"]}},
         "malformed"),
        (PART, {"scope": "partial", "what": PART["what"] | {"episodes": ["ep_00000000000000000000000001"]}},
         "appended"),
        ({"scope": "partial", "what": {"date_to": "2020-01-01"}},
         {"scope": "partial", "what": {"date_from": "2019-01-01"}}, "malformed"),
        ({}, {"actions": None}, "malformed"),
        ({}, {"end": None}, "malformed"),
    ],
)  # fmt: skip
def test_an_answer_gives_no_more_than_was_asked_for(wanted: Body, given: Body, answer: str) -> None:
    c = Asking()
    assert c.answer(c.asked(**wanted), **given) == answer
    if answer == "appended":
        (grant,) = c.grants()
        assert grant.active


@pytest.mark.parametrize(
    ("which", "answer"), [("this", "appended"), ("another", "malformed"), ("strict", "malformed")]
)
def test_single_records_are_answered_where_they_lie_in_what_was_asked(
    which: str, answer: str
) -> None:
    c = Asking()
    record = c.record.event.body["record"]
    other = c.log.upload(c.doctor, c.patient, category="imaging").event.body["record"]
    strict = c.log.upload(c.doctor, c.patient, confidentiality="restricted").event.body["record"]
    picked = {"this": record, "another": other, "strict": strict}[which]
    category = c.record.event.body["category"]
    assert category != "imaging"
    said: Body = {"scope": "selective", "records": [picked]}
    part = c.asked(scope="partial", what={"categories": [category]})
    assert c.answer(part, **said) == answer
    if which != "this":
        # of single records, no others
        assert c.ask(scope="selective", records=[record]) == "conflict"
        assert c.log.answer(c.patient, "access.answered", no(part), c.patient) == "appended"
        single = c.asked(scope="selective", records=[record])
        assert c.answer(single, **said) == "malformed"
        assert c.answer(single) == "malformed"
        assert c.answer(single, scope="selective", records=[record]) == "appended"


@pytest.mark.parametrize(
    ("who", "bent", "answer"),
    [
        ("asker", {}, "appended"),
        ("doctor", {}, "appended"),
        ("admin", {}, "deny S1 role"),
        ("system", {}, "deny S1 role"),
        ("patient", {}, "deny S1 role"),
        ("person", {}, "deny S1 role"),
        ("asker", {"days": 366}, "malformed"),
        ("asker", {"purpose": "BTG"}, "deny S8 emergency_needed"),
        ("asker", {"records": ["rc_00000000000000000000000001"]}, "malformed"),
        ("asker", {"scope": "selective", "records": ["rc_00000000000000000000000001"]}, "appended"),
        ("asker", {"scope": "partial", "what": {}}, "malformed"),
        ("asker", {"scope": "partial", "what": {"date_from": "2026-02-02", "date_to": "2026-02-01"}}, "malformed"),
        ("asker", {"hospital": "hs_00000000000000000000000001"}, "unknown"),
    ],
)  # fmt: skip
def test_who_may_ask_for_what(who: str, bent: Body, answer: str) -> None:
    c = Asking()
    assert c.ask(getattr(c, who), **bent) == answer


def test_one_asks_a_few_times_and_in_ones_own_name() -> None:
    c = Asking()
    assert c.ask(hospital=c.elsewhere) == "malformed"
    on_behalf = {"on_behalf_of": c.doctor.account}
    body = asked()
    said = c.log.answer(c.asker, "access.requested", body, c.patient, **on_behalf)
    assert said == "malformed"
    first = c.asked()
    assert c.ask() == "conflict"
    assert c.ask(hospital=c.hospital) == "appended"
    assert c.log.answer(c.patient, "access.answered", no(first), c.patient) == "appended"
    assert c.ask() == "appended"
    assert c.ask(hospital=c.hospital) == "conflict"
    c.log.wait(days=30)
    assert c.ask() == "appended"


@pytest.mark.parametrize("reader", ["account", "hospital", "group"])
def test_the_excluded_are_answered_as_everybody(reader: str) -> None:
    c = Asking()
    group = c.log.id("gp")
    c.log.do(c.stranger, "group.formed", {"group": group})
    c.log.do(c.stranger, "group.joined", {"account": c.asker.account, "group": group})
    named = {"account": c.asker.account, "hospital": c.elsewhere, "group": group}[reader]
    c.log.do(c.patient, "reader.excluded", {"purpose": "PATRQT", "reader": named}, c.patient)
    entry = c.log.do(c.asker, "access.requested", asked(), c.patient)
    assert entry.decision is not None
    assert {k: v for k, v in entry.decision.items() if k in ("effect", "rule", "basis")} == {
        "effect": "permit", "rule": "S12", "basis": [],
    }  # fmt: skip
    assert c.ask() == "conflict"


def test_a_hospital_answers_for_its_own_records_or_leaves_it_to_the_patient() -> None:
    c = Asking()
    ours = {"hospital": c.hospital}
    request = c.asked(**ours)
    named = {"purpose": "HOPERAT", "request": request}

    def say(who: Person, kind: str, **members: Any) -> str:
        return c.log.answer(who, kind, named | members, c.patient)

    assert say(c.stranger, "access.forwarded") == "deny S12 no_consent"
    assert say(c.doctor, "access.forwarded") == "deny S1 role"
    c.log.upload(c.asker, c.patient)
    assert say(c.stranger, "access.forwarded") == "unknown"
    assert say(c.stranger, "access.closed", verdict="declined") == "unknown"
    assert say(c.admin, "access.closed", verdict="disclosed") == "malformed"
    assert say(c.admin, "access.closed", verdict="declined", by=request) == "malformed"
    assert say(c.admin, "access.forwarded", request=NOBODYS) == "unknown"
    assert say(c.admin, "access.forwarded") == "appended"
    assert say(c.admin, "access.forwarded") == "conflict"
    assert c.answer(request) == "appended"
    assert say(c.admin, "access.closed", verdict="declined") == "conflict"
    second = c.asked(**ours)
    given = {"verdict": "disclosed", "by": request, "request": second}
    assert say(c.admin, "access.closed", **given) == "appended"
    assert say(c.admin, "access.closed", **given) == "conflict"


def test_a_request_about_somebody_else_is_unknown() -> None:
    c = Asking()
    other = c.log.patient(c.admin)
    request = c.asked()
    body = granting(c.log, request)
    assert c.log.answer(other, "access.answered", body, other) == "unknown"
    assert c.log.answer(other, "access.answered", no(request), other) == "unknown"
    assert c.log.answer(other, "access.answered", no(request), c.patient) == "deny S0 invalid"
    assert c.log.answer(c.asker, "access.answered", no(request), c.patient) == "deny S1 role"
