"""Proofs: what is worked on beside everything else, a few at a time, so that sign-ins keep nobody else waiting."""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Request

from api.http.problems import Problem

PROOFS = 4
"""Proofs in work at a time in one process; of these, two hash a password (`identity.passwords.HASHES`)."""
PROOFS_WAITING = 64
"""Proofs that wait for their turn; more are answered `full`."""
R = TypeVar("R")


class Proofs:
    """Whose turn it is to prove something; for one event loop."""

    def __init__(self) -> None:
        """Nobody's."""
        self._limiter = CapacityLimiter(PROOFS)

    async def beside(self, act: Callable[..., R], *arguments: object) -> R:
        """What `act` gives, in a thread of its own; raises Problem where too many wait."""
        if self._limiter.statistics().tasks_waiting >= PROOFS_WAITING:
            raise Problem("full", "too many are signing in; try again in a second")
        return await to_thread.run_sync(act, *arguments, limiter=self._limiter)


def proofs_of(request: Request) -> Proofs:
    """The proofs of this process."""
    found: Proofs = request.app.state.proofs
    return found


def address_of(request: Request) -> str:
    """Whence a request comes, as throttles count it: an address, or the /64 of an IPv6 one; empty if it isn't known."""
    return str(request.scope["heartwood.client"])
