"""The command line as people use it: one process a command.

Each test works on its own copy of a ledger that a few installed commands made once. Every run is held to the
exit codes (0 good, 1 found wrong or denied, 2 used wrongly, 3 origin unproven, 4 could not run), to
one JSON object with --json, and to messages for people: never a traceback. Most commands that must
fail run in this process, by the entry point that the installed command calls, to save time.
"""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.app.settings import Settings
from api.cli.app import main
from client.beside import append
from crypto.encoding import b64encode
from crypto.ids import ALGORITHM_ED25519, key_id
from crypto.notes import LogSigner
from identity.actors import read_keyfile, write_keyfile
from ledger.auditor import verify_export
from ledger.files import read_vkeys
from ledger.messages import possession_message
from ledger.times import parse_time
from storage.exports import write_export
from storage.ledger import Ledger
from synthetic import patients
from tests.support.child_processes import run_command
from tests.support.commands import bare_rules, heartwood
from tests.support.exports import flipped
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import in_process

HEARTWOOD = Path(sys.executable).with_name("heartwood")
ORIGIN = "heartwood.example/cli"
LETTER = b"Dear colleague, \xf0\x9f\xab\x80 99 % better.\n" * 3_000
"""More than one chunk of a blob, and not UTF-8 alone in what it is."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Shell:
    """Runs commands on the ledger in `data`, which they find by HEARTWOOD_DATA."""

    data: Path
    installed: bool = False
    """Whether commands run as people start them; else in children that have all imported already."""
    variables: tuple[tuple[str, str], ...] = ()

    def having(self, **variables: str) -> "Shell":
        """The same with more in the environment."""
        return replace(self, variables=(*self.variables, *variables.items()))

    @property
    def environment(self) -> dict[str, str]:
        """The tester's own, without settings of ours but these."""
        kept = {n: v for n, v in os.environ.items() if not n.startswith("HEARTWOOD_")}
        return kept | {"HEARTWOOD_DATA": str(self.data), "COLUMNS": "200"} | dict(self.variables)

    def run(
        self, *arguments: object, code: int = 0, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one command, which must end with `code`; the installed one if it reads `stdin`."""
        if self.installed or stdin is not None:
            command = [str(HEARTWOOD), *map(str, arguments)]
            run = subprocess.run(
                command, env=self.environment, input=stdin or b"", capture_output=True
            )
        else:
            run = run_command(self.environment, *arguments)
        assert run.returncode == code, (arguments, run.returncode, run.stdout, run.stderr)
        assert b"Traceback" not in run.stderr and b"internal error" not in run.stderr
        assert b"\x1b" not in run.stdout
        if "--json" not in arguments and stdin is None and "open" not in arguments:
            assert not bare_rules((run.stdout + run.stderr).decode(errors="replace")), run
        return run

    def json(self, *arguments: object, code: int = 0) -> Json:
        """Run one command with --json; its one object."""
        run = self.run(*arguments, "--json", code=code)
        found = json.loads(run.stdout)
        assert isinstance(found, dict) and run.stdout.count(b"\n") == 1
        return found

    def fails(self, code: int, words: str, *arguments: object) -> None:
        """A command must fail with `code`, saying these words to people and in JSON."""
        command = ["heartwood", *map(str, arguments), "--json"]
        with (
            patch.object(sys, "argv", command),
            patch.dict(os.environ, self.environment, clear=True),
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as err,
            pytest.raises(SystemExit) as left,
        ):
            main()
        assert left.value.code == code, (arguments, out.getvalue(), err.getvalue())
        told = json.loads(out.getvalue())
        assert told.keys() == {"problem", "message"} and words in told["message"], told
        assert told["problem"] != "bug"
        assert f"\n{err.getvalue()}".endswith(f"\nheartwood: {told['message']}\n")


@dataclass(frozen=True)
class Founded:
    """A ledger and what its first commands answered."""

    shell: Shell
    init: Json
    north: Json
    south: Json
    doctor: Json
    """Of the south."""
    patient: Json
    upload: Json
    letter: Path

    def keyfile(self, answer: Json, name: str = "keyfile") -> Path:
        """The key file that an answer names, in this copy of the ledger."""
        return self.shell.data / "people" / Path(answer[name]).name

    @contextlib.contextmanager
    def open(self) -> Iterator[Ledger]:
        """The ledger without the command line."""
        ledger = opened(Settings(data=self.shell.data, database_url="", blobs="", root=None))
        try:
            yield ledger
        finally:
            ledger.close()

    @property
    def operator(self) -> Path:
        return self.keyfile(self.init)

    @property
    def system(self) -> Path:
        return self.keyfile(self.north)

    @property
    def south_admin(self) -> Path:
        return self.keyfile(self.south, "admin_keyfile")

    @property
    def vkey(self) -> Path:
        return self.shell.data / "log.vkey"


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Founded:
    place = tmp_path_factory.mktemp("cli")
    shell, letter = Shell(place / "data", installed=True), place / "letter.pdf"
    letter.write_bytes(LETTER)
    init = shell.json("init", "--origin", ORIGIN)
    north, south = (
        shell.json("hospital", "add", name, "--as", init["keyfile"], "--time-zone", "Europe/Berlin")
        for name in ("Klinikum Nord", "Klinikum Süd")
    )
    doctor = shell.json("doctor", "add", "Dr. Cem Süd", "--as", south["admin_keyfile"])
    patient = shell.json("patient", "add", "Pat Muster", "--as", north["keyfile"])
    told = ("--patient", patient["patient"], "--category", "document", "--title", "Brief")
    upload = shell.json("upload", letter, *told, "--as", north["keyfile"])
    return Founded(shell, init, north, south, doctor, patient, upload, letter)


@pytest.fixture
def copied(founded: Founded, tmp_path: Path) -> Iterator[Founded]:
    """A copy of the ledger; whatever a test did to it, its export verifies afterwards."""
    shutil.copytree(founded.shell.data, tmp_path / "data")
    made = replace(founded, shell=Shell(tmp_path / "data"))
    yield made
    with made.open() as ledger:
        write_export(ledger, tmp_path / "last")
    assert verify_export(tmp_path / "last", read_vkeys(made.vkey)).proven


# init, hospital, system, doctor, patient


def test_answers_name_what_was_made(founded: Founded) -> None:
    expected = {
        "init": (
            {"origin", "account", "key", "keyfile", "vkey", "seq", "setup_link"},
            founded.init,
        ),
        "hospital": (
            {"hospital", "account", "key", "keyfile", "admin_account", "admin_keyfile", "seq"},
            founded.north,
        ),
        "doctor": ({"hospital", "doctor", "account", "key", "keyfile", "seq"}, founded.doctor),
        "patient": ({"patient", "account", "key", "keyfile", "seq"}, founded.patient),
        "upload": ({"record", "patient", "seq", "size"}, founded.upload),
    }
    prefixes = {"hospital": "hs", "account": "ac", "doctor": "ac", "patient": "pt", "record": "rc"}
    for members, answer in expected.values():
        assert answer.keys() == members
        for name, value in answer.items():
            if name in prefixes:
                assert value.startswith(f"{prefixes[name]}_")
            if name.endswith("keyfile"):
                assert Path(value).stat().st_mode & 0o777 == 0o600
    assert founded.init["seq"] == 0 and founded.upload["size"] == len(LETTER)
    assert founded.doctor["hospital"] == founded.south["hospital"]


def test_init_never_goes_over_what_is_there(copied: Founded, tmp_path: Path) -> None:
    shell = copied.shell
    shell.fails(4, "holds a ledger already", "init")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    shell.fails(4, "holds files", "init", "--data", tmp_path / "other")
    shell.fails(4, "heartwood/x", "init", "--data", tmp_path / "new", "--origin", "heartwood/x")
    shell.fails(4, "there is no ledger", "export", tmp_path / "e", "--data", tmp_path / "new")
    told = shell.run("init", "--data", tmp_path / "new").stdout.decode()
    assert "operator's key: " in told and "verifier keys: " in told


def test_who_may_add_whom(copied: Founded) -> None:
    shell = copied.shell
    told = shell.json("system", "add", "Labor", "--as", copied.south_admin)
    assert told.keys() == {"hospital", "account", "key", "keyfile", "seq"}
    text = shell.run("doctor", "add", "Dr. Dora", "--as", copied.south_admin).stdout.decode()
    assert "Dr. Dora is ac_" in text and "key file: " in text
    shell.fails(1, "got the role", "hospital", "add", "West", "--as", copied.south_admin)
    shell.fails(1, "got the role", "doctor", "add", "Dr. X", "--as", copied.system)
    shell.fails(1, "got the role", "patient", "add", "P", "--as", copied.keyfile(copied.patient))


def test_minors_and_the_dead(copied: Founded) -> None:
    shell = copied.shell
    shell.json("patient", "add", "Kind", "--birth-date", "2024-02-29", "--as", copied.system)
    dead = shell.json("patient", "add", "Alt", "--deceased", "--as", copied.system)
    key = copied.keyfile(dead)
    shell.fails(1, "dead", "grant", copied.doctor["doctor"], "--as", key)
    shell.fails(
        2, "future", "patient", "add", "K", "--birth-date", "2999-01-01", "--as", copied.system
    )
    shell.run("patient", "add", "K", "--birth-date", "yesterday", "--as", copied.system, code=2)


@pytest.mark.parametrize(
    ("zone", "today"), [("Pacific/Kiritimati", "2027-03-02"), ("Etc/GMT+12", "2027-02-28")]
)
def test_a_birth_is_of_a_day_of_the_hospital(
    zone: str, today: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 1 March in UTC: born on the hospital's own day one is registered, a day later not yet; corrected as well."""

    def clock() -> int:
        return parse_time("2027-03-01T11:00:00.000Z")

    fixture = LedgerFixture.found(Settings(data=tmp_path / "data"), clock, zone=zone)
    fixture.close()
    program = sys.modules["api.cli.app"]  # `api.cli.app` is the Typer in it
    monkeypatch.setattr(program, "open_ledger", lambda given: opened(given, clock))
    system = write_keyfile(tmp_path / "system", fixture.north.system)

    def born(day: date, *arguments: object) -> tuple[int, str]:
        ran = heartwood(
            fixture.settings, "patient", *arguments, "--birth-date", day, "--as", system
        )
        return ran.code, ran.err

    day = date.fromisoformat(today)
    known = heartwood(
        fixture.settings, "patient", "add", "Kind", "--no-key", "--birth-date", day, "--as", system, "--json"
    )  # fmt: skip
    assert known.code == 0, known
    for arguments in (("add", "Kind", "--no-key"), ("correct", known.json["patient"])):
        code, said = born(day + timedelta(days=1), *arguments)
        assert code == 2 and f"is in the future: today is {today}" in said
        assert born(day, *arguments) == (0, "")


# key new


def own_key(account: str, origin: str = ORIGIN) -> tuple[str, str, str]:
    """A key made elsewhere: its id, public key and proof, by `cryptography` alone."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    name = key_id(ALGORITHM_ED25519, public)
    proof = private.sign(possession_message(origin, account, name))
    return name, b64encode(public), b64encode(proof)


def test_a_key_made_elsewhere(copied: Founded) -> None:
    shell = copied.shell
    patient = shell.json("patient", "add", "Ohne Schlüssel", "--no-key", "--as", copied.system)
    assert patient.keys() == {"patient", "account", "seq"}
    account = patient["account"]
    new = ("key", "new", "--account", account, "--as", copied.system)
    name, public, proof = own_key(account)
    _, _, other = own_key(account)
    shell.fails(2, "belong together", *new, "--public-key", public)
    shell.fails(1, "proof of possession", *new, "--public-key", public, "--proof", other)
    shell.fails(1, "in base64", *new, "--public-key", public[:-4], "--proof", proof)
    told = shell.json(*new, "--public-key", public, "--proof", proof)
    assert told.keys() == {"account", "key", "public_key", "seq"}
    assert (told["key"], told["public_key"]) == (name, public)
    shell.fails(1, "already has a key", *new)
    further, public, proof = own_key(account := shell.json(
        "patient", "add", "Noch eine", "--no-key", "--as", copied.system
    )["account"])  # fmt: skip
    ran = shell.run("key", "new", "--account", account, "--as", copied.system, "--public-key", public,
                    "--proof", proof)  # fmt: skip
    assert ran.stdout.decode().startswith(f"Key {further} registered for {account} (entry ")
    shell.fails(2, "is not an account id", "key", "new", "--account", "ac_x", "--as", copied.system)


def test_a_further_key_of_ones_own(copied: Founded) -> None:
    shell, account = copied.shell, copied.patient["account"]
    told = shell.json("key", "new", "--account", account, "--as", copied.keyfile(copied.patient))
    assert told.keys() == {"account", "key", "public_key", "seq", "keyfile"}
    shell.json("history", "--as", copied.keyfile(told))
    shell.fails(1, "can't vouch", "key", "new", "--account", account, "--recovery", "--as",
                copied.keyfile(told))  # fmt: skip


def test_a_recovered_key_counts_later_and_a_revoked_one_no_more(copied: Founded) -> None:
    shell, account = copied.shell, copied.patient["account"]
    recover = ("key", "new", "--account", account, "--recovery", "--as")
    shell.fails(1, "recovery is for", *recover, copied.keyfile(copied.south))
    fresh = shell.json(*recover, copied.system)
    shell.fails(1, "denied by S0 (not valid)", "history", "--as", copied.keyfile(fresh))
    revoke_key(copied)
    shell.fails(1, "denied by S0 (not valid)", "history", "--as", copied.keyfile(copied.patient))


def revoke_key(copied: Founded) -> None:
    """The patient revokes the key; there is no command for it."""
    person = read_keyfile(copied.keyfile(copied.patient)).in_role("person")
    body = {"account": person.account, "key": person.key.id}
    with copied.open() as ledger:
        event = person.event("key.revoked", f"account/{person.account}", body, ledger.clock())
        append(ledger, person, [event])


# import, upload, open


def test_import(copied: Founded, tmp_path: Path) -> None:
    shell, source = copied.shell, tmp_path / "source"
    source.mkdir()
    for number, one in enumerate(patients(7, 3, years=2)):
        (source / f"{number}.json").write_bytes(one.bundle)
    as_system = ("--hospital", copied.north["hospital"], "--as", copied.system)
    (source / "notes.txt").write_text("nobody's")

    def listed(name: str) -> tuple[object, ...]:
        return (*as_system, "--accept-rejects", "--report", tmp_path / name)

    dry = shell.json("import", source, "--dry-run", *listed("dry"))
    told = shell.json("import", source, *listed("first"))
    assert (told["files"], told["patients"], told["rejected"]) == (4, 3, 1)
    assert told["found"] == told["imported"] + told["references"] + told["rejected"]
    assert sum(told["records"].values()) > 20
    assert (dry["new"], dry["records"], dry["dry_run"]) == (told["new"], told["records"], True)
    lines = Path(told["rejects_file"]).read_text().splitlines()
    assert "nothing says whose it is" in json.loads(lines[-1])["reason"]
    shell.fails(2, "already holds a report", "import", source, *listed("first"))
    assert Path(told["rejects_file"]).read_text().splitlines() == lines
    again = shell.json("import", source / "0.json", *listed("again"))
    assert (again["patients"], again["new"], again["size"]) == (0, 0, told["size"])
    text = shell.run("import", source, *listed("text")).stdout.decode()
    assert f"0 new, 0 amended, {told['new']} known before" in text
    assert "NOT imported: 1 unit, to be corrected" in text
    shell.fails(2, "not for hs_", "import", source, "--hospital", copied.south["hospital"], "--as",
                copied.system)  # fmt: skip
    shell.fails(2, "there is no file or folder", "import", tmp_path / "none", *as_system)
    (source / "0.json").write_bytes(b"{}")
    assert shell.json("import", source / "0.json", *listed("broken"))["rejected"] == 1


def test_upload_and_open(copied: Founded, tmp_path: Path) -> None:
    shell, out, record = copied.shell, tmp_path / "out.pdf", copied.upload["record"]
    as_patient = ("--purpose", "PATRQT", "--as", copied.keyfile(copied.patient))
    assert shell.run("open", record, *as_patient).stdout == LETTER
    told = shell.json("open", record, *as_patient, "--out", out)
    assert out.read_bytes() == LETTER
    assert (told["record"], told["rule"], told["size"]) == (record, "S5", len(LETTER))
    assert (told["title"], told["file_name"]) == ("Brief", "letter.pdf")
    shell.fails(2, "exists; nothing was signed or read", "open", record, *as_patient, "--out", out)
    shell.fails(2, "needs --out", "open", record, *as_patient)
    shell.fails(2, "there is no record", "open", "rc_x", *as_patient, "--out", tmp_path / "x")
    shell.fails(2, "not 9", "open", record, *as_patient, "--version", 9, "--out", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_upload_from_standard_input(copied: Founded, tmp_path: Path) -> None:
    shell, patient = copied.shell, copied.patient["patient"]
    told = ("--patient", patient, "--category", "laboratory", "--as", copied.system)
    text = shell.run("upload", "-", *told, "--media-type", "text/plain", stdin=b"piped").stdout
    record = text.decode().split()[0]
    as_patient = ("--purpose", "PATRQT", "--as", copied.keyfile(copied.patient))
    assert shell.run("open", record, *as_patient).stdout == b"piped"
    shell.fails(2, "no such file", "upload", tmp_path / "none", *told)
    shell.fails(2, "category", "upload", copied.letter, *told, "--category", "letters")
    unknown = ("--patient", "pt_" + "0" * 26, "--category", "laboratory", "--as", copied.system)
    shell.fails(2, "there is no patient", "upload", copied.letter, *unknown)


def test_altered_content_is_not_given(copied: Founded, tmp_path: Path) -> None:
    blobs = [path for path in (copied.shell.data / "blobs").rglob("*") if path.is_file()]
    (blob,) = (path for path in blobs if path.stat().st_size > len(LETTER))
    blob.chmod(0o600)
    blob.write_bytes(flipped(blob.read_bytes(), len(LETTER) - 1, 0))
    read = (
        "open",
        copied.upload["record"],
        "--purpose",
        "PATRQT",
        "--as",
        copied.keyfile(copied.patient),
    )
    copied.shell.run(*read, "--out", tmp_path / "out", code=1)
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


# grant, revoke, history


def test_granted_read_revoked_refused(copied: Founded, tmp_path: Path) -> None:
    shell, record, doctor = copied.shell, copied.upload["record"], copied.doctor["doctor"]
    patient, reader = copied.keyfile(copied.patient), copied.keyfile(copied.doctor)
    read = ("open", record, "--as", reader, "--out")
    shell.fails(1, "denied by S12 (default)", *read, tmp_path / "0")
    told = shell.json("grant", doctor, "--as", patient, "--days", 7)
    assert told.keys() == {"grant", "patient", "grantee", "end", "seq"}
    assert told["grant"].startswith("gr_") and told["patient"] == copied.patient["patient"]
    given = shell.json(*read, tmp_path / "1")
    assert (given["rule"], given["basis"]) == ("S9", [told["seq"]])
    gone = shell.json("revoke", "--grant", told["grant"], "--as", patient)
    assert (gone["grantee"], gone["grant"]) == (doctor, told["grant"])
    shell.fails(1, "the refusal is entry", *read, tmp_path / "2")
    assert [path.name for path in tmp_path.iterdir() if path.name in "012"] == ["1"]
    acts = shell.json("history", "--as", patient)["acts"]
    opened = [act["effect"] for act in acts if act["type"] == "record.opened"]
    assert opened == ["deny", "permit", "deny"]
    assert shell.run("history", "--as", patient).stdout.decode().count("REFUSED") == 2


def test_the_proof_of_a_history_is_checked_offline(copied: Founded, tmp_path: Path) -> None:
    """Beside the data and from a server; whatever is taken out of it afterwards is found by whoever checks."""
    # What is trusted of a server is kept apart: other tests serve other ends of the same log.
    shell = copied.shell.having(XDG_STATE_HOME=str(tmp_path / "state"))
    patient, vkey = copied.keyfile(copied.patient), copied.vkey
    proof, far = tmp_path / "history.json", tmp_path / "far.json"
    asked = ("history", "--as", patient, "--prove")
    shell.run(*asked, proof)
    with copied.open() as ledger, in_process(ledger) as web:
        shell.run(*asked, far, "--url", web.url, "--vkey", vkey)
    for file in (proof, far):
        told = shell.json("check", file, "--vkey", vkey)
        assert told["proven"] and told["stream"] == f"patient/{copied.patient['patient']}"
        assert shell.json("check", file, code=3)["entries"] == told["entries"]
        kept = json.loads(file.read_text())
        assert len(kept["entries"]) == told["entries"]
        file.write_text(json.dumps(kept | {"entries": kept["entries"][:1] + kept["entries"][2:]}))
        shell.fails(1, "does not follow", "check", file, "--vkey", vkey)
    shell.fails(2, "nothing was signed", *asked, proof)
    before = shell.json("history", "--as", patient)["seq"]
    shell.fails(2, "nothing was signed", *asked, tmp_path / "missing" / "history.json")
    assert shell.json("history", "--as", patient)["seq"] == before + 1


def test_a_grant_of_one_record_for_a_hospital(copied: Founded, tmp_path: Path) -> None:
    shell, record, hospital = copied.shell, copied.upload["record"], copied.south["hospital"]
    patient, reader = copied.keyfile(copied.patient), copied.keyfile(copied.doctor)
    text = shell.run("grant", hospital, "--record", record, "--uses", 1, "--as", patient).stdout
    assert b"1 record, to list and read for TREAT, for at most 1 reading, until" in text
    assert shell.run("open", record, "--as", reader).stdout == LETTER
    shell.fails(
        1, "denied by S12 (default)", "open", record, "--as", reader, "--out", tmp_path / "x"
    )
    shell.run("revoke", "--grantee", hospital, "--as", patient)


def test_grants_and_revocations_used_wrongly(copied: Founded) -> None:
    shell, doctor = copied.shell, copied.doctor["doctor"]
    patient, reader = copied.keyfile(copied.patient), copied.keyfile(copied.doctor)
    shell.fails(2, "give --grant or --grantee", "revoke", "--as", patient)
    shell.fails(2, "there is no grant", "revoke", "--grant", "gr_x", "--as", patient)
    shell.fails(1, "has granted nothing", "revoke", "--grantee", doctor, "--as", patient)
    shell.fails(2, "there is no account", "grant", "ac_" + "0" * 26, "--as", patient)
    shell.fails(2, "is not an account, group or hospital id", "grant", "Dr. Cem", "--as", patient)
    shell.fails(2, "at most 365", "grant", doctor, "--days", 366, "--as", patient)
    shell.fails(2, "name one with --patient", "history", "--as", reader)
    shell.fails(
        1, "denied by S1 (role)", "history", "--patient", copied.patient["patient"], "--as", reader
    )
    shell.fails(1, "denied by S1 (role)", "grant", doctor, "--patient", copied.patient["patient"], "--as",
                reader)  # fmt: skip


def test_a_revoked_key_signs_nothing_any_more(copied: Founded) -> None:
    shell = copied.shell
    person = shell.json("patient", "add", "Key Loser", "--as", copied.system)
    keyfile, account = person["keyfile"], person["account"]
    second = shell.json("key", "new", "--account", account, "--as", keyfile)
    shell.fails(1, "may not revoke", "key", "revoke", second["key"], "--account", account,
                "--as", copied.system)  # fmt: skip
    done = shell.json("key", "revoke", person["key"], "--as", second["keyfile"])
    assert (done["key"], done["account"]) == (person["key"], account)
    shell.fails(1, "denied by S0 (not valid)", "history", "--as", keyfile)
    shell.json("history", "--as", second["keyfile"])


# receipt, check, export, verify


def test_receipts(copied: Founded, tmp_path: Path) -> None:
    shell, out, seq = copied.shell, tmp_path / "receipt", copied.upload["seq"]
    as_patient = ("--as", copied.keyfile(copied.patient))
    told = shell.json("receipt", seq, *as_patient, "--out", out)
    assert (told["seq"], told["final"], told["receipt"]) == (seq, True, str(out))
    assert shell.run("receipt", seq, *as_patient).stdout.rstrip() == out.read_bytes().rstrip()
    for refused in (copied.upload["seq"], 10_000):
        shell.fails(
            2, "that concerns you", "receipt", refused, "--as", copied.keyfile(copied.doctor)
        )
    assert shell.json("check", out, "--vkey", copied.vkey) == {"seq": seq, "proven": True}
    assert shell.json("check", out, code=3) == {"seq": seq, "proven": False}
    assert b"origin unproven" in shell.run("check", out, code=3).stdout
    others = tmp_path / "others"
    others.write_text("".join(f"{key}\n" for key in LogSigner(ORIGIN, bytes(32), bytes(32)).keys))
    shell.fails(1, "none of the known keys", "check", out, "--vkey", others)
    data = out.read_bytes()
    out.write_bytes(data.replace(b"index %d" % seq, b"index %d" % (seq - 1)))
    shell.fails(1, "hashes for index", "check", out, "--vkey", copied.vkey)
    shell.fails(4, "no such file", "check", tmp_path / "none", "--vkey", copied.vkey)


def test_export_and_verify(copied: Founded, tmp_path: Path) -> None:
    shell, export = copied.shell, tmp_path / "export"
    told = shell.json("export", export)
    assert told == {"directory": str(export), "size": copied.upload["seq"] + 1, "left_out": 0}
    shell.fails(4, "is not empty", "export", export)
    good = shell.json("verify", export, "--vkey", copied.vkey)
    assert (good["size"], good["proven"], good["entries"]) == (told["size"], True, told["size"])
    assert shell.json("verify", export, code=3)["proven"] is False
    text = shell.run("verify", export, "--vkey", copied.vkey, "--no-signatures").stdout
    assert b"WITHOUT signatures" in text
    foreign = tmp_path / "foreign"
    foreign.write_bytes(flipped(copied.vkey.read_bytes(), 40, 1))
    shell.fails(2, "verifier key", "verify", export, "--vkey", foreign)
    foreign.write_bytes(b"\xff\xfe")
    shell.fails(2, "verifier key", "verify", export, "--vkey", foreign)
    bundle = next((export / "tile" / "entries").rglob("[0-9]*/[0-9]*"))
    bundle.write_bytes(flipped(bundle.read_bytes(), 1_000, 3))
    told = shell.json("verify", export, "--vkey", copied.vkey, code=1)
    assert told["message"].startswith(f"{bundle.relative_to(export)}: damaged")
    shell.fails(4, "there is no folder", "verify", tmp_path / "none", "--vkey", copied.vkey)


# accept-restore


def database_files(data: Path) -> list[Path]:
    return sorted(data.glob("heartwood.db*"))


def test_going_on_after_a_restored_backup(copied: Founded, tmp_path: Path) -> None:
    shell, data, backup = copied.shell, copied.shell.data, tmp_path / "backup"
    patient = copied.keyfile(copied.patient)
    older, lost = tmp_path / "older", tmp_path / "lost"
    shell.run("receipt", copied.upload["seq"], "--as", patient, "--out", older)
    backup.mkdir()
    for file in database_files(data):
        shutil.copy(file, backup)
    seq = shell.json("history", "--as", patient)["seq"]
    shell.run("receipt", seq, "--as", patient, "--out", lost)
    for file in database_files(data):
        file.unlink()
    for file in backup.iterdir():
        shutil.copy(file, data)
    shell.fails(4, "`heartwood accept-restore --as OPERATOR`", "history", "--as", patient)
    refused = shell.run("export", tmp_path / "early", code=4)
    assert b"`heartwood accept-restore --as OPERATOR`" in refused.stderr
    assert shell.json("accept-restore", "--as", patient, code=1)["problem"] == "role"
    shell.fails(4, "acknowledged", "history", "--as", patient)
    told = shell.json("accept-restore", "--as", copied.operator)
    assert told == {"seq": seq, "size": seq, "last_size": seq + 1}
    shell.fails(2, "nothing to accept", "accept-restore", "--as", copied.operator)
    as_patient = ("--purpose", "PATRQT", "--as", patient)
    assert shell.run("open", copied.upload["record"], *as_patient).stdout == LETTER
    shell.run("export", tmp_path / "export")
    verify = ("verify", tmp_path / "export", "--vkey", copied.vkey)
    shell.run(*verify, "--at-least", older)
    shell.fails(1, "does not extend the older receipt", *verify, "--at-least", lost)
    # The patient is told, too: a revocation may be among what was lost.
    (loss,) = shell.json("history", "--as", patient)["losses"]
    assert (loss["seq"], loss["size"], loss["last_size"]) == (seq, seq, seq + 1)
    span = f"entries {seq} to {seq} had been acknowledged and are lost"
    assert span.encode() in shell.run("history", "--as", patient).stdout


def test_a_revocation_that_a_restore_takes_back_is_named(copied: Founded, tmp_path: Path) -> None:
    """The doctor reads again, and whoever looks is told of what span a revocation may have been."""
    shell, data, backup = copied.shell, copied.shell.data, tmp_path / "backup"
    patient, doctor = copied.keyfile(copied.patient), copied.doctor["doctor"]
    read = ("open", copied.upload["record"], "--as", copied.keyfile(copied.doctor), "--out")
    shell.json("grant", doctor, "--days", 7, "--as", patient)
    backup.mkdir()
    for file in database_files(data):
        shutil.copy(file, backup)
    gone = shell.json("revoke", "--grantee", doctor, "--as", patient)["seq"]
    shell.fails(1, "denied by S12 (default)", *read, tmp_path / "refused")
    for file in database_files(data):
        file.unlink()
    for file in backup.iterdir():
        shutil.copy(file, data)
    told = shell.json("accept-restore", "--as", copied.operator)
    assert told == {"seq": gone, "size": gone, "last_size": gone + 2}
    assert shell.json(*read, tmp_path / "again")["rule"] == "S9"
    shell.run("export", tmp_path / "export")
    for tool in ("verify", "audit"):
        asked = (tool, tmp_path / "export", "--vkey", copied.vkey)
        (said,) = [line for line in said_by(shell, *asked) if line.startswith("RESTORED: ")]
        assert said.startswith(f"RESTORED: entry {gone} of ")
        assert f"what stood as {gone} to {gone + 1} is lost, also a revocation" in said
        (one,) = shell.json(*asked)["restored"]
        assert (one["seq"], one["size"], one["last_size"]) == (gone, gone, gone + 2)

    def history(*where: object) -> None:
        asked = ("history", "--as", patient, *where)
        (said,) = [line for line in said_by(shell, *asked) if line.startswith("NOTE: the log was ")]
        assert f"(entry {gone}): entries {gone} to {gone + 1} had been acknowledged" in said
        assert "revocation or exclusion of that span does not count any more" in said
        (loss,) = shell.json(*asked)["losses"]
        assert (loss["seq"], loss["size"], loss["last_size"]) == (gone, gone, gone + 2)

    history()
    with copied.open() as ledger, in_process(ledger) as web:
        history("--url", web.url)


def said_by(shell: Shell, *arguments: object) -> list[str]:
    """The lines that a command prints."""
    return shell.run(*arguments).stdout.decode().splitlines()


def test_a_missing_database_is_no_new_ledger(copied: Founded, tmp_path: Path) -> None:
    for file in database_files(copied.shell.data):
        file.rename(tmp_path / file.name)
    copied.shell.fails(4, "restore it from a backup", "export", tmp_path / "early")
    copied.shell.fails(4, "holds a ledger already", "init")
    for file in tmp_path.glob("heartwood.db*"):
        file.rename(copied.shell.data / file.name)


# How commands fail


def test_a_ledger_that_must_not_start(copied: Founded, tmp_path: Path) -> None:
    shell, data, history = copied.shell, copied.shell.data, ("history", "--as", copied.operator)
    root, seed = data / "roots" / "record.root", data / "keys" / "log-ed25519.seed"
    for path, words in ((root, "is missing"), (seed, "is missing")):
        path.rename(tmp_path / "away")
        shell.fails(4, words, *history)
        (tmp_path / "away").rename(path)
    shutil.copy(seed, tmp_path / "seed")
    shutil.copy(data / "keys" / "service.seed", seed)
    shell.fails(4, "not those of log.vkey", *history)
    shutil.copy(tmp_path / "seed", seed)
    root.chmod(0o644)
    shell.fails(4, "run chmod 600", *history)
    root.chmod(0o600)
    elsewhere = shell.having(HEARTWOOD_DATABASE_URL="postgresql+psycopg://h/d")
    elsewhere.fails(4, "names postgresql", *history)


def test_key_files_used_wrongly(copied: Founded, tmp_path: Path) -> None:
    shell, keyfile = copied.shell, tmp_path / "mine.key"
    history = ("history", "--as", keyfile)
    shell.fails(2, "no key file at", *history)
    shutil.copy(copied.keyfile(copied.patient), keyfile)
    keyfile.chmod(0o640)
    shell.fails(2, f"run chmod 600 {keyfile}", *history)
    keyfile.chmod(0o600)
    text = keyfile.read_text()
    for altered in ("", "[]", "\xff", text.replace(copied.patient["key"], copied.doctor["key"])):
        keyfile.write_text(altered, encoding="latin-1")
        shell.fails(2, str(keyfile), *history)
    keyfile.write_text(text.replace(ORIGIN, "heartwood.example/other"))
    shell.fails(2, "got a key of the log heartwood.example/other", *history)


def test_a_passphrase_for_roots_and_key_files(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "data")
    knowing = shell.having(HEARTWOOD_PASSPHRASE="correct horse")
    guessing = shell.having(HEARTWOOD_PASSPHRASE="horse")
    made = knowing.json("init")
    assert "ENCRYPTED" in Path(made["keyfile"]).read_text()
    add = ("hospital", "add", "Nord", "--as", made["keyfile"])
    shell.fails(2, "needs HEARTWOOD_PASSPHRASE", *add)
    shell.fails(4, "set HEARTWOOD_PASSPHRASE", "rebuild")
    guessing.fails(4, "the passphrase is wrong", "rebuild")
    knowing.json(*add)


@pytest.mark.parametrize(
    "arguments",
    [
        ("unknown",),
        ("history", "--patients"),
        ("upload", "x"),
        ("open", "--version", "one", "rc"),
        ("key",),
    ],
)
def test_wrong_usage_is_explained(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    run = Shell(tmp_path).run(*arguments, code=2)
    assert b"Usage: heartwood" in run.stderr + run.stdout
    assert not list(tmp_path.iterdir())


# demo


def test_the_demo_runs_and_runs_again_in_its_own_folder_alone(tmp_path: Path) -> None:
    shell, place = Shell(tmp_path / "unused"), tmp_path / "demo"
    for _ in range(2):
        told = shell.run("demo", "--directory", place).stdout.decode()
        assert "all of it held" in told and "found: entry" in told
    (place / ".heartwood-demo").unlink()
    before = sorted(place.rglob("*"))
    run = shell.run("demo", "--directory", place, code=4)
    assert b"is not a demo's folder; nothing was touched" in run.stderr
    assert sorted(place.rglob("*")) == before and not (tmp_path / "unused").exists()
