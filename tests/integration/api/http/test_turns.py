"""The queue of password proofs: nobody's sign-ins keep others from theirs, and whoever waits is answered in time."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from api.app.settings import Settings
from api.http import proofs
from identity import passwords
from storage.clock import wall_clock
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import HOST, Web, in_process, kind_of, until
from tests.support.sign_ins import Account

ATTACKERS = "127.0.0.2", "127.0.0.3"
TRIES = 80


@dataclass
class Home:
    """A served ledger, and somebody with a password."""

    web: Web
    pat: Account

    def tries(self, stack: ExitStack, address: str, count: int) -> list[socket.socket]:
        """So many sign-ins from an address, each by a connection of its own, whose answers nobody has read yet."""
        port = urlsplit(self.web.url).port
        head = f"POST /v1/sessions HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        lines = []
        for number in range(count):
            name = f"{number}@{address}.example"
            sent = {"account": name, "password": "wrong horse", "role": "patient"}
            body = json.dumps(sent).encode()
            line = socket.create_connection((HOST, port or 0), 60, (address, 0))
            lines.append(stack.enter_context(line))
            line.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return lines


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    fixture = LedgerFixture.found(Settings(data=tmp_path_factory.mktemp("proofs") / "data"))
    with in_process(fixture.ledger) as web:
        pat = Account(web, wall_clock, fixture.person().actor)
        assert pat.set_password().status_code == 204
        yield Home(web, pat)
    fixture.close()


def _answered(lines: list[socket.socket]) -> list[socket.socket]:
    """Those on which an answer has come, which stays to be read."""
    found = []
    for line in lines:
        line.setblocking(False)
        try:
            if line.recv(1, socket.MSG_PEEK):
                found.append(line)
        except BlockingIOError:
            pass
        line.setblocking(True)
    return found


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine a hash is held longer than anybody waits for one; that is not what is looked at here."""
    monkeypatch.setattr(passwords, "HASH_WAIT_SECONDS", 60.0)


def test_one_address_does_not_keep_others_from_signing_in(home: Home) -> None:
    """While it sends far more than are worked on; what is more than its share is told so at once."""
    share = proofs.ADDRESS_PROOFS + proofs.ADDRESS_PROOFS_WAITING
    with ExitStack() as stack, ThreadPoolExecutor(1) as beside:
        with passwords._turn(), passwords._turn():  # no hash is done meanwhile
            lines = home.tries(stack, ATTACKERS[0], TRIES)
            until(lambda: len(_answered(lines)) == TRIES - share, "those above the share")
            for line in _answered(lines):
                answer = line.recv(4_096)
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert b"retry-after: 1\r\n" in answer.lower()
            signing_in = beside.submit(home.pat.sign_in)
        assert kind_of(signing_in.result()) == "200"


def test_whoever_waits_is_answered_in_time(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 `full`, with when to come back; those in work go on."""
    monkeypatch.setattr(proofs, "PROOF_WAIT_SECONDS", 0.5)
    with ExitStack() as stack:
        with passwords._turn(), passwords._turn():
            lines = home.tries(stack, ATTACKERS[1], proofs.ADDRESS_PROOFS + 2)
            until(lambda: len(_answered(lines)) >= 2, "those that wait are answered")
            for line in _answered(lines):
                answer = line.recv(4_096)
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert b"retry-after: 1\r\n" in answer.lower()
                lines.remove(line)
        assert {line.recv(4_096)[9:12] for line in lines} == {b"401"}
    assert kind_of(home.pat.sign_in()) == "200"
