"""What people sign in by, set and changed by themselves: a password, one-time codes, recovery codes.

Each change goes on record, and ends every other session by password. What lets somebody in counts only once its entry stands.
"""

from identity import codes, onrecord, passwords
from identity.actors import Caller
from identity.errors import BadPassword, FactorConflict, KeyNeeded, WrongProof
from identity.onrecord import Act
from identity.own import BegunCode
from identity.proving import SEED, Proof, Proved, opened_seed, prove, recovery_hash
from identity.throttles import Attempt
from ledger.directory import Key
from storage.ledger import Ledger
from storage.sql.credentials import Kept

_WRONG = "the password, the code or the recovery code is wrong, or was used already"
_MEANWHILE = "a factor of the account was changed meanwhile; look, and try again"


def set_password(ledger: Ledger, caller: Caller, new: str, proof: Proof, address: str) -> None:
    """Set the first password, in a session by key, or change it: then the proof has the old one, and a code if codes count.

    Raises BadPassword, KeyNeeded, WrongProof, FactorConflict, Throttled.
    """
    _check_key(ledger, caller)
    account, kept = caller.account, ledger.credentials.of(caller.account)
    if kept is None:
        if caller.key is None:
            raise KeyNeeded("the first password is set in a session by key")
        hashed = passwords.hash_new(new, account)
        onrecord.check_takes(ledger)
        onrecord.put_on_record(ledger, account, [("factor.added", {"factor": "password"})])
        if not ledger.credentials.set_first(account, hashed):
            raise FactorConflict(_MEANWHILE)
        return
    proved = _proved(ledger, account, proof, address)
    if new == proof.password:
        raise BadPassword("this is the password that the account has")
    hashed = passwords.hash_new(new, account)
    acts = [*recovery_act(proved), ("factor.added", {"factor": "password", "replaces": True})]
    put_change(ledger, caller, acts)
    if not ledger.credentials.change_password(
        account, hashed, proved.kept.version, _session(caller)
    ):
        raise FactorConflict(_MEANWHILE)


def begin_code(ledger: Ledger, caller: Caller) -> BegunCode:
    """A fresh seed, which counts once a code of it was shown; raises FactorConflict."""
    kept = _with_password(ledger, caller)
    seed = codes.new_seed()
    sealed = ledger.identity.seal(SEED, caller.account, seed)
    if kept.confirmed or not ledger.credentials.begin_code(caller.account, sealed):
        raise FactorConflict("the account has one-time codes already; remove those first")
    uri = codes.enrolment_uri(seed, caller.account, ledger.origin)
    return BegunCode(uri, codes.seed_text(seed))


def confirm_code(ledger: Ledger, caller: Caller, proof: Proof, address: str) -> tuple[str, ...]:
    """Let the seed that was begun count, by a code of it and, in a session by password, the password.

    Gives the recovery codes, this once. Raises WrongProof, FactorConflict, Throttled.
    """
    account, kept = caller.account, _with_password(ledger, caller)
    if kept.confirmed or not kept.seed:
        raise FactorConflict("no enrolment of one-time codes was begun, or it is done already")
    attempt = Attempt(ledger, account, address)
    right = caller.key is not None or passwords.matches(kept.password, proof.password)
    step = codes.step_of(opened_seed(ledger, account, kept), proof.code, ledger.clock())
    if not right or step is None or not ledger.credentials.use_step(account, kept.seed, step):
        attempt.failed(True)
        raise WrongProof(_WRONG)
    attempt.passed()
    recovery = codes.new_recovery_codes()
    hashes = [recovery_hash(ledger, account, code) for code in recovery]
    put_change(ledger, caller, [("factor.added", {"factor": "code"})])
    now, session = ledger.clock(), _session(caller)
    if not ledger.credentials.confirm_code(account, kept.seed, hashes, now, kept.version, session):
        raise FactorConflict(_MEANWHILE)
    return recovery


def remove_code(ledger: Ledger, caller: Caller, proof: Proof, address: str) -> None:
    """Remove the one-time codes and recovery codes, by password and a code or recovery code.

    Raises WrongProof, FactorConflict, Throttled.
    """
    if not _with_password(ledger, caller).confirmed:
        raise FactorConflict("the account has no one-time codes")
    proved = _proved(ledger, caller.account, proof, address)
    acts = [*recovery_act(proved), ("factor.removed", {"factor": "code"})]
    put_change(ledger, caller, acts)
    if not ledger.credentials.remove_code(caller.account, proved.kept.version, _session(caller)):
        raise FactorConflict(_MEANWHILE)


def recovery_act(proved: Proved) -> list[Act]:
    """That a recovery code was used, if one was."""
    return [("recovery.used", {"left": proved.left})] if proved.second == "recovery" else []


def _proved(ledger: Ledger, account: str, proof: Proof, address: str) -> Proved:
    onrecord.check_takes(ledger)
    found = prove(ledger, account, proof, address)
    if found is None:
        raise WrongProof(_WRONG)
    return found


def _check_key(ledger: Ledger, caller: Caller) -> None:
    """Raises KeyNeeded where the key that signed in isn't one of the account's that counts now.

    A session was checked; beside the data there is none.
    """
    if caller.key is None:
        return
    key = ledger.row(Key, caller.key)
    if key is None or not key.active or key.account != caller.account:
        raise KeyNeeded("the key is unknown, revoked, or not of this account")
    if key.counts_from > ledger.clock():
        raise KeyNeeded("the key is not valid yet (recovery keys: 24 h)")


def _with_password(ledger: Ledger, caller: Caller) -> Kept:
    _check_key(ledger, caller)
    onrecord.check_takes(ledger)
    kept = ledger.credentials.of(caller.account)
    if kept is None:
        raise FactorConflict("the account has no password yet; set one first")
    return kept


def put_change(ledger: Ledger, caller: Caller, acts: list[Act]) -> None:
    """The change itself, and the end of every other session."""
    others = ledger.credentials.sessions.of(caller.account)
    ends: list[Act] = [
        ("session.ended", {"reason": "factor_changed", "session": row.session})
        for row in others
        if row.session != _session(caller)
    ]
    onrecord.put_on_record(ledger, caller.account, [*acts, *ends])


def _session(caller: Caller) -> str:
    return caller.session.id if caller.session else ""
