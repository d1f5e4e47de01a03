"""Private keys that the service keeps for people, sealed; outside the log. Each method is a transaction of its own.

A key is here before the entry that registers it, and gone with the entry that revokes it (`storage.log`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from storage.sql import schema
from storage.sql.database import Database

_REGISTERED = (
    "FROM kept_keys k JOIN keys r ON r.key = k.key AND r.account = k.account "
    "WHERE k.account = ? AND r.active"
)


class KeptKey(NamedTuple):
    """A person's signing key; whether it counts is told by the log."""

    key: str
    account: str
    sealed: bytes
    """Its seed under the identity root, bound to account and key."""
    created: int
    """Unix ms."""


class KeptKeys:
    """The kept keys of all accounts."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database

    def of(self, account: str) -> list[KeptKey]:
        """What is kept for an account, the newest first: the key that counts, and those that wait to be registered."""
        statement = (
            "SELECT key, account, sealed, created FROM kept_keys WHERE account = ? "
            "ORDER BY created DESC, key"
        )
        found = self._database.fetch(statement, (account,))
        return [KeptKey(key, whose, bytes(sealed), made) for key, whose, sealed, made in found]

    def add(self, new: KeptKey, instead: Sequence[str]) -> None:
        """Keep a key, in place of `instead`, which were never registered."""
        with self._database.write() as connection:
            destroy(self._database, connection, instead)
            self._database.insert(connection, schema.kept_keys, [tuple(new)])

    def keeps(self, account: str) -> bool:
        """Whether a key of an account is kept that counts, or will."""
        statement = f"SELECT 1 {_REGISTERED}"
        return bool(self._database.fetch(statement, (account,)))

    def keeps_but(self, connection: Connection, account: str, key: str = "") -> bool:
        """Whether one is kept other than `key`, in the transaction in which that is to be known."""
        statement = self._database.sql(f"SELECT 1 {_REGISTERED} AND k.key <> ?")
        return connection.exec_driver_sql(statement, (account, key)).first() is not None


def destroy(database: Database, connection: Connection, keys: Sequence[str]) -> None:
    """Forget kept keys in the caller's transaction: the one in which they are revoked."""
    if keys:
        database.run_many(
            connection, "DELETE FROM kept_keys WHERE key = ?", [(key,) for key in keys]
        )
