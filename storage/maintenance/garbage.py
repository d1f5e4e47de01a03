"""Garbage collection: removes what was staged and never named, a day later at the earliest.

A key goes first, under the head's lock, only while no entry names its blob; then the blob. So an append that
names it at the same instant either comes first, and the key stays, or finds no key and is refused. A crash
in between leaves a blob without a key, which the next sweep finds; a day after its birth no key comes any more
(`KEYED_MS`). So no blob is removed under a lock: a store that hangs holds up nobody who appends. One of several that
doesn't answer is asked once in a sweep: what it owes is remembered (`owed`) and tried again apart. What was reserved
without a blob (the keys of patients, accounts and groups) stays: a text sealed under it may still come in an event.
"""

import fcntl
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, delete, select

from crypto.ids import time_of
from durable.errors import StorageError
from durable.files import PRIVATE_MODE, leftovers
from storage.blobs.files import BlobStore, Member
from storage.errors import BlobError, BlobLocked, BlobsUnavailable, Unavailable
from storage.maintenance.orphans import (
    PAGE,
    STAGED_MS,
    Check,
    Page,
    Unnamed,
    staged,
    still_unnamed,
    strays,
)
from storage.maintenance.owed import LAST_SWEEP, Owed, SweepState
from storage.sql import schema
from storage.stores import Stores, restorations

Got = TypeVar("Got")
JUST_WRITTEN = 1 << 62
SWEEP_MS = 6 * 3_600_000
"""Time between two sweeps of a serving machine."""
LOOK_SECONDS = 60.0
"""How often a serving process looks whether a sweep is due."""


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
    owed: dict[str, list[str]] = field(default_factory=dict)
    """Of several stores those that don't answer, and what they may still have of what was removed elsewhere; of
    one that owed something and answers again: nothing."""
    silent: dict[str, str] = field(default_factory=dict)
    """Why they don't."""


def sweep(stores: Stores, data: Path, now: int, check: Check = lambda: None) -> Collected:
    """Remove what was staged a day before `now` (Unix ms) and is named by no entry; see the module.

    `data`: the data directory, whose leftover temporary files go, too. Raises BlobsUnavailable where a single store
    doesn't answer; of several, the others are swept.
    """
    before, swept = now - STAGED_MS, Collected()
    for page in staged(stores, before, check):
        _remove_staged(stores, page, swept)
    try:
        _sweep_strays(stores, before, swept, check)
    except BlobsUnavailable as error:
        if len(stores.blobs.members()) == 1:
            raise
        swept.silent.setdefault("", str(error))
    for member in stores.blobs.members():
        found = _asked(member, swept, lambda store: store.sweep(before))
        swept.files += [f"{member.name}: {one}" if member.name else one for one in found or ()]
    for folder in (data, data / "keeper", data / "people", data / "mail"):
        for path in leftovers(folder, before) if folder.is_dir() else ():
            path.unlink(missing_ok=True)
            swept.files.append(path.name)
    return swept


def _sweep_strays(stores: Stores, before: int, swept: Collected, check: Check) -> None:
    restored = _restored_at(stores)

    def written(blob: str) -> int:
        return _written(stores, blob, swept)

    for page in strays(stores, before, check, written):
        swept.kept += [one.blob for one in page.blobs if time_of(one.blob) <= restored]
        later = [one for one in page.blobs if time_of(one.blob) > restored]
        _remove_strays(stores, page._replace(blobs=later), swept)


def sweep_owed(stores: Stores, owed: Mapping[str, Sequence[str]]) -> Collected:
    """Remove from stores what they owe since they didn't answer, each looked at again: no key, and named by no entry."""
    swept, restored = Collected(), _restored_at(stores)
    head = stores.store.head_now()
    size = head.size if head else 0
    for member in stores.blobs.members():
        blobs = [blob for blob in owed.get(member.name, ()) if time_of(blob) > restored]
        for start in range(0, len(blobs), PAGE):
            part = [Unnamed(blob, "", "", time_of(blob)) for blob in blobs[start : start + PAGE]]
            page = Page(
                still_unnamed(stores, part, size, 0), size
            )  # the long look, without the lock
            _remove_from([member], _gone_strays(stores, page), swept)
    for name in owed:
        swept.owed.setdefault(name, [])
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
    swept.blobs += _remove_from(stores.blobs.members(), gone, swept)


def _remove_strays(stores: Stores, page: Page, swept: Collected) -> None:
    if page.blobs:
        gone = _gone_strays(stores, page)
        swept.strays += _remove_from(stores.blobs.members(), gone, swept)


def _gone_strays(stores: Stores, page: Page) -> list[Unnamed]:
    """Those of a page that have no key and, as old as they are, get none any more."""
    with stores.database.write() as connection:
        gone = _unnamed_now(stores, connection, page)
        keyed = {k.blob for k in stores.keys.blob_keys(connection, [one.blob for one in gone])}
    return [one for one in gone if one.blob not in keyed]


def _remove_from(members: Sequence[Member], gone: Sequence[Unnamed], swept: Collected) -> list[str]:
    """Remove blobs from stores; gives those that are in none of them any more, and notes what is owed or locked."""
    removed = []
    for one in gone:
        left = [member for member in members if not _removed(member, one.blob, swept)]
        if not left:
            removed.append(one.blob)
    return removed


def _removed(member: Member, blob: str, swept: Collected) -> bool:
    def remove(store: BlobStore) -> bool:
        store.remove(blob)
        return True

    try:
        if _asked(member, swept, remove):
            return True
        swept.owed.setdefault(member.name, []).append(blob)
    except BlobLocked as error:
        words = f"{member.name}: {error}" if member.name else str(error)
        if words not in swept.locked:
            swept.locked.append(words)
    except BlobError as error:  # declined: of several, the others are swept
        if not member.name:
            raise
        swept.silent[member.name] = str(error)
        swept.owed.setdefault(member.name, []).append(blob)
    return False


def _asked(member: Member, swept: Collected, ask: Callable[[BlobStore], Got]) -> Got | None:
    """What a store says; None of one of several that doesn't answer, which is asked no more in this sweep."""
    if member.name in swept.silent:
        return None
    try:
        return ask(member.store)
    except (BlobsUnavailable, OSError) as error:
        if not member.name:
            raise
        swept.silent[member.name] = str(error)
        return None


def _written(stores: Stores, blob: str, swept: Collected) -> int:
    """When the last copy of a blob was written; one that is gone, or that a silent store may have, as just written."""
    newest = 0
    for member in stores.blobs.members():
        try:
            moment = _asked(member, swept, lambda store: store.written(blob))
        except BlobError:  # this one has none
            continue
        if moment is None:
            return JUST_WRITTEN
        newest = max(newest, moment)
    return newest or JUST_WRITTEN


def _unnamed_now(stores: Stores, connection: Connection, page: Page) -> list[Unnamed]:
    """Those that no entry names, from here to the end of the transaction; the look before had no lock."""
    head = stores.store.head(connection, lock=True)
    if head is None:
        raise StorageError("there is no log to ask what it names")
    stores.database.hold(connection, "object_keys", "blob_keys")
    return still_unnamed(stores, page.blobs, head.size, page.size, within=connection)


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
        """Sweep if the last one is long enough ago, or a store owes something and was left alone long enough.

        None if nothing is due, or another process is at it. What fails is tried again later and later.
        """
        path = self._data / LAST_SWEEP
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_MODE), "r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            state, now = SweepState.read(file), self._clock()
            owed = {name: one.blobs for name, one in state.stores.items() if not one.waits(now)}
            whole = not 0 <= now - state.swept < SWEEP_MS and not state.whole.waits(now)
            if not owed and not whole:
                return None
            check_clock(self._doubt())
            try:
                return self._owed(state, owed, now) if owed else self._whole(state, now)
            finally:
                state.write(file)

    def _owed(self, state: SweepState, owed: Mapping[str, Sequence[str]], now: int) -> Collected:
        """Try those stores again; a whole sweep that is due, too, has its turn at the next look, also where this fails."""
        try:
            swept = sweep_owed(self._stores, owed)
        except Exception:
            for name in owed:
                state.stores[name].failed(now)
            raise
        state.remember(swept.owed, now)
        return swept

    def _whole(self, state: SweepState, now: int) -> Collected:
        try:
            swept = sweep(self._stores, self._data, now, self._check)
        except _Stopping:
            raise
        except Exception:
            state.whole.failed(now)
            raise
        for name, blobs in swept.owed.items():
            before = state.stores[name].blobs if name in state.stores else []
            swept.owed[name] = list(dict.fromkeys((*before, *blobs)))
        state.remember(swept.owed, now)
        state.swept, state.whole = now, Owed()
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
