"""A little witness and a little log's client, from the C2SP page tlog-witness alone: for the conversation with others.

The witness signs with Ed25519 (tlog-cosignature, type 0x04). Sizes are integers, roots 32 bytes.
"""

import base64
import hashlib
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .checkpoint import open_checkpoint
from .strict import LogRefused
from .tree import EMPTY_ROOT, check_consistency

COSIGNATURE = b"\x04"


@dataclass
class Answer:
    """An answer over HTTP."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


@dataclass
class LittleWitness:
    """Cosigns one log's checkpoints as the page says; `bend` may replace an answer, for witnesses that go wrong."""

    name: str
    vkeys: Sequence[str]
    """Of the log."""
    seed: bytes = bytes(32)
    bend: Callable[[bytes, Answer], Answer] = lambda body, answer: answer
    size: int = 0
    root: bytes = EMPTY_ROOT
    asked: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def vkey(self) -> str:
        """`<name>+<key id>+<base64>`, type 0x04."""
        return f"{self.name}+{self._key_id.hex()}+{base64.b64encode(COSIGNATURE + self._public).decode()}"

    def add_checkpoint(self, body: bytes) -> Answer:
        """Check, keep, cosign, in this order."""
        with self._lock:
            self.asked += 1
            return self.bend(body, self._judge(body))

    def _judge(self, body: bytes) -> Answer:
        head, gap, note = body.partition(b"\n\n")
        first, *proof = head.decode().split("\n")
        if not gap or not first.startswith("old ") or len(proof) > 63:
            return Answer(400, b"malformed\n")
        old, hashes = int(first[4:]), [base64.b64decode(line, validate=True) for line in proof]
        if note.split(b"\n")[0].decode() != self.vkeys[0].split("+")[0]:
            return Answer(404, b"unknown origin\n")
        try:
            found = open_checkpoint(note, self.vkeys)
        except LogRefused as error:
            return Answer(403, f"{error}\n".encode())
        if old > found.size:
            return Answer(400, b"old size above the checkpoint's\n")
        if old != self.size:
            return Answer(409, f"{self.size}\n".encode(), "text/x.tlog.size")
        try:
            if old or hashes:
                check_consistency(old, self.root, found.size, found.root, hashes)
        except LogRefused as error:
            return Answer(422, f"{error}\n".encode())
        self.size, self.root = found.size, found.root
        return Answer(200, self.cosign(note[: note.rindex(b"\n\n") + 1]))

    def cosign(self, text: bytes) -> bytes:
        """The signature line of type 0x04 for a checkpoint's text, now."""
        now = int(time.time())
        value = self._private.sign(b"cosignature/v1\ntime %d\n" % now + text)
        blob = base64.b64encode(self._key_id + struct.pack(">Q", now) + value)
        return "\N{EM DASH} ".encode() + self.name.encode() + b" " + blob + b"\n"

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Over HTTP, in threads of this process; gives the prefix."""
        witness = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                answer = witness.add_checkpoint(self.rfile.read(length))
                with suppress(ConnectionError):  # whoever asked may be gone
                    self.send_response(answer.status)
                    self.send_header("Content-Type", answer.content_type)
                    self.send_header("Content-Length", str(len(answer.body)))
                    self.end_headers()
                    self.wfile.write(answer.body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_address[1]}"
            finally:
                server.shutdown()
                thread.join()

    @property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def _public(self) -> bytes:
        return self._private.public_key().public_bytes_raw()

    @property
    def _key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + COSIGNATURE + self._public).digest()[:4]


def submit(prefix: str, old: int, proof: Sequence[bytes], note: bytes) -> Answer:
    """What a log's client posts, and what comes back."""
    lines = [f"old {old}", *(base64.b64encode(node).decode() for node in proof)]
    body = ("\n".join(lines) + "\n\n").encode() + note
    request = urllib.request.Request(f"{prefix}/add-checkpoint", data=body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return Answer(answer.status, answer.read(), answer.headers["Content-Type"])
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read(), error.headers["Content-Type"])
