"""Each property of `decide`, and its agreement with the model, is seen to fail on a mutant."""

from random import Random
from typing import Final

import pytest

from tests.support.consent.faults import FAULTS, Fault
from tests.support.consent.properties import PROPERTIES

SEEDS: Final = 1_000
"""Random cases, always the same, in which a fault must show and nothing fails without one."""


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        pytest.param(fault, check, id=f"{fault.name}, seen by {check}")
        for fault in FAULTS
        for check in fault.seen_by.split()
    ],
)
def test_a_mutant_is_found(fault: Fault, check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what the property asserts, or since something is missing that was looked up."""
    fault.mutate(monkeypatch)
    with pytest.raises((AssertionError, LookupError)):
        run(check)


def run(name: str) -> None:
    """A property on many random cases."""
    for seed in range(SEEDS):
        PROPERTIES[name](Random(seed))


def test_every_property_was_seen_to_fail() -> None:
    assert {check for fault in FAULTS for check in fault.seen_by.split()} == set(PROPERTIES)


@pytest.mark.parametrize("name", PROPERTIES)
def test_without_a_fault_nothing_fails(name: str) -> None:
    run(name)
