"""What people do to sign in goes on record in their account's stream, signed by the service."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from sqlalchemy import Connection

from crypto.ids import timed_id
from identity.errors import Throttled
from ledger.editions import PEOPLE, edition_of
from ledger.entry import Entry
from ledger.errors import Refused
from ledger.sequencer import Appended, Proposal
from ledger.times import format_time
from ledger.types import REGISTRY
from ledger.types.declaration import EventType
from storage.ledger import Ledger
from storage.log import CommittedBatch
from storage.sql.credentials import Kept

_LOG = logging.getLogger(__name__)
ACTS_AN_HOUR = 60
"""Sessions opened and factors changed of an account within an hour: a right password doesn't fill the log."""
RESETS_AN_HOUR = 2 * ACTS_AN_HOUR
"""Up to so many acts a key still changes factors: who has the password doesn't keep the key's owner from it."""
ACTS_MS = 3_600_000
"""The hour in which acts are counted; it begins with an account's first act after the one before."""
Act = tuple[str, dict[str, Any]]
"""The type of an event, and its body but for the account."""


class Change(NamedTuple):
    """Something that changes outside the log with what is appended."""

    make: Callable[[Connection], bool]
    """Makes it in that transaction, quickly; False where it can't be."""
    otherwise: Exception
    """What is raised then; nothing of it all stands."""


def check_takes(ledger: Ledger, needed: int = PEOPLE, what: str = "signing in by password") -> None:
    """Raises Unavailable or Refused if what people do could not go on record now; asked before anything is done.

    `needed`: the edition of the registry that `what` needs.
    """
    ledger.log.check_takes()
    edition = edition_of(ledger.head().registry) or 0
    if edition < needed:
        raise Refused(
            "registry",
            f"the log names edition {edition} of the registry, and {what} needs {needed}: its operator runs "
            "`heartwood upgrade`",
        )


def put_on_record(
    ledger: Ledger, account: str, acts: Sequence[Act], changes: Sequence[Change] = ()
) -> None:
    """Append all acts of an account and make the changes, in one transaction; when this returns they stand.

    None of it stands where this raises: Refused, StorageError (but for OutcomeUnknown), or what a change says.
    """
    put_with(ledger, signed(ledger, account, acts), changes)


def put_with(
    ledger: Ledger, proposals: Sequence[Proposal], changes: Sequence[Change]
) -> list[Entry]:
    """Append all of these and make the changes, in one transaction; gives the entries. Raises as `put_on_record` does."""
    failed: list[Exception] = []

    def beside(connection: Connection) -> bool:
        for one in changes:
            if not one.make(connection):
                failed[:] = [one.otherwise]
                return False
        return True

    outcomes = ledger.submit(proposals, atomic=True, beside=beside).result().outcomes
    if failed:
        raise failed[0]
    # What was undone only because of another one comes last: the reason is the other one's.
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    for outcome in sorted(refused, key=lambda one: one.code == "atomic"):
        raise outcome
    return [outcome.entry for outcome in outcomes if isinstance(outcome, Appended)]


def counted(ledger: Ledger, kept: Kept, account: str, most: int = ACTS_AN_HOUR) -> Change:
    """That an account opens a session or changes a factor; Throttled for one more than `most` within an hour."""
    now = ledger.clock()
    wait = max(1, -(-(kept.acts_since + ACTS_MS - now) // 1_000))
    make = ledger.credentials.count
    return Change(
        lambda connection: make(connection, account, now, ACTS_MS, most),
        Throttled(wait, "too many sessions were opened and factors changed"),
    )


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


def signed(ledger: Ledger, account: str, acts: Sequence[Act]) -> list[Proposal]:
    """Acts of an account as the service signs them, each in the newest version that the log's edition has."""
    edition = edition_of(ledger.head().registry) or 0
    return [
        ledger.log.by_service(
            _newest(kind, edition), f"account/{account}", {"account": account, **said}
        )
        for kind, said in acts
    ]


def _newest(kind: str, edition: int) -> EventType:
    """The newest version of a type that an edition has; the first one where it has none, which is refused then."""
    found = REGISTRY[kind, 1]
    while (after := REGISTRY.get((kind, found.v + 1))) is not None and after.since <= edition:
        found = after
    return found


def _look(done: "Future[CommittedBatch]") -> None:
    if error := done.exception() or _refused(done.result()):
        _LOG.error("a lock-out is not on record yet", extra={"error": type(error).__name__})


def _refused(committed: CommittedBatch) -> Refused | None:
    """What refused a lock-out; that it stands already is fine."""
    (outcome,) = committed.outcomes
    return outcome if isinstance(outcome, Refused) and outcome.code != "conflict" else None
