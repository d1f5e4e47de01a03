"""One measured figure beside the limit of the same run, its target and its aim."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.targets import TARGETS, Target
from crypto.signing import SigningKey, verify

MESSAGES = 512
"""Distinct messages that a limit verifies round and round, as a log's events are distinct."""
MESSAGE_BYTES = 775
"""What is signed for an upload: event, origin and label."""
LIMIT_ROUNDS = 8


@dataclass(frozen=True)
class Figure:
    """One row of the table. `ratio` is value to limit."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    ratio: float | None = None
    target: Target | None = None

    @classmethod
    def of(cls, name: str, value: float, limit: float | None = None, note: str = "") -> "Figure":
        """The figure of one of the `TARGETS`; `note` is added to its name."""
        target = TARGETS[name]
        ratio = value / limit if limit else None
        return cls(f"{target.what}{note}", value, target.unit, limit, ratio, target)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        return None if self.target is None else self.target.met(self.value, self.ratio)

    def json(self) -> dict[str, Any]:
        """As `latest.json` holds it."""
        due = {"target": self.target.text, "aim": self.target.aim} if self.target else {}
        members = {
            name: getattr(self, name) for name in ("name", "value", "unit", "limit", "ratio")
        }
        return {**members, **due, "met": self.met}


@cache
def _signed() -> list[tuple[bytes, bytes, bytes]]:
    """(public key, signature, message) of distinct messages of an upload's size."""
    key = SigningKey(bytes(32))
    messages = [number.to_bytes(8, "big") + bytes(MESSAGE_BYTES - 8) for number in range(MESSAGES)]
    return [(key.public, key.sign(message), message) for message in messages]


def one_thread_limit() -> float:
    """PyNaCl verifying distinct events on one thread, verifications a second: the best of eight.

    Measured anew at each call, as the machine's speed drifts: call it beside what it is a limit of.
    """
    signed, best = _signed(), 0.0
    for _ in range(LIMIT_ROUNDS):
        began = time.perf_counter()
        for one in signed:
            verify(*one)
        best = max(best, MESSAGES / (time.perf_counter() - began))
    return best


def two_thread_limit(seconds: float = 1.5) -> float:
    """PyNaCl verifying on both threads at once (two processes), verifications a second together."""
    with ProcessPoolExecutor(os.cpu_count() or 1) as pool:
        return sum(pool.map(_verify_for, [seconds] * (os.cpu_count() or 1)))


def _verify_for(seconds: float) -> float:
    signed, count, began = _signed(), 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for one in signed:
            verify(*one)
        count += MESSAGES
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
