"""The key keeper as a process: it answers callers, each in a thread of its own, as long as they behave."""

import fcntl
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from durable.errors import StartRefused
from durable.files import PRIVATE_MODE
from keeper import messages
from keeper.errors import KeeperUnavailable
from keeper.limits import check_call
from keeper.listening import Listener, TurnedAway, end
from keeper.protocol import Keeper
from keeper.sharing import InFlight
from keeper.tls import Caller

CONNECTIONS = 256
"""Most callers at a time; each of them asks one thing after the other."""
CALLER_CONNECTIONS = 192
"""Most of them by one name: it can't keep the others out."""
ARRIVING = 128
"""Most connections at a time that have not shown yet who they are; they take no caller's place."""
GREETING_SECONDS = 5
"""How long a caller may take to show who it is, and then to greet."""
ANSWER_SECONDS = 30
"""How long a caller may take to send a call that it began, and to hear an answer."""
IDLE_SECONDS = 600
"""How long a caller may ask nothing; whoever then asks something connects again."""
FIRST_SECONDS = 10
"""A keeper that ends with its last caller waits so long for the first one."""
GOODBYE_SECONDS = 1
"""How long a connection that was turned away is kept, so that the other end hears why."""
AGAIN_SECONDS = 0.1
"""How long nobody is let in where the process has no file left for it."""
LOCK = ".keeper.lock"

_LOG = logging.getLogger(__name__)


class OneKeeper:
    """The lock by which one process alone keeps a folder's keys; held until the process ends."""

    def __init__(self, folder: Path) -> None:
        """Takes it; raises BlockingIOError where another process has it, StartRefused where there is no folder."""
        if not folder.is_dir():
            raise StartRefused(
                f"the keeper's folder {folder} is missing: without it no record can be opened. Restore it from the "
                "keeper's own backup"
            )
        self._file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, PRIVATE_MODE)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise


class KeeperServer:
    """Answers callers, each in a thread of its own, until it is stopped."""

    def __init__(
        self, keeper: Keeper, origin: str, listener: Listener, with_callers: bool = False
    ) -> None:
        """`with_callers`: it ends with its last caller, whom it lets ask nothing for as long as they like."""
        self._keeper, self._origin, self._listener = keeper, origin, listener
        self._with_callers = with_callers
        self._idle = None if with_callers else IDLE_SECONDS
        self._place = threading.Lock()
        self._arriving: dict[socket.socket, str] = {}
        """Connections that have not shown yet who they are, and the addresses they come from."""
        self._lines: dict[socket.socket, str] = {}
        """Connections of callers, and whose they are."""
        self._in_flight = InFlight()
        self._ending = False

    def serve(self) -> None:
        """Accept callers until `stop`; then the keeper is closed."""
        if self._with_callers:
            self._listener.line.settimeout(FIRST_SECONDS)
        try:
            while not self._ending:
                try:
                    line, address = self._listener.line.accept()
                except TimeoutError:
                    if not self._lines and not self._arriving:
                        break
                    continue
                except OSError as error:
                    if self._ending:
                        break  # it was stopped
                    _LOG.warning("no caller can be let in", extra={"reason": error.strerror})
                    time.sleep(AGAIN_SECONDS)
                    continue
                self._take(line, address[0] if isinstance(address, tuple) else "")
        finally:
            self.stop()
            self._keeper.close()

    def stop(self) -> None:
        """Take no callers any more, and leave those that are there."""
        with self._place:
            self._end()
            for line in (*self._arriving, *self._lines):
                end(line)

    def _end(self) -> None:
        if not self._ending:
            self._ending = True
            self._listener.close()

    def _take(self, accepted: socket.socket, address: str) -> None:
        """Let a connection show who it is, in a thread of its own, unless too many do."""
        try:
            line = self._listener.wrap(accepted)
        except (OSError, StartRefused) as error:
            _LOG.warning("a caller was turned away", extra={"reason": str(error)})
            accepted.close()
            return
        with self._place:
            same = sum(one == address for one in self._arriving.values())
            if self._ending or len(self._arriving) >= ARRIVING or same >= self._listener.each:
                _LOG.warning("a caller was turned away", extra={"reason": "too many are arriving"})
                line.close()
                return
            self._arriving[line] = address
        try:
            threading.Thread(target=self._answer_all, args=(line,), daemon=True).start()
        except RuntimeError as error:  # no more threads for this user or its cgroup, just now
            _LOG.warning("no caller can be let in", extra={"reason": str(error)})
            self._leave(line)

    def _answer_all(self, line: socket.socket) -> None:
        try:
            line.settimeout(GREETING_SECONDS)
            caller = self._admitted(line)
            if caller is not None:
                messages.greet(line, self._origin)
                self._answers(line, caller)
        except (OSError, messages.Malformed, KeeperUnavailable) as error:
            _LOG.warning("a caller's connection ended", extra={"reason": type(error).__name__})
        finally:
            self._leave(line)

    def _admitted(self, line: socket.socket) -> Caller | None:
        """Who calls, and has a caller's place now; None for who is turned away."""
        try:
            caller = self._listener.admit(line)
        except TurnedAway as away:
            _LOG.warning("a caller was turned away", extra={"reason": str(away)})
            if away.tell:
                messages.turn_away(line, messages.UNWANTED, str(away))
            _say_goodbye(line)
            return None
        with self._place:
            same = sum(one == caller.name for one in self._lines.values())
            room = len(self._lines) < CONNECTIONS and same < CALLER_CONNECTIONS
            if room and not self._ending:
                del self._arriving[line]
                self._lines[line] = caller.name
                return caller
        words = f"the key keeper has {CONNECTIONS} callers and takes no more"
        if same >= CALLER_CONNECTIONS:
            words = f"the key keeper has {same} connections of {caller.name} and takes no more"
        _LOG.warning("a caller was turned away", extra={"reason": words})
        messages.turn_away(line, messages.BUSY, words)
        _say_goodbye(line)
        return None

    def _answers(self, line: socket.socket, caller: Caller) -> None:
        goes_on = True
        while goes_on:
            with self._in_flight.of(caller.name) as room:
                goes_on = self._answered(line, caller, room)

    def _answered(self, line: socket.socket, caller: Caller, room: Callable[[int], object]) -> bool:
        """Hear one call and answer it; False at the end of the connection."""
        call = messages.asked(line, self._idle, ANSWER_SECONDS, room)
        if call is None:
            return False
        if time.time() >= caller.until:
            raise KeeperUnavailable(f"the certificate of {caller.name} has ended")
        name, arguments = call
        if name == messages.ENDS:
            self._leave(line, told=True)
            return False
        act: Callable[..., object] = getattr(self._keeper, name)
        try:
            check_call(name, arguments)
            value = act(*arguments)
        except Exception as error:
            if not isinstance(error, tuple(messages.ERRORS.values())):
                _LOG.exception("a call met an error", extra={"call": name})
            messages.answer_error(line, error)
        else:
            messages.answer(line, value)
        return True

    def _leave(self, line: socket.socket, told: bool = False) -> None:
        """Forget a caller; with the last one the keeper ends, and who ended it so is told when it has."""
        with self._place:
            self._arriving.pop(line, None)
            if line in self._lines:
                del self._lines[line]
                last = self._with_callers and not self._lines and not self._arriving
                if last and not self._ending:
                    self._end()
                    self._keeper.close()
        if told:
            with suppress(OSError):
                messages.answer(line, None)
        line.close()


def _say_goodbye(line: socket.socket) -> None:
    """Let the other end read what it was told: a connection that is closed with something unread is reset instead."""
    deadline = time.monotonic() + GOODBYE_SECONDS
    with suppress(OSError):
        socket.socket.shutdown(line, socket.SHUT_WR)
        line.settimeout(GOODBYE_SECONDS)
        while time.monotonic() < deadline and socket.socket.recv(line, 65_536):
            pass
