"""What a server says of itself: its log, its counters, when it serves, and that it ends with its parent."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.app.settings import Settings
from client import beside
from identity.actors import new_id
from ledger.sequencer import Batch
from records.uploads import Upload
from tests.integration.api.http.test_bad_luck import Closed, grant_of
from tests.integration.conftest import ENGINES, fresh_settings
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import (
    HOST,
    Web,
    bearer,
    good,
    in_process,
    kind_of,
    problem,
    serving,
    until,
)

PLANTED = ("Zerlina Plantée", "planted-title", "planted-file-name", "planted-content", "planted-passphrase",
           "planted-token", "planted-identifier", "planted path", "planted-query", "planted-header")  # fmt: skip
REQUEST = {"actor", "event", "id", "level", "method", "ms", "route", "status", "timestamp"}


@pytest.fixture
def closed(tmp_path: Path) -> Closed:
    return Closed.of(Settings(data=tmp_path / "data"))


# The log


def test_a_request_and_a_batch_have_a_line(closed: Closed) -> None:
    """JSON where standard error is no terminal: ids, the route's template, and who acted."""
    with serving(closed.settings) as served:
        web = Web(served.url, closed.origin)
        events = [grant_of(closed.pat, closed.south) for _ in range(3)]
        good(web.post("/v1/bundles", web.bundled(closed.pat.actor, events)))
        good(web.get("/v1/me", closed.pat.actor))
        kind_of(web.get(f"/v1/records/{new_id('rc', 1)}", closed.pat.actor))
        web.get("/v1/nowhere")
        web.close()
        assert served.stop(signal.SIGTERM) == 0
    told = [
        (line["method"], line["route"], line["status"], line.get("actor"))
        for line in served.lines("request")
        if line["route"] != "/readyz"
    ]
    account = closed.pat.actor.account
    assert told == [
        ("POST", "/v1/bundles", 200, account),
        ("POST", "/v1/sessions/challenge", 200, None),
        ("POST", "/v1/sessions", 200, account),
        ("GET", "/v1/me", 200, account),
        ("GET", "/v1/records/{record}", 404, account),
        ("GET", "", 404, None),
    ]
    lines = served.lines("request")
    assert len({line["id"] for line in lines}) == len(lines)
    assert all(line.keys() | {"actor"} == REQUEST and line["ms"] >= 0 for line in lines)
    (batch,) = served.lines("batch")
    assert (batch["calls"], batch["events"], batch["entries"]) == (1, 3, 3) and batch["ms"] > 0
    assert batch["unforeseen"] == 0


def test_nothing_that_is_anybodys_is_in_the_log(tmp_path: Path) -> None:
    """Names, titles, contents, tokens, signatures, whatever is typed into addresses and headers; passphrases."""
    settings = Settings(data=tmp_path / "data", passphrase="planted-passphrase")  # type: ignore[arg-type]
    fixture = LedgerFixture.found(settings)
    pat = fixture.person(PLANTED[0])
    one = Upload(
        pat.patient, "laboratory", "text/plain", [b"planted-content"], title="planted-title",
        file_name="planted-file-name",
    )  # fmt: skip
    up = beside.upload(fixture.ledger, fixture.north.system, [one])[0]
    fixture.close()
    system, seen = fixture.north.system, list(PLANTED)
    with serving(settings) as served:
        web = Web(served.url, fixture.ledger.origin)
        seen += [web.token(system), web.token(pat.actor)]
        body = {"blob": up.blob, "purpose": "PATRQT", "record": up.record, "version": 1}
        event = pat.actor.event("record.opened", pat.stream, body, fixture.ledger.clock())
        sent = web.signed(event, pat.actor)
        opened = web.post(f"/v1/records/{up.record}/content", sent)
        assert opened.content == b"planted-content"
        seen += [opened.headers["heartwood-read-token"], sent["sig"]["value"]]
        texts = {"name": PLANTED[0]}
        subject = {"id": new_id("pt", 1), "event": new_id("ev", 1), "texts": texts,
                   "identifier": "urn:x|planted-identifier"}  # fmt: skip
        good(web.post("/v1/subjects", {"subjects": [subject]}, system))
        web.post("/v1/patients/lookup", {"identifiers": ["urn:x|planted-identifier"]}, system)
        sealed = {
            "object": up.record,
            "event": new_id("ev", 1),
            "texts": {"title": "planted-title"},
        }
        web.post(f"/v1/patients/{pat.patient}/seal", sealed, system)
        path = f"/v1/patients/{pat.patient}/blobs"
        web.post(path, None, system, content=b"planted-content" * 1_000)
        web.get("/v1/planted path/planted-content?a=planted-query", headers={"x": "planted-header"})
        web.get("/v1/me", headers=bearer("planted-token"))
        web.post("/v1/events", {"event": {"name": PLANTED[0]}, "sig": "planted-token"})
        web.post(f"/v1/records/{up.record}/content", {"planted-title": 1})
        web.close()
        with socket.create_connection((HOST, served.port)) as line:
            line.sendall(b"PLANTED planted-token\r\n\r\n")
            line.recv(1_000)
        assert served.stop(signal.SIGTERM) == 0
    text = served.log.read_text()
    assert len(served.lines("request")) >= 12
    for planted in seen:
        assert planted not in text and json.dumps(planted)[1:-1] not in text, planted


def test_a_terminal_has_lines_for_people(closed: Closed) -> None:
    """Nothing to be parsed."""
    main, side = pty.openpty()
    code = "import sys; from api.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "serve",
        "--port",
        "0",
        "--data",
        str(closed.settings.data),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=side, text=True)
    assert process.stdout is not None
    found = re.search(r"http://\S+", process.stdout.readline())
    assert found is not None
    httpx2.get(f"{found[0]}/healthz")
    process.terminate()
    assert process.wait(60) == 0
    process.stdout.close()
    os.close(side)
    said = os.read(main, 65_536).decode()
    os.close(main)
    assert "/healthz" in said and not any(line.startswith("{") for line in said.splitlines())


# Bugs


@pytest.fixture(params=ENGINES)
def fixture(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LedgerFixture]:
    made = LedgerFixture.found(fresh_settings(request.param, request, tmp_path))
    yield made
    made.verify()
    made.close()


def _fails(*_: Any) -> None:
    raise KeyError("planted in the message")


@pytest.mark.parametrize("where", ["a batch", "a route"])
def test_a_bug_is_called_one_and_can_be_found(
    fixture: LedgerFixture,
    where: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """500 `bug` with an id; the log has its places by that id, and the event can be sent again later."""
    pat = fixture.person()
    with in_process(fixture.ledger) as web:
        sent = web.signed(grant_of(pat, fixture.south.hospital), pat.actor)
        with monkeypatch.context() as patch:
            if where == "a batch":
                patch.setattr(Batch, "admit", _fails)
                answer = web.post("/v1/events", sent)
            else:
                patch.setattr("api.http.log.registry_json", _fails)
                answer = web.get("/v1/log/registry")
        told = problem(answer)
        assert (answer.status_code, kind_of(answer)) == (500, "bug")
        assert "planted" not in answer.text
        assert told["detail"] == "internal error; the server's log has it by this id"
        until(lambda: "bug" in caplog.messages, "its line is written")
        (record,) = [r for r in caplog.records if r.getMessage() == "bug"]
        assert getattr(record, "id", "") == told["id"] != ""
        assert record.exc_info is not None
        places = "\n".join(logs_places(record.exc_info[1]))
        assert "builtins.KeyError" in places and "test_told.py" in places
        assert "planted" not in places
        assert good(web.post("/v1/events", sent))["appended"] == 1


def logs_places(error: BaseException | None) -> list[str]:
    """As the log writes them."""
    from api.app.logs import places

    assert error is not None
    return places(error)


# Several workers


def test_every_worker_serves_when_it_says_so(closed: Closed) -> None:
    """The first connection after the line is taken, and answered."""
    code = "from api.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--port", "0", "--workers", "2"]
    environment = {**os.environ, "HEARTWOOD_DATA": str(closed.settings.data)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    assert process.stdout is not None
    found = re.search(r"http://\S+", process.stdout.readline())
    assert found is not None
    answers = [httpx2.get(f"{found[0]}/healthz", timeout=60).status_code for _ in range(20)]
    process.terminate()
    assert (answers, process.wait(60)) == ([200] * 20, 0)
    process.stdout.close()


def test_any_worker_counts_for_all(closed: Closed) -> None:
    """What one that died had counted, too."""
    with serving(closed.settings, workers=2) as served:
        for _ in range(30):
            httpx2.get(
                f"{served.url}/v1/nowhere"
            )  # each on a connection, hence a worker, of its own
        for _ in range(5):
            assert counted(served.url) == 30
        os.kill(children(served.process.pid)[0], signal.SIGKILL)
        until(lambda: bool(served.lines("worker lost")), "it is missed")
        until(served.ready, "others serve")
        httpx2.get(f"{served.url}/v1/nowhere")
        assert counted(served.url) == 31
        (lost,) = served.lines("worker lost")
        assert lost["exit"] == -signal.SIGKILL
        assert len(served.lines("worker started")) == 3
        assert served.stop(signal.SIGTERM) == 0
    assert not list(closed.settings.data.glob(".metrics.*"))


def counted(url: str) -> int:
    """Requests answered 404, as any worker tells."""
    text = httpx2.get(f"{url}/metrics").text
    found = re.search(r'heartwood_requests_total\{method="GET",status="404"\} ([0-9.]+)', text)
    return int(float(found[1])) if found else 0


def children(parent: int) -> list[int]:
    """The workers of a server."""
    found = map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
    return [pid for pid in found if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]


def test_workers_end_with_their_parent(closed: Closed) -> None:
    """However it went; nobody serves on unseen, and the port is free again."""
    with serving(closed.settings, workers=2) as served:
        workers = children(served.process.pid)
        assert len(workers) == 2
        assert served.stop(signal.SIGKILL) == -signal.SIGKILL
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "they end")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((HOST, served.port))
    assert not list(closed.settings.data.glob(".metrics.*"))


def test_a_worker_that_cannot_start_is_said(closed: Closed, tmp_path: Path) -> None:
    """With the exit code of what could not run, and no word of serving."""
    code = (
        "import os, threading, api.app.opening; from api.cli import main, serving\n"
        "def gone(): (api_data / 'keys').rename(api_data / 'gone')\n"
        f"import pathlib; api_data = pathlib.Path({str(closed.settings.data)!r})\n"
        "reserve = serving._reserve\n"
        "def reserving(*a): gone(); return reserve(*a)\n"
        "serving._reserve = reserving; main()"
    )
    command = [sys.executable, "-c", code, "serve", "--port", "0", "--workers", "2"]
    environment = {**os.environ, "HEARTWOOD_DATA": str(closed.settings.data)}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "a worker ended with 3 while it started" in ran.stderr


# Where it listens


@pytest.mark.parametrize(
    ("host", "proxies", "warned"),
    [("127.0.0.1", "", False), ("0.0.0.0", "", True), ("0.0.0.0", "127.0.0.1", False)],
)
def test_a_server_that_is_open_to_others_warns(
    closed: Closed, host: str, proxies: str, warned: bool
) -> None:
    """What is in clear on the wire, and what to do; not where a proxy is named."""
    closed.settings.proxies = proxies
    with serving(closed.settings, host=host) as served:
        httpx2.get(f"http://{HOST}:{served.port}/healthz")
        assert served.stop(signal.SIGTERM) == 0
    said = [line for line in served.log.read_text().splitlines() if "warning" in line]
    assert len([line for line in said if "reverse proxy with TLS" in line]) == warned


def test_proxies_that_are_none_are_refused(closed: Closed) -> None:
    """Before anything is served."""
    code = "from api.cli import main; main()"
    environment = {**os.environ, "HEARTWOOD_DATA": str(closed.settings.data)}
    environment["HEARTWOOD_PROXIES"] = "proxy.example"
    command = [sys.executable, "-c", code, "serve", "--port", "0"]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert ran.returncode == 4 and "HEARTWOOD_PROXIES: 'proxy.example'" in ran.stderr
