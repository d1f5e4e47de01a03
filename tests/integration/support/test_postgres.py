"""The throw-away PostgreSQL: fresh databases, settings that are durable, crashes, no leftovers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

import tests.support.postgres as postgres
from tests.support.paths import ROOT
from tests.support.postgres import Cluster, PostgresMissing

PATIENCE_SECONDS = 15.0
SEGMENTS = Path("/proc/sysvipc/shm")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One cluster for all tests here; each test takes databases of its own."""
    try:
        running = Cluster.start()
    except PostgresMissing as missing:
        pytest.skip(str(missing))
    with running:
        yield running


def connect(url: str) -> psycopg.Connection:
    """A connection by the URL that SQLAlchemy gets."""
    return psycopg.connect(url.replace("+psycopg", "", 1))


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it comes to hold within PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def test_databases_are_fresh_and_apart(cluster: Cluster) -> None:
    """What one database holds isn't in the next."""
    first, second = cluster.database(), cluster.database()
    assert first.startswith("postgresql+psycopg://heartwood:")
    assert f"@127.0.0.1:{cluster.port}/" in first
    with connect(first) as one, connect(second) as other:
        one.execute("CREATE TABLE ring (n integer)")
        one.commit()
        assert other.execute("SELECT to_regclass('ring')").fetchone() == (None,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("listen_addresses", "127.0.0.1"),
        ("shared_buffers", "128MB"),
        ("max_connections", "50"),
        ("server_encoding", "UTF8"),
        ("password_encryption", "scram-sha-256"),
        ("TimeZone", "UTC"),
    ],
)
def test_setting(cluster: Cluster, name: str, value: str) -> None:
    """The server runs with what the module promises."""
    with connect(cluster.database()) as connection:
        assert connection.execute("SELECT current_setting(%s)", [name]).fetchone() == (value,)


def test_text_sorts_by_bytes(cluster: Cluster) -> None:
    """The order is that of SQLite and of Python, whatever the machine's locale."""
    with connect(cluster.database()) as connection:
        assert connection.execute("SELECT 'Z' < 'a', 'z' < 'ä'").fetchone() == (True, True)


def test_a_wrong_password_is_refused(cluster: Cluster) -> None:
    """Other accounts of the machine can't get in over loopback."""
    address = f"host=127.0.0.1 port={cluster.port} user=heartwood dbname=postgres"
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(address, password="wrong")


def test_a_crash_keeps_what_was_committed_and_nothing_else(cluster: Cluster) -> None:
    """Committed rows survive `kill`, the open transaction doesn't, and the URL stays good."""
    url = cluster.database()
    connection = connect(url)
    connection.execute("CREATE TABLE ring (n integer)")
    connection.execute("INSERT INTO ring SELECT generate_series(1, 1000)")
    connection.commit()
    connection.execute("INSERT INTO ring VALUES (1001)")
    cluster.kill()
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        connect(url)
    cluster.restart()
    with connect(url) as again:
        assert again.execute("SELECT count(*), max(n) FROM ring").fetchone() == (1000, 1000)
    assert "automatic recovery in progress" in cluster.log.read_text()


def test_restart_alone_is_a_crash_too(cluster: Cluster) -> None:
    """A living server is killed first, its open connections with it."""
    url = cluster.database()
    connection = connect(url)
    cluster.restart()
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    with connect(url) as again:
        assert again.execute("SELECT 1").fetchone() == (1,)


def test_two_run_side_by_side_and_leave_nothing(cluster: Cluster) -> None:
    """Another cluster has its own port and directory, and both are gone after it."""
    with Cluster.start() as other:
        directory = other.log.parent
        assert other.port != cluster.port
        connect(other.database()).close()
    assert not directory.exists()
    other.stop()
    connect(cluster.database()).close()


@pytest.mark.skipif(not SEGMENTS.exists(), reason="no list of System V segments here")
def test_stop_after_kill_leaves_no_shared_memory(cluster: Cluster) -> None:
    """A killed server can't remove its segment, so `stop` does."""
    with Cluster.start() as other:
        segment = other._pidfile()[6].split()[1]
        other.kill()
        assert segment in segments()
    assert segment not in segments()
    assert not other.log.parent.exists()


def segments() -> list[str]:
    """The ids of the machine's System V shared memory segments."""
    return [line.split()[1] for line in SEGMENTS.read_text().splitlines()[1:]]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_killed_test_run_takes_its_server_along(cluster: Cluster) -> None:
    """After SIGKILL of its owner the server ends; the next start removes the directory."""
    program = (
        "import time; from tests.support.postgres import Cluster; c = Cluster.start();"
        "print(c._process.pid, c.log.parent, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=-1, text=True) as run:
        assert run.stdout is not None
        pid, directory = run.stdout.readline().split()
        os.kill(run.pid, signal.SIGKILL)
    assert eventually(lambda: is_gone(pid))
    postgres._sweep()
    assert eventually(lambda: not Path(directory).exists())
    assert cluster.log.exists()


def is_gone(pid: str) -> bool:
    """Whether a process has ended; a zombie has."""
    try:
        stat = Path("/proc", pid, "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def test_missing_binaries_are_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not install is told what to install, and what is left out without it."""
    monkeypatch.setattr(postgres, "find_programs", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PostgresMissing, match=r"^[^\n]*apt-get install postgresql[^\n]*left out$"):
        Cluster.start()
