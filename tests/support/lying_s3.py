"""A small S3 server that lies, breaks off and stalls as it is told; nothing is signed or kept.

    with LyingS3() as server:
        server.lies = {"overwrites"}
        server.answers.append(status(503, "SlowDown"))

It does what boto3 asks for blobs, and no more. ETags are never MD5 sums.
"""

import hashlib
import json
import socket
import struct
import threading
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import uuid4
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from storage.blobs.place import S3Place

BUCKET = "wards"
REGION = "us-east-1"


@dataclass
class Stored:
    """An object."""

    body: bytes
    headers: dict[str, str]
    etag: str
    time: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))


@dataclass(frozen=True)
class Reply:
    """What goes back. `cut`: only so many bytes of the body, then the connection is reset."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


@dataclass(frozen=True)
class Request:
    """What came."""

    method: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def operation(self) -> str:
        """The method with the word of the query that tells what is meant, as `POST uploads`."""
        words = {"uploads", "uploadId", "versioning", "list-type", "partNumber", "versions"}
        return " ".join([self.method, *sorted(words & self.query.keys())])


class Reset(Exception):
    """The connection is reset without an answer."""


Answer = Callable[["LyingS3", Request], Reply | None]
"""What comes in place of the right answer; None lets the right one come."""


def status(number: int, code: str) -> Answer:
    """An error of S3's form."""
    return lambda server, request: error(number, code)


def reset(server: "LyingS3", request: Request) -> Reply | None:
    """The connection is reset, and nothing was done."""
    raise Reset


def lost(server: "LyingS3", request: Request) -> Reply | None:
    """It is done, and the answer gets lost."""
    server.right(request)
    raise Reset


def error(number: int, code: str) -> Reply:
    """An error document; to HEAD it comes without its body."""
    return Reply(number, f"<Error><Code>{code}</Code><Message>so it is</Message></Error>".encode())


class LyingS3:
    """The server. `lies`: overwrites, completes over, sums, alters, ignores ranges."""

    def __init__(self) -> None:
        """It listens once it is entered."""
        self.objects: dict[str, Stored] = {}
        self.uploads: dict[str, tuple[str, dict[str, str], dict[int, bytes]]] = {}
        self.lies: set[str] = set()
        self.answers: list[tuple[str, Answer]] = []
        """What to answer once to the next request of an operation, in order; "" is any; `half of PUT`: amid a body."""
        self.always: dict[str, Answer] = {}
        """What to answer whenever an operation comes; "" is any."""
        self.asked: list[str] = []
        """The operations so far."""
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def place(self) -> S3Place:
        """A prefix of its only bucket."""
        return S3Place(BUCKET, "w/", f"http://127.0.0.1:{self._server.server_port}", REGION)

    def __enter__(self) -> Self:
        """Listen."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: Request) -> Reply:
        """What comes for a request: what was told, or the right answer."""
        with self.lock:
            self.asked.append(request.operation)
            told = self.always.get(request.operation) or self.always.get("")
            for number, (operation, planned) in enumerate(self.answers):
                if operation in ("", request.operation):
                    told = planned
                    del self.answers[number]
                    break
        got = told(self, request) if told else None
        return self.right(request) if got is None else got

    def right(self, request: Request) -> Reply:
        """The right answer, but for the lies."""
        with self.lock:
            act = _OPERATIONS.get(request.operation, _unknown)
            return act(self, request)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                url = urlsplit(self.path)
                _, _, key = url.path.lstrip("/").partition("/")
                length = int(self.headers.get("Content-Length") or 0)
                if self.headers.get("Expect") == "100-continue":
                    self.send_response_only(100)
                    self.end_headers()
                headers = {name.lower(): value for name, value in self.headers.items()}
                query = dict(parse_qsl(url.query, keep_blank_values=True))
                try:
                    half = f"half of {self.command}"
                    if planned := key and next((a for o, a in outer.answers if o == half), None):
                        outer.answers.remove((half, planned))
                        self.rfile.read(length // 2)
                        planned(outer, Request(self.command, key, query, headers, b""))
                    body = self.rfile.read(length)
                    request = Request(self.command, unquote(key), query, headers, body)
                    self._send(outer.answer(request))
                except (Reset, ConnectionError):
                    self._reset()

            def _send(self, reply: Reply) -> None:
                self.send_response_only(reply.status)
                given = {"Content-Length": str(len(reply.body))} | reply.headers
                for name, value in given.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(reply.body[: reply.cut])
                if reply.cut is not None:
                    raise Reset

            def _reset(self) -> None:
                self.close_connection = True
                with suppress(OSError):
                    linger = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.connection.close()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _any

        return Handler


def _put(server: LyingS3, request: Request) -> Reply:
    if _taken(server, request, request.key, "overwrites"):
        return error(412, "PreconditionFailed")
    if wrong := _wrong_sum(server, request):
        return wrong
    return _store(server, request.key, request.body, request.headers)


def _taken(server: LyingS3, request: Request, key: str, lie: str) -> bool:
    only_new = "if-none-match" in request.headers and lie not in server.lies
    return only_new and key in server.objects


def _store(server: LyingS3, key: str, body: bytes, headers: dict[str, str]) -> Reply:
    kept = {name: value for name, value in headers.items() if name.startswith("x-amz-meta-")}
    if "alters" in server.lies and body:
        body = bytes([body[0] ^ 1]) + body[1:]
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}-{len(server.asked)}"'
    server.objects[key] = Stored(body, kept, etag)
    return Reply(200, headers={"ETag": etag})


def _wrong_sum(server: LyingS3, request: Request) -> Reply | None:
    told = request.headers.get("x-amz-checksum-sha256")
    right = b64encode(hashlib.sha256(request.body).digest()).decode()
    if told is None or told == right or "sums" in server.lies:
        return None
    return error(400, "BadDigest")


def _get(server: LyingS3, request: Request) -> Reply:
    found = server.objects.get(request.key)
    if found is None:
        return error(404, "NoSuchKey")
    if request.headers.get("if-match") not in (None, found.etag):
        return error(412, "PreconditionFailed")
    told = {
        "ETag": found.etag,
        "Last-Modified": found.time.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        **found.headers,
    }
    wanted = request.headers.get("range")
    if wanted is None or "ignores ranges" in server.lies:
        return Reply(200, found.body, told)
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    start, end = int(first), min(int(last or len(found.body)), len(found.body) - 1)
    if start >= len(found.body):
        return error(416, "InvalidRange")
    told["Content-Range"] = f"bytes {start}-{end}/{len(found.body)}"
    return Reply(206, found.body[start : end + 1], told)


def _head(server: LyingS3, request: Request) -> Reply:
    if not request.key:
        return Reply(200)
    got = _get(server, request)
    if got.status != 200:
        return Reply(got.status)
    return Reply(200, headers=got.headers | {"Content-Length": str(len(got.body))})


def _delete(server: LyingS3, request: Request) -> Reply:
    server.objects.pop(request.key, None)
    return Reply(204)


def _list(server: LyingS3, request: Request) -> Reply:
    prefix = request.query.get("prefix", "")
    found = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>{one.time:%Y-%m-%dT%H:%M:%S}.000Z</LastModified></Contents>"
        for key, one in sorted(server.objects.items())
        if key.startswith(prefix)
    )
    return _xml("ListBucketResult", f"<IsTruncated>false</IsTruncated>{found}")


def _begin(server: LyingS3, request: Request) -> Reply:
    name = f"upload-{uuid4()}"
    server.uploads[name] = (request.key, request.headers, {})
    return _xml("InitiateMultipartUploadResult", f"<UploadId>{name}</UploadId>")


def _part(server: LyingS3, request: Request) -> Reply:
    if wrong := _wrong_sum(server, request):
        return wrong
    number, found = int(request.query["partNumber"]), server.uploads.get(request.query["uploadId"])
    if found is None:
        return error(404, "NoSuchUpload")
    found[2][number] = request.body
    return Reply(200, headers={"ETag": f'"part-{number}"'})


def _complete(server: LyingS3, request: Request) -> Reply:
    found = server.uploads.get(request.query["uploadId"])
    if found is None:
        return error(404, "NoSuchUpload")
    key, headers, parts = found
    if _taken(server, request, key, "completes over"):
        return error(412, "PreconditionFailed")
    named = ElementTree.fromstring(request.body).iter(
        "{http://s3.amazonaws.com/doc/2006-03-01/}PartNumber"
    )
    body = b"".join(parts[int(number.text or 0)] for number in named)
    del server.uploads[request.query["uploadId"]]
    stored = _store(server, key, body, headers)
    return _xml("CompleteMultipartUploadResult", f"<ETag>{escape(stored.headers['ETag'])}</ETag>")


def _abort(server: LyingS3, request: Request) -> Reply:
    gone = server.uploads.pop(request.query["uploadId"], None)
    return Reply(204) if gone else error(404, "NoSuchUpload")


def _uploads(server: LyingS3, request: Request) -> Reply:
    found = "".join(
        f"<Upload><Key>{escape(key)}</Key><UploadId>{name}</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>"
        for name, (key, _, _) in server.uploads.items()
    )
    return _xml("ListMultipartUploadsResult", f"<IsTruncated>false</IsTruncated>{found}")


def _parts(server: LyingS3, request: Request) -> Reply:
    return _xml("ListPartsResult", "<IsTruncated>false</IsTruncated>")


def _versioning(server: LyingS3, request: Request) -> Reply:
    return _xml("VersioningConfiguration", "")


def _unknown(server: LyingS3, request: Request) -> Reply:
    return error(501, json.dumps(request.operation))


def _xml(name: str, inner: str) -> Reply:
    space = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    return Reply(200, f"<{name} {space}>{inner}</{name}>".encode())


_OPERATIONS: dict[str, Callable[[LyingS3, Request], Reply]] = {
    "PUT": _put,
    "GET": _get,
    "HEAD": _head,
    "DELETE": _delete,
    "GET list-type": _list,
    "POST uploads": _begin,
    "PUT partNumber uploadId": _part,
    "POST uploadId": _complete,
    "DELETE uploadId": _abort,
    "GET uploads": _uploads,
    "GET uploadId": _parts,
    "GET versioning": _versioning,
}
