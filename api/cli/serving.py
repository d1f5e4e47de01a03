"""`serve`: the HTTP face."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Any, cast

import typer

from api.app.blobs import check_blobs
from api.app.layout import read_marker
from api.app.mail import mail_of
from api.app.opening import open_ledger
from api.cli.app import Data, app, settings
from crypto.texts import counted
from durable.errors import StartRefused

DRAIN_SECONDS = 30
"""How long requests in work may take once the server is told to stop."""
BACKLOG = 2_048
"""Connections that may wait to be taken."""
_OPEN = (
    "{host} is open to other machines, and what goes over it can be read on the way: put a reverse proxy with "
    "TLS ahead and listen on 127.0.0.1, or name the proxy's address in HEARTWOOD_PROXIES"
)


@app.command()
def serve(
    data: Data = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 chooses a free one and prints it.")] = 8420,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the port.")] = 1,
) -> None:
    """Serve HTTP. Stopping (SIGTERM) finishes what was accepted."""
    import uvicorn  # here, as no other command needs it and what serves: half a second of each start

    from api.app.process import prepare
    from api.http import create_app
    from api.http.protocol import server_options

    config = settings(data)
    _check_proxies(config.proxies)
    read_marker(config)
    check_blobs(config)
    mail = mail_of(config)
    ledger = open_ledger(config)  # so that what is wrong is said here, before a port is taken
    try:
        replication = ledger.database.replication()
        doubt = replication.doubt if replication else None
        listening = listen(host, port)
    except BaseException:
        ledger.close()
        raise
    prepare()
    common = server_options() | {
        "backlog": BACKLOG,
        "timeout_graceful_shutdown": DRAIN_SECONDS,
    }
    port = listening.getsockname()[1]

    def say() -> None:
        where = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        print(f"serving {ledger.origin} on {where} with {counted(workers, 'worker')}", flush=True)
        if doubt:
            print(f"heartwood: warning: {doubt}", file=sys.stderr, flush=True)
        if not config.proxies and not _loopback(listening):
            print(f"heartwood: warning: {_OPEN.format(host=host)}", file=sys.stderr, flush=True)

    for number in (signal.SIGINT, signal.SIGTERM):
        # The server takes these for itself, and raises them again once it has stopped in good order.
        signal.signal(number, lambda *_: sys.exit(0))
    if workers == 1:
        server = server_telling(
            uvicorn.Config(create_app(lambda: ledger, data=config.data, mail=mail), **common), say
        )
        server.run([listening])
        return
    from api.app.metrics import shared_by_workers
    from api.app.workers import Workers

    ledger.close()
    listening.close()
    os.environ["HEARTWOOD_DATA"] = str(config.data.resolve())
    each = uvicorn.Config("api.app.workers:worker", factory=True, workers=workers, **common)
    with _reserve(host, port) as listening, shared_by_workers(config.data):
        Workers(each, [cast(socket.socket, _OwnSocket(host, port))], say).run()


def server_telling(config: Any, serving: Callable[[], None]) -> Any:
    """A server that calls `serving` when it accepts connections."""
    import uvicorn

    class Telling(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                serving()

    return Telling(config)


def _check_proxies(proxies: str) -> None:
    from api.http.shares import Addresses

    try:
        Addresses(proxies)
    except ValueError as error:
        raise StartRefused(
            f"HEARTWOOD_PROXIES: {error}; expected addresses or networks, separated by commas"
        ) from error


def _loopback(listening: socket.socket) -> bool:
    return ip_address(listening.getsockname()[0]).is_loopback


@dataclass(frozen=True)
class _OwnSocket:
    """Goes to a worker as a listening socket of its own (SO_REUSEPORT).

    So the kernel spreads the connections. From one socket for all, whichever worker is awake takes them.
    """

    host: str
    port: int

    def __reduce__(self) -> tuple[Callable[..., socket.socket], tuple[Any, ...]]:
        return listen, (self.host, self.port, True)


def listen(host: str, port: int, shared: bool = False) -> socket.socket:
    """A listening socket, `shared` with others of this user; raises StartRefused."""
    with _refusing(host, port):
        return socket.create_server(
            (host, port), family=_family(host), backlog=BACKLOG, reuse_port=shared
        )


def _reserve(host: str, port: int) -> socket.socket:
    """The port, kept for the workers; no connection comes to what does not listen. Raises StartRefused."""
    with _refusing(host, port):
        held = socket.socket(_family(host))
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, port))
        return held


@contextmanager
def _refusing(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except (OSError, OverflowError) as error:
        raise StartRefused(f"cannot listen on {host}, port {port}: {error}") from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
