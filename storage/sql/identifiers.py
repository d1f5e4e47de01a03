"""Hospitals' own names of their patients, and of what they imported, as keyed hashes; outside the log."""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from storage.sql import schema
from storage.sql.database import CRASHED_SECONDS, Database

_KEY_LABEL = b"heartwood/identifiers/v1"
_IMPORTED_LABEL = b"heartwood/imported/v1"
_TRAITS_LABEL = b"heartwood/traits/v1"
HASH_BYTES = 16
"""Of an imported unit's name, and of its content: enough not to meet by chance among 10^12."""
HOMES_ASKED = 500
"""Names in one statement."""
SEVERAL = ""
"""The patient of a number that several patients bear."""


@dataclass(frozen=True, slots=True)
class Witness:
    """What confirms that a number is a patient's: name, birth date and sex as keyed hashes."""

    since: int
    """The log's size when it was kept: a correction of the patient from that entry on goes before it."""
    traits: str
    """Made of `Identifiers.trait`; the form is the caller's."""


class Identifiers:
    """Finds a patient by a hospital's own identifier without keeping the identifier."""

    def __init__(self, database: Database, identity_root: bytes) -> None:
        """The hash's key is derived from the identity root."""
        self._database = database
        self._key = hmac.digest(identity_root, _KEY_LABEL, "sha256")
        self._traits_key = hmac.digest(identity_root, _TRAITS_LABEL, "sha256")
        self.imported = Imported(database, identity_root)
        """What else is kept of a hospital's names: those of the units that it imported."""

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

    def trait(self, patient: str, kind: str, text: str) -> str:
        """A part of a patient's name, birth date or sex as a keyed hash, in hex.

        The same part of two patients has two hashes: the table tells nobody who shares a birthday.
        """
        data = f"{patient}\0{kind}\0{text}".encode("utf-8", "backslashreplace")
        return hmac.digest(self._traits_key, data, "sha256")[:HASH_BYTES].hex()

    def witness(self, patient: str) -> Witness | None:
        """What was kept of the patient; None for one of whom nothing was."""
        statement = self._database.sql("SELECT since, traits FROM witnesses WHERE patient = ?")
        with self._database.read() as connection:
            row = connection.exec_driver_sql(statement, (patient,)).first()
        return None if row is None else Witness(*row)

    def keep_witnesses(self, witnesses: Mapping[str, Witness]) -> None:
        """Keep those of some patients, in place of what was kept before."""
        rows = [(patient, one.since, one.traits) for patient, one in witnesses.items()]
        with self._database.write() as connection:
            self._database.upsert(connection, schema.witnesses, rows)

    def forget(self, patient: str) -> None:
        """Forget every name of a patient, and what confirms them: part of an erasure."""
        _forget(self._database, patient, _NAMES)

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
    """HASH_BYTES, then what its source says of version, status and time (see `imports.standing`)."""


class Imported:
    """Knows the units of a hospital's sources again without keeping their names or hashes of their contents."""

    def __init__(self, database: Database, identity_root: bytes) -> None:
        """The hashes' key is derived from the identity root."""
        self._database = database
        self._key = hmac.digest(identity_root, _IMPORTED_LABEL, "sha256")

    def alone(self, hospital: str) -> AbstractContextManager[bool]:
        """Whether no other process imports for the hospital; none does until the end."""
        return self._database.alone(f"import_{hospital}", CRASHED_SECONDS)

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

    def homes(self, hospital: str, names: Iterable[str]) -> dict[str, set[str]]:
        """The patients into whose charts units of these names went, by the name; none for a new one."""
        hashes = {self._home(hospital, name): name for name in names}
        found: dict[str, set[str]] = {}
        with self._database.read() as connection:
            asked = list(hashes)
            for start in range(0, len(asked), HOMES_ASKED):
                some = asked[start : start + HOMES_ASKED]
                marks = ", ".join("?" * len(some))
                statement = self._database.sql(
                    f"SELECT hash, patient FROM unit_homes WHERE hospital = ? AND hash IN ({marks})"
                )
                for digest, patient in connection.exec_driver_sql(statement, (hospital, *some)):
                    found.setdefault(hashes[bytes(digest)], set()).add(patient)
        return found

    def settle(self, hospital: str, patient: str, names: Iterable[str]) -> None:
        """Keep that units of these names went into the patient's chart."""
        rows = [(hospital, self._home(hospital, name), patient) for name in names]
        with self._database.write() as connection:
            self._database.run_many(
                connection,
                f"INSERT INTO {schema.unit_homes.name} (hospital, hash, patient) VALUES (?, ?, ?) "
                "ON CONFLICT (hospital, hash, patient) DO NOTHING",
                rows,
            )

    def forget(self, patient: str) -> None:
        """Forget what was imported of a patient: part of an erasure."""
        _forget(self._database, patient, _UNITS)

    def _home(self, hospital: str, name: str) -> bytes:
        return self._hash(b"home", f"{hospital}\0{name}".encode())

    def name(self, hospital: str, patient: str, name: str) -> bytes:
        """The keyed hash of a unit's name at a hospital, HASH_BYTES."""
        return self._hash(b"name", f"{hospital}\0{patient}\0{name}".encode())

    def digest(self, patient: str, sha256: bytes) -> bytes:
        """The keyed hash of a unit's content, HASH_BYTES: its plain hash could be guessed."""
        return self._hash(b"content", patient.encode() + b"\0" + sha256)

    def _hash(self, kind: bytes, data: bytes) -> bytes:
        return hmac.digest(self._key, kind + b"\0" + data, "sha256")[:HASH_BYTES]


_NAMES = (schema.identifiers.name, schema.witnesses.name)
_UNITS = (schema.imported.name, schema.unit_homes.name)


def forget_patient(database: Database, patient: str) -> None:
    """Forget all that stands of a patient beside the log: every name, the number that they stated, what confirms them, and
    what was imported."""
    _forget(database, patient, (*_NAMES, *_UNITS, schema.patient_numbers.name))


def _forget(database: Database, patient: str, tables: Sequence[str]) -> None:
    with database.write() as connection:
        for table in tables:
            statement = f"DELETE FROM {table} WHERE patient = ?"
            connection.exec_driver_sql(database.sql(statement), (patient,))
