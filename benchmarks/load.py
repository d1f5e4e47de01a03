"""A load generator of its own process: requests made beforehand, so that little is done between two of them.

`python -m benchmarks.load PORT CLIENTS FILE` sends the requests of FILE (each u32 length ‖ bytes) over
CLIENTS connections and prints one JSON object.
"""

import asyncio
import json
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvloop


def write_requests(path: Path, requests: Sequence[bytes]) -> None:
    """Keep requests for `python -m benchmarks.load`."""
    path.write_bytes(b"".join(struct.pack(">I", len(r)) + r for r in requests))


def read_requests(path: Path) -> list[bytes]:
    """What `write_requests` kept."""
    data, requests, at = path.read_bytes(), list[bytes](), 0
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        requests.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return requests


def request(method: str, path: str, body: bytes, headers: str = "") -> bytes:
    """The bytes of one HTTP/1.1 request with a JSON body."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{headers}\r\n"
    )
    return head.encode() + body


class Client(asyncio.Protocol):
    """One connection: sends the next request when the answer to the last one is whole."""

    def __init__(self, todo: Iterator[bytes], took: list[float], statuses: Counter[int]) -> None:
        """What is left to send, shared by all; where times and statuses go."""
        self._todo, self._took, self._statuses = todo, took, statuses
        self._buffer, self._began = bytearray(), 0.0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport
        self._next()

    def _next(self) -> None:
        following = next(self._todo, None)
        if following is None:
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self._began = time.perf_counter()
        self._transport.write(following)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Look whether the answer is whole."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + 4 + length:
            return
        self._took.append(time.perf_counter() - self._began)
        self._statuses[int(head[9:12])] += 1
        self._buffer.clear()
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server closed it: count that, and stop."""
        if not self.done.done():
            self._statuses[0] += 1
            self.done.set_result(None)


async def run(port: int, clients: int, requests: Sequence[bytes]) -> dict[str, object]:
    """Send all requests; what came of it."""
    loop, took, statuses = asyncio.get_running_loop(), list[float](), Counter[int]()
    todo = iter(requests)
    began = time.perf_counter()
    made = [
        await loop.create_connection(lambda: Client(todo, took, statuses), "127.0.0.1", port)
        for _ in range(clients)
    ]
    await asyncio.gather(*(client.done for _, client in made))
    seconds = time.perf_counter() - began
    took.sort()
    return {
        "count": len(took),
        "seconds": seconds,
        "p50": took[len(took) // 2] * 1000,
        "p99": took[int(len(took) * 0.99)] * 1000,
        "statuses": dict(statuses),
    }


def main() -> None:
    """Run as a process of its own."""
    port, clients, path = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    print(json.dumps(uvloop.run(run(port, clients, read_requests(path)))))


if __name__ == "__main__":
    main()
