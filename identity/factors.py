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
from identity.proving import SEED, Proof, Proved, prove, recovery_hash
from identity.sessions import SERVICE, is_over
from identity.throttles import Attempt
from ledger.directory import Key, Member
from storage.errors import Unavailable
from storage.ledger import Ledger
from storage.sql.credentials import Kept

CHANGE_TRIES = 3
"""How often a change is tried anew because another session was opened or ended meanwhile."""
_WRONG = "the password, the code or the recovery code is wrong, or was used already"
_KEPT = (
    "the service keeps a key of the account, which is used with a second factor: replace the codes by others, or let your "
    "own key take the kept one's place, or revoke that, first"
)
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

    by = proved or Proved(kept, "")
    change_factor(ledger, caller, by, ("factor.added", said), changes, passkeys_go=proved is None)


def _set_first(ledger: Ledger, caller: Caller, new: str) -> None:
    account, now = caller.account, ledger.clock()
    if caller.key is None:
        raise KeyNeeded("the first password is set in a session by key")
    hashed = passwords.hash_new(new, account)

    def sets(connection: Connection) -> bool:
        return ledger.credentials.set_first(connection, account, hashed, now)

    said = {"factor": "password"} | added_by(caller)
    changes = [*still(ledger, caller), Change(sets, FactorConflict(_MEANWHILE))]
    onrecord.put_on_record(ledger, account, [("factor.added", said)], changes)


def begin_code(ledger: Ledger, caller: Caller) -> BegunCode:
    """A fresh seed, which counts once a code of it was shown; raises FactorConflict, KeyNeeded.

    In a session by password it may be one to take the place of that which counts, as somebody with another phone needs.
    """
    kept = _enrolling(ledger, caller)
    if kept.confirmed and caller.key is not None:
        raise FactorConflict("the account has one-time codes already; remove those first")
    seed = codes.new_seed()
    sealed = ledger.identity.seal(SEED, caller.account, seed)
    begin = ledger.credentials.begin_other_code if kept.confirmed else ledger.credentials.begin_code
    if not begin(caller.account, sealed):
        raise FactorConflict(_MEANWHILE)
    uri = codes.enrolment_uri(seed, caller.account, ledger.origin)
    return BegunCode(uri, codes.seed_text(seed))


def confirm_code(
    ledger: Ledger, caller: Caller, proof: Proof, address: str, old: Proof | None = None
) -> tuple[str, ...]:
    """Let the seed that was begun count, by the password and a code of it; in place of another one also by what `old` shows
    of that: a code, or a recovery code.

    Gives the recovery codes, this once. Raises WrongProof, FactorConflict, KeyNeeded, Throttled.
    """
    account, kept = caller.account, _enrolling(ledger, caller)
    replaces = kept.confirmed and caller.key is None
    if not kept.begun or (kept.confirmed and not replaces):
        raise FactorConflict("no enrolment of one-time codes was begun, or it is done already")
    seed = ledger.identity.open(SEED, account, kept.begun)
    step = codes.step_of(seed, proof.code, ledger.clock())
    if replaces:
        before = old or Proof()
        shown = Proof(proof.password, before.code, before.recovery)
        proved = _proved(ledger, account, shown, address)
    else:
        proved = Proved(kept, "")
        attempt = Attempt(ledger, account, address)
        if not passwords.matches(kept.password, proof.password) or step is None:
            attempt.failed(True)
            raise WrongProof(_WRONG)
        attempt.passed()
    if step is None:
        raise WrongProof(_WRONG)
    recovery, now, used = codes.new_recovery_codes(), ledger.clock(), step
    hashes = [recovery_hash(ledger, account, code) for code in recovery]
    count = ledger.credentials.replace_code if replaces else ledger.credentials.confirm_code

    def confirms(connection: Connection) -> bool:
        return count(connection, account, kept.begun, used, hashes, now)

    said: dict[str, object] = {"factor": "code"} | ({"replaces": True} if replaces else {})
    change_factor(ledger, caller, proved, ("factor.added", said | added_by(caller)), confirms)
    return recovery


def remove_code(ledger: Ledger, caller: Caller, proof: Proof, address: str) -> None:
    """Remove the one-time codes and recovery codes, by password and a code or recovery code.

    In a session by key the proof may be empty: then they are reset. All passkeys go with them. Not while the service keeps a
    key of the account, in a session by password: what is left would be the password alone. Raises WrongProof,
    FactorConflict, KeyNeeded, Throttled.
    """
    account, kept = caller.account, _with_password(ledger, caller)
    if not kept.confirmed:
        raise FactorConflict("the account has no one-time codes")
    if caller.key is None and ledger.credentials.kept_keys.keeps(account):
        raise FactorConflict(_KEPT)
    proved = None if _resets(caller, proof) else _proved(ledger, account, proof, address)

    def removes(connection: Connection) -> bool:
        return ledger.credentials.remove_code(connection, account)

    act = "factor.removed", {"factor": "code"} | added_by(caller, reset=proved is None)
    by = proved or Proved(kept, "")
    change_factor(ledger, caller, by, act, removes, passkeys_go=True)


def shown_anew(ledger: Ledger, caller: Caller, proof: Proof, address: str) -> Proved:
    """What somebody shows for what outlasts their session: a code or a recovery code in the call itself, since a session
    that was stolen is as sure as it was before. Raises WrongProof, Throttled.
    """
    if not (proof.code or proof.recovery):
        raise WrongProof("this takes a `code` or a `recovery` code itself, also after a step-up")
    proved = prove(ledger, caller.account, proof, address, password=False)
    if proved is None or not proved.second:
        raise WrongProof(_WRONG)
    return proved


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
    if key.custody == SERVICE:
        raise KeyNeeded(
            "the key is called one that the service keeps; nobody signs in by such a key"
        )
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

    Codes let staff in, and use a key that is kept: whoever has only the password of somebody who ever had a role, or has a
    key, must not set up their own. Who replaces codes shows the old ones.
    """
    kept = _with_password(ledger, caller)
    if caller.key is not None or kept.confirmed:
        return kept
    if ledger.rows(Member, "account", caller.account):
        raise KeyNeeded(
            "an account that acts for a hospital, audits or operates sets up one-time codes in a session by key"
        )
    keys = ledger.rows(Key, "account", caller.account)
    if any(row.active and row.algorithm == "ed25519" for row in keys):
        raise KeyNeeded("an account that has a key sets up one-time codes in a session by key")
    return kept


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
    ledger: Ledger, caller: Caller, proved: Proved, act: Act, change: Callable[[Connection], bool],
    *, passkeys_go: bool = False,
) -> None:  # fmt: skip
    """A change by whoever is signed in; see `put_change`, which raises."""
    most = ACTS_AN_HOUR if caller.key is None else RESETS_AN_HOUR
    by = Changer(caller.account, _session(caller), still(ledger, caller), most)
    put_change(ledger, by, proved, act, change, passkeys_go=passkeys_go)


def put_change(
    ledger: Ledger, by: Changer, proved: Proved, act: Act, change: Callable[[Connection], bool],
    *, passkeys_go: bool = False,
) -> None:  # fmt: skip
    """A change with its entry, what is used up for it, and the end of every other session: all of it, or nothing.

    `passkeys_go`: with all passkeys, since it is to throw out whoever may have added one. Raises FactorConflict, Throttled, WrongProof, Unavailable, and what `by` says.
    """
    for _ in range(CHANGE_TRIES):
        with suppress(_Raced):
            _change_once(ledger, by, proved, act, change, passkeys_go)
            return
    raise Unavailable(
        "full", "sessions of the account come and go all the time; try again in a second"
    )


def _change_once(
    ledger: Ledger, by: Changer, proved: Proved, act: Act, change: Callable[[Connection], bool],
    passkeys_go: bool,
) -> None:  # fmt: skip
    account, own, kept, credentials = by.account, by.session, proved.kept, ledger.credentials
    now, meanwhile = ledger.clock(), FactorConflict(_MEANWHILE)
    others = [one for one in credentials.sessions.of(account) if one.session != own]
    names = [one.session for one in others]
    ends: list[Act] = [
        ("session.ended", {"reason": "factor_changed", "session": one.session})
        for one in others
        if not is_over(one, now)
    ]
    gone: list[Act] = []
    if passkeys_go and credentials.passkeys.of(account):
        key = {"key": act[1]["key"]} if "key" in act[1] else {}
        gone = [("factor.removed", {"factor": "passkey"} | key)]
    changes = [
        *by.still,
        Change(lambda c: credentials.changes(c, account, kept.version), meanwhile),
        counted(ledger, kept, account, by.most),
        Change(lambda c: proved.use(ledger, account, c), WrongProof(_WRONG)),
        Change(change, meanwhile),
        Change(lambda c: not gone or credentials.remove_passkeys(c, account), meanwhile),
        Change(lambda c: credentials.sessions.end_others(c, account, own, names), _Raced()),
    ]
    onrecord.put_on_record(ledger, account, [*recovery_act(proved), act, *gone, *ends], changes)


class _Raced(IdentityError):
    """Another session was opened or ended meanwhile."""


def still(ledger: Ledger, caller: Caller) -> list[Change]:
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
