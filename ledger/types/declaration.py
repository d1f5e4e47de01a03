"""What is declared of an event type, whole: nothing is left to a default that might be forgotten."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ledger.policies import Policy
from ledger.rows import Look, Row, Wanted
from ledger.schema import Object
from ledger.types.examples import Example

if TYPE_CHECKING:  # both are made of the registry, and it of the declarations
    from ledger.entry import Entry
    from ledger.event import Event

Rule = Callable[["Event", int, str, Look], object]
"""`rule(event, time, origin, look)`: what a type demands of signer, body and stream beside its schema; raises
Refused."""
GateRule = Callable[["Event", Policy, Look], object]
"""`rule(event, policy, look)`: what a permitted event names is there and belongs together; raises Refused, to
those who may alone, as a denial tells nothing of it."""
FactsRule = Callable[["Event", Look], object]
"""`rule(event, look)`: what a type that isn't gated demands of the facts that consent rests on; raises Refused. The log and
whoever audits its decisions hold it; verifiers of proofs don't, as they keep no such facts."""
Fold = Callable[["Entry", Look], Sequence[Row]]
"""`fold(entry, look)`: the rows that an entry changes, given the rows before it. Pure."""
Wants = Callable[["Event"], Iterable[Wanted]]
"""`wants(event)`: which rows rule, gate rule and fold will look at. Left out are those that every event's signer,
decision and created ids need; a row that isn't named here is read when it is asked for."""
Ids = Callable[["Event", Look], list[str]]
"""`ids(event, look)`: the ids that an event creates beside its own."""
Stream = Literal["ledger", "hospital", "account", "patient"]


def nothing(*_: object) -> tuple[()]:
    """No rule beside the schema, no rule of the gate, no row changed, no row wanted: said, not forgotten."""
    return ()


@dataclass(frozen=True)
class EventType:
    """One registered type in one version."""

    name: str
    """Past tense, noun first."""
    stream: Stream
    roles: tuple[str, ...]
    """Who may sign it."""
    body: Object
    v: int = field(default=1, kw_only=True)
    since: int = field(default=1, kw_only=True)
    """The edition of the registry that brought it."""
    action: str | None = field(default=None, kw_only=True)
    """The action of the consent rules, for what is gated."""
    about: Literal["chart", "record"] | None = field(default=None, kw_only=True)
    """What a gated event is decided on: the chart, or the one record that its body names."""
    gate_rule: GateRule | None = field(default=None, kw_only=True)
    reading: bool = field(default=False, kw_only=True)
    """Whether it gives something out."""
    plain: bool = field(default=False, kw_only=True)
    """Whether a pattern tells all there is to check (`ledger/patterns.py`): no rule, nobody's right to sign changed."""
    creates: tuple[str, ...] = field(default=(), kw_only=True)
    """Body members whose id this event creates."""
    ids: Ids | None = field(default=None, kw_only=True)
    """Where `creates` doesn't tell all of them, or not always."""
    rule: Rule = field(kw_only=True)
    facts_rule: FactsRule = field(default=nothing, kw_only=True)
    fold: Fold = field(kw_only=True)
    changes: tuple[type, ...] = field(kw_only=True)
    """The kinds of rows that the fold gives."""
    wants: Wants = field(kw_only=True)
    example: Example = field(kw_only=True)

    @property
    def key(self) -> tuple[str, int]:
        """What it is found by."""
        return self.name, self.v

    gated: bool = field(init=False)

    def __post_init__(self) -> None:
        """What has an action is gated; raises ValueError where one part of the declaration belies another."""
        object.__setattr__(self, "gated", self.action is not None)
        for holds, problem in (
            (
                self.gated == (self.gate_rule is not None) == (self.about is not None),
                "action, about and gate_rule are stated together; `nothing` is a rule",
            ),
            (self.gated <= (self.stream == "patient"), "what is gated is in a patient's stream"),
            (
                not self.gated or self.facts_rule is nothing,
                "what is gated has a gate rule, and no facts rule",
            ),
            (
                self.reading <= (self.action is not None or self.stream == "ledger"),
                "a reading is gated",
            ),
            (
                (self.fold is nothing) == (not self.changes),
                "fold and changes: both tell of rows, or neither",
            ),
            (
                not self.plain or (self.gated and self.rule is nothing and self.ids is None),
                "a plain type is gated, and has no rule beside its schema",
            ),
            (set(self.creates) <= self.body.members.keys(), "creates names members of the body"),
        ):
            if not holds:
                raise ValueError(f"{self.name} v{self.v}: {problem}")

    def describe(self) -> dict[str, Any]:
        """For the registry's JSON."""
        out: dict[str, Any] = {
            "body": self.body.describe(),
            "creates": list(self.creates),
            "gated": self.gated,
            "reading": self.reading,
            "roles": list(self.roles),
            "stream": self.stream,
        }
        return out | ({} if self.action is None else {"action": self.action})
