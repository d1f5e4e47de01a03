"""The HTTP face for tests: `heartwood serve` as a process of its own, or the same application in a thread.

Both listen on a free port of this machine's loopback.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import uvicorn

from api.app.settings import Settings
from api.http import create_app
from api.http.protocol import server_options
from crypto import canonical
from crypto.encoding import b64decode, b64encode
from crypto.signing import SigningKey
from identity.actors import Actor
from identity.sites import Site
from ledger.event import sign_bundle, sign_event
from ledger.messages import session_message
from storage.ledger import Ledger

HOST = "127.0.0.1"
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.02
PROBLEM = "urn:heartwood:problem:"
_SERVING = re.compile(r"serving .* on (http://[0-9.]+:[1-9][0-9]*) with").search


def until(what: Callable[[], bool], why: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for a condition; fails with `why` when it does not come."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"waited {seconds} s: {why}"
        time.sleep(POLL_SECONDS)


@dataclass
class Web:
    """A client that signs for actors and keeps their sessions. Its answers are raw."""

    url: str
    origin: str
    _tokens: dict[tuple[str, str, str], str] = field(default_factory=dict)

    @cached_property
    def client(self) -> httpx2.Client:
        """The client below: as it is, without sessions and signatures."""
        return httpx2.Client(base_url=self.url, timeout=PATIENCE_SECONDS)

    def get(
        self, path: str, actor: Actor | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """Get a path, in the actor's session if one is given."""
        return self.client.get(path, headers=self._headers(actor, headers))

    def post(
        self,
        path: str,
        value: Any = None,
        actor: Actor | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterator[bytes] | None = None,
    ) -> httpx2.Response:
        """Post a JSON value, or `content` as it is."""
        body = canonical.write(value) if content is None and value is not None else content
        kind = {} if content is not None else {"Content-Type": "application/json"}
        sent = self._headers(actor, {**kind, **(headers or {})})
        return self.client.post(path, content=body, headers=sent)

    def signed(
        self, event: dict[str, Any], actor: Actor | None = None, key: SigningKey | None = None
    ) -> dict[str, Any]:
        """An event in the form of the HTTP face, signed by the actor's key or another."""
        signer = key or (actor.key if actor else None)
        assert signer is not None
        sig = sign_event(signer, self.origin, canonical.write(event))
        return {"event": event, "sig": {"key": sig.key, "value": b64encode(sig.value)}}

    def bundled(self, actor: Actor, events: list[dict[str, Any]]) -> dict[str, Any]:
        """A bundle of an actor's events."""
        raws = [canonical.write(event) for event in events]
        sig = sign_bundle(actor.key, self.origin, raws)[0]
        return {"events": events, "sig": {"key": sig.key, "value": b64encode(sig.value)}}

    def challenge(self) -> bytes:
        """A fresh challenge."""
        answer = good(self.post("/v1/sessions/challenge"))
        assert answer["origin"] == self.origin
        return b64decode(answer["challenge"], 32)

    def sign_in(
        self, actor: Actor, nonce: bytes | None = None, key: SigningKey | None = None
    ) -> httpx2.Response:
        """Sign a challenge (by default a fresh one) with the actor's key or another."""
        nonce = nonce or self.challenge()
        signer = key or actor.key
        value = signer.sign(session_message(self.origin, actor.key.id, nonce))
        sent = {
            "challenge": b64encode(nonce), "hospital": actor.hospital, "key": actor.key.id,
            "role": actor.role, "value": b64encode(value),
        }  # fmt: skip
        return self.post("/v1/sessions", sent)

    def token(self, actor: Actor) -> str:
        """A session of the actor, kept for the next time."""
        name = (actor.key.id, actor.role, actor.hospital)
        if name not in self._tokens:
            self._tokens[name] = good(self.sign_in(actor))["token"]
        return self._tokens[name]

    def forget(self) -> None:
        """Keep no session."""
        self._tokens.clear()

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _headers(self, actor: Actor | None, headers: Mapping[str, str] | None) -> dict[str, str]:
        token = {} if actor is None else {"Authorization": f"Bearer {self.token(actor)}"}
        return token | dict(headers or {})


def bearer(token: str) -> dict[str, str]:
    """The header of a token."""
    return {"Authorization": f"Bearer {token}"}


def good(response: httpx2.Response) -> Any:
    """The JSON of a good answer."""
    assert response.status_code == 200, response.text[:500]
    return response.json()


def problem(response: httpx2.Response) -> dict[str, Any]:
    """The problem document of an answer that must be one."""
    assert response.headers["content-type"] == "application/problem+json", response.text[:500]
    found: dict[str, Any] = response.json()
    assert found["type"].startswith(PROBLEM) and found["status"] == response.status_code
    assert {"detail", "status", "title", "type"} <= found.keys()
    return found


def kind_of(response: httpx2.Response) -> str:
    """`200`, `204`, `206`, or the kind of the problem."""
    if response.is_success:
        return str(response.status_code)
    return str(problem(response)["type"]).removeprefix(PROBLEM)


@contextmanager
def in_process(ledger: Ledger) -> Iterator[Web]:
    """The application in a thread of this process, over a ledger that stays open."""
    app = create_app(lambda: ledger, close=False)
    with socket.create_server((HOST, 0), backlog=2_048) as listening:
        # Browsers take only `localhost` for a secure context without TLS.
        app.state.site = Site(f"http://localhost:{listening.getsockname()[1]}")
        config = uvicorn.Config(app, **server_options())
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        web = Web(f"http://{HOST}:{listening.getsockname()[1]}", ledger.origin)
        try:
            until(lambda: server.started or not thread.is_alive(), "the server starts")
            yield web
        finally:
            web.close()
            server.should_exit = True
            thread.join()


@dataclass
class Served:
    """`heartwood serve` in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    log: Path

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.url).port or 0

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        """What it logged so far, by the event if one is named."""
        said = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        found = [json.loads(line) for line in said]
        return [line for line in found if not event or line["event"] == event]

    def rss(self) -> int:
        """Resident bytes of the process now."""
        status = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(status[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self, number: int) -> int:
        """Send a signal and wait for the end; gives the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def ready(self) -> bool:
        """Whether /readyz says so."""
        with suppress(httpx2.TransportError):
            return httpx2.get(f"{self.url}/readyz", timeout=5).status_code == 200
        return False


@contextmanager
def serving(
    settings: Settings,
    workers: int = 1,
    drain_seconds: int = 30,
    log: Path | None = None,
    limits: Mapping[str, float] | None = None,
    host: str = HOST,
) -> Iterator[Served]:
    """Serve a ledger that nobody has open; killed in the end if it still runs.

    `limits`: others than those of the program, by module and name; of one worker only.
    """
    code = f"from api.cli import main, serving; serving.DRAIN_SECONDS = {drain_seconds}\n"
    for name, value in (limits or {}).items():
        code += f"import {name.rpartition('.')[0]}; {name} = {value}\n"
    command = [sys.executable, "-c", code + "main()", "serve", "--port", "0", "--host", host]
    command += ["--workers", str(workers)]
    environment = {
        **os.environ,
        "HEARTWOOD_DATA": str(settings.data),
        "HEARTWOOD_DATABASE_URL": settings.database_url,
        "HEARTWOOD_BLOBS": settings.blobs,
        "HEARTWOOD_BLOBS_QUORUM": str(settings.blobs_quorum),
        "HEARTWOOD_PROXIES": settings.proxies,
        "HEARTWOOD_PASSPHRASE": settings.secret() or "",
    }
    if settings.witness_policy is not None:
        environment["HEARTWOOD_WITNESS_POLICY"] = str(settings.witness_policy)
    path = log or settings.data.with_name("serve.log")
    with path.open("a+") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        )
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            match = _SERVING(said)
            errors.seek(0)
            assert match is not None, said + errors.read()
            served = Served(process, match[1], path)
            until(lambda: served.ready() or process.poll() is not None, "the server is ready")
            assert process.poll() is None, f"ended with {process.returncode}"
            yield served
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()
