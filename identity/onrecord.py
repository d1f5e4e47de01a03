"""What people do to sign in goes on record in their account's stream, signed by the service."""

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from ledger.editions import PEOPLE, edition_of
from ledger.errors import Refused
from ledger.sequencer import Proposal
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


def put_without_waiting(ledger: Ledger, account: str, act: Act) -> None:
    """Let an act be appended; nobody waits, so that the time of an answer doesn't tell of it. Raises Unavailable."""
    ledger.submit(_signed(ledger, account, [act])).add_done_callback(_look)


def _signed(ledger: Ledger, account: str, acts: Sequence[Act]) -> list[Proposal]:
    return [
        ledger.log.by_service(REGISTRY[kind, 1], f"account/{account}", {"account": account, **said})
        for kind, said in acts
    ]


def _look(done: "Future[CommittedBatch]") -> None:
    error = done.exception()
    if error is not None or any(isinstance(one, Refused) for one in done.result().outcomes):
        _LOG.error("a lock-out began and is not on record", extra={"error": type(error).__name__})
