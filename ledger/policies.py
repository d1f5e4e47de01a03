"""Policies in the log: what one holds, and which is in force when. What widens waits seven days, what narrows doesn't."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from crypto.encoding import b64decode
from ledger.codes import DOCTOR_ACTIONS, PRIVATE_LABELS, UNNAMED_PROFESSION
from ledger.editions import CONSENT, STRICTER, edition_of
from ledger.errors import Refused
from ledger.rows import Look, row_type
from ledger.times import DAY_MS

POLICY_WAIT_MS = 7 * DAY_MS
"""How long after its entry a policy that widens anything takes effect."""
LOG = "log"
"""The one group of policies: those of this log."""
DEFAULT_POLICY: Mapping[str, Any] = {
    "assurance": {
        "declare_emergency": 3,
        "erase": 3,
        "exclude": 3,
        "export": 3,
        "grant": 3,
        "read_sensitive": 2,
    },
    "care_link": "off",
    "clock_skew_ms": 300_000,
    "custodian_reads": True,
    "emergency_hours": 4,
    "grant_days_max": 365,
    "majority_years": 18,
    "private_labels": sorted(PRIVATE_LABELS),
    "refusals_per_hour": 20,
    "retention_years": 30,
}
"""What `heartwood init` writes into entry 0."""
DEFAULT_PROFESSIONS: Mapping[str, tuple[str, ...]] = {
    "laboratory": ("amend", "append", "list", "read", "retract"),
    "nurse": (
        "amend", "append", "declare_emergency", "list", "read", "request_access", "retract",
    ),
    "pharmacist": ("append", "list", "read", "request_access"),
    "physician": DOCTOR_ACTIONS,
    "trainee": ("append", "list", "read"),
}  # fmt: skip
"""What doctors of each profession may at most where no policy says it, from CONSENT on (docs/adr/0016)."""


@row_type("policies", key=1, group=("log",))
class PolicyRow(NamedTuple):
    """A policy, set by entry `seq`; it takes effect at `since` (Unix ms)."""

    event: str
    """The id of its event."""
    log: str
    seq: int
    since: int
    registry: str
    """The hash of the registry it names, base64."""
    body: str
    """The whole policy, canonical JSON."""

    @property
    def policy(self) -> dict[str, Any]:
        """The policy's members; not to be altered."""
        return _parsed(self.body)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy and the number of the entry that set it."""

    seq: int
    assurance: Mapping[str, int]
    custodian_reads: bool
    grant_days_max: int
    majority_years: int
    emergency_hours: int
    retention_years: int
    """How long what a hospital wrote is kept, whatever its patient says."""
    care_link: str
    """Whether care links let a hospital's doctors see what they are about (S11): off or basic."""
    professions: Mapping[str, frozenset[str]] | None
    """What doctors of each profession may at most; None before CONSENT, where none is limited."""

    @classmethod
    def of(cls, body: Mapping[str, Any], seq: int, edition: int = CONSENT) -> "Policy":
        """The policy that entry `seq` holds as `body`, in a log that names an `edition` of the registry."""
        limits = whole(body, edition).get("professions")
        return cls(
            seq,
            body["assurance"],
            body["custodian_reads"],
            body["grant_days_max"],
            body["majority_years"],
            body["emergency_hours"],
            body["retention_years"],
            body["care_link"],
            None if limits is None else {name: frozenset(may) for name, may in limits.items()},
        )

    def lets(self, profession: str, action: str) -> bool:
        """Whether a doctor of a profession (empty: one that was not named) may do this at all; one it doesn't name may nothing."""
        if self.professions is None:
            return True
        return action in self.professions.get(profession or UNNAMED_PROFESSION, frozenset())


def whole(body: Mapping[str, Any], edition: int) -> dict[str, Any]:
    """A policy's members with those that it doesn't say and that count all the same in an edition of the registry."""
    if edition < CONSENT:
        return dict(body)
    return {"professions": {name: list(may) for name, may in DEFAULT_PROFESSIONS.items()}, **body}


def policy_at(look: Look, time: int, seq: int | None = None) -> PolicyRow:
    """The policy in force at `time` (Unix ms): the highest-numbered one whose instant has come.

    `seq`: of those set before that entry only. Raises LookupError before entry 0.
    """
    rows = list(look.group(PolicyRow, LOG))
    if len(rows) == 1 and rows[0].since <= time:  # as in most logs
        return rows[0]
    due = [row for row in rows if row.since <= time and (seq is None or row.seq < max(1, seq))]
    if not due:
        raise LookupError("there is no policy before entry 0")
    return max(due, key=lambda row: row.seq)


def policy_in_force(look: Look, time: int) -> Policy:
    """The policy by which an entry at `time` (Unix ms) is decided."""
    return _policy(policy_at(look, time), edition_in_force(look))


@lru_cache(maxsize=64)
def _policy(row: PolicyRow, edition: int) -> Policy:
    return Policy.of(row.policy, row.seq, edition)


def last_policy(look: Look) -> PolicyRow:
    """The policy named last, in force or not yet; its registry counts at once."""
    return max(look.group(PolicyRow, LOG), key=_seq)


def _seq(row: PolicyRow) -> int:
    return row.seq


def edition_in_force(look: Look) -> int:
    """The edition of the registry by whose rules, folds and gate the next entry is judged.

    Raises LookupError before entry 0, and Refused where this program doesn't know the registry.
    """
    rows = list(look.group(PolicyRow, LOG))
    if not rows:
        raise LookupError("there is no registry before entry 0")
    return known_edition(max(rows, key=_seq).registry)


@lru_cache(maxsize=64)
def known_edition(registry: str) -> int:
    """The edition of a registry's hash in base64; raises Refused for one that this program doesn't know."""
    edition = edition_of(b64decode(registry, 32))
    if edition is None:
        raise Refused("registry", f"the registry {registry} is none that this program knows")
    return edition


def widened(old: dict[str, Any], new: dict[str, Any], edition: int) -> list[str]:
    """The fields that changed otherwise than by narrowing what others may, in order.

    `edition`: the one that the new policy names.
    """
    old, new = whole(old, edition), whole(new, edition)
    changed = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    own = edition >= STRICTER and _surer_of(OWN_CHART, old["assurance"], new["assurance"])
    return [
        name
        for name in changed
        if name not in _NARROWS
        or not _NARROWS[name](old[name], new[name])
        or (name == "assurance" and own)
    ]


OWN_CHART = frozenset({
    "append", "erase", "exclude", "export", "grant", "hide", "list", "read", "read_history", "read_sensitive",
    "retract",
})  # fmt: skip
"""What S5 permits patients on their own charts. Who asks more assurance for it could lock them out at once."""


def _surer(old: dict[str, int], new: dict[str, int]) -> bool:
    """Every action needs at least what it did; an action that isn't named needs 1."""
    return all(new.get(name, 1) >= old.get(name, 1) for name in old.keys() | new.keys())


def _fewer(old: dict[str, list[str]], new: dict[str, list[str]]) -> bool:
    """No profession may anything that it may not already."""
    return all(set(new[name]) <= set(old.get(name, ())) for name in new)


def _surer_of(actions: frozenset[str], old: dict[str, int], new: dict[str, int]) -> bool:
    """Whether one of these actions needs more than it did."""
    return any(new.get(name, 1) > old.get(name, 1) for name in actions)


_NARROWS: dict[str, Any] = {
    "assurance": _surer,
    "care_link": lambda old, new: new == "off",
    "custodian_reads": lambda old, new: not new,
    "emergency_hours": lambda old, new: new < old,
    "grant_days_max": lambda old, new: new < old,
    "private_labels": lambda old, new: set(old) <= set(new),
    "professions": _fewer,
}


@lru_cache(maxsize=64)
def _parsed(body: str) -> dict[str, Any]:
    policy: dict[str, Any] = json.loads(body)
    return policy
