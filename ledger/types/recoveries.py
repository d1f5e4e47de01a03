"""Recoveries that are revoked by what an account's owner signs in by. The service, which saw that, signs; how often is held here."""

from typing import TYPE_CHECKING

from ledger.codes import ACCOUNT, body
from ledger.directory import Key, RecoveryRevoked, revocable
from ledger.editions import CONSENT
from ledger.errors import Refused
from ledger.rows import Look, Row, Wanted, row_named, row_of_id, rows_in
from ledger.schema import code
from ledger.types.checks import known_account, own_stream
from ledger.types.declaration import EventType
from ledger.types.examples import Example

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event


def _waiting(account: str, time: int, look: Look) -> list[Key]:
    return revocable(look.group(Key, account), look.get(RecoveryRevoked, account), time)


def _may_revoke(event: "Event", time: int, origin: str, look: Look) -> None:
    """Some recovery of the account waits, and none was revoked so before, unless a later one counted."""
    own_stream(event, "account")
    known_account(event, look)
    if not _waiting(event.body["account"], time, look):
        raise Refused(
            "key",
            f"no key that was put in by recovery waits for {event.body['account']}, or one was revoked so before",
        )


def _revoked(entry: "Entry", look: Look) -> list[Row]:
    account = entry.event.body["account"]
    keys = [key._replace(active=False) for key in _waiting(account, entry.time, look)]
    return [*keys, RecoveryRevoked(account, entry.link.seq)]


def _wants(event: "Event") -> list[Wanted]:
    account = event.body["account"]
    return [row_of_id(account), rows_in(Key, account), row_named(RecoveryRevoked, account)]


RECOVERY_REVOKED = EventType(
    "recovery.revoked",
    "account",
    ("service",),
    body(account=ACCOUNT, means=code("code", "password", "recovery")),
    since=CONSENT,
    rule=_may_revoke,
    fold=_revoked,
    changes=(Key, RecoveryRevoked),
    wants=_wants,
    example=Example("service", lambda sample: {
        "account": sample.account("person"), "means": "password",
    }),
)  # fmt: skip
