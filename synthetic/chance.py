"""Draws that give the same on every machine: uniform numbers, and + - * / and square roots of them.

IEEE 754 rounds these alike everywhere; logarithms, powers and sines differ from one C library to the
next, so nothing here uses them, nor the methods of `random` that Python's releases have changed.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")

NORMAL_UNIFORMS = 4
_NORMAL_SCALE = 1.7320508075688772  # the square root of 12 / NORMAL_UNIFORMS


class Chance:
    """A stream of draws that depends on its name alone."""

    __slots__ = ("_bits", "unit")

    def __init__(self, *name: object) -> None:
        """The stream of this name, which begins with the seed of the run."""
        source = random.Random("heartwood/" + "/".join(map(str, name)))
        self.unit, self._bits = source.random, source.getrandbits

    def below(self, size: int) -> int:
        """A whole number from 0 to `size` - 1."""
        return int(self.unit() * size)

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.unit() * (high - low + 1))

    def real(self, low: float, high: float) -> float:
        """A number from `low` up to `high`."""
        return low + self.unit() * (high - low)

    def happens(self, probability: float) -> bool:
        """Whether something of this probability happens."""
        return self.unit() < probability

    def normal(self) -> float:
        """Nearly a standard normal number, never beyond 3.5: the sum of four uniform ones."""
        unit = self.unit
        return (unit() + unit() + unit() + unit() - NORMAL_UNIFORMS / 2) * _NORMAL_SCALE

    def count(self, mean: float) -> int:
        """How often something happens that happens `mean` times on average; binomial."""
        trials = int(2 * mean) + 4
        chance, unit = mean / trials, self.unit
        return sum(unit() < chance for _ in range(trials))

    def pick(self, among: Sequence[T]) -> T:
        """One of several, each as likely."""
        return among[int(self.unit() * len(among))]

    def weighted(self, among: Sequence[T], weights: Sequence[float]) -> T:
        """One of several by their weights, of which one must be above 0."""
        sums = list(accumulate(weights))
        return among[bisect(sums, self.unit() * sums[-1])]

    def uuid(self) -> str:
        """A random UUID (RFC 9562, version 4)."""
        digits = f"{self._bits(128):032x}"
        variant = "89ab"[int(digits[16], 16) & 3]
        return (
            f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
        )

    def number(self, bits: int) -> int:
        """A whole number of this many bits."""
        return self._bits(bits)
