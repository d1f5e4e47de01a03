"""What keeps a ledger going without its secrets, whether or not it would open; and where a backup's parts lie."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from sqlalchemy.engine import make_url

from api.app.blobs import SAMPLE, Marked, adopt, make_blobs, mark_older, readable_blobs
from api.app.layout import (
    CHECKPOINT,
    CLOCK,
    database_of,
    keeper_folder,
    pinned_keys,
    read_marker,
    trusted_checkpoint,
)
from api.app.settings import Settings
from api.app.witnesses import witness_policy
from storage.blobs.files import BlobStore
from storage.blobs.place import Place
from storage.clock import accept_clock, this_boot, wall_clock
from storage.cosigning import WitnessStanding, standings_under
from storage.keytable import KeyTable
from storage.logkeys import StoredKeys
from storage.maintenance.backup import Secrets
from storage.maintenance.restore import Target
from storage.sql.entries import EntryStore
from storage.sql.upgrade import revisions, upgrade_database
from storage.start import check_start
from storage.status import Status, status
from storage.stores import Stores


@contextmanager
def opened_stores(
    settings: Settings, anchored: bool = False, blobs: BlobStore | None = None
) -> Iterator[Stores]:
    """The data of a ledger without its secrets, checked as at a start, even where one would be refused.

    `anchored`: not where the database doesn't extend the last checkpoint; `blobs`: another store than its own.
    """
    read_marker(settings)
    kept = readable_blobs(settings) if blobs is None else blobs
    pinned, database = pinned_keys(settings), database_of(settings)
    store = EntryStore(database)
    vkeys = StoredKeys(store)
    trusted = trusted_checkpoint(settings.data / CHECKPOINT, vkeys)
    last = trusted.acknowledged() if anchored else None
    try:
        with database.read() as connection:
            revisions(connection)
            check_start(store, connection, pinned, last, older=True)
        yield Stores(database, store, KeyTable(database), kept, vkeys)
    finally:
        database.close()


def upgrade_schema_of(settings: Settings) -> tuple[str, str]:
    """Bring a ledger's schema up to date, and its views; gives the revisions before and after."""
    read_marker(settings)
    database = database_of(settings)
    try:
        return upgrade_database(EntryStore(database), pinned_keys(settings))
    finally:
        database.close()


def mark_older_stores(settings: Settings) -> Marked:
    """Let the blob stores of a ledger that an older program made have their markers; see `mark_older`."""
    read_marker(settings)
    with closing(database_of(settings)) as database:
        return mark_older(settings, lambda: KeyTable(database).oldest_blobs(SAMPLE))


def adopt_store(settings: Settings, place: Place, name: str, empty: bool) -> None:
    """Make one store of a ledger's place its own again; see `adopt`."""
    read_marker(settings)
    with closing(database_of(settings)) as database:
        adopt(settings, place, name, KeyTable(database).oldest_blobs(SAMPLE), empty)


def status_of(settings: Settings, clock: Callable[[], int] = wall_clock) -> Status:
    """How a ledger stands, whether or not it would open."""
    read_marker(settings)
    database = database_of(settings)
    try:
        return status(EntryStore(database), settings.data, clock)
    finally:
        database.close()


def witnesses_of(settings: Settings) -> list[WitnessStanding]:
    """How the log's witnesses stand; none without a policy. Raises StartRefused."""
    policy = witness_policy(settings, pinned_keys(settings))
    if policy is None:
        return []
    database = database_of(settings)
    try:
        return standings_under(EntryStore(database), policy)
    finally:
        database.close()


def believe_clock(settings: Settings, said: int) -> None:
    """Believe this machine's clock from here on, as the operator says that it is `said` (Unix ms)."""
    read_marker(settings)
    accept_clock(settings.data / CLOCK, said, wall_clock(), this_boot())


def secrets_of(settings: Settings) -> Secrets:
    """Where what opens records, and signs, lies."""
    data = settings.data
    kept = None if settings.keeper else keeper_folder(settings)
    return Secrets(kept, data / "keys", data / "people", settings.roots())


def target_of(settings: Settings) -> Target:
    """Where a backup is restored to."""
    url = make_url(settings.url())
    file = Path(str(url.database)) if url.get_backend_name() == "sqlite" else None
    blobs = partial(make_blobs, settings, settings.blob_place())
    return Target(settings.data, file, partial(database_of, settings), secrets_of(settings), blobs)
