"""Keys that were put in by recovery wait by the keeper's own clock, too, from when it first read of them; so do erasures.

The log's time never goes back, but in a log where nothing else is written whoever holds its keys can date an entry days
back, and the key it puts in would count at once, or a chart be destroyed before anybody could withdraw. What was read before, and is read anew, is believed to be as old as it
says: so is all that a new keeper is given first, which has nothing to compare it with, what the operator signed for when the
log was restored, and what the keeper's own operator says.
"""

import sqlite3

from ledger.codes import CLOCK_SKEW_MOST_MS
from ledger.directory import RECOVERY_WAIT_MS
from ledger.entry import Entry
from ledger.errors import LedgerError
from ledger.facts import ERASURE_WAIT_MS

RECOVERED_TABLES = ("recovered", "began", "restored", "restorations")
RECOVERED = (
    "CREATE TABLE IF NOT EXISTS recovered (key TEXT PRIMARY KEY, read INTEGER) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS began (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER)",
    "CREATE TABLE IF NOT EXISTS restored (id INTEGER PRIMARY KEY CHECK (id = 1), floor INTEGER, size INTEGER)",
    "CREATE TABLE IF NOT EXISTS restorations (event TEXT PRIMARY KEY) WITHOUT ROWID",
)
WAIT_MS = RECOVERY_WAIT_MS - CLOCK_SKEW_MOST_MS
"""How long such a key waits here: an hour less than in the log, for a keeper that was down or whose clock is behind."""
ERASED_AFTER_MS = ERASURE_WAIT_MS - CLOCK_SKEW_MOST_MS
"""How long an erasure waits here, likewise."""


def believe(connection: sqlite3.Connection, size: int) -> None:
    """Believe the times of the first `size` entries, which a new keeper is shown first; once for all."""
    connection.execute("INSERT OR IGNORE INTO began VALUES (1, ?)", (size,))


def believe_more(connection: sqlite3.Connection, size: int) -> None:
    """Believe the times of the first `size` entries, because the keeper's operator says so."""
    connection.execute(
        "INSERT INTO began VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET size = max(size, excluded.size)",
        (size,),
    )


def believe_restored(connection: sqlite3.Connection, floor: int, size: int) -> None:
    """Of a log that was restored believe the first `size` entries alone, which the operator signed for.

    `floor`: the size of the checkpoint that it was shown under. What lies between the two was never read.
    """
    connection.execute("INSERT OR REPLACE INTO restored VALUES (1, ?, ?)", (floor, size))
    connection.execute("UPDATE began SET size = min(size, ?)", (size,))


def believed(connection: sqlite3.Connection, floor: int) -> int:
    """Of how many entries the times are believed: they were read before, or by a new keeper.

    `floor`: the size of the last checkpoint that was seen, up to which all was read, unless a restoration put it there.
    """
    row = connection.execute("SELECT size FROM restored WHERE floor = ?", (floor,)).fetchone()
    began = connection.execute("SELECT size FROM began").fetchone()
    return max(int(row[0]) if row else floor, int(began[0]) if began else 0)


def is_accepted(connection: sqlite3.Connection, event: str) -> bool:
    """Whether a `ledger.restored`, by its id, was accepted before."""
    statement = "SELECT 1 FROM restorations WHERE event = ?"
    return connection.execute(statement, (event,)).fetchone() is not None


def accept(connection: sqlite3.Connection, event: str) -> None:
    """Remember that a `ledger.restored` was accepted: the same words are no second restoration."""
    connection.execute("INSERT OR IGNORE INTO restorations VALUES (?)", (event,))


def waiting(connection: sqlite3.Connection) -> dict[str, int]:
    """Keys that were put in by recovery, and erasures, and when they were first read of (Unix ms)."""
    return dict(connection.execute("SELECT key, read FROM recovered").fetchall())


def waiting_name(entry: Entry) -> str | None:
    """The key that an entry puts in by recovery, or the erasure that it asks for; or None."""
    event = entry.event
    if event.type.name == "erasure.requested":
        return event.id
    if event.type.name == "key.registered" and event.body.get("recovery"):
        return str(event.body["key"])
    return None


def remember(connection: sqlite3.Connection, key: str, now: int) -> None:
    """Write down when such a key, or erasure, was first read of."""
    connection.execute("INSERT OR IGNORE INTO recovered VALUES (?, ?)", (key, now))


def stop_waiting(connection: sqlite3.Connection, keys: list[str]) -> None:
    """Let these keys wait no more."""
    connection.executemany("DELETE FROM recovered WHERE key = ?", [(key,) for key in keys])


def check_waited(key: str, read: int | None, now: int) -> None:
    """Raises LedgerError for what is signed by a key that was put in by recovery and has not waited since `read`."""
    if read is not None and now < read + WAIT_MS:
        raise LedgerError(
            f"it is signed by {key}, a key put in by recovery: by the keeper's clock it waits a day, too"
        )


def check_erasable(connection: sqlite3.Connection, erasure: str, now: int) -> None:
    """Raises LedgerError for an erasure that has not waited since it was first read of; `now`: Unix ms."""
    found = connection.execute("SELECT read FROM recovered WHERE key = ?", (erasure,)).fetchone()
    if found is not None and now < found[0] + ERASED_AFTER_MS:
        raise LedgerError(
            f"{erasure} was first read of {now - found[0]} ms ago: it waits here, too"
        )
