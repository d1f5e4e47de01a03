"""What is no request, on a connection that had none before: it is answered, and no error of the program."""

import logging
import socket
from urllib.parse import urlsplit

import pytest

from api.http.protocol import HEAD_BYTES
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import HOST, PATIENCE_SECONDS, in_process


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\na: " + b"x" * (HEAD_BYTES - 22) + b"\r\n\r\n", b"431"),
    ],
    ids=["an address without a path", "a tunnel", "one byte too many"],
)
def test_what_is_no_request(
    fixture: LedgerFixture, caplog: pytest.LogCaptureFixture, sent: bytes, status: bytes
) -> None:
    """It has its problem, and the loop has no error to tell."""
    with in_process(fixture.ledger) as web:
        port = urlsplit(web.url).port
        assert port is not None
        with caplog.at_level(logging.ERROR), socket.create_connection((HOST, port)) as line:
            line.settimeout(PATIENCE_SECONDS)
            line.sendall(sent)
            answer = b"".join(iter(lambda: line.recv(65_536), b""))
    assert answer.split()[1] == status
    assert not caplog.records
