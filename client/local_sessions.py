"""Signing in beside the data by password, and what people do in such a session; see `signing_in.SignsIn`.

What checks passwords is loaded when it is needed: other commands start without it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from client.sessions import (
    NO_KEPT_KEY,
    GivenSession,
    SessionActor,
    SessionWanted,
    check_signable,
    held_of,
    make_sure,
    needs_strong,
    surely,
)
from identity import sessions
from identity.actors import Actor, Caller
from identity.errors import KeyNeeded
from identity.kept import MadeKey, has_kept_key, sign_for
from identity.own import BegunSetup, SetUp
from ledger.event import Event
from ledger.sequencer import Proposal
from ledger.times import format_time
from storage.ledger import Ledger

HERE = "local"
"""Whence whoever stands beside the data comes, as throttles count it."""


class LocalSessions:
    """The sessions of an open ledger."""

    ledger: Ledger
    place = ""
    """No server; see the port."""

    def sign_in(self, wanted: SessionWanted) -> GivenSession:
        """A session by password; see the port."""
        from identity.proving import Proof
        from identity.signing_in import SignIn, sign_in_by_password

        proof = Proof(wanted.password, wanted.code, wanted.recovery)
        found = SignIn(wanted.who, proof, wanted.role, wanted.hospital)
        return given(sign_in_by_password(self.ledger, found, HERE))

    def step_up(self, actor: Actor, code: str, recovery: str = "") -> None:
        """Step up; see the port."""
        step_up(self.ledger, actor, code, recovery)

    def revoke_recovery(
        self, who: str, password: str = "", code: str = "", recovery: str = ""
    ) -> int:
        """Revoke a recovery; see the port."""
        from identity.proving import Proof
        from people.recovering import revoke_recovery

        return revoke_recovery(self.ledger, who, Proof(password, code, recovery), HERE)

    def take_role(self, actor: Actor, role: str, hospital: str = "") -> GivenSession:
        """Another role; see the port."""
        from identity.own import OwnRole
        from identity.roles import take_role

        caller, token = caller_of(self.ledger, actor), _token(self.ledger, actor)
        return given(take_role(self.ledger, caller, token, OwnRole(role, hospital)))

    def sign_out(self, actor: Actor) -> None:
        """End the session; see the port."""
        sessions.sign_out(self.ledger, self.ledger.tokens, _token(self.ledger, actor))

    def begin_setup(self, link: str) -> BegunSetup:
        """A seed for the link's owner; see the port."""
        from identity.setting_up import begin_setup

        return begin_setup(self.ledger, link)

    def complete_setup(self, link: str, new: str, code: str) -> SetUp:
        """Password and codes by the link; see the port."""
        from identity.setting_up import complete_setup

        return complete_setup(self.ledger, link, new, code)

    def remove_passkey(self, actor: Actor, passkey: str) -> None:
        """Remove a passkey; see the port."""
        from identity.passkeys import remove_passkey

        surely(
            _Stepping(self.ledger),
            actor,
            lambda: remove_passkey(self.ledger, caller_of(self.ledger, actor), passkey),
        )

    def rotate_key(self, actor: Actor, code: str, recovery: str = "") -> MadeKey:
        """Another kept key; see the port."""
        from identity.kept import rotate_key
        from identity.proving import Proof

        shown = Proof(code=code, recovery=recovery)
        return rotate_key(self.ledger, caller_of(self.ledger, actor), shown, HERE)

    def replace_key(
        self, actor: Actor, public: bytes, proof: bytes, code: str, recovery: str = ""
    ) -> int:
        """One's own key in place of the kept one; see the port."""
        from identity.kept import replace_key
        from identity.proving import Proof

        caller, shown = caller_of(self.ledger, actor), Proof(code=code, recovery=recovery)
        return replace_key(self.ledger, caller, public, proof, shown, HERE)

    def revoke_kept(self, actor: Actor, code: str, recovery: str = "") -> int:
        """No kept key any more; see the port."""
        from identity.kept import revoke_kept
        from identity.proving import Proof

        shown = Proof(code=code, recovery=recovery)
        return revoke_kept(self.ledger, caller_of(self.ledger, actor), shown, HERE)


def caller_of(ledger: Ledger, actor: Actor) -> Caller:
    """Who an actor is to the service: whoever holds a session is looked up by its token. Raises NotSignedIn, RecordsError."""
    if held_of(actor) is None:
        return actor.caller
    return sessions.caller_of(ledger, ledger.tokens, _token(ledger, actor))


def preparing(ledger: Ledger, actor: Actor) -> Caller:
    """`caller_of` of whoever prepares what is to be signed; raises KeyNeeded where nothing could be, as HTTP does."""
    caller = caller_of(ledger, actor)
    if held_of(actor) is not None and not has_kept_key(ledger, caller):
        raise KeyNeeded(NO_KEPT_KEY)
    return caller


def session_proposals(
    ledger: Ledger, actor: SessionActor, events: Sequence[Mapping[str, Any]]
) -> list[Proposal]:
    """Events of whoever holds a session, signed by the key that the service keeps, after a fresh code where they take one."""
    held = held_of(actor)
    if held is None:
        raise KeyNeeded("nobody holds the session")
    parsed = [Event.of(dict(event)) for event in events]
    check_signable(held, parsed)
    caller = caller_of(ledger, actor)
    if any(needs_strong(event, ledger.policy) for event in parsed):
        make_sure(_Stepping(ledger), actor, ledger.clock())
        caller = caller_of(ledger, actor)
    return [sign_for(ledger, caller, event, None) for event in parsed]


def step_up(ledger: Ledger, actor: Actor, code: str, recovery: str = "") -> None:
    """Make the actor's session sure of its owner; raises KeyNeeded without one."""
    from identity.proving import Proof
    from identity.signing_in import step_up

    held = held_of(actor)
    if held is None:
        raise KeyNeeded("a session by key is not stepped up: its signatures are as sure")
    shown = Proof(code=code, recovery=recovery)
    found = step_up(ledger, caller_of(ledger, actor), _token(ledger, actor), shown, HERE)
    held.renewed(given(found), ledger.clock())


def given(session: sessions.Session) -> GivenSession:
    """A session as its owner gets it."""
    signed_in = session.caller.session
    if signed_in is None:
        raise KeyNeeded("got a session by key, expected one by password")
    return GivenSession(
        session.caller.account, signed_in.assurance, format_time(session.end), signed_in.id, session.token
    )  # fmt: skip


def _token(ledger: Ledger, actor: Actor) -> str:
    held = held_of(actor)
    if held is None:
        raise KeyNeeded("this is for a session by password, got a key")
    return held.token_for(ledger.origin, "")


class _Stepping:
    """Steps up beside the data."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def step_up(self, actor: Actor, code: str, recovery: str = "") -> None:
        step_up(self._ledger, actor, code, recovery)
