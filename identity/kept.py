"""Signing keys that the service keeps for people: made, used, replaced, revoked.

A kept key is sealed under the identity root, opened for one signature at a time, and only in a session by password of its
owner's; the entry names that session's sign-in (`ledger.signins`). It gives way to a key of the owner's own at any time. The
other way takes the own key's signature, or the waiting of a recovery, and is told.
"""

import os
from dataclasses import dataclass
from typing import Any

from crypto.encoding import b64encode
from crypto.errors import CryptoError
from crypto.ids import ALGORITHM_ED25519, key_id
from crypto.signing import SEED_BYTES, SigningKey
from durable.errors import StorageError
from identity import onrecord
from identity.actors import Caller, new_id
from identity.errors import (
    FactorConflict,
    KeyNeeded,
    NotSignedIn,
    StepUpNeeded,
    WrongProof,
)
from identity.factors import recovery_act, shown_anew, still
from identity.onrecord import Change, counted
from identity.proving import Proof, Proved
from identity.sessions import SERVICE
from identity.strength import check_known_by_two
from ledger.directory import Account, Key
from ledger.errors import Refused
from ledger.event import Event
from ledger.messages import possession_message
from ledger.sequencer import Proposal
from ledger.signins import SignIns
from ledger.times import DAY_MS, format_time
from ledger.types.accounts import KEY_REGISTERED_V1
from storage.ledger import Ledger
from storage.sql.credentials import Kept
from storage.sql.kept import KeptKey

SIGNING_KEY = "signing key"
"""The kind under which private keys are sealed, each bound to its account."""
WAITING_MS = DAY_MS
"""How long a kept key waits for the entry that registers it."""
WAITING_MOST = 5
"""Most kept keys of one account that wait for it."""
SETTLED_MS = DAY_MS
"""How long codes and the e-mail address must have been the same before a key is recovered by them: their owner hears of it."""
_ONE = "the service keeps a key of the account already; it can be rotated"
_MEANWHILE = "a factor of the account was changed meanwhile; look, and try again"
_USED = "the code or the recovery code was used already"
_STEP_UP = "this needs the second factor once more: step up (POST /v1/sessions/current/step-up)"


@dataclass(frozen=True)
class MadeKey:
    """A key that the service keeps from now on; what its `key.registered` says of it, in base64."""

    key: str
    public_key: str
    proof: str
    seq: int
    """The entry that registered it; 0 where the owner's own key has still to sign that."""


@dataclass(frozen=True)
class OwnKey:
    """A key of an account as its owner sees it."""

    active: bool
    algorithm: str
    counts_from: str
    custody: str
    key: str
    kept: bool
    """Whether the service can sign with it, in a session of its owner's."""
    seq: int


def own_keys(ledger: Ledger, caller: Caller) -> tuple[OwnKey, ...]:
    """The caller's own keys, the newest first."""
    kept = {one.key for one in ledger.credentials.kept_keys.of(caller.account)}
    rows = sorted(ledger.rows(Key, "account", caller.account), key=lambda row: -row.seq)
    return tuple(
        OwnKey(
            row.active, row.algorithm, format_time(row.counts_from), row.custody, row.key,
            row.active and row.key in kept, row.seq,
        )
        for row in rows
    )  # fmt: skip


def keep_key(ledger: Ledger, caller: Caller, recovery: bool = False) -> MadeKey:
    """Make a key that the service keeps for the caller.

    An account's first key is registered at once, the service vouching for it. Who has a key of their own signs the
    `key.registered` with that: then `seq` is 0. Who has none left asks for `recovery`, whose key counts 24 hours later.
    Raises SecondFactorNeeded, StepUpNeeded, FactorConflict, KeyNeeded, Refused, Throttled.
    """
    account = caller.account
    known = check_known_by_two(ledger, caller)
    onrecord.check_takes(ledger)
    if _kept(ledger, account) is not None:
        raise FactorConflict(_ONE)
    keys = ledger.rows(Key, "account", account)
    own = any(row.active and row.custody != SERVICE and row.algorithm == "ed25519" for row in keys)
    if recovery:
        _check_recovery(ledger, caller, known, bool(keys), own)
    elif not own:
        _check_first(ledger, account, bool(keys))
    made = _make(ledger, account)
    if own and not recovery:
        return _shown(ledger, account, made, 0)
    body = _body(ledger, account, made) | ({"recovery": True} if recovery else {})
    put_in = ledger.log.by_service(KEY_REGISTERED_V1, f"account/{account}", body)
    seq = _put(ledger, caller, Proved(known, ""), [put_in], "")
    return _shown(ledger, account, made, seq)


def rotate_key(ledger: Ledger, caller: Caller, shown: Proof, address: str) -> MadeKey:
    """Another kept key in place of the one before, which vouches for it and is destroyed; raises as `replace_key` does."""
    old, proved = _sure_of(ledger, caller, shown, address)
    made = _make(ledger, caller.account)
    seq = _exchange(ledger, caller, proved, old, _body(ledger, caller.account, made))
    return _shown(ledger, caller.account, made, seq)


def replace_key(
    ledger: Ledger, caller: Caller, public: bytes, proof: bytes, shown: Proof, address: str
) -> int:
    """A key of the caller's own in place of the kept one, which vouches for it and is destroyed; gives the entry.

    `shown`: a code or a recovery code. Raises SecondFactorNeeded, WrongProof, KeyNeeded where none is kept, Refused for a
    proof of possession that doesn't hold, FactorConflict, Throttled.
    """
    old, proved = _sure_of(ledger, caller, shown, address)
    body = {
        "account": caller.account, "algorithm": "ed25519", "custody": "device",
        "key": key_id(ALGORITHM_ED25519, public), "proof": b64encode(proof), "public_key": b64encode(public),
    }  # fmt: skip
    return _exchange(ledger, caller, proved, old, body)


def revoke_kept(ledger: Ledger, caller: Caller, shown: Proof, address: str) -> int:
    """Revoke the kept key, which is destroyed, with nothing in its place; gives the entry. Raises as `replace_key` does."""
    old, proved = _sure_of(ledger, caller, shown, address)
    return _put(ledger, caller, proved, [_revoked(ledger, caller.account, old)], old.id)


def has_kept_key(ledger: Ledger, caller: Caller) -> bool:
    """Whether the service can sign for the caller: in a session by two factors, with a kept key that counts."""
    if caller.session is None or caller.session.assurance < 2:
        return False
    found = _kept(ledger, caller.account)
    return found is not None and found[1].counts_from <= ledger.clock()


def sign_for(ledger: Ledger, caller: Caller, event: Event, expect: int | None) -> Proposal:
    """An event of the caller's own, signed with their kept key; what it names must be what the session is for.

    Raises KeyNeeded without such a key or session, Refused for another's event or role, and for their own keys, which have
    calls of their own; SecondFactorNeeded without codes or in a session by password alone; StepUpNeeded for what is not gated, as its
    entry can't name the sign-in.
    """
    if caller.session is None:
        raise KeyNeeded("an event without a signature is for a session by password, got one by key")
    if event.actor != caller.account:
        raise Refused("key", f"got an event of {event.actor}, expected one of {caller.account}")
    if (event.role, event.hospital) != (caller.role, caller.hospital):
        raise Refused(
            "role",
            f"got an event as {event.role}, expected {caller.role}, which the session is for",
        )
    if event.type.stream == "account" and event.subject == caller.account:
        raise Refused(
            "key", "keys that the service keeps are changed by calls of their own (/v1/me/keys)"
        )
    if not event.type.gated and caller.session.assurance < 3:
        raise StepUpNeeded(_STEP_UP)
    key = _opened(ledger, caller)
    check_known_by_two(ledger, caller)
    sign_ins = ledger.row(SignIns, caller.account)
    found = None if sign_ins is None else sign_ins.of(caller.session.id)
    if found is None:
        raise NotSignedIn("the session is not on record any more: sign in again")
    return ledger.signatures.by_key(event, key, expect, found.named_by(ledger.clock()))


def _opened(ledger: Ledger, caller: Caller) -> SigningKey:
    """The kept key, which counts; raises KeyNeeded, and StorageError where what is kept isn't that key."""
    found = _kept(ledger, caller.account)
    if found is None:
        raise KeyNeeded(
            "the service keeps no key of the account: sign the event, or let it keep one"
        )
    kept, row = found
    if row.counts_from > ledger.clock():
        raise KeyNeeded(f"the key counts from {format_time(row.counts_from)}: recovery takes 24 h")
    try:
        key = SigningKey(ledger.identity.open(SIGNING_KEY, caller.account, kept.sealed))
    except CryptoError as error:
        raise StorageError(f"what is kept as {row.key} doesn't open: {error}") from error
    if key.id != row.key:
        raise StorageError(f"what is kept as {row.key} is another key")
    return key


def _kept(ledger: Ledger, account: str) -> tuple[KeptKey, Key] | None:
    """The account's kept key that no entry revoked, and what the log says of it."""
    for one in ledger.credentials.kept_keys.of(account):
        row = ledger.row(Key, one.key)
        if row is not None and row.active and row.account == account and row.custody == SERVICE:
            return one, row
    return None


def _check_recovery(ledger: Ledger, caller: Caller, known: Kept, had: bool, own: bool) -> None:
    """It is for whoever has no key left, is sure of, and can be told: by what has been theirs for a day."""
    if not had:
        raise FactorConflict("the account has had no key, so none is to be recovered")
    if own:
        raise FactorConflict(
            "a key of your own counts: sign with it that the service may keep one, or have that revoked first"
        )
    if caller.session is None or caller.session.assurance < 3:
        raise StepUpNeeded(_STEP_UP)
    contact, now = ledger.contacts.of(caller.account), ledger.clock()
    changed = max(known.since, contact[1] if contact else 0)
    if now - changed < SETTLED_MS:
        raise FactorConflict(
            "the one-time codes or the e-mail address were changed within the last 24 hours: ask for a recovery after "
            f"{format_time(changed + SETTLED_MS)}"
        )


def _check_first(ledger: Ledger, account: str, had: bool) -> None:
    """The service vouches for the first key of whoever registered alone, and for no other."""
    if had:
        raise KeyNeeded(
            "no key of the account's own counts any more: ask for a recovery, whose key counts 24 hours later"
        )
    row = ledger.row(Account, account)
    if row is None or row.registrar != "service":
        raise KeyNeeded("the first key of the account is put in by whoever registered it")


def _sure_of(
    ledger: Ledger, caller: Caller, shown: Proof, address: str
) -> tuple[SigningKey, Proved]:
    """The kept key, to be exchanged or revoked, and the code that is shown for it: a session that was stolen has none."""
    if caller.session is None:
        raise KeyNeeded(
            "a kept key is used in a session by password; with your own key, sign `key.revoked`"
        )
    check_known_by_two(ledger, caller)
    onrecord.check_takes(ledger)
    key = _opened(ledger, caller)
    return key, shown_anew(ledger, caller, shown, address)


def _make(ledger: Ledger, account: str) -> SigningKey:
    """A fresh key, sealed and kept before anything names it."""
    now, kept = ledger.clock(), ledger.credentials.kept_keys
    waiting = [one for one in kept.of(account) if ledger.row(Key, one.key) is None]
    over = [one.key for one in waiting if now - one.created > WAITING_MS]
    if len(waiting) - len(over) >= WAITING_MOST:
        raise FactorConflict(
            f"{WAITING_MOST} kept keys wait for the entry that registers them; try again in 24 hours"
        )
    key = SigningKey(os.urandom(SEED_BYTES))
    kept.add(
        KeptKey(key.id, account, ledger.identity.seal(SIGNING_KEY, account, key.seed), now), over
    )
    return key


def _body(ledger: Ledger, account: str, key: SigningKey) -> dict[str, Any]:
    return {
        "account": account, "algorithm": "ed25519", "custody": "service", "key": key.id,
        "proof": _proof(ledger, account, key), "public_key": b64encode(key.public),
    }  # fmt: skip


def _proof(ledger: Ledger, account: str, key: SigningKey) -> str:
    return b64encode(key.sign(possession_message(ledger.origin, account, key.id)))


def _shown(ledger: Ledger, account: str, key: SigningKey, seq: int) -> MadeKey:
    return MadeKey(key.id, b64encode(key.public), _proof(ledger, account, key), seq)


def _exchange(
    ledger: Ledger, caller: Caller, proved: Proved, old: SigningKey, body: dict[str, Any]
) -> int:
    put_in = _own_event(ledger, caller.account, "key.registered", body)
    signed = ledger.signatures.by_key(put_in, old, None, None)
    return _put(ledger, caller, proved, [signed, _revoked(ledger, caller.account, old)], old.id)


def _revoked(ledger: Ledger, account: str, old: SigningKey) -> Proposal:
    event = _own_event(ledger, account, "key.revoked", {"account": account, "key": old.id})
    return ledger.signatures.by_key(event, old, None, None)


def _own_event(ledger: Ledger, account: str, kind: str, body: dict[str, Any]) -> Event:
    now = ledger.clock()
    return Event.of({
        "actor": account, "as": {"role": "person"}, "at": format_time(now), "body": body,
        "id": new_id("ev", now), "stream": f"account/{account}", "type": kind, "v": 1,
    })  # fmt: skip


def _put(
    ledger: Ledger, caller: Caller, proved: Proved, proposals: list[Proposal], old: str
) -> int:
    """All of them with what was shown for it, or nothing; the first one's entry. It is counted as a change of factors.

    No other key than `old` is kept then: of two who ask at once one is refused. Raises Refused, FactorConflict, NotSignedIn,
    Throttled, WrongProof.
    """
    account, known, credentials = caller.account, proved.kept, ledger.credentials
    others = credentials.kept_keys.keeps_but
    changes = [
        *still(ledger, caller),
        Change(
            lambda c: credentials.unchanged(c, account, known.version), FactorConflict(_MEANWHILE)
        ),
        Change(lambda c: not others(c, account, old), FactorConflict(_ONE)),
        counted(ledger, known, account),
        Change(lambda c: proved.use(ledger, account, c), WrongProof(_USED)),
    ]
    used = onrecord.signed(ledger, account, recovery_act(proved))
    return onrecord.put_with(ledger, [*proposals, *used], changes)[0].link.seq
