"""Exports with the key keeper's log of releases: asked for, left out on purpose, never left out in silence."""

from pathlib import Path

import pytest

from tests.integration.keeper.test_process import read
from tests.support.commands import heartwood
from tests.support.ledger_fixture import LedgerFixture, entry_of
from tests.support.people import People

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def read_once(fixture: LedgerFixture) -> LedgerFixture:
    """A ledger in which one record was read, closed."""
    people = People.of(fixture)
    entry_of(fixture.answer(people.grant(), people.pat.actor.key))
    read(people)
    fixture.ledger.close()
    return fixture


def test_an_export_is_compared(read_once: LedgerFixture, tmp_path: Path) -> None:
    """The keeper's keys are had from it, given on another way, and demanded."""
    settings, place = read_once.settings, tmp_path / "export"
    vkey, theirs = settings.data / "log.vkey", tmp_path / "releases.vkey"
    printed = heartwood(settings, "keeper", "vkeys", "--releases")
    assert printed.code == 0 and printed.out != heartwood(settings, "keeper", "vkeys").out
    theirs.write_text(printed.out)
    assert heartwood(settings, "export", place).code == 0
    outside = ("--vkey", vkey, "--releases-vkey", theirs)
    verified = heartwood(settings, "verify", place, *outside)
    assert verified.code == 0 and "2 releases: chain, every tile, checkpoint of" in verified.out
    audited = heartwood(settings, "audit", place, *outside)
    assert audited.code == 0
    assert (
        "2 releases of heartwood.example/tests/releases compared with the readings" in audited.out
    )
    assert "0 readings got no key" in audited.out and "unproven" not in audited.out
    alone = heartwood(settings, "audit", place, "--vkey", vkey, "--json")
    assert alone.code == 0 and alone.json["releases"]["log"]["proven"] is False
    wrong = heartwood(settings, "audit", place, "--vkey", vkey, "--releases-vkey", vkey)
    assert wrong.code == 1 and "releases/log.vkey: holds other keys" in wrong.err
    read_once.reopen()


def test_a_keeper_that_can_not_be_asked_fails_the_export(
    read_once: LedgerFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With words that name the way out; what is left out on purpose is told by the audit."""
    settings, place = read_once.settings, tmp_path / "export"
    monkeypatch.setenv("HEARTWOOD_KEEPER", f"unix:{tmp_path / 'nobody'}")
    monkeypatch.setattr("keeper.remote.CONNECT_SECONDS", 0)
    refused = heartwood(settings, "export", place)
    assert refused.code == 4
    assert "the key keeper can't be asked" in refused.err and "--without-releases" in refused.err
    assert not any(place.iterdir())
    assert heartwood(settings, "export", place, "--without-releases").code == 0
    assert not (place / "releases").exists()
    audited = heartwood(settings, "audit", place, "--vkey", settings.data / "log.vkey")
    assert audited.code == 0 and "holds no log of the key keeper's releases" in audited.out
    monkeypatch.delenv("HEARTWOOD_KEEPER")
    read_once.reopen()
