"""A client that shares nothing with us, written from docs/http.md, against a real server."""

import ast
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.docs.test_docs import BIN
from tests.support.paths import ROOT

CLIENT = ROOT / "examples" / "hospital_client.py"
IDS = re.compile(r"\b([a-z]{1,2})_[0-9a-z]{26}\b")
TOLD = """\
log heartwood.example/stranger, registry …
doctor ac_… at hs_…
patient pt_…
uploaded rc_…: entry N
without a grant: 403 denied S12
granted for 30 days: entry N
read 29 bytes of HbA1c: S9 on the grant
range bytes 6-9/29
the same reading again: 409 already_used
revoked: entry N
after it: 403 denied S12
exported 1 record, the same bytes
receipt of entry N leads to the signed root of N entries
  0 patient.registered permit S6
  1 record.uploaded permit S6
  2 record.opened deny S12
  3 access.granted permit S5
  4 record.opened permit S9
  5 access.revoked permit S5
  6 record.opened deny S12
  7 chart.opened permit S5
  8 chart.exported permit S5
  9 history.opened permit S5
history: 10 entries, none missing
"""


def command(data: Path, *arguments: object) -> dict[str, Any]:
    """One command on the ledger in `data`; its JSON."""
    words = [str(BIN / "heartwood"), *map(str, arguments), "--json", "--data", str(data)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A ledger with two hospitals; key files of the first one's system and the second one's admin."""
    data = tmp_path_factory.mktemp("stranger") / "ledger"
    operator = command(data, "init", "--origin", "heartwood.example/stranger")["keyfile"]
    north = command(data, "hospital", "add", "Nord", "--as", operator)
    south = command(data, "hospital", "add", "Süd", "--as", operator)
    return data, north["keyfile"], south["admin_keyfile"]


@pytest.fixture(scope="module")
def url(ledger: tuple[Path, str, str]) -> Iterator[str]:
    """A `heartwood serve` of its own on a free port."""
    words = [str(BIN / "heartwood"), "serve", "--port", "0", "--data", str(ledger[0])]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"http://[0-9.]+:(\d+)", server.stdout.readline())
        assert found and found[1] != "0"
        try:
            yield found[0]
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(30) == 0


def run(url: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The client as a stranger runs it: from its own folder, without our packages on the path."""
    words = [sys.executable, "-P", str(CLIENT), url, *map(str, arguments)]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        words, cwd=CLIENT.parent, env=env, capture_output=True, text=True, timeout=120
    )


def told(text: str) -> str:
    """What it printed, without ids, numbers of entries and hashes."""
    text = re.sub(r"(entry|root of) \d+", r"\1 N", IDS.sub(r"\1_…", text))
    return re.sub(r"registry \S+", "registry …", text)


def test_a_stranger_gets_the_whole_way(ledger: tuple[Path, str, str], url: str) -> None:
    data, system, admin = ledger
    done = run(url, "--system", system, "--admin", admin, "--vkey", data / "log.vkey")
    assert done.returncode == 0, done.stderr
    assert told(done.stdout) == TOLD


def test_a_log_under_other_keys_is_not_believed(
    ledger: tuple[Path, str, str], url: str, tmp_path: Path
) -> None:
    _, system, admin = ledger
    vkey = ROOT / "tests" / "golden" / "log.vkey"
    done = run(url, "--system", system, "--admin", admin, "--vkey", vkey)
    assert done.returncode == 1
    assert "the log's Ed25519 key did not sign the checkpoint" in done.stderr


def test_the_client_imports_nothing_of_ours() -> None:
    ours = {
        "api", "client", "consent", "crypto", "demo", "durable", "identity", "imports", "journeys", "keeper", "ledger", "people",
        "records", "storage", "synthetic", "tests",
    }  # fmt: skip
    found = set[str]()
    for statement in ast.walk(ast.parse(CLIENT.read_text())):
        if isinstance(statement, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            found.add(str(statement.module).partition(".")[0])
    assert not found & ours
    assert found - set(sys.stdlib_module_names) == {"cryptography"}
