"""A data directory on a disk that can't be written to: looked at, exported, scrubbed and backed up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.ledger_fixture import LedgerFixture, vkeys
from tests.support.people import People

HEARTWOOD = Path(sys.executable).with_name("heartwood")


def run(data: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A command on a data directory that is mounted read-only, in a mount namespace of its own."""
    command = " ".join(map(str, (HEARTWOOD, *arguments)))
    script = f"mount --bind {data} {data} && mount -o remount,ro,bind {data} && exec {command}"
    kept = {n: v for n, v in os.environ.items() if not n.startswith("HEARTWOOD_")}
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script], capture_output=True, text=True,
        env=kept | {"HEARTWOOD_DATA": str(data)},
    )  # fmt: skip


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_reads_works_and_writes_nothing(fixture: LedgerFixture, tmp_path: Path) -> None:
    People.of(fixture)
    size = fixture.size()
    fixture.ledger.close()
    data, home = tmp_path / "still", tmp_path / "home"
    shutil.copytree(fixture.settings.data, data)
    home.mkdir()
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    status = run(data, "status", "--json")
    assert status.returncode == 4 and json.loads(status.stdout)["size"] == size, status
    assert "read-only" in json.loads(status.stdout)["refused"]
    refused = run(data, "export", home / "export")
    assert refused.returncode == 4 and "--without-releases" in refused.stderr, refused
    alone = ("export", home / "export", "--without-releases")
    for arguments in (alone, ("scrub",), ("backup", home / "backup")):
        done = run(data, *arguments)
        assert done.returncode == 0, done
    (home / "vkey").write_text("\n".join(vkeys(fixture.settings)))
    assert run(data, "verify", home / "export", "--vkey", home / "vkey").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before
    fixture.reopen()
