"""Passphrases: the same word however it was typed, and changed with nothing lost wherever it is cut off."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.app.creating import create_ledger
from api.app.settings import Settings
from api.operator.rewrapping import change_passphrase
from crypto.passphrases import passphrase_bytes, passphrase_forms
from durable.errors import StartRefused
from identity.actors import Actor, new_key, read_keyfile, write_keyfile
from identity.errors import KeyFileError
from keeper.roots import create_root, load_root
from tests.support.commands import heartwood
from tests.support.inside import opened

COMPOSED, DECOMPOSED = "Schl\u00fcssel", "Schlu\u0308ssel"
FILES = 10
"""Roots, the keys of log, service and keeper, and the operator's key file."""
KILLED = """
import os, sys
from pathlib import Path
from api.operator.rewrapping import change_passphrase
from api.app.settings import Settings
left, replace = [int(sys.argv[1])], os.replace
def counted(*names):
    if not left[0]:
        os.kill(os.getpid(), 9)
    left[0] -= 1
    replace(*names)
os.replace = counted
change_passphrase(Settings(), Settings().new_passphrase.get_secret_value(), ())
"""


def settings(data: Path, passphrase: str | None) -> Settings:
    return Settings.model_validate(
        {"data": data, "passphrase": passphrase, "database_url": "", "root": None}
    )


@pytest.mark.parametrize(("made", "typed"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_the_same_word_opens_however_it_was_typed(tmp_path: Path, made: str, typed: str) -> None:
    root = create_root(tmp_path / "root", made)
    assert load_root(tmp_path / "root", typed) == root
    who = Actor("x.example/log", "ac_" + "0" * 26, "doctor", "", new_key())
    path = write_keyfile(tmp_path / "key", who, made)
    assert read_keyfile(path, typed).key.id == who.key.id
    for wrong in ("Schlussel", None):
        with pytest.raises(StartRefused):
            load_root(tmp_path / "root", wrong)
        with pytest.raises(KeyFileError):
            read_keyfile(path, wrong)


@pytest.mark.parametrize("typed", [COMPOSED, DECOMPOSED])
def test_what_an_older_program_sealed_under_the_bytes_opens(
    tmp_path: Path, typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keeper.roots.file.passphrase_bytes", lambda text: DECOMPOSED.encode())
    monkeypatch.setattr("identity.actors.passphrase_bytes", lambda text: DECOMPOSED.encode())
    root = create_root(tmp_path / "root", DECOMPOSED)
    who = Actor("x.example/log", "ac_" + "0" * 26, "doctor", "", new_key())
    path = write_keyfile(tmp_path / "key", who, DECOMPOSED)
    assert (
        load_root(tmp_path / "root", typed) == root
        and read_keyfile(path, typed).key.id == who.key.id
    )


def test_forms_are_tried_once_each() -> None:
    assert passphrase_forms("plain") == (b"plain",) == (passphrase_bytes("plain"),)
    assert len(passphrase_forms(DECOMPOSED)) == 2
    assert passphrase_bytes("\udcff") == b"\xff"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    create_ledger(settings(tmp_path / "data", "old"), "heartwood.example/passphrase")
    return tmp_path / "data"


@pytest.mark.parametrize("kept", [0, 1, FILES // 2, FILES - 1, FILES])
def test_a_change_that_is_killed_is_run_again(data: Path, kept: int) -> None:
    """Wherever it dies, each file is whole under one of the two, and the next run ends it."""
    names = {"DATA": data, "PASSPHRASE": "old", "NEW_PASSPHRASE": "new"}
    environment = os.environ | {f"HEARTWOOD_{name}": str(value) for name, value in names.items()}
    done = subprocess.run([sys.executable, "-c", KILLED, str(kept)], env=environment)
    assert done.returncode == (0 if kept == FILES else -9)
    again = change_passphrase(settings(data, "old"), "new", ())
    assert len(again.changed) == FILES and not again.left
    opened(settings(data, "new")).close()
    (keyfile,) = (data / "people").glob("*.key")
    read_keyfile(keyfile, "new")
    with pytest.raises(StartRefused, match="heartwood passphrase"):
        opened(settings(data, "old"))


def test_the_command_changes_and_takes_away(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (keyfile,) = (data / "people").glob("*.key")
    stranger = write_keyfile(
        data / "people" / "stranger.key", read_keyfile(keyfile, "old"), "another"
    )
    monkeypatch.setenv("HEARTWOOD_PASSPHRASE", "wrong")
    monkeypatch.setenv("HEARTWOOD_NEW_PASSPHRASE", "new")
    before = {path: path.read_bytes() for path in data.rglob("*.key")}
    assert heartwood(settings(data, None), "passphrase").code == 4
    assert {path: path.read_bytes() for path in data.rglob("*.key")} == before
    monkeypatch.setenv("HEARTWOOD_PASSPHRASE", "old")
    told = heartwood(settings(data, None), "passphrase", "--json").json
    assert told["left"] == [str(stranger)] and len(told["changed"]) == FILES
    monkeypatch.setenv("HEARTWOOD_PASSPHRASE", "new")
    assert heartwood(settings(data, None), "passphrase", "--none").code == 0
    monkeypatch.delenv("HEARTWOOD_PASSPHRASE")
    assert heartwood(settings(data, None), "status").code == 0
    monkeypatch.delenv("HEARTWOOD_NEW_PASSPHRASE")
    assert heartwood(settings(data, None), "passphrase").code == 2


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_common_name_of_postgresql_is_understood(scheme: str) -> None:
    url = Settings(database_url=f"{scheme}://u:p@h/n?x=1").url()
    assert url == "postgresql+psycopg://u:p@h/n?x=1"
