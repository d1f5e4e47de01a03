"""Whatever a client breaks off, in whichever place: all that was taken for it is given back."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import uvicorn
from fastapi import FastAPI

from api.app.settings import Settings
from api.http import create_app, protocol
from api.http.bounded import Bounded
from api.http.protocol import server_options
from api.http.uploads import Uploads
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import Web, until

EACH = 6
"""How often each is broken off, by closing and by a reset in turn."""


class Serving:
    """A server in a thread, and what is taken in it."""

    def __init__(self, app: FastAPI, port: int, server: uvicorn.Server) -> None:
        self.app, self.port, self._server = app, port, server

    def taken(self) -> list[int]:
        """Requests, bodies, uploads, turns, connections and tasks."""
        bounded, uploads = self.app.middleware_stack, self.app.state.uploads
        assert isinstance(bounded, Bounded) and isinstance(uploads, Uploads)
        shares = (bounded._shares, self.app.state.bodies.shares, self._table.shares)
        counted = [number for one in shares for number in (one.taken, len(one._taken))]
        state = self._server.server_state
        parses = self.app.state.bodies.parses.borrowed_tokens
        return [
            *counted, len(self._table.silent), uploads._all.borrowed_tokens, len(uploads._of), parses,
            len(state.tasks), len(state.connections),
        ]  # fmt: skip

    @property
    def _table(self) -> protocol._Table:
        return protocol._TABLES[self._server.server_state]


@pytest.fixture(scope="module")
def fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LedgerFixture]:
    made = LedgerFixture.found(Settings(data=tmp_path_factory.mktemp("given") / "data"))
    yield made
    made.close()


@contextmanager
def server(fixture: LedgerFixture) -> Iterator[Serving]:
    app = create_app(lambda: fixture.ledger, close=False)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = uvicorn.Server(uvicorn.Config(app, **server_options()))
        thread = threading.Thread(target=made.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            until(lambda: made.started or not thread.is_alive(), "the server starts")
            yield Serving(app, listening.getsockname()[1], made)
        finally:
            made.should_exit = True
            thread.join()


def broken(patient: str, token: str) -> list[bytes]:
    """Requests that are whole, that lack something, or that are none."""
    upload = f"POST /v1/patients/{patient}/blobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    post = b"POST /v1/events HTTP/1.1\r\nHost: x\r\n"
    get = b"GET /v1/log HTTP/1.1\r\nHost: x\r\n\r\n"
    return [
        b"", b"GET / HTTP/1.1\r\nHo", get, get * 20, get * 100, b"\x16\x03\x01",
        post + b"Content-Length: 5000\r\n\r\n" + b" " * 100,
        post + b"Content-Length: 40000\r\n\r\n[" + b"1," * 19_998 + b"1]  ",
        post + b'Transfer-Encoding: chunked\r\n\r\n5;a=b;c="d"\r\n[1,2,\r\n',
        post + b"Expect: 100-continue\r\nContent-Length: 50\r\n\r\n",
        post + b"Content-Type: text/plain\r\nContent-Length: 500\r\n\r\n1",
        post + b"Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 5\r\n\r\n[1",
        get + post + b"Content-Length: 5\r\n\r\n1",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\nabc",
        upload.encode() + b"Content-Length: 500000\r\n\r\n" + b"x" * 70_000,
        upload.encode() + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        upload.encode() + b"Content-Length: 10\r\n\r\n0123456789",
    ]  # fmt: skip


def test_what_is_broken_off_is_given_back(fixture: LedgerFixture) -> None:
    pat = fixture.person()
    with server(fixture) as serving:
        web = Web(f"http://127.0.0.1:{serving.port}", fixture.ledger.origin)
        token = web.token(fixture.north.system)
        for sent in broken(pat.patient, token):
            for number in range(EACH):
                _break_off(serving.port, sent, reset=bool(number % 2), answered=number > EACH // 2)
        web.close()
        until(lambda: not any(serving.taken()), "all is given back")


def _break_off(port: int, sent: bytes, reset: bool, answered: bool) -> None:
    line = socket.create_connection(("127.0.0.1", port))
    line.sendall(sent)
    if answered:
        line.settimeout(0.05)
        with suppress(OSError):
            line.recv(100)
    if reset:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()
