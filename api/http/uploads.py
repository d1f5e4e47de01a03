"""Uploads: whose turn it is, and their pieces for a thread that waits for them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from api.http.problems import Problem

UPLOADS = 64
"""Uploads in work at a time; each waits for its client in a thread, and none may keep others from theirs."""
ACCOUNT_UPLOADS = 16
"""Of these of one account, whatever sessions it has."""
UPLOAD_WAITING = 64
"""Uploads of one account that wait for their turn; more are answered `full`."""
R = TypeVar("R")


class Uploads:
    """Whose turn it is to upload; for one event loop."""

    def __init__(self) -> None:
        """Nobody uploads."""
        self._all = CapacityLimiter(UPLOADS)
        self._of: dict[str, CapacityLimiter] = {}

    async def run(self, account: str, act: Callable[[], R]) -> R:
        """What `act` gives, in a thread, when it is this account's turn; raises Problem `full`."""
        own = self._of.setdefault(account, CapacityLimiter(ACCOUNT_UPLOADS))
        if own.statistics().tasks_waiting >= UPLOAD_WAITING:
            raise Problem("full", f"{UPLOAD_WAITING} uploads of yours are waiting; try again")
        try:
            async with own:
                return await to_thread.run_sync(act, limiter=self._all)
        finally:
            used = own.statistics()
            if not used.borrowed_tokens and not used.tasks_waiting:
                self._of.pop(account, None)


def waiting(source: AsyncIterator[bytes]) -> Iterator[bytes]:
    """The pieces of an asynchronous source, for a thread beside its loop."""
    loop = asyncio.get_running_loop()

    async def following() -> bytes | None:
        return await anext(source, None)

    def each() -> Iterator[bytes]:
        while (piece := asyncio.run_coroutine_threadsafe(following(), loop).result()) is not None:
            yield piece

    return each()
