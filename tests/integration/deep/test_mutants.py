"""A small part of `make deep`: a declared type that lacks a part is found by a fast test."""

import sys

import pytest

from tests.deep import mutants
from tests.deep.injection import Part

SEED = 1


@pytest.mark.parametrize("part", ["gate_rule", "wants"])
def test_a_mutant_of_a_declared_type_is_found(part: str) -> None:
    """One of the rules, and one of the rows that are loaded beforehand."""
    number = next(n for n, one in enumerate(mutants.MUTANTS) if one.part == part)
    (tally,) = mutants.run(Part("mutants", "none", SEED, number, 1))
    assert (tally.runs, tally.met, tally.failures) == (1, 1, [])


def test_a_mutant_that_nothing_misses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tests pass, so it counts as wrong."""
    monkeypatch.setattr(sys, "executable", "true")
    (tally,) = mutants.run(Part("mutants", "none", SEED, 0, 1))
    assert (tally.runs, tally.met, tally.wrong) == (1, 0, 1)
