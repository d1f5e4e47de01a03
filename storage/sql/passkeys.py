"""Passkeys: public keys of authenticators, and how often each has signed. They are added and removed with a change of factors
(`storage.sql.credentials`)."""

import hashlib
from typing import NamedTuple

from sqlalchemy import Connection

from storage.sql.database import Database

_COLUMNS = "credential, account, public, counter, created, used, regressed"


class Passkey(NamedTuple):
    """A passkey; times in Unix ms."""

    credential: bytes
    """Its id, as its authenticator chose it."""
    account: str
    public: bytes
    """A COSE key."""
    counter: int
    """How often it has signed, as it said last; 0 where it doesn't count."""
    created: int
    used: int
    regressed: int
    """When its counter last went back; 0 if it never did."""

    @property
    def name(self) -> str:
        """What it is called in paths: the first 128 bits of its id's SHA-256, hex."""
        return hashlib.sha256(self.credential).hexdigest()[:32]


class Passkeys:
    """The passkeys of all accounts."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database

    def of(self, account: str) -> list[Passkey]:
        """The passkeys of an account, the newest first."""
        statement = (
            f"SELECT {_COLUMNS} FROM passkeys WHERE account = ? ORDER BY created DESC, credential"
        )
        return [_row(found) for found in self._database.fetch(statement, (account,))]

    def find(self, credential: bytes) -> Passkey | None:
        """The passkey with this id."""
        statement = f"SELECT {_COLUMNS} FROM passkeys WHERE credential = ?"
        found = self._database.fetch(statement, (credential,))
        return _row(found[0]) if found else None

    def use(self, credential: bytes, counter: int, now: int) -> bool:
        """Note a use; whether its counter went on, or doesn't count and never did."""
        statement = (
            "UPDATE passkeys SET counter = ?, used = ? WHERE credential = ? "
            "AND (counter < ? OR (counter = 0 AND ? = 0))"
        )
        return self._did(statement, (counter, now, credential, counter, counter))

    def regressed(self, credential: bytes, now: int) -> None:
        """Note that its counter went back."""
        self._did("UPDATE passkeys SET regressed = ? WHERE credential = ?", (now, credential))

    def there(self, connection: Connection, credential: bytes) -> bool:
        """Whether a passkey is still kept, in the transaction of what it is shown for; it is until that ends."""
        lock = "" if self._database.sqlite else " FOR UPDATE"
        statement = self._database.sql(f"SELECT 1 FROM passkeys WHERE credential = ?{lock}")
        return connection.exec_driver_sql(statement, (credential,)).first() is not None

    def _did(self, statement: str, values: tuple[object, ...]) -> bool:
        with self._database.write() as connection:
            found = connection.exec_driver_sql(self._database.sql(statement), values)
            return found.rowcount > 0


def forget_passkeys(database: Database, connection: Connection, account: str) -> None:
    """Forget all passkeys of an account, in the caller's transaction."""
    statement = database.sql("DELETE FROM passkeys WHERE account = ?")
    connection.exec_driver_sql(statement, (account,))


def _row(found: tuple[object, ...]) -> Passkey:
    row = Passkey(*found)  # type: ignore[arg-type]
    return row._replace(credential=bytes(row.credential), public=bytes(row.public))
