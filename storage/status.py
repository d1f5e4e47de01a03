"""How a ledger stands, read from its head without opening it: nothing is verified here."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import inspect

from durable.errors import StartRefused
from ledger.editions import edition_of
from storage.reviews import NOTHING_OWED, Owed, owed
from storage.sql.entries import EntryStore
from storage.sql.upgrade import revisions


@dataclass(frozen=True)
class Status:
    """Sizes in entries, times in ms, room in bytes."""

    origin: str
    size: int
    published: int
    """Size of the last published checkpoint."""
    published_age: int
    """How long ago it was published."""
    last_age: int
    """How long ago the last entry was; negative: this clock stands behind the log's time."""
    database_clock: int | None
    """How far the database's clock stands before this one; None where they are one."""
    edition: int | None
    """Of the registry that the log names; None if this program doesn't know it."""
    schema: str
    free: int
    """Room left on the disk of the data directory."""
    owed: Owed = NOTHING_OWED
    """Reviews of emergencies, and patients to be told of disclosures; nothing in a schema that has none."""

    @property
    def lag(self) -> int:
        """Entries under no published checkpoint yet."""
        return self.size - self.published


def status(store: EntryStore, data: Path, clock: Callable[[], int]) -> Status:
    """The status by `clock` (Unix ms), which is read last: no entry made meanwhile is ahead of it.

    Raises StartRefused where there is no log.
    """
    with store.database.read() as connection:
        schema, _ = revisions(connection)
        head = store.head(connection)
        has_reviews = inspect(connection).has_table("emergencies")
        there, now = store.database.clock(connection), clock()
    if head is None:
        raise StartRefused("the database holds no log, and one was expected here")
    return Status(
        head.origin, head.size, head.published, now - head.published_time, now - head.time,
        None if there is None else there - now, edition_of(head.registry), schema,
        shutil.disk_usage(data).free, owed(store.database, now) if has_reviews else NOTHING_OWED,
    )  # fmt: skip
