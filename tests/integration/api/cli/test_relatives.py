"""Acting for somebody else by commands: a relative, a guardian, a colleague; next to the data and from afar."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from client import registering
from client.local import LocalClient
from client.registering import NewPatient
from identity.actors import Actor, new_id, new_key, write_keyfile
from journeys.days import today
from tests.support.commands import Ran, heartwood
from tests.support.ledger_fixture import CONTENT, LedgerFixture
from tests.support.server import in_process

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@dataclass
class Desk:
    """Commands on a ledger, perhaps by way of its server."""

    fixture: LedgerFixture
    url: str
    folder: Path

    def run(self, *arguments: object, code: int = 0) -> Ran:
        at = ("--url", self.url) if self.url else ()
        ran = heartwood(self.fixture.settings, *arguments, *at)
        assert ran.code == code, ran
        return ran

    def json(self, *arguments: object, code: int = 0) -> dict[str, Any]:
        return self.run(*arguments, "--json", code=code).json

    def key(self, name: str, who: Actor) -> Path:
        return write_keyfile(self.folder / name, who)

    def person(self, name: str) -> tuple[str, Path]:
        client, key = LocalClient(self.fixture.ledger), new_key()
        operator = self.fixture.operator
        account, events = registering.new_account(client, operator, name, key, "device")
        client.append(operator, events)
        return account, self.key(name, Actor(client.origin, account, "person", "", key))


@pytest.fixture(params=["beside", "http"])
def desk(request: pytest.FixtureRequest, fixture: LedgerFixture, tmp_path: Path) -> Iterator[Desk]:
    if request.param == "beside":
        yield Desk(fixture, "", tmp_path)
        return
    with in_process(fixture.ledger) as web:
        yield Desk(fixture, web.url, tmp_path)


def test_a_relative(desk: Desk) -> None:
    """Invited, linked, reads, uploads, grants and looks back; is seen, and unlinked."""
    fixture, pat = desk.fixture, desk.fixture.person()
    record, patient = fixture.record(pat, title="Blood count").record, desk.key("pat", pat.actor)
    account, kin = desk.person("kin")
    letter = desk.folder / "invitation.txt"
    everything = [part for one in ("look", "history", "append", "grant") for part in ("--may", one)]
    made = desk.json("relative", "invite", *everything, "--out", letter, "--as", patient)
    assert stat.S_IMODE(letter.stat().st_mode) == 0o600
    line = next(one for one in letter.read_text().splitlines() if one.startswith("heartwood:"))
    assert "linked" not in desk.run("relative", "patients", "--as", kin).out
    desk.json("relative", "link", line, "--as", kin)
    again = desk.json("relative", "link", line, "--as", kin, code=1)
    assert again["problem"] == "denied"
    (found,) = desk.json("relative", "patients", "--as", kin)["patients"]
    assert (found["patient"], found["counts"]) == (pat.patient, True)
    out = desk.folder / "out"
    named = ("--for", pat.patient, "--purpose", "FAMRQT", "--as", kin)
    assert desk.json("open", record, *named, "--out", out)["rule"] == "S10"
    assert out.read_bytes() == CONTENT
    desk.json("upload", out, "--category", "document", *named)
    assert len(desk.json("chart", *named)["records"]) == 2
    doctor = fixture.doctor()
    desk.json("grant", doctor.account, "--days", "3", "--for", pat.patient, "--as", kin)
    acts = desk.json("history", *named)["acts"]
    assert {one["on_behalf_of"] for one in acts if one["role"] == "relative"} == {pat.actor.account}
    assert f"for {pat.actor.account}" in desk.run("history", *named).out
    told = desk.run("why", "hide", "--for", pat.patient, "--as", kin).out
    assert "S1 (role)" in told
    desk.json("open", record, "--for", "pt_nobody", "--as", kin, "--out", out, code=2)
    listed = desk.json("relative", "list", "--as", patient)
    assert [one["account"] for one in listed["relations"]] == [account]
    assert listed["invitations"] == []
    assert made["invitation"] not in desk.run("relative", "list", "--as", patient).out
    desk.run("relative", "unlink", account, "--as", patient)
    assert desk.json("chart", *named, code=2)["problem"] == "not_there"


def test_a_guardian(desk: Desk) -> None:
    """Appointed by the north and confirmed by the south; nobody else does either."""
    fixture = desk.fixture
    client = LocalClient(fixture.ledger)
    now = client.now()
    born = today(now) - timedelta(days=8 * 366)
    new = NewPatient(new_id("pt", now), new_id("ac", now), "Kid", born, False, new_key())
    registering.register_patients(client, fixture.north.system, [new])
    system, admin = desk.key("system", fixture.north.system), desk.key("admin", fixture.north.admin)
    page = desk.folder / "page.txt"
    page.write_bytes(CONTENT)
    at = ("--patient", new.patient)
    record = desk.json("upload", page, *at, "--category", "document", "--as", system)["record"]
    account, kin = desk.person("kin")
    desk.json("guardian", "appoint", account, *at, "--as", admin)
    (found,) = desk.json("relative", "patients", "--as", kin)["patients"]
    assert found["counts"] is False
    assert "counts from" in desk.run("relative", "patients", "--as", kin).out
    doctor, south = desk.key("doctor", fixture.doctor()), desk.key("south", fixture.south.admin)
    assert (
        desk.json("guardian", "confirm", account, *at, "--as", south, code=1)["problem"] == "denied"
    )
    desk.json("upload", page, *at, "--category", "document", "--as", doctor)
    named = ("--for", new.patient, "--purpose", "FAMRQT", "--as", kin)
    out = desk.folder / "out"
    told = desk.json("open", record, *named, "--out", out, code=1)
    assert told["problem"] == "denied"
    assert "72" in desk.run("guardian", "appoint", desk.person("other")[0], *at, "--as", admin).out
    desk.json("guardian", "confirm", account, *at, "--as", south)
    assert desk.json("open", record, *named, "--out", out)["rule"] == "S10"
    desk.json("guardian", "end", account, *at, "--as", kin)
    out.unlink()
    assert (
        "neither a relative" in desk.json("open", record, *named, "--out", out, code=2)["message"]
    )


def test_a_colleague(desk: Desk) -> None:
    fixture, pat = desk.fixture, desk.fixture.person()
    record, patient = fixture.record(pat).record, desk.key("pat", pat.actor)
    doctor, colleague = fixture.doctor(), fixture.doctor()
    first, second = desk.key("doctor", doctor), desk.key("colleague", colleague)
    desk.json("grant", doctor.account, "--as", patient)
    out, named = desk.folder / "out", ("--on-behalf-of", doctor.account, "--as", second)
    assert desk.json("open", record, *named, "--out", out, code=1)["problem"] == "denied"
    desk.json("delegation", "give", colleague.account, "--days", "3", "--as", first)
    assert desk.json("open", record, *named, "--out", out)["rule"] == "S10"
    (found,) = desk.json("relative", "patients", "--as", second)["colleagues"]
    assert found["giver"] == doctor.account
    desk.json("delegation", "end", colleague.account, "--as", first)
    out.unlink()
    assert desk.json("open", record, *named, "--out", out, code=1)["problem"] == "denied"
