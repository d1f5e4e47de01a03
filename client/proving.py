"""What an answer must prove: that the entry it tells of holds the very event that was signed here, and stands in
the log. Raises Tampered, which names the check that failed."""

from collections.abc import Mapping
from typing import Any

from consent.rules import RULES, named
from crypto.cosignatures import Checkpoint
from crypto.encoding import b64decode, b64encode
from crypto.errors import CryptoError, SignatureError
from crypto.signing import PUBLIC_BYTES, verify
from ledger.entry import Entry
from ledger.errors import EventError, ProofError, Tampered
from ledger.event import Signature
from ledger.receipt import Receipt
from people.joining import Registered, Registration


def proved(receipt: Receipt, seq: int, checkpoint: Checkpoint) -> Entry:
    """The entry `seq` of a receipt whose checkpoint was checked; raises Tampered."""
    if receipt.index != seq:
        raise Tampered(f"entry {seq}: the server gave the receipt of entry {receipt.index}")
    try:
        receipt.check_under(checkpoint)
    except ProofError as error:
        raise Tampered(f"entry {seq}: the path does not lead to the checkpoint: {error}") from error
    try:
        entry = Entry.parse(receipt.entry)
    except EventError as error:
        raise Tampered(f"entry {seq}: {error}") from error
    if entry.link.seq != seq:
        raise Tampered(f"entry {seq}: its bytes are those of entry {entry.link.seq}")
    return entry


def check_event(
    entry: Entry, event: bytes, signature: Signature, public: bytes, origin: str
) -> None:
    """Raises Tampered unless the entry holds this event under this signature.

    A retry may find it under another signature of the same key (in another bundle), which must hold.
    """
    place = f"entry {entry.link.seq}"
    if entry.event.raw != event:
        raise Tampered(
            f"{place}: holds {entry.event.id} ({entry.event.type.name}), but another event was signed"
        )
    if entry.sig == signature:
        return
    if entry.sig.key != signature.key:
        raise Tampered(
            f"{place}: is signed by {entry.sig.key}, but {signature.key} signed the event"
        )
    try:
        verify(public, entry.sig.value, entry.sig.message(origin, event))
    except (SignatureError, ProofError, EventError, CryptoError) as error:
        raise Tampered(f"{place}: the event's signature is not valid: {error}") from error


def check_registered(entry: Entry, told: Registered, wanted: Registration) -> None:
    """Raises Tampered unless the entry puts in the key or the password that was to be registered, for that account."""
    event, body = entry.event, entry.event.body
    if wanted.password:
        factor = event.type.name, body.get("account"), body.get("factor")
        if factor != ("factor.added", wanted.account, "password") or told.account != wanted.account:
            raise Tampered(
                f"entry {entry.link.seq}: a {event.type.name}, expected the password of {wanted.account}"
            )
        return
    put_in = (event.type.name, body.get("account"), body.get("public_key"), body.get("custody"))
    key = b64encode(wanted.public_key)
    if put_in != ("key.registered", wanted.account, key, "device") or (told.account, told.key) != (
        wanted.account,
        body["key"],
    ):
        raise Tampered(
            f"entry {entry.link.seq}: a {event.type.name}, expected the key of {wanted.account} that was sent"
        )


def check_kept(entry: Entry, account: str, key: str) -> tuple[str, bytes]:
    """Raises Tampered unless the entry registers `key` for the account as one that the service keeps; gives it and its
    public half."""
    body = entry.event.body
    said = (entry.event.type.name, body.get("account"), body.get("key"), body.get("custody"))
    if said != ("key.registered", account, key, "service"):
        raise Tampered(
            f"entry {entry.link.seq}: does not register {key} for {account} as a key that the service keeps"
        )
    return key, b64decode(body["public_key"], PUBLIC_BYTES)


def _rule(decision: Mapping[str, Any]) -> str:
    """The rule that a decision names, in words as far as it is one; a server may say anything."""
    rule = str(decision.get("rule"))[:20]
    return named(rule) if rule in RULES else repr(rule)


def check_decision(entry: Entry, told: Mapping[str, Any]) -> None:
    """Raises Tampered unless the decision that an answer tells is the one in the entry."""
    if (entry.decision or {}) != dict(told):
        raise Tampered(
            f"entry {entry.link.seq}: the server reports another decision, by {_rule(told)}, than the entry holds, "
            f"by {_rule(entry.decision or {})}"
        )
