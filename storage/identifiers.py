"""Hospitals' own identifiers of their patients, as keyed hashes; outside the log."""

import hmac
from collections.abc import Iterable

from storage import schema
from storage.database import Database

_KEY_LABEL = b"heartwood/identifiers/v1"


class Identifiers:
    """Finds a patient by a hospital's own identifier without keeping the identifier."""

    def __init__(self, database: Database, identity_root: bytes) -> None:
        """The hash's key is derived from the identity root."""
        self._database = database
        self._key = hmac.digest(identity_root, _KEY_LABEL, "sha256")

    def find(self, hospital: str, identifiers: Iterable[str]) -> dict[str, str]:
        """The patients of those identifiers (`<system>|<value>`) that the hospital knows."""
        hashes = {self._hash(hospital, identifier): identifier for identifier in identifiers}
        found = {}
        statement = self._database.sql(
            "SELECT patient FROM identifiers WHERE hospital = ? AND hash = ?"
        )
        with self._database.read() as connection:
            for digest, identifier in hashes.items():
                row = connection.exec_driver_sql(statement, (hospital, digest)).first()
                if row is not None:
                    found[identifier] = row[0]
        return found

    def reserve(self, hospital: str, patients: dict[str, str]) -> dict[str, str]:
        """Keep identifier → patient; gives what is kept, where another process was first its patient."""
        rows = [(hospital, self._hash(hospital, i), patient) for i, patient in patients.items()]
        with self._database.write() as connection:
            self._database.run_many(
                connection,
                f"INSERT INTO {schema.identifiers.name} (hospital, hash, patient) VALUES (?, ?, ?) "
                "ON CONFLICT (hospital, hash) DO NOTHING",
                rows,
            )
        return self.find(hospital, patients)

    def _hash(self, hospital: str, identifier: str) -> bytes:
        return hmac.digest(self._key, f"{hospital}\0{identifier}".encode(), "sha256")
