"""What people sign in by: passwords, seeds of one-time codes and recovery codes, outside the log.

Whatever changes a factor counts `version` up and ends the account's other sessions in the same transaction; a session is
added only under the version that its sign-in saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from storage.sql.database import Database
from storage.sql.kept import KeptKeys
from storage.sql.passkeys import Passkey, Passkeys
from storage.sql.sessions import Sessions
from storage.sql.throttles import Throttles


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of an account that has a password."""

    password: str
    """Its hash, as Argon2 encodes it."""
    version: int
    """How often its factors have changed."""
    seed: bytes
    """Of the one-time codes, sealed; empty where none was begun."""
    confirmed: bool
    """Whether a code was shown, so that the seed counts."""
    recovery: int
    """How many recovery codes are left."""


class Credentials:
    """The credentials of all accounts, their sessions and throttles. Each method is a transaction of its own."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database
        self.sessions = Sessions(database)
        self.throttles = Throttles(database)
        self.kept_keys = KeptKeys(database)
        self.passkeys = Passkeys(database)

    def of(self, account: str) -> Kept | None:
        """What is kept of an account; None for one without a password."""
        found = self._database.fetch(
            "SELECT c.password, c.version, f.seed, f.since, "
            "(SELECT count(*) FROM recovery_codes r WHERE r.account = c.account) "
            "FROM credentials c LEFT JOIN factors f ON f.account = c.account WHERE c.account = ?",
            (account,),
        )
        if not found:
            return None
        password, version, seed, since, left = found[0]
        return Kept(password, version, bytes(seed or b""), bool(since), left)

    def account_at(self, address: bytes) -> str:
        """The account of an e-mail address, by the keyed hash of that; empty if there is none."""
        found = self._database.fetch("SELECT account FROM addresses WHERE hash = ?", (address,))
        return str(found[0][0]) if found else ""

    def set_first(self, account: str, password: str) -> bool:
        """Keep the first password of an account; whether it had none."""
        with self._database.write() as connection:
            return self._did(
                connection,
                "INSERT INTO credentials (account, password, version) VALUES (?, ?, 1) ON CONFLICT (account) DO NOTHING",
                (account, password),
            )

    def change_password(self, account: str, password: str, version: int, session: str) -> bool:
        """Keep another password, if no factor has changed since `version`; all sessions but `session` end."""
        with self._database.write() as connection:
            if not self._changed(connection, account, version, session):
                return False
            return self._did(
                connection,
                "UPDATE credentials SET password = ? WHERE account = ?",
                (password, account),
            )

    def rehashed(self, account: str, old: str, new: str) -> None:
        """Keep the same password under other parameters, unless it was changed meanwhile."""
        with self._database.write() as connection:
            self._did(
                connection,
                "UPDATE credentials SET password = ? WHERE account = ? AND password = ?",
                (new, account, old),
            )

    def begin_code(self, account: str, seed: bytes) -> bool:
        """Keep a sealed seed that doesn't count yet, in place of another such; whether none counts already."""
        with self._database.write() as connection:
            return self._did(
                connection,
                "INSERT INTO factors (account, seed, step, since) VALUES (?, ?, 0, 0) ON CONFLICT (account) DO UPDATE "
                "SET seed = excluded.seed, step = 0 WHERE factors.since = 0",
                (account, seed),
            )

    def use_step(self, account: str, seed: bytes, step: int) -> bool:
        """Take the code of a step, for the one who comes first; never a step before one that was taken."""
        with self._database.write() as connection:
            return self._did(
                connection,
                "UPDATE factors SET step = ? WHERE account = ? AND seed = ? AND step < ?",
                (step, account, seed, step),
            )

    def use_recovery(self, account: str, code: bytes) -> bool:
        """Take a recovery code, for the one who comes first; `code`: its keyed hash."""
        with self._database.write() as connection:
            return self._did(
                connection,
                "DELETE FROM recovery_codes WHERE account = ? AND hash = ?",
                (account, code),
            )

    def confirm_code(
        self, account: str, seed: bytes, recovery: Sequence[bytes], now: int, version: int, session: str
    ) -> bool:  # fmt: skip
        """Let a seed count from `now` (Unix ms) on, with these recovery codes (keyed hashes); as `change_password`."""
        with self._database.write() as connection:
            if not self._changed(connection, account, version, session):
                return False
            counts = self._did(
                connection,
                "UPDATE factors SET since = ? WHERE account = ? AND seed = ? AND since = 0",
                (now, account, seed),
            )
            if counts:
                self._did(connection, "DELETE FROM recovery_codes WHERE account = ?", (account,))
                self._database.run_many(
                    connection,
                    "INSERT INTO recovery_codes (account, hash) VALUES (?, ?)",
                    [(account, code) for code in recovery],
                )
            return counts

    def remove_code(self, account: str, version: int, session: str) -> bool:
        """Forget the seed and the recovery codes; as `change_password`."""
        with self._database.write() as connection:
            if not self._changed(connection, account, version, session):
                return False
            self._did(connection, "DELETE FROM recovery_codes WHERE account = ?", (account,))
            return self._did(connection, "DELETE FROM factors WHERE account = ?", (account,))

    def add_passkey(self, row: Passkey, version: int, session: str) -> bool:
        """Keep a passkey that nobody has yet; as `change_password`."""
        with self._database.write() as connection:
            return self._changed(connection, row.account, version, session) and self._did(
                connection,
                "INSERT INTO passkeys (credential, account, public, counter, created, used, regressed) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (credential) DO NOTHING",
                tuple(row),
            )

    def remove_passkey(self, account: str, credential: bytes, version: int, session: str) -> bool:
        """Forget a passkey; as `change_password`."""
        with self._database.write() as connection:
            return self._changed(connection, account, version, session) and self._did(
                connection,
                "DELETE FROM passkeys WHERE account = ? AND credential = ?",
                (account, credential),
            )

    def _changed(self, connection: Connection, account: str, version: int, session: str) -> bool:
        """Count a change of factors, whose row is locked from here on, and end all sessions but one."""
        counted = self._did(
            connection,
            "UPDATE credentials SET version = version + 1 WHERE account = ? AND version = ?",
            (account, version),
        )
        if counted:
            self._did(
                connection,
                "DELETE FROM sessions WHERE account = ? AND session <> ?",
                (account, session),
            )
        return counted

    def _did(self, connection: Connection, statement: str, values: tuple[object, ...]) -> bool:
        """Run a statement; whether it found a row."""
        found = connection.exec_driver_sql(self._database.sql(statement), values)
        return found.rowcount > 0
