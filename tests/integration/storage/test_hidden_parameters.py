"""What a statement was given stands in no text of its error: such texts go to the server's own log."""

import pytest
from sqlalchemy.exc import DBAPIError

from storage.sql import schema
from tests.support.ledger_fixture import LedgerFixture

PLANTED = "planted horse"


def test_an_error_does_not_say_what_a_statement_was_given(fixture: LedgerFixture) -> None:
    """Neither a writing one nor a reading one, nor one of many rows; whatever the engine."""
    database = fixture.ledger.database
    with pytest.raises(DBAPIError) as reading:
        database.fetch("SELECT nothing FROM credentials WHERE password = ?", (PLANTED,))
    writing = list[str]()
    for statement in (
        "INSERT INTO credentials (account, password, version) VALUES (?, ?, NULL)",
        "INSERT INTO nowhere (account, password) VALUES (?, ?)",
    ):
        with pytest.raises(DBAPIError) as error, database.write() as connection:
            connection.exec_driver_sql(database.sql(statement), ("ac_1", PLANTED))
        writing.append(str(error.value))
    rows = [{"account": "ac_1", "password": PLANTED, "version": 1}] * 2
    with pytest.raises(DBAPIError) as many, database.write() as connection:
        connection.execute(schema.credentials.insert(), rows)
    for text in (str(reading.value), *writing, str(many.value)):
        assert "Error" in text or "Violation" in text or "Undefined" in text
        assert PLANTED not in text
