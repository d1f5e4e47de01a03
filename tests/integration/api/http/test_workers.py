"""`serve --workers`: one port, connections spread over the workers, one that dies is replaced."""

import contextlib
import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from api.app.settings import Settings
from tests.integration.conftest import fresh_settings
from tests.support.commands import heartwood
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import Served, serving, until

CONNECTIONS = 200
FEWEST = 50
"""Connections that a worker has of them: seven standard deviations below the half."""
ESTABLISHED = "01"


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Of a new ledger."""
    made = fresh_settings("sqlite", request, tmp_path)
    LedgerFixture.found(made).close()
    return made


@pytest.fixture
def served(settings: Settings) -> Iterator[Served]:
    """Two workers on it."""
    with serving(settings, workers=2) as running:
        until(lambda: len(workers_of(running)) == 2, "both workers listen")
        yield running
        assert running.stop(signal.SIGTERM) == 0


def sockets_of(pid: int) -> set[str]:
    """The inodes of a process's sockets."""
    links: set[str] = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.add(os.readlink(file))
    return {link[8:-1] for link in links if link.startswith("socket:[")}


def workers_of(served: Served, state: str = "0A") -> Counter[int]:
    """How many sockets on the server's port are in a state (by default, they listen), by child process."""
    port = urlsplit(served.url).port
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == state}
    pid = served.process.pid
    found: Counter[int] = Counter()
    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        with contextlib.suppress(FileNotFoundError):
            found[child] = len(inodes & sockets_of(child))
    return +found


def test_both_workers_take_connections(served: Served) -> None:
    """Also of clients that come at once, before either is awake."""
    parts = urlsplit(served.url)
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection((parts.hostname, parts.port)))
        until(lambda: workers_of(served, ESTABLISHED).total() == CONNECTIONS, "all are taken", 30)
        taken = workers_of(served, ESTABLISHED)
    assert len(taken) == 2 and min(taken.values()) >= FEWEST


def test_a_worker_that_dies_is_replaced(served: Served) -> None:
    first = workers_of(served)
    os.kill(min(first), signal.SIGKILL)
    until(lambda: len(workers_of(served)) == 2 and workers_of(served) != first, "another comes", 30)
    assert served.ready()


def test_the_port_of_workers_is_taken(served: Served, settings: Settings) -> None:
    """A second server does not slip in beside them."""
    port = urlsplit(served.url).port
    for workers in (1, 2):
        ran = heartwood(settings, "serve", "--port", port, "--workers", workers)
        assert (ran.code, f"cannot listen on 127.0.0.1, port {port}" in ran.err) == (4, True)
