"""Another role: a session in one of the roles that somebody can act in, in place of the one that they are in."""

import os
from collections.abc import Sequence
from contextlib import suppress

from crypto.encoding import b64encode
from identity import onrecord
from identity.actors import Caller, SignedIn, new_id
from identity.errors import IdentityError, KeyNeeded, NotSignedIn, SecondFactorNeeded, StepUpNeeded
from identity.onrecord import Act, Change, counted
from identity.own import OwnRole
from identity.sessions import (
    ALONE_ROLES,
    SESSIONS_MOST,
    STRONG_MS,
    TOKEN_BYTES,
    TWO_FACTOR_ROLES,
    Session,
    check_role,
    end_of,
    token_hash,
)
from identity.signing_in import SIGN_IN_TRIES
from storage.errors import Unavailable
from storage.ledger import Ledger
from storage.sql.sessions import SessionRow

_ENDED = "the session has ended, or has another token by now: sign in again"


class _Raced(IdentityError):
    """A session was opened or ended meanwhile."""


def take_role(ledger: Ledger, caller: Caller, token: str, wanted: OwnRole) -> Session:
    """A session in another role of the caller's in place of the one that asks, whose token is dead then.

    It is as sure of its owner as that one was, but for a step-up, and ends when that would have at the latest. Both entries
    stand in one transaction. A role of staff takes a second factor
    within STRONG_MS. Raises KeyNeeded in a session by key, NotSignedIn, SecondFactorNeeded, StepUpNeeded, Throttled, Unavailable.
    """
    onrecord.check_takes(ledger)
    if caller.session is None:
        raise KeyNeeded("in a session by key, sign another challenge for another role")
    if wanted.role not in ALONE_ROLES | TWO_FACTOR_ROLES:
        raise NotSignedIn(f"nobody signs in as {wanted.role} by password")
    check_role(ledger, Caller(caller.account, wanted.role, wanted.hospital, None), ledger.clock())
    for _ in range(SIGN_IN_TRIES):
        with suppress(_Raced):
            return _taken(ledger, caller.account, token, wanted)
    raise Unavailable("full", "sessions of the account come and go all the time; try again")


def _taken(ledger: Ledger, account: str, token: str, wanted: OwnRole) -> Session:
    now, new, credentials = ledger.clock(), os.urandom(TOKEN_BYTES), ledger.credentials
    before, kept = credentials.sessions.find(token_hash(token)), credentials.of(account)
    if before is None or before.account != account or kept is None:
        raise NotSignedIn(_ENDED)
    if before.assurance < 2 and wanted.role in TWO_FACTOR_ROLES:
        raise SecondFactorNeeded(
            f"the role {wanted.role} needs a second factor: step up, and take the role then"
        )
    if wanted.role in TWO_FACTOR_ROLES and now >= max(
        before.created + STRONG_MS, before.strong_until
    ):
        raise StepUpNeeded(  # a stolen session stays in the role that it was stolen in
            f"the role {wanted.role} needs a second factor within the last 5 minutes: step up, and take the role then"
        )
    # One that was stepped up since was opened by the password alone, and is sure by the code that was shown.
    means = before.means
    if before.assurance > 1 and means == "password":
        means = "password_code"
    row = SessionRow(
        new_id("ss", now), token_hash(new), account, wanted.role, wanted.hospital, before.assurance, means,
        before.created, now, 0, before.address,
    )  # fmt: skip
    version = kept.version
    changes = [
        Change(lambda c: credentials.unchanged(c, account, version), NotSignedIn(_ENDED)),
        counted(ledger, kept, account),
        Change(
            lambda c: credentials.sessions.add(c, row, [before.session], SESSIONS_MOST), _Raced()
        ),
    ]
    onrecord.put_on_record(ledger, account, _acts(row, before), changes)
    signed_in = SignedIn(row.session, row.assurance)
    caller = Caller(account, row.role, row.hospital, None, signed_in)
    return Session(b64encode(new), end_of(row), caller)


def _acts(row: SessionRow, before: SessionRow) -> Sequence[Act]:
    said = {
        "assurance": row.assurance, "means": row.means, "role": row.role, "session": row.session
    }  # fmt: skip
    said |= {"hospital": row.hospital} if row.hospital else {}
    ended: Act = ("session.ended", {"reason": "replaced", "session": before.session})
    return [("session.opened", said), ended]
