"""Bad luck over HTTP: clients that go away or stall, too many at once, signals, a database that stops, a
clock that jumps. Whatever was acknowledged stands; nothing half done is left.
"""

import asyncio
import contextlib
import http.client
import resource
import signal
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import orjson
import pytest

from api.app.settings import Settings
from api.http import bodies, uploads
from api.http.bounded import REQUESTS_LIMIT
from api.http.uploads import ACCOUNT_UPLOADS
from client.beside import upload
from identity.actors import Actor, new_id
from ledger.auditor import verify_export
from ledger.times import DAY_MS, format_time
from records.uploads import Upload
from storage.blobs.marker import NAME
from storage.clock import wall_clock
from storage.exports import write_export
from storage.sql import schema
from tests.integration.conftest import ENGINES, fresh_settings
from tests.support.commands import heartwood
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture, Person, vkeys
from tests.support.postgres import Cluster
from tests.support.server import (
    PATIENCE_SECONDS,
    Served,
    Web,
    bearer,
    good,
    in_process,
    kind_of,
    problem,
    serving,
    until,
)
from tests.support.server_fixture import ServerFixture, served_people

AT_ONCE = 1_000
CLIENTS = 4
"""Threads that send events one after the other."""
ENOUGH = 150
"""Acknowledged events of a load before something happens to it."""
GROWTH_BYTES = 24 * 1024 * 1024
"""How much a server may grow by while it is asked the same again."""
SMALL_SECONDS = 0.3
DOWN_SECONDS = 10.0
BIG_BYTES = 40 * 1024 * 1024


def grant_of(person: Person, grantee: str) -> dict[str, Any]:
    """A patient's grant for a day."""
    now = wall_clock()
    body = {
        "actions": ["list"], "end": format_time(now + DAY_MS), "grant": new_id("gr", now),
        "grantee": grantee, "purpose": "PATRQT", "scope": "full", "start": format_time(now),
    }  # fmt: skip
    return person.actor.event("access.granted", person.stream, body, now)


# In this process: clients.


def blobs_below(settings: Settings) -> list[Path]:
    """Every file below the blob store but its marker, those that are being written too."""
    found = (settings.data / "blobs").rglob("*")
    return sorted(p for p in found if p.is_file() and p.name != NAME)


def connected(url: str) -> socket.socket:
    """A bare connection to a server."""
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=PATIENCE_SECONDS)


@dataclass(frozen=True)
class Uploading(ServerFixture):
    """A server in this process, and uploads to it that are broken off."""

    @property
    def system(self) -> Actor:
        """Who may upload."""
        return self.fixture.north.system

    def files(self) -> list[Path]:
        """Every file below the blob store, those that are being written too."""
        return blobs_below(self.fixture.settings)

    def keys(self) -> int:
        """How many keys of blobs are kept."""
        with self.fixture.ledger.database.read() as connection:
            statement = f"SELECT count(*) FROM {schema.blob_keys.name}"
            return int(connection.exec_driver_sql(statement).scalar() or 0)

    def connect(self) -> socket.socket:
        """A bare connection to the server."""
        return connected(self.web.url)

    def upload_begun(self, line: socket.socket, sent: int = 100_000) -> None:
        """The head and a part of the body of an upload."""
        head = (
            f"POST /v1/patients/{self.people.pat.patient}/blobs HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {self.web.token(self.system)}\r\nContent-Length: 1000000\r\n\r\n"
        )
        line.sendall(head.encode() + bytes(sent))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uploading]:
    with served_people(Settings(data=tmp_path_factory.mktemp("luck") / "data")) as served:
        yield Uploading(served.fixture, served.people, served.web)


def test_a_client_that_goes_away_while_it_uploads_leaves_nothing(server: Uploading) -> None:
    """No blob, no key, no half-written file."""
    before = (server.files(), server.keys(), server.fixture.size())
    for _ in range(5):
        with server.connect() as line:
            server.upload_begun(line)
            until(lambda: len(server.files()) > len(before[0]), "the upload begins")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        until(lambda: server.files() == before[0], "the file is removed")
    assert (server.files(), server.keys(), server.fixture.size()) == before


def test_a_client_that_goes_away_while_it_downloads_leaves_nothing_open(
    server: Uploading,
) -> None:
    """The blob's file is closed; the reading stands, as it was permitted."""
    content = [bytes(1024 * 1024)] * (BIG_BYTES // 1024**2)
    one = Upload(server.people.pat.patient, "imaging", "image/png", content)
    up = upload(server.fixture.ledger, server.system, [one])[0]
    body = {"blob": up.blob, "purpose": "PATRQT", "record": up.record, "version": 1}
    size = server.fixture.size()
    for _ in range(3):
        event = server.people.pat.actor.event(
            "record.opened", server.people.pat.stream, body, wall_clock()
        )
        sent = server.web.signed(event, server.people.pat.actor)
        path = f"/v1/records/{up.record}/content"
        with server.web.client.stream("POST", path, json=sent) as answer:
            assert answer.status_code == 200
            pieces = answer.iter_raw(1024)
            next(pieces)
            assert _open_files(up.blob)
        until(lambda: not _open_files(up.blob), "the blob is closed")
    assert server.fixture.size() == size + 3


def _open_files(name: str) -> list[str]:
    """What this process has open under a name."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(link.readlink()))
    return [path for path in found if path.endswith(name)]


@pytest.mark.parametrize("path", ["/v1/events", "blobs"])
def test_a_client_that_stalls_is_told_so(
    server: Uploading, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """408 after its time; nothing is kept."""
    monkeypatch.setattr(bodies, "BODY_SECONDS", SMALL_SECONDS)
    monkeypatch.setattr(bodies, "UPLOAD_SECONDS", SMALL_SECONDS)
    before = (server.files(), server.keys(), server.fixture.size())
    with server.connect() as line:
        if path == "blobs":
            server.upload_begun(line)
        else:
            line.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        answer = http.client.HTTPResponse(line)
        answer.begin()
        told = orjson.loads(answer.read())
    assert (answer.status, told["type"]) == (408, "urn:heartwood:problem:slow")
    assert (server.files(), server.keys(), server.fixture.size()) == before


@pytest.mark.parametrize("rate", [1, 10])
def test_an_upload_has_time_in_proportion_to_its_size(
    server: Uploading, rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Served as long as it brings what it must; however often it brings less, it is turned away."""
    monkeypatch.setattr(bodies, "UPLOAD_SECONDS", SMALL_SECONDS)
    monkeypatch.setattr(bodies, "UPLOAD_RATE", int(rate * 4 / SMALL_SECONDS))

    def dripping() -> Iterator[bytes]:
        for _ in range(16):
            time.sleep(SMALL_SECONDS / 4)  # a slow client is what this is about
            yield b"drop"

    path = f"/v1/patients/{server.people.pat.patient}/blobs"
    answer = server.web.post(path, None, server.system, content=dripping())
    assert kind_of(answer) == ("200" if rate == 1 else "slow")


def test_uploads_that_stall_keep_nobody_from_the_rest(server: Uploading) -> None:
    """As many as one account may have at a time, and more: others upload, read and append."""
    before = server.files()
    with contextlib.ExitStack() as stack:
        for _ in range(ACCOUNT_UPLOADS + 10):
            server.upload_begun(stack.enter_context(server.connect()), 1_000)
        until(lambda: len(server.files()) - len(before) == ACCOUNT_UPLOADS, "the uploads begin")
        path = f"/v1/patients/{server.people.pat.patient}/blobs"
        mine = server.web.post(path, None, server.people.pat.actor, content=b"of somebody else")
        assert good(mine)["size"] == 16
        token = bearer(server.web.token(server.people.pat.actor))
        answer = httpx2.get(f"{server.web.url}/v1/me", headers=token, timeout=5)
        assert answer.status_code == 200
        event = grant_of(server.people.pat, server.fixture.south.hospital)
        assert (
            kind_of(
                server.web.post("/v1/events", server.web.signed(event, server.people.pat.actor))
            )
            == "200"
        )
    until(lambda: len(server.files()) == len(before) + 1, "the files are removed")


def test_uploads_that_wait_for_too_many_of_their_own_are_turned_away(
    server: Uploading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 `full`, with when to come back."""
    monkeypatch.setattr(uploads, "UPLOAD_WAITING", 2)
    before = server.files()
    with contextlib.ExitStack() as stack:
        for _ in range(ACCOUNT_UPLOADS + 2):
            server.upload_begun(stack.enter_context(server.connect()), 1_000)
        until(lambda: len(server.files()) - len(before) == ACCOUNT_UPLOADS, "the uploads begin")
        path = f"/v1/patients/{server.people.pat.patient}/blobs"
        until(
            lambda: kind_of(server.web.post(path, None, server.system, content=b"x")) == "full",
            "the others wait",
        )
    until(lambda: server.files() == before, "the files are removed")


@pytest.mark.parametrize("ahead", [10_000, -10_000, 3_600_000])
def test_a_clock_that_jumps_stops_appending_until_it_is_right(tmp_path: Path, ahead: int) -> None:
    """503 `clock` meanwhile, with when to come back; what was refused can be sent again."""
    off = 0
    fixture = LedgerFixture.found(Settings(data=tmp_path / "data"), lambda: wall_clock() + off)
    pat = fixture.person()
    with in_process(fixture.ledger) as web:
        sent = web.signed(grant_of(pat, fixture.south.hospital), pat.actor)
        size, off = fixture.size(), ahead
        for _ in range(2):
            answer = web.post("/v1/events", sent)
            assert (kind_of(answer), answer.status_code) == ("clock", 503)
            assert int(answer.headers["retry-after"]) > 0
        assert fixture.size() == size
        assert kind_of(web.get("/checkpoint")) == "200"
        off = 0
        assert good(web.post("/v1/events", sent))["entries"][0]["seq"] == size
    fixture.verify()
    fixture.close()


# A process of its own: load and signals.


@dataclass
class Load:
    """Clients that send a patient's grants until they are stopped, and what they were told."""

    url: str
    origin: str
    pat: Person
    grantee: str
    stood: dict[str, int] = field(default_factory=dict)
    """Entry of each acknowledged event, by the event's id."""
    sent: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> "Load":
        """Begin."""
        self._threads = [threading.Thread(target=self._send) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and wait for the last answers."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def enough(self, more: int = ENOUGH) -> None:
        """Wait until so many more were acknowledged."""
        goal = len(self.stood) + more
        until(lambda: len(self.stood) >= goal or bool(self.wrong), "events are acknowledged")
        assert not self.wrong

    def _send(self) -> None:
        web = Web(self.url, self.origin)
        while not self._stop.is_set():
            event = grant_of(self.pat, self.grantee)
            self.sent[event["id"]] = event
            try:
                answer = web.post("/v1/events", web.signed(event, self.pat.actor))
                if answer.status_code == 200:
                    self.stood[event["id"]] = answer.json()["entries"][0]["seq"]
                    continue
                kind = kind_of(answer)
                self.problems[kind] += 1
                if answer.status_code != 503 or "retry-after" not in answer.headers:
                    self.wrong.append(answer.text)
            except httpx2.TransportError:
                self.problems["gone"] += 1
            except AssertionError as error:
                self.wrong.append(str(error))
        web.close()


@dataclass
class Closed:
    """A closed ledger, to be served by a process."""

    settings: Settings
    origin: str
    pat: Person
    north: Actor
    south: str

    @classmethod
    def of(cls, settings: Settings) -> "Closed":
        """Found and close it."""
        fixture = LedgerFixture.found(settings)
        pat = fixture.person()
        fixture.close()
        return cls(
            settings, fixture.ledger.origin, pat, fixture.north.system, fixture.south.hospital
        )

    def load(self, served: Served) -> Load:
        """A load for a server."""
        return Load(served.url, self.origin, self.pat, self.south)

    def check(self, load: Load) -> None:
        """What was acknowledged stands where it was said to, once; the whole log verifies."""
        assert not load.wrong
        ledger = opened(self.settings)
        try:
            entries = ledger.stream(self.pat.stream, ledger.head().size)
            seqs = {entry.event.id: entry.link.seq for entry in entries}
            assert len(seqs) == len(entries)
            assert load.stood.items() <= seqs.items()
            target = Path(tempfile.mkdtemp(dir=self.settings.data.parent))
            write_export(ledger, target)
            verify_export(target, vkeys(self.settings))
        finally:
            ledger.close()


@pytest.fixture
def closed(tmp_path: Path) -> Closed:
    return Closed.of(Settings(data=tmp_path / "data"))


def test_a_server_that_is_told_to_stop_finishes_what_it_accepted(closed: Closed) -> None:
    """SIGTERM under load: it ends with 0, within the drain time."""
    with serving(closed.settings, drain_seconds=10) as served, closed.load(served) as load:
        load.enough()
        began = time.monotonic()
        assert served.stop(signal.SIGTERM) == 0
        assert time.monotonic() - began < 10
    assert load.problems.keys() <= {"gone", "stopped"}
    closed.check(load)


def test_a_stalled_client_does_not_keep_a_server_from_stopping(closed: Closed) -> None:
    """An upload and a body that never end: cut off at the drain time, and nothing of them is left."""
    with serving(closed.settings, drain_seconds=1) as served:
        web = Web(served.url, closed.origin)
        with connected(served.url) as upload_line, connected(served.url) as event_line:
            token = web.token(closed.north)
            head = f"POST /v1/patients/{closed.pat.patient}/blobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
            upload_line.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode() + bytes(100))
            event_line.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            until(lambda: bool(blobs_below(closed.settings)), "the upload begins")
            began = time.monotonic()
            assert served.stop(signal.SIGTERM) == 0
            assert time.monotonic() - began < 10
        assert blobs_below(closed.settings) == []
        web.close()


def test_a_server_that_is_killed_keeps_what_it_acknowledged(closed: Closed) -> None:
    """SIGKILL under load, twice; what was not acknowledged is sent again, and stands once."""
    stood: dict[str, int] = {}
    for _ in range(2):
        with serving(closed.settings) as served, closed.load(served) as load:
            load.enough()
            assert served.stop(signal.SIGKILL) == -signal.SIGKILL
        closed.check(load)
        stood |= load.stood
        unknown = [event for name, event in load.sent.items() if name not in load.stood][:20]
        with serving(closed.settings) as served:
            web = Web(served.url, closed.origin)
            answers = good(web.post("/v1/bundles", web.bundled(closed.pat.actor, unknown)))
            assert answers["appended"] == len(unknown) > 0
            assert good(web.post("/v1/bundles", web.bundled(closed.pat.actor, unknown)))[
                "appended"
            ] == len(unknown)
            web.close()
    load.stood = stood
    closed.check(load)


def test_a_port_that_is_taken_is_said_at_once(closed: Closed) -> None:
    """With the exit code of what could not run; nobody is served by the wrong one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = heartwood(closed.settings, "serve", "--port", port)
    assert (ran.code, f"cannot listen on 127.0.0.1, port {port}" in ran.err) == (4, True)


@pytest.mark.parametrize("engine", ENGINES)
def test_two_workers_behind_one_port_keep_one_order(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Every event stands once, a session counts at both, a challenge once at either."""
    closed = Closed.of(fresh_settings(engine, request, tmp_path))
    with serving(closed.settings, workers=2) as served:
        with closed.load(served) as load:
            load.enough(2 * ENOUGH)
            web = Web(served.url, closed.origin)
            token, nonce = bearer(web.token(closed.pat.actor)), web.challenge()
            answers = [httpx2.get(f"{served.url}/v1/me", headers=token) for _ in range(20)]
            assert {answer.status_code for answer in answers} == {200}
            signed_in = []
            for _ in range(6):
                with contextlib.closing(Web(served.url, closed.origin)) as another:
                    signed_in.append(kind_of(another.sign_in(closed.pat.actor, nonce)))
            assert signed_in == ["200"] + ["not_signed_in"] * 5
            web.close()
        assert served.stop(signal.SIGTERM) == 0
    assert load.problems.keys() <= {"gone"}
    closed.check(load)


def test_a_database_that_stops_and_comes_back(
    request: pytest.FixtureRequest, cluster: Cluster, tmp_path: Path
) -> None:
    """Problems of 503 meanwhile, to readings, sessions and health checks too; then it goes on by itself."""
    closed = Closed.of(fresh_settings("postgresql", request, tmp_path))
    with serving(closed.settings) as served, closed.load(served) as load:
        load.enough()
        web = Web(served.url, closed.origin)
        token = bearer(web.token(closed.pat.actor))
        cluster.kill()
        end = time.monotonic() + DOWN_SECONDS
        try:
            until(lambda: kind_of(web.get("/readyz")) == "database", "the server sees it")
            while time.monotonic() < end:
                assert kind_of(web.get("/healthz")) == "200"
                for path in ("/v1/me", "/v1/log", "/checkpoint", "/tile/0/000.p/1"):
                    answer = web.get(path, headers=token)
                    assert (answer.status_code, kind_of(answer)) == (503, "database"), path
                    told = problem(answer)["detail"]
                    assert not any(word in told for word in ("SELECT", "psycopg", "127.0.0.1"))
        finally:
            cluster.restart()
        until(served.ready, "the server goes on")
        load.enough()
        assert kind_of(web.get("/v1/me", headers=token)) == "200"
        web.close()
        assert served.stop(signal.SIGTERM) == 0
    assert load.problems["database"] > 0
    assert load.problems.keys() <= {"database", "gone", "outcome_unknown"}
    closed.check(load)


# Too many at once.


@pytest.fixture
def many_files() -> Iterator[None]:
    """Room for the connections, here and in the children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8_192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_at_once_are_served_or_sent_away(closed: Closed, many_files: None) -> None:
    """200, or 503 `full` with when to come back; the memory of the process does not follow."""
    with serving(closed.settings) as served:
        asyncio.run(_rush(closed, served))  # what a process needs once, it has from here on
        before = served.rss()
        for _ in range(3):
            answers, stood = asyncio.run(_rush(closed, served))
            assert sum(answers.values()) == AT_ONCE
            assert answers.keys() <= {200, 503} and answers[200] >= REQUESTS_LIMIT
            assert stood == answers[200]
            assert answers[503] > 0, "the clients were too slow to be too many"
        assert served.rss() - before < GROWTH_BYTES
        assert served.ready()
        assert served.stop(signal.SIGTERM) == 0
    load = Load(served.url, closed.origin, closed.pat, closed.south)
    closed.check(load)


async def _rush(closed: Closed, served: Served) -> tuple[Counter[int], int]:
    """A thousand connections, each with one event, all begun before any is finished."""
    address = urlsplit(served.url)
    web = Web(served.url, closed.origin)
    bodies_sent = [
        orjson.dumps(web.signed(grant_of(closed.pat, closed.south), closed.pat.actor))
        for _ in range(AT_ONCE)
    ]
    web.close()
    lines = await asyncio.gather(
        *(
            # From as many addresses as they would come from: one alone has a share.
            asyncio.open_connection(
                address.hostname, address.port, local_addr=(f"127.0.0.{2 + number % 8}", 0)
            )
            for number in range(AT_ONCE)
        )
    )
    for (_, writer), body in zip(lines, bodies_sent, strict=True):
        head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body[:-1])
    await asyncio.gather(*(writer.drain() for _, writer in lines))
    for (_, writer), body in zip(lines, bodies_sent, strict=True):
        writer.write(body[-1:])
    answers = await asyncio.gather(*(_answer(reader) for reader, _ in lines))
    for _, writer in lines:
        writer.close()
    count, stood = Counter[int](), 0
    for said, given in answers:
        status = int(said.split(b" ")[1])
        count[status] += 1
        if status == 503:
            assert b"retry-after: 1" in said.lower() and b"problem:full" in given
        stood += status == 200 and orjson.loads(given)["appended"] == 1
    return count, stood


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of an answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    return head, await reader.readexactly(length)
