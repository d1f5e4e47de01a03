"""A server between a client and the real one, that answers what a test makes of the real answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2

Lie = Callable[[str, bytes], bytes]
"""Path and body of a good answer → the body that is given instead."""


@contextmanager
def lying(url: str, lie: Lie, told: Mapping[str, str] | None = None) -> Iterator[str]:
    """A server at the URL given, which asks the one at `url` and lies about its good answers.

    `told`: headers, in small letters, that it puts in the place of those of such answers.
    """

    class Answers(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

        def do_GET(self) -> None:
            self._pass(b"")

        def do_POST(self) -> None:
            self._pass(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _pass(self, body: bytes) -> None:
            kept = ("Authorization", "Content-Type")
            headers = {name: self.headers[name] for name in kept if name in self.headers}
            real = httpx2.request(self.command, url + self.path, content=body, headers=headers)
            body = lie(self.path, real.content) if real.is_success else real.content
            self.send_response(real.status_code)
            for name, value in real.headers.items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                    self.send_header(name, (told or {}).get(name.lower(), value))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
