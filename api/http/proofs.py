"""Proofs: what is worked on beside everything else, a few at a time, so that sign-ins keep nobody else waiting.

Each takes memory and a core for a while, and anybody may send one: an address has a share, so that nobody keeps others
from signing in, and whoever waits is answered in time.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from anyio import CapacityLimiter, fail_after, to_thread
from fastapi import Request

from api.http.problems import Problem

PROOFS = 4
"""Proofs in work at a time in one process; of these, two hash a password (`identity.passwords.HASHES`)."""
ADDRESS_PROOFS = 3
"""Of these of one address."""
PROOFS_WAITING = 64
"""Proofs that wait for their turn; more are answered `full`."""
ADDRESS_PROOFS_WAITING = 16
"""Of these of one address."""
PROOF_WAIT_SECONDS = 10
"""How long a proof waits for its turn before it is answered `full`; then `HASH_WAIT_SECONDS` at most for a hash."""
R = TypeVar("R")


class Proofs:
    """Whose turn it is to prove something; for one event loop."""

    def __init__(self) -> None:
        """Nobody's."""
        self._all, self._threads = CapacityLimiter(PROOFS), CapacityLimiter(PROOFS)
        self._of: dict[str, CapacityLimiter] = {}
        self._waiting = 0

    async def beside(self, address: str, act: Callable[..., R], *arguments: object) -> R:
        """What `act` gives, in a thread, when it is this address's turn; raises Problem where too many wait, or too long.

        The empty address, which isn't known, has no share of its own, only the whole.
        """
        own = self._of.setdefault(address, CapacityLimiter(ADDRESS_PROOFS)) if address else None
        try:
            async with self._turn(own):
                return await to_thread.run_sync(act, *arguments, limiter=self._threads)
        finally:
            if own and not own.borrowed_tokens and not own.statistics().tasks_waiting:
                self._of.pop(address, None)

    @asynccontextmanager
    async def _turn(self, own: CapacityLimiter | None) -> AsyncIterator[None]:
        mine = own.statistics().tasks_waiting if own else 0
        if self._waiting >= PROOFS_WAITING or mine >= ADDRESS_PROOFS_WAITING:
            raise _full("too many are signing in, or too many from your address")
        # By tokens of their own: one task may hold both, and no other.
        token = object()
        limiters = [own, self._all] if own else [self._all]
        held: list[CapacityLimiter] = []
        try:
            self._waiting += 1
            try:
                with fail_after(PROOF_WAIT_SECONDS):
                    for limiter in limiters:
                        await limiter.acquire_on_behalf_of(token)
                        held.append(limiter)
            except TimeoutError as error:
                raise _full(f"waited {PROOF_WAIT_SECONDS} s for others to sign in") from error
            finally:
                self._waiting -= 1
            yield
        finally:
            for limiter in reversed(held):
                limiter.release_on_behalf_of(token)


def _full(words: str) -> Problem:
    return Problem("full", f"{words}; try again in a second")


@dataclass(frozen=True)
class ProofsFrom:
    """The proofs of this process, for a request from an address."""

    proofs: Proofs
    address: str

    async def beside(self, act: Callable[..., R], *arguments: object) -> R:
        """`Proofs.beside` for this address."""
        return await self.proofs.beside(self.address, act, *arguments)


def proofs_of(request: Request) -> ProofsFrom:
    """The proofs of this process, in the share of whoever asks."""
    return ProofsFrom(request.app.state.proofs, address_of(request))


def address_of(request: Request) -> str:
    """Whence a request comes, as throttles count it: an address, or the /64 of an IPv6 one; empty if it isn't known."""
    return str(request.scope["heartwood.client"])
