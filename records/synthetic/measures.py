"""Measured values that move from one encounter to the next, as FHIR quantities."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from records.synthetic.terms import LOINC, UCUM, Measure, concept, status


class Trends:
    """One patient's values: each measure drifts its own way from the value it had before."""

    def __init__(self, rng: random.Random) -> None:
        """First values and drifts are drawn from `rng` when a measure is first asked for."""
        self._rng = rng
        self._latest: dict[str, int] = {}
        self._slope: dict[str, int] = {}

    def measured(self, measure: Measure) -> dict[str, Any]:
        """The next value, as the fields that an Observation and a component of one share."""
        value = self._next(measure)
        return {
            "code": concept(LOINC, measure.code, measure.display),
            "valueQuantity": quantity(measure, value),
            "interpretation": [status("v3-ObservationInterpretation", _mark(measure, value))],
            "referenceRange": [
                {"low": quantity(measure, measure.low), "high": quantity(measure, measure.high)}
            ],
        }

    def _next(self, measure: Measure) -> int:
        code = measure.code
        if code not in self._latest:
            self._latest[code] = self._rng.randint(*measure.start)
            self._slope[code] = self._rng.randint(-measure.drift, measure.drift)
        else:
            noise = self._rng.randint(-1, 1)
            first, last = measure.start
            # Kept near where values begin: a falling trend must not end below what one lives with.
            moved = self._latest[code] + self._slope[code] + noise
            self._latest[code] = min(max(moved, first), last)
        return self._latest[code]


def quantity(measure: Measure, value: int) -> dict[str, Any]:
    """A Quantity with all the places of its measure written out."""
    digits = value * 10 ** (measure.places - measure.varies)
    return {
        "value": Decimal(digits).scaleb(-measure.places),
        "unit": measure.unit,
        "system": UCUM,
        "code": measure.unit,
    }


def _mark(measure: Measure, value: int) -> str:
    if value < measure.low:
        return "L"
    return "H" if value > measure.high else "N"
