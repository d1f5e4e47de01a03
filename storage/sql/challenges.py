"""Challenges of passkeys that wait for their answer: in the database, so that any server takes what another one gave.

Only their SHA-256 is kept. One counts once, for its purpose, until its end.
"""

import hashlib

from storage.sql import schema
from storage.sql.database import Database

SWEEP_MS = 60_000
"""How often those that have ended are removed."""


class Challenges:
    """The challenges of one database. Every method raises DBAPIError where that can't be read or written."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database, self._swept = database, 0

    def put(self, purpose: str, challenge: bytes, account: str, now: int, ending: int) -> None:
        """Keep one until `ending`; `account`: the account or the session that may answer it, empty for any. Times in Unix ms."""
        if now - self._swept > SWEEP_MS:
            self._swept = now
            self.sweep(now)
        with self._database.write() as connection:
            row = (_digest(challenge), purpose, account, ending)
            self._database.insert(connection, schema.passkey_challenges, [row])

    def take(self, purpose: str, challenge: bytes, now: int) -> str | None:
        """Use one up: the account or session that was kept with it; None where there is none for this purpose, and for all but the one who comes first."""
        statement = self._database.sql(
            "DELETE FROM passkey_challenges WHERE hash = ? AND purpose = ? AND ending > ? RETURNING account"
        )
        with self._database.write() as connection:
            values = (_digest(challenge), purpose, now)
            found = connection.exec_driver_sql(statement, values).fetchall()
        return str(found[0][0]) if found else None

    def sweep(self, now: int) -> None:
        """Remove those that have ended by `now`; what somebody else is removing is left to them."""
        old = "ending <= ?"
        if not self._database.sqlite:
            locked = f"SELECT hash FROM passkey_challenges WHERE {old} FOR UPDATE SKIP LOCKED"
            old = f"hash IN ({locked})"
        with self._database.write() as connection:
            statement = self._database.sql(f"DELETE FROM passkey_challenges WHERE {old}")
            connection.exec_driver_sql(statement, (now,))

    def forget(self) -> None:
        """Remove all of them."""
        with self._database.write() as connection:
            connection.exec_driver_sql("DELETE FROM passkey_challenges")


def _digest(challenge: bytes) -> bytes:
    return hashlib.sha256(challenge).digest()
