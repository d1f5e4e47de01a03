"""Mobile numbers that patients state to be found by, as keyed hashes; outside the log. No number stands anywhere."""

import re

from sqlalchemy import Connection

from crypto.errors import FormError
from crypto.identity import IdentityRoot
from storage.sql import schema
from storage.sql.database import Database

NUMBER = "number"
"""The kind of keyed hash by which a stated number is found (`IdentityRoot.index`)."""
TEL = "tel:"
"""How a number is told from a hospital's own identifier, as in RFC 3966."""
NUMBER_CHARACTERS = 40
"""Longest text that is read as a number: 15 digits, their plus, and what stands between them."""
_SEPARATORS = str.maketrans("", "", " \u00a0-./()")
_E164 = re.compile(r"\+[1-9][0-9]{7,14}", re.ASCII).fullmatch


def normal_number(text: str) -> str:
    """A number in the form of ITU-T E.164: a plus, the country code, up to 15 digits in all; raises FormError.

    What stands between the digits is dropped, and so is `tel:`. A national number isn't guessed at, nor a trunk prefix in
    brackets, which isn't dialled from abroad: with it, it is another number. Nothing of the text is repeated.
    """
    said = text.strip().removeprefix(TEL)
    found = said.translate(_SEPARATORS)
    if len(text) > NUMBER_CHARACTERS or "(0)" in said or _E164(found) is None:
        raise FormError(
            f"got a text of {len(text)} characters that is no number of the form +49 170 1234567: a plus, the country code, "
            "and 8 to 15 digits in all, without the (0) of some countries"
        )
    return found


class Numbers:
    """The stated numbers of one database."""

    def __init__(self, database: Database, identity: IdentityRoot) -> None:
        """`identity`: what the hashes are keyed by."""
        self._database, self._identity = database, identity

    def state(self, patient: str, number: str, now: int) -> None:
        """Let a patient be found by a number (E.164), in place of the one before; `now`: Unix ms.

        Others may have stated it too. Nothing tells whether they have: it finds nobody then.
        """
        row = (patient, self.hash(number), now)
        with self._database.write() as connection:
            self._database.upsert(connection, schema.patient_numbers, [row])

    def since(self, patient: str) -> int:
        """When a patient stated the number that stands, Unix ms; 0 where none does."""
        statement = "SELECT since FROM patient_numbers WHERE patient = ?"
        rows = self._database.fetch(statement, (patient,))
        return int(rows[0][0]) if rows else 0

    def remove(self, patient: str) -> None:
        """Let a patient be found by no number any more."""
        with self._database.write() as connection:
            self._run(connection, "DELETE FROM patient_numbers WHERE patient = ?", patient)

    def candidate(self, number: str) -> tuple[str, bool]:
        """A patient to decide on, and whether the number (E.164) is that one's, and no other's.

        Of a number that nobody stated, or several did, it is some patient all the same, always the same one: the next by
        hash. Whoever asks does the same work for it, so that how long the answer takes doesn't tell whether it is anybody's.
        Empty only while no patient has stated any number.
        """
        wanted = self.hash(number)
        # Both are always looked for: the second is where the first ends.
        after = self._database.fetch(
            "SELECT patient, hash FROM patient_numbers WHERE hash >= ? ORDER BY hash, patient LIMIT 2",
            (wanted,),
        )
        first = self._database.fetch(
            "SELECT patient, hash FROM patient_numbers ORDER BY hash, patient LIMIT 1", ()
        )
        rows = [(str(patient), bytes(digest)) for patient, digest in (*after, *first)]
        if not rows:
            return "", False
        bearers = {patient for patient, digest in rows if digest == wanted}
        return rows[0][0], len(bearers) == 1

    def own(self, patient: str) -> bytes:
        """The hash of the number that this patient, and nobody else, stated; empty where there is none."""
        rows = self._database.fetch(
            "SELECT b.patient, b.hash FROM patient_numbers a JOIN patient_numbers b ON b.hash = a.hash WHERE a.patient = ? LIMIT 2",
            (patient,),
        )
        return bytes(rows[0][1]) if len(rows) == 1 else b""

    def hash(self, number: str) -> bytes:
        """The keyed hash of a number (E.164), 32 bytes."""
        return self._identity.index(NUMBER, number)

    def _run(self, connection: Connection, statement: str, *values: object) -> None:
        connection.exec_driver_sql(self._database.sql(statement), values)
