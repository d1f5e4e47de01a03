"""Times named functions of the running program from outside: each its own time, without that of those inside it."""

import functools
import importlib
import inspect
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NamedTuple

CALIBRATION_CALLS = 20_000


class Place(NamedTuple):
    """A function, `module:name` or `module:Class.name`, and the row its time is added to."""

    row: str
    where: str


class Stopwatch:
    """Own time (ns) and calls by row. What timing itself takes is measured first, and taken off.

    Threads may hand over to each other, but must not run a row's functions side by side.
    """

    def __init__(self, cost: float = 0.0) -> None:
        """`cost`: ns that timing a call adds to the function around it; see `cost`."""
        self.rows: dict[str, list[int]] = {}
        """(own ns, calls) by row."""
        self._cost = round(cost)
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
        record, clock, cost = self._row(row), time.perf_counter_ns, self._cost

        @functools.wraps(function)
        def watched(*arguments: Any, **named: Any) -> Any:
            inside = self._children()
            before, inside[0] = inside[0], 0
            began = clock()
            try:
                return function(*arguments, **named)
            finally:
                whole = clock() - began
                record[0] += whole - inside[0]
                record[1] += 1
                inside[0] = before + whole + cost

        return watched

    def _row(self, row: str) -> list[int]:
        return self.rows.setdefault(row, [0, 0])

    def _children(self) -> list[int]:
        """What the timed functions inside the one that runs took, in this thread."""
        found: list[int] | None = getattr(self._inside, "ns", None)
        if found is None:
            found = self._inside.ns = [0]
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


def cost() -> float:
    """What timing one call adds to the function around it, in ns, outside of what it counts."""
    watch = Stopwatch()
    timed = watch.timed(lambda: None, "nothing")
    began = time.perf_counter_ns()
    for _ in range(CALIBRATION_CALLS):
        timed()
    spent = time.perf_counter_ns() - began
    return (spent - watch.rows["nothing"][0]) / CALIBRATION_CALLS
