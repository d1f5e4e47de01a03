"""How much of the keeper's memory the calls that are being read and answered may have, and each caller of that."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from keeper.errors import KeeperUnavailable

SMALL_BYTES = 64 * 1024
"""Calls up to so long never wait for room: all connections at once have little."""
IN_FLIGHT_BYTES = 256 * 1024 * 1024
"""Most bytes of longer calls at a time; what they are decoded to is a few times as much."""
CALLER_BYTES = 128 * 1024 * 1024
"""Most of that for one caller: two of the longest calls."""
ROOM_SECONDS = 60.0
"""How long a call waits for room: whoever has it has to send its own in about so long."""


class InFlight:
    """The bytes of calls that came and aren't answered yet, by caller. Thread-safe."""

    def __init__(self, seconds: float = ROOM_SECONDS) -> None:
        """None yet; `seconds`: how long a call waits for room."""
        self._seconds = seconds
        self._room = threading.Condition()
        self._taken: Counter[str] = Counter()

    @contextmanager
    def of(self, caller: str) -> Iterator[Callable[[int], None]]:
        """One call of a caller's, until it is answered: what is given claims room for so many bytes, before they are read.

        It waits for room, and raises KeeperUnavailable where none comes.
        """
        claimed = 0

        def claim(count: int) -> None:
            nonlocal claimed
            if count > SMALL_BYTES:
                self._take(caller, count)
                claimed = count

        try:
            yield claim
        finally:
            if claimed:
                with self._room:
                    self._taken[caller] -= claimed
                    self._taken += Counter()  # forgets who has none
                    self._room.notify_all()

    def _take(self, caller: str, count: int) -> None:
        deadline = time.monotonic() + self._seconds
        with self._room:
            while not self._fits(caller, count):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise KeeperUnavailable(
                        f"a call of {count} bytes found no room beside the others in {self._seconds:g} s"
                    )
                self._room.wait(left)
            self._taken[caller] += count

    def _fits(self, caller: str, count: int) -> bool:
        all_ = sum(self._taken.values())
        return all_ + count <= IN_FLIGHT_BYTES and self._taken[caller] + count <= CALLER_BYTES
