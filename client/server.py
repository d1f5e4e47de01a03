"""A server as its operations are asked: by their list, and in a session where one is needed."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from client import operations
from client.connection import Connection, understood
from client.operations import Operation
from client.signers import Signed, Signer, check_log, propose, sign, sign_in
from crypto.encoding import b64decode, b64encode
from identity.actors import Actor
from ledger.merkle import HASH_BYTES

SESSION_SECONDS = 600
"""How long a session is used; the server ends it after 15 minutes."""


class Server:
    """One server, a session for each actor that needs one. What it answers is understood here, and not yet believed."""

    def __init__(self, url: str, signer: Callable[[Actor], Signer]) -> None:
        """Asks what log it is; raises Unavailable if nothing answers, or no server of ours."""
        self.connection, self._signer = Connection(url), signer
        self._tokens: dict[str, tuple[str, float]] = {}
        self.log: dict[str, Any] = self.ask(operations.LOG)
        with understood("log"):
            self.origin = str(self.log["origin"])
            self.vkeys = [str(key) for key in self.log.get("vkeys", ())]

    def ask(
        self, asked: Operation, value: Any = None, actor: Actor | None = None,
        params: Mapping[str, str] | None = None, **names: object,
    ) -> Any:  # fmt: skip
        """The JSON that an operation gives, None of one that gives none; in a session of the actor, if one is named."""
        content = b"" if value is None else orjson.dumps(value)
        headers, path = self.bearer(actor), asked.at(**names)
        if not asked.kind:
            with self.connection.sent(asked.method, path, content, headers, params):
                return None
        return self.connection.json(asked.method, path, content, headers, params, asked.limit)

    def tell(self, asked: Operation, actor: Actor, value: Any = None, **names: object) -> None:
        """Ask for an operation that gives nothing, in a session of the actor."""
        content = b"" if value is None else orjson.dumps(value)
        path = asked.at(**names)
        self.connection.open(asked.method, path, content, self.bearer(actor)).close()

    def signed(self, actor: Actor, *events: Mapping[str, Any]) -> Signed:
        """Events of an actor, signed for this log."""
        return sign(self._signer(actor), propose(self.origin, actor, events))

    def bearer(self, actor: Actor | None) -> dict[str, str]:
        """The header of the actor's session; none without an actor."""
        return {} if actor is None else {"Authorization": f"Bearer {self._token(actor)}"}

    def _token(self, actor: Actor) -> str:
        """A session of the actor, opened with its key; a new one before the old one ends."""
        check_log(self.origin, actor)
        signer = self._signer(actor)
        name = f"{signer.id} {actor.role} {actor.hospital}"
        token, until = self._tokens.get(name, ("", 0.0))
        if time.monotonic() >= until:
            with understood("challenge"):
                nonce = b64decode(self.ask(operations.CHALLENGE)["challenge"], HASH_BYTES)
            sent = {
                "challenge": b64encode(nonce), "hospital": actor.hospital, "key": signer.id,
                "role": actor.role, "value": sign_in(signer, self.origin, nonce),
            }  # fmt: skip
            with understood("sign_in"):
                token = str(self.ask(operations.SIGN_IN, sent)["token"])
            self._tokens[name] = token, time.monotonic() + SESSION_SECONDS
        return token


def sent_of(signed: Signed) -> dict[str, Any]:
    """One signed event, as it is sent."""
    return {"event": signed.proposal.events[0].value, "sig": signed.sig}
