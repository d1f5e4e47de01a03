"""The policy: which one is in force, which one waits, and how the operator changes it."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from client.beside import append
from identity.actors import Actor
from journeys.errors import RecordsError
from ledger.editions import CONSENT
from ledger.policies import PolicyRow, known_edition, policy_at, whole, widened
from storage.ledger import Ledger
from storage.reader import LogReader

_SWITCH = {"true": True, "false": False}


@dataclass(frozen=True)
class Standing:
    """The policy in force, and those that wait for their instant, in the order of their entries."""

    in_force: PolicyRow
    pending: tuple[PolicyRow, ...]
    edition: int
    """The edition of the registry that the log names."""

    @property
    def last(self) -> PolicyRow:
        """The policy named last."""
        return self.pending[-1] if self.pending else self.in_force

    def whole(self, row: PolicyRow) -> dict[str, Any]:
        """A policy with what counts although it doesn't say it: what each profession may."""
        return whole(row.policy, self.edition)


@dataclass(frozen=True)
class Changed:
    """A policy that was set: its row, and the fields that make it wait."""

    row: PolicyRow
    widens: tuple[str, ...]
    """Empty: every change narrows, so it is in force at once."""


def standing(ledger: LogReader) -> Standing:
    """Which policy is in force now, and what is pending."""
    rows, now = ledger.policies(), max(ledger.clock(), ledger.head().time)
    in_force = policy_at(rows, now)
    # A policy that an entry after it has overtaken never comes into force.
    later = [row for row in rows.all(PolicyRow).values() if row.seq > in_force.seq]
    pending = tuple(sorted(later, key=lambda row: row.seq))
    last = pending[-1] if pending else in_force
    return Standing(in_force, pending, known_edition(last.registry))


def change(
    ledger: Ledger, operator: Actor, changes: Sequence[str], drop_pending: bool = False
) -> Changed:
    """Set fields (`NAME=VALUE`) of the policy named last, whole, in a new `policy.changed`.

    `drop_pending`: of the policy in force instead; what is pending is then overtaken.
    """
    now = standing(ledger)
    base = now.in_force if drop_pending else now.last
    policy = altered(now.whole(base), changes)
    if policy == now.whole(now.last):
        raise RecordsError(
            f"the policy of entry {now.last.seq} already says so; nothing was appended"
        )
    body = {"policy": policy, "registry": now.last.registry}
    event = operator.event("policy.changed", "ledger", body, ledger.clock())
    event |= {"v": 2 if now.edition >= CONSENT else 1}
    entry = append(ledger, operator, [event])[0]
    rows = ledger.policies()
    row = rows.get(PolicyRow, entry.event.id)
    assert row is not None  # folded in the entry's own transaction
    before = policy_at(rows, entry.time, entry.link.seq)
    return Changed(row, tuple(widened(before.policy, policy, now.edition)))


def altered(policy: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """The policy with fields set as `NAME=VALUE` says; raises RecordsError.

    `assurance.ACTION` is one level of assurance, `professions.NAME` what one profession may; members of a list are parted by
    commas. What values
    a field takes is the registry's to say, when the event is made.
    """
    new = copy.deepcopy(policy)
    for change in changes:
        name, given, value = change.partition("=")
        outer, dot, inner = name.partition(".")
        if not given or outer not in policy or bool(dot) != isinstance(policy[outer], dict):
            raise RecordsError(
                f"got {change!r}, expected NAME=VALUE with NAME one of {_names(policy)}"
            )
        if dot:
            sample = next(iter(policy[outer].values()), 0)
            new[outer][inner] = _value(change, sample, value)
        else:
            new[outer] = _value(change, policy[outer], value)
    return new


def fields(policy: dict[str, Any]) -> dict[str, Any]:
    """The policy's fields under the names that `change` takes."""
    flat: dict[str, Any] = {}
    for name, value in sorted(policy.items()):
        nested = sorted(value.items()) if isinstance(value, dict) else ()
        flat |= {f"{name}.{inner}": level for inner, level in nested} or {name: value}
    return flat


def _names(policy: dict[str, Any]) -> str:
    inner = {"assurance": ".ACTION", "professions": ".NAME"}
    return ", ".join(f"{name}{inner.get(name, '')}" for name in sorted(policy))


def _value(change: str, old: Any, value: str) -> Any:
    """The value in the type that the field has."""
    if isinstance(old, bool):
        if value not in _SWITCH:
            raise RecordsError(f"got {change!r}, expected true or false")
        return _SWITCH[value]
    if isinstance(old, int):
        return _integer(change, value)
    if isinstance(old, list):
        return sorted(set(filter(None, value.split(","))))
    return value


def _integer(change: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal()):
        raise RecordsError(f"got {change!r}, expected a whole number")
    return int(value)
