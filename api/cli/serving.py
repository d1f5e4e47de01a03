"""`serve`: the HTTP face."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, cast

import typer

from api.bootstrap import open_ledger
from api.cli.app import Data, app, settings
from storage.errors import StartRefused

DRAIN_SECONDS = 30
"""How long requests in work may take once the server is told to stop."""
BACKLOG = 2_048
"""Connections that may wait to be taken."""


@app.command()
def serve(
    data: Data = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one and prints it.")] = 8420,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the port.")] = 1,
) -> None:
    """Serve HTTP. Stopping (SIGTERM) finishes what was accepted."""
    import uvicorn  # here, as no other command needs it and what serves: half a second of each start
    from uvicorn.supervisors import Multiprocess

    from api.http import create_app

    config = settings(data)
    ledger = open_ledger(config)  # so that what is wrong is said here, before a port is taken
    listening = _listen(host, port)
    common: dict[str, Any] = {
        "loop": "uvloop", "http": "httptools", "backlog": BACKLOG,
        "timeout_graceful_shutdown": DRAIN_SECONDS, "log_level": "warning", "access_log": False,
        "server_header": False, "date_header": False, "proxy_headers": False,
    }  # fmt: skip
    port = listening.getsockname()[1]
    if workers > 1:
        listening.close()
        listening = _reserve(host, port)
    print(f"serving {ledger.origin} on http://{host}:{port} with {workers} worker(s)", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        # The server takes these for itself, and raises them again once it has stopped in good order.
        signal.signal(number, lambda *_: sys.exit(0))
    if workers == 1:
        uvicorn.Server(uvicorn.Config(create_app(lambda: ledger), **common)).run([listening])
        return
    ledger.close()
    os.environ["HEARTWOOD_DATA"] = str(config.data.resolve())
    each = uvicorn.Config("api.http:serving", factory=True, workers=workers, **common)
    Multiprocess(each, [cast(socket.socket, _OwnSocket(host, port))]).run()


@dataclass(frozen=True)
class _OwnSocket:
    """Goes to a worker as a listening socket of its own (SO_REUSEPORT).

    So the kernel spreads the connections. From one socket for all, whichever worker is awake takes them.
    """

    host: str
    port: int

    def __reduce__(self) -> tuple[Callable[..., socket.socket], tuple[Any, ...]]:
        return _listen, (self.host, self.port, True)


def _listen(host: str, port: int, shared: bool = False) -> socket.socket:
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
        raise StartRefused(f"{host}, port {port} can't be listened on: {error}") from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
