"""The properties of the page on consent, by Hypothesis; they stand in `tests/support/consent/properties.py`."""

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.consent.properties import PROPERTIES


@pytest.mark.parametrize("name", PROPERTIES)
@settings(
    max_examples=30,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(rng=st.randoms(use_true_random=False))
def test_properties(name: str, rng: Random) -> None:
    PROPERTIES[name](rng)
