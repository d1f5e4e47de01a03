"""Policies in the log: which one is in force when. What widens waits seven days, what narrows doesn't."""

import json
from functools import lru_cache
from typing import Any, NamedTuple

from crypto import canonical
from ledger.entry import Entry
from ledger.rows import GROUPS, KEY_LENGTHS, Look, Row
from ledger.times import DAY_MS

POLICY_WAIT_MS = 7 * DAY_MS
"""How long after its entry a policy that widens anything takes effect."""
LOG = "log"
"""The one group of policies: those of this log."""


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


KEY_LENGTHS[PolicyRow] = 1
GROUPS[PolicyRow] = slice(1, 2)


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


def last_policy(look: Look) -> PolicyRow:
    """The policy named last, in force or not yet; its registry counts at once."""
    return max(look.group(PolicyRow, LOG), key=lambda row: row.seq)


def fold_policy(entry: Entry, look: Look) -> list[Row]:
    """The row that `ledger.created` or `policy.changed` sets."""
    name, body, time = entry.event.type.name, entry.event.body, entry.time
    if name not in ("ledger.created", "policy.changed"):
        return []
    since = time
    if name == "policy.changed" and widened(policy_at(look, time).policy, body["policy"]):
        since += POLICY_WAIT_MS
    text = canonical.write(body["policy"]).decode()
    return [PolicyRow(entry.event.id, LOG, entry.link.seq, since, body["registry"], text)]


def widened(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The fields that changed otherwise than by narrowing what is permitted, in order."""
    return [
        name
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
        and not (name in _NARROWS and _NARROWS[name](old[name], new[name]))
    ]


def _surer(old: dict[str, int], new: dict[str, int]) -> bool:
    """Every action needs at least what it did; an action that isn't named needs 1."""
    return all(new.get(name, 1) >= old.get(name, 1) for name in old.keys() | new.keys())


_NARROWS: dict[str, Any] = {
    "assurance": _surer,
    "care_link": lambda old, new: new == "off",
    "custodian_reads": lambda old, new: not new,
    "emergency_hours": lambda old, new: new < old,
    "grant_days_max": lambda old, new: new < old,
    "private_labels": lambda old, new: set(old) <= set(new),
}


@lru_cache(maxsize=64)
def _parsed(body: str) -> dict[str, Any]:
    policy: dict[str, Any] = json.loads(body)
    return policy
