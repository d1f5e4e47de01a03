"""What a dry run would have kept, on disk: so that its second file meets what its first would have brought."""

import sqlite3
from collections.abc import Mapping

from storage.sql.identifiers import Kept


class Tried:
    """Kept rows by patient, in a temporary file without a name, which goes when it is closed."""

    def __init__(self) -> None:
        """Empty."""
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute(
            "CREATE TABLE kept (patient TEXT, name BLOB, object TEXT, version INTEGER, digest BLOB, "
            "PRIMARY KEY (patient, name)) WITHOUT ROWID"
        )

    def of(self, patient: str) -> dict[bytes, Kept]:
        """What would be kept of a patient, by name."""
        sql = "SELECT name, object, version, digest FROM kept WHERE patient = ?"
        return {row[0]: Kept(*row[1:]) for row in self._db.execute(sql, (patient,))}

    def keep(self, patient: str, rows: Mapping[bytes, Kept]) -> None:
        """Keep or replace."""
        self._db.executemany(
            "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?)",
            [(patient, name, k.object, k.version, k.digest) for name, k in rows.items()],
        )
