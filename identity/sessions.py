"""Sessions by key: a challenge signed by a registered key gives a bearer token. They leave no entry.

What an auditor fetches entries by is such a token, too, for a signed `log.opened`.
"""

import json
import os
from dataclasses import asdict, dataclass

from crypto.encoding import b64decode, b64encode
from crypto.errors import CryptoError
from crypto.signing import verify
from identity.actors import Caller
from identity.errors import NotSignedIn
from ledger.codes import HOSPITAL_ROLES
from ledger.directory import Account, Hospital, Key, Member, Patient
from ledger.messages import session_message
from storage.reader import LogReader
from storage.tokens import TokenStore

CHALLENGE_BYTES = 32
CHALLENGE_MS = 120_000
"""How long a challenge waits for its signature."""
SESSION_MS = 900_000
"""How long a token counts."""
LOG_TOKEN_MS = 3_600_000
"""How long a token fetches entries."""
TOKEN_BYTES = 32
_AGAIN = {"log": "send a new log.opened", "session": "sign in again"}


@dataclass(frozen=True)
class Session:
    """A bearer token and its end (Unix ms)."""

    token: str
    end: int
    caller: Caller


def challenge(tokens: TokenStore, now: int) -> bytes:
    """32 fresh bytes to sign; from `now` (Unix ms) on they count for two minutes, once."""
    secret = os.urandom(CHALLENGE_BYTES)
    tokens.put("challenge", secret, b"", now, now + CHALLENGE_MS)
    return secret


def sign_in(
    ledger: LogReader,
    tokens: TokenStore,
    key: str,
    nonce: bytes,
    value: bytes,
    role: str,
    hospital: str,
) -> Session:
    """A session for whoever signed the challenge `nonce`, in one of their roles; raises NotSignedIn."""
    now = ledger.clock()
    if tokens.take("challenge", nonce, now) is None:
        raise NotSignedIn(
            "got a challenge that was used, has expired or was never issued; ask for another"
        )
    row = ledger.row(Key, key)
    if row is None or not row.active or row.counts_from > now or row.algorithm != "ed25519":
        raise NotSignedIn("the key is unknown, revoked, or not valid yet (recovery keys: 24 h)")
    try:
        verify(row.public, value, session_message(ledger.origin, key, nonce))
    except CryptoError as error:
        raise NotSignedIn(f"session challenge: {error}") from error
    caller = Caller(row.account, role, hospital, key)
    _check(ledger, caller, now)
    return _give(tokens, "session", caller, now, now + SESSION_MS)


def caller_of(ledger: LogReader, tokens: TokenStore, token: str) -> Caller:
    """Whose token it is, if key and role still count; raises NotSignedIn."""
    return _holder(ledger, tokens, "session", token)


def open_log(tokens: TokenStore, account: str, key: str, now: int) -> Session:
    """A token for entries from `now` (Unix ms) on, of the auditor whose `log.opened` was just appended."""
    return _give(tokens, "log", Caller(account, "auditor", "", key), now, now + LOG_TOKEN_MS)


def log_reader(ledger: LogReader, tokens: TokenStore, token: str) -> Caller:
    """The auditor who fetches entries, if key and term still count; raises NotSignedIn."""
    return _holder(ledger, tokens, "log", token)


def sign_out(tokens: TokenStore, token: str, now: int) -> None:
    """End a session at `now` (Unix ms); one that has ended stays ended."""
    try:
        tokens.take("session", b64decode(token, TOKEN_BYTES), now)
    except CryptoError as error:
        raise NotSignedIn("unknown token") from error


def active_role(ledger: LogReader, caller: Caller, now: int) -> bool:
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
    if caller.role != "auditor":
        return True
    # Who acts for a hospital audits nothing (`ledger.directory.is_staff`).
    held = ledger.rows(Member, "account", caller.account)
    staff = any(one.active and one.role in HOSPITAL_ROLES for one in held)
    return member.start <= now < member.end and not staff


def _give(tokens: TokenStore, kind: str, caller: Caller, now: int, end: int) -> Session:
    token = os.urandom(TOKEN_BYTES)
    tokens.put(kind, token, json.dumps(asdict(caller)).encode(), now, end)
    return Session(b64encode(token), end, caller)


def _holder(ledger: LogReader, tokens: TokenStore, kind: str, token: str) -> Caller:
    now = ledger.clock()
    try:
        found = tokens.get(kind, b64decode(token, TOKEN_BYTES), now)
    except CryptoError:
        found = None
    if found is None:
        raise NotSignedIn(f"the token is unknown or has expired: {_AGAIN[kind]}")
    caller = Caller(**json.loads(found))
    key = ledger.row(Key, caller.key)
    if key is None or not key.active:
        raise NotSignedIn("the key that signed in was revoked")
    _check(ledger, caller, now)
    return caller


def _check(ledger: LogReader, caller: Caller, now: int) -> None:
    if not active_role(ledger, caller, now):
        raise NotSignedIn(f"the account is not an active {caller.role or 'member'} there")
