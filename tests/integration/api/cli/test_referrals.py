"""Referrals over a server and its keeper, as the people of two hospitals type them."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from consent.auditor import audit_export
from tests.integration.api.cli.test_commands_from_afar import Afar
from tests.support.commands import heartwood
from tests.support.inbox import told
from tests.support.ledger_fixture import LedgerFixture, vkeys
from tests.support.people import People
from tests.support.server import in_process

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def afar(fixture: LedgerFixture, tmp_path: Path) -> Iterator[Afar]:
    people = People.of(fixture)
    with in_process(fixture.ledger) as web:
        yield Afar(people, web.url, tmp_path)


def test_a_referral_from_its_sending_to_its_opening(afar: Afar, tmp_path: Path) -> None:
    """With the receiver's own key alone, when nobody is asked any more."""
    people, pat = afar.people, afar.people.pat
    north, south = people.fixture.north, people.fixture.south
    sender, theirs = people.fixture.doctor(north), people.doctor
    why = ("--to", south.hospital, "--words", "A second opinion on the kidneys")
    refused = afar.run("referral", "send", people.record, *why, actor=sender, code=2)
    assert "has no key to receive referrals with" in refused.err
    keyfile = tmp_path / "receiving.key"
    made = afar.json("key", "receive", "--out", keyfile, actor=south.system)
    assert keyfile.stat().st_mode & 0o777 == 0o600
    sent = afar.json("referral", "send", people.record, *why, actor=sender)
    named = sent["referral"]
    assert told(people.fixture, "referral_sent") == [("referral_sent", pat.actor.account)]
    assert "A second opinion" in afar.run("history", actor=pat.actor).out
    assert f"{named}  waits" in afar.run("referral", "list", actor=pat.actor).out
    package = tmp_path / "package.zip"
    afar.run("referral", "package", named, "--out", package, actor=south.system, code=1)
    assert not package.exists()
    afar.run("referral", "accept", named, actor=sender, code=2)
    assert "its package can be taken up" in afar.run("referral", "accept", named, actor=theirs).out
    assert told(people.fixture, "referral_accepted") == [("referral_accepted", pat.actor.account)]
    taken = afar.run("referral", "package", named, "--out", package, actor=south.system).out
    assert "1 record sealed" in taken
    with zipfile.ZipFile(package) as archive:
        clear = b"".join(archive.read(name) for name in archive.namelist())
    for text in (b"Blood count", b"second opinion", people.record.encode()):
        assert text not in clear
    out = tmp_path / "opened"
    opened = heartwood(
        people.fixture.settings, "referral", "open", package, "--key", keyfile, "--out", out
    )
    assert "A second opinion on the kidneys" in opened.out and "Blood count" in opened.out
    (row,) = json.loads((out / "index.json").read_text())
    assert row["title"] == "Blood count" and row["record"] == people.record
    content = (out / row["file"]).read_bytes()
    read = afar.run("open", people.record, "--out", tmp_path / "read", actor=sender)
    assert content == (tmp_path / "read").read_bytes() and read.out
    assert made["key"] in zipfile.ZipFile(package).read("referral.json").decode()
    people.fixture.verify()
    settings = people.fixture.settings
    found = audit_export(settings.data.with_name("export-0"), vkeys(settings))
    assert found.good and found.releases is not None and found.releases.keyless == 0
    assert "Declined" in afar.run("referral", "decline", named, actor=theirs).out
    afar.run("referral", "package", named, "--out", tmp_path / "again.zip", actor=theirs, code=1)
    assert (
        "declined by entry"
        in afar.run("referral", "list", "--patient", pat.patient, actor=sender).out
    )
