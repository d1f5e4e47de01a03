"""Counts of failed sign-ins and claims, kept through restarts and shared by all servers: read and changed in one transaction, so
that none is lost."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from storage.sql import schema
from storage.sql.database import Database

SWEEP_MS = 3_600_000
"""How often counts that tell nothing any more are removed."""
KNOWN = "known"
"""The kind of counts that tell of a success, too, and are kept for `KNOWN_MS`."""
LOCK_OUT = "lock-out"
"""The kind that notes until when an account's last lock-out lasts, as long as that isn't known to be on record."""
PLACE = "place"
"""The kind that notes when an account signed in last from a network; see `storage.places`."""
CLAIM = "claim"
"""The kind that counts claims of charts; see `people.tries`."""
JOIN = "join"
"""The kind that counts tries to take up a hospital's invitation."""
FAILED_MS, CLAIM_MS, KNOWN_MS = 86_400_000, 7 * 86_400_000, 90 * 86_400_000
"""How long counts are kept from the last one on: failed sign-ins; claims and invitations; those of the first three kinds above."""
KEPT_MS = {KNOWN: KNOWN_MS, LOCK_OUT: KNOWN_MS, PLACE: KNOWN_MS, CLAIM: CLAIM_MS, JOIN: CLAIM_MS}
"""How long counts of a kind are kept; all others for FAILED_MS."""


class Throttle(NamedTuple):
    """What was counted under a name; times in Unix ms."""

    kind: str
    name: bytes
    """A keyed hash."""
    failures: int
    counted: int
    """When it was counted last."""
    until: int
    """Until when nothing more is tried."""
    locked: bool
    """Whether the lock-out that it is in was told of."""


Name = tuple[str, bytes]
"""Kind and name."""
Change = Callable[[dict[Name, Throttle]], Sequence[Throttle]]
"""Given the counts that there are, those to keep; what it raises changes nothing."""


class Throttles:
    """The counts of all names."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database, self._swept = database, 0

    def change(self, names: Sequence[Name], change: Change, now: int) -> None:
        """Keep what `change` makes of the counts of `names` at `now` (Unix ms); nobody else changes them meanwhile."""
        if now - self._swept > SWEEP_MS:
            self._swept = now
            with self._database.write() as connection:
                self._sweep(connection, now)
        with self._database.write() as connection:
            self._lock(connection, names)
            found: dict[Name, Throttle] = {}
            statement = self._database.sql(
                "SELECT kind, name, failures, counted, until, locked FROM throttles WHERE kind = ? AND name = ?"
            )
            for name in names:
                row = connection.exec_driver_sql(statement, name).first()
                if row is not None:
                    kind, hashed, failures, counted, until, locked = row
                    found[name] = Throttle(
                        kind, bytes(hashed), failures, counted, until, bool(locked)
                    )
            self._database.upsert(connection, schema.throttles, change(found))

    def _sweep(self, connection: Connection, now: int) -> None:
        """In a transaction of its own, which waits for nobody: what somebody else is changing now is for the next time."""
        kinds = " ".join(f"WHEN '{kind}' THEN {kept}" for kind, kept in KEPT_MS.items())
        old = f"counted <= ? - CASE kind {kinds} ELSE {FAILED_MS} END"
        if not self._database.sqlite:
            locked = f"SELECT kind, name FROM throttles WHERE {old} FOR UPDATE SKIP LOCKED"
            old = f"(kind, name) IN ({locked})"
        connection.exec_driver_sql(self._database.sql(f"DELETE FROM throttles WHERE {old}"), (now,))

    def _lock(self, connection: Connection, names: Sequence[Name]) -> None:
        """Also of names that have no row yet; in one order, so that two don't wait for each other."""
        if not self._database.sqlite:
            for number in sorted(int.from_bytes(name[:8], "big", signed=True) for _, name in names):
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (number,))
