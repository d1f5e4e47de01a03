"""What the key keeper reads of the log: the entries that it has not yet, in order, under the newest checkpoint."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from keeper.errors import KeeperRefused, KeeperUnavailable
from keeper.protocol import FOLLOW_BYTES, FOLLOW_ENTRIES, Standing
from storage.ledger import Ledger

FEED_SECONDS = 0.2
"""How long what was appended may lie before the keeper is given it, while nobody asks it for anything."""
FAILED_SECONDS = 5.0
"""How long we wait after a failure before the keeper is given something again."""
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
                end = min(stands + FOLLOW_ENTRIES, head.size)
                entries = _fitting(ledger.store.range(connection, stands, end))
            end = stands + len(entries)
            proof = ledger.prove(end, head.size) if end < head.size else []
            ledger.keeper_size = ledger.keeper.follow(stands, entries, head.checkpoint, proof)
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


@contextmanager
def feeding(ledger: Ledger, tell: Callable[[Standing], object]) -> Iterator[None]:
    """The keeper is given what is appended, by whichever process, until the end; `tell` is told how it stands."""
    stop = threading.Event()
    thread = threading.Thread(
        target=_feed_on, args=(ledger, stop, tell), name="keeper", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _feed_on(ledger: Ledger, stop: threading.Event, tell: Callable[[Standing], object]) -> None:
    wait, alarms = FEED_SECONDS, 0
    while not stop.wait(wait):
        wait = FEED_SECONDS
        try:
            stands = ledger.keeper.standing()
            ledger.keeper_size = stands.read  # another process may have fed it
            tell(stands)
            if stands.alarms + stands.refused > alarms:
                _LOG.error(
                    "the key keeper raised alarms",
                    extra={"alarms": stands.alarms, "refused": stands.refused},
                )
            alarms = stands.alarms + stands.refused
            feed(ledger, ledger.head().size)
        except Exception as error:  # told, and tried again: what isn't followed gets no key
            wait = FAILED_SECONDS
            known = isinstance(error, (KeeperRefused, KeeperUnavailable))
            _LOG.error("the key keeper can't follow", extra={"why": str(error)}, exc_info=not known)
