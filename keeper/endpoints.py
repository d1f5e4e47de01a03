"""Where a key keeper listens: a Unix socket of its machine, or TLS over TCP. One is never taken for the other."""

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from durable.errors import StartRefused

if TYPE_CHECKING:
    from keeper.tls import Credentials

EXPECTED = "unix:/path of the socket, or tls:HOST:PORT"
KEEPALIVE_SECONDS = (30, 10, 3)
"""TCP: silence before the first probe, between two probes, and how many go unanswered before the other end is gone."""
UNACKNOWLEDGED_MS = 5_000
"""TCP: how long what was sent may stay unacknowledged; a machine that takes packets acknowledges them, however slow it is."""


LEAST_SECONDS = 0.1
"""How long one step of a connection may take, at least."""


class Endpoint(Protocol):
    """Where a key keeper is called."""

    def connect(self, seconds: float) -> socket.socket:
        """A connection, made in so long, whose every message may take as long; raises OSError, or StartRefused for what can't be used."""
        ...

    def verdict(self, error: OSError) -> str | None:
        """Why no other try will help, in words; None where one may."""
        ...

    def ends(self, line: socket.socket) -> float | None:
        """When the certificate ends that the other end of a connection showed, Unix s; None without one."""
        ...


class Address:
    """A socket's short address, as long as it is used."""

    def __init__(self, path: Path) -> None:
        """Raises OSError where its folder isn't there."""
        self._folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        self.name = f"/proc/self/fd/{self._folder}/{path.name}"

    def __enter__(self) -> str:
        """The address, which has 107 bytes at most whatever the path has."""
        return self.name

    def __exit__(self, *error: object) -> None:
        """Give the folder back."""
        os.close(self._folder)


@dataclass(frozen=True)
class UnixEndpoint:
    """A socket of this machine, where the kernel says who calls."""

    path: Path

    def __str__(self) -> str:
        """As the setting says it."""
        return f"unix:{self.path}"

    def connect(self, seconds: float) -> socket.socket:
        """See `Endpoint`."""
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.settimeout(seconds)
        try:
            with Address(self.path) as name:
                line.connect(name)
        except BaseException:
            line.close()
            raise
        return line

    def verdict(self, error: OSError) -> str | None:
        """A keeper that doesn't listen may be about to."""
        return None

    def ends(self, line: socket.socket) -> float | None:
        """The kernel says who it is."""
        return None


@dataclass(frozen=True)
class TlsEndpoint:
    """TLS 1.3 over TCP, where certificates of a private CA say who calls and who is called."""

    host: str
    """A name or an address: what the keeper's certificate has to be for."""
    port: int
    credentials: "Credentials"
    """What this end shows."""

    def __str__(self) -> str:
        """As the setting says it."""
        return (
            f"tls:[{self.host}]:{self.port}" if ":" in self.host else f"tls:{self.host}:{self.port}"
        )

    def connect(self, seconds: float) -> socket.socket:
        """See `Endpoint`; the keeper has shown its certificate when this returns."""
        context = self.credentials.calling()
        deadline = time.monotonic() + seconds
        line = _first_of(self.host, self.port, deadline)
        try:
            tune(line)
            line.settimeout(max(deadline - time.monotonic(), LEAST_SECONDS))
            return context.wrap_socket(line, server_hostname=self.host)
        except BaseException:
            line.close()
            raise

    def verdict(self, error: OSError) -> str | None:
        """A certificate that one end doesn't accept stays so."""
        from keeper.tls import verdict

        return verdict(error)

    def ends(self, line: socket.socket) -> float | None:
        """See `Endpoint`."""
        from keeper.tls import ends_of

        return ends_of(line)


def _first_of(host: str, port: int, deadline: float) -> socket.socket:
    """A connection to the first of a host's addresses that takes one; those that don't answer share the time."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for number, (_, _, _, _, address) in enumerate(found):
        left = (deadline - time.monotonic()) / (len(found) - number)
        try:
            return socket.create_connection(address[:2], max(left, LEAST_SECONDS))  # type: ignore[arg-type]
        except OSError:
            if number + 1 == len(found):
                raise
    raise OSError(f"{host} has no address")


def tune(line: socket.socket) -> None:
    """Send at once, and notice the end of another end that says nothing any more."""
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    for option, value in zip(options, KEEPALIVE_SECONDS, strict=True):
        line.setsockopt(socket.IPPROTO_TCP, option, value)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)


def parse_endpoint(text: str, credentials: Path | None, what: str) -> UnixEndpoint | TlsEndpoint:
    """What a setting or an option (`what`) names; raises StartRefused. `credentials`: the folder of TLS's files."""
    kind, _, rest = text.partition(":")
    if kind == "unix" and Path(rest).is_absolute():
        return UnixEndpoint(Path(rest))
    if kind == "tls":
        host, _, port = rest.rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        right = _is_host(bare, bracketed=bare != host) and port.isascii() and port.isdecimal()
        if right and 0 < int(port) < 65_536:
            return TlsEndpoint(bare, int(port), _credentials(credentials))
    raise StartRefused(f"{what} is {text[:200]!r}, expected {EXPECTED}")


def _is_host(host: str, bracketed: bool) -> bool:
    allowed = "-._" + (":" if bracketed else "")
    return bool(host) and host.isascii() and all(c.isalnum() or c in allowed for c in host)


def _credentials(folder: Path | None) -> "Credentials":
    if folder is None:
        raise StartRefused(
            "HEARTWOOD_KEEPER_TLS is not set, expected the folder of this end's certificate: ca.crt, tls.crt, tls.key "
            "(`heartwood keeper certificates` makes them)"
        )
    from keeper.tls import Credentials  # ssl, for TLS alone

    return Credentials(folder)
