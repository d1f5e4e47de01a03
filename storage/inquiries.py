"""Inquiries: who asks whoever stated a number, or holds a health card, by keyed hashes; outside the log.

An entry on a patient's stream would tell that there is such a patient: by its number, by a receipt, by the size of the log. So an
inquiry is the same row whether or not it reaches anybody, and nobody is looked for when it is put. Whom it reaches, finds it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from crypto.identity import IdentityRoot
from storage.sql import schema
from storage.sql.database import Database

INQUIRIES_READ = 500
"""Most inquiries under one keyed hash that are looked through, the newest first."""
CARD = "card"
"""The kind of keyed hash by which an inquiry finds the patient of a health card (`IdentityRoot.index`)."""
_SEAL = "inquiry"
_COLUMNS = "inquiry, asker, role, hospital, sealed, created, until"


class KeptInquiry(NamedTuple):
    """An inquiry as it is kept."""

    inquiry: str
    asker: str
    role: str
    hospital: str
    """For which the asker acts; empty for relatives."""
    said: dict[str, Any]
    """What is asked, and why."""
    created: int
    """Unix ms, as `until`, from which on it counts no more."""
    until: int


class Inquiries:
    """The inquiries of one database."""

    def __init__(self, database: Database, identity: IdentityRoot) -> None:
        """`identity`: what seals them, and keys the hashes."""
        self._database, self._identity = database, identity

    def put(self, digest: bytes, one: KeptInquiry) -> None:
        """Keep an inquiry to whoever has this hash, in place of what the same asker asked there in the same role before."""
        sealed = self._identity.seal(_SEAL, one.inquiry, orjson.dumps(one.said))
        row = (
            digest,
            one.asker,
            one.role,
            one.hospital,
            one.inquiry,
            sealed,
            one.created,
            one.until,
        )
        with self._database.write() as connection:
            self._run(connection, "DELETE FROM inquiries WHERE until <= ?", one.created)
            self._database.upsert(connection, schema.inquiries, [row])

    def to(self, digests: Sequence[bytes], now: int) -> list[KeptInquiry]:
        """The inquiries to whoever has these hashes that count at `now` (Unix ms), the newest first, at most INQUIRIES_READ
        of each; raises SealError."""
        statement = (
            f"SELECT {_COLUMNS} FROM inquiries WHERE hash = ? AND until > ? "
            f"ORDER BY created DESC LIMIT {INQUIRIES_READ}"
        )
        rows = [row for digest in digests for row in self._database.fetch(statement, (digest, now))]
        found = [
            KeptInquiry(
                inquiry, asker, role, hospital,
                orjson.loads(self._identity.open(_SEAL, inquiry, bytes(sealed))), created, until,
            )
            for inquiry, asker, role, hospital, sealed, created, until in rows
        ]  # fmt: skip
        return sorted(found, key=lambda one: (-one.created, one.inquiry))

    def remove(self, digests: Sequence[bytes], inquiry: str) -> None:
        """Remove one inquiry to whoever has one of these hashes."""
        statement = "DELETE FROM inquiries WHERE hash = ? AND inquiry = ?"
        with self._database.write() as connection:
            for digest in digests:
                self._run(connection, statement, digest, inquiry)

    def forget(self, digests: Sequence[bytes]) -> None:
        """Remove all inquiries to whoever has one of these hashes: part of an erasure."""
        with self._database.write() as connection:
            for digest in digests:
                self._run(connection, "DELETE FROM inquiries WHERE hash = ?", digest)

    def remove_old(self, now: int) -> None:
        """Remove those that count no more at `now` (Unix ms)."""
        statement = "SELECT 1 FROM inquiries WHERE until <= ? LIMIT 1"
        if self._database.fetch(statement, (now,)):
            with self._database.write() as connection:
                self._run(connection, "DELETE FROM inquiries WHERE until <= ?", now)

    def card(self, patient: str) -> bytes:
        """The keyed hash of what a health card holds, 32 bytes."""
        return self._identity.index(CARD, patient)

    def _run(self, connection: Connection, statement: str, *values: object) -> None:
        connection.exec_driver_sql(self._database.sql(statement), values)
