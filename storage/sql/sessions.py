"""Sessions by password: rows that whoever has the token finds by its SHA-256, in every process at once."""

from typing import NamedTuple

from sqlalchemy import Connection

from storage.sql import schema
from storage.sql.database import Database

SWEEP_MS = 3_600_000
"""How often sessions that have ended by themselves are removed."""
_COLUMNS = ", ".join(column.name for column in schema.sessions.columns)


class SessionRow(NamedTuple):
    """A session; times in Unix ms."""

    session: str
    token: bytes
    """The SHA-256 of its token."""
    account: str
    role: str
    hospital: str
    assurance: int
    """1 by password, 2 with a second factor."""
    means: str
    created: int
    used: int
    """When it was used last, as far as that was noted."""
    strong_until: int
    """Until when it has been stepped up; 0 if it wasn't."""
    address: bytes
    """A keyed hash of the address that opened it."""


class Sessions:
    """The sessions of all accounts."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database, self._swept = database, 0

    def add(self, row: SessionRow, version: int) -> bool:
        """Keep a new session, unless the account's factors have changed since `version`."""
        with self._database.write() as connection:
            # The row stays locked to the end: a change of factors comes before, or ends this session, too.
            lock = "" if self._database.sqlite else " FOR UPDATE"
            statement = f"SELECT version FROM credentials WHERE account = ?{lock}"
            sql = self._database.sql(statement)
            if connection.exec_driver_sql(sql, (row.account,)).scalar() != version:
                return False
            self._database.upsert(connection, schema.sessions, [row])
            return True

    def find(self, token: bytes) -> SessionRow | None:
        """The session under the SHA-256 of a token."""
        found = self._database.fetch(f"SELECT {_COLUMNS} FROM sessions WHERE token = ?", (token,))
        return _row(found[0]) if found else None

    def of(self, account: str) -> list[SessionRow]:
        """The sessions of an account, the one that was used last first."""
        statement = f"SELECT {_COLUMNS} FROM sessions WHERE account = ? ORDER BY used DESC, session"
        return [_row(found) for found in self._database.fetch(statement, (account,))]

    def touch(self, token: bytes, now: int) -> None:
        """Note that a session was used."""
        with self._database.write() as connection:
            self._run(connection, "UPDATE sessions SET used = ? WHERE token = ?", (now, token))

    def replace(self, old: bytes, row: SessionRow) -> bool:
        """Put `row` in the place of the session whose token was `old`; False if that has no session any more."""
        with self._database.write() as connection:
            statement = (
                "UPDATE sessions SET token = ?, assurance = ?, used = ?, strong_until = ? "
                "WHERE token = ? AND session = ?"
            )
            values = (row.token, row.assurance, row.used, row.strong_until, old, row.session)
            return self._run(connection, statement, values) == 1

    def end(self, account: str, session: str) -> bool:
        """End a session of an account; whether there was one."""
        with self._database.write() as connection:
            statement = "DELETE FROM sessions WHERE session = ? AND account = ?"
            return self._run(connection, statement, (session, account)) == 1

    def sweep_due(self, now: int, lasts: int, idle: int) -> None:
        """At `now` (Unix ms), if it is time to: forget those older than `lasts`, or not used for `idle` (ms)."""
        if now - self._swept > SWEEP_MS:
            self.sweep(now - lasts, now - idle)
            self._swept = now

    def sweep(self, created: int, used: int) -> None:
        """Forget those that were created before `created` or used last before `used`."""
        with self._database.write() as connection:
            statement = "DELETE FROM sessions WHERE created <= ? OR used <= ?"
            self._run(connection, statement, (created, used))

    def _run(self, connection: Connection, statement: str, values: tuple[object, ...]) -> int:
        return connection.exec_driver_sql(self._database.sql(statement), values).rowcount


def _row(found: tuple[object, ...]) -> SessionRow:
    row = SessionRow(*found)  # type: ignore[arg-type]
    return row._replace(token=bytes(row.token), address=bytes(row.address))
