"""Commands with `--url`: the same answers as beside the data, by nothing but a key file and a server."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.app.settings import Settings
from client.http import HttpClient
from identity.actors import Actor, write_keyfile
from ledger.errors import Tampered
from tests.support.commands import Ran, heartwood
from tests.support.ledger_fixture import LedgerFixture
from tests.support.paths import GOLDEN
from tests.support.people import People
from tests.support.server import in_process


class Afar:
    """People whose ledger is served, and commands run against the server."""

    def __init__(self, people: People, url: str, folder: Path) -> None:
        self.people, self.url, self.folder = people, url, folder
        self._keyfiles: dict[str, Path] = {}

    def key(self, actor: Actor) -> Path:
        """The actor's key file."""
        name = f"{actor.role}-{actor.account}"
        if name not in self._keyfiles:
            self._keyfiles[name] = write_keyfile(self.folder / name, actor)
        return self._keyfiles[name]

    def run(self, *arguments: object, actor: Actor, code: int = 0) -> Ran:
        """A command at the server; `actor` acts."""
        acting = ("--as", self.key(actor), "--url", self.url)
        ran = heartwood(self.people.fixture.settings, *arguments, *acting)
        assert ran.code == code, ran
        return ran

    def json(self, *arguments: object, actor: Actor) -> dict[str, Any]:
        """The object that a command prints."""
        return self.run(*arguments, "--json", actor=actor).json


@pytest.fixture
def afar(fixture: LedgerFixture, tmp_path: Path) -> Iterator[Afar]:
    """Commands against a server."""
    people = People.of(fixture)
    with in_process(fixture.ledger) as web:
        yield Afar(people, web.url, tmp_path)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_list_shows_what_can_be_read_and_taken_away(afar: Afar) -> None:
    """List, reading and export agree, near and far; what is excluded or hidden is in none of a doctor's."""
    people, pat, doctor = afar.people, afar.people.pat.actor, afar.people.doctor
    letter = afar.folder / "letter.txt"
    letter.write_text("a letter")
    sent = afar.json(
        "upload", letter, "--patient", people.pat.patient, "--category", "document", "--title",
        "Letter", actor=people.fixture.north.system,
    )  # fmt: skip
    assert afar.json("chart", actor=pat)["records"][1]["title"] == "Letter"
    afar.run("grant", doctor.account, "--category", "document", actor=pat)
    shown = afar.json("chart", "--patient", people.pat.patient, actor=doctor)["records"]
    assert [line["record"] for line in shown] == [sent["record"]]
    near = heartwood(
        people.fixture.settings, "chart", "--patient", people.pat.patient, "--as", afar.key(doctor), "--json"
    ).json  # fmt: skip
    assert near["records"] == shown
    out = afar.folder / "read"
    afar.run("open", sent["record"], "--out", out, actor=doctor)
    assert out.read_text() == "a letter"
    afar.run("open", people.record, "--out", afar.folder / "other", code=1, actor=doctor)
    mine = afar.folder / "mine"
    afar.run("chart", "--export", mine, actor=pat)
    assert len(list(mine.iterdir())) == 2
    afar.run("hide", sent["record"], actor=pat)
    afar.run("open", sent["record"], "--out", afar.folder / "hidden", code=1, actor=doctor)
    afar.run("show", sent["record"], actor=pat)
    afar.run("exclude", people.fixture.south.hospital, actor=pat)
    told = afar.run("open", sent["record"], "--out", afar.folder / "out", code=1, actor=doctor)
    assert "S12" in told.err and "exclu" not in told.err
    assert "exclu" not in afar.run("why", "read", "--record", sent["record"], actor=doctor).out
    assert "S7" in afar.run(
        "why", "read", "--record", sent["record"], "--actor", doctor.account, "--role", "doctor",
        "--hospital", doctor.hospital, actor=pat,
    ).out  # fmt: skip
    assert len(afar.json("grants", actor=pat)["exclusions"]) == 1
    acts = afar.json("history", actor=pat)["acts"]
    assert {a["reason"] for a in acts if a["effect"] == "deny"} == {"excluded", "no_consent"}


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_an_auditor_needs_nothing_but_the_server(afar: Afar) -> None:
    """Export, verify, audit, and a receipt that still stands in the log of today; for auditors alone."""
    fixture, folder = afar.people.fixture, afar.folder
    added = afar.json("auditor", "add", "Aud", actor=fixture.operator)
    export, keys = folder / "export", fixture.settings.data / "log.vkey"
    ran = heartwood(fixture.settings, "export", export, "--as", added["keyfile"], "--url", afar.url)
    assert ran.code == 0, ran
    assert heartwood(fixture.settings, "verify", export, "--vkey", keys).code == 0
    audited = heartwood(fixture.settings, "audit", export, "--vkey", keys)
    assert audited.code == 0 and "/releases compared with the readings" in audited.out
    seq = fixture.ledger.stream(afar.people.pat.stream, fixture.size())[0].link.seq
    receipt = folder / "receipt"
    afar.run("receipt", seq, "--out", receipt, actor=afar.people.pat.actor)
    checked = ("check", receipt, "--vkey", keys, "--against", afar.url)
    assert heartwood(fixture.settings, *checked).code == 0
    for who in (afar.people.doctor, afar.people.pat.actor):
        afar.run("export", folder / f"not-{who.role}", code=1, actor=who)
    people = afar.run("hospital", "show", fixture.south.hospital, actor=afar.people.pat.actor).out
    assert "Südklinik" in people and "Dr. Ö" in people


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_receipt_that_is_printed_is_the_receipt(afar: Afar) -> None:
    """A shell writes it into a file, and that file checks."""
    fixture, pat, kept = afar.people.fixture, afar.people.pat, afar.folder / "kept"
    seq = fixture.ledger.stream(pat.stream, fixture.size())[0].link.seq
    afar.run("receipt", seq, "--out", kept, actor=pat.actor)
    told = afar.run("receipt", seq, actor=pat.actor)
    assert told.out.encode() == kept.read_bytes()


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_token_for_the_tools_of_others(afar: Afar) -> None:
    """Printed alone, so that a shell can take it; it fetches entries, and that it was given is an entry."""
    fixture = afar.people.fixture
    added = afar.json("auditor", "add", "Aud", actor=fixture.operator)
    asked = ("log-token", "--as", added["keyfile"], "--url", afar.url)
    size = fixture.size()
    told = heartwood(fixture.settings, *asked)
    assert told.code == 0 and told.out.count("\n") == 1 and not told.err
    assert fixture.ledger.entry(size).event.type.name == "log.opened"
    headers = {"Authorization": f"Bearer {told.out.strip()}"}
    found = httpx2.get(f"{afar.url}/tile/entries/000.p/1", headers=headers)
    assert found.status_code == 200 and b"ledger.created" in found.content
    given = heartwood(fixture.settings, *asked, "--json").json
    assert given.keys() == {"token", "end", "seq"} and given["seq"] == size + 1
    assert given["token"] != told.out.strip()
    afar.run("log-token", code=1, actor=afar.people.doctor)
    assert heartwood(fixture.settings, "log-token", "--as", added["keyfile"]).code == 2


class Endless(BaseHTTPRequestHandler):
    """A server that never ends what it sends, and whose words bring escape sequences."""

    def do_GET(self) -> None:
        """Answers for a log; its checkpoint has no end, and other files are not there."""
        self.send_response(404 if self.path.startswith("/tile") else 200)
        self.end_headers()
        if self.path == "/v1/log":
            self.wfile.write(b'{"origin":"a.example","vkeys":["a.example+1+\\u001b[2J\\u202e"]}')
            return
        with suppress(OSError):
            while self.path == "/checkpoint":
                self.wfile.write(b"a.example\n" * 100_000)

    def log_message(self, *words: Any) -> None:
        """Says nothing."""


def test_what_a_server_sends_is_bounded_and_printable(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        far = HttpClient(url)
        with pytest.raises(Tampered, match="checkpoint: has more than 1000000 bytes"):
            far.file("checkpoint")
        far.close()
        receipt = tmp_path / "receipt"
        receipt.write_bytes(golden("receipt.tlog-proof"))
        elsewhere = Settings(data=tmp_path / "none", database_url="")
        told = heartwood(elsewhere, "check", receipt, "--against", url)
        assert told.code == 1 and "\\x1b[2J\\u202e" in told.err and told.err.strip().isprintable()
    finally:
        server.shutdown()
        server.server_close()


def golden(name: str) -> bytes:
    """A file of the formats' test vectors."""
    return (GOLDEN / name).read_bytes()
