"""Times named functions of the running program from outside: each its own time, without that of those inside it."""

import functools
import importlib
import inspect
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

CALIBRATION_CALLS = 20_000


class Place(NamedTuple):
    """A function, `module:name` or `module:Class.name`, and the row its time is added to."""

    row: str
    where: str


@dataclass
class Spent:
    """Own time of a row: on the clock, and of it on the processor (the rest is waiting); in ns."""

    wall: int = 0
    computing: int = 0
    calls: int = 0


class Stopwatch:
    """Own time by row. What timing itself takes is measured first (see `cost`), and taken off.

    Threads may hand over to each other, but must not run a row's functions side by side.
    """

    def __init__(self, cost: tuple[float, float] = (0.0, 0.0)) -> None:
        """`cost`: ns, on the clock and computing, that timing a call adds to the function around it."""
        self.rows: dict[str, Spent] = {}
        self._wall_cost, self._computing_cost = map(round, cost)
        self._inside = threading.local()

    @contextmanager
    def watching(self, places: Sequence[Place]) -> Iterator[None]:
        """Time these functions inside the `with`; afterwards they are as before."""
        with ExitStack() as stack:
            for place in places:
                owner, name = find(place.where)
                old = inspect.getattr_static(owner, name)
                setattr(owner, name, self._watched(old, place.row))
                stack.callback(setattr, owner, name, old)
            yield

    def _watched(self, old: Any, row: str) -> Any:
        if isinstance(old, classmethod):
            return classmethod(self.timed(old.__func__, row))
        if isinstance(old, staticmethod):
            return staticmethod(self.timed(old.__func__, row))
        return self.timed(old, row)

    def timed(self, function: Callable[..., Any], row: str) -> Callable[..., Any]:
        """`function`, timed."""
        spent = self.rows.setdefault(row, Spent())
        clock, computing = time.perf_counter_ns, time.thread_time_ns

        @functools.wraps(function)
        def watched(*arguments: Any, **named: Any) -> Any:
            children = self._children()
            before, children.wall = children.wall, 0
            before_computing, children.computing = children.computing, 0
            began, began_computing = clock(), computing()
            try:
                return function(*arguments, **named)
            finally:
                whole_computing, whole = computing() - began_computing, clock() - began
                spent.wall += whole - children.wall
                spent.computing += whole_computing - children.computing
                spent.calls += 1
                children.wall = before + whole + self._wall_cost
                children.computing = before_computing + whole_computing + self._computing_cost

        return watched

    def _children(self) -> Spent:
        """What the timed functions inside the one that runs took, in this thread."""
        found: Spent | None = getattr(self._inside, "spent", None)
        if found is None:
            found = self._inside.spent = Spent()
        return found

    @contextmanager
    def around(self, manager: AbstractContextManager[Any], enter: str, leave: str) -> Iterator[Any]:
        """A `with` whose beginning and end are timed, and not what it is around."""
        inside = self.timed(manager.__enter__, enter)()
        try:
            yield inside
        except BaseException as error:
            if not manager.__exit__(type(error), error, error.__traceback__):
                raise
        else:
            self.timed(manager.__exit__, leave)(None, None, None)


def find(where: str) -> tuple[Any, str]:
    """The module or class, and the name in it; raises AttributeError if there is no such function."""
    module, _, path = where.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for step in outer:
        owner = getattr(owner, step)
    getattr(owner, name)
    return owner, name


def cost() -> tuple[float, float]:
    """What timing one call adds to the function around it, outside of what it counts: ns, and ns computing."""
    watch = Stopwatch()
    inner = watch.timed(lambda: None, "inner")

    def around() -> None:
        for _ in range(CALIBRATION_CALLS):
            inner()

    watch.timed(around, "around")()
    spent = watch.rows["around"]
    return spent.wall / CALIBRATION_CALLS, spent.computing / CALIBRATION_CALLS
