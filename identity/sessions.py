"""Sessions by key: a challenge signed by a registered key gives a bearer token. They leave no entry."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass

from crypto.encoding import b64decode, b64encode
from crypto.errors import CryptoError
from crypto.signing import verify
from identity.actors import Caller
from identity.errors import NotSignedIn
from ledger.directory import Account, Hospital, Key, Member, Patient
from ledger.event import session_message
from ledger.registry import HOSPITAL_ROLES
from storage.ledger import Ledger

CHALLENGE_BYTES = 32
CHALLENGE_MS = 120_000
"""How long a challenge waits for its signature."""
SESSION_MS = 900_000
"""How long a token counts."""
TOKEN_BYTES = 32


@dataclass(frozen=True)
class Session:
    """A bearer token and its end (Unix ms)."""

    token: str
    end: int
    caller: Caller


def challenge(ledger: Ledger) -> bytes:
    """32 fresh bytes to sign; they count for two minutes, once."""
    secret, now = os.urandom(CHALLENGE_BYTES), ledger.clock()
    ledger.passing.put("challenge", _hash(secret), b"", now, now + CHALLENGE_MS)
    return secret


def sign_in(
    ledger: Ledger, key: str, nonce: bytes, value: bytes, role: str, hospital: str
) -> Session:
    """A session for whoever signed the challenge `nonce`, in one of their roles; raises NotSignedIn."""
    now = ledger.clock()
    if ledger.passing.take("challenge", _hash(nonce), now) is None:
        raise NotSignedIn(
            "got a challenge that was used, has ended or was never given; ask for another"
        )
    row = ledger.row(Key, key)
    if row is None or not row.active or row.counts_from > now or row.algorithm != "ed25519":
        raise NotSignedIn("the key is not registered, revoked, or not counting yet")
    try:
        verify(row.public, value, session_message(ledger.origin, key, nonce))
    except CryptoError as error:
        raise NotSignedIn(f"session challenge: {error}") from error
    caller = Caller(row.account, role, hospital, key)
    _check(ledger, caller, now)
    token = os.urandom(TOKEN_BYTES)
    end = now + SESSION_MS
    ledger.passing.put("session", _hash(token), json.dumps(asdict(caller)).encode(), now, end)
    return Session(b64encode(token), end, caller)


def caller_of(ledger: Ledger, token: str) -> Caller:
    """Whose token it is, if key and role still count; raises NotSignedIn."""
    now = ledger.clock()
    try:
        found = ledger.passing.get("session", _hash(b64decode(token, TOKEN_BYTES)), now)
    except CryptoError:
        found = None
    if found is None:
        raise NotSignedIn("the token is none of ours, or has ended: sign in again")
    caller = Caller(**json.loads(found))
    key = ledger.row(Key, caller.key)
    if key is None or not key.active:
        raise NotSignedIn("the key that signed in was revoked")
    _check(ledger, caller, now)
    return caller


def sign_out(ledger: Ledger, token: str) -> None:
    """End a session; one that has ended stays ended."""
    try:
        ledger.passing.take("session", _hash(b64decode(token, TOKEN_BYTES)), ledger.clock())
    except CryptoError as error:
        raise NotSignedIn("the token is none of ours") from error


def active_role(ledger: Ledger, caller: Caller, now: int) -> bool:
    """Whether the account holds the role now (at the hospital, for staff), by the current views."""
    if caller.role == "person":
        return not caller.hospital and ledger.row(Account, caller.account) is not None
    if caller.role == "patient":
        return not caller.hospital and bool(ledger.rows(Patient, "account", caller.account))
    member = ledger.row(Member, caller.account, caller.role, caller.hospital)
    if member is None or not member.active:
        return False
    if caller.role in HOSPITAL_ROLES:
        hospital = ledger.row(Hospital, caller.hospital)
        return hospital is not None and hospital.active
    return caller.role != "auditor" or member.start <= now < member.end


def _check(ledger: Ledger, caller: Caller, now: int) -> None:
    if not active_role(ledger, caller, now):
        raise NotSignedIn(f"the account is not an active {caller.role or 'member'} there")


def _hash(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
