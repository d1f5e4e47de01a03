"""The outbox: what people are to be told of an act, kept in the transaction of that act and sent later.

A row holds no words and nothing that is secret: of what kind it is, for which account, and a few ids and times. So nobody
waits for a mail server, a crash loses nothing, and nothing that only reads the log again (`rebuild`, `upgrade`, an audit)
tells anything again. Backups leave these rows out: what waited when one was made may have been sent since.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from sqlalchemy import Connection, inspect

from crypto.ids import random_id
from ledger.directory import Member
from ledger.entry import Entry
from ledger.rows import Look
from storage.sql import schema
from storage.sql.database import Database

KEEP_MS = 7 * 86_400_000
"""How long a row stays after it came to its end."""
PAGE = 1_000
"""Rows that one statement removes."""
SENT, UNREACHABLE, REFUSED, GIVEN_UP = "sent", "unreachable", "refused", "given_up"
"""How a row ends: at the mail server; without a proved address to send to; refused for good by the mail server; not sent
after days of tries."""
ENDS = (SENT, UNREACHABLE, REFUSED, GIVEN_UP)
HOSPITAL_WROTE = "hospital_wrote"
"""The kind that is told once a patient and a hospital; see `once_wrote`."""
DOCTOR_INVITED = "doctor_invited"
"""The kind that goes to an address which is nobody's contact, in the name of a hospital, with an invitation's code."""
HOSPITAL = "hs_"
"""How a hospital's id begins."""
_ID_LABEL = "heartwood/message/v1"


class Message(NamedTuple):
    """Something that an account is to be told because of an event."""

    event: str
    """The id of the event, or of whatever else brings it about."""
    kind: str
    account: str
    """Or a hospital: then each of its admins is told."""
    params: Mapping[str, str | int]
    """Ids, and times in Unix ms; by the names that the kind's text uses."""
    once: str = ""
    """If given: what is told a single time, whichever events bring it about again. Whom nothing reaches isn't told it."""
    but: str = ""
    """Of a hospital's admins the account that isn't told: it did it itself."""

    @property
    def id(self) -> str:
        """The same whenever and wherever it is made."""
        text = "\0".join((_ID_LABEL, self.event, self.kind, self.account))
        return random_id("ml", hashlib.sha256(text.encode()).digest()[:16])


Tells = Callable[[Sequence[Entry], Look], Sequence[Message]]
"""What a batch's new entries tell whom, by the rows as of the batch's end; pure."""


class Waiting(NamedTuple):
    """A message that waits to be sent."""

    id: str
    account: str
    kind: str
    params: dict[str, str | int]
    sealed: bytes
    """Address and language, sealed: where the account was reached when it happened, or an address that is to be proved."""
    created: int
    """Unix ms."""
    tries: int


class Row(NamedTuple):
    """What the operator sees of a message."""

    id: str
    account: str
    kind: str
    created: int
    tries: int
    next_try: int
    """Unix ms."""
    outcome: str
    """One of ENDS, or empty while it waits."""
    ended: int


def once_wrote(patient: str, hospital: str) -> str:
    """What is told once: that a hospital wrote into a chart."""
    return f"{HOSPITAL_WROTE} {patient} {hospital}"


def nothing_told(entries: Sequence[Entry], look: Look) -> Sequence[Message]:
    """Nobody is told anything."""
    return ()


class Outbox:
    """The messages of one database."""

    def __init__(self, database: Database, tells: Tells = nothing_told) -> None:
        """`tells`: what entries tell whom."""
        self._database, self._tells = database, tells

    def alone(self) -> AbstractContextManager[bool]:
        """Whether no other process sends; none does until the end."""
        return self._database.alone("mail")

    def tell(self, connection: Connection, entries: Sequence[Entry], look: Look, now: int) -> None:
        """Put in what new entries tell, in the transaction that appends them; `now`: Unix ms.

        It goes where the account is reached now, whatever becomes of that address before it is sent: whoever takes the
        account over doesn't take the warning with it. What goes to an account without one has its end at once.
        """
        messages = self._to_people(connection, self._tells(entries, look), now)
        if not messages:
            return
        known = set(self._found(connection, "told_once", "what", {one.once for one in messages}))
        reached = self._found(
            connection, "contacts", "account", {one.account for one in messages}, "sealed"
        )
        fresh: dict[str, Message] = {}
        for one in messages:
            if one.once and (one.account not in reached or one.once in known):
                continue
            fresh[one.id] = one
            known |= {one.once} if one.once else set()
        rows = [_row(one, now, bytes(reached.get(one.account, b""))) for one in fresh.values()]
        self._put(connection, rows)
        once = [(one.once,) for one in fresh.values() if one.once]
        self._database.insert(connection, schema.told_once, once)

    def put_elsewhere(
        self, connection: Connection, one: Message, due: int, sealed: bytes, address: bytes, sent: bool = True
    ) -> None:  # fmt: skip
        """Put in a message that isn't sent before `due` (Unix ms), to an address given sealed, and as its hash.

        `sent`: False for one that is counted only.
        """
        self._put(connection, [_row(one, due, sealed if sent else b"", address)])

    def _to_people(
        self, connection: Connection, messages: Sequence[Message], now: int
    ) -> Sequence[Message]:
        """The messages, those to a hospital as one to each of its admins."""
        hospitals = {one.account for one in messages if one.account.startswith(HOSPITAL)}
        if not hospitals:
            return messages
        table = "members"
        assert schema.TABLES[Member].name == table
        columns = ", ".join(f'"{name}"' for name in Member._fields)
        keys = [(hospital, "hospital_admin") for hospital in sorted(hospitals)]
        rows = self._database.select(connection, table, columns, ["hospital", "role"], keys)
        admins = [member for row in rows if (member := Member(*row)).holds(now)]
        return [
            one._replace(account=account) for one in messages for account in _receivers(one, admins)
        ]

    def _put(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        columns = ", ".join(column.name for column in schema.outbox.columns)
        marks = ", ".join("?" * len(schema.outbox.columns))
        statement = f"INSERT INTO outbox ({columns}) VALUES ({marks}) ON CONFLICT (id) DO NOTHING"
        self._database.run_many(connection, statement, rows)

    def _found(
        self, connection: Connection, table: str, column: str, wanted: set[str], value: str = ""
    ) -> dict[str, Any]:
        """Which of some keys a table has, and what it has under each in the column `value`."""
        keys = [(one,) for one in wanted if one]
        columns = f"{table}.{column}, {table}.{value or column}"
        rows = self._database.select(connection, table, columns, [column], keys)
        return {row[0]: row[1] for row in rows}

    def due(self, now: int, most: int) -> list[Waiting]:
        """Up to `most` messages whose time to be tried has come, the one that waits longest for it first."""
        statement = (
            "SELECT id, account, kind, params, sealed, created, tries FROM outbox WHERE outcome = '' AND next_try <= ? "
            "ORDER BY next_try, id LIMIT ?"
        )
        rows = self._database.fetch(statement, (now, most))
        return [
            Waiting(id_, account, kind, json.loads(params), bytes(sealed), created, tries)
            for id_, account, kind, params, sealed, created, tries in rows
        ]

    def claim(self, one: Waiting, next_try: int) -> bool:
        """Count a try before it is made, and when the next one is due; False where somebody else did, or it has ended."""
        statement = self._database.sql(
            "UPDATE outbox SET tries = tries + 1, next_try = ? WHERE id = ? AND tries = ? AND outcome = ''"
        )
        with self._database.write() as connection:
            done = connection.exec_driver_sql(statement, (next_try, one.id, one.tries))
            return done.rowcount == 1

    def end(self, id_: str, outcome: str, now: int) -> None:
        """Say how a message ended; where it went doesn't stay."""
        assert outcome in ENDS
        statement = self._database.sql(
            "UPDATE outbox SET outcome = ?, ended = ?, sealed = ? WHERE id = ? AND outcome = ''"
        )
        with self._database.write() as connection:
            connection.exec_driver_sql(statement, (outcome, now, b"", id_))

    def give_up(self, created: int, now: int) -> int:
        """End what was made before `created` (Unix ms) and isn't sent; where it was to go doesn't stay. Gives how many."""
        where = "outcome = '' AND created < ?"
        if not self._database.fetch(f"SELECT 1 FROM outbox WHERE {where} LIMIT 1", (created,)):
            return 0
        statement = f"UPDATE outbox SET outcome = ?, ended = ?, sealed = ? WHERE {where}"
        with self._database.write() as connection:
            values = (GIVEN_UP, now, b"", created)
            return connection.exec_driver_sql(self._database.sql(statement), values).rowcount

    def remove_old(self, now: int) -> int:
        """Remove up to PAGE rows that ended KEEP_MS ago; gives how many."""
        where, before = "ended > 0 AND ended < ?", (now - KEEP_MS,)
        if not self._database.fetch(f"SELECT 1 FROM outbox WHERE {where} LIMIT 1", before):
            return 0
        statement = self._database.sql(
            f"DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE {where} LIMIT {PAGE})"
        )
        with self._database.write() as connection:
            return connection.exec_driver_sql(statement, before).rowcount

    def forget_about(self, patient: str) -> None:
        """Remove what tells of a patient's chart, sent or not: part of an erasure."""
        like = f'%"{patient}"%'
        with self._database.write() as connection:
            for statement, value in (
                ("DELETE FROM outbox WHERE params LIKE ?", like),
                ("DELETE FROM told_once WHERE what LIKE ?", f"% {patient} %"),
            ):
                connection.exec_driver_sql(self._database.sql(statement), (value,))

    def waiting(self) -> tuple[int, int]:
        """How many wait, and when the oldest of them was made (Unix ms; 0 for none)."""
        statement = "SELECT count(*), min(created) FROM outbox WHERE outcome = ''"
        with self._database.read() as connection:
            count, oldest = connection.exec_driver_sql(statement).one()
        return count, oldest or 0

    def ended(self) -> dict[str, int]:
        """How many ended in which way, within the last KEEP_MS."""
        statement = "SELECT outcome, count(*) FROM outbox WHERE ended > 0 GROUP BY outcome"
        found = dict(self._database.fetch(statement, ()))
        return {end: found.get(end, 0) for end in ENDS}

    def rows(self, most: int) -> list[Row]:
        """The newest `most` messages."""
        statement = (
            "SELECT id, account, kind, created, tries, next_try, outcome, ended FROM outbox "
            "ORDER BY created DESC, id LIMIT ?"
        )
        return [Row(*row) for row in self._database.fetch(statement, (most,))]

    def forget(self) -> None:
        """Remove every message: what a copy, or a restored database, must never send. An older schema has none."""
        with self._database.write() as connection:
            if inspect(connection).has_table(schema.outbox.name):
                connection.exec_driver_sql("DELETE FROM outbox")


def _receivers(one: Message, admins: Sequence[Member]) -> Sequence[str]:
    """Whom a message is for: its account, or those of the `admins` that are its hospital's."""
    if not one.account.startswith(HOSPITAL):
        return [one.account]
    return [
        admin.account
        for admin in admins
        if admin.hospital == one.account and admin.account != one.but
    ]


def _row(one: Message, due: int, sealed: bytes, address: bytes = b"") -> tuple[Any, ...]:
    """A message as the table has it, to be sent from `due` (Unix ms) on; one that goes nowhere has ended."""
    params = json.dumps(dict(one.params))
    ended = ("", 0) if sealed else (UNREACHABLE, due)
    return (one.id, one.account, one.kind, params, sealed, address, due, 0, due, *ended)
