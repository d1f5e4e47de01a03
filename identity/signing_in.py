"""Signing in by password: a session for whoever proves an account, its renewal, and stepping up.

A session and its entry stand in one transaction, and so does what was used up for it. Its token changes with each step; the one before is dead at once.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from crypto.encoding import b64encode
from identity import onrecord, passwords
from identity.actors import Caller, SignedIn, new_id
from identity.addresses import account_named
from identity.errors import (
    FactorConflict,
    IdentityError,
    KeyNeeded,
    NotSignedIn,
    SecondFactorNeeded,
    WrongProof,
)
from identity.factors import recovery_act
from identity.onrecord import Act, Change, counted
from identity.places import noting
from identity.proving import Proof, Proved, prove
from identity.sessions import (
    ADDRESS,
    ALONE_ROLES,
    PERSON_IDLE_MS,
    SESSION_MOST_MS,
    SESSIONS_MOST,
    STRONG_MS,
    TOKEN_BYTES,
    TWO_FACTOR_ROLES,
    Session,
    check_role,
    end_of,
    is_over,
    token_hash,
)
from storage.errors import Unavailable
from storage.ledger import Ledger
from storage.sql.sessions import SessionRow

WRONG = (
    "account, password or code is wrong, or the code was used already; an account with a second factor needs its code "
    "or a recovery code"
)
"""What everybody is told whose proof proves nothing, whatever is wrong with it."""
_WRONG_CODE = "the code or the recovery code is wrong, or was used already"
_ENDED = "the session has ended, or has another token by now: sign in again"
_MEANWHILE = "a factor of the account was changed meanwhile; sign in again"
SIGN_IN_TRIES = 3
"""How often a sign-in is tried anew because another session was opened or ended meanwhile."""


@dataclass(frozen=True)
class SignIn:
    """Who wants in: an account's id or e-mail address, what they show, and the role in which they act."""

    who: str
    proof: Proof
    role: str
    hospital: str = ""


def sign_in_by_password(ledger: Ledger, wanted: SignIn, address: str) -> Session:
    """A session for whoever shows what the account demands; `address`: whence they come.

    Raises NotSignedIn, SecondFactorNeeded, Throttled; Unavailable where too many wait or nothing can go on record.
    """
    onrecord.check_takes(ledger)
    account = account_named(ledger, wanted.who)
    proved = prove(ledger, account, wanted.proof, address, named=wanted.who)
    if proved is None:
        raise NotSignedIn(WRONG)
    check_wanted_role(ledger, account, wanted, proved)
    _rehash(ledger, account, proved.kept.password, wanted.proof.password)
    return open_session(ledger, account, wanted, proved, address)


class _Raced(IdentityError):
    """Another session was opened or ended meanwhile."""


def check_wanted_role(ledger: Ledger, account: str, wanted: SignIn, proved: Proved) -> None:
    """Who holds the role, and has shown enough for it."""
    if wanted.role not in ALONE_ROLES | TWO_FACTOR_ROLES:
        raise NotSignedIn(f"nobody signs in as {wanted.role} by password")
    check_role(ledger, Caller(account, wanted.role, wanted.hospital, None), ledger.clock())
    if not proved.second and wanted.role in TWO_FACTOR_ROLES:
        raise SecondFactorNeeded(
            f"the role {wanted.role} needs a second factor: set up one-time codes first, in the role person or in a "
            "session by key"
        )


def open_session(
    ledger: Ledger, account: str, wanted: SignIn, proved: Proved, address: str, still: Sequence[Change] = ()
) -> Session:  # fmt: skip
    """A session for whoever proved the account, in one transaction with its entry; `still`: what must hold then."""
    for _ in range(SIGN_IN_TRIES):
        with suppress(_Raced):
            return _open(ledger, account, wanted, proved, address, still)
    raise Unavailable(
        "full", "sessions of the account come and go all the time; try again in a second"
    )


def _open(
    ledger: Ledger, account: str, wanted: SignIn, proved: Proved, address: str, still: Sequence[Change]
) -> Session:  # fmt: skip
    now, token = ledger.clock(), os.urandom(TOKEN_BYTES)
    assurance = 2 if proved.second else 1
    means = "_".join(filter(None, ("password", proved.second)))
    if proved.second == "passkey":
        means = "passkey"
    row = SessionRow(
        new_id("ss", now), token_hash(token), account, wanted.role, wanted.hospital, assurance, means, now, now, 0,
        ledger.identity.index(ADDRESS, address),
    )  # fmt: skip
    said = {"assurance": assurance, "means": means, "role": wanted.role, "session": row.session}
    said |= {"hospital": wanted.hospital} if wanted.hospital else {}
    credentials = ledger.credentials
    credentials.sessions.sweep_due(now, SESSION_MOST_MS, PERSON_IDLE_MS)
    too_many = credentials.sessions.of(account)[SESSIONS_MOST - 1 :]
    names = [one.session for one in too_many]
    acts: list[Act] = [*recovery_act(proved), ("session.opened", said)]
    acts += [_ended(one.session, "replaced") for one in too_many if not is_over(one, now)]
    version = proved.kept.version
    changes = [
        *still,
        Change(lambda c: credentials.unchanged(c, account, version), NotSignedIn(_MEANWHILE)),
        counted(ledger, proved.kept, account),
        Change(lambda c: proved.use(ledger, account, c), NotSignedIn(WRONG)),
        Change(lambda c: credentials.sessions.add(c, row, names, SESSIONS_MOST), _Raced()),
        *noting(ledger, account, row.session, address),
    ]
    onrecord.put_on_record(ledger, account, acts, changes)
    return _given(row, token, now)


def renew(ledger: Ledger, caller: Caller, token: str) -> Session:
    """Another token for a session by password; the one that was sent is dead. Its end stays. Raises KeyNeeded, NotSignedIn."""
    row, now, new = row_of(ledger, caller, token), ledger.clock(), os.urandom(TOKEN_BYTES)
    after = row._replace(token=token_hash(new), used=now)
    if not ledger.credentials.sessions.replace(row.token, after):
        raise NotSignedIn(_ENDED)
    return _given(after, new, now)


def step_up(ledger: Ledger, caller: Caller, token: str, proof: Proof, address: str) -> Session:
    """The same session, sure of its owner for STRONG_MS, by a code or a recovery code; with another token.

    Raises FactorConflict without a second factor, NotSignedIn, Throttled, WrongProof.
    """
    onrecord.check_takes(ledger)
    row, kept = row_of(ledger, caller, token), ledger.credentials.of(caller.account)
    if kept is None or not kept.confirmed:
        raise FactorConflict("the account has no second factor; set up one-time codes first")
    proved = prove(ledger, caller.account, proof, address, password=False)
    if proved is None or not proved.second:
        raise WrongProof(_WRONG_CODE)
    return stepped_up(ledger, row, proved)


def stepped_up(
    ledger: Ledger, row: SessionRow, proved: Proved, still: Sequence[Change] = ()
) -> Session:
    """The session `row` with assurance 3 and another token, in one transaction with its entry; `still`: what must hold then.

    Raises NotSignedIn, WrongProof.
    """
    said, now, new = (
        {"means": proved.second, "session": row.session},
        ledger.clock(),
        os.urandom(TOKEN_BYTES),
    )
    strong = {"assurance": 2, "strong_until": now + STRONG_MS}
    after = row._replace(token=token_hash(new), used=now, **strong)  # type: ignore[arg-type]
    credentials, version = ledger.credentials, proved.kept.version
    changes = [
        *still,
        Change(lambda c: credentials.unchanged(c, row.account, version), NotSignedIn(_MEANWHILE)),
        Change(lambda c: proved.use(ledger, row.account, c), WrongProof(_WRONG_CODE)),
        Change(lambda c: credentials.sessions.replace_in(c, row.token, after), NotSignedIn(_ENDED)),
    ]
    acts = [*recovery_act(proved), ("session.stepped_up", said)]
    onrecord.put_on_record(ledger, row.account, acts, changes)
    return _given(after, new, now)


def row_of(ledger: Ledger, caller: Caller, token: str) -> SessionRow:
    """The session by password whose token it is; raises KeyNeeded for one by key, NotSignedIn once it has ended."""
    if caller.session is None:
        raise KeyNeeded(
            "a session by key is neither renewed nor stepped up: sign another challenge"
        )
    row = ledger.credentials.sessions.find(token_hash(token))
    if row is None:
        raise NotSignedIn("the session has ended: sign in again")
    return row


def _given(row: SessionRow, token: bytes, now: int) -> Session:
    assurance = 3 if now < row.strong_until else row.assurance
    caller = Caller(row.account, row.role, row.hospital, None, SignedIn(row.session, assurance))
    return Session(b64encode(token), end_of(row), caller)


def _ended(session: str, reason: str) -> Act:
    return "session.ended", {"reason": reason, "session": session}


def _rehash(ledger: Ledger, account: str, kept: str, password: str) -> None:
    """The password that was just right, under today's parameters."""
    if passwords.outdated(kept):
        ledger.credentials.rehashed(account, kept, passwords.rehash(password))
