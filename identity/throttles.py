"""Throttles: who fails waits, each time twice as long, by account and by address. The counts survive a restart.

What can't be counted isn't tried: where the table can't be read or written, nobody signs in by password. Nobody is locked
out for good: the longest wait is a quarter of an hour, failures are forgiven as time goes by, and whoever has signed in
from an address before is counted there on their own, so that strangers' failures hold them up neither by the account nor
by the address, which may be a whole clinic's.

An account is counted by the name that was given, its id or an e-mail address, exactly as a name is that nobody has: else
the wait of one name would tell whose the other is. An address that isn't known is nobody's, and isn't counted.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from durable.errors import StorageError
from identity.addresses import normal_address
from identity.errors import Throttled
from identity.onrecord import put_lock_out, put_lock_out_without_waiting
from storage.ledger import Ledger
from storage.sql.throttles import KNOWN, KNOWN_MS, LOCK_OUT, Name, Throttle

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
_LOG = logging.getLogger(__name__)
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
        until = 0  # not `now`: another process's clock may be a little behind
        if failures > self.free:
            until = now + min(WAIT_MOST_MS, FIRST_WAIT_MS << (failures - self.free - 1))
        locked = row is not None and row.locked and before > self.free
        return Throttle(*name, failures, self._counted(row, before, now), until, locked)

    def taken_back(self, row: Throttle, now: int) -> Throttle:
        """The row at `now` without the one failure that was counted too much."""
        left = max(0, self.left(row, now) - 1)
        until = row.until if left > self.free else 0
        return row._replace(failures=left, counted=self._counted(row, left, now), until=until)

    def _counted(self, row: Throttle | None, left: int, now: int) -> int:
        """Since when forgiving goes on: what has passed of a time in which one is forgiven isn't lost by another count."""
        if row is None or not left:
            return now
        return now - max(0, now - row.counted) % self.forgiven_ms


ACCOUNT_LAW = Law(ACCOUNT_FREE, ACCOUNT_FORGIVEN_MS)
ADDRESS_LAW = Law(ADDRESS_FREE, ADDRESS_FORGIVEN_MS)


class Attempt:
    """One try to prove who one is. It is counted as a failure, of the account and of the address, before anything is
    checked, so that a hundred at once are a hundred; whoever turns out to be right is forgiven."""

    def __init__(self, ledger: Ledger, account: str, address: str, named: str = "") -> None:
        """Raises Throttled where the account or the address has to wait.

        `named`: what was given as the account, if that was asked for; `account` is empty where nobody has that name.
        """
        self._ledger, self._account = ledger, account
        name, index = normal_address(named) or account, ledger.identity.index
        self._name: Name = "account", index(_KIND, name)
        self._counted = self._name
        # Who is known there is known by each of their names.
        self._known: Name = KNOWN, index(_KIND, f"{account or name}\0{address}")
        self._place: Name = "address", index(_KIND, address)
        self._lock_out: Name = LOCK_OUT, index(_KIND, account or name)
        self._address, self._place_counts = address, bool(address)
        self._until, self._locks, self._noted = 0, False, 0
        self._change((self._name, self._known, self._place, self._lock_out), self._begin)

    def _begin(self, found: Rows, now: int) -> Sequence[Throttle]:
        known = found.get(self._known)
        if self._address and known is not None and now < known.counted + KNOWN_MS:
            self._counted, self._place_counts = self._known, False
        laws = {self._counted: ACCOUNT_LAW}
        laws |= {self._place: ADDRESS_LAW} if self._place_counts else {}
        until = max((found[name].until for name in laws if name in found), default=0)
        if now < until:
            raise Throttled(-(-(until - now) // 1_000))
        rows = {name: law.failed(name, found.get(name), now) for name, law in laws.items()}
        row = rows[self._counted]
        self._until = row.until
        self._locks = row.until - now >= WAIT_MOST_MS and not row.locked
        rows[self._counted] = row._replace(locked=row.locked or self._locks)
        if self._locks:  # noted before anything is tried, so that it goes on record at the next good sign-in at the latest
            rows[self._lock_out] = Throttle(*self._lock_out, 0, now, row.until, True)
        noted = found.get(self._lock_out)
        self._noted = noted.until if noted else 0
        return list(rows.values())

    def failed(self, exists: bool) -> None:
        """It was wrong. `exists`: whether the account has a password, so that a lock-out is its own."""
        if not self._locks or not exists:
            return
        try:
            put_lock_out_without_waiting(self._ledger, self._account, self._until)
        except StorageError as error:
            # Whoever fails is told the same as ever; it goes on record at the next good sign-in.
            _LOG.error("a lock-out is not on record yet", extra={"error": type(error).__name__})

    def passed(self) -> None:
        """It was right: the account's failures are forgiven, its address is known from now on, and a lock-out that it had
        meanwhile is on record. Raises Refused or StorageError where that can't be."""
        if self._noted:
            put_lock_out(self._ledger, self._account, self._noted)

        def forgive(found: Rows, now: int) -> Sequence[Throttle]:
            names = {self._counted, self._known} if self._address else {self._counted}
            rows = [Throttle(*name, 0, now, 0, False) for name in sorted(names)]
            if self._place_counts and self._place in found:
                rows.append(ADDRESS_LAW.taken_back(found[self._place], now))
            noted = found.get(self._lock_out)
            if noted is not None and noted.until in (self._noted, self._until):
                rows.append(noted._replace(until=0))
            return rows

        self._change((self._counted, self._known, self._place, self._lock_out), forgive)

    def _change(
        self, names: Sequence[Name], change: Callable[[Rows, int], Sequence[Throttle]]
    ) -> None:
        now = self._ledger.clock()
        self._ledger.credentials.throttles.change(names, lambda found: change(found, now), now)
