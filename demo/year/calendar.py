"""The clock of a generated year, and what happens when in it."""

import heapq
from collections.abc import Callable
from itertools import count

from ledger.times import DAY_MS
from storage.clock import Boot


class YearClock:
    """A clock that stands wherever it is set, and a machine that has been up as long as it says."""

    def __init__(self, now: int) -> None:
        """`now` in Unix ms; whoever has it sets it on."""
        self.now = now

    def __call__(self) -> int:
        """Unix ms."""
        return self.now

    def boot(self) -> Boot:
        """For the watch over the clock: no jump of this one is an accident."""
        return Boot("", self.now)


class Calendar:
    """Acts and their instants, done in the order of those."""

    def __init__(self, clock: YearClock, end: int) -> None:
        """From where the clock stands to `end`, Unix ms."""
        self.clock, self.start, self.end = clock, clock.now, end
        self.midnight = clock.now // DAY_MS * DAY_MS
        """Of the first day, UTC."""
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    @property
    def days(self) -> int:
        """Whole days from the start to the end."""
        return (self.end - self.start) // DAY_MS

    def at(self, instant: int, act: Callable[[], None]) -> None:
        """Do something at an instant, if it lies before the end."""
        if instant < self.end:
            heapq.heappush(self._due, (instant, next(self._order), act))

    def run(self) -> None:
        """Do everything, and what is put in meanwhile."""
        while self._due:
            instant, _, act = heapq.heappop(self._due)
            self.clock.now = max(self.clock.now, instant)
            act()
