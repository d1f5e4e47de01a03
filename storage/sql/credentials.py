"""What people sign in by: passwords, seeds of one-time codes and recovery codes, outside the log.

What goes on record changes in the transaction of its entries (`Log.submit`, `beside`): both are there, or neither. A change
of a factor counts `version` up and ends the account's other sessions; a session is added only under the version that its
sign-in saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from storage.sql.challenges import Challenges
from storage.sql.database import Database
from storage.sql.kept import KeptKeys
from storage.sql.passkeys import Passkey, Passkeys, forget_passkeys
from storage.sql.sessions import Sessions, forget_begun
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
    step: int
    """The last step whose code was used."""
    confirmed: bool
    """Whether a code was shown, so that the seed counts."""
    since: int
    """Since when it does, Unix ms; 0 if it doesn't."""
    begun: bytes
    """A seed that was begun and doesn't count yet, sealed: the first one, or one to take the place of that which counts."""
    recovery: int
    """How many recovery codes are left."""
    acts: int
    """How many sessions were opened and factors changed since `acts_since`."""
    acts_since: int
    """Unix ms."""


class Credentials:
    """The credentials of all accounts, their sessions and throttles."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database
        self.sessions = Sessions(database)
        self.throttles = Throttles(database)
        self.kept_keys = KeptKeys(database)
        self.passkeys = Passkeys(database)
        self.challenges = Challenges(database)

    def of(self, account: str) -> Kept | None:
        """What is kept of an account; None for one without a password."""
        found = self._database.fetch(
            "SELECT c.password, c.version, f.seed, f.step, f.since, f.begun, c.acts, c.acts_since, "
            "(SELECT count(*) FROM recovery_codes r WHERE r.account = c.account) "
            "FROM credentials c LEFT JOIN factors f ON f.account = c.account WHERE c.account = ?",
            (account,),
        )
        if not found:
            return None
        password, version, seed, step, since, begun, acts, acts_since, left = found[0]
        fresh = begun if since else seed
        return Kept(
            password, version, bytes(seed or b""), step or 0, bool(since), since or 0, bytes(fresh or b""), left, acts,
            acts_since,
        )  # fmt: skip

    def account_at(self, address: bytes) -> str:
        """The account of an e-mail address, by the keyed hash of that; empty if there is none."""
        found = self._database.fetch("SELECT account FROM addresses WHERE hash = ?", (address,))
        return str(found[0][0]) if found else ""

    def recovers(self, account: str, code: bytes) -> bool:
        """Whether a recovery code is left; `code`: its keyed hash."""
        statement = "SELECT 1 FROM recovery_codes WHERE account = ? AND hash = ?"
        return bool(self._database.fetch(statement, (account, code)))

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
                "INSERT INTO factors (account, seed, step, since, begun) VALUES (?, ?, 0, 0, ?) "
                "ON CONFLICT (account) DO UPDATE SET seed = excluded.seed, step = 0 WHERE factors.since = 0",
                (account, seed, b""),
            )

    def begin_other_code(self, account: str, seed: bytes) -> bool:
        """Keep a sealed seed that is to take the place of the one that counts; whether one does."""
        with self._database.write() as connection:
            statement = "UPDATE factors SET begun = ? WHERE account = ? AND since > 0"
            return self._did(connection, statement, (seed, account))

    def forget_begun(self) -> None:
        """Forget every seed that doesn't count yet."""
        with self._database.write() as connection:
            self._did(connection, "DELETE FROM factors WHERE since = 0", ())
            self._did(connection, "UPDATE factors SET begun = ?", (b"",))

    # What follows happens in the transaction of the entries that say so.

    def key_counts(self, connection: Connection, key: str, account: str, now: int) -> bool:
        """Whether a key is an account's and counts at `now` (Unix ms)."""
        return self._there(
            connection,
            "SELECT 1 FROM keys WHERE key = ? AND account = ? AND active AND counts_from <= ?",
            (key, account, now),
        )

    def unchanged(self, connection: Connection, account: str, version: int) -> bool:
        """Whether no factor has changed since `version`; none does until the end of the transaction."""
        lock = "" if self._database.sqlite else " FOR UPDATE"
        statement = f"SELECT 1 FROM credentials WHERE account = ? AND version = ?{lock}"
        return self._there(connection, statement, (account, version))

    def count(self, connection: Connection, account: str, now: int, lasts: int, most: int) -> bool:
        """Count one more act at `now` (Unix ms), if it is one of the first `most` within `lasts` ms."""
        return self._did(
            connection,
            "UPDATE credentials SET acts = CASE WHEN acts_since <= ? THEN 1 ELSE acts + 1 END, "
            "acts_since = CASE WHEN acts_since <= ? THEN ? ELSE acts_since END "
            "WHERE account = ? AND (acts_since <= ? OR acts < ?)",
            (now - lasts, now - lasts, now, account, now - lasts, most),
        )

    def use_step(self, connection: Connection, account: str, seed: bytes, step: int) -> bool:
        """Take the code of a step, for the one who comes first; never a step before one that was taken."""
        return self._did(
            connection,
            "UPDATE factors SET step = ? WHERE account = ? AND seed = ? AND step < ?",
            (step, account, seed, step),
        )

    def use_recovery(self, connection: Connection, account: str, code: bytes) -> bool:
        """Take a recovery code, for the one who comes first; `code`: its keyed hash."""
        return self._did(
            connection,
            "DELETE FROM recovery_codes WHERE account = ? AND hash = ?",
            (account, code),
        )

    def set_first(self, connection: Connection, account: str, password: str, now: int) -> bool:
        """Keep the first password of an account at `now` (Unix ms); whether it had none."""
        return self._did(
            connection,
            "INSERT INTO credentials (account, password, version, acts, acts_since) VALUES (?, ?, 1, 1, ?) "
            "ON CONFLICT (account) DO NOTHING",
            (account, password, now),
        )

    def add_passkey(self, connection: Connection, row: Passkey) -> bool:
        """Keep a passkey; whether nobody had it yet."""
        return self._did(
            connection,
            "INSERT INTO passkeys (credential, account, public, counter, created, used, regressed) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (credential) DO NOTHING",
            tuple(row),
        )

    def remove_passkey(self, connection: Connection, account: str, credential: bytes) -> bool:
        """Forget a passkey; whether the account had it."""
        return self._did(
            connection,
            "DELETE FROM passkeys WHERE account = ? AND credential = ?",
            (account, credential),
        )

    def remove_passkeys(self, connection: Connection, account: str) -> bool:
        """Forget all passkeys of an account."""
        forget_passkeys(self._database, connection, account)
        return True

    def changes(self, connection: Connection, account: str, version: int) -> bool:
        """Count a change of factors, if none came since `version`; the account's row is locked from here on."""
        counted = self._did(
            connection,
            "UPDATE credentials SET version = version + 1 WHERE account = ? AND version = ?",
            (account, version),
        )
        if counted:
            # An address that somebody gave before, perhaps the one who is shut out now, isn't proved any more.
            self._did(connection, "DELETE FROM contact_proofs WHERE account = ?", (account,))
        return counted

    def change_password(self, connection: Connection, account: str, password: str) -> bool:
        """Keep another password; what was begun of one-time codes is forgotten."""
        forget_begun(self._database, connection, account)
        statement = "UPDATE credentials SET password = ? WHERE account = ?"
        return self._did(connection, statement, (password, account))

    def confirm_code(
        self, connection: Connection, account: str, seed: bytes, step: int, recovery: Sequence[bytes], now: int
    ) -> bool:  # fmt: skip
        """Let a seed that was begun count from `now` (Unix ms) on, with these recovery codes (keyed hashes).

        `step`: whose code was shown; it is used up.
        """
        counts = self._did(
            connection,
            "UPDATE factors SET since = ?, step = ? WHERE account = ? AND seed = ? AND since = 0 AND step < ?",
            (now, step, account, seed, step),
        )
        return counts and self._gives(connection, account, recovery)

    def replace_code(
        self, connection: Connection, account: str, seed: bytes, step: int, recovery: Sequence[bytes], now: int
    ) -> bool:  # fmt: skip
        """As `confirm_code`, in place of a seed that counts, and of its recovery codes."""
        counts = self._did(
            connection,
            "UPDATE factors SET seed = begun, begun = ?, since = ?, step = ? WHERE account = ? AND begun = ? AND since > 0",
            (b"", now, step, account, seed),
        )
        return counts and self._gives(connection, account, recovery)

    def _gives(self, connection: Connection, account: str, recovery: Sequence[bytes]) -> bool:
        """Keep these recovery codes alone."""
        self._did(connection, "DELETE FROM recovery_codes WHERE account = ?", (account,))
        self._database.run_many(
            connection,
            "INSERT INTO recovery_codes (account, hash) VALUES (?, ?)",
            [(account, code) for code in recovery],
        )
        return True

    def remove_code(self, connection: Connection, account: str) -> bool:
        """Forget the seed and the recovery codes; whether a seed counted."""
        self._did(connection, "DELETE FROM recovery_codes WHERE account = ?", (account,))
        return self._did(
            connection, "DELETE FROM factors WHERE account = ? AND since > 0", (account,)
        )

    def _there(self, connection: Connection, statement: str, values: tuple[object, ...]) -> bool:
        """Whether a query finds a row."""
        found = connection.exec_driver_sql(self._database.sql(statement), values)
        return found.first() is not None

    def _did(self, connection: Connection, statement: str, values: tuple[object, ...]) -> bool:
        """Run a statement; whether it found a row."""
        found = connection.exec_driver_sql(self._database.sql(statement), values)
        return found.rowcount > 0
