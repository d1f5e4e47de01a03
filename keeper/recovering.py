"""Keys that were put in by recovery wait by the keeper's own clock, too, from when it first read of them.

The log's time never goes back, but in a log where nothing else is written whoever holds its keys can date an entry days
back, and the key it puts in would count at once. What was read before, and is read anew, is believed to be as old as it
says: so is all that a new keeper is given first, which has nothing to compare it with.
"""

import sqlite3

from ledger.codes import CLOCK_SKEW_MOST_MS
from ledger.directory import RECOVERY_WAIT_MS
from ledger.entry import Entry
from ledger.errors import LedgerError

RECOVERED_TABLES = ("recovered", "began")
RECOVERED = (
    "CREATE TABLE IF NOT EXISTS recovered (key TEXT PRIMARY KEY, read INTEGER) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS began (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER)",
)
WAIT_MS = RECOVERY_WAIT_MS - CLOCK_SKEW_MOST_MS
"""How long such a key waits here: an hour less than in the log, for a keeper that was down or whose clock is behind."""


def believe(connection: sqlite3.Connection, size: int) -> None:
    """Believe the times of the first `size` entries, which a new keeper is shown first; once for all."""
    connection.execute("INSERT OR IGNORE INTO began VALUES (1, ?)", (size,))


def believed(connection: sqlite3.Connection) -> int:
    """Of how many entries the times are believed, because the keeper was new."""
    row = connection.execute("SELECT size FROM began").fetchone()
    return int(row[0]) if row else 0


def waiting(connection: sqlite3.Connection) -> dict[str, int]:
    """Keys that were put in by recovery, and when they were first read of (Unix ms)."""
    return dict(connection.execute("SELECT key, read FROM recovered").fetchall())


def recovered_key(entry: Entry) -> str | None:
    """The key that an entry puts in by recovery, or None."""
    event = entry.event
    if event.type.name == "key.registered" and event.body.get("recovery"):
        return str(event.body["key"])
    return None


def remember(connection: sqlite3.Connection, key: str, now: int) -> None:
    """Write down when such a key was first read of."""
    connection.execute("INSERT OR IGNORE INTO recovered VALUES (?, ?)", (key, now))


def check_waited(key: str, read: int | None, now: int) -> None:
    """Raises LedgerError for what is signed by a key that was put in by recovery and has not waited since `read`."""
    if read is not None and now < read + WAIT_MS:
        raise LedgerError(
            f"it is signed by {key}, a key put in by recovery: by the keeper's clock it waits a day, too"
        )
