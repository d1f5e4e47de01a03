"""A hospital, its doctor and two patients by HTTP alone, from an empty ledger, against a real server; then checked offline."""

import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.integration.docs.test_docs import BIN
from tests.integration.docs.test_person_client import PASSWORD
from tests.integration.docs.test_stranger import IDS, command
from tests.support.paths import ROOT

CLIENT = ROOT / "examples" / "people_client.py"
SITE = "https://hospital.example"
TOLD = """\
an application takes a step-up: step_up
approved Klinik am See, hs_…
a doctor who waits: not_signed_in
approved ac_…, signed in as a doctor
registered pt_…: entry N
another birth date: claim
claimed
a used code: claim
handed in 3 forms as records of pt_…
signed in by passkey, assurance 2: 3 records
"""
PLANTED = (
    PASSWORD, "Hana Leitner", "Pia Brandt", "Paul Allein", "1958-03-14", "A123456789", "+49 30 7654321", "None that I know of",
)  # fmt: skip
"""What must be nowhere in clear."""


def test_people_become_somebody_by_http_alone(tmp_path: Path) -> None:
    data, secret, export = tmp_path / "ledger", tmp_path / "password", tmp_path / "export"
    operator = command(data, "init", "--origin", "heartwood.example/people")["keyfile"]
    secret.write_text(PASSWORD)
    with subprocess.Popen(
        [str(BIN / "heartwood"), "serve", "--port", "0", "--data", str(data)],
        stdout=subprocess.PIPE,
        text=True,
        env={"HEARTWOOD_WEB_ORIGIN": SITE, "PATH": "/usr/bin:/bin"},
    ) as server:
        assert server.stdout is not None
        found = re.search(r"http://[0-9.]+:\d+", server.stdout.readline())
        assert found
        words = [sys.executable, str(CLIENT), found[0], "--operator", operator]
        words += ["--password", str(secret), "--site", SITE]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=180)
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    assert done.returncode == 0, done.stderr
    assert re.sub(r"entry \d+", "entry N", IDS.sub(r"\1_…", done.stdout)) == TOLD
    command(data, "export", export)
    for tool in (("ledger", "verify"), ("consent", "audit")):
        offline = [sys.executable, "-P", "-m", *tool, str(export), "--vkey", str(data / "log.vkey")]
        checked = subprocess.run(offline, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    kept = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    for words_planted in PLANTED:
        assert words_planted.encode() not in kept, words_planted
