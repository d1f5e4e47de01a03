"""Somebody registers alone: the service vouches for the account and its first key, whose private half it never sees.

Who brings no key brings a password, signs in by that, and has a key later (`identity.kept`).
"""

from dataclasses import dataclass, field
from typing import Any

from crypto.encoding import b64encode
from crypto.errors import CryptoError
from crypto.ids import ALGORITHM_ED25519, is_id, key_id
from crypto.signing import verify
from identity import onrecord, passwords
from identity.actors import new_id
from identity.onrecord import Change
from journeys.appending import submit
from journeys.errors import RecordsError
from journeys.quotas import HOUR_MS, Quota, take
from journeys.sealing import check_texts, reserve, seal
from keeper.protocol import KeyRequest
from ledger.directory import Account, Key
from ledger.errors import Refused
from ledger.messages import possession_message
from ledger.times import DAY_MS
from ledger.types import REGISTRY
from storage.ledger import Ledger

REGISTERED_AN_HOUR = 20
"""Most accounts that one address tries to register over HTTP within an hour; IPv6 addresses count by their /64."""
REGISTERED_A_DAY = 100
"""The same within a day."""
REGISTERED = (Quota(REGISTERED_AN_HOUR, HOUR_MS), Quota(REGISTERED_A_DAY, DAY_MS))


@dataclass(frozen=True)
class Registration:
    """What whoever registers brings. The account's id is theirs to choose, as the proof names it."""

    account: str
    name: str
    """Sealed under the account's key before anything of it is kept."""
    public_key: bytes = b""
    """Raw Ed25519, 32 bytes; empty with a password."""
    proof: bytes = b""
    """The key's signature over the proof of possession, 64 bytes; empty with a password."""
    password: str = field(default="", repr=False)
    """In place of a key."""


@dataclass(frozen=True)
class Registered:
    """A registered account, its first key (empty without one) and the entry that put that, or the password, in."""

    account: str
    key: str
    seq: int


def register_counted(ledger: Ledger, address: str, wanted: Registration) -> Registered:
    """`register_alone` for whoever asks from `address`; raises OverQuota as well, and registers nothing then.

    Every try counts: keys are made for each, and the log keeps each for ever.
    """
    take(ledger, "registering", address, 1, REGISTERED, "registrations from your address")
    return register_alone(ledger, wanted)


def register_alone(ledger: Ledger, wanted: Registration) -> Registered:
    """Append `account.registered` and `key.registered` by the service, both or neither.

    A retry of what stands already gives the same again. Raises RecordsError for what isn't of the form, Refused for an
    id that is taken or a proof that doesn't hold.
    """
    if wanted.password:
        return _with_password(ledger, wanted)
    key = _checked(ledger, wanted)
    stood = ledger.row(Key, key)
    if stood is not None and stood.account == wanted.account:
        return Registered(wanted.account, key, stood.seq)
    if stood is not None or ledger.row(Account, wanted.account) is not None:
        raise Refused(
            "duplicate_id", "the account or the key is registered already; choose new ones"
        )
    account, event_id = wanted.account, new_id("ev", ledger.clock())
    body = {"account": account, "name": _sealed(ledger, wanted, event_id)}
    stream = f"account/{account}"
    put_in = key_body(account, key, wanted.public_key, wanted.proof)
    proposals = [
        ledger.log.by_service(REGISTRY["account.registered", 1], stream, body, event_id=event_id),
        ledger.log.by_service(REGISTRY["key.registered", 1], stream, put_in),
    ]
    return Registered(account, key, submit(ledger, proposals, atomic=True)[1].link.seq)


def _with_password(ledger: Ledger, wanted: Registration) -> Registered:
    """Append `account.registered` and that it has a password, then keep that; a retry needs another id.

    Whether a password is right is for a sign-in alone to say, which is counted.
    """
    _check_form(wanted)
    if wanted.public_key or wanted.proof:
        raise RecordsError("got a key and a password, expected one of them")
    onrecord.check_takes(ledger)
    account = wanted.account
    taken = Refused("duplicate_id", "the account is registered already; choose a new one")
    if ledger.row(Account, account) is not None:
        raise taken
    hashed, event_id = passwords.hash_new(wanted.password, account), new_id("ev", ledger.clock())
    stream = f"account/{account}"
    body = {"account": account, "name": _sealed(ledger, wanted, event_id)}
    factor = {"account": account, "factor": "password"}
    proposals = [
        ledger.log.by_service(REGISTRY["account.registered", 1], stream, body, event_id=event_id),
        ledger.log.by_service(REGISTRY["factor.added", 1], stream, factor),
    ]
    now = ledger.clock()
    sets = Change(lambda c: ledger.credentials.set_first(c, account, hashed, now), taken)
    return Registered(account, "", onrecord.put_with(ledger, proposals, [sets])[1].link.seq)


def _check_form(wanted: Registration) -> None:
    if not is_id("ac", wanted.account):
        raise RecordsError(f"got {wanted.account[:40]!r}, expected an account's id ac_…")
    if not wanted.name.strip():
        raise RecordsError("expected a name; it is sealed, and never readable in the log")
    check_texts({"name": wanted.name})


def _checked(ledger: Ledger, wanted: Registration) -> str:
    """The key's id, of a registration whose form and proof are good; before any key is made for it."""
    _check_form(wanted)
    return checked_key(ledger, wanted.account, wanted.public_key, wanted.proof)


def checked_key(ledger: Ledger, account: str, public: bytes, proof: bytes) -> str:
    """The id of an account's new key; raises RecordsError for what is no account's id, Refused for a proof that doesn't hold."""
    if not is_id("ac", account):
        raise RecordsError(f"got {account[:40]!r}, expected an account's id ac_…")
    key = key_id(ALGORITHM_ED25519, public)
    try:
        verify(public, proof, possession_message(ledger.origin, account, key))
    except CryptoError as error:
        raise Refused("key", f"proof of possession: {error}") from error
    return key


def key_body(account: str, key: str, public: bytes, proof: bytes) -> dict[str, Any]:
    """The body of `key.registered` for a key on its owner's device."""
    return {
        "account": account,
        "algorithm": "ed25519",
        "custody": "device",
        "key": key,
        "proof": b64encode(proof),
        "public_key": b64encode(public),
    }


def _sealed(ledger: Ledger, wanted: Registration, event_id: str) -> str:
    """The name, sealed under a key that is made for the account; raises Refused for an id that somebody else reserved."""
    account, service = wanted.account, ledger.log.service
    made = reserve(ledger, service, [KeyRequest(account, (account,))])
    if ledger.keys.object_key(account, account).author != service:
        raise Refused("no_key", f"{account} was reserved by somebody else")
    stream = f"account/{account}"
    return seal(ledger, made[account, account], stream, event_id, {"name": wanted.name})["name"]
