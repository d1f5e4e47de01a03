"""Claims by commands: a letter, the claim, an import's letters, a chart of one's own; next to the data and from afar."""

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from client import registering
from client.letters import Letter, fingerprint
from client.local import LocalClient
from client.registering import NewPatient
from identity.actors import Actor, new_id, new_key, write_keyfile
from imports.letters import Letters
from journeys.days import today
from ledger.directory import Patient
from synthetic import patient
from tests.support.commands import Ran, heartwood
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import in_process

BORN = "1958-03-14"


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

    def json(self, *arguments: object) -> dict[str, Any]:
        return self.run(*arguments, "--json").json

    def key(self, name: str, who: Actor) -> Path:
        path = self.folder / name
        return path if path.exists() else write_keyfile(path, who)

    def person(self, name: str) -> Path:
        client, key = LocalClient(self.fixture.ledger), new_key()
        operator = self.fixture.operator
        account, events = registering.new_account(client, operator, name, key, "device")
        client.append(operator, events)
        return self.key(name, Actor(client.origin, account, "person", "", key))


@pytest.fixture(params=["beside", "http"])
def desk(request: pytest.FixtureRequest, fixture: LedgerFixture, tmp_path: Path) -> Iterator[Desk]:
    if request.param == "beside":
        yield Desk(fixture, "", tmp_path)
        return
    with in_process(fixture.ledger) as web:
        yield Desk(fixture, web.url, tmp_path)


def code_of(letter: Path) -> str:
    found = re.search(r"Code: +(\S+)", letter.read_text())
    assert found
    return found[1]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_from_the_letter_to_the_grant(desk: Desk) -> None:
    north, letter = desk.fixture.north, desk.folder / "letter.txt"
    system = desk.key("system", north.system)
    made = desk.json(
        "patient", "add", "Ida", "--birth-date", BORN, "--claim-letter", letter, "--as", system
    )
    assert stat.S_IMODE(letter.stat().st_mode) == 0o600
    assert "keyfile" not in made
    chart, code, ida = made["patient"], code_of(letter), desk.person("ida")
    claim = ("account", "claim", chart, "--born", BORN, "--as", ida)
    told = desk.run(
        "account", "claim", chart, "--code", code, "--born", "1958-03-15", "--as", ida, code=1
    )
    assert "not accepted" in told.err and "birth" in told.err
    slipped = code[:-1] + ("A" if code[-1] != "A" else "B")
    assert "typing error" in desk.run(*claim, "--code", slipped, code=2).err
    again = desk.folder / "again.pdf"
    offered = desk.json(
        "patient", "claim-code", chart, "--out", again, "--as", desk.key("admin", north.admin)
    )
    assert again.read_bytes().startswith(b"%PDF-") and offered["patient"] == chart
    desk.run(*claim, "--code", code, code=1)
    third = desk.folder / "third.txt"
    desk.run("patient", "claim-code", chart, "--out", third, "--as", system)
    keys = desk.fixture.ledger.vkeys
    true = Letter(desk.fixture.ledger.origin, fingerprint([*map(str, keys)]), chart, code_of(third))
    others = (replace(true, origin="other.example"), replace(true, fingerprint="00" * 16))
    for link in (*(letter.link for letter in others), "heartwood:claim?code=1"):
        desk.run("account", "claim", link, "--born", BORN, "--as", ida, code=2)
    claimed = desk.json("account", "claim", true.link, "--born", BORN, "--as", ida)
    row = desk.fixture.ledger.row(Patient, chart)
    assert row is not None and row.claimed == claimed["seq"]
    mine = ("--as", claimed["keyfile"])
    desk.run("grant", desk.fixture.doctor().account, *mine)
    assert desk.json("chart", *mine)["records"] == []
    desk.run(*claim, "--code", code_of(third), code=1)
    desk.run("patient", "claim-code", chart, "--out", desk.folder / "x", "--as", system, code=1)
    assert not (desk.folder / "x").exists()


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_letter_is_never_overwritten(desk: Desk) -> None:
    """Nothing is signed then."""
    letter, size = desk.folder / "letter.txt", desk.fixture.size()
    letter.write_text("kept")
    system = desk.key("system", desk.fixture.north.system)
    desk.run("patient", "add", "Ida", "--claim-letter", letter, "--as", system, code=2)
    assert letter.read_text() == "kept" and desk.fixture.size() == size


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("years", "lettered"), [(None, False), (0, False), (11, False), (13, True), (40, True)]
)
def test_an_import_writes_no_letter_for_a_child(
    fixture: LedgerFixture, tmp_path: Path, years: int | None, lettered: bool
) -> None:
    """Nor for whom it calls born today, not knowing better. They are registered all the same."""
    letters = Letters(fixture.ledger, tmp_path / "letters")
    now = fixture.ledger.clock()
    born = None if years is None else today(now) - timedelta(days=round(years * 365.25))
    new = NewPatient(new_id("pt", now), new_id("ac", now), "Kim", born, False, None)
    letters.register(fixture.north.system, new)
    row = fixture.ledger.row(Patient, new.patient)
    assert row is not None and bool(row.offered) is lettered
    assert len([*(tmp_path / "letters").iterdir()]) == lettered
    assert letters.young == (not lettered)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_an_import_prints_a_letter_for_everybody(fixture: LedgerFixture, tmp_path: Path) -> None:
    """Whose code claims the chart, with the birth date that the bundle holds."""
    source = patient(7, 0, 2)
    (tmp_path / "bundle.json").write_bytes(source.bundle)
    desk, letters = Desk(fixture, "", tmp_path), tmp_path / "letters"
    system = desk.key("system", fixture.north.system)
    arguments = (
        "import",
        tmp_path / "bundle.json",
        "--hospital",
        fixture.north.hospital,
        "--as",
        system,
    )
    desk.run(*arguments, "--claim-codes", letters, "--dry-run", "--report", tmp_path / "dry")
    assert not letters.exists()
    desk.run(*arguments, "--claim-codes", letters, "--report", tmp_path / "report")
    (letter,) = letters.iterdir()
    assert stat.S_IMODE(letters.stat().st_mode) == 0o700
    assert stat.S_IMODE(letter.stat().st_mode) == 0o600
    row = fixture.ledger.row(Patient, letter.stem)
    assert row is not None and row.offered and row.offerer == fixture.north.hospital
    again = tmp_path / "again.txt"
    desk.run("patient", "claim-code", letter.stem, "--out", again, "--as", system)
    ida, code = desk.person("ida"), code_of(again)
    claim = ("account", "claim", letter.stem, "--code", code, "--as", ida)
    desk.run(*claim, "--born", "1901-01-01", code=1)
    desk.run(*claim, "--born", source.birth_date)
