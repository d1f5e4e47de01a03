"""A demonstration's steps: each runs, asserts its outcome and prints one line."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from demo.report import Done, Mark
from durable.errors import StorageError
from storage.sql.entries import Head

MARKER = ".heartwood-demo"
"""Only a folder with this file in it is ever wiped."""

T = TypeVar("T")


class DemoFailed(Exception):
    """A step's outcome was not the one it must have."""


def expect(condition: bool, what: str) -> None:
    """Raises DemoFailed unless the condition holds; unlike `assert`, also under `python -O`."""
    if not condition:
        raise DemoFailed(what)


def prepare(place: Path) -> None:
    """An empty folder with the marker; raises StorageError for a folder that isn't the demo's."""
    if place.exists() and any(place.iterdir()):
        if not (place / MARKER).exists():
            raise StorageError(
                f"{place} holds files and is not a demo's folder; nothing was touched"
            )
        shutil.rmtree(place)
    place.mkdir(parents=True, exist_ok=True)
    (place / MARKER).write_text("made by `heartwood demo`, which may wipe this folder\n")


class Steps:
    """Runs steps, one line each."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """`say` prints a line."""
        self._say, self.count = say, 0
        self.head: Callable[[], Head] | None = None
        """Tells where the log ends, while there is one to be asked."""
        self.marks: list[Mark] = []
        """The log's end after each step that added to it."""
        self.done: list[Done] = []
        """What each step told."""

    def __call__(self, what: str, act: Callable[[], T], tell: Callable[[T], str]) -> T:
        """Run `act`; print what it was, what came of it and how long it took."""
        began = time.perf_counter()
        out = act()
        self.count += 1
        spent = (time.perf_counter() - began) * 1000
        told = tell(out)
        self._say(f"{self.count:>2}  {what:<38} {spent:>7.0f} ms   {told}")
        self.done.append(Done(what, told))
        if self.head is not None:
            self._mark(what, self.head())
        return out

    def _mark(self, what: str, head: Head) -> None:
        if not self.marks or head.size > self.marks[-1].size:
            self.marks.append(Mark(what, head.size, head.root))
