"""Signing in at a server by password, and what people do in such a session; see `signing_in.SignsIn`."""

from contextlib import suppress
from typing import Any

from client import forms, operations
from client.connection import understood
from client.operations import Operation
from client.server import Server, said
from client.sessions import GivenSession, SessionWanted
from crypto.encoding import b64encode
from identity.actors import Actor
from identity.errors import NotSignedIn
from identity.kept import MadeKey
from identity.own import BegunSetup, SetUp


class HttpSessions:
    """The calls of one server."""

    _server: Server

    @property
    def place(self) -> str:
        """The server's URL; see the port."""
        return self._server.connection.url

    def sign_in(self, wanted: SessionWanted) -> GivenSession:
        """A session by password; see the port."""
        sent = {"account": wanted.who, "password": wanted.password, "role": wanted.role}
        sent |= said(code=wanted.code, recovery=wanted.recovery, hospital=wanted.hospital)
        return self._server.given(operations.SIGN_IN, sent)

    def step_up(self, actor: Actor, code: str, recovery: str = "") -> None:
        """Step up; see the port."""
        self._server.step_up(actor, code, recovery)

    def revoke_recovery(
        self, who: str, password: str = "", code: str = "", recovery: str = ""
    ) -> int:
        """Revoke a recovery; see the port."""
        shown = said(code=code, password=password, recovery=recovery)
        told = self._server.ask(operations.REVOKE_RECOVERY, {"account": who, **shown})
        with understood("revoke_recovery"):
            return int(told["seq"])

    def take_role(self, actor: Actor, role: str, hospital: str = "") -> GivenSession:
        """Another role; see the port."""
        sent = {"role": role, **said(hospital=hospital)}
        return self._server.given(operations.TAKE_ROLE, sent, actor)

    def sign_out(self, actor: Actor) -> None:
        """End the session; see the port."""
        with suppress(NotSignedIn):  # it has ended already
            self._server.tell(operations.SIGN_OUT, actor)

    def begin_setup(self, link: str) -> BegunSetup:
        """A seed for the link's owner; see the port."""
        told = self._server.ask(operations.BEGIN_SETUP, {"link": link})
        with understood("begin_setup"):
            return forms.BEGUN_SETUP.decode(told)

    def complete_setup(self, link: str, new: str, code: str) -> SetUp:
        """Password and codes by the link; see the port."""
        sent = {"code": code, "link": link, "new": new}
        told = self._server.ask(operations.COMPLETE_SETUP, sent)
        with understood("complete_setup"):
            return forms.SET_UP.decode(told)

    def remove_passkey(self, actor: Actor, passkey: str) -> None:
        """Remove a passkey; see the port."""
        self._server.tell(operations.REMOVE_PASSKEY, actor, passkey=passkey)

    def rotate_key(self, actor: Actor, code: str, recovery: str = "") -> MadeKey:
        """Another kept key; see the port."""
        told = self._server.ask(operations.ROTATE_KEY, said(code=code, recovery=recovery), actor)
        with understood("rotate_key"):
            return forms.MADE_KEY.decode(told)

    def replace_key(
        self, actor: Actor, public: bytes, proof: bytes, code: str, recovery: str = ""
    ) -> int:
        """One's own key in place of the kept one; see the port."""
        key = {"proof": b64encode(proof), "public_key": b64encode(public)}
        shown = said(code=code, recovery=recovery)
        return self._seq(operations.REPLACE_KEY, key | shown, actor)

    def revoke_kept(self, actor: Actor, code: str, recovery: str = "") -> int:
        """No kept key any more; see the port."""
        return self._seq(operations.REVOKE_KEPT, said(code=code, recovery=recovery), actor)

    def _seq(self, asked: Operation, value: Any, actor: Actor) -> int:
        told = self._server.ask(asked, value, actor)
        with understood(asked.name):
            return int(told["seq"])
