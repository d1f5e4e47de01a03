"""What the key keeper reads of the log: the entries that it has not yet, in order, under the newest checkpoint.

What it finds wrong with them goes into the log (`alarms`).
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from durable.errors import StorageError
from keeper.errors import KeeperRefused, KeeperUnavailable, WrongEntry
from keeper.protocol import FOLLOW_BYTES, FOLLOW_ENTRIES, Standing
from ledger.errors import LedgerError
from storage.alarms import Alarms
from storage.ledger import Ledger
from storage.logkeys import hand_over_note

FEED_SECONDS = 0.2
"""How long what was appended may lie before the keeper is given it, while nobody asks it for anything."""
FAILED_SECONDS = 5.0
"""How long we wait after a failure before the keeper is given something again."""
BEHIND_ENTRIES = 8_000
"""How many entries the keeper may be behind before appends wait for it."""
AWAY_ENTRIES = 50_000
"""With so many it reads a whole log anew, or was away: appends don't wait for that."""
PACE_SECONDS = 0.5
"""How long each batch waits for it at most: one that reads nothing at all meanwhile isn't waited for again until it does."""
PACE_LOOK_SECONDS = 0.002
"""How often it is looked meanwhile how far it has read."""
TURN_SECONDS = 10.0
"""How long whoever needs the keeper waits while another one gives it entries: not for a whole log to be read anew."""

_LOG = logging.getLogger(__name__)


def feed(ledger: Ledger, size: int) -> None:
    """Let the keeper read the log up to `size` entries at least; raises KeeperRefused or KeeperUnavailable."""
    if not ledger.feeding.acquire(timeout=TURN_SECONDS):
        raise KeeperUnavailable("the key keeper is still reading the log; ask again later")
    try:
        while (stands := ledger.keeper_size) < size:
            with ledger.database.read() as connection:
                head = ledger.store.head(connection)
                if head is None or head.size <= stands:
                    return
            handed = _handed_over(ledger, stands)
            newest = head.size, head.checkpoint
            try:
                _give(ledger, stands, *(handed or newest))
            except KeeperRefused:
                if handed is None:
                    raise
                _give(ledger, stands, *newest)  # it was made with later keys than that has
    finally:
        ledger.feeding.release()


def _fitting(entries: list[bytes]) -> list[bytes]:
    """The first of them, as many as are given at once."""
    size = 0
    for number, entry in enumerate(entries):
        size += len(entry)
        if size > FOLLOW_BYTES:
            return entries[:number]
    return entries


def _give(ledger: Ledger, stands: int, under: int, note: bytes) -> None:
    """Give the keeper the next entries, which lie under a checkpoint of `under` entries.

    Where one of them is wrong it gets the first half, down to one: those before the wrong one are read, and what
    it remembers of them stays, such as when it first read of a key put in by recovery.
    """
    most = FOLLOW_ENTRIES
    while True:
        with ledger.database.read() as connection:
            found = ledger.store.range(connection, stands, min(stands + most, under))
        entries = _fitting(found)
        end = stands + len(entries)
        proof = ledger.prove(end, under) if end < under else []
        try:
            ledger.keeper_size = ledger.keeper.follow(stands, entries, note, proof)
            return
        except WrongEntry:
            if len(entries) <= 1:
                raise
            most = len(entries) // 2


def _handed_over(ledger: Ledger, stands: int) -> tuple[int, bytes] | None:
    """The checkpoint in which keys of the log are handed over that the keeper hasn't read of; None for the newest.

    It knows no other keys than those that signed that one.
    """
    for one in ledger.vkeys.generations[1:]:
        if one.added >= stands:
            return hand_over_note(ledger.database, one.added)
    return None


@contextmanager
def feeding(ledger: Ledger, tell: Callable[[Standing], object]) -> Iterator[None]:
    """The keeper is given what is appended, by whichever process, until the end; `tell` is told how it stands."""
    stop = threading.Event()
    thread = threading.Thread(
        target=_feed_on, args=(ledger, stop, tell), name="keeper", daemon=True
    )
    thread.start()
    ledger.log.pace = _Pace(ledger, stop).wait
    try:
        yield
    finally:
        stop.set()
        thread.join()


class _Pace:
    """Lets appends wait a little for a keeper that is behind and reads on: at full load the thread that feeds it gets too
    little of the interpreter, and whoever reads would wait instead."""

    def __init__(self, ledger: Ledger, stop: threading.Event) -> None:
        """`stop`: set when nobody feeds the keeper any more."""
        self._ledger, self._stop = ledger, stop
        self._stuck = -1

    def wait(self, size: int) -> None:
        """Wait, PACE_SECONDS at most, until the keeper is no more than BEHIND_ENTRIES behind a log of `size` entries."""
        ledger, began = self._ledger, self._ledger.keeper_size
        if not BEHIND_ENTRIES < size - began < AWAY_ENTRIES or began == self._stuck:
            return
        until = time.monotonic() + PACE_SECONDS
        while size - ledger.keeper_size > BEHIND_ENTRIES and time.monotonic() < until:
            if self._stop.wait(PACE_LOOK_SECONDS):
                return
        self._stuck = began if ledger.keeper_size == began else -1


def _feed_on(ledger: Ledger, stop: threading.Event, tell: Callable[[Standing], object]) -> None:
    wait, alarms = FEED_SECONDS, _Telling(ledger)
    # A log that can't be followed has its alarms all the same: one doesn't wait for the other.
    steps: tuple[tuple[str, Callable[[], object]], ...] = (
        ("the key keeper can't follow", partial(_feed_all, ledger, tell)),
        ("alarms can't be put into the log", alarms.tell),
    )
    while not stop.wait(wait):
        wait = FEED_SECONDS
        for what, step in steps:
            try:
                step()
            except Exception as error:  # told, and tried again: what isn't followed gets no key
                wait = FAILED_SECONDS
                known = isinstance(error, (StorageError, LedgerError))
                why = (
                    str(error) if known else type(error).__name__
                )  # what others say may be anything
                _LOG.error(what, extra={"why": why}, exc_info=not known)


def _feed_all(ledger: Ledger, tell: Callable[[Standing], object]) -> None:
    stands = ledger.keeper.standing()
    ledger.keeper_size = stands.read  # another process may have fed it
    tell(stands)
    feed(ledger, ledger.head().size)


class _Telling:
    """Tells of the keeper's alarms: in the server's log as they rise, and in the ledger's."""

    def __init__(self, ledger: Ledger) -> None:
        """None is told yet; those that an earlier process told stand in the log."""
        self._ledger, self._alarms = ledger, Alarms(ledger)
        self._told = self._put = 0

    def tell(self) -> None:
        """Tell what isn't told; raises StorageError or LedgerError, and then the next call tries it again."""
        stands = self._ledger.keeper.standing()
        count = stands.alarms + stands.refused
        if count > self._told:
            _LOG.error(
                "the key keeper raised alarms",
                extra={"alarms": stands.alarms, "refused": stands.refused},
            )
        self._told = count
        if count != self._put and not self._alarms.put():
            self._put = count  # not while there was something to put: there may be more
