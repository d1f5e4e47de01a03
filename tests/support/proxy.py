"""A wire to PostgreSQL that breaks at the commit: before the server hears of it, or before its answer."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from sqlalchemy.engine import URL, make_url

COMMIT = b"COMMIT\0"


class Proxy:
    """Forwards connections to a server; once told to, it cuts the connection that commits next."""

    def __init__(self, url: str) -> None:
        """`url`: the database's, as SQLAlchemy writes it."""
        self._target: URL = make_url(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._cut = ""
        self.commits = 0
        """Commits that were cut off."""
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self) -> str:
        """The database's URL through this wire."""
        return self._target.set(port=self._listener.getsockname()[1]).render_as_string(False)

    def cut(self, when: str) -> None:
        """Cut the next commit `before` or `after` the server does it."""
        self._cut = when

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((self._target.host, self._target.port))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=(*pair, client), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, client: socket.socket) -> None:
        """Carry bytes one way until either end closes, or a commit is to be cut."""
        with suppress(OSError), source, target:
            while data := source.recv(65_536):
                if self._cut and source is client and COMMIT in data:
                    return self._break(source, target, data)
                target.sendall(data)

    def _break(self, client: socket.socket, server: socket.socket, data: bytes) -> None:
        when, self._cut = self._cut, ""
        self.commits += 1
        client.shutdown(socket.SHUT_RDWR)
        if when == "after":
            server.sendall(data)
        # The server reads to the end: what it was told it does, and what it wasn't it rolls back.
        server.shutdown(socket.SHUT_WR)
