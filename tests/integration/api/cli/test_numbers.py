"""A patient's number by commands: stated, shown, removed; looked up by those who may; asked by; next to the data and from afar."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from identity.actors import write_keyfile
from tests.integration.api.cli.test_relatives import Desk
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import in_process

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
NUMBER, TEL = "+49 170 5550123", "tel:+491705550123"


@pytest.fixture(params=["beside", "http"])
def desk(request: pytest.FixtureRequest, fixture: LedgerFixture, tmp_path: Path) -> Iterator[Desk]:
    if request.param == "beside":
        yield Desk(fixture, "", tmp_path)
        return
    with in_process(fixture.ledger) as web:
        yield Desk(fixture, web.url, tmp_path)


def test_a_number_from_the_first_to_the_last(desk: Desk) -> None:
    fixture = desk.fixture
    pat = fixture.person()
    key = write_keyfile(desk.folder / "pat.key", pat.actor)
    admin = write_keyfile(desk.folder / "admin.key", fixture.north.admin)
    other = write_keyfile(desk.folder / "other.key", fixture.south.admin)
    none = f"no number finds {pat.patient}"
    assert desk.run("account", "number", "show", "--as", key).out.strip() == none
    said = desk.run("account", "number", "set", NUMBER, "--as", key).out
    assert said.startswith("the number that was stated on 20") and pat.patient in said
    shown = desk.json("account", "number", "show", "--as", key)
    assert shown["patient"] == pat.patient and shown["stated"]
    found = desk.run("lookup", f"tel:{NUMBER}", TEL, "--as", admin).out
    assert found.count(f"{pat.patient}, account {pat.actor.account}") == 2
    for number in (TEL, "tel:+491705550199"):
        assert desk.run("lookup", number, "--as", other).out.strip() == f"{number}  not known here"
    bad = desk.run("account", "number", "set", "0170 5550123", "--as", key, code=2)
    assert "the country code" in bad.err and "5550123" not in bad.err
    assert desk.run("account", "number", "remove", "--as", key).out.strip() == none
    assert desk.json("lookup", TEL, "--as", admin) == {"accounts": {}, "patients": {}}


def test_an_inquiry_from_the_first_to_the_last(desk: Desk) -> None:
    fixture = desk.fixture
    pat, doctor = fixture.person(), fixture.doctor()
    fixture.record(pat)
    key = write_keyfile(desk.folder / "pat.key", pat.actor)
    asker = write_keyfile(desk.folder / "doctor.key", doctor)
    desk.run("account", "number", "set", NUMBER, "--as", key)
    words = ("--words", "Dr. O, Suedklinik: your rehabilitation", "--days", 14, "--as", asker)
    said = {
        desk.run("inquiry", "send", to, *words).out[:51]
        for to in (NUMBER, "+491705550199", pat.patient)
    }
    assert said == {"asked, if there is such a person; it counts until 2"}
    lines = desk.run("inquiry", "list", "--as", key).out.splitlines()
    assert "asks for your chart, for 14 days" in lines[0] and "rehabilitation" in lines[1]
    assert lines[-1] == f"2 inquiries to {pat.patient}"
    first, second = desk.json("inquiry", "list", "--as", key)["inquiries"]
    given = desk.run("inquiry", "grant", first["inquiry"], "--days", 3, "--as", key).out
    assert given.startswith(f"Granted {doctor.account} access: gr_")
    desk.run("inquiry", "dismiss", second["inquiry"], "--as", key)
    assert desk.json("inquiry", "list", "--as", key)["inquiries"] == []
    desk.run("inquiry", "dismiss", second["inquiry"], "--as", key, code=2)
    found = desk.json("lookup", TEL, "--as", asker)
    assert found == {"accounts": {TEL: ""}, "patients": {TEL: pat.patient}}
    bad = desk.run("inquiry", "send", "0170 5550123", *words, code=2)
    assert "the country code" in bad.err
