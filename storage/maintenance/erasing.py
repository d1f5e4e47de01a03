"""Erasing what patients asked to be erased, once three days have passed: keys first, then ciphertext, then it is said.

For each erasure, top to bottom:

1. The service appends `erasure.begun`: nobody can withdraw any more, and the key keeper, which reads it, carries no key of it on.
2. The key table's floor is raised, and the rows of its keys are removed. Of a record, what else its patient has is put
   under a new KEK.
3. The keeper destroys the older KEK, of a whole chart every one, against the receipt of that entry: what wraps are left in
   backups and logs of the database open nothing.
4. The ciphertexts are removed, from every store and in every version; so is what stands of a chart beside the log.
5. The service appends `erasure.completed`.

Whatever is cut off is gone on with by the next process that looks: each step can be done again. A store that doesn't answer,
or a backup that copies the keeper's store just now, leaves the erasure begun, and it is tried again.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from durable.errors import StorageError
from keeper.errors import KeeperRefused, KeeperUnavailable
from ledger.errors import EventError, Refused
from ledger.facts import BEGUN, COMPLETED, REQUESTED, WITHDRAWN, Erasure, Record
from ledger.sequencer import Appended
from ledger.times import DAY_MS, format_time
from ledger.types.declaration import EventType
from ledger.types.erasures import ERASURE_BEGUN, ERASURE_COMPLETED
from storage.errors import BlobLocked
from storage.evidence import ask_keeper, of_entries
from storage.ledger import Ledger
from storage.maintenance.renewing import ALONE, Renewed, Renewing
from storage.sql.identifiers import forget_patient

LOOK_SECONDS = 60.0
"""How often a serving process looks whether an erasure is due."""
REMOVING_THREADS = 8
"""Ciphertexts removed at a time: each removal waits for the disk."""
LOCKED_SECONDS = 6 * 3_600.0
"""How often ciphertexts are tried to be removed again whose lock has ended, or whose lock has no end that is known."""
LOCKED_TRIED_MS = 30 * DAY_MS
"""How long after a lock's end they are."""
_LOG = logging.getLogger(__name__)


@dataclass
class Erased:
    """What came of a look: erasures by their ids."""

    completed: list[str] = field(default_factory=list)
    locked: dict[str, str] = field(default_factory=dict)
    """Of those completed: what keeps some of their ciphertext, in words that say until when."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Begun, and not completed yet: why."""

    def __bool__(self) -> bool:
        """Whether anything was due."""
        return bool(self.completed or self.waiting)


@dataclass(frozen=True)
class Erasing:
    """Carries out the erasures of one ledger that are due."""

    ledger: Ledger

    def due(self) -> Erased | None:
        """Carry out what is due by the ledger's clock, or was begun before; None where another process is at it.

        What can't be done now is told, and left for the next time. Raises StorageError where the database can't be used.
        """
        if not self._wanted():
            return Erased()
        with self.ledger.database.alone(ALONE) as alone:
            return self._all() if alone else None

    def retry_locked(self) -> int:
        """Try again to remove ciphertexts that a lock held when their erasure was completed; gives how many are still locked."""
        now, left = self.ledger.clock(), 0
        for erasure in self.ledger.rows(Erasure, "state", COMPLETED):
            until = erasure.locked_until
            if not erasure.locked or now < until or (until and now >= until + LOCKED_TRIED_MS):
                continue
            blobs = {v.blob for record in self._records(erasure) for v in record.versions}
            left += len(self._remove(sorted(blobs)))
        return left

    def _wanted(self) -> list[Erasure]:
        now = self.ledger.clock()
        found = [
            *self.ledger.rows(Erasure, "state", BEGUN),
            *self.ledger.rows(Erasure, "state", REQUESTED),
        ]
        return sorted((e for e in found if e.state == BEGUN or e.due <= now), key=lambda e: e.seq)

    def _all(self) -> Erased:
        done = Erased()
        for erasure in self._wanted():
            try:
                locked = self._one(erasure)
            except (StorageError, KeeperRefused, KeeperUnavailable, OSError) as error:
                now = self.ledger.row(Erasure, erasure.erasure)
                if now is not None and now.state == WITHDRAWN:
                    continue  # at the last moment
                _LOG.error("erasure waits", extra={"id": erasure.erasure, "reason": str(error)})
                done.waiting[erasure.erasure] = str(error)
                continue
            done.completed.append(erasure.erasure)
            if locked:
                done.locked[erasure.erasure] = "; ".join(map(str, locked))
        return done

    def _one(self, erasure: Erasure) -> list[BlobLocked]:
        """One erasure, from wherever it was cut off; gives what a lock keeps of its ciphertexts."""
        ledger = self.ledger
        seq = erasure.state_seq
        if erasure.state == REQUESTED:
            seq = self._append(ERASURE_BEGUN, erasure, {})
        records = self._records(erasure)
        blobs = {version.blob for record in records for version in record.versions}
        versions = len(blobs)
        blobs |= self._destroy_keys(erasure)
        shown = of_entries(ledger, seq)
        ask_keeper(ledger, shown, ledger.keeper.erase)
        locked = self._remove(sorted(blobs))
        if not erasure.record:
            mine = [ledger.inquiries.card(erasure.patient), ledger.numbers.own(erasure.patient)]
            ledger.inquiries.forget([digest for digest in mine if digest])
            forget_patient(ledger.database, erasure.patient)
            ledger.outbox.forget_about(erasure.patient)
        counts: dict[str, Any] = {
            "blobs": versions, "keys": len(records) + versions, "records": len(records)
        }  # fmt: skip
        self._append(ERASURE_COMPLETED, erasure, counts | _said(locked))
        return locked

    def _append(self, kind: EventType, erasure: Erasure, body: dict[str, Any]) -> int:
        """Let the service say how far it is; gives the entry. Raises StorageError where the log doesn't take it."""
        stream = f"patient/{erasure.patient}"
        try:
            one = self.ledger.log.by_service(kind, stream, body | {"erasure": erasure.erasure})
        except EventError as error:
            raise StorageError(f"{kind.name} is not valid: {error}") from error
        (outcome,) = self.ledger.append([one])
        if not isinstance(outcome, Appended):
            words = str(outcome) if isinstance(outcome, Refused) else "denied"
            raise StorageError(f"{kind.name} of {erasure.erasure} was not taken: {words}")
        return outcome.entry.link.seq

    def _records(self, erasure: Erasure) -> list[Record]:
        """What it is of, as far as no erasure of its own took it before."""
        if erasure.record:
            row = self.ledger.row(Record, erasure.record)
            return [] if row is None else [row]
        gone = {
            other.record
            for other in self.ledger.rows(Erasure, "patient", erasure.patient)
            if other.record and other.state in (BEGUN, COMPLETED)
        }
        return [r for r in self.ledger.records_of(erasure.patient) if r.record not in gone]

    def _destroy_keys(self, erasure: Erasure) -> set[str]:
        """Its rows are removed from the key table, and what else its patient has is under a newer KEK; gives the blobs that
        had a key, named or only staged.

        From the floor on no process stages a key under the KEK that goes. Raises StorageError where a key that must be
        carried on can't be: nothing is destroyed then.
        """
        ledger, subject = self.ledger, erasure.patient
        kept = ledger.keeper.versions([subject])[subject]
        if not kept:
            return ledger.keys.forget(subject, erasure.record)
        if erasure.record and len(kept) == 1:
            ledger.keeper.advance({subject: kept[-1]})
            kept = ledger.keeper.versions([subject])[subject]
        ledger.keys.raise_floors({subject: kept[-1] + (not erasure.record)})
        blobs = ledger.keys.forget(subject, erasure.record)
        if erasure.record:
            done = Renewed()
            if Renewing(ledger.keys, ledger.keeper).rewrap([subject], done):
                raise StorageError(
                    f"{', '.join(done.lost)}: no KEK opens it, so the one that is to be destroyed is kept: bring the key's "
                    "row back from a backup"
                )
        return blobs

    def _remove(self, blobs: Sequence[str]) -> list[BlobLocked]:
        """Remove ciphertexts; gives those that a lock keeps. Raises what a store raises that doesn't answer."""

        def remove(blob: str) -> BlobLocked | None:
            try:
                self.ledger.blobs.remove(blob)
            except BlobLocked as error:
                return error
            return None

        with ThreadPoolExecutor(REMOVING_THREADS) as pool:
            return [error for error in pool.map(remove, blobs) if error is not None]


def _said(locked: Sequence[BlobLocked]) -> dict[str, Any]:
    """What the entry says of locks: how many, and until when the last one holds where all of them end."""
    if not locked:
        return {}
    ends = [error.until for error in locked]
    known = [end for end in ends if end is not None]
    until = {"locked_until": format_time(max(known))} if len(known) == len(ends) else {}
    return {"locked": len(locked)} | until


class Eraser:
    """Looks for what is due while a process serves; of all processes one at a time carries it out."""

    def __init__(self, ledger: Ledger) -> None:
        """For one open ledger."""
        self._erasing, self._stop = Erasing(ledger), threading.Event()
        self._locked_at = float("-inf")
        """When locked ciphertexts were tried last, by the monotonic clock."""

    @contextmanager
    def running(self, tell: Callable[[Erased | Exception], None]) -> Iterator[None]:
        """Look in a thread of its own until the end; `tell` gets what came of each look that found something."""
        self._stop.clear()
        self._locked_at = float("-inf")
        thread = threading.Thread(target=self._run, args=(tell,), name="erasing", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _run(self, tell: Callable[[Erased | Exception], None]) -> None:
        while not self._stop.is_set():
            try:
                found = self._erasing.due()
                if found:
                    tell(found)
                if time.monotonic() >= self._locked_at + LOCKED_SECONDS:
                    self._erasing.retry_locked()
                    self._locked_at = time.monotonic()
            except Exception as error:  # told, and tried again: serving goes on without
                _LOG.exception("erasing failed")
                tell(error)
            self._stop.wait(LOOK_SECONDS)
