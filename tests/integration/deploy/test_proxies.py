"""The proxies' samples, run ahead of a server: what they forward, and whom they say they saw."""

import json
import re
import shutil
import signal
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from tests.support.keepers import HOST, free_port
from tests.support.paths import ROOT
from tests.support.server import until

TLS = ROOT / "deploy" / "tls"
LONG = "/v1/records/long/content"
TEXT_BYTES = 4_096
"""Most plaintext of a sealed field, by its form; a record has two of them."""
LONGEST = b64encode(
    json.dumps({"file_name": '"' * TEXT_BYTES, "title": '"' * TEXT_BYTES}).encode()
).decode()


class Upstream(BaseHTTPRequestHandler):
    """Answers every path with the client's address, as the proxy tells it."""

    def do_GET(self) -> None:
        """Whatever is asked; under LONG with the longest headers that a reading has."""
        told = (self.headers["X-Forwarded-For"] or "").encode()
        self.send_response(200)
        if self.path == LONG:
            self.send_header("Heartwood-Texts", LONGEST)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def upstream() -> Iterator[int]:
    """A server's port."""
    with ThreadingHTTPServer((HOST, 0), Upstream) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


def program(name: str) -> str:
    """A proxy's program; without it its half is skipped, by name."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is missing: its sample is not run")
    return found


@contextmanager
def running(command: list[str], port: int, env: dict[str, str]) -> Iterator[str]:
    """A proxy, once it listens; gives its URL."""
    with subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:

        def listens() -> bool:
            assert process.poll() is None, process.stderr and process.stderr.read()
            with suppress(httpx2.HTTPError):
                httpx2.get(f"http://{HOST}:{port}/", timeout=1)
                return True
            return False

        try:
            until(listens, "the proxy doesn't listen")
            yield f"http://{HOST}:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


@contextmanager
def caddy(folder: Path, upstream: int) -> Iterator[str]:
    """Caddy with the sample, on plain HTTP."""
    port = free_port()
    env = {
        "PUBLIC_NAME": f"http://{HOST}:{port}", "UPSTREAM": f"{HOST}:{upstream}", "HOME": str(folder),
        "CADDY_ADMIN": f"{HOST}:{free_port()}",
    }  # fmt: skip
    command = [
        program("caddy"),
        "run",
        "--adapter",
        "caddyfile",
        "--config",
        str(TLS / "Caddyfile"),
    ]
    with running(command, port, env) as url:
        yield url


@contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[str]:
    """nginx with the sample, on plain HTTP and on this port alone."""
    port, sample = free_port(), (TLS / "nginx.conf").read_text()
    sample = re.sub(r"server \{\s*listen 80;.*?\n\}\n", "", sample, flags=re.DOTALL)
    sample = re.sub(r"^ *(ssl_.*|listen \[::\].*)\n", "", sample, flags=re.MULTILINE)
    sample = sample.replace("listen 443 ssl http2;", f"listen {HOST}:{port};")
    sample = sample.replace("server 127.0.0.1:8420;", f"server {HOST}:{upstream};")
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{paths}{sample}}}\n"
    )
    command = [program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]  # fmt: skip
    with running(command, port, {}) as url:
        yield url


@pytest.mark.parametrize("proxy", [caddy, nginx], ids=["caddy", "nginx"])
def test_what_a_proxy_forwards(proxy: object, tmp_path: Path, upstream: int) -> None:
    """Not the metrics, however they are written; all else, with the client's address in place of what the client says."""
    assert callable(proxy)
    folder = tmp_path / "proxy"
    folder.mkdir()
    with proxy(folder, upstream) as url:
        for path in (
            "/metrics",
            "/metrics?x=1",
            "/%6Detrics",
            "/metrics/",
            "//metrics",
            "/x/../metrics",
        ):
            # As it is written: a client that tidies paths would hide what is tried.
            request = httpx2.Request("GET", url, extensions={"target": path.encode()})
            with httpx2.Client() as client:
                assert client.send(request).status_code == 404, path
        for path in ("/v1/log/checkpoint", "/readyz", "/metricsome"):
            answer = httpx2.get(f"{url}{path}", headers={"X-Forwarded-For": "203.0.113.9"})
            assert (answer.status_code, answer.text) == (200, HOST), path
        # A proxy whose buffer is too small for an answer's headers makes a 502 of it: the reading is used up.
        answer = httpx2.get(f"{url}{LONG}")
        assert (answer.status_code, answer.headers.get("Heartwood-Texts")) == (200, LONGEST)
