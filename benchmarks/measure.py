"""One measured figure beside the limit of the same run, its floor and its aim."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from crypto.signing import SigningKey, verify

LIMIT_VERIFICATIONS = 20_000


@dataclass(frozen=True)
class Figure:
    """One row of the table. `ratio` is value to limit (or limit to value, for times)."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    ratio: float | None = None
    floor: str = ""
    aim: str = ""
    met: bool | None = None
    """Whether the floor is met; None where none is owed."""

    def json(self) -> dict[str, Any]:
        """As `latest.json` holds it."""
        return asdict(self)


@cache
def one_thread_limit() -> float:
    """PyNaCl verifying a 700-byte event on one thread, verifications a second: the best of five."""
    key = SigningKey(bytes(32))
    message = bytes(700)
    signature = key.sign(message)
    best = 0.0
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(LIMIT_VERIFICATIONS // 5):
            verify(key.public, signature, message)
        best = max(best, LIMIT_VERIFICATIONS / 5 / (time.perf_counter() - began))
    return best


def two_thread_limit(seconds: float = 1.5) -> float:
    """PyNaCl verifying on both threads at once (two processes), verifications a second together."""
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(os.cpu_count() or 1) as pool:
        return sum(pool.map(_verify_for, [seconds] * (os.cpu_count() or 1)))


def _verify_for(seconds: float) -> float:
    key = SigningKey(bytes(32))
    message = bytes(700)
    signature = key.sign(message)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for _ in range(100):
            verify(key.public, signature, message)
        count += 100
    return count / (time.perf_counter() - began)


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary folder on the disk that holds the project's results, removed at the end."""
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="run-", dir=results))
    try:
        yield place
    finally:
        shutil.rmtree(place)
