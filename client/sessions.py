"""Acting in a session by password: whoever is signed in holds a token, and the service signs with the key it keeps for them.

What a session may sign is decided where the key is (`identity.kept.sign_for`). Here it is asked beforehand whether an act
needs a fresh code: else its denial would stand in the log.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from crypto.signing import SigningKey
from identity.actors import Actor, Caller, SignedIn
from identity.errors import KeyNeeded, NotSignedIn, StepUpNeeded
from identity.sessions import STRONG_MS
from journeys.errors import RecordsError
from ledger.errors import Refused
from ledger.event import Event
from ledger.policies import Policy

T = TypeVar("T")
STRONG = 3
"""The assurance that a step-up gives."""
NO_KEPT_KEY = "the service keeps no key for you, so nothing can be signed in a session: `heartwood account key keep` lets it keep one"
MARGIN_MS = 10_000
"""How long before its end a step-up is asked for once more: what is asked under way must arrive in time."""


@dataclass(frozen=True)
class GivenSession:
    """A session by password, as it is given at sign-in, step-up and change of role."""

    account: str
    assurance: int
    end: str
    """When it ends unless it is used."""
    session: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class SessionWanted:
    """Who wants in: the account's id or e-mail address, what they show, and the role in which they act."""

    who: str
    password: str = field(repr=False)
    code: str = field(default="", repr=False)
    recovery: str = field(default="", repr=False)
    role: str = "person"
    hospital: str = ""


@dataclass
class Held:
    """A session as its owner holds it. Its token changes with each step, and is kept (`keep`) before it is used."""

    origin: str
    url: str
    """The server that opened it, and the only one that its token is sent to; empty beside the data."""
    role: str
    hospital: str
    given: GivenSession
    strong_until: int = 0
    """Until when it is sure of its owner, Unix ms by this machine's clock."""
    asks: Callable[[], tuple[str, str]] | None = field(default=None, repr=False)
    """Asks the owner for a one-time code or a recovery code; gives both, of which one is empty."""
    keeps: Callable[["Held"], None] = field(default=lambda _: None, repr=False)
    """Keeps it where the next command finds it."""

    def renewed(self, given: GivenSession, now: int) -> None:
        """It has another token from now (Unix ms) on."""
        self.given = given
        self.strong_until = now + STRONG_MS if given.assurance >= STRONG else 0
        self.keeps(self)

    def is_strong(self, now: int) -> bool:
        """Whether it is sure of its owner for long enough."""
        return now < self.strong_until - MARGIN_MS

    def token_for(self, origin: str, url: str) -> str:
        """The token, for the log and the server that it was given for; raises RecordsError for others, who never see it."""
        if self.origin != origin:
            raise RecordsError(
                f"the session is one of the log {self.origin}, this log is {origin}: sign in to this one"
            )
        if self.url != url:
            here = f"at {self.url}, not at {url}" if self.url else f"beside the data, not at {url}"
            raise RecordsError(
                f"you are signed in {here}: give that place, or sign in here as well"
            )
        return self.given.token


class SessionActor(Actor):
    """Somebody in a session: what journeys ask of an actor, without a key at hand."""

    def __init__(
        self, origin: str, caller: Caller, role: str = "", held: Held | None = None, on_behalf_of: str = ""
    ) -> None:  # fmt: skip
        """`role`: another one than the session's, in which nothing can be signed (`sign_for` refuses it). `held`: the
        session, of whoever holds one; None within the service, where the caller was found by the token."""
        own = not role or role == caller.role
        values = (origin, caller.account, role or caller.role, caller.hospital if own else "", on_behalf_of)  # fmt: skip
        names = ("origin", "account", "role", "hospital", "on_behalf_of")
        for name, value in zip(names, values, strict=True):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_caller", caller)
        object.__setattr__(self, "_held", held)

    @classmethod
    def of(cls, held: Held) -> "SessionActor":
        """Whoever holds a session."""
        given = held.given
        signed_in = SignedIn(given.session, given.assurance)
        return cls(
            held.origin, Caller(given.account, held.role, held.hospital, None, signed_in), held=held
        )

    @property
    def key(self) -> SigningKey:
        """Nobody has it here."""
        raise KeyNeeded(
            "this needs a key file (--as FILE): in a session the service signs, and no key is at hand"
        )

    @property
    def held(self) -> Held | None:
        """The session of whoever holds one."""
        found: Held | None = self._held  # type: ignore[attr-defined]
        return found

    @property
    def caller(self) -> Caller:
        """Who is signed in; raises NotSignedIn for whoever only says so: the service looks the token up."""
        if self.held is not None:
            raise NotSignedIn("a session counts by its token, which was not looked up")
        found: Caller = self._caller  # type: ignore[attr-defined]
        return found

    def in_role(self, role: str, hospital: str = "") -> Actor:
        """The same session, for what is said in another role."""
        return SessionActor(self.origin, self._caller, role, self.held)  # type: ignore[attr-defined]

    def acting_for(self, account: str) -> Actor:
        """The same session, on behalf of an account."""
        return SessionActor(self.origin, self._caller, self.role, self.held, account)  # type: ignore[attr-defined]


def held_of(actor: Actor | None) -> Held | None:
    """The session that an actor holds; None of whoever has a key, or was found by the service itself."""
    return actor.held if isinstance(actor, SessionActor) else None


class StepsUp(Protocol):
    """Whatever steps a session up: a client, or the server behind one."""

    def step_up(self, actor: Actor, code: str, recovery: str = "") -> None:
        """Make the actor's session sure of its owner."""
        ...


def check_signable(held: Held, events: Sequence[Event]) -> None:
    """Raises RecordsError where an event is said in another role than the session's, with what to do."""
    for event in events:
        if (event.role, event.hospital) != (held.role, held.hospital):
            raise RecordsError(
                f"this is done as {_place(event.role, event.hospital)}, and you are signed in as "
                f"{_place(held.role, held.hospital)}: `heartwood account role {event.role}` first"
            )


def _place(role: str, hospital: str) -> str:
    return f"{role} at {hospital}" if hospital else role


def needs_strong(event: Event, policy: Policy) -> bool:
    """Whether an event takes a fresh code: what isn't gated does, as its entry can't name the sign-in (`sign_for`)."""
    action = event.type.action
    return action is None or not event.type.gated or policy.assurance.get(action, 0) >= STRONG


def make_sure(by: StepsUp, actor: Actor, now: int) -> None:
    """Ask for a code and step up, unless that was done a moment ago, or nobody can be asked."""
    held = held_of(actor)
    if held is not None and held.asks is not None and not held.is_strong(now):
        by.step_up(actor, *held.asks())


def surely(by: StepsUp, actor: Actor | None, act: Callable[[], T]) -> T:
    """What an act gives that the service may want a fresh code for, which is asked for then, once; nothing was done before."""
    held = held_of(actor)
    try:
        return act()
    except StepUpNeeded:
        if actor is None or held is None or held.asks is None:
            raise
    except Refused as error:
        if error.code != "step_up" or actor is None or held is None or held.asks is None:
            raise
    by.step_up(actor, *held.asks())
    return act()
