"""`decide`, `decide_list` and `told` against a model by another hand: 20,000 random cases.

Tables that a person can read stand in `test_table.py` and `test_grants.py`, the
properties in `tests/support/consent/properties.py`; `test_decide_faults.py` shows that all of them can fail.
"""

from collections import Counter
from random import Random
from typing import Any, Final

from tests.support.consent.properties import agree

CASES: Final = 20_000
QUESTIONS: Final = 20
"""Questions asked about one random situation."""
SEED: Final = 20_261_120
ANSWERS: Final = {
    ("deny", "S0", "invalid"),
    ("permit", "S1", None),
    ("deny", "S1", "role"),
    ("deny", "S2", "unclaimed"),
    ("deny", "S2", "gone"),
    ("deny", "S2", "retracted"),
    ("deny", "S2", "deceased"),
    ("deny", "S2", "minor"),
    ("deny", "S2", "legal_hold"),
    ("deny", "S2", "retention"),
    ("deny", "S3", "step_up"),
    ("deny", "S4", "harm_hold"),
    ("permit", "S5", None),
    ("permit", "S6", None),
    ("deny", "S7", "excluded"),
    ("permit", "S8", None),
    ("deny", "S8", "emergency_ceiling"),
    ("deny", "S8", "emergency_needed"),
    ("deny", "S8", "emergency_off"),
    ("permit", "S9", None),
    ("permit", "S10", None),
    ("permit", "S11", None),
    ("permit", "S12", None),
    ("deny", "S12", "no_consent"),
}
"""Every answer that these stages have."""
CHARTS: Final = {
    *(("chart", "permit", rule) for rule in ("S5", "S6", "S8", "S9", "S10", "S11")),
    *(("chart", "deny", rule) for rule in ("S0", "S1", "S2", "S7", "S8", "S12")),
}
"""Every answer to opening a chart, but for a seldom demand of more assurance."""
FEATURES: Final = {
    ("granted", "in a linked chart"),
    ("excluded", "in a linked chart"),
    *(("granted", kind) for kind in ("full", "partial", "selective")),
    *(("granted", exceptions) for exceptions in ("with exceptions", "without")),
    *(("granted to", reader) for reader in ("ac", "hs", "gp")),
    *(("excluded", reader) for reader in ("ac", "hs", "gp")),
}


def test_twenty_thousand_random_cases_agree_with_the_model() -> None:
    """And all kinds of answers, grants and exclusions are among them."""
    rng, said = Random(SEED), Counter[Any]()
    for _ in range(CASES // QUESTIONS):
        said += agree(rng, QUESTIONS)
    assert sum(said[answer] for answer in ANSWERS) == CASES
    said.pop(("chart", "deny", "S3"), None)
    assert said.keys() == ANSWERS | CHARTS | FEATURES
    assert min(said.values()) >= 8, said
