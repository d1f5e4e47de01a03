"""The key keeper as a process: it listens on a Unix socket for callers of the same user, or of those that are named."""

import fcntl
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from durable.errors import StartRefused
from durable.files import PRIVATE_MODE
from keeper import messages
from keeper.errors import KeeperUnavailable
from keeper.protocol import Keeper

CONNECTIONS = 256
"""Most callers at a time; each of them asks one thing after the other."""
GREETING_SECONDS = 5
"""How long a caller may take to say who it is."""
ANSWER_SECONDS = 30
"""How long a caller may take to hear an answer."""
FIRST_SECONDS = 10
"""A keeper that ends with its last caller waits so long for the first one."""
LOCK = ".keeper.lock"
_PEER = struct.Struct("3i")

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


def listen(path: Path, mode: int) -> socket.socket:
    """A socket at `path` for users as its `mode` lets them; in the place of one that nobody listens to any more.

    To be called under the lock of the folder's one keeper. Raises StartRefused.
    """
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            path.unlink()
        before = os.umask(0o777)  # nobody connects before it has its mode
        try:
            with messages.Address(path) as name:
                line.bind(name)
        finally:
            os.umask(before)
        path.chmod(mode)
        line.listen(CONNECTIONS)
    except OSError as error:
        line.close()
        raise StartRefused(f"the keeper can't listen at {path}: {error.strerror}") from error
    return line


class KeeperServer:
    """Answers callers, each in a thread of its own, until it is stopped."""

    def __init__(
        self,
        keeper: Keeper,
        origin: str,
        path: Path,
        users: Collection[int],
        mode: int = 0o600,
        with_callers: bool = False,
    ) -> None:
        """`users`: the ids of those who may ask; `with_callers`: it ends with its last caller. Raises StartRefused."""
        self._keeper, self._origin, self._path, self._users = keeper, origin, path, users
        self._with_callers = with_callers
        self._listening = listen(path, mode)
        self._place = threading.Lock()
        self._lines: set[socket.socket] = set()
        self._ending = False

    def serve(self) -> None:
        """Accept callers until `stop`; then the keeper is closed."""
        if self._with_callers:
            self._listening.settimeout(FIRST_SECONDS)
        try:
            while not self._ending:
                try:
                    line, _ = self._listening.accept()
                except TimeoutError:
                    if not self._lines:
                        break
                    continue
                except OSError:
                    break  # it was stopped
                self._take(line)
        finally:
            self.stop()
            self._keeper.close()

    def stop(self) -> None:
        """Take no callers any more, and leave those that are there."""
        with self._place:
            self._end()
            for line in self._lines:
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)

    def _end(self) -> None:
        if not self._ending:
            self._ending = True
            with suppress(FileNotFoundError):
                self._path.unlink()
            with suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)  # wakes the one that accepts
            self._listening.close()

    def _take(self, line: socket.socket) -> None:
        user = _PEER.unpack(line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[1]
        with self._place:
            if user not in self._users or len(self._lines) >= CONNECTIONS or self._ending:
                _LOG.warning("a caller was turned away", extra={"user": user})
                line.close()
                return
            self._lines.add(line)
        threading.Thread(target=self._answer_all, args=(line,), daemon=True).start()

    def _answer_all(self, line: socket.socket) -> None:
        try:
            line.settimeout(GREETING_SECONDS)
            messages.greet(line, self._origin)
            line.settimeout(None)
            self._answers(line)
        except (OSError, messages.Malformed, KeeperUnavailable) as error:
            _LOG.warning("a caller's connection ended", extra={"why": str(error)})
        finally:
            self._leave(line)

    def _answers(self, line: socket.socket) -> None:
        while (call := messages.asked(line)) is not None:
            name, arguments = call
            if name == messages.ENDS:
                self._leave(line, told=True)
                return
            act: Callable[..., object] = getattr(self._keeper, name)
            try:
                value = act(*arguments)
            except Exception as error:
                if not isinstance(error, tuple(messages.ERRORS.values())):
                    _LOG.exception("a call met an error", extra={"call": name})
                messages.answer_error(line, error)
            else:
                messages.answer(line, value)

    def _leave(self, line: socket.socket, told: bool = False) -> None:
        """Forget a caller; with the last one the keeper ends, and who ended it so is told when it has."""
        with self._place:
            if line not in self._lines:
                return
            self._lines.discard(line)
            if self._with_callers and not self._lines and not self._ending:
                self._end()
                self._keeper.close()
        if told:
            with suppress(OSError):
                messages.answer(line, None)
        line.close()
