"""Accounts and their keys: who may vouch for one, as the formats' section on keys in the log says."""

from typing import TYPE_CHECKING

from crypto.encoding import b64decode
from crypto.errors import CryptoError
from crypto.ids import ALGORITHM_ED25519, ALGORITHM_X25519, ALGORITHM_X_WING, key_id
from crypto.signing import verify
from crypto.xwing import PUBLIC_BYTES, check_public
from ledger.codes import ACCOUNT, TRUE, body
from ledger.directory import RECOVERY_WAIT_MS, X_WING, Account, Key
from ledger.editions import CONSENT
from ledger.errors import Refused
from ledger.messages import possession_message
from ledger.rows import Look, Row, Wanted, row_of_id, rows_in
from ledger.schema import KEY_ID, SEALED, base64_of, code
from ledger.types.checks import known_account, own_stream
from ledger.types.declaration import EventType, nothing
from ledger.types.examples import Example

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event

_ALGORITHMS = {"ed25519": ALGORITHM_ED25519, "x25519": ALGORITHM_X25519}
_KEEPERS = ("hospital_admin", "hospital_system", "operator", "person", "service")
"""Whoever keeps keys, or vouches for others'."""
RECEIVING_KEYS = 8
"""Most active keys of one account that it receives with."""


def _own_account(event: "Event", time: int, origin: str, look: Look) -> None:
    own_stream(event, "account")


def _registered(entry: "Entry", look: Look) -> list[Row]:
    event = entry.event
    return [Account(event.body["account"], entry.link.seq, event.hospital or event.role)]


ACCOUNT_REGISTERED = EventType(
    "account.registered",
    "account",
    ("hospital_admin", "operator", "service"),
    body({"name": SEALED}, account=ACCOUNT),
    creates=("account",),
    rule=_own_account,
    fold=_registered,
    changes=(Account,),
    wants=nothing,
    example=Example(
        "person", lambda sample: {"account": sample.account("person"), "name": sample.sealed}
    ),
)


def fitting_key(key: str, algorithm: str, public_key: str) -> bytes:
    """The public key (base64) of the key id `key`, raw; raises Refused where one isn't the other's."""
    public = b64decode(public_key, 32)
    if key != key_id(_ALGORITHMS[algorithm], public):
        raise Refused("key", f"got the key id {key}, which does not fit the public key")
    return public


def check_possession(origin: str, account: str, key: str, public: bytes, proof: str) -> None:
    """Raises Refused unless `proof` (base64) says, by the key itself, that whoever registers it for `account` holds it."""
    try:
        verify(public, b64decode(proof, 64), possession_message(origin, account, key))
    except CryptoError as error:
        raise Refused("key", f"proof of possession: {error}") from error


def _may_register(event: "Event", time: int, origin: str, look: Look) -> None:
    """Vouching and proof of possession."""
    own_stream(event, "account")
    body, account = event.body, known_account(event, look)
    public = fitting_key(body["key"], body["algorithm"], body["public_key"])
    _check_voucher(event, account, look)
    keys = look.group(Key, account.account)
    if body["algorithm"] != "ed25519":
        if "proof" in body or not any(k.active and k.algorithm == "ed25519" for k in keys):
            raise Refused(
                "key", "a key that can't sign carries no proof and needs an active signing key"
            )
        return
    if "proof" not in body:
        raise Refused("key", "expected a proof of possession by the new key")
    check_possession(origin, body["account"], body["key"], public, body["proof"])


def _check_voucher(event: "Event", account: Account, look: Look) -> None:
    """An active key of the same account; else the registrar, for a first key or by recovery."""
    if event.role == "person":
        if event.actor != account.account or event.body.get("recovery"):
            raise Refused("key", f"{event.actor} can't vouch for a key of {account.account}")
        return
    registrar = event.hospital or event.role
    first = not look.group(Key, account.account)
    if event.body.get("recovery"):
        if first or (
            event.role != "service" and not (event.hospital and registrar == account.registrar)
        ):
            raise Refused(
                "key", "recovery is for the service or the hospital that registered, after a loss"
            )
    elif not first or registrar != account.registrar:
        raise Refused(
            "key",
            f"only {account.registrar} may register a first key, got it from {registrar}"
            if first
            else f"this account already has a key; {account.registrar} can replace it by recovery "
            "(--recovery)",
        )


def _key_registered(entry: "Entry", look: Look) -> list[Row]:
    event, body = entry.event, entry.event.body
    counts_from = entry.time + (RECOVERY_WAIT_MS if body.get("recovery") else 0)
    return [
        Key(
            body["key"], body["account"], b64decode(body["public_key"], 32), body["algorithm"],
            body["custody"], entry.link.seq, counts_from, event.hospital or event.actor, True,
        )
    ]  # fmt: skip


def _account_and_keys(event: "Event") -> list[Wanted]:
    account = event.body["account"]
    return [row_of_id(account), rows_in(Key, account)]


def _may_receive(event: "Event", time: int, origin: str, look: Look) -> None:
    """By an active signing key of the same account, which vouches; something can be sealed to it."""
    own_stream(event, "account")
    body, account = event.body, known_account(event, look)
    public = b64decode(body["public_key"], PUBLIC_BYTES)
    if body["key"] != key_id(ALGORITHM_X_WING, public):
        raise Refused("key", f"got the key id {body['key']}, which does not fit the public key")
    try:
        check_public(public)
    except CryptoError as error:
        raise Refused("key", str(error)) from error
    if event.actor != account.account:
        raise Refused("key", f"{event.actor} can't vouch for a key of {account.account}")
    keys = [one for one in look.group(Key, account.account) if one.active]
    if not any(one.algorithm == "ed25519" for one in keys):
        raise Refused("key", "a key that can't sign needs an active signing key")
    receiving = sum(one.algorithm == X_WING for one in keys)
    if receiving >= RECEIVING_KEYS:
        raise Refused(
            "conflict", f"{account.account} has {receiving} active keys to receive with: revoke one first"
        )  # fmt: skip


def _receives(entry: "Entry", look: Look) -> list[Row]:
    event, body = entry.event, entry.event.body
    public = b64decode(body["public_key"], PUBLIC_BYTES)
    return [
        Key(
            body["key"], body["account"], public, X_WING, body["custody"], entry.link.seq, entry.time, event.actor, True
        )
    ]  # fmt: skip


KEY_REGISTERED_V1 = EventType(
    "key.registered",
    "account",
    _KEEPERS,
    body(
        {"proof": base64_of(64), "recovery": TRUE}, account=ACCOUNT, algorithm=code("ed25519", "x25519"),
        custody=code("device", "system", "service"), key=KEY_ID, public_key=base64_of(32),
    ),
    creates=("key",),
    rule=_may_register,
    fold=_key_registered,
    changes=(Key,),
    wants=_account_and_keys,
    example=Example("person", lambda sample: {
        **sample.key("patient"), "algorithm": "ed25519", "custody": "device",
        "proof": sample.proof("patient"), "recovery": True,
    }),
)  # fmt: skip

KEY_REGISTERED = EventType(
    "key.registered",
    "account",
    ("person",),
    body(
        account=ACCOUNT, algorithm=code(X_WING), custody=code("device", "system"), key=KEY_ID,
        public_key=base64_of(PUBLIC_BYTES),
    ),
    v=2,
    since=CONSENT,
    creates=("key",),
    rule=_may_receive,
    fold=_receives,
    changes=(Key,),
    wants=lambda event: [rows_in(Key, event.body["account"])],
    example=Example("person", lambda sample: {
        "account": sample.account("person"), "algorithm": X_WING, "custody": "system",
        "key": sample.receiving()["key"], "public_key": sample.receiving()["public_key"],
    }),
)  # fmt: skip


def _may_revoke(event: "Event", time: int, origin: str, look: Look) -> None:
    """The account itself, whoever vouched for the key, or the operator."""
    own_stream(event, "account")
    key = look.get(Key, event.body["key"])
    account = look.get(Account, event.body["account"])
    if key is None or account is None or key.account != account.account or not key.active:
        raise Refused("key", f"{event.body['key']} is not an active key of {event.body['account']}")
    voucher = event.hospital or event.actor
    own = event.role == "person" and event.actor == account.account
    if not (own or event.role == "operator" or voucher == key.voucher):
        raise Refused("key", f"{event.actor} may not revoke a key of {account.account}")


def _key_revoked(entry: "Entry", look: Look) -> list[Row]:
    row = look.get(Key, entry.event.body["key"])
    return [row._replace(active=False)] if row else []


def _key_and_account(event: "Event") -> list[Wanted]:
    return [row_of_id(event.body["key"]), row_of_id(event.body["account"])]


KEY_REVOKED = EventType(
    "key.revoked",
    "account",
    _KEEPERS,
    body(account=ACCOUNT, key=KEY_ID),
    rule=_may_revoke,
    fold=_key_revoked,
    changes=(Key,),
    wants=_key_and_account,
    example=Example("person", lambda sample: {
        "account": sample.account("person"), "key": sample.key("patient")["key"],
    }),
)  # fmt: skip
