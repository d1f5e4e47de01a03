"""What no entry names: staged keys whose entry never came, and blobs without a key.

The log says what is named. A view only spares looking: what it doesn't know is looked for in the entries
themselves, so a bent or lost view never makes a blob look forgotten.
"""

import re
from collections.abc import Callable, Collection, Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Connection, literal, or_, select

from crypto.ids import time_of
from ledger.entry import Entry
from ledger.facts import Record
from ledger.tiles import TILE_WIDTH
from ledger.times import DAY_MS
from storage.errors import BlobError
from storage.sql import schema
from storage.sql.entries import EntryStore
from storage.stores import Stores, read_apart

STAGED_MS = DAY_MS
"""How long what was staged waits for its entry, at least."""
SKEW_MS = 3_600_000
"""An entry is looked for from so long before its blob's birth on, as clocks of two machines may differ."""
PAGE = 1_000
"""Blobs looked at together."""

_IDS = re.compile(rb"(?:bl|rc)_[0-7][0-9a-hjkmnp-tv-z]{25}").findall
Check = Callable[[], None]
"""Called between two steps of a long look; it may raise."""


class Unnamed(NamedTuple):
    """A blob that is staged, or has no key at all.

    `since`: when its key was staged, or the blob written; Unix ms.
    """

    blob: str
    record: str
    """The record it was staged for, empty where that is in use otherwise, or not known."""
    patient: str
    since: int


class Page(NamedTuple):
    """Blobs that no entry below `size` names."""

    blobs: list[Unnamed]
    size: int


def staged(stores: Stores, before: int, check: Check = lambda: None) -> Iterator[Page]:
    """Blobs with a key staged before `before` (Unix ms) that no entry names, by pages."""
    size, after = _size(stores), ""
    records = schema.TABLES[Record]
    key, record = schema.blob_keys.c, records.c
    unseen = record.versions.notlike(literal("%") + key.blob + literal("%"))
    while True:
        query = (
            select(key.blob, key.record, key.patient, key.staged_at)
            .select_from(schema.blob_keys.outerjoin(records, record.record == key.record))
            .where(key.blob > after, key.staged_at < before, or_(record.record.is_(None), unseen))
            .order_by(key.blob)
            .limit(PAGE)
        )
        with stores.database.read() as connection:
            page = [Unnamed(*row) for row in connection.execute(query)]
        if not page:
            return
        after = page[-1].blob
        yield Page(still_unnamed(stores, page, size, 0, check), size)


def strays(
    stores: Stores,
    before: int,
    check: Check = lambda: None,
    written: Callable[[str], int] | None = None,
) -> Iterator[Page]:
    """Blobs born and written before `before` (Unix ms) that have no key, and that no entry names; by pages.

    `written`: when a blob was written, Unix ms, where not the store is to be asked.
    """
    tell = written or partial(_written, stores)
    size, listed = _size(stores), iter(stores.blobs.list())
    while names := list(islice(listed, PAGE)):
        check()
        with stores.database.read() as connection:
            keyed = {key.blob for key in stores.keys.blob_keys(connection, names)}
        found = [Unnamed(name, "", "", tell(name)) for name in names if name not in keyed]
        page = [one for one in found if max(one.since, time_of(one.blob)) < before]
        if page:
            yield Page(still_unnamed(stores, page, size, 0, check), size)


def still_unnamed(
    stores: Stores,
    page: list[Unnamed],
    size: int,
    low: int,
    check: Check = lambda: None,
    within: Connection | None = None,
) -> list[Unnamed]:
    """Those of a page whose blob no entry from `low` on and below `size` names.

    `within`: the transaction that holds the head's lock; asking for another connection in it could wait for ever.
    """
    since = min((min(one.since, time_of(one.blob)) for one in page), default=0) - SKEW_MS
    wanted = {name for one in page for name in (one.blob, one.record)}
    known = named(stores.store, wanted, since, size, low, check, within)
    left = [one for one in page if one.blob not in known]
    return [one if _own_record(one, known) else one._replace(record="") for one in left]


def _own_record(one: Unnamed, known: Collection[str]) -> bool:
    """Whether the record was made for this blob: an older one has entries from before the look."""
    if not one.record or one.record in known:
        return False
    return abs(time_of(one.blob) - time_of(one.record)) < SKEW_MS // 2


def named(
    store: EntryStore,
    names: Collection[str],
    since: int,
    size: int,
    low: int = 0,
    check: Check = lambda: None,
    within: Connection | None = None,
) -> set[str]:
    """Those of the ids of blobs and records that stand anywhere in an entry from `low` on and below `size`.

    The log is walked backwards, to entries before `since` (Unix ms); `within`: see `still_unnamed`.
    """
    wanted, found = {name.encode() for name in names}, set[bytes]()
    end = size
    while end > low and found != wanted:
        check()
        start = max(low, end - TILE_WIDTH)
        raws = store.range(within, start, end) if within else read_apart(store, start, end)
        found.update(name for raw in raws for name in _IDS(raw) if name in wanted)
        if raws and Entry.stored(raws[0]).time < since:
            break
        end = start
    return {name.decode() for name in found}


def _size(stores: Stores) -> int:
    with stores.database.read() as connection:
        head = stores.store.head(connection)
    return head.size if head else 0


def _written(stores: Stores, blob: str) -> int:
    """When a blob was written; one that is gone meanwhile counts as just written."""
    try:
        return stores.blobs.written(blob)
    except BlobError:
        return 1 << 62
