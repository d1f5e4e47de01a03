"""How far a long command is: on a terminal's standard error, and nowhere else."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress

from api.cli.app import progress_console


@contextmanager
def bar(words: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal's standard error; call it with what is done, and of how much."""
    shown = Progress(console=progress_console(), transient=True, disable=not sys.stderr.isatty())
    with shown:
        task = shown.add_task(words, total=None)
        yield lambda done, size: shown.update(task, completed=done, total=size)
