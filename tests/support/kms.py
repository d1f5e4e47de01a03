"""AWS KMS for the tests: moto's server in a process of its own, and a small server that answers with one fault.

    with KmsServer.start() as kms:
        place = kms.place()

Both listen on loopback, and are gone with the run.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import boto3

from keeper.roots import KmsPlace

HOST = "127.0.0.1"
REGION = "eu-central-1"
START_SECONDS = 60


class KmsServer:
    """A running moto server."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Any) -> None:
        """Made by `start`."""
        self._process, self._port, self._folder = process, port, folder

    @classmethod
    def start(cls) -> Self:
        """Run one; raises RuntimeError if it doesn't listen within START_SECONDS."""
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = probe.getsockname()[1]
        folder = TemporaryDirectory(prefix="heartwood-kms-")
        log = Path(folder.name) / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)],
                stdout=out, stderr=out, cwd=folder.name,
            )  # fmt: skip
        made = cls(process, port, folder)
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and process.poll() is None:
            try:
                socket.create_connection((HOST, port), 1).close()
                return made
            except OSError:
                time.sleep(0.05)
        words = log.read_text()
        made.stop()
        raise RuntimeError(f"moto's server didn't listen within {START_SECONDS} s: {words}")

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://{HOST}:{self._port}"

    def client(self) -> Any:
        """boto3's own client of it."""
        return boto3.client("kms", endpoint_url=self.url, region_name=REGION)

    def place(self) -> KmsPlace:
        """A new key."""
        key = self.client().create_key(Description="record root")["KeyMetadata"]["KeyId"]
        return KmsPlace(key, REGION, self.url)

    def setting(self, place: KmsPlace) -> str:
        """HEARTWOOD_RECORD_ROOT for a key of it."""
        return f"kms:{place.key}?region={place.region}&endpoint={place.endpoint}"

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()


@dataclass
class FaultyKms:
    """A server that answers each call with one fault."""

    url: str
    status: int = 400
    body: bytes = b"{}"
    hangs: threading.Event | None = None
    """Answers come only once this is set."""
    calls: list[str] = field(default_factory=list)

    def fails(self, code: str) -> None:
        """Answer with an error of AWS's."""
        self.status, self.body = 400, json.dumps({"__type": code, "message": "no"}).encode()

    @property
    def place(self) -> KmsPlace:
        """A key of it."""
        return KmsPlace("alias/heartwood", REGION, self.url)


@contextmanager
def faulty_kms() -> Iterator[FaultyKms]:
    """One that runs until the end."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            fault.calls.append(self.headers["X-Amz-Target"])
            if fault.hangs is not None:
                fault.hangs.wait()
                return
            self.send_response(fault.status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(fault.body)))
            self.end_headers()
            self.wfile.write(fault.body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Answers)
    fault = FaultyKms(f"http://{HOST}:{server.server_address[1]}")
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield fault
    finally:
        if fault.hangs is not None:
            fault.hangs.set()
        server.shutdown()
        serving.join()
        server.server_close()
