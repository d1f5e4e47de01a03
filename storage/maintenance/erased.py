"""What was erased: entries still name it, and neither key nor ciphertext is missed by whoever compares them with the log."""

from collections.abc import Collection

from sqlalchemy import inspect

from ledger.facts import BEGUN, COMPLETED, Erasure
from storage.sql import schema
from storage.sql.database import Database

ErasedRecords = Collection[tuple[str, str]]
"""(patient, record), of a whole chart with an empty record."""


def erased_in(database: Database) -> ErasedRecords:
    """What erasures have begun to destroy, or have destroyed; an older schema knows of none."""
    table = schema.TABLES[Erasure].name
    with database.read() as connection:
        if not inspect(connection).has_table(table):
            return frozenset()
        statement = f"SELECT patient, record FROM {table} WHERE state IN (?, ?)"
        rows = connection.exec_driver_sql(database.sql(statement), (BEGUN, COMPLETED))
        return frozenset((str(patient), str(record)) for patient, record in rows)


def is_erased(erased: ErasedRecords, patient: str, record: str) -> bool:
    """Whether a record was erased, by itself or with its chart."""
    return (patient, record) in erased or (patient, "") in erased
