"""`kill -9` of a witness at each step of storing: nothing is told that isn't kept, and no second history is cosigned."""

import subprocess
import sys
from pathlib import Path

import pytest

from api.app.witnessing import opened_witness
from crypto.notes import Note
from tests.support.submissions import SmallLog
from tests.support.witnesses import new_witness

LOG = SmallLog()
KEPT = {
    "before the step": False, "before it is put": False, "after it is put": False, "before the commit": False,
    "after the commit": True, "before the count": True, "after the count": True,
}  # fmt: skip
"""Where it dies, and whether the checkpoint is kept by then."""
_CHILD = """
import os, signal, sqlite3, sys
from pathlib import Path
from api.app.witnessing import opened_witness
from witness import store

where = sys.argv[2]

def die(name):
    if name == where:
        os.kill(os.getpid(), signal.SIGKILL)

put, replace = store.Step.put, store.replace_file

def putting(*arguments):
    die("before it is put")
    put(*arguments)
    die("after it is put")

def replacing(*arguments):
    die("before the count")
    replace(*arguments)
    die("after the count")

class Connection(sqlite3.Connection):
    def execute(self, statement, *arguments):
        if statement == "BEGIN IMMEDIATE":
            die("before the step")
        if statement == "COMMIT":
            die("before the commit")
        found = super().execute(statement, *arguments)
        if statement == "COMMIT":
            die("after the commit")
        return found

with opened_witness(Path(sys.argv[1]), None) as witness:
    store.Step.put, store.replace_file = putting, replacing
    connect = sqlite3.connect
    witness.store.close()
    sqlite3.connect = lambda *a, **k: connect(*a, **k, factory=Connection)
    witness.store._file._pragmas = ("journal_mode = WAL", "synchronous = FULL")
    answer = witness.add_checkpoint(sys.stdin.buffer.read())
    sys.stdout.buffer.write(answer.body)
"""


def submitted(folder: Path, where: str, body: bytes) -> subprocess.CompletedProcess[bytes]:
    """What a witness in a process of its own answers to one submission."""
    return subprocess.run(
        [sys.executable, "-c", _CHILD, str(folder), where], input=body, capture_output=True
    )


@pytest.mark.parametrize("where", KEPT)
def test_it_goes_on_where_it_was(where: str, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    new_witness(folder, [LOG.key])
    first = submitted(folder, "", LOG.submission(0, 5).text())
    assert first.returncode == 0, first.stderr
    Note.parse(LOG.note(5) + first.stdout)
    died = submitted(folder, where, LOG.submission(5, 9).text())
    # Where it died nothing was told.
    assert (died.returncode, died.stdout) == (-9, b""), died.stderr
    size = 9 if KEPT[where] else 5
    with opened_witness(folder, None) as witness:
        (state,) = witness.store.logs()
        assert state.size == size
        fork = LOG.forked(3)
        for old in (0, 5, 9):
            assert witness.add_checkpoint(fork.submission(old, 11).text()).status in (409, 422)
        # The log sends the same again, is told a size if need be, and goes on.
        again = witness.add_checkpoint(LOG.submission(5, 9).text())
        assert again.status == (409 if KEPT[where] else 200)
        assert witness.add_checkpoint(LOG.submission(9, 15).text()).status == 200


def test_without_a_death_it_answers(tmp_path: Path) -> None:
    """So that the deaths above are where they are said to be."""
    new_witness(tmp_path / "w", [LOG.key])
    whole = submitted(tmp_path / "w", "nowhere", LOG.submission(0, 5).text())
    assert whole.returncode == 0 and whole.stdout.count(b"\n") == 2
