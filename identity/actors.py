"""Actors: an account in a role with its signing key, and the key files they are kept in."""

import json
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from crypto.ids import random_id, timed_id
from crypto.passphrases import passphrase_bytes, passphrase_forms
from crypto.signing import SigningKey
from durable.files import create_file, replace_file
from identity.errors import KeyFileError
from ledger.times import format_time

_MEMBERS = {"origin", "account", "role", "hospital", "key", "private_key"}


@dataclass(frozen=True)
class SignedIn:
    """A session by password: its id, and how sure it is who that is."""

    id: str
    assurance: int
    """1 by password, 2 with a second factor, 3 for some minutes after that was shown once more."""


@dataclass(frozen=True)
class Caller:
    """Who calls without signing each call: account, role, and for which hospital."""

    account: str
    role: str
    hospital: str
    key: str | None
    """The id of the key that signed in; None of whoever signed in by password, in whose name nothing can be signed."""
    session: SignedIn | None = None
    """The session by password; None of whoever signed in by key."""


@dataclass(frozen=True)
class Actor:
    """Who acts: account, role, for which hospital (or the empty text), and the key that signs."""

    origin: str
    account: str
    role: str
    hospital: str
    key: SigningKey
    on_behalf_of: str = ""
    """The account on whose behalf they act; empty: nobody's."""

    def event(
        self, kind: str, stream: str, body: dict[str, Any], now: int, event_id: str | None = None
    ) -> dict[str, Any]:
        """An event of this actor at `now` (Unix ms), not yet signed."""
        acting = {"role": self.role} | ({"hospital": self.hospital} if self.hospital else {})
        behalf = {"on_behalf_of": self.on_behalf_of} if self.on_behalf_of else {}
        return {
            "actor": self.account,
            "as": acting,
            "at": format_time(now),
            "body": body,
            "id": event_id or new_id("ev", now),
            "stream": stream,
            "type": kind,
            "v": 1,
            **behalf,
        }

    @property
    def caller(self) -> Caller:
        """The actor without what signs."""
        return Caller(self.account, self.role, self.hospital, self.key.id)

    def in_role(self, role: str, hospital: str = "") -> "Actor":
        """The same account and key in another of its roles."""
        return Actor(self.origin, self.account, role, hospital, self.key)

    def acting_for(self, account: str) -> "Actor":
        """The same actor in the same role, on behalf of an account."""
        return replace(self, on_behalf_of=account)


def new_id(prefix: str, now: int) -> str:
    """A fresh id; patients get one without a time in it."""
    if prefix == "pt":
        return random_id(prefix, os.urandom(16))
    return timed_id(prefix, now, os.urandom(10))


def new_key() -> SigningKey:
    """A fresh Ed25519 key."""
    return SigningKey(os.urandom(32))


def keyfile_bytes(actor: Actor, passphrase: str | None = None) -> bytes:
    """An actor as its key file's content."""
    private = Ed25519PrivateKey.from_private_bytes(actor.key.seed)
    secret = passphrase_bytes(passphrase) if passphrase else b""
    protection = BestAvailableEncryption(secret) if secret else NoEncryption()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
    document = {
        "origin": actor.origin,
        "account": actor.account,
        "role": actor.role,
        "hospital": actor.hospital,
        "key": actor.key.id,
        "private_key": pem.decode("ascii"),
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def write_keyfile(path: Path, actor: Actor, passphrase: str | None = None) -> Path:
    """Keep an actor at `path`, mode 0600; raises KeyFileError if something is there."""
    try:
        create_file(path, keyfile_bytes(actor, passphrase))
    except FileExistsError as error:
        raise KeyFileError(f"{path} already exists; a key file is never overwritten") from error
    return path


def read_keyfile(path: Path, passphrase: str | None = None) -> Actor:
    """The actor of a key file; raises KeyFileError with the remedy."""
    if not path.is_file():
        raise KeyFileError(f"{path} is a folder" if path.is_dir() else f"no key file at {path}")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise KeyFileError(f"{path} is readable by others, expected mode 600: run chmod 600 {path}")
    try:
        document = json.loads(path.read_text())
        if not isinstance(document, dict) or document.keys() != _MEMBERS:
            raise ValueError(f"expected the members {', '.join(sorted(_MEMBERS))}")
        private = _private(document["private_key"].encode(), passphrase)
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError("expected an Ed25519 private key")
        key = SigningKey(private.private_bytes_raw())
    except (ValueError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise KeyFileError(
            f"{path} is not a key file, or needs HEARTWOOD_PASSPHRASE: {error}"
        ) from error
    if key.id != document["key"]:
        raise KeyFileError(f"{path} names the key {document['key']} and holds {key.id}")
    return Actor(
        document["origin"], document["account"], document["role"], document["hospital"], key
    )


def rewrap_keyfile(path: Path, actor: Actor, passphrase: str | None) -> None:
    """Keep the same actor at `path` under another passphrase (None: under none), atomically."""
    replace_file(path, keyfile_bytes(actor, passphrase))


def _private(pem: bytes, passphrase: str | None) -> object:
    """The private key, under whichever form of the passphrase; raises ValueError or TypeError."""
    if b"ENCRYPTED" not in pem or not passphrase:
        return load_pem_private_key(pem, None)
    *first, last = passphrase_forms(passphrase)
    for form in first:
        with suppress(ValueError):
            return load_pem_private_key(pem, form)
    return load_pem_private_key(pem, last)
