"""Temporary files that can't grow: one line that says what to do, not an error of the program."""

import os
import resource
import subprocess
import sys
from pathlib import Path

from api.app.settings import Settings
from identity.actors import write_keyfile
from tests.support.ledger_fixture import LedgerFixture

ROWS = 60_000
"""More than SQLite keeps of a temporary database in memory."""
FILE_BYTES = 512 * 1024
MAPPING = """
[tables.people]
files = "people.csv"
kind = "patients"
patient = [{ column = "nr", as = "identifier", system = "https://house.example/nr" }]
key = "nr"
name = ["name"]
birth_date = "born"
"""


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))


def test_an_import_without_room_for_its_temporary_files(tmp_path: Path) -> None:
    """It ends with what could not run, and nothing was imported."""
    fixture = LedgerFixture.found(Settings(data=tmp_path / "data"))
    system, size = fixture.north.system, fixture.size()
    key = write_keyfile(tmp_path / "system.key", system)
    fixture.close()
    rows = "".join(f"{n},Name {n},1970-01-01\n" for n in range(ROWS))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "people.csv").write_text("nr,name,born\n" + rows)
    (tmp_path / "map.toml").write_text(MAPPING)
    code = "from api.cli import main; main()"
    command = [sys.executable, "-c", code, "import", "in", "--dry-run", "--mapping", "map.toml"]
    ran = subprocess.run(
        [*command, "--as", str(key), "--hospital", system.hospital],
        capture_output=True, text=True, cwd=tmp_path, preexec_fn=_small_files,
        env={**os.environ, "HEARTWOOD_DATA": str(fixture.settings.data)},
    )  # fmt: skip
    assert (ran.returncode, ran.stderr.count("\n")) == (4, 1), ran.stderr
    assert "no room left to write a temporary file" in ran.stderr and "TMPDIR" in ran.stderr
    fixture.reopen()
    assert fixture.size() == size
    fixture.close()
