"""Links by which a forgotten password is replaced: mailed to the proved address, once, for minutes; only their SHA-256 is kept.

A link counts as long as the account's factors and its address are what they were when it was mailed. It replaces no second
factor: that is asked for beside it.
"""

import hashlib
import os
import re

from sqlalchemy import Connection

from storage.contacts import CODE_BYTES, Contacts
from storage.outbox import Message, Outbox
from storage.sql import schema
from storage.sql.database import Database

RESET_LINK_MS = 600_000
"""How long a link counts."""
RESET_PACE_MS = 300_000
"""No further mail about a reset goes to an account so soon after the last, whoever asks: that one's link still counts."""
RESETS_MAILED_A_DAY = 24
"""Mails about a reset that go to one account within RESETS_DAY_MS, whoever asks and from wherever."""
RESETS_DAY_MS = 86_400_000
"""How long such a mail counts."""
RESET, NO_RESET = "password_reset", "password_no_reset"
"""What is mailed: a link; that there is none without a second factor."""
_LINK = re.compile("[A-Z2-7]{26}")
_NEVER = -1
"""A version of factors that no account has."""


class Resets:
    """The links of one database."""

    def __init__(self, database: Database, contacts: Contacts, outbox: Outbox) -> None:
        """`contacts`: where people are reached; `outbox`: where the mails go."""
        self._database, self._contacts, self._outbox = database, contacts, outbox

    def give(self, account: str, version: int | None, now: int) -> bool:
        """Mail a link to the account's proved address, good for its factors as of `version`; None: say that there is none.

        False without an address, where the last mail is fresh, or where there were RESETS_MAILED_A_DAY. `now`: Unix ms.
        """
        kind, ending = RESET if version is not None else NO_RESET, now + RESET_LINK_MS
        message = Message(f"{os.urandom(CODE_BYTES).hex()} {account}", kind, account, {"ending_at": ending} if version is not None else {})  # fmt: skip
        with self._database.write() as connection:
            self._database.hold(connection, "reset_links")
            run, sql = connection.exec_driver_sql, self._database.sql
            run(sql("DELETE FROM reset_links WHERE ending <= ?"), (now,))
            fresh = sql("SELECT 1 FROM reset_links WHERE account = ? AND ending > ?")
            reached = sql("SELECT sealed FROM contacts WHERE account = ?")
            where = run(reached, (account,)).first()
            if where is None or run(fresh, (account, ending - RESET_PACE_MS)).first():
                return False
            # The outbox keeps what was sent for days.
            lately = sql(
                "SELECT count(*) FROM outbox WHERE account = ? AND kind IN (?, ?) AND created > ?"
            )
            of_the_day = (account, RESET, NO_RESET, now - RESETS_DAY_MS)
            if run(lately, of_the_day).scalar_one() >= RESETS_MAILED_A_DAY:
                return False
            self._outbox.put_elsewhere(connection, message, now, bytes(where[0]), b"")
            digest = _digest(self._contacts.code(message.id))
            link = (digest, account, _NEVER if version is None else version, ending)
            self._database.insert(connection, schema.reset_links, [link])
        return True

    def account_of(self, link: str, now: int) -> str:
        """Whose password a link replaces; empty for one that is unknown, was used, has expired, or was made void."""
        found = self._database.fetch(
            "SELECT r.account FROM reset_links r JOIN credentials c ON c.account = r.account AND c.version = r.version "
            "WHERE r.hash = ? AND r.ending > ?",
            (_digest(link), now),
        )
        return str(found[0][0]) if found else ""

    def take(self, connection: Connection, link: str) -> bool:
        """Use a link up, in the transaction of what it is for; whether it was there, for the one who comes first."""
        statement = self._database.sql("DELETE FROM reset_links WHERE hash = ?")
        return connection.exec_driver_sql(statement, (_digest(link),)).rowcount == 1


def normal_link(link: str) -> str:
    """A link as it counts, however it was typed; empty for a text that is none."""
    plain = link.strip().upper()
    return plain if link.isascii() and _LINK.fullmatch(plain) else ""


def _digest(link: str) -> bytes:
    return hashlib.sha256(normal_link(link).encode()).digest()
