"""One person's values over time: each keeps near its own course, and moves with the illnesses.

A value is the person's own level, plus what illness and treatment do to it by that day, plus a
deviation that fades with the days since the last measurement (an autoregressive process of order
1: the less time, the closer to the last value).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from math import sqrt

from synthetic.chance import Chance
from synthetic.life import Onset
from synthetic.measures import CHOLESTEROL, GLUCOSE, LABS, VITALS, Measure
from synthetic.people import ADULT_YEARS, DAYS_A_YEAR, Person

MEMORY_DAYS = 240.0
"""After so many days, half of a deviation is left."""
TREATMENT_DAYS = 200.0
"""How long a treatment takes to its full effect."""
DERIVED = {"glucose": GLUCOSE, "cholesterol": CHOLESTEROL}
SCALES = (1, 10, 100)
"""Units of the last decimal in a whole, by the number of decimals."""
ALL = {**LABS, **VITALS, **DERIVED}


class Courses:
    """The values of one person, asked for from day to day."""

    def __init__(self, chance: Chance, person: Person, onsets: Mapping[str, Onset]) -> None:
        """Nothing is drawn before a value is asked for."""
        self._chance, self._person, self._onsets = chance, person, onsets
        self._woman = person.gender == "female"
        self._levels: dict[str, float] = {}
        self._deviations: dict[str, tuple[float, date]] = {}

    def digits(self, name: str, day: date, ill: str = "") -> int:
        """A measure's value in units of its last decimal; `ill` is a passing illness, or ""."""
        measure = ALL[name]
        low, high = measure.bounds
        value = min(max(self._value(name, measure, day, ill), low), high)
        return round(value * SCALES[measure.places])

    def _value(self, name: str, measure: Measure, day: date, ill: str) -> float:
        if name == "glucose":  # the mean glucose that an HbA1c stands for (ADAG, 2008)
            return 28.7 * self._kept("hba1c", day) - 46.7 + self._deviation(name, measure, day)
        if name == "cholesterol":  # Friedewald's formula, the other way round
            parts = [self.digits(part, day, ill) for part in ("ldl", "hdl", "triglycerides")]
            return parts[0] + parts[1] + parts[2] / 5
        level = self._level(name, measure) + self._illness(measure, day, ill)
        return self._grown(name, level, day) + self._deviation(name, measure, day)

    def _kept(self, name: str, day: date) -> float:
        """The value of a day without a new deviation."""
        measure = LABS[name]
        kept = self._deviations.get(name, (0.0, day))[0]
        return self._level(name, measure) + self._illness(measure, day, "") + kept

    def _level(self, name: str, measure: Measure) -> float:
        if name not in self._levels:
            mean = measure.mean[0] if self._woman else measure.mean[1]
            self._levels[name] = mean + measure.between * self._chance.normal()
        return self._levels[name]

    def _illness(self, measure: Measure, day: date, ill: str) -> float:
        total = 0.0
        for effect in measure.effects:
            if effect.illness == ill:
                total += effect.shift * self._chance.real(0.6, 1.6)
            onset = self._onsets.get(effect.illness)
            if onset is None or day < onset.began:
                continue
            years = (day - onset.began).days / DAYS_A_YEAR
            total += effect.shift * min(1.0, 0.4 + years) + effect.yearly * years
            if day > onset.found:
                total += effect.treated * min(1.0, (day - onset.found).days / TREATMENT_DAYS)
        return total

    def _grown(self, name: str, level: float, day: date) -> float:
        """A child's level of what grows with it: pressure up, pulse down, creatinine up."""
        age = (day - self._person.born).days / DAYS_A_YEAR
        if age >= ADULT_YEARS or name not in CHILD_FACTORS:
            return level
        start = CHILD_FACTORS[name]
        return level * (start + (1 - start) * age / ADULT_YEARS)

    def _deviation(self, name: str, measure: Measure, day: date) -> float:
        fresh = measure.within * self._chance.normal()
        if name in self._deviations:
            last, when = self._deviations[name]
            kept = MEMORY_DAYS / (MEMORY_DAYS + (day - when).days)
            fresh = kept * last + sqrt(1 - kept * kept) * fresh
        self._deviations[name] = (fresh, day)
        return fresh


CHILD_FACTORS = {
    "systolic": 0.62,
    "diastolic": 0.6,
    "pulse": 1.8,
    "creatinine": 0.35,
    "hemoglobin": 0.85,
}
"""A newborn's level, as a part of the adult's."""
