"""The part of the client's port by which people sign in, step up, change roles, and exchange keys that the service keeps."""

from typing import Protocol

from client.sessions import GivenSession, SessionWanted
from identity.actors import Actor
from identity.kept import MadeKey
from identity.own import BegunSetup, SetUp


class SignsIn(Protocol):
    """What whoever signs in by password asks of a ledger. Errors are those of `identity`."""

    @property
    def place(self) -> str:
        """The server's URL, to which alone a token that it gave is sent; empty beside the data."""
        ...

    def sign_in(self, wanted: SessionWanted) -> GivenSession:
        """A session by password; see `signing_in.sign_in_by_password`."""
        ...

    def step_up(self, actor: Actor, code: str, recovery: str = "") -> None:
        """Make the actor's session sure of its owner for five minutes, by a code or a recovery code."""
        ...

    def revoke_recovery(
        self, who: str, password: str = "", code: str = "", recovery: str = ""
    ) -> int:
        """Revoke the recoveries of an account that wait, by one of the three; see `recovering.revoke_recovery`."""
        ...

    def take_role(self, actor: Actor, role: str, hospital: str = "") -> GivenSession:
        """Another session in another role in place of the actor's; see `roles.take_role`."""
        ...

    def sign_out(self, actor: Actor) -> None:
        """End the actor's session; one that has ended stays ended."""
        ...

    def begin_setup(self, link: str) -> BegunSetup:
        """A seed for the owner of the link that `init` printed; see `setting_up.begin_setup`."""
        ...

    def complete_setup(self, link: str, new: str, code: str) -> SetUp:
        """Password and codes by that link, once; see `setting_up.complete_setup`."""
        ...

    def remove_passkey(self, actor: Actor, passkey: str) -> None:
        """Remove one of the actor's own passkeys; see `passkeys.remove_passkey`."""
        ...

    def rotate_key(self, actor: Actor, code: str, recovery: str = "") -> MadeKey:
        """Another kept key in place of the one before; see `kept.rotate_key`."""
        ...

    def replace_key(
        self, actor: Actor, public: bytes, proof: bytes, code: str, recovery: str = ""
    ) -> int:
        """A key of the actor's own in place of the kept one; gives the entry. See `kept.replace_key`."""
        ...

    def revoke_kept(self, actor: Actor, code: str, recovery: str = "") -> int:
        """Revoke the kept key with nothing in its place; gives the entry."""
        ...
