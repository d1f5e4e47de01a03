"""Places from which accounts sign in, as keyed hashes alone: whoever signs in from a new one is told.

A place is a network, see `identity.places`. What is kept is when an account was seen there last, as a row of the throttles; from
a database nobody learns where somebody is, nor, without the identity root, whose two rows are.
"""

from sqlalchemy import Connection

from storage.outbox import Message, Outbox
from storage.sql import schema
from storage.sql.database import Database
from storage.sql.throttles import PLACE, Throttle

SEEN_AGAIN_MS = 86_400_000
"""A place where an account was seen so short a time ago isn't noted anew."""


class Places:
    """The places of one database."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        """`outbox`: where the mails go."""
        self._database, self._outbox = database, outbox

    def is_fresh(self, place: bytes, now: int) -> bool:
        """Whether a place was noted within SEEN_AGAIN_MS before `now` (Unix ms): then there is nothing to note."""
        found = self._database.fetch(
            "SELECT 1 FROM throttles WHERE kind = ? AND name = ? AND counted > ?",
            (PLACE, place, now - SEEN_AGAIN_MS),
        )
        return bool(found)

    def note(
        self, connection: Connection, place: bytes, anywhere: bytes, message: Message, now: int
    ) -> bool:
        """Note that an account is seen at a place at `now` (Unix ms), in the transaction of its sign-in; always True.

        `anywhere`: the name of the account's row for all places. An account that was seen, and never here as far as is still
        known, is told by `message`, where it is reached now.
        """
        run, sql = connection.exec_driver_sql, self._database.sql
        known = sql("SELECT name FROM throttles WHERE kind = ? AND name IN (?, ?)")
        names = {bytes(row[0]) for row in run(known, (PLACE, place, anywhere))}
        if anywhere in names and place not in names:
            where = run(
                sql("SELECT sealed FROM contacts WHERE account = ?"), (message.account,)
            ).first()
            sealed = b"" if where is None else bytes(where[0])
            self._outbox.put_elsewhere(connection, message, now, sealed, b"")
        rows = [Throttle(PLACE, name, 0, now, 0, False) for name in (place, anywhere)]
        self._database.upsert(connection, schema.throttles, rows)
        return True
