"""A well-behaved client's latency while others do what a server should not feel, from other addresses.

The client appends one event after the other over one connection. Its 99th percentile under each attack is told as a
multiple of that without any, measured before and after.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from benchmarks.fixture import BenchFixture
from benchmarks.load import request
from benchmarks.measure import Figure, workplace
from benchmarks.serving import WORKERS, server, single

REQUESTS = 1_500
SECONDS = 12
"""How long an attack goes on, at least; the client begins when it has."""
CONNECTIONS = 512
ADDRESSES = 4
"""Addresses that attack, 127.0.0.2 and on."""
LARGE = b"[" + b"[]," * 2_000_000 + b"[]]"
"""A body of 6 MB, dear to parse."""

Attack = Callable[[int], Coroutine[Any, Any, None]]


def figures() -> list[Figure]:
    """The worst attack's 99th percentile as a multiple of the idle one."""
    with workplace() as place:
        fixture = BenchFixture.build(place, 500)
        with server(fixture, WORKERS) as port:
            idle = min(_client(fixture, port) for _ in range(3))
            ratios = {name: _under(fixture, port, name) / idle for name in ATTACKS}
        fixture.ledger.close()
    rows = [Figure(f"HTTP, p99 under {name}, of idle ({idle:.1f} ms)", ratio, "times") for name, ratio in ratios.items()]  # fmt: skip
    return [*rows, Figure.of("attacked", max(ratios.values()))]


def _under(fixture: BenchFixture, port: int, name: str) -> float:
    attack = subprocess.Popen([sys.executable, "-m", "benchmarks.attacked", name, str(port)])
    try:
        time.sleep(1)
        return _client(fixture, port)
    finally:
        attack.kill()
        attack.wait()


def _client(fixture: BenchFixture, port: int) -> float:
    """The 99th percentile of its requests, in ms."""
    took: list[float] = asyncio.run(ask(port, single(fixture, REQUESTS)))
    took.sort()
    return took[int(len(took) * 0.99)] * 1_000


async def ask(port: int, requests: list[bytes]) -> list[float]:
    """How long each of them takes, in s, one after the other over one connection; SystemExit unless all are good."""
    took = []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for one in requests:
        began = time.perf_counter()
        writer.write(one)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise SystemExit(f"the well-behaved client got {head[:60]!r}")
        await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]))
        took.append(time.perf_counter() - began)
    writer.close()
    return took


# What attacks, each in a process of its own


@contextlib.asynccontextmanager
async def _line(port: int, number: int) -> AsyncIterator[asyncio.StreamWriter]:
    address = f"127.0.0.{2 + number % ADDRESSES}"
    _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        yield writer
    finally:
        writer.close()


async def _silent(port: int) -> None:
    """Connections on which nothing comes."""
    async with contextlib.AsyncExitStack() as lines:
        for number in range(CONNECTIONS):
            await lines.enter_async_context(_line(port, number))
        await asyncio.sleep(SECONDS)


async def _slow(port: int) -> None:
    """Bodies of which a byte comes now and then."""
    head = request("POST", "/v1/events", b"x" * 10_000)[:-9_999]
    async with contextlib.AsyncExitStack() as lines:
        writers = [await lines.enter_async_context(_line(port, n)) for n in range(CONNECTIONS)]
        for writer in writers:
            writer.write(head)
        for _ in range(SECONDS):
            await asyncio.sleep(1)
            for writer in writers:
                writer.write(b" ")


async def _large(port: int) -> None:
    """Large JSON, again and again, from several connections; without any key."""
    await asyncio.gather(
        *(_repeated(port, n, request("POST", "/v1/events", LARGE)) for n in range(8))
    )


async def _headers(port: int) -> None:
    """Heads without an end."""
    sent = b"GET / HTTP/1.1\r\n" + b"x-filler: %b\r\n" % (b"x" * 1_000) * 200
    await asyncio.gather(*(_repeated(port, n, sent) for n in range(16)))


async def _pipelined(port: int) -> None:
    """Many requests behind each other on each connection, whose answers nobody reads."""
    sent = b"GET /v1/log HTTP/1.1\r\nHost: x\r\n\r\n" * 400
    await asyncio.gather(*(_repeated(port, n, sent) for n in range(8)))


async def _repeated(port: int, number: int, sent: bytes) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            async with _line(port, number) as writer:
                writer.write(sent)
                await asyncio.wait_for(writer.drain(), SECONDS)
                await asyncio.sleep(0.05)


ATTACKS: dict[str, Attack] = {
    "silent connections": _silent, "slow bodies": _slow, "large JSON": _large, "endless heads": _headers,
    "pipelined requests": _pipelined,
}  # fmt: skip


if __name__ == "__main__":
    asyncio.run(ATTACKS[sys.argv[1]](int(sys.argv[2])))
