"""Telling patients of disclosures once the law's order to keep silent has ended: `disclosure.suspended`, each once.

A follower of the view of suspensions: what is due is looked for, copied out of the hospital's entry and appended by the
service. The type's own rule lets each be told a single time and not before, so a restart, an outcome that stayed unknown,
and several processes that look at once end with one entry.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from durable.errors import StorageError
from ledger.errors import LedgerError, Refused
from ledger.facts import Suspension
from ledger.sequencer import Appended, Proposal
from ledger.types import REGISTRY
from storage.ledger import Ledger
from storage.reviews import due_suspensions

KIND = REGISTRY["disclosure.suspended", 1]
AT_ONCE = 100
"""Most patients told in one batch."""
LOOK_SECONDS = 10.0
"""How often a serving process looks whether somebody is to be told."""
STOP_SECONDS = 5.0
"""How long the end of a serving process waits for a round on its way."""

_LOG = logging.getLogger(__name__)


def tell_due(ledger: Ledger) -> int:
    """Tell of all disclosures whose suspension has ended; gives how many patients were told.

    Raises StorageError where nothing can be appended, and LedgerError for what the log refuses.
    """
    told = 0
    while due := due_suspensions(ledger.database, ledger.clock(), AT_ONCE):
        done = _tell(ledger, due)
        told += done
        if not done:  # others were faster, or the entry's time isn't there yet
            break
    return told


def _tell(ledger: Ledger, due: list[Suspension]) -> int:
    outcomes = ledger.submit([_telling(ledger, one) for one in due]).result().outcomes
    for outcome in outcomes:
        if isinstance(outcome, Refused) and outcome.code != "conflict":
            raise LedgerError(f"the log refused to tell of a disclosure: {outcome}") from outcome
    told = sum(isinstance(outcome, Appended) for outcome in outcomes)
    _LOG.info("patients told of disclosures", extra={"count": told})
    return told


def _telling(ledger: Ledger, one: Suspension) -> Proposal:
    """What the hospital recorded, whole, for the patient's own stream."""
    withheld = ledger.entry(one.seq).event
    body = {name: withheld.body[name] for name in ("disclosed", "order", "until")}
    named = {"disclosure": one.disclosure, "hospital": one.hospital}
    return ledger.log.by_service(KIND, f"patient/{one.patient}", body | named)


@contextmanager
def telling_due(ledger: Ledger) -> Iterator[None]:
    """Tell whoever is to be told, in a thread of its own until the end."""
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(ledger, stop), name="disclosures", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(STOP_SECONDS)


def _run(ledger: Ledger, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            tell_due(ledger)
        except (LedgerError, StorageError) as error:  # told, and tried again: serving goes on
            _LOG.warning("telling of disclosures failed", extra={"reason": str(error)})
        except Exception:
            _LOG.exception("telling of disclosures failed")
        stop.wait(LOOK_SECONDS)
