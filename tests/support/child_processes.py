"""Child processes of the tests, forked from a server that has everything imported: there in milliseconds."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["tests.support.workers", "tests.deep.journey", "tests.deep.scarce", "tests.deep.warm"]
)


def start(target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """Start a child; it ends with this process."""
    child = CONTEXT.Process(target=target, args=arguments, daemon=True)
    child.start()
    return child
