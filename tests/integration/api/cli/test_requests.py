"""The commands about requests for access, over a server, as people type them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.api.cli.test_commands_from_afar import Afar
from tests.support.ledger_fixture import LedgerFixture
from tests.support.people import People
from tests.support.server import in_process

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
WHY = ("--words", "Planning the operation")


@pytest.fixture
def afar(fixture: LedgerFixture, tmp_path: Path) -> Iterator[Afar]:
    people = People.of(fixture)
    with in_process(fixture.ledger) as web:
        yield Afar(people, web.url, tmp_path)


def test_a_request_from_the_asking_to_the_smaller_grant(afar: Afar) -> None:
    people, pat = afar.people, afar.people.pat
    doctor = people.fixture.doctor()
    part = ("--category", "laboratory", "--days", "14")
    said = afar.json("request", "send", pat.patient, *WHY, *part, actor=doctor)
    request = said["request"]
    again = afar.run("request", "send", pat.patient, *WHY, actor=doctor, code=1)
    assert f"entry {said['seq']} asked already" in again.err
    listed = afar.run("request", "list", actor=pat.actor).out
    assert (
        request in listed and "asks for part of the chart" in listed and "1 request open" in listed
    )
    shown = afar.run("request", "show", request, actor=pat.actor).out
    assert "Planning the operation" in shown and "this look is entry" in shown
    more = afar.run("request", "answer", request, "--days", "15", actor=pat.actor, code=2)
    assert "more days" in more.err
    afar.run("request", "answer", request, "--no", "--days", "3", actor=pat.actor, code=2)
    less = ("--days", "3", "--uses", "1")
    answered = afar.run("request", "answer", request, *less, actor=pat.actor).out
    assert f"Granted {doctor.account} access: gr_" in answered
    assert "granted" in afar.run("request", "list", actor=doctor).out
    out = ("--out", afar.folder / "x")
    afar.run("open", people.record, *out, actor=doctor)


def test_a_no_and_what_is_not_there(afar: Afar) -> None:
    pat, doctor = afar.people.pat, afar.people.doctor
    request = afar.json("request", "send", pat.patient, *WHY, actor=doctor)["request"]
    assert "Declined" in afar.run("request", "answer", request, "--no", actor=pat.actor).out
    nobodys = "ev_00000000000000000000000001"
    for command in ("show", "answer"):
        assert nobodys in afar.run("request", command, nobodys, actor=pat.actor, code=2).err
    afar.run("request", "send", "nobody", *WHY, actor=doctor, code=2)


def test_a_hospital_forwards_and_closes(afar: Afar) -> None:
    north, pat, doctor = afar.people.fixture.north, afar.people.pat, afar.people.fixture.doctor()
    at = ("--hospital", north.hospital)
    request = afar.json("request", "send", pat.patient, *WHY, *at, actor=doctor)["request"]
    assert f"asks of {north.hospital}" in afar.run("request", "list", actor=north.admin).out
    assert "0 requests open" in afar.run("request", "list", actor=pat.actor).out
    assert "Forwarded" in afar.run("request", "forward", request, actor=north.admin).out
    assert request in afar.run("request", "list", actor=pat.actor).out
    named = ("--disclosure", request, "--referral", request)
    afar.run("request", "close", request, *named, actor=north.admin, code=2)
    assert "is declined" in afar.run("request", "close", request, actor=north.admin).out
    afar.run("request", "close", "ev_00000000000000000000000001", actor=north.admin, code=2)
