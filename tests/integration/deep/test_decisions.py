"""P13 through the key keeper: what the log decided the keeper and the audit decide alike; `make deep` makes 100,000."""

import random
from typing import Any

import pytest

import keeper.following
from ledger.sequencer import Judged
from tests.deep import decisions
from tests.deep.witness import Wrong

SEED = 2
EVENTS = 600
"""Of a random sequence."""


def test_the_log_the_keeper_and_the_audit_decide_alike() -> None:
    """Some hundreds of them."""
    made = sum(decisions.decided_alike(random.Random(SEED + n), EVENTS) for n in range(2))
    assert made > 400


def test_a_keeper_that_decides_otherwise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    true = keeper.following.gate  # type: ignore[attr-defined]

    def bent(*given: Any) -> Judged:
        judged = true(*given)
        if judged.decision.get("rule") == "S12":
            return judged._replace(decision=judged.decision | {"rule": "S11"})
        return judged

    monkeypatch.setattr(keeper.following, "gate", bent)
    with pytest.raises(Wrong, match=r"the keeper doesn't follow|the log decided"):
        decisions.decided_alike(random.Random(SEED), EVENTS)
