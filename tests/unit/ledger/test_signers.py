"""Who may sign: keys, roles, hospitals. Each line of a table is a small scenario and the log's answer."""

from dataclasses import replace
from typing import Any

import pytest

from ledger.times import format_time
from tests.support.memory_log import START, reading
from tests.support.memory_people import (
    MemoryPeople,
    Scenario,
    account_body,
    after,
    approve,
    say,
    suspend,
    term,
    upload,
)

SIGNERS: dict[str, tuple[str, Scenario]] = {
    "an unknown key": ("key", lambda c: upload(c, c.doctor.holding(c.log.new_key()))),
    "another account's key": ("key", lambda c: upload(c, c.doctor.holding(c.system.key))),
    "an unknown account": ("key", lambda c: upload(c, replace(c.doctor, account=c.log.id("ac")))),
    "a revoked key": (
        "deny S0 invalid",
        lambda c: after(c.revoke(c.operator, c.doctor), upload(c, c.doctor)),
    ),
    "a role that the type does not take": ("deny S1 role", lambda c: upload(c, c.admin)),
    "a role never held": (
        "deny S0 invalid",
        lambda c: upload(c, c.person.acting("doctor", c.hospital)),
    ),
    "a role at another hospital": ("deny S0 invalid", lambda c: upload(c, replace(c.doctor, hospital=c.elsewhere))),
    "a role that has ended": ("deny S0 invalid", lambda c: after(c.end("doctor.ended", c.doctor), upload(c, c.doctor))),
    "a suspended doctor": ("deny S0 invalid", lambda c: after(c.end("doctor.suspended", c.doctor), upload(c, c.doctor))),
    "a doctor who is back": (
        "appended",
        lambda c: after(c.end("doctor.suspended", c.doctor), c.end("doctor.approved", c.doctor), upload(c, c.doctor)),
    ),
    "a system that has ended": ("deny S0 invalid", lambda c: after(c.end("system.ended", c.system), upload(c, c.system))),
    "an admin who has ended": (
        "role",
        lambda c: after(c.end("admin.ended", c.admin), c.end("doctor.ended", c.doctor)),
    ),
    "a suspended hospital's doctor": ("deny S0 invalid", lambda c: after(suspend(c), upload(c, c.doctor))),
    "a suspended hospital's admin": ("role", lambda c: after(suspend(c), c.end("doctor.ended", c.doctor))),
    "a hospital approved again": (
        "appended",
        lambda c: after(suspend(c), approve(c, c.hospital), upload(c, c.doctor)),
    ),
    "the patient of another chart": (
        "deny S0 invalid",
        lambda c: c.log.answer(c.log.patient(c.admin), "history.opened", {"purpose": "PATRQT"}, c.patient),
    ),
    "the patient": ("appended", say("history.opened", "patient", lambda c: {"purpose": "PATRQT"})),
    "a relative of nobody": (
        "deny S0 invalid",
        lambda c: c.log.answer(c.person.acting("relative"), "history.opened", {"purpose": "FAMRQT"}, c.patient),
    ),
    "a doctor as the operator": (
        "role",
        lambda c: c.log.answer(c.doctor.acting("operator"), "hospital.suspended", {"hospital": c.hospital}),
    ),
    "a doctor as the service": (
        "role",
        lambda c: c.log.answer(c.doctor.acting("service"), "account.registered", {"account": c.log.id("ac")}),
    ),
    "an auditor in term": ("appended", lambda c: term(c, 0, 1)),
    "an auditor before the term": ("deny S0 invalid", lambda c: term(c, 1, 2)),
    "an auditor at the term's end": ("deny S0 invalid", lambda c: term(c, -1, 0)),
    "an auditor who was ended": (
        "deny S0 invalid",
        lambda c: after(
            auditor := c.log.auditor(),
            c.log.do(c.operator, "auditor.ended", {"account": auditor.account}),
            c.log.answer(auditor, "history.opened", {"purpose": "HOPERAT"}, c.patient),
        ),
    ),
    "ending an auditor who is none": (
        "unknown", say("auditor.ended", "operator", lambda c: {"account": c.doctor.account})),
    "an auditor whose term ends before it begins": ("malformed", lambda c: term(c, 2, 2)),
    "an auditor without an account": (
        "unknown",
        say("auditor.appointed", "operator", lambda c: {
            "account": c.log.id("ac"), "start": format_time(START), "end": format_time(START + 1)}),
    ),
    "a refusal that the service makes up": (
        "role",
        lambda c: c.log.answer(c.service, "access.refused", nested(c), c.patient),
    ),
}  # fmt: skip


def nested(c: MemoryPeople) -> dict[str, Any]:
    event = c.log.event(c.doctor, "record.opened", reading(c.record), c.patient)
    return {"event": event.value, "sig": c.log.sign(c.doctor, event).json()}


HOSPITALS: dict[str, tuple[str, Scenario]] = {
    "a second admin by an admin": ("appended", say("admin.appointed", "admin", account_body)),
    "a second admin by the operator": ("role", say("admin.appointed", "operator", account_body, "hospital")),
    "an admin by the operator when the first has gone": (
        "role",
        lambda c: after(
            c.end("admin.ended", c.admin),
            c.log.answer(c.operator, "admin.appointed", account_body(c), c.hospital),
        ),
    ),
    "an admin by the operator after suspension and approval": (
        "role",
        lambda c: after(
            suspend(c), approve(c, c.hospital),
            c.log.answer(c.operator, "admin.appointed", account_body(c), c.hospital),
        ),
    ),
    "an admin of no hospital": (
        "unknown",
        lambda c: c.log.answer(c.operator, "admin.appointed", account_body(c), c.log.id("hs")),
    ),
    "an admin without an account": (
        "unknown", say("admin.appointed", "admin", lambda c: {"account": c.log.id("ac")})),
    "a doctor by the operator": ("role", say("doctor.approved", "operator", account_body, "hospital")),
    "a doctor by a doctor": ("role", say("doctor.approved", "doctor", account_body, "hospital")),
    **{
        f"{kind} by another hospital's admin": ("stream", say(kind, "stranger", account_body, "hospital"))
        for kind in ("admin.appointed", "system.added", "doctor.approved")
    },
    **{
        f"{kind} by another hospital's admin": (
            "stream", say(kind, "stranger", lambda c: {"account": c.doctor.account}, "hospital"))
        for kind in ("admin.ended", "system.ended", "doctor.suspended", "doctor.ended")
    },
    **{
        f"{kind} of somebody who is none": (
            "unknown", say(kind, "admin", lambda c: {"account": c.patient.account}))
        for kind in ("admin.ended", "system.ended", "doctor.suspended", "doctor.ended")
    },
    "suspending twice": (
        "unknown",
        lambda c: after(suspend(c), c.log.answer(c.operator, "hospital.suspended", {"hospital": c.hospital})),
    ),
    "suspending nothing": (
        "unknown", say("hospital.suspended", "operator", lambda c: {"hospital": c.log.id("hs")})),
}  # fmt: skip


@pytest.mark.parametrize("name", SIGNERS)
def test_who_may_sign(name: str) -> None:
    expected, scenario = SIGNERS[name]
    assert scenario(MemoryPeople()) == expected


@pytest.mark.parametrize("name", HOSPITALS)
def test_who_may_change_a_hospital(name: str) -> None:
    expected, scenario = HOSPITALS[name]
    assert scenario(MemoryPeople()) == expected
