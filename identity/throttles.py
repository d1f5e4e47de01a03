"""Throttles: who fails waits, each time twice as long, by account and by address. The counts survive a restart.

What can't be counted isn't tried: where the table can't be read or written, nobody signs in by password. Nobody is locked
out for good: the longest wait is a quarter of an hour, failures are forgiven as time goes by, and whoever has signed in
from an address before is counted there on their own, so that strangers' failures elsewhere don't hold them up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from identity.errors import Throttled
from identity.onrecord import put_without_waiting
from ledger.times import format_time
from storage.ledger import Ledger
from storage.sql.throttles import KNOWN, KNOWN_MS, Name, Throttle

FIRST_WAIT_MS = 1_000
"""The wait after the first failure that has one; each further one doubles it."""
WAIT_MOST_MS = 900_000
"""The longest wait; an account that waits so long is locked, and that is on record."""
ACCOUNT_FREE = 4
"""Failures of an account without a wait: people mistype."""
ACCOUNT_FORGIVEN_MS = 3_600_000
"""One failure of an account is forgiven in so long."""
ADDRESS_FREE = 20
"""Failures of an address without a wait: a whole hospital may have one."""
ADDRESS_FORGIVEN_MS = 60_000
"""One failure of an address is forgiven in so long."""
_DOUBLINGS = (WAIT_MOST_MS // FIRST_WAIT_MS).bit_length()
Rows = dict[Name, Throttle]
_KIND = "throttle"
"""The kind of keyed hash under which names are kept."""


@dataclass(frozen=True)
class Law:
    """How failures of one kind of name become waits."""

    free: int
    forgiven_ms: int

    def left(self, row: Throttle | None, now: int) -> int:
        """The failures that aren't forgiven yet at `now` (Unix ms)."""
        if row is None:
            return 0
        return max(0, row.failures - max(0, now - row.counted) // self.forgiven_ms)

    def failed(self, name: Name, row: Throttle | None, now: int) -> Throttle:
        """The row after one more failure at `now`."""
        before = self.left(row, now)
        failures = min(before, self.free + _DOUBLINGS) + 1
        wait = 0
        if failures > self.free:
            wait = min(WAIT_MOST_MS, FIRST_WAIT_MS << (failures - self.free - 1))
        locked = row is not None and row.locked and before > self.free
        return Throttle(*name, failures, now, now + wait, locked)


ACCOUNT_LAW = Law(ACCOUNT_FREE, ACCOUNT_FORGIVEN_MS)
ADDRESS_LAW = Law(ADDRESS_FREE, ADDRESS_FORGIVEN_MS)


class Attempt:
    """One try to prove who one is. It is counted as a failure of the account before anything is checked, so that a
    hundred at once are a hundred; whoever turns out to be right is forgiven."""

    def __init__(self, ledger: Ledger, account: str, address: str, named: str = "") -> None:
        """Raises Throttled where the account or the address has to wait.

        `named`: what was given as the account, where there is none by that name.
        """
        self._ledger, self._account = ledger, account
        who, index = account or named, ledger.identity.index
        self._known: Name = KNOWN, index(_KIND, f"{who}\0{address}")
        self._place: Name = "address", index(_KIND, address)
        self._counted: Name = "account", index(_KIND, who)
        self._until, self._locks = 0, False
        self._change((self._counted, self._known, self._place), self._begin)

    def _begin(self, found: Rows, now: int) -> Sequence[Throttle]:
        known = found.get(self._known)
        if known is not None and now < known.counted + KNOWN_MS:
            self._counted = self._known
        waits = [found[name].until for name in (self._counted, self._place) if name in found]
        if now < (until := max(waits, default=0)):
            raise Throttled(-(-(until - now) // 1_000))
        row = ACCOUNT_LAW.failed(self._counted, found.get(self._counted), now)
        self._until = row.until
        self._locks = row.until - now >= WAIT_MOST_MS and not row.locked
        return [row._replace(locked=row.locked or self._locks)]

    def failed(self, exists: bool) -> None:
        """It was wrong. `exists`: whether the account has a password, so that a lock-out is its own."""

        def count(found: Rows, now: int) -> Sequence[Throttle]:
            return [ADDRESS_LAW.failed(self._place, found.get(self._place), now)]

        self._change((self._place,), count)
        if self._locks and exists:
            until = {"until": format_time(self._until)}
            put_without_waiting(self._ledger, self._account, ("session.locked", until))

    def passed(self) -> None:
        """It was right: the account's failures are forgiven, and its address is known from now on."""

        def forgive(found: Rows, now: int) -> Sequence[Throttle]:
            names = sorted({self._counted, self._known})
            return [Throttle(*name, 0, now, 0, False) for name in names]

        self._change((self._counted, self._known), forgive)

    def _change(
        self, names: Sequence[Name], change: Callable[[Rows, int], Sequence[Throttle]]
    ) -> None:
        now = self._ledger.clock()
        self._ledger.credentials.throttles.change(names, lambda found: change(found, now), now)
