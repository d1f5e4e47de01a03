"""A person without a key of their own, written from docs/http.md, against a real server; then the log is checked offline."""

import ast
import re
import subprocess
import sys
from pathlib import Path

from tests.integration.docs.test_docs import BIN
from tests.integration.docs.test_stranger import IDS, command, ledger, url
from tests.support.paths import ROOT

CLIENT = ROOT / "examples" / "person_client.py"
PASSWORD = "seventeen silent otters"
TOLD = """\
registered ac_…
by password alone: second_factor
the service keeps k_…: entry N
patient pt_…
uploaded rc_…: entry N
listed 1 record
read 15 bytes
granting before a step-up: denied step_up
granted after it: entry N
revoked: entry N
assurance, and whether a sign-in is named: [(2, True), (2, True), (2, True), (2, True), (3, True), (3, True), (3, True)]
a key of one's own is in place of the kept one
without a signature: forbidden
after the session's end: not_signed_in
"""
__all__ = ["ledger", "url"]


def test_a_person_without_a_key_gets_the_whole_way(
    ledger: tuple[Path, str, str], url: str, tmp_path: Path
) -> None:
    data, _, admin = ledger
    doctor = command(data, "doctor", "add", "Dr. Eva Fremd", "--as", admin)["account"]
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    words = [sys.executable, "-P", str(CLIENT), url, "--doctor", doctor, "--password", str(secret)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert re.sub(r"entry \d+", "entry N", IDS.sub(r"\1_…", done.stdout)) == TOLD
    export = tmp_path / "export"
    command(data, "export", export)
    for tool in ("ledger verify", "consent audit"):
        package, verb = tool.split()
        offline = [
            sys.executable,
            "-P",
            "-m",
            package,
            verb,
            str(export),
            "--vkey",
            str(data / "log.vkey"),
        ]
        found = subprocess.run(offline, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert found.returncode == 0, found.stdout + found.stderr
        if package == "consent":
            assert "rest on a sign-in" in found.stdout
    assert PASSWORD.encode() not in b"".join(
        path.read_bytes() for path in data.rglob("*") if path.is_file()
    )


def test_the_client_imports_nothing_of_ours() -> None:
    found = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse(CLIENT.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    folders = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    assert not {name.partition(".")[0] for name in found} & folders
    assert BIN.is_dir()
