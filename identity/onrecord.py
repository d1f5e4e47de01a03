"""What people do to sign in goes on record in their account's stream, signed by the service."""

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from crypto.ids import timed_id
from ledger.editions import PEOPLE, edition_of
from ledger.errors import Refused
from ledger.sequencer import Proposal
from ledger.times import format_time
from ledger.types import REGISTRY
from storage.ledger import Ledger
from storage.log import CommittedBatch

_LOG = logging.getLogger(__name__)
Act = tuple[str, dict[str, Any]]
"""The type of an event, and its body but for the account."""


def check_takes(ledger: Ledger) -> None:
    """Raises Unavailable or Refused if what people do could not go on record now; asked before anything is done."""
    ledger.log.check_takes()
    edition = edition_of(ledger.head().registry) or 0
    if edition < PEOPLE:
        raise Refused(
            "registry",
            f"the log names edition {edition} of the registry, and signing in by password needs {PEOPLE}: its operator "
            "runs `heartwood upgrade`",
        )


def put_on_record(ledger: Ledger, account: str, acts: Sequence[Act]) -> None:
    """Append all acts of an account, or none; when this returns they stand. Raises Refused or StorageError."""
    outcomes = ledger.submit(_signed(ledger, account, acts), atomic=True).result().outcomes
    # What was undone only because of another one comes last: the reason is the other one's.
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    for outcome in sorted(refused, key=lambda one: one.code == "atomic"):
        raise outcome


def put_lock_out_without_waiting(ledger: Ledger, account: str, until: int) -> None:
    """Let a lock-out until `until` (Unix ms) be appended; nobody waits, so that the time of an answer doesn't tell of it.

    Raises Unavailable.
    """
    ledger.submit([_lock_out(ledger, account, until)]).add_done_callback(_look)


def put_lock_out(ledger: Ledger, account: str, until: int) -> None:
    """Append a lock-out, unless it stands already. Raises Refused or StorageError."""
    if refused := _refused(ledger.submit([_lock_out(ledger, account, until)]).result()):
        raise refused


def _lock_out(ledger: Ledger, account: str, until: int) -> Proposal:
    """Its event has the same id each time, so that the log takes it once and says `conflict` then."""
    hashed = ledger.identity.index("lock-out", f"{account}\0{until}")
    said = {"account": account, "until": format_time(until)}
    return ledger.log.by_service(
        REGISTRY["session.locked", 1],
        f"account/{account}",
        said,
        event_id=timed_id("ev", until, hashed[:10]),
    )


def _signed(ledger: Ledger, account: str, acts: Sequence[Act]) -> list[Proposal]:
    return [
        ledger.log.by_service(REGISTRY[kind, 1], f"account/{account}", {"account": account, **said})
        for kind, said in acts
    ]


def _look(done: "Future[CommittedBatch]") -> None:
    if error := done.exception() or _refused(done.result()):
        _LOG.error("a lock-out is not on record yet", extra={"error": type(error).__name__})


def _refused(committed: CommittedBatch) -> Refused | None:
    """What refused a lock-out; that it stands already is fine."""
    (outcome,) = committed.outcomes
    return outcome if isinstance(outcome, Refused) and outcome.code != "conflict" else None
