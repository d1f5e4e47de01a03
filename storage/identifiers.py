"""Hospitals' own names of their patients, and of what they imported, as keyed hashes; outside the log."""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from storage import schema
from storage.database import Database

_KEY_LABEL = b"heartwood/identifiers/v1"
_IMPORTED_LABEL = b"heartwood/imported/v1"
HASH_BYTES = 16
"""Of an imported unit's name, and of its content: enough not to meet by chance among 10^12."""
SEVERAL = ""
"""The patient of a number that several patients bear."""


class Identifiers:
    """Finds a patient by a hospital's own identifier without keeping the identifier."""

    def __init__(self, database: Database, identity_root: bytes) -> None:
        """The hash's key is derived from the identity root."""
        self._database = database
        self._key = hmac.digest(identity_root, _KEY_LABEL, "sha256")

    def find(self, hospital: str, identifiers: Iterable[str]) -> dict[str, str]:
        """The patients of those identifiers (`<system>|<value>`) that the hospital knows.

        SEVERAL for a number that finds nobody because several patients bear it.
        """
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

    def number(self, hospital: str, patient: str, numbers: Iterable[str]) -> None:
        """Keep numbers that may not be the patient's alone; one that another has too is nobody's from now on."""
        rows = [(hospital, self._hash(hospital, number), patient) for number in numbers]
        with self._database.write() as connection:
            self._database.run_many(
                connection,
                f"INSERT INTO {schema.identifiers.name} AS kept (hospital, hash, patient) VALUES (?, ?, ?) "
                "ON CONFLICT (hospital, hash) DO UPDATE SET patient = "
                f"CASE WHEN kept.patient = excluded.patient THEN kept.patient ELSE '{SEVERAL}' END",
                rows,
            )

    def forget(self, patient: str) -> None:
        """Forget every name of a patient: part of an erasure."""
        _forget(self._database, schema.identifiers.name, patient)

    def _hash(self, hospital: str, identifier: str) -> bytes:
        return hmac.digest(self._key, f"{hospital}\0{identifier}".encode(), "sha256")


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a unit went: an object of the log, its version, and the unit's content as a keyed hash."""

    object: str
    """A record; of an encounter's name, the episode."""
    version: int
    """The record's version that holds the unit; 0 for an episode."""
    digest: bytes = b""
    """HASH_BYTES, then what its source says of version, status and time (see `records.imports.standing`)."""


class Imported:
    """Knows the units of a hospital's sources again without keeping their names or hashes of their contents."""

    def __init__(self, database: Database, identity_root: bytes) -> None:
        """The hashes' key is derived from the identity root."""
        self._database = database
        self._key = hmac.digest(identity_root, _IMPORTED_LABEL, "sha256")

    def of(self, patient: str) -> dict[bytes, Kept]:
        """What is kept of a patient, of all hospitals, by `name`."""
        statement = "SELECT hash, object, version, digest FROM imported WHERE patient = ?"
        with self._database.read() as connection:
            rows = connection.exec_driver_sql(self._database.sql(statement), (patient,))
            return {bytes(row[0]): Kept(row[1], row[2], bytes(row[3])) for row in rows}

    def keep(self, patient: str, rows: Mapping[bytes, Kept]) -> None:
        """Keep or replace, durably: before the entries that it is about, which may then never come."""
        with self._database.write() as connection:
            self._database.upsert(
                connection,
                schema.imported,
                [(patient, name, k.object, k.version, k.digest) for name, k in rows.items()],
            )

    def forget(self, patient: str) -> None:
        """Forget what was imported of a patient: part of an erasure."""
        _forget(self._database, schema.imported.name, patient)

    def name(self, hospital: str, patient: str, name: str) -> bytes:
        """The keyed hash of a unit's name at a hospital, HASH_BYTES."""
        return self._hash(b"name", f"{hospital}\0{patient}\0{name}".encode())

    def digest(self, patient: str, sha256: bytes) -> bytes:
        """The keyed hash of a unit's content, HASH_BYTES: its plain hash could be guessed."""
        return self._hash(b"content", patient.encode() + b"\0" + sha256)

    def _hash(self, kind: bytes, data: bytes) -> bytes:
        return hmac.digest(self._key, kind + b"\0" + data, "sha256")[:HASH_BYTES]


def _forget(database: Database, table: str, patient: str) -> None:
    with database.write() as connection:
        statement = f"DELETE FROM {table} WHERE patient = ?"
        connection.exec_driver_sql(database.sql(statement), (patient,))
