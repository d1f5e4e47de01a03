"""Sessions by password: rows that whoever has the token finds by its SHA-256, in every process at once."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from ledger.entry import Entry
from storage.sql import schema
from storage.sql.database import Database
from storage.sql.passkeys import forget_passkeys

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

    def add(
        self, connection: Connection, row: SessionRow, replaced: Sequence[str], most: int
    ) -> bool:
        """Keep a new session in place of those `replaced`, in the transaction of its entry.

        False where one of those has ended by now, or the account would have more than `most`.
        """
        for one in replaced:
            statement = "DELETE FROM sessions WHERE session = ? AND account = ?"
            if self._run(connection, statement, (one, row.account)) != 1:
                return False
        self._database.upsert(connection, schema.sessions, [row])
        statement = self._database.sql("SELECT count(*) FROM sessions WHERE account = ?")
        return bool(connection.exec_driver_sql(statement, (row.account,)).scalar_one() <= most)

    def lives(self, connection: Connection, account: str, session: str) -> bool:
        """Whether there is such a session; it stays until the end of the transaction."""
        lock = "" if self._database.sqlite else " FOR UPDATE"
        statement = f"SELECT 1 FROM sessions WHERE session = ? AND account = ?{lock}"
        sql = self._database.sql(statement)
        return connection.exec_driver_sql(sql, (session, account)).first() is not None

    def end_others(
        self, connection: Connection, account: str, kept: str, ended: Collection[str]
    ) -> bool:
        """End all sessions of an account but one, in the transaction of the entries that say so of `ended`.

        False where those aren't all the others there are.
        """
        statement = self._database.sql(
            "DELETE FROM sessions WHERE account = ? AND session <> ? RETURNING session"
        )
        found = connection.exec_driver_sql(statement, (account, kept)).fetchall()
        return {row[0] for row in found} == set(ended)

    def end_with(self, connection: Connection, entries: Sequence[Entry]) -> None:
        """End every session of the accounts of which a key is revoked, in the transaction of those entries.

        Whoever had the key may have set what those were opened by: passkeys go, too, and what was begun of one-time codes.
        Nobody signs in by a key that the service keeps, so that its revocation ends nothing; whether it does is asked of
        what it keeps, not of what an entry calls the key.
        """
        for entry in entries:
            if entry.event.type.name == "key.revoked":
                body = entry.event.body
                account = body["account"]
                statement = "SELECT 1 FROM kept_keys WHERE key = ?"
                found = connection.exec_driver_sql(self._database.sql(statement), (body["key"],))
                if found.first() is not None:
                    continue
                self._run(connection, "DELETE FROM sessions WHERE account = ?", (account,))
                forget_passkeys(self._database, connection, account)
                forget_begun(self._database, connection, account)

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
            return self.replace_in(connection, old, row)

    def replace_in(self, connection: Connection, old: bytes, row: SessionRow) -> bool:
        """As `replace`, in the transaction of the entry that says so."""
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

    def forget(self) -> None:
        """Forget all of them."""
        with self._database.write() as connection:
            self._run(connection, "DELETE FROM sessions", ())

    def _run(self, connection: Connection, statement: str, values: tuple[object, ...]) -> int:
        return connection.exec_driver_sql(self._database.sql(statement), values).rowcount


def forget_begun(database: Database, connection: Connection, account: str) -> None:
    """Forget what was begun of an account's one-time codes, in the caller's transaction."""
    statement = database.sql("DELETE FROM factors WHERE account = ? AND since = 0")
    connection.exec_driver_sql(statement, (account,))
    statement = database.sql("UPDATE factors SET begun = ? WHERE account = ?")
    connection.exec_driver_sql(statement, (b"", account))


def _row(found: tuple[object, ...]) -> SessionRow:
    row = SessionRow(*found)  # type: ignore[arg-type]
    return row._replace(token=bytes(row.token), address=bytes(row.address))
