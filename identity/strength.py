"""How sure it must be who asks: before something is changed by which an account could be taken over."""

from identity.actors import Caller
from identity.errors import KeyNeeded, SecondFactorNeeded, StepUpNeeded
from identity.sessions import SERVICE
from ledger.directory import Key
from ledger.signers import key_counts
from storage.ledger import Ledger
from storage.sql.credentials import Kept

STRONG = 3
"""The assurance of a session by password for some minutes after a step-up."""


def check_strong(ledger: Ledger, caller: Caller) -> None:
    """Raises StepUpNeeded for a session by password that wasn't just stepped up, KeyNeeded for a key that doesn't count."""
    if caller.session is None:
        check_key(ledger, caller)
    elif caller.session.assurance < STRONG:
        raise StepUpNeeded(
            "this needs a second factor within the last 5 minutes: step up, and try again"
        )


def check_key(ledger: Ledger, caller: Caller) -> None:
    """Raises KeyNeeded unless the caller's key is one of the account's that counts now.

    A session was checked; beside the data there is none.
    """
    key = ledger.row(Key, caller.key) if caller.key else None
    if key is None or key.account != caller.account or not key_counts(key, ledger.clock()):
        raise KeyNeeded("the key is unknown, revoked, not of this account, or does not count yet")
    if key.custody == SERVICE:
        raise KeyNeeded(
            "the key is called one that the service keeps; nobody signs in by such a key"
        )


def check_two_factors(caller: Caller, what: str) -> None:
    """Raises SecondFactorNeeded in a session by a password alone; `what` is refused there."""
    if caller.session is not None and caller.session.assurance < 2:
        raise SecondFactorNeeded(
            f"{what} needs a session by key, or by password with a second factor"
        )


def check_known_by_two(ledger: Ledger, caller: Caller) -> Kept:
    """What is kept of an account with a second factor, in a session by a key that counts or by both factors.

    Else a password alone would sign, or add another way in. Raises SecondFactorNeeded, KeyNeeded.
    """
    if caller.session is None:
        check_key(ledger, caller)
    kept = ledger.credentials.of(caller.account)
    if kept is None or not kept.confirmed:
        raise SecondFactorNeeded(
            "this is for an account with a second factor: set up a password and one-time codes first"
        )
    check_two_factors(caller, "this")
    return kept
