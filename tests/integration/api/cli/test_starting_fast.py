"""A command loads what it needs: those beside the data and those of auditors nothing that serves, migrates or imports."""

import json
import subprocess
import sys
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

import storage.sql.migrations
from storage.sql.upgrade import REVISIONS
from tests.support.exports import Export, write_files

HEAVY = ("alembic", "fastapi", "httpx2", "imports.run", "pydicom", "starlette", "uvicorn")
COMMAND = """
import json, sys
from api.cli import main
try:
    main()
finally:
    print(json.dumps(sorted(name for name in sys.argv[0].split() if name in sys.modules)))
"""


def loaded(*arguments: object) -> list[str]:
    """Which heavy modules a command has loaded at its end, in a process of its own."""
    script = f"import sys; sys.argv[0] = {' '.join(HEAVY)!r}\n{COMMAND}"
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_what_commands_load(small: Export, tmp_path: Path) -> None:
    """Opening a ledger, verifying an export; making a ledger migrates, and so shows that it would be seen."""
    data = tmp_path / "data"
    assert loaded("init", "--data", data) == ["alembic"]
    assert loaded("status", "--data", data) == []
    place = write_files(small.files, tmp_path / "export")
    assert loaded("verify", place, "--vkey", small.data / "log.vkey") == []


def test_the_files_tell_the_revisions() -> None:
    """What is read from their names is what the migrations say."""
    config = Config()
    config.set_main_option("script_location", str(Path(storage.sql.migrations.__path__[0])))
    script = ScriptDirectory.from_config(config)
    assert list(REVISIONS) == [one.revision for one in reversed(list(script.walk_revisions()))]
