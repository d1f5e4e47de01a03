"""What one caller may take of the keeper's process, and what the process bears."""

import os
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from keeper import messages
from keeper.endpoints import UnixEndpoint
from keeper.errors import KeeperUnavailable
from keeper.listening import UnixListener
from keeper.protocol import Keeper
from keeper.remote import RemoteKeeper
from keeper.server import KeeperServer
from keeper.sharing import CALLER_BYTES, IN_FLIGHT_BYTES, SMALL_BYTES, InFlight

ORIGIN = "heartwood.example/served"
GREETING_SECONDS = 3
"""Less than a caller may take to greet."""


class Told:
    """What a keeper says of which nothing is asked but its keys."""

    def vkeys(self) -> list[str]:
        """None."""
        return []

    def close(self) -> None:
        """Nothing."""


@pytest.fixture
def where(tmp_path: Path) -> Iterator[UnixEndpoint]:
    """A server in this process."""
    found = UnixEndpoint(tmp_path / "socket")
    server = KeeperServer(cast(Keeper, Told()), ORIGIN, UnixListener(found.path, {os.getuid()}))
    thread = threading.Thread(target=server.serve, name="serve")
    thread.start()
    yield found
    assert thread.is_alive()
    server.stop()
    thread.join(10)


def test_a_thread_that_cannot_be_started(
    where: UnixEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the limit of processes one caller is turned away, and the keeper goes on."""
    start, failed = threading.Thread.start, threading.Event()

    def once(self: threading.Thread, *args: Any) -> None:
        if threading.current_thread().name == "serve" and not failed.is_set():
            failed.set()
            raise RuntimeError("can't start new thread")
        start(self, *args)

    monkeypatch.setattr(threading.Thread, "start", once)
    with where.connect(10) as line:
        assert line.recv(1) == b""
    assert failed.is_set()
    with closing(RemoteKeeper(where, ORIGIN, None)) as keeper:
        assert keeper.vkeys() == []


def test_a_greeting_is_short(where: UnixEndpoint) -> None:
    """Nobody is known by then: what is longer is not waited for."""
    with where.connect(GREETING_SECONDS) as line, suppress(ConnectionResetError):
        line.sendall((messages.GREETING_BYTES + 1).to_bytes(4, "big") + b"x")
        while line.recv(4_096):
            pass


def test_one_caller_leaves_room_for_the_others() -> None:
    """Of the memory, too: its long calls wait for each other, and short ones for none."""
    flight = InFlight(seconds=0.05)
    with flight.of("north") as north, flight.of("north") as second, flight.of("south") as south:
        north(CALLER_BYTES)
        second(SMALL_BYTES)
        with pytest.raises(KeeperUnavailable, match="found no room"):
            second(SMALL_BYTES + 1)
        south(IN_FLIGHT_BYTES - CALLER_BYTES)
        with flight.of("east") as east, pytest.raises(KeeperUnavailable, match="found no room"):
            east(SMALL_BYTES + 1)
    with flight.of("north") as north:
        north(CALLER_BYTES)


def test_a_call_waits_for_room() -> None:
    """Until the one before is answered."""
    flight, claimed = InFlight(seconds=10), threading.Event()

    def claim() -> None:
        with flight.of("north") as room:
            room(CALLER_BYTES)
            claimed.set()

    thread = threading.Thread(target=claim)
    with flight.of("north") as room:
        room(CALLER_BYTES)
        thread.start()
        assert not claimed.wait(0.1)
    assert claimed.wait(10)
    thread.join()
