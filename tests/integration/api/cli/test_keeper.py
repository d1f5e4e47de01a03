"""A key keeper that runs as a user of its own, with a folder that the ledger's user can't read."""

import json
import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = Path(".venv/bin/heartwood").resolve()
USER = "nobody"


@contextmanager
def keeping(env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """`heartwood keeper serve`, until the end."""
    with subprocess.Popen(
        [PROGRAM, "keeper", "serve"], env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "keeping the keys of" in process.stdout.readline()
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def run(env: dict[str, str], *arguments: str, code: int = 0) -> str:
    """What a command prints."""
    done = subprocess.run(
        [PROGRAM, *arguments], env=env, text=True, capture_output=True, check=False
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout + done.stderr


@pytest.fixture
def envs(tmp_path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The environments of the ledger's user and of the keeper's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HEARTWOOD")}
    both = clean | {"HEARTWOOD_KEEPER": f"unix:{tmp_path}/keeper.sock"}
    return (
        both | {"HEARTWOOD_DATA": str(tmp_path / "ledger")},
        both | {"HEARTWOOD_KEEPER_DATA": str(tmp_path / "kept"), "HEARTWOOD_KEEPER_USERS": USER},
    )


def test_from_nothing_to_a_record_that_is_read(
    tmp_path: Path, envs: tuple[dict[str, str], dict[str, str]]
) -> None:
    """The ledger's folder never holds the record root or the keeper's store; the keeper's has both, and is backed up."""
    ledger, keeper = envs
    data, people = tmp_path / "ledger", tmp_path / "ledger" / "people"
    run(ledger, "init", "--origin", "heartwood.example/apart")
    assert not (data / "keeper").exists() and not (data / "roots" / "record.root").exists()
    refused = run(ledger, "hospital", "add", "Nord", "--as", str(next(people.iterdir())), code=4)
    assert "can't be reached" in refused and "heartwood keeper serve" in refused
    run(keeper, "keeper", "init", "--vkey", str(data / "log.vkey"))
    assert (tmp_path / "kept").stat().st_mode & 0o077 == 0
    with keeping(keeper):
        (operator,) = people.glob("operator-*.key")
        run(
            ledger, "hospital", "add", "Nord", "--time-zone", "Europe/Berlin", "--as", str(operator)
        )
        (system,) = people.glob("hospital_system-*.key")
        pat = json.loads(run(ledger, "patient", "add", "Pat", "--json", "--as", str(system)))
        (patient,) = people.glob("patient-*.key")
        file = tmp_path / "result.txt"
        file.write_text("HbA1c 5.60 %")
        sent = (
            "--patient",
            pat["patient"],
            "--category",
            "laboratory",
            "--title",
            "HbA1c",
            "--json",
        )
        told = json.loads(run(ledger, "upload", str(file), *sent, "--as", str(system)))
        asked = ("--as", str(patient), "--purpose", "PATRQT")
        assert "HbA1c 5.60 %" in run(ledger, "open", told["record"], *asked)
        assert "no alarm" in run(ledger, "keeper", "alarms")
        run(keeper, "keeper", "backup", str(tmp_path / "saved"))
        again = run(keeper, "keeper", "serve", code=4)
        assert "another process keeps the keys" in again
    assert (tmp_path / "saved" / "keeper" / "keks.db").is_file()
    assert (tmp_path / "saved" / "roots" / "record.root").is_file()
    assert patient.is_file()
    refused = run(ledger, "root", "rotate", code=4)
    assert "another user's" in refused
    run(keeper, "root", "show")


def test_who_may_call(tmp_path: Path, envs: tuple[dict[str, str], dict[str, str]]) -> None:
    """A user who is named, and nobody else, whatever the socket's mode lets them do."""
    ledger, keeper = envs
    run(ledger, "init", "--origin", "heartwood.example/apart")
    run(keeper, "keeper", "init", "--vkey", str(tmp_path / "ledger" / "log.vkey"))
    with keeping(keeper):
        answered = {user: _called_by(tmp_path / "keeper.sock", user) for user in (USER, "daemon")}
    assert answered == {USER: True, "daemon": False}
    unknown = keeper | {"HEARTWOOD_KEEPER_USERS": "no-such-user"}
    assert "no-such-user" in run(unknown, "keeper", "serve", code=4)


def _called_by(path: Path, user: str) -> bool:
    """Whether the keeper says a word to a user who connects."""
    code = f"""
import os, socket
line = socket.socket(socket.AF_UNIX)
folder = os.open({str(path.parent)!r}, os.O_PATH)
os.setuid({pwd.getpwnam(user).pw_uid})
line.connect(f"/proc/self/fd/{{folder}}/{path.name}")
line.settimeout(10)
try:
    line.sendall(bytes([0, 0, 0, 1, 0xC0]))
    print(len(line.recv(1)))
except ConnectionError:
    print(0)
"""
    path.parent.chmod(0o711)
    done = subprocess.run(
        [PROGRAM.parent / "python", "-c", code], text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip() == "1"


@pytest.mark.parametrize(
    ("bent", "said"),
    [
        (
            {"HEARTWOOD_KEEPER": "/run/x.sock"},
            "expected unix:/path of the socket, or tls:HOST:PORT",
        ),
        (
            {"HEARTWOOD_KEEPER": "unix:run/x.sock"},
            "expected unix:/path of the socket, or tls:HOST:PORT",
        ),
        ({"HEARTWOOD_KEEPER": ""}, "HEARTWOOD_KEEPER is not set"),
        ({"HEARTWOOD_KEEPER_DATA": ""}, "HEARTWOOD_KEEPER_DATA"),
        ({"HEARTWOOD_KEEPER_DATA": "/nowhere/at/all"}, "/nowhere/at/all"),
    ],
)
def test_what_is_set_wrongly(
    envs: tuple[dict[str, str], dict[str, str]], bent: dict[str, str], said: str
) -> None:
    """It says what was got and what was expected."""
    assert said in run(envs[1] | bent, "keeper", "serve", code=4)
