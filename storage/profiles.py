"""What doctors are shown with, by account, sealed under the identity root; outside the log, which would keep each version for ever."""

from typing import Any, NamedTuple

import orjson

from crypto.identity import IdentityRoot
from storage.sql import schema
from storage.sql.database import Database


class KeptProfile(NamedTuple):
    """A profile as it is kept."""

    said: dict[str, Any]
    """Its texts and codes, by name."""
    changed: int
    """When it was written last, Unix ms."""
    author: str
    """The account that wrote it then."""


class Profiles:
    """The profiles of one database."""

    def __init__(self, database: Database, identity: IdentityRoot) -> None:
        """`identity`: what seals them."""
        self._database, self._identity = database, identity

    def of(self, account: str) -> KeptProfile | None:
        """An account's profile, or None; raises SealError."""
        statement = "SELECT sealed, changed, author FROM profiles WHERE account = ?"
        rows = self._database.fetch(statement, (account,))
        if not rows:
            return None
        sealed, changed, author = rows[0]
        said = orjson.loads(self._identity.open("profile", account, bytes(sealed)))
        return KeptProfile(said, changed, author)

    def keep(self, account: str, kept: KeptProfile) -> None:
        """Keep it in place of what there was."""
        sealed = self._identity.seal("profile", account, orjson.dumps(kept.said))
        with self._database.write() as connection:
            row = (account, sealed, kept.changed, kept.author)
            self._database.upsert(connection, schema.profiles, [row])

    def remove(self, account: str) -> None:
        """Forget an account's profile."""
        statement = self._database.sql("DELETE FROM profiles WHERE account = ?")
        with self._database.write() as connection:
            connection.exec_driver_sql(statement, (account,))
