"""A key keeper that doesn't answer, or whose machine takes no packets: whoever calls it is told soon, and asks once."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from keeper import messages, remote
from keeper.endpoints import TlsEndpoint, UnixEndpoint
from keeper.errors import KeeperUnavailable
from keeper.remote import RemoteKeeper
from keeper.tls import Credentials
from tests.support.keepers import API, HOST, certified

ORIGIN = "heartwood.example/slow"
SOON_SECONDS = 10.0
"""Far less than a call may take."""


@contextmanager
def answering(path: Path, answers: int) -> Iterator[list[str]]:
    """A keeper that answers the first calls and then none; what it was asked."""
    asked: list[str] = []
    line = socket.socket(socket.AF_UNIX)
    line.bind(str(path))
    line.listen()

    def take(caller: socket.socket) -> None:
        with suppress(OSError, messages.Malformed), caller:
            messages.greet(caller, ORIGIN)
            while (call := messages.asked(caller)) is not None:
                asked.append(call[0])
                if len(asked) <= answers:
                    messages.answer(caller, [])

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=take, args=(line.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield asked
    line.shutdown(socket.SHUT_RDWR)
    line.close()
    thread.join()


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[TlsEndpoint]:
    """A port whose queue is full: the kernel drops whatever else would connect, as a machine does that is cut off."""
    with socket.socket() as line:
        line.bind((HOST, 0))
        line.listen(0)
        port, waiting = int(line.getsockname()[1]), []
        for _ in range(8):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex((HOST, port))
            waiting.append(one)
        yield TlsEndpoint(HOST, port, Credentials(certified(tmp_path / "certificates") / API))
        for one in waiting:
            one.close()


@pytest.mark.parametrize("before", [0, 1])
def test_a_call_that_is_not_answered_in_time_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """Also on a connection that was kept: the keeper may be at it still, and a reading gets its key once."""
    monkeypatch.setattr(remote, "CALL_SECONDS", 0.5)
    where = UnixEndpoint(tmp_path / "socket")
    with (
        answering(where.path, before) as asked,
        closing(RemoteKeeper(where, ORIGIN, None)) as keeper,
    ):
        for _ in range(before):
            keeper.vkeys()
        with pytest.raises(KeeperUnavailable, match="did not answer"):
            keeper.alarms()
    assert asked == ["vkeys"] * before + ["alarms"]


def test_a_machine_that_drops_packets(silent: TlsEndpoint) -> None:
    """Nobody waits for it as long as for an answer; and once one has waited, the next is told at once."""
    with closing(RemoteKeeper(silent, ORIGIN, None)) as keeper:
        began = time.monotonic()
        with pytest.raises(KeeperUnavailable, match="can't be reached"):
            keeper.standing()
        waited = time.monotonic() - began
        assert waited < SOON_SECONDS
        again = time.monotonic()
        with pytest.raises(KeeperUnavailable, match="can't be reached"):
            keeper.standing()
        assert time.monotonic() - again < remote.DOWN_SECONDS


def test_one_tries_and_the_others_are_told(
    silent: TlsEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A keeper that is cut off takes one caller's time, not everybody's."""
    monkeypatch.setattr(remote, "DOWN_SECONDS", 0.0)
    with closing(RemoteKeeper(silent, ORIGIN, None)) as keeper:
        took: list[float] = []

        def ask() -> None:
            began = time.monotonic()
            with pytest.raises(KeeperUnavailable):
                keeper.standing()
            took.append(time.monotonic() - began)

        ask()
        first = threading.Thread(target=ask)
        first.start()
        while keeper._try_at != float("inf"):
            time.sleep(0.01)
        took.clear()
        for _ in range(10):
            ask()
        assert sum(took) < remote.CONNECT_SECONDS
        first.join()


def test_it_is_called_again_once_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the second in which nobody tries."""
    monkeypatch.setattr(remote, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(remote, "DOWN_SECONDS", 0.2)
    with closing(RemoteKeeper(UnixEndpoint(tmp_path / "socket"), ORIGIN, None)) as keeper:
        with pytest.raises(KeeperUnavailable):
            keeper.vkeys()
        with answering(tmp_path / "socket", 2):
            time.sleep(0.3)
            assert keeper.vkeys() == []
            keeper.close()
