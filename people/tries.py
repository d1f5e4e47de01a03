"""Tries of codes that people are handed: each is counted before it is made, in the database that all servers share, and guesses have to wait.

What can't be counted isn't tried: where the table can't be read or written, nobody claims a chart or takes up an invitation. Names
are kept as keyed hashes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from crypto.texts import counted
from journeys.errors import TooManyTries
from ledger.directory import Key
from ledger.errors import Refused
from ledger.sequencer import Proposal
from ledger.signers import key_counts
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


class Pace(NamedTuple):
    """How tries of one kind have to wait; times in ms."""

    kind: str
    """Under which they are counted, and kept for as long (`storage.sql.throttles`)."""
    what: str
    """In the plural, for the words."""
    first: int
    """How long the first one waits that comes after those that are free; each that fails then doubles it."""
    longest: int
    """The longest wait: nobody is locked out for good."""
    forgotten: int
    """After how long without a try the failed ones are forgotten."""


CLAIMS = Pace(CLAIM, "claims", CLAIM_FIRST_WAIT_MS, CLAIM_LONGEST_WAIT_MS, CLAIM_FORGOTTEN_MS)


@contextmanager
def trying(ledger: Ledger, pace: Pace, names: Mapping[str, int]) -> Iterator[None]:
    """One try, counted before it is made, so that many at once are many, at however many servers.

    `names`: whose try it is, each with how many may fail. What succeeds forgets those that failed. Raises TooManyTries where one
    of them has to wait; then none is counted.
    """
    now, index = ledger.clock(), ledger.identity.index
    free = {(pace.kind, index(f"{pace.kind} tries", name)): most for name, most in names.items()}

    def begin(found: dict[Name, Throttle]) -> Sequence[Throttle]:
        left = {name: _left(pace, found.get(name), now) for name in free}
        return [_counted(pace, name, left[name] + 1, now, most) for name, most in free.items()]

    change = ledger.credentials.throttles.change
    change([*free], begin, now)
    yield
    change([*free], lambda _: [Throttle(*name, 0, now, 0, False) for name in free], now)


def check_own_key(ledger: Ledger, proposal: Proposal) -> None:
    """What is tried is signed by a key of its actor that counts, or it is nobody's try; raises Refused."""
    key = ledger.row(Key, proposal.sig.key)
    now = max(ledger.clock(), ledger.head().time)
    if key is None or key.account != proposal.event.actor or not key_counts(key, now):
        raise Refused(
            "key",
            f"got the key {proposal.sig.key}, which is no key of {proposal.event.actor} that counts",
        )


def _left(pace: Pace, row: Throttle | None, now: int) -> int:
    """How many failed before; raises TooManyTries while the next one has to wait."""
    if row is None or now >= row.counted + pace.forgotten:
        return 0
    if now < row.until:
        minutes = counted(-(-(row.until - now) // 60_000), "minute")
        raise TooManyTries(f"too many {pace.what} have failed; try again in {minutes}")
    return row.failures


def _counted(pace: Pace, name: Name, failed: int, now: int, free: int) -> Throttle:
    """The row after one more that failed."""
    if failed < free:
        return Throttle(*name, failed, now, 0, False)
    doublings = (pace.longest // pace.first).bit_length()
    wait = min(pace.first << min(failed - free, doublings), pace.longest)
    return Throttle(*name, failed, now, now + wait, False)
