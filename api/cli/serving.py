"""`serve`: the HTTP face."""

import os
import signal
import socket
import sys
from typing import Annotated, Any

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
    Multiprocess(each, [listening]).run()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise StartRefused(f"{host}, port {port} can't be listened on: {error}") from error
