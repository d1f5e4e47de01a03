"""Propose, sign, submit: what a journey wants to say, the bytes that a key signs of it, and what is sent.

The three are apart because the key need not be here: it may lie in a browser, behind a passkey, or with a service.
Whoever signs sees the events and the exact bytes, and gives back a signature and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crypto.encoding import b64encode
from identity.actors import Actor
from journeys.errors import RecordsError
from ledger.event import Event, Signature, bundle_paths
from ledger.messages import bundle_message, event_message, possession_message, session_message


class Signer(Protocol):
    """Whoever holds an Ed25519 key. It signs what was proposed, and the key never leaves it."""

    @property
    def id(self) -> str:
        """The key's id."""
        ...

    @property
    def public(self) -> bytes:
        """The raw public key, 32 bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The signature over exactly these bytes, 64 bytes; raises what stops it (refused, locked, gone)."""
        ...


class KeyFileSigner:
    """The key of a key file, opened in this process."""

    def __init__(self, actor: Actor) -> None:
        """`actor`: as its key file was read."""
        self._key = actor.key

    @property
    def id(self) -> str:
        """See the port."""
        return self._key.id

    @property
    def public(self) -> bytes:
        """See the port."""
        return self._key.public

    def sign(self, message: bytes) -> bytes:
        """See the port."""
        return self._key.sign(message)


@dataclass(frozen=True)
class Proposal:
    """What is to be signed for one log: one event by itself, or several as a bundle."""

    origin: str
    events: tuple[Event, ...]

    @property
    def raws(self) -> list[bytes]:
        """The events' canonical bytes."""
        return [event.raw for event in self.events]

    def message(self) -> bytes:
        """The bytes to sign."""
        if len(self.events) == 1:
            return event_message(self.origin, self.events[0].raw)
        root, _ = bundle_paths("", b"", self.raws)
        return bundle_message(self.origin, len(self.events), root)


@dataclass(frozen=True)
class Signed:
    """A proposal under a key's signature, ready to be submitted."""

    proposal: Proposal
    key: str
    public: bytes
    value: bytes
    session: Actor | None = None
    """In whose session the service signs each event with `key`, which it keeps; None where `value` signs them."""

    @property
    def sig(self) -> dict[str, str]:
        """As it is sent."""
        return {"key": self.key, "value": b64encode(self.value)}

    def signatures(self) -> list[Signature]:
        """As each entry will carry it."""
        if self.session is not None:  # each by itself, and not known here before it stands
            return [Signature(self.key, b"")] * len(self.proposal.events)
        if len(self.proposal.events) == 1:
            return [Signature(self.key, self.value)]
        return bundle_paths(self.key, self.value, self.proposal.raws)[1]


def propose(origin: str, actor: Actor, events: Sequence[Mapping[str, Any]]) -> Proposal:
    """What the actor is to sign for the log `origin`; raises EventError, and RecordsError for the key of another log."""
    check_log(origin, actor)
    return Proposal(origin, tuple(Event.of(dict(event)) for event in events))


def check_log(origin: str, actor: Actor) -> None:
    """Raises RecordsError for the key of another log than `origin`."""
    if actor.origin != origin:
        raise RecordsError(f"got a key of the log {actor.origin}, this log is {origin}")


def sign(signer: Signer, proposal: Proposal) -> Signed:
    """A proposal, signed."""
    return Signed(proposal, signer.id, signer.public, signer.sign(proposal.message()))


def signer_of(actor: Actor) -> Signer:
    """Who signs for an actor."""
    return KeyFileSigner(actor)


def sign_in(signer: Signer, origin: str, nonce: bytes) -> str:
    """A session's challenge, signed; base64. The text is made here: nobody signs what a server made up."""
    return b64encode(signer.sign(session_message(origin, signer.id, nonce)))


def possession(signer: Signer, origin: str, account: str) -> str:
    """The proof that whoever registers the signer's key for `account` holds it, base64."""
    return b64encode(signer.sign(possession_message(origin, account, signer.id)))
