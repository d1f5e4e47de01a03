"""Claims that fail: each is counted before it is made, in the database that all servers share, and guesses have to wait.

What can't be counted isn't tried: where the table can't be read or written, nobody claims. Names are kept as keyed hashes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from crypto.texts import counted
from journeys.errors import TooManyTries
from storage.ledger import Ledger
from storage.sql.throttles import CLAIM, CLAIM_MS, Name, Throttle

CLAIM_FREE_TRIES = 3
"""Claims that may fail, on one chart under one code or by one account, before the next has to wait."""
CLAIM_ADDRESS_TRIES = 20
"""The same of one address, behind which may be a whole clinic."""
CLAIM_FIRST_WAIT_MS = 60_000
"""How long the one after them waits; each that fails then doubles it."""
CLAIM_LONGEST_WAIT_MS = 86_400_000
"""So nobody is locked out for good; a new code from the hospital begins anew at once."""
CLAIM_FORGOTTEN_MS = CLAIM_MS
"""After how long without a try the failed ones are forgotten."""
_DOUBLINGS = (CLAIM_LONGEST_WAIT_MS // CLAIM_FIRST_WAIT_MS).bit_length()
_KIND = "claim tries"
"""The kind of keyed hash under which names are kept."""


@contextmanager
def trying(ledger: Ledger, names: Mapping[str, int]) -> Iterator[None]:
    """One try, counted before it is made, so that many at once are many, at however many servers.

    `names`: whose try it is, each with how many may fail. What succeeds forgets those that failed. Raises TooManyTries where one
    of them has to wait; then none is counted.
    """
    now, index = ledger.clock(), ledger.identity.index
    free = {(CLAIM, index(_KIND, name)): most for name, most in names.items()}

    def begin(found: dict[Name, Throttle]) -> Sequence[Throttle]:
        left = {name: _left(found.get(name), now) for name in free}
        return [_counted(name, left[name] + 1, now, most) for name, most in free.items()]

    change = ledger.credentials.throttles.change
    change([*free], begin, now)
    yield
    change([*free], lambda _: [Throttle(*name, 0, now, 0, False) for name in free], now)


def _left(row: Throttle | None, now: int) -> int:
    """How many failed before; raises TooManyTries while the next one has to wait."""
    if row is None or now >= row.counted + CLAIM_FORGOTTEN_MS:
        return 0
    if now < row.until:
        minutes = counted(-(-(row.until - now) // 60_000), "minute")
        raise TooManyTries(f"too many claims have failed; try again in {minutes}")
    return row.failures


def _counted(name: Name, failed: int, now: int, free: int) -> Throttle:
    """The row after one more that failed."""
    if failed < free:
        return Throttle(*name, failed, now, 0, False)
    wait = min(CLAIM_FIRST_WAIT_MS << min(failed - free, _DOUBLINGS), CLAIM_LONGEST_WAIT_MS)
    return Throttle(*name, failed, now, now + wait, False)
