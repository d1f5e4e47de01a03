"""Tries of codes that people are handed: counted before they are made, and those that fail have to wait longer and longer."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import orjson

from crypto.texts import counted
from journeys.errors import TooManyTries
from ledger.directory import Key
from ledger.errors import Refused
from ledger.sequencer import Proposal
from ledger.signers import key_counts
from storage.ledger import Ledger


class Pace(NamedTuple):
    """How tries of one kind have to wait; times in ms."""

    kind: str
    """Under which they are counted."""
    what: str
    """In the plural, for the words."""
    first: int
    """How long the first one waits that comes after those that are free; each that fails then doubles it."""
    longest: int
    """The longest wait: nobody is locked out for good."""
    forgotten: int
    """After how long without a try the failed ones are forgotten."""


@contextmanager
def trying(ledger: Ledger, pace: Pace, names: Mapping[str, int]) -> Iterator[None]:
    """One try, counted before it is made, so that many at once are many. What succeeds forgets those that failed.

    `names`: whose tries count, and how many of each may fail before the next has to wait. Raises TooManyTries.
    """
    now = ledger.clock()
    for name in names:  # none is counted where one has to wait
        _check(pace, ledger.tokens.get(pace.kind, name.encode(), now), now)
    for name, free in names.items():
        _change(ledger, pace, name, partial(_counted, pace, now=now, free=free))
    yield
    for name in names:
        _change(ledger, pace, name, lambda _: orjson.dumps((0, 0)))


def check_own_key(ledger: Ledger, proposal: Proposal) -> None:
    """What is tried is signed by a key of its actor that counts, or it is nobody's try; raises Refused."""
    key = ledger.row(Key, proposal.sig.key)
    now = max(ledger.clock(), ledger.head().time)
    if key is None or key.account != proposal.event.actor or not key_counts(key, now):
        raise Refused(
            "key",
            f"got the key {proposal.sig.key}, which is no key of {proposal.event.actor} that counts",
        )


def _counted(pace: Pace, value: bytes | None, now: int, free: int) -> bytes:
    """One more try: how many failed, and until when the next one waits; raises TooManyTries."""
    failed = 1 + _check(pace, value, now)
    over = failed - free
    wait = min(pace.first << min(over, 20), pace.longest) if over >= 0 else 0
    return orjson.dumps((failed, now + wait))


def _check(pace: Pace, value: bytes | None, now: int) -> int:
    """How many failed before; raises TooManyTries while the next one has to wait."""
    failed, until = orjson.loads(value) if value else (0, 0)
    if now < until:
        minutes = counted(-(-(until - now) // 60_000), "minute")
        raise TooManyTries(f"too many {pace.what} have failed; try again in {minutes}")
    return int(failed)


def _change(ledger: Ledger, pace: Pace, name: str, change: Callable[[bytes | None], bytes]) -> None:
    now = ledger.clock()
    ledger.tokens.change(pace.kind, name.encode(), change, now, now + pace.forgotten)
