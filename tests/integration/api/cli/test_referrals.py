"""Referrals over a server and its keeper, as the people of two hospitals type them."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from consent.auditor import audit_export
from crypto.encoding import b64encode
from crypto.xwing import ReceivingKey
from identity.errors import KeyFileError
from identity.receiving import Receiver, read_receiver, write_receiver
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


def test_what_goes_wrong_is_said(afar: Afar, tmp_path: Path) -> None:
    """Before anything is signed or written, and with what to do about it."""
    people = afar.people
    north, south = people.fixture.north, people.fixture.south
    keyfile, other = tmp_path / "receiving.key", tmp_path / "other.key"
    refused = afar.run("key", "receive", "--out", keyfile, actor=people.doctor, code=2)
    assert "expected hospital_system" in refused.err and not keyfile.exists()
    for file in (keyfile, other):  # the newer one counts
        afar.run("key", "receive", "--out", file, actor=south.system)
    again = afar.run("key", "receive", "--out", keyfile, actor=south.system, code=2)
    assert "never overwritten" in again.err
    why = ("--to", south.hospital, "--words", "Why")
    size = people.fixture.size()
    twice = afar.run(
        "referral", "send", people.record, people.record, *why, actor=north.system, code=2
    )
    assert "none twice" in twice.err
    nowhere = afar.run(
        "referral",
        "send",
        people.record,
        "--to",
        "south",
        "--words",
        "x",
        actor=north.system,
        code=2,
    )
    assert "is not a hospital id" in nowhere.err and people.fixture.size() == size
    named = afar.json("referral", "send", people.record, *why, actor=north.system)["referral"]
    afar.run("referral", "accept", named, actor=people.doctor)
    package, out = tmp_path / "package.zip", tmp_path / "opened"
    afar.run("referral", "package", named, "--out", package, actor=south.system)
    exists = afar.run("referral", "package", named, "--out", package, actor=south.system, code=2)
    assert "nothing was signed" in exists.err
    settings = people.fixture.settings

    def opened(*arguments: object) -> str:
        ran = heartwood(settings, "referral", "open", *arguments, "--out", out)
        assert ran.code in (1, 2) and not out.exists(), ran
        return ran.err

    assert "is sealed for" in opened(package, "--key", keyfile)
    assert "not a receiving key's file" in opened(package, "--key", afar.key(south.system))
    assert "no key file at" in opened(package, "--key", tmp_path / "none")
    other.chmod(0o644)
    assert "readable by others" in opened(package, "--key", other)
    other.chmod(0o600)
    altered = tmp_path / "altered.zip"
    with zipfile.ZipFile(package) as source, zipfile.ZipFile(altered, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            bent = data[:-1] + bytes([data[-1] ^ 1]) if name.startswith("blobs/") else data
            target.writestr(name, bent)
    assert heartwood(settings, "referral", "open", altered, "--key", other, "--out", out).code == 1
    assert not any(out.glob("rc_*")) if out.exists() else True
    fresh = tmp_path / "fresh"
    assert (
        heartwood(settings, "referral", "open", package, "--key", other, "--out", fresh).code == 0
    )


def test_a_passphrase_keeps_the_receiving_key(
    afar: Afar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTWOOD_PASSPHRASE", "correct horse")
    keyfile, key = tmp_path / "receiving.key", ReceivingKey(b"s" * 32)
    receiver = Receiver("heartwood.example/tests", "ac_x", "hs_x", key)
    write_receiver(keyfile, receiver, "correct horse")
    assert b64encode(key.seed) not in keyfile.read_text()
    assert read_receiver(keyfile, "correct horse").key.id == key.id
    with pytest.raises(KeyFileError, match="set HEARTWOOD_PASSPHRASE"):
        read_receiver(keyfile)
    with pytest.raises(KeyFileError, match="or its passphrase is wrong"):
        read_receiver(keyfile, "wrong horse")
    made = afar.run(
        "key", "receive", "--out", tmp_path / "made.key", actor=afar.people.fixture.south.system
    )
    assert "receives for" in made.out
    assert "argon2id" in (tmp_path / "made.key").read_text()
