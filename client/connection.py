"""The connection to a server, which need not be honest: every answer is bounded in bytes and in time."""

import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import httpcore2
import httpx2
import orjson

from client.operations import ANSWER_BYTES
from identity.errors import NotSignedIn
from journeys.errors import (
    AccessDenied,
    AlreadyUsed,
    NotClaimed,
    NotThere,
    RecordsError,
    TooManyTries,
)
from keeper.errors import KeeperUnavailable
from ledger.errors import ProofError, Refused, Tampered
from storage.errors import BlobsUnavailable, OutcomeUnknown, Unavailable

WAIT_SECONDS = 60
"""How long a server may take to send anything at all."""
ANSWER_SECONDS = 120
"""How long a whole answer may take, beyond what its bytes take at ANSWER_RATE."""
ANSWER_RATE = 64 * 1024
"""Bytes a second at which an answer must come at least, after ANSWER_SECONDS."""
ANSWER_VALUE_BYTES = 26
"""An answer may hold a value for so many bytes of its limit: parsed, a value takes up to 200 bytes."""
PIECE_BYTES = 256 * 1024
"""Most bytes that are decompressed at a time."""
_UNAVAILABLE = frozenset({"clock", "database", "full", "stopped"})
_NOT_THERE = frozenset({"not_found", "method"})
_CLAIMS: Mapping[str, type[RecordsError]] = {"claim": NotClaimed, "too_many_claims": TooManyTries}


class Connection:
    """Requests to one server. Good answers come back; problem documents are raised as the errors they stand for."""

    def __init__(self, url: str) -> None:
        """`url`: http or https; nothing is sent yet. Raises RecordsError for other texts."""
        if not url.startswith(("http://", "https://")):
            raise RecordsError(
                f"{url!r} is not the URL of a server: expected http://… or https://…"
            )
        self.url = url.rstrip("/")
        self._client = httpx2.Client(
            base_url=self.url, timeout=WAIT_SECONDS, headers={"Accept-Encoding": "identity"}
        )
        pace(self._client, ANSWER_SECONDS)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def json(
        self, method: str, path: str, content: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None, params: Mapping[str, str] | None = None,
        limit: int = ANSWER_BYTES,
    ) -> Any:  # fmt: skip
        """The JSON of a good answer of at most `limit` bytes; raises Tampered for more, or for too many values."""
        with self.sent(method, path, content, headers, params) as response:
            data = b"".join(pieces(response, limit, path))
        if data.count(b",") + data.count(b"[") + data.count(b"{") > limit // ANSWER_VALUE_BYTES:
            raise Tampered(f"{path}: has more than {limit // ANSWER_VALUE_BYTES} values")
        with understood(path):
            return orjson.loads(data)

    @contextmanager
    def sent(
        self, method: str, path: str, content: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None, params: Mapping[str, str] | None = None,
    ) -> Iterator[httpx2.Response]:  # fmt: skip
        """A good answer, whose body is still to be read; closed at the end."""
        with closing(self.open(method, path, content, headers, params)) as response:
            yield response

    def open(
        self, method: str, path: str, content: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None, params: Mapping[str, str] | None = None,
    ) -> httpx2.Response:  # fmt: skip
        """A good answer, whose body the caller reads and closes; raises what the problem document says."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        try:
            request = self._client.build_request(
                method, path, content=content, params=params, headers=sent
            )
            response = self._client.send(request, stream=True)
        except httpx2.TransportError as error:
            raise Unavailable("unreachable", f"{self.url} does not answer: {error}") from error
        if response.is_success:
            return response
        with closing(response):
            data = b"".join(pieces(response, ANSWER_BYTES, path))
        try:
            problem = error_of(orjson.loads(data))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise Unavailable(
                "unreachable", f"got {response.status_code} from {path}, and no problem document"
            ) from error
        raise problem


def pace(client: httpx2.Client, seconds: float) -> None:
    """Let no answer to `client` take longer than `seconds` in the whole, beyond its bytes at ANSWER_RATE."""
    for transport in (client._transport, *client._mounts.values()):
        if isinstance(transport, httpx2.HTTPTransport):
            pool = transport._pool
            pool._network_backend = _Paced(pool._network_backend, seconds)


def peer_of(response: httpx2.Response) -> str:
    """The address that an open answer comes from, "" where it isn't known; of a proxy its own."""
    stream = response.extensions.get("network_stream")
    found = stream.get_extra_info("server_addr") if stream is not None else None
    return str(found[0]).partition("%")[0] if isinstance(found, tuple) else ""


@contextmanager
def understood(path: str) -> Iterator[None]:
    """Reading an answer; raises Unavailable where it isn't of the form that docs/http.md gives."""
    try:
        yield
    except (ProofError, Tampered):
        raise
    except (
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        ValueError,
        RecursionError,
        zipfile.BadZipFile,
    ) as error:
        raise Unavailable(
            "unreachable",
            f"the server's answer to {path} does not have the expected form: {error!r}",
        ) from error


def bounded(data: bytes, limit: int, what: str) -> bytes:
    """What was read, if that is at most `limit` bytes; raises Tampered."""
    if len(data) > limit:
        raise Tampered(f"{what}: has more than {limit} bytes, expected at most that")
    return data


def pieces(response: httpx2.Response, limit: int, what: str) -> Iterator[bytes]:
    """The body as it comes, decompressed; raises Tampered over `limit` bytes and Unavailable where it is cut short."""
    count = 0
    with closing(response):
        try:
            for piece in _decoded(response):
                count += len(piece)
                if count > limit:
                    raise Tampered(f"{what}: has more than {limit} bytes, expected at most that")
                yield piece
        except (httpx2.TransportError, zlib.error) as error:
            raise Unavailable("unreachable", f"the answer was cut short: {error}") from error


def _decoded(response: httpx2.Response) -> Iterator[bytes]:
    """The body's bytes, never more than PIECE_BYTES decompressed at a time: a small answer can stand for a huge one."""
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding in ("", "identity"):
        yield from response.iter_raw()
        return
    if coding != "gzip":
        raise Unavailable("unreachable", f"the answer comes as {coding[:20]!r}, expected gzip")
    unzip = zlib.decompressobj(16 + zlib.MAX_WBITS)
    for raw in response.iter_raw():
        while raw and not unzip.eof:
            yield unzip.decompress(raw, PIECE_BYTES)
            raw = unzip.unconsumed_tail


def error_of(problem: Mapping[str, Any]) -> Exception:
    """The error that a problem document stands for."""
    kind, detail = str(problem["type"]).rpartition(":")[2], str(problem["detail"])
    if kind == "denied":
        return AccessDenied({"rule": problem["rule"], "reason": problem["reason"]}, None)
    if kind == "already_used":
        return AlreadyUsed(problem["seq"])
    if kind == "not_signed_in":
        return NotSignedIn(detail)
    if kind in _CLAIMS:
        return _CLAIMS[kind](detail)
    if kind == "outcome_unknown":
        return OutcomeUnknown(detail)
    if kind == "blob_store":
        return BlobsUnavailable(detail)
    if kind == "keeper_unavailable":
        return KeeperUnavailable(detail)
    if kind in _UNAVAILABLE:
        return Unavailable(kind, detail)
    return NotThere(detail) if kind in _NOT_THERE else Refused(kind, detail)


class _Paced(httpcore2.NetworkBackend):
    """A network whose streams have a deadline for what follows a request, not only one for each read."""

    def __init__(self, backend: httpcore2.NetworkBackend, seconds: float) -> None:
        self._backend, self._seconds = backend, seconds

    def connect_tcp(self, *arguments: Any, **options: Any) -> httpcore2.NetworkStream:
        return _PacedStream(self._backend.connect_tcp(*arguments, **options), self._seconds)

    def connect_unix_socket(self, *arguments: Any, **options: Any) -> httpcore2.NetworkStream:
        return _PacedStream(self._backend.connect_unix_socket(*arguments, **options), self._seconds)

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _PacedStream(httpcore2.NetworkStream):
    """A stream whose answer has so long in the whole; what its reader takes between two reads isn't counted."""

    def __init__(self, stream: httpcore2.NetworkStream, seconds: float) -> None:
        self._stream, self._seconds, self._left = stream, seconds, seconds

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        wait = min(self._left, WAIT_SECONDS if timeout is None else timeout)
        began = time.monotonic()
        try:
            data = self._stream.read(max_bytes, wait) if wait > 0 else None
        except httpcore2.ReadTimeout:
            if wait < self._left:
                raise
            data = None
        if data is None:
            raise httpcore2.ReadTimeout(f"it takes longer than {self._seconds:g} s in total")
        self._left += len(data) / ANSWER_RATE - (time.monotonic() - began)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)
        self._left = self._seconds

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *arguments: Any, **options: Any) -> httpcore2.NetworkStream:
        return _PacedStream(self._stream.start_tls(*arguments, **options), self._seconds)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
