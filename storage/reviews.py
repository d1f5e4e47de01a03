"""What people still owe: reviews of emergencies, and disclosures of which the patient is yet to be told. Counted alone."""

from typing import NamedTuple

from ledger.facts import Suspension
from storage.sql.database import Database
from storage.sql.rows import shape


class Owed(NamedTuple):
    """How many reviews are to come, how many of them are overdue, and how many patients should have been told by now."""

    reviews: int
    overdue: int
    untold: int


NOTHING_OWED = Owed(0, 0, 0)


def owed(database: Database, now: int) -> Owed:
    """What is owed at `now` (Unix ms)."""
    reviews = 'SELECT count(*), count(CASE WHEN "due" <= ? THEN 1 END) FROM emergencies WHERE reviewed = 0'
    (waiting, overdue), *_ = database.fetch(reviews, (now,))
    told = 'SELECT count(*) FROM suspensions WHERE told = 0 AND "until" <= ?'
    ((untold,), *_) = database.fetch(told, (now,))
    return Owed(waiting, overdue, untold)


def due_suspensions(database: Database, now: int, most: int) -> list[Suspension]:
    """Up to `most` disclosures of which the patient is to be told at `now` (Unix ms), the longest due first."""
    form = shape(Suspension)
    statement = f'SELECT {form.columns} FROM suspensions WHERE told = 0 AND "until" <= ? ORDER BY "until", disclosure LIMIT ?'
    return [form.decode(row) for row in database.fetch(statement, (now, most))]
