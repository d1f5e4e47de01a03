"""What people sign in by, set and changed by themselves: a password, one-time codes, recovery codes.

Each change stands in one transaction with its entry, and ends every other session by password. Whoever signed in by a key
that counts is the account's owner as far as the log knows: they may reset what they can't prove, which is on record and told.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection

from identity import codes, onrecord, passwords
from identity.actors import Caller
from identity.errors import (
    BadPassword,
    FactorConflict,
    IdentityError,
    KeyNeeded,
    NotSignedIn,
    WrongProof,
)
from identity.onrecord import ACTS_AN_HOUR, RESETS_AN_HOUR, Act, Change, counted
from identity.own import BegunCode
from identity.proving import SEED, Proof, Proved, opened_seed, prove, recovery_hash
from identity.sessions import is_over
from identity.throttles import Attempt
from ledger.directory import Key, Member
from storage.errors import Unavailable
from storage.ledger import Ledger
from storage.sql.credentials import Kept

CHANGE_TRIES = 3
"""How often a change is tried anew because another session was opened or ended meanwhile."""
_WRONG = "the password, the code or the recovery code is wrong, or was used already"
_MEANWHILE = "a factor of the account was changed meanwhile; look, and try again"


def set_password(ledger: Ledger, caller: Caller, new: str, proof: Proof, address: str) -> None:
    """Set the first password, in a session by key, or change it: by the old one, and a code if codes count.

    In a session by key the proof may be empty: then the password is reset. Raises BadPassword, KeyNeeded, WrongProof,
    FactorConflict, Throttled.
    """
    _check_ready(ledger, caller)
    account, kept = caller.account, ledger.credentials.of(caller.account)
    passwords.check(new, account)
    if kept is None:
        _set_first(ledger, caller, new)
        return
    proved = None if _resets(caller, proof) else _proved(ledger, account, proof, address)
    if proved is not None and new == proof.password:
        raise BadPassword("this is the password that the account has")
    hashed = passwords.hash_new(new, account)
    said = {"factor": "password", "replaces": True} | added_by(caller, reset=proved is None)

    def changes(connection: Connection) -> bool:
        return ledger.credentials.change_password(connection, account, hashed)

    change_factor(ledger, caller, proved or Proved(kept, ""), ("factor.added", said), changes)


def _set_first(ledger: Ledger, caller: Caller, new: str) -> None:
    account, now = caller.account, ledger.clock()
    if caller.key is None:
        raise KeyNeeded("the first password is set in a session by key")
    hashed = passwords.hash_new(new, account)

    def sets(connection: Connection) -> bool:
        return ledger.credentials.set_first(connection, account, hashed, now)

    said = {"factor": "password"} | added_by(caller)
    changes = [*_still(ledger, caller), Change(sets, FactorConflict(_MEANWHILE))]
    onrecord.put_on_record(ledger, account, [("factor.added", said)], changes)


def begin_code(ledger: Ledger, caller: Caller) -> BegunCode:
    """A fresh seed, which counts once a code of it was shown; raises FactorConflict, KeyNeeded."""
    kept = _enrolling(ledger, caller)
    seed = codes.new_seed()
    sealed = ledger.identity.seal(SEED, caller.account, seed)
    if kept.confirmed or not ledger.credentials.begin_code(caller.account, sealed):
        raise FactorConflict("the account has one-time codes already; remove those first")
    uri = codes.enrolment_uri(seed, caller.account, ledger.origin)
    return BegunCode(uri, codes.seed_text(seed))


def confirm_code(ledger: Ledger, caller: Caller, proof: Proof, address: str) -> tuple[str, ...]:
    """Let the seed that was begun count, by the password and a code of it.

    Gives the recovery codes, this once. Raises WrongProof, FactorConflict, KeyNeeded, Throttled.
    """
    account, kept = caller.account, _enrolling(ledger, caller)
    if kept.confirmed or not kept.seed:
        raise FactorConflict("no enrolment of one-time codes was begun, or it is done already")
    attempt = Attempt(ledger, account, address)
    right = passwords.matches(kept.password, proof.password)
    step = codes.step_of(opened_seed(ledger, account, kept), proof.code, ledger.clock())
    if not right or step is None:
        attempt.failed(True)
        raise WrongProof(_WRONG)
    attempt.passed()
    recovery, now, shown = codes.new_recovery_codes(), ledger.clock(), step
    hashes = [recovery_hash(ledger, account, code) for code in recovery]

    def confirms(connection: Connection) -> bool:
        return ledger.credentials.confirm_code(connection, account, kept.seed, shown, hashes, now)

    act = "factor.added", {"factor": "code"} | added_by(caller)
    change_factor(ledger, caller, Proved(kept, ""), act, confirms)
    return recovery


def remove_code(ledger: Ledger, caller: Caller, proof: Proof, address: str) -> None:
    """Remove the one-time codes and recovery codes, by password and a code or recovery code.

    In a session by key the proof may be empty: then they are reset. Raises WrongProof, FactorConflict, KeyNeeded, Throttled.
    """
    account, kept = caller.account, _with_password(ledger, caller)
    if not kept.confirmed:
        raise FactorConflict("the account has no one-time codes")
    proved = None if _resets(caller, proof) else _proved(ledger, account, proof, address)

    def removes(connection: Connection) -> bool:
        return ledger.credentials.remove_code(connection, account)

    act = "factor.removed", {"factor": "code"} | added_by(caller, reset=proved is None)
    change_factor(ledger, caller, proved or Proved(kept, ""), act, removes)


def recovery_act(proved: Proved) -> list[Act]:
    """That a recovery code was used, if one was."""
    return [("recovery.used", {"left": proved.left})] if proved.second == "recovery" else []


def _resets(caller: Caller, proof: Proof) -> bool:
    """Whether somebody with a key shows nothing; what is shown is compared, whoever shows it."""
    return caller.key is not None and proof == Proof()


def added_by(caller: Caller, reset: bool = False) -> dict[str, object]:
    """What a change's entry says of the key that signed in, and that nothing else was shown."""
    key = {} if caller.key is None else {"key": caller.key}
    return {**key, "reset": True} if reset else {**key}


def _proved(ledger: Ledger, account: str, proof: Proof, address: str) -> Proved:
    found = prove(ledger, account, proof, address)
    if found is None:
        raise WrongProof(_WRONG)
    return found


def _check_ready(ledger: Ledger, caller: Caller) -> None:
    """Raises KeyNeeded where the key that signed in isn't one of the account's that counts now; Unavailable or Refused
    where nothing can go on record.

    A session was checked; beside the data there is none.
    """
    onrecord.check_takes(ledger)
    if caller.key is None:
        return
    key = ledger.row(Key, caller.key)
    if key is None or not key.active or key.account != caller.account:
        raise KeyNeeded("the key is unknown, revoked, or not of this account")
    if key.counts_from > ledger.clock():
        raise KeyNeeded("the key is not valid yet (recovery keys: 24 h)")


def _with_password(ledger: Ledger, caller: Caller) -> Kept:
    _check_ready(ledger, caller)
    kept = ledger.credentials.of(caller.account)
    if kept is None:
        raise FactorConflict("the account has no password yet; set one first")
    return kept


def _enrolling(ledger: Ledger, caller: Caller) -> Kept:
    """What is kept of whoever may set up codes. Raises FactorConflict, KeyNeeded.

    Codes let staff in: whoever has only the password of somebody who ever had a role must not set up their own.
    """
    if caller.key is None and ledger.rows(Member, "account", caller.account):
        raise KeyNeeded(
            "an account that acts for a hospital, audits or operates sets up one-time codes in a session by key"
        )
    return _with_password(ledger, caller)


class Changer(NamedTuple):
    """Who changes a factor of an account."""

    account: str
    session: str
    """The session by password that goes on; empty for none."""
    still: Sequence[Change]
    """That they may, as the change is made."""
    most: int = ACTS_AN_HOUR
    """Up to how many acts of the account within an hour."""


def change_factor(
    ledger: Ledger, caller: Caller, proved: Proved, act: Act, change: Callable[[Connection], bool]
) -> None:
    """A change by whoever is signed in; see `put_change`, which raises."""
    most = ACTS_AN_HOUR if caller.key is None else RESETS_AN_HOUR
    by = Changer(caller.account, _session(caller), _still(ledger, caller), most)
    put_change(ledger, by, proved, act, change)


def put_change(
    ledger: Ledger, by: Changer, proved: Proved, act: Act, change: Callable[[Connection], bool]
) -> None:
    """A change with its entry, what is used up for it, and the end of every other session: all of it, or nothing.

    Raises FactorConflict, Throttled, WrongProof, Unavailable, and what `by` says.
    """
    for _ in range(CHANGE_TRIES):
        with suppress(_Raced):
            _change_once(ledger, by, proved, act, change)
            return
    raise Unavailable(
        "full", "sessions of the account come and go all the time; try again in a second"
    )


def _change_once(
    ledger: Ledger, by: Changer, proved: Proved, act: Act, change: Callable[[Connection], bool]
) -> None:
    account, own, kept, credentials = by.account, by.session, proved.kept, ledger.credentials
    now, meanwhile = ledger.clock(), FactorConflict(_MEANWHILE)
    others = [one for one in credentials.sessions.of(account) if one.session != own]
    names = [one.session for one in others]
    ends: list[Act] = [
        ("session.ended", {"reason": "factor_changed", "session": one.session})
        for one in others
        if not is_over(one, now)
    ]
    changes = [
        *by.still,
        Change(lambda c: credentials.changes(c, account, kept.version), meanwhile),
        counted(ledger, kept, account, by.most),
        Change(lambda c: proved.use(ledger, account, c), WrongProof(_WRONG)),
        Change(change, meanwhile),
        Change(lambda c: credentials.sessions.end_others(c, account, own, names), _Raced()),
    ]
    onrecord.put_on_record(ledger, account, [*recovery_act(proved), act, *ends], changes)


class _Raced(IdentityError):
    """Another session was opened or ended meanwhile."""


def _still(ledger: Ledger, caller: Caller) -> list[Change]:
    """That the caller's key, or session by password, counts as the change is made: a revocation comes before, or after."""
    account, now, credentials = caller.account, ledger.clock(), ledger.credentials
    if caller.key is not None:
        key = caller.key
        error: IdentityError = KeyNeeded("the key was revoked meanwhile")
        return [Change(lambda c: credentials.key_counts(c, key, account, now), error)]
    session, error = _session(caller), NotSignedIn("the session has ended: sign in again")
    return [Change(lambda c: credentials.sessions.lives(c, account, session), error)]


def _session(caller: Caller) -> str:
    return caller.session.id if caller.session else ""
