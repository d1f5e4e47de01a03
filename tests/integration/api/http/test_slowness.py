"""Whoever is slow, silent or large, without any key, is nobody else's outage: over real connections to a real server.

The attackers come from other addresses of the loopback than the client who behaves well. That client is answered
meanwhile: how quickly is no matter of a test.
"""

import asyncio
import contextlib
import http.client
import resource
import select
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import orjson
import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.app.settings import Settings
from api.http import appending, bodies
from api.http.bodies import EVENTS_BYTES, INLINE_BYTES, INLINE_EVENTS
from api.http.protocol import ADDRESS_CONNECTIONS, HEAD_BYTES, PIPELINED, server_options
from tests.integration.api.http.test_bad_luck import grant_of
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture, Person
from tests.support.server import PROBLEM, Served, Web, good, in_process, kind_of, serving, until

SHORT_SECONDS = 2
"""What takes ten seconds or more in service, here."""
DRIPPED_SECONDS = 1
"""What takes ten seconds or more in service, where a client drips for longer than that."""
DRIPS = 3
"""For so many times that."""
PATIENCE_SECONDS = 30.0
MEMORY_BYTES = 200 * 1024 * 1024
"""What a server may grow by while it is attacked: the bodies it may hold, and two of them parsed."""
ENDLESS_BYTES = 64 * 1024 * 1024


@dataclass
class Closed:
    """A ledger that is served by a process, and a patient of it."""

    settings: Settings
    origin: str
    pat: Person
    south: str


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Closed:
    fixture = LedgerFixture.found(Settings(data=tmp_path_factory.mktemp("slow") / "data"))
    pat = fixture.person()
    fixture.close()
    return Closed(fixture.settings, fixture.ledger.origin, pat, fixture.south.hospital)


@pytest.fixture(scope="module", autouse=True)
def _many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8_192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def attacked(closed: Closed, **limits: float) -> Iterator["Attack"]:
    """A server; in the end it is asked once more."""
    named = {name.replace("__", "."): value for name, value in limits.items()}
    full = {f"api.http.{name}": value for name, value in named.items()}
    with serving(closed.settings, limits=full) as served, contextlib.ExitStack() as lines:
        attack = Attack(closed, served, Web(served.url, closed.origin), lines)
        yield attack
        attack.serves()
        attack.web.close()


@dataclass
class Attack:
    """Many connections to a server, and a client who behaves well."""

    closed: Closed
    served: Served
    web: Web
    lines: contextlib.ExitStack
    _begun: int = 0

    def serves(self) -> None:
        """The other client appends, over a connection of its own, and is answered."""
        pat = self.closed.pat
        sent = self.web.signed(grant_of(pat, self.closed.south), pat.actor)
        answer = httpx2.post(f"{self.served.url}/v1/events", json=sent, timeout=PATIENCE_SECONDS)
        assert good(answer)["appended"] == 1

    def connect(self, address: int = 2, receiving: int = 0) -> socket.socket:
        """A connection from 127.0.0.`address`; `receiving`: bytes of the buffer for what comes."""
        line = socket.socket()
        if receiving:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receiving)
        line.bind((f"127.0.0.{address}", 0))
        line.settimeout(PATIENCE_SECONDS)
        line.connect(("127.0.0.1", self.served.port))
        return self.lines.enter_context(line)

    def many(self, count: int, sent: bytes) -> list[socket.socket]:
        """So many connections, from as many addresses as have the share for them."""
        lines = []
        for _ in range(count):
            lines.append(self.connect(2 + self._begun // ADDRESS_CONNECTIONS))
            self._begun += 1
        for line in lines:
            line.sendall(sent)
        return lines


def answered(line: socket.socket) -> bytes:
    """All that comes until the server closes the connection; empty if it just does."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while piece := line.recv(65_536):
            found += piece
    return found


def drip(lines: list[socket.socket], piece: bytes) -> None:
    """A piece now and then on each connection, until the server says something on all; it has to, meanwhile."""
    end, waiting = time.monotonic() + DRIPS * DRIPPED_SECONDS, lines
    while waiting:
        assert time.monotonic() < end, f"{len(waiting)} of {len(lines)} have all the time they take"
        for line in waiting:
            with contextlib.suppress(ConnectionError):  # it was closed just now
                line.sendall(piece)
        time.sleep(DRIPPED_SECONDS / 10)
        told = select.select(waiting, [], [], 0)[0]
        waiting = [line for line in waiting if line not in told]


def status(answer: bytes) -> int:
    """The status of an answer, 0 without one."""
    return int(answer.split(b" ")[1]) if answer else 0


def kind(line: socket.socket) -> str:
    """The kind of the problem that is answered, on a connection that may go on."""
    answer = http.client.HTTPResponse(line)
    answer.begin()
    found: str = orjson.loads(answer.read())["type"]
    return found.removeprefix(PROBLEM)


def test_heads_that_never_end_are_closed(closed: Closed) -> None:
    """A byte now and then doesn't give more time; each is told."""
    with attacked(closed, protocol__HEAD_SECONDS=SHORT_SECONDS) as attack:
        lines = attack.many(600, b"GET /v1/log HTTP/1.1\r\nHost: x")
        attack.serves()
        began = time.monotonic()
        while time.monotonic() - began < SHORT_SECONDS / 2:
            for line in lines[:20]:
                line.sendall(b"y")
            time.sleep(SHORT_SECONDS / 10)
        answers = [answered(line) for line in lines]
        assert {status(answer) for answer in answers} == {408}
        assert all(b"problem:slow" in answer for answer in answers)


def test_a_head_that_drips_has_its_time_in_the_whole(closed: Closed) -> None:
    """Also the second of a connection: no byte of it begins the time again."""
    with attacked(closed, protocol__HEAD_SECONDS=DRIPPED_SECONDS) as attack:
        head = b"GET /v1/log HTTP/1.1\r\nHost: x"
        lines = attack.many(2, head)
        again = attack.connect()
        again.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        first = http.client.HTTPResponse(again)
        first.begin()
        assert first.status == 200 and first.read()
        again.sendall(head)
        drip([*lines, again], b"y")
        answers = [answered(line) for line in (*lines, again)]
        assert {status(answer) for answer in answers} == {408}
        assert all(b"problem:slow" in answer for answer in answers)


def test_silent_connections_are_closed(closed: Closed) -> None:
    """A thousand that say nothing; and one that says nothing more after its request."""
    with attacked(closed, protocol__HEAD_SECONDS=SHORT_SECONDS, protocol__IDLE_SECONDS=1) as attack:
        lines = attack.many(1_000, b"")
        attack.serves()
        (idle,) = attack.many(1, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status(answered(idle)) == 200
        assert {answered(line) for line in lines} == {b""}


def test_one_address_has_a_share_of_the_connections(closed: Closed) -> None:
    """More are told so at once; another address has its own."""
    with attacked(closed) as attack:
        lines = [attack.connect(9) for _ in range(ADDRESS_CONNECTIONS + 20)]
        gone = []
        for line in lines[ADDRESS_CONNECTIONS:]:
            gone.append(answered(line))
        assert {status(answer) for answer in gone} == {503}
        assert all(b"problem:full" in answer for answer in gone)
        attack.serves()
        lines[0].sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert status(answered(lines[0])) == 200


def test_a_silent_connection_makes_room(closed: Closed) -> None:
    """Where there are as many as may be, the one that has been silent longest goes."""
    with attacked(closed, protocol__CONNECTIONS=100) as attack:
        first = attack.connect(2)
        others = [attack.connect(3) for _ in range(99)]
        attack.serves()
        assert answered(first) == b""
        others[-1].sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert status(answered(others[-1])) == 200


def test_bodies_that_never_end_are_closed(closed: Closed) -> None:
    """As many as may be in work, and more, on every route that takes JSON; each is told."""
    with attacked(closed, bodies__BODY_SECONDS=SHORT_SECONDS) as attack:
        head = b"POST /v1/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
        lines = [
            line
            for path in (b"events", b"bundles", b"sessions", b"log/token")
            for line in attack.many(200, head % path)
        ]
        attack.serves()
        for line in lines[:20]:
            line.sendall(b" ")
        assert {kind(line) for line in lines} == {"slow"}


@pytest.mark.parametrize("path", ["events", "bundles", "sessions"])
def test_a_body_that_drips_has_its_time_in_the_whole(closed: Closed, path: str) -> None:
    """A byte now and then, none of them late, for longer than a body may take."""
    with attacked(closed, bodies__BODY_SECONDS=DRIPPED_SECONDS) as attack:
        head = f"POST /v1/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{{"
        lines = attack.many(3, head.encode())
        drip(lines, b" ")
        assert {kind(line) for line in lines} == {"slow"}


@pytest.mark.parametrize("where", ["head", "trailers", "one header", "line", "begun"])
def test_a_head_has_a_limit(closed: Closed, where: str) -> None:
    """Whatever part of it is long, whether or not it ends: it is turned away, and nothing of it is kept."""
    begin = {
        "head": b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
        "one header": b"GET /healthz HTTP/1.1\r\nHost: ",
        "line": b"GET /",
        "begun": b"",
        "trailers": b"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n",
    }[where]
    more = {"head": b"a: b\r\n", "trailers": b"a: b\r\n", "begun": b"\r\n"}.get(where, b"abcd")
    with attacked(closed) as attack:
        attack.serves()
        piece = more * 10_000
        before, line, sent = attack.served.rss(), attack.connect(), len(begin)
        with contextlib.suppress(OSError):
            line.sendall(begin)
            while sent < ENDLESS_BYTES:
                line.sendall(piece)
                sent += len(piece)
        assert sent < ENDLESS_BYTES, "it was all taken"
        assert attack.served.rss() - before < ENDLESS_BYTES / 4


def test_a_head_of_just_the_limit_is_taken(closed: Closed) -> None:
    """One byte more isn't."""
    with attacked(closed) as attack:
        for more, expected in ((0, 200), (1, 431)):
            head = b"GET /healthz HTTP/1.0\r\nx: "
            head += bytes(HEAD_BYTES + more - len(head) - 4).replace(b"\0", b"y") + b"\r\n\r\n"
            assert len(head) == HEAD_BYTES + more
            line = attack.connect()
            line.sendall(head)
            answer = answered(line)
            assert status(answer) == expected
            assert (b"problem:headers" in answer) == (expected == 431)


def _bodies() -> dict[str, bytes]:
    """Eight MiB each, none of them signed by anybody."""
    event = b'{"event": {"a": "' + b"x" * 8_000 + b'"}, "sig": {}}'
    filled = [event] * (EVENTS_BYTES // (len(event) + 2) - 1)
    return {
        "lists": b"[" + b"[]," * (EVENTS_BYTES // 3 - 1) + b"[]]",
        "objects": b"[" + b'{"a":1},' * (EVENTS_BYTES // 8 - 1) + b"{}]",
        "texts": b"[" + b", ".join(filled) + b"]",
        "spaced": b"[" + b"1, " * 200_000 + b" " * (EVENTS_BYTES - 600_003) + b"1]",
    }


@pytest.mark.parametrize("name", _bodies())
def test_large_json_is_nobody_elses_wait(closed: Closed, name: str) -> None:
    """Eight at a time, from four addresses: each has an answer, others too, and memory is bounded."""
    body = _bodies()[name]
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with attacked(closed) as attack:
        attack.serves()
        before = attack.served.rss()
        lines = [attack.connect(2 + number // 2) for number in range(8)]
        asyncio.run(_together(lines, head + body))
        attack.serves()
        answers = {kind(line) for line in lines}
        assert answers <= {"malformed", "too_large", "full"} and answers - {"full"}
        assert attack.served.rss() - before < MEMORY_BYTES


@pytest.mark.parametrize(
    ("path", "where", "act"),
    [
        ("events", bodies, "_parsed"),
        ("events", appending, "_plain_each"),
        ("bundles", appending, "bundle_of"),
    ],
)
def test_others_are_answered_while_a_large_body_is_looked_at(
    closed: Closed, path: str, where: ModuleType, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is parsed, and its signatures are checked, beside the loop: others come first, however long that takes."""
    begun, enough, done = threading.Event(), threading.Event(), getattr(where, act)

    def holding(*arguments: Any) -> Any:
        begun.set()
        assert enough.wait(PATIENCE_SECONDS)
        return done(*arguments)

    monkeypatch.setattr(where, act, holding)
    with (
        contextlib.closing(opened(closed.settings)) as ledger,
        in_process(ledger) as web,
        ThreadPoolExecutor(1) as beside,
    ):
        pat = closed.pat.actor
        events = [grant_of(closed.pat, closed.south) for _ in range(INLINE_EVENTS + 1)]
        listed = [web.signed(event, pat) for event in events]
        body = orjson.dumps(listed if path == "events" else web.bundled(pat, events))
        json = {"Content-Type": "application/json"}
        sent = beside.submit(web.post, f"/v1/{path}", None, None, json, body + b" " * INLINE_BYTES)
        try:
            assert begun.wait(PATIENCE_SECONDS)
            other = httpx2.get(f"{web.url}/healthz", timeout=PATIENCE_SECONDS / 2)
            assert other.status_code == 200 and not sent.done()
        finally:
            enough.set()
        assert good(sent.result())["appended"] == len(events)


async def _together(lines: list[socket.socket], sent: bytes) -> None:
    loop = asyncio.get_running_loop()
    for line in lines:
        line.setblocking(False)
    await asyncio.gather(*(loop.sock_sendall(line, sent) for line in lines))
    for line in lines:
        line.settimeout(PATIENCE_SECONDS)


def test_bodies_in_memory_are_bounded(closed: Closed) -> None:
    """Of one address and of all; whoever has none of them is served."""
    limits = {"bodies__BODIES_BYTES": 400_000, "bodies__ADDRESS_BODIES_BYTES": 200_000}
    with attacked(closed, **limits) as attack:
        head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 150000\r\n\r\n"
        for address in (2, 3):
            attack.connect(address).sendall(head + b" " * 100_000)
        attack.serves()
        line = attack.connect(2)
        line.sendall(head + b" " * 149_999)
        assert kind(line) == "full"
        attack.serves()


def test_who_does_not_read_is_closed(closed: Closed) -> None:
    """Answers that nobody takes are held for a while only, and don't count as work."""
    limits = {"protocol__WRITE_SECONDS": SHORT_SECONDS}
    with attacked(closed, **limits) as attack:
        ask = b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 200
        lines = []
        for _ in range(20):
            line = attack.connect(receiving=4_096)
            line.sendall(ask)
            lines.append(line)
        attack.serves()
        port = attack.served.port
        until(lambda: _held(port, lines) == 0, "they are closed", PATIENCE_SECONDS)


def _held(port: int, lines: list[socket.socket]) -> int:
    """Connections of these that are established on the server's side."""
    mine = {line.getsockname()[1] for line in lines}
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    local, remote, state = 1, 2, 3
    return sum(
        int(row[local].split(":")[1], 16) == port
        and int(row[remote].split(":")[1], 16) in mine
        and row[state] == "01"
        for row in rows
    )


def test_a_body_that_was_answered_is_not_read_for_ever(closed: Closed) -> None:
    """The rest has its time; then the connection is closed."""
    with attacked(closed, protocol__REST_SECONDS=SHORT_SECONDS) as attack:
        line = attack.connect()
        line.sendall(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert kind(line) == "not_found"
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < PATIENCE_SECONDS:
                line.sendall(b" ")
                time.sleep(SHORT_SECONDS / 10)
            pytest.fail("it is read for ever")


def test_a_body_that_was_answered_is_read_at_our_leisure(closed: Closed) -> None:
    """However fast the rest comes: a piece is taken now and then, the others stay where they are."""
    rest = bytes(64 * 1024 * 1024)
    with attacked(closed, protocol__REST_PAUSE_SECONDS=PATIENCE_SECONDS) as attack:
        line = attack.connect()
        head = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n{" % len(rest)
        line.sendall(head)
        assert kind(line) == "not_found"
        line.settimeout(SHORT_SECONDS)
        with pytest.raises(TimeoutError):
            line.sendall(rest)


def test_the_next_of_several_requests_waits_until_others_had_their_turn(closed: Closed) -> None:
    """However many requests come at once on a connection: the first is answered at once, the next ones after a pause."""
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with attacked(closed, protocol__PIPELINE_PAUSE_SECONDS=PATIENCE_SECONDS) as attack:
        line = attack.connect()
        line.sendall(one * 3)
        first = http.client.HTTPResponse(line)
        first.begin()
        assert (first.status, first.read()) == (200, b'{"status":"ok"}')
        line.settimeout(SHORT_SECONDS)
        with pytest.raises(TimeoutError):
            line.recv(65_536)
        attack.serves()
    with attacked(closed) as attack:
        line = attack.connect()
        line.sendall(one * 2 + one.replace(b"1.1", b"1.0"))
        assert answered(line).count(b"HTTP/1.1 200") == 3


def test_a_connection_goes_on_after_a_body_that_was_answered(closed: Closed) -> None:
    """Whoever sends the rest in time is served again on it."""
    with attacked(closed) as attack:
        line = attack.connect()
        line.sendall(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert kind(line) == "not_found"
        line.sendall(b" " * 99 + b"GET /healthz HTTP/1.0\r\n\r\n")
        assert status(answered(line)) == 200


def test_behind_a_proxy_the_address_is_the_clients(closed: Closed, tmp_path: Path) -> None:
    """Its connections have no share; what it says of others is believed of it alone."""
    settings = closed.settings.model_copy(update={"proxies": "127.0.0.2, 10.0.0.0/8"})
    behind = Closed(settings, closed.origin, closed.pat, closed.south)
    limits = {"bodies__ADDRESS_BODIES_BYTES": 100_000, "protocol__ADDRESS_CONNECTIONS": 20}
    body = b" " * 90_000
    head = "POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {}\r\nContent-Length: 99999\r\n\r\n"
    with attacked(behind, **limits) as attack:
        for number in range(1, 40):
            hops = f"6.6.6.6, 9.9.9.{number}, 10.1.1.1"
            attack.connect(2).sendall(head.format(hops).encode() + body)
        same = attack.connect(2)
        same.sendall(head.format("9.9.9.9").encode() + body)
        assert kind(same) == "full"
        attack.connect(3).sendall(head.format("9.9.9.50").encode() + body)
        forged = attack.connect(3)
        forged.sendall(head.format("9.9.9.51").encode() + body)
        assert kind(forged) == "full"
        attack.serves()


def test_nothing_signed_is_lost_to_the_limits(closed: Closed) -> None:
    """A bundle of a thousand, sent as slowly as a poor line does, is appended."""
    with attacked(closed) as attack:
        pat, web = closed.pat, attack.web
        events = [grant_of(pat, closed.south) for _ in range(1_000)]
        body = orjson.dumps(web.bundled(pat.actor, events), option=orjson.OPT_INDENT_2)
        step = len(body) // 20

        def dripping() -> Iterator[bytes]:
            for start in range(0, len(body), step):
                time.sleep(0.1)  # a slow line is what this is about
                yield body[start : start + step]

        json = {"Content-Type": "application/json"}
        answer = web.post("/v1/bundles", None, None, json, content=dripping())
        assert kind_of(answer) == "200" and good(answer)["appended"] == 1_000


def test_requests_that_wait_for_others_are_few(closed: Closed) -> None:
    """A quarter of a MiB of them on each of 20 connections: so many are answered, and memory is bounded."""
    with attacked(closed) as attack:
        attack.serves()
        before = attack.served.rss()
        ask = b"GET /healthz HTTP/1.1\r\n\r\n" * 10_000
        lines = [attack.connect() for _ in range(20)]
        for line in lines:
            line.setblocking(False)
            with contextlib.suppress(OSError):
                line.send(ask)
            line.settimeout(PATIENCE_SECONDS)
        answers = [answered(line).count(b"HTTP/1.1 200") for line in lines]
        assert all(1 <= count <= PIPELINED + 1 for count in answers)
        assert attack.served.rss() - before < MEMORY_BYTES / 4


def test_who_takes_an_answer_slowly_gets_all_of_it() -> None:
    """Also the last one of a connection, when no next request comes for longer than is waited for one."""
    size = 16 * 1024 * 1024  # more than the system's own buffers take

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(bytes(size))(scope, receive, send)

    options = server_options() | {"timeout_keep_alive": 1, "lifespan": "off"}
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as line:
        server = uvicorn.Server(uvicorn.Config(large, **options))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            line.settimeout(PATIENCE_SECONDS)
            line.connect(listening.getsockname())
            line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(SHORT_SECONDS)
            answer = http.client.HTTPResponse(line)
            answer.begin()
            assert len(answer.read()) == size
        finally:
            server.should_exit = True
            line.close()
            thread.join()
