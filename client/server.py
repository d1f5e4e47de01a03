"""A server as its operations are asked: by their list, and in a session where one is needed."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from client import operations
from client.codec import codec_of
from client.connection import Connection, understood
from client.operations import Operation
from client.sessions import GivenSession, held_of, make_sure, surely
from client.signers import Signed, Signer, check_log, propose, sign, sign_in
from crypto.encoding import b64decode, b64encode
from identity.actors import Actor
from identity.errors import KeyNeeded
from ledger.merkle import HASH_BYTES

GIVEN = codec_of(GivenSession)
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
        content, path = b"" if value is None else orjson.dumps(value), asked.at(**names)

        def act() -> Any:
            headers = self.bearer(actor)
            if not asked.kind:
                with self.connection.sent(asked.method, path, content, headers, params):
                    return None
            return self.connection.json(asked.method, path, content, headers, params, asked.limit)

        return act() if asked is operations.STEP_UP else surely(self, actor, act)

    def tell(self, asked: Operation, actor: Actor, value: Any = None, **names: object) -> None:
        """Ask for an operation that gives nothing, in a session of the actor."""
        content, path = b"" if value is None else orjson.dumps(value), asked.at(**names)

        def act() -> None:
            self.connection.open(asked.method, path, content, self.bearer(actor)).close()

        surely(self, actor, act)

    def step_up(self, actor: Actor, code: str, recovery: str = "") -> None:
        """Make the actor's session sure of its owner, by a code or a recovery code; raises KeyNeeded without a session."""
        held = held_of(actor)
        if held is None:
            raise KeyNeeded("a session by key is not stepped up: its signatures are as sure")
        given = self.given(operations.STEP_UP, said(code=code, recovery=recovery), actor)
        held.renewed(given, _now())

    def given(self, asked: Operation, value: Any, actor: Actor | None = None) -> GivenSession:
        """The session by password that an operation gives."""
        told = self.ask(asked, value, actor)
        with understood(asked.name):
            return GIVEN.decode(told)

    def sure(self, actor: Actor) -> None:
        """Ask for a code, unless the actor's session is sure of its owner."""
        make_sure(self, actor, _now())

    def signed(self, actor: Actor, *events: Mapping[str, Any]) -> Signed:
        """Events of an actor, signed for this log."""
        return sign(self._signer(actor), propose(self.origin, actor, events))

    def bearer(self, actor: Actor | None) -> dict[str, str]:
        """The header of the actor's session; none without an actor."""
        return {} if actor is None else {"Authorization": f"Bearer {self._token(actor)}"}

    def _token(self, actor: Actor) -> str:
        """A session of the actor, opened with its key; a new one before the old one ends."""
        held = held_of(actor)
        if held is not None:
            return held.token_for(self.origin, self.connection.url)
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


def said(**texts: str) -> dict[str, str]:
    """The texts that aren't empty."""
    return {name: text for name, text in texts.items() if text}


def _now() -> int:
    return time.time_ns() // 1_000_000


def sent_of(signed: Signed) -> dict[str, Any]:
    """One signed event, as it is sent; in a session without a signature, which the service makes."""
    if signed.session is not None:
        return {"event": signed.proposal.events[0].value}
    return {"event": signed.proposal.events[0].value, "sig": signed.sig}
