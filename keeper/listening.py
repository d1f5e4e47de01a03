"""Where a key keeper lets callers in: at a Unix socket by their user, over TLS by the name in their certificate."""

import os
import socket
import ssl
import struct
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from durable.errors import StartRefused
from keeper.endpoints import Address, TlsEndpoint, tune
from keeper.tls import Caller, caller_of, verdict

BACKLOG = 256
"""Connections that the kernel keeps until they are accepted."""
_PEER = struct.Struct("3i")


class TurnedAway(Exception):
    """A caller who may not call; its words are for the log, and for the caller where `tell` says so."""

    def __init__(self, words: str, tell: bool) -> None:
        """`tell`: whether a caller who got so far is told."""
        super().__init__(words)
        self.tell = tell


class Listener(Protocol):
    """Where callers come in."""

    line: socket.socket
    """It accepts."""
    each: int
    """How many from one address may be arriving at a time."""

    def wrap(self, line: socket.socket) -> socket.socket:
        """A connection that was accepted, as it is used from here on; nothing is waited for. Raises OSError or StartRefused."""
        ...

    def admit(self, line: socket.socket) -> Caller:
        """Who calls, in the time that the connection has; raises TurnedAway for nobody who may, and OSError."""
        ...

    def close(self) -> None:
        """Take nobody any more."""
        ...


class UnixListener:
    """A socket of this machine, for users of it."""

    def __init__(self, path: Path, users: Collection[int], mode: int = 0o600) -> None:
        """`users`: the ids of those who may ask; `mode`: the socket's. In the place of one that nobody listens to any more.

        To be called under the lock of the folder's one keeper. Raises StartRefused.
        """
        self._path, self._users = path, users
        self.line, self.each = _listen(path, mode), BACKLOG

    def wrap(self, line: socket.socket) -> socket.socket:
        """As it is."""
        return line

    def admit(self, line: socket.socket) -> Caller:
        """A user, as the kernel says."""
        user = _PEER.unpack(line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[1]
        if user not in self._users:
            raise TurnedAway(f"user {user} may not call", tell=False)
        return Caller(f"user {user}")

    def close(self) -> None:
        """Take the socket away."""
        with suppress(FileNotFoundError):
            self._path.unlink()
        _close(self.line)


class TlsListener:
    """A TCP port, for callers whose certificates have names that may call."""

    EACH = 16
    """How many from one address may be in their handshake at a time: one address can't keep the others out."""

    def __init__(self, where: TlsEndpoint, names: Collection[str]) -> None:
        """`names`: of those who may call, as in their certificates. Raises StartRefused."""
        if not names:
            raise StartRefused(
                "HEARTWOOD_KEEPER_NAMES is not set, expected the names in the certificates of those who may call, apart "
                "by commas"
            )
        self._credentials, self._names = where.credentials, frozenset(n.lower() for n in names)
        self.each = self.EACH
        where.credentials.check()
        where.credentials.answering()
        try:
            found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)[0]
            self.line = socket.create_server(found[4][:2], family=found[0], backlog=BACKLOG)
        except OSError as error:
            raise StartRefused(f"the keeper can't listen at {where}: {error.strerror}") from error

    def wrap(self, line: socket.socket) -> socket.socket:
        """As TLS, before its handshake."""
        tune(line)
        context = self._credentials.answering()
        return context.wrap_socket(line, server_side=True, do_handshake_on_connect=False)

    def admit(self, line: socket.socket) -> Caller:
        """A name, as a certificate says it."""
        assert isinstance(line, ssl.SSLSocket)
        try:
            line.do_handshake()
        except ssl.SSLError as error:
            raise TurnedAway(verdict(error) or "it left in the handshake", tell=False) from error
        caller, listed = caller_of(line, self._names)
        if not listed:
            raise TurnedAway(
                f"{caller.name} may not call: HEARTWOOD_KEEPER_NAMES doesn't list it", tell=True
            )
        return caller

    def close(self) -> None:
        """Free the port."""
        _close(self.line)


def end(line: socket.socket) -> None:
    """End a connection from another thread; never TLS's own goodbye, after which what is sent would be in the clear."""
    with suppress(OSError):
        socket.socket.shutdown(line, socket.SHUT_RDWR)


def _close(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)  # wakes the one that accepts
    line.close()


def _listen(path: Path, mode: int) -> socket.socket:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            path.unlink()
        before = os.umask(0o777)  # nobody connects before it has its mode
        try:
            with Address(path) as name:
                line.bind(name)
        finally:
            os.umask(before)
        path.chmod(mode)
        line.listen(BACKLOG)
    except OSError as error:
        line.close()
        raise StartRefused(f"the keeper can't listen at {path}: {error.strerror}") from error
    return line
