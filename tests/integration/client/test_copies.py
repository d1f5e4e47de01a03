"""The copy to keep: whole, byte for byte what the log names, and whatever was changed in it is found without a server."""

import csv
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from client import beside, readings, relatives
from client.copies import history_csv
from client.local import LocalClient
from identity.actors import write_keyfile
from ledger.copies import FILES, HISTORY_FILE, OPENINGS_FILE
from records.charts import Chart
from records.uploads import Upload
from tests.support.commands import heartwood
from tests.support.ledger_fixture import LedgerFixture, Person, denied
from tests.support.paths import ROOT
from tests.support.server import in_process

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
RESOURCE = b'{"resourceType":"Observation","status":"final","valueQuantity":{"value":5.60}}'
CONTENTS = [
    ("text/plain", b"HbA1c 5.60 %"), ("application/fhir+json", RESOURCE), ("text/plain", b""),
    ("application/octet-stream", os.urandom(16_384)), ("application/pdf", os.urandom(40_000)),
]  # fmt: skip
Files = dict[str, bytes]


@pytest.fixture
def person(fixture: LedgerFixture) -> Person:
    """A patient with a record of each kind, one of which has a second version, and somebody who was refused."""
    pat = fixture.person()
    uploads = [Upload(pat.patient, "laboratory", kind, [content]) for kind, content in CONTENTS]
    first, *_ = beside.upload(fixture.ledger, fixture.north.system, uploads)
    newer = Upload(
        pat.patient, "laboratory", "text/plain", [b"HbA1c 6.50 %"], record=first.record, version=2
    )
    beside.upload(fixture.ledger, fixture.north.system, [newer])
    doctor = fixture.doctor(fixture.south)
    look = doctor.event("chart.opened", pat.stream, {"purpose": "TREAT"}, fixture.ledger.clock())
    denied(fixture.answer(look, doctor.key))
    return pat


@pytest.fixture
def kept(fixture: LedgerFixture, person: Person, tmp_path: Path) -> Path:
    """The patient's copy, made beside the data."""
    keyfile = write_keyfile(tmp_path / "pat.key", person.actor)
    ran = heartwood(fixture.settings, "copy", tmp_path / "copy.zip", "--as", keyfile)
    assert ran.code == 0, ran.err
    return tmp_path / "copy.zip"


def checked(fixture: LedgerFixture, file: Path) -> int:
    """The exit code of a check with the log's keys."""
    return heartwood(
        fixture.settings, "check", file, "--vkey", fixture.settings.data / "log.vkey"
    ).code


def test_a_copy_holds_the_whole_chart(fixture: LedgerFixture, kept: Path) -> None:
    """Every content, a bundle that FHIR tools read, the history as a table."""
    with zipfile.ZipFile(kept) as archive:
        contents = {archive.read(name) for name in archive.namelist() if name.startswith(FILES)}
        bundle = json.loads(archive.read("chart.json"))
        rows = list(csv.DictReader(io.StringIO(archive.read("history.csv").decode("utf-8-sig"))))
        assert b'"value":5.60' in archive.read("chart.json")
        assert archive.read("history.pdf").startswith(b"%PDF")
        assert b"heartwood check" in archive.read("README.html")
    assert contents == {b"HbA1c 6.50 %", *(content for _, content in CONTENTS[1:])}
    kinds = [one["resource"]["resourceType"] for one in bundle["entry"]]
    assert sorted(kinds) == ["DocumentReference"] * 4 + ["Observation"]
    assert [row["decision"] for row in rows].count("deny") == 1
    assert checked(fixture, kept) == 0


def test_a_copy_says_on_whose_behalf(fixture: LedgerFixture, person: Person) -> None:
    """As the history itself does."""
    client, kin = LocalClient(fixture.ledger), fixture.person("Tom").actor
    made = relatives.invite(client, person.actor, person.patient)
    relatives.link(client, kin, made.patient, made.invitation, made.code)
    acting = relatives.for_patient(client, kin, person.patient)
    readings.chart(client, acting, person.patient, "FAMRQT")
    found = readings.history(client, person.actor, person.patient, "PATRQT")
    rows = list(csv.DictReader(io.StringIO(history_csv(found).lstrip("\ufeff"))))
    told = {row["who"]: row["on_behalf_of"] for row in rows if row["event"] == "chart.opened"}
    assert told[kin.account] == person.actor.account
    assert "" in {row["on_behalf_of"] for row in rows}


def test_a_copy_from_a_server_is_checked_by_the_tool_alone(
    fixture: LedgerFixture, person: Person, tmp_path: Path
) -> None:
    """Over HTTP; then `python -P -m ledger check-bundle`, with the folders of the auditor's tool."""
    keyfile, vkey = (
        write_keyfile(tmp_path / "pat.key", person.actor),
        fixture.settings.data / "log.vkey",
    )
    with in_process(fixture.ledger) as web:
        ran = heartwood(
            fixture.settings,
            "copy",
            tmp_path / "copy.zip",
            "--as",
            keyfile,
            "--url",
            web.url,
            "--vkey",
            vkey,
        )
    assert ran.code == 0, ran.err
    command = [
        sys.executable,
        "-P",
        "-m",
        "ledger",
        "check-bundle",
        "copy.zip",
        "--vkey",
        str(vkey),
    ]
    tool = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert tool.returncode == 0, tool.stderr
    assert "5 files are what these entries name, byte for byte" in tool.stdout


BAD = {
    "brackets alone": b"[" * 100_000,
    "a deep resource": b'{"resourceType":"Basic","x":' + b"[" * 200 + b"]" * 200 + b"}",
    "a deeper one": b'{"resourceType":"Basic","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "not a number": b'{"resourceType":"Basic","x":NaN}',
    "infinity": b'{"resourceType":"Basic","x":-Infinity}',
    "half a pair": b'{"resourceType":"Basic","x":"\\ud800"}',
    "bytes": b'{"resourceType":"Basic","x":"\xff"}',
}
"""What somebody may upload as a FHIR resource."""


def test_no_content_ends_a_copy(fixture: LedgerFixture, tmp_path: Path) -> None:
    """Whatever one author uploaded: the copy is made and checks, its bundle is JSON for any reader, and a page opens as text."""
    pat = fixture.person()
    page = b"<script>alert(1)</script>"
    uploads = [
        Upload(pat.patient, "document", "application/fhir+json", [one]) for one in BAD.values()
    ]
    uploads += [
        Upload(pat.patient, "document", "application/fhir+json", [RESOURCE]),
        Upload(pat.patient, "document", "text/html", [page]),
    ]
    beside.upload(fixture.ledger, fixture.north.system, uploads)
    key, file = write_keyfile(tmp_path / "pat.key", pat.actor), tmp_path / "copy.zip"
    with in_process(fixture.ledger) as web:
        for where in ((), ("--url", web.url, "--vkey", fixture.settings.data / "log.vkey")):
            ran = heartwood(fixture.settings, "copy", file, "--as", key, *where)
            assert ran.code == 0 and "NOTE" not in ran.out, ran
            assert checked(fixture, file) == 0
            with zipfile.ZipFile(file) as archive:
                names = [name for name in archive.namelist() if archive.read(name) == page]
                bundle = orjson.loads(archive.read("chart.json"))
            assert [Path(name).suffix for name in names] == [".txt"]
            kinds = [one["resource"]["resourceType"] for one in bundle["entry"]]
            assert sorted(kinds) == ["DocumentReference"] * (len(BAD) + 1) + ["Observation"]
            file.unlink()


def test_a_copy_says_what_it_was_not_given(
    fixture: LedgerFixture, person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that leaves a record out of list and export is met by the history, which is proved."""
    key, chart = write_keyfile(tmp_path / "pat.key", person.actor), readings.chart

    def shorter(*asked: Any) -> Chart:
        found = chart(*asked)
        return replace(found, lines=found.lines[1:])

    monkeypatch.setattr(readings, "chart", shorter)
    ran = heartwood(fixture.settings, "copy", tmp_path / "copy.zip", "--as", key)
    assert ran.code == 0 and "NOTE: 1 record of the history not in this copy: rc_" in ran.out, ran
    told = heartwood(fixture.settings, "copy", tmp_path / "other.zip", "--as", key, "--json")
    assert len(json.loads(told.out)["missing"]) == 1


def first(files: Files) -> str:
    """The name of a file with some content."""
    return next(name for name in sorted(files) if name.startswith(FILES) and len(files[name]) > 20)


def opening(files: Files, change: Callable[[list[dict[str, object]]], object]) -> None:
    """Change the list of openings."""
    told = json.loads(files[OPENINGS_FILE])
    change(told)
    files[OPENINGS_FILE] = json.dumps(told).encode()


def history(files: Files, change: Callable[[list[str]], object]) -> None:
    """Change the entries of the history."""
    told = json.loads(files[HISTORY_FILE])
    change(told["entries"])
    files[HISTORY_FILE] = json.dumps(told).encode()


def swap(told: list[dict[str, object]], *members: str) -> None:
    """Give two files each other's members."""
    for name in members:
        told[0][name], told[1][name] = told[1][name], told[0][name]


CHANGES: dict[str, Callable[[Files], object]] = {
    "a byte of a content": lambda f: f.update(
        {first(f): f[first(f)][:-1] + bytes([f[first(f)][-1] ^ 1])}
    ),
    "a byte less": lambda f: f.update({first(f): f[first(f)][:-1]}),
    "a byte more": lambda f: f.update({first(f): f[first(f)] + b"x"}),
    "a file gone": lambda f: f.pop(first(f)),
    "a file more": lambda f: f.update({f"{FILES}more.txt": b"x"}),
    "two files changed places": lambda f: opening(f, lambda told: swap(told, "file")),
    "two openings changed places": lambda f: opening(f, lambda told: swap(told, "key", "header")),
    "two records changed places": lambda f: opening(f, lambda told: swap(told, "record", "blob")),
    "a record twice": lambda f: opening(f, lambda told: told.append(told[0])),
    "a version that there isn't": lambda f: opening(f, lambda told: told[0].update(version=9)),
    "a key of another length": lambda f: opening(f, lambda told: told[0].update(key="AAAA")),
    "an entry gone": lambda f: history(f, lambda told: told.pop(2)),
    "the last entry gone": lambda f: history(f, lambda told: told.pop()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_that_was_changed_is_found(fixture: LedgerFixture, kept: Path, change: str) -> None:
    """Whatever was changed, with a ZIP that is in order: it is called wrong, and not malformed."""
    with zipfile.ZipFile(kept) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    CHANGES[change](files)
    with zipfile.ZipFile(kept, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    assert checked(fixture, kept) == 1


@pytest.mark.parametrize("content", [b"PK", b"PK\x03\x04 and no more", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_copy_is_not_called_forged(
    fixture: LedgerFixture, tmp_path: Path, content: bytes
) -> None:
    """Form is not proof."""
    (tmp_path / "copy.zip").write_bytes(content)
    assert checked(fixture, tmp_path / "copy.zip") == 2


def test_a_doctor_makes_no_copy(fixture: LedgerFixture, person: Person, tmp_path: Path) -> None:
    """Not of a chart of somebody else's; and nothing stays behind."""
    keyfile = write_keyfile(tmp_path / "pat.key", fixture.doctor(fixture.north))
    ran = heartwood(fixture.settings, "copy", tmp_path / "copy.zip", "--as", keyfile)
    assert ran.code != 0
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["pat.key"]
