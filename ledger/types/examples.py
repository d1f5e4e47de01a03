"""An example of each event type: golden files are made of them, and with them whoever writes a client."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

TERM = {"end": "2027-11-20T00:00:00.000Z", "start": "2026-11-20T00:00:00.000Z"}
"""From when until when."""


class Sample(Protocol):
    """Fixed ids and keys that example bodies are made of; the tests hold the keys that sign."""

    origin: str
    log_keys: list[str]
    sealed: str
    """A sealed field."""
    hash: str
    """32 bytes, base64; so is `reply`, a public key to seal an answer with."""
    reply: str
    labels: list[str]
    claim: str
    """The public key of a claim code."""
    invitation: str
    """The public key of an invitation's code."""
    hospital_invitation: str
    """The public key of the same code, made for the first hospital in place of a patient."""

    def id(self, prefix: str, number: int = 1) -> str:
        """A fixed id; the first of each kind is the one that examples are about."""
        ...

    def account(self, role: str) -> str:
        """The account that acts in this role."""
        ...

    def key(self, role: str) -> dict[str, str]:
        """`account`, `key` and `public_key` of whoever acts in this role."""
        ...

    def receiving(self) -> dict[str, str]:
        """`key` and `public_key` of an X-Wing key."""
        ...

    def proof(self, role: str) -> str:
        """The proof of possession of that key."""
        ...

    def claimed(self, role: str) -> str:
        """That code's signature for the account that acts in this role, on the chart of the first patient."""
        ...

    def invited(self, role: str) -> str:
        """The signature of that invitation's code for the account that acts in this role, on the chart of the first patient."""
        ...

    def joining(self, role: str) -> str:
        """The signature of `hospital_invitation`'s code for the account that acts in this role."""
        ...

    def refused(self, name: str) -> dict[str, Any]:
        """`event` and `sig`: the example of this type, as it nests in a refusal."""
        ...


@dataclass(frozen=True)
class Example:
    """A body, and the role in which it is signed here; the actor and the stream follow from that."""

    role: str
    body: Callable[[Sample], dict[str, Any]]
