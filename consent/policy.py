"""The policy a ledger is run under; it stands whole in the log."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ledger.policies import PolicyRow, policy_at
from ledger.registry import PRIVATE_LABELS
from ledger.rows import Look

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


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy and the number of the entry that set it."""

    seq: int
    assurance: Mapping[str, int]
    custodian_reads: bool
    grant_days_max: int
    majority_years: int

    @classmethod
    def of(cls, body: Mapping[str, Any], seq: int) -> "Policy":
        """The policy that entry `seq` holds as `body`."""
        return cls(
            seq,
            body["assurance"],
            body["custodian_reads"],
            body["grant_days_max"],
            body["majority_years"],
        )


def policy_in_force(look: Look, time: int) -> Policy:
    """The policy by which an entry at `time` (Unix ms) is decided."""
    return _policy(policy_at(look, time))


@lru_cache(maxsize=64)
def _policy(row: PolicyRow) -> Policy:
    return Policy.of(row.policy, row.seq)
