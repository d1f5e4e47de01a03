"""Sessions: whose a bearer token is, what ends it, and which ones an account has.

A challenge signed by a registered key gives a session that leaves no entry; by password there is one that does
(`identity.signing_in`). What an auditor fetches entries by is a token, too, for a signed `log.opened`.
"""

import hashlib
import json
import os
from dataclasses import dataclass

from crypto.encoding import b64decode, b64encode
from crypto.errors import CryptoError
from crypto.signing import verify
from identity.actors import Caller, SignedIn
from identity.errors import NotSignedIn
from identity.onrecord import put_on_record
from ledger.codes import HOSPITAL_ROLES
from ledger.directory import Account, Hospital, Key, Member, Patient
from ledger.messages import session_message
from ledger.relations import Relation
from storage.ledger import Ledger
from storage.reader import LogReader
from storage.sql.sessions import SessionRow
from storage.tokens import TokenStore

CHALLENGE_BYTES = 32
CHALLENGE_MS = 120_000
"""How long a challenge waits for its signature."""
SESSION_MS = 900_000
"""How long a token counts."""
LOG_TOKEN_MS = 3_600_000
"""How long a token fetches entries."""
TOKEN_BYTES = 32
STAFF_IDLE_MS = 900_000
"""How long a session by password of staff, the operator or an auditor lasts without being used."""
PERSON_IDLE_MS = 1_800_000
"""How long one of a patient or a mere person does."""
SESSION_MOST_MS = 43_200_000
"""How long a session by password lasts at most, however much it is used."""
STRONG_MS = 300_000
"""How long a session is sure of its owner after a step-up."""
TOUCH_MS = 60_000
"""A use is noted if the one before is so long ago, so an idle session may end so much earlier."""
SESSIONS_MOST = 20
"""Sessions by password of one account; for one more the one that was used longest ago ends."""
SERVICE = "service"
"""The custody of keys that the service keeps: nobody signs in by one."""
ALONE_ROLES = frozenset({"patient", "person"})
"""Roles that a password alone lets in."""
TWO_FACTOR_ROLES = frozenset({
    "auditor", "doctor", "hospital_admin", "hospital_system", "operator", "relative",
})  # fmt: skip
"""Roles that nobody takes up without a second factor: they may read charts, or decide on those who do."""
ADDRESS = "address"
"""The kind of keyed hash under which the address of a session is kept."""
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
    if row.custody == SERVICE:
        raise NotSignedIn(
            "the key is called one that the service keeps; nobody signs in by such a key"
        )
    try:
        verify(row.public, value, session_message(ledger.origin, key, nonce))
    except CryptoError as error:
        raise NotSignedIn(f"session challenge: {error}") from error
    caller = Caller(row.account, role, hospital, key)
    check_role(ledger, caller, now)
    return _give(tokens, "session", caller, now, now + SESSION_MS)


def caller_of(ledger: Ledger, tokens: TokenStore, token: str) -> Caller:
    """Whose token it is, if session, key and role still count; raises NotSignedIn."""
    kept = _kept(tokens, "session", token, ledger.clock())
    found = _by_password(ledger, token) if kept is None else None
    return found or _holder(ledger, kept, "session")


def _by_password(ledger: Ledger, token: str) -> Caller | None:
    """Whose session by password it is; None for a token that is of none, or of one that has ended."""
    now, row = ledger.clock(), ledger.credentials.sessions.find(token_hash(token))
    if row is None or is_over(row, now):
        return None
    assurance = 3 if now < row.strong_until else row.assurance
    caller = Caller(row.account, row.role, row.hospital, None, SignedIn(row.session, assurance))
    check_role(ledger, caller, now)
    if now - row.used >= TOUCH_MS:
        ledger.credentials.sessions.touch(row.token, now)
    return caller


def open_log(tokens: TokenStore, account: str, key: str, now: int) -> Session:
    """A token for entries from `now` (Unix ms) on, of the auditor whose `log.opened` was just appended."""
    return _give(tokens, "log", Caller(account, "auditor", "", key), now, now + LOG_TOKEN_MS)


def log_reader(ledger: LogReader, tokens: TokenStore, token: str) -> Caller:
    """The auditor who fetches entries, if key and term still count; raises NotSignedIn."""
    return _holder(ledger, _kept(tokens, "log", token, ledger.clock()), "log")


def sign_out(ledger: Ledger, tokens: TokenStore, token: str) -> None:
    """End a session; one that has ended stays ended."""
    row = ledger.credentials.sessions.find(token_hash(token))
    if row is not None:
        _end(ledger, row, "signed_out")
        return
    try:
        tokens.take("session", b64decode(token, TOKEN_BYTES), ledger.clock())
    except CryptoError as error:
        raise NotSignedIn("unknown token") from error


def end_session(ledger: Ledger, caller: Caller, session: str) -> bool:
    """End a session by password of the caller's own; whether there was one."""
    own = ledger.credentials.sessions.of(caller.account)
    found = next((row for row in own if row.session == session), None)
    return found is not None and _end(ledger, found, "owner")


def _end(ledger: Ledger, row: SessionRow, reason: str) -> bool:
    """It ends at once, whatever can be appended; its entry follows, unless somebody else ended it meanwhile."""
    if not ledger.credentials.sessions.end(row.account, row.session):
        return False
    if not is_over(row, ledger.clock()):
        ended = {"reason": reason, "session": row.session}
        put_on_record(ledger, row.account, [("session.ended", ended)])
    return True


def token_hash(token: str | bytes) -> bytes:
    """Under what a token is kept, 32 bytes; of a text that is no token something that finds nothing."""
    if isinstance(token, str):
        try:
            token = b64decode(token, TOKEN_BYTES)
        except CryptoError:
            token = b""
    return hashlib.sha256(token).digest()


def idle_ms(role: str) -> int:
    """How long a session by password in a role lasts without being used."""
    return PERSON_IDLE_MS if role in ("patient", "person", "relative") else STAFF_IDLE_MS


def end_of(row: SessionRow) -> int:
    """When a session ends unless it is used again, Unix ms."""
    return min(row.created + SESSION_MOST_MS, row.used + idle_ms(row.role))


def is_over(row: SessionRow, now: int) -> bool:
    """Whether a session has ended at `now` (Unix ms)."""
    return now >= end_of(row)


def active_role(ledger: LogReader, caller: Caller, now: int) -> bool:
    """Whether the account holds the role now (at the hospital, for staff), by the current views."""
    if caller.role == "person":
        return not caller.hospital and ledger.row(Account, caller.account) is not None
    if caller.role == "patient":
        return not caller.hospital and bool(ledger.rows(Patient, "account", caller.account))
    if caller.role == "relative":
        found = ledger.rows(Relation, "account", caller.account)
        return not caller.hospital and any(one.active for one in found)
    member = ledger.row(Member, caller.account, caller.role, caller.hospital)
    if member is None or not member.holds(now):
        return False
    if caller.role in HOSPITAL_ROLES:
        hospital = ledger.row(Hospital, caller.hospital)
        return hospital is not None and hospital.active
    if caller.role != "auditor":
        return True
    # Who acts for a hospital audits nothing (`ledger.directory.is_staff`).
    held = ledger.rows(Member, "account", caller.account)
    return not any(one.holds(now) and one.role in HOSPITAL_ROLES for one in held)


def _give(tokens: TokenStore, kind: str, caller: Caller, now: int, end: int) -> Session:
    token = os.urandom(TOKEN_BYTES)
    said = {name: getattr(caller, name) for name in ("account", "role", "hospital", "key")}
    tokens.put(kind, token, json.dumps(said).encode(), now, end)
    return Session(b64encode(token), end, caller)


def _kept(tokens: TokenStore, kind: str, token: str, now: int) -> bytes | None:
    """What is kept under a token; None for one that is none, or has ended."""
    try:
        return tokens.get(kind, b64decode(token, TOKEN_BYTES), now)
    except CryptoError:
        return None


def _holder(ledger: LogReader, found: bytes | None, kind: str) -> Caller:
    """Who signed in by key, if key and role still count."""
    if found is None:
        raise NotSignedIn(f"the token is unknown or has expired: {_AGAIN[kind]}")
    said = json.loads(found)
    key = ledger.row(Key, said["key"])
    if key is None or not key.active:
        raise NotSignedIn("the key that signed in was revoked")
    caller = Caller(said["account"], said["role"], said["hospital"], key.key)
    check_role(ledger, caller, ledger.clock())
    return caller


def check_role(ledger: LogReader, caller: Caller, now: int) -> None:
    """Raises NotSignedIn unless the caller holds the role now."""
    if not active_role(ledger, caller, now):
        raise NotSignedIn(f"the account is not an active {caller.role or 'member'} there")
