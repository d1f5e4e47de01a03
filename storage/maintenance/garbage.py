"""Garbage collection: removes what was staged and never named, a day later at the earliest.

A key goes first, under the head's lock, only while no entry names its blob; then the blob. So an append that
names it at the same instant either comes first, and the key stays, or finds no key and is refused. A crash
in between leaves a blob without a key, which the next sweep finds; a day after its birth no key comes any more
(`KEYED_MS`). So no blob is removed under a lock: a store that hangs holds up nobody who appends. What was reserved
without a blob (the keys of patients, accounts and groups) stays: a text sealed under it may still come in an event.
"""

import fcntl
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from sqlalchemy import Connection, delete, select

from crypto.ids import time_of
from durable.errors import StorageError
from durable.files import PRIVATE_MODE, leftovers
from storage.errors import BlobLocked, Unavailable
from storage.maintenance.orphans import (
    STAGED_MS,
    Check,
    Page,
    Unnamed,
    staged,
    still_unnamed,
    strays,
)
from storage.sql import schema
from storage.stores import Stores, restorations

SWEEP_MS = 6 * 3_600_000
"""Time between two sweeps of a serving machine."""
LOOK_SECONDS = 60.0
"""How often a serving process looks whether a sweep is due."""
LAST_SWEEP = "sweep"
"""The file of the data directory that says when this machine swept last; its lock lets one process sweep."""


@dataclass
class Collected:
    """What a sweep removed, by name."""

    blobs: list[str] = field(default_factory=list)
    """Staged blobs with their keys."""
    strays: list[str] = field(default_factory=list)
    """Blobs that had no key."""
    files: list[str] = field(default_factory=list)
    """Temporary files of writers that were killed."""
    locked: list[str] = field(default_factory=list)
    """What a lock of the store still holds, in words that say until when; a later sweep removes it."""
    kept: list[str] = field(default_factory=list)
    """Blobs without a key from before a restored backup: their entries may be among those that were lost."""


def sweep(stores: Stores, data: Path, now: int, check: Check = lambda: None) -> Collected:
    """Remove what was staged a day before `now` (Unix ms) and is named by no entry; see the module.

    `data`: the data directory, whose leftover temporary files go, too.
    """
    before, swept = now - STAGED_MS, Collected()
    for page in staged(stores, before, check):
        _remove_staged(stores, page, swept)
    restored = _restored_at(stores)
    for page in strays(stores, before, check):
        swept.kept += [one.blob for one in page.blobs if time_of(one.blob) <= restored]
        later = [one for one in page.blobs if time_of(one.blob) > restored]
        _remove_strays(stores, page._replace(blobs=later), swept)
    swept.files += stores.blobs.sweep(before)
    for folder in (data, data / "keeper", data / "people"):
        for path in leftovers(folder, before) if folder.is_dir() else ():
            path.unlink(missing_ok=True)
            swept.files.append(path.name)
    return swept


def check_clock(doubt: str | None) -> None:
    """Raises Unavailable where the clock is in doubt: by one that is ahead, all that is staged is old."""
    if doubt:
        raise Unavailable("clock", f"nothing is removed: {doubt}")


def sweep_keys(stores: Stores, before: int) -> None:
    """Remove the keys alone of what was staged before `before` (Unix ms) and is named by no entry."""
    for page in staged(stores, before):
        with stores.database.write() as connection:
            _remove_keys(connection, _unnamed_now(stores, connection, page))


def _remove_staged(stores: Stores, page: Page, swept: Collected) -> None:
    """Keys first, in one transaction; then the blobs, which nobody can name any more."""
    if not page.blobs:
        return
    with stores.database.write() as connection:
        gone = _unnamed_now(stores, connection, page)
        _remove_keys(connection, gone)
    _remove(stores, gone, swept.blobs, swept.locked)


def _remove_strays(stores: Stores, page: Page, swept: Collected) -> None:
    """Remove blobs that have no key and, as old as they are, get none any more."""
    if not page.blobs:
        return
    with stores.database.write() as connection:
        gone = _unnamed_now(stores, connection, page)
        keyed = {k.blob for k in stores.keys.blob_keys(connection, [one.blob for one in gone])}
    gone = [one for one in gone if one.blob not in keyed]
    _remove(stores, gone, swept.strays, swept.locked)


def _remove(stores: Stores, gone: Sequence[Unnamed], removed: list[str], locked: list[str]) -> None:
    for one in gone:
        try:
            stores.blobs.remove(one.blob)
            removed.append(one.blob)
        except BlobLocked as error:
            if str(error) not in locked:
                locked.append(str(error))


def _unnamed_now(stores: Stores, connection: Connection, page: Page) -> list[Unnamed]:
    """Those that no entry names, from here to the end of the transaction; the look before had no lock."""
    head = stores.store.head(connection, lock=True)
    if head is None:
        raise StorageError("there is no log to ask what it names")
    stores.database.hold(connection, "object_keys", "blob_keys")
    return still_unnamed(stores, page.blobs, head.size, page.size)


def _remove_keys(connection: Connection, gone: list[Unnamed]) -> None:
    """Remove the keys of blobs, and those of their own records that have no other blob."""
    keys, objects = schema.blob_keys, schema.object_keys
    connection.execute(delete(keys).where(keys.c.blob.in_([one.blob for one in gone])))
    records = {one.record: one.patient for one in gone if one.record}
    left = select(keys.c.record).where(keys.c.record.in_(list(records)))
    for (record,) in connection.execute(left):
        records.pop(record, None)
    for record, patient in records.items():
        row = (objects.c.object == record, objects.c.subject == patient)
        connection.execute(delete(objects).where(*row))


def _restored_at(stores: Stores) -> int:
    """When the operator last accepted a restored database, Unix ms; 0 if never."""
    head = stores.store.head_now()
    found = restorations(stores.store, head.size) if head else []
    return max((entry.time for entry in found), default=0)


class _Stopping(Exception):
    """The process ends."""


class GarbageCollector:
    """Sweeps while a process serves: of all processes of a machine one at a time, every `SWEEP_MS`."""

    def __init__(
        self,
        stores: Stores,
        data: Path,
        clock: Callable[[], int],
        doubt: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`data`: the data directory; `clock`: Unix ms; `doubt`: why the clock may be wrong, or None."""
        self._stores, self._data, self._clock, self._doubt = stores, data, clock, doubt
        self._stop = threading.Event()

    @contextmanager
    def running(self, tell: Callable[[Collected | Exception], None]) -> Iterator[None]:
        """Sweep in a thread of its own until the end; `tell` gets what each sweep removed, or why it failed."""
        self._stop.clear()
        thread = threading.Thread(target=self._run, args=(tell,), name="garbage", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def due(self) -> Collected | None:
        """Sweep if the last one is long enough ago; None if it isn't, or another process is at it."""
        path = self._data / LAST_SWEEP
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_MODE), "r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            now = self._clock()
            if 0 <= now - _last(file) < SWEEP_MS:
                return None
            check_clock(self._doubt())
            swept = sweep(self._stores, self._data, now, self._check)
            file.seek(0)
            file.truncate()
            file.write(f"{now}\n")
            return swept

    def _run(self, tell: Callable[[Collected | Exception], None]) -> None:
        while not self._stop.is_set():
            try:
                swept = self.due()
                if swept is not None:
                    tell(swept)
            except _Stopping:
                return
            except Exception as error:  # told, and tried again: serving goes on without
                print(f"heartwood: sweeping failed: {error!r}", file=sys.stderr, flush=True)
                tell(error)
            self._stop.wait(LOOK_SECONDS)

    def _check(self) -> None:
        if self._stop.is_set():
            raise _Stopping


def _last(file: TextIO) -> int:
    """When the last sweep was, Unix ms; 0 if there was none, or the file doesn't tell."""
    text = file.read().strip()
    return int(text) if text.isdecimal() else 0
