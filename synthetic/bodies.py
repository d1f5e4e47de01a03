"""Height, weight and body mass index from birth on, of one person."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

from synthetic.chance import Chance
from synthetic.measures import Measure
from synthetic.people import DAYS_A_YEAR, Person

# Medians (WHO, then CDC growth charts): age in years, cm of girls and boys, BMI of both.
GROWTH = (
    (0.0, 49.1, 49.9, 13.4), (0.5, 65.7, 67.6, 17.1), (1.0, 74.0, 75.7, 16.6),
    (2.0, 86.4, 87.8, 16.0), (4.0, 102.7, 103.3, 15.4), (6.0, 115.1, 116.0, 15.3),
    (8.0, 127.5, 128.0, 15.9), (10.0, 138.6, 138.4, 16.8), (12.0, 151.5, 149.1, 18.0),
    (14.0, 160.0, 163.8, 19.5), (16.0, 162.5, 173.4, 20.7), (18.0, 163.2, 176.1, 21.7),
    (25.0, 165.0, 179.0, 23.4), (45.0, 165.0, 179.0, 25.6), (70.0, 162.0, 175.5, 26.2),
    (110.0, 158.0, 171.5, 24.0),
)  # fmt: skip
HEIGHT_SPREAD, MASS_SPREAD = 0.04, 0.11
OBESE_FACTOR = 1.34

HEIGHT = Measure("8302-2", "Body height", "cm", 1, (0, 0), 0, 0, (0, 0), (0, 0), (40, 215))
WEIGHT = Measure("29463-7", "Body weight", "kg", 1, (0, 0), 0, 0, (0, 0), (0, 0), (1.5, 220))
BMI = Measure(
    "39156-5", "Body mass index (BMI) [Ratio]", "kg/m2", 1, (0, 0), 0, 0, (0, 0), (0, 0), (10, 70)
)


class Body:
    """One person's growth and weight."""

    def __init__(self, chance: Chance, person: Person, obese_since: date | None) -> None:
        """How tall and heavy for the age is drawn once; the weight wanders a little."""
        self._chance, self._person, self._obese = chance, person, obese_since
        self._tall = 1 + HEIGHT_SPREAD * chance.normal()
        self._heavy = 1 + MASS_SPREAD * chance.normal()

    def digits(self, day: date) -> tuple[int, int, int]:
        """Tenths of a centimetre, of a kilogram, and of the index that follows from these."""
        age = (day - self._person.born).days / DAYS_A_YEAR
        height, mass = self._medians(age)
        if self._obese is not None and day >= self._obese:
            mass *= OBESE_FACTOR
        self._heavy += 0.012 * self._chance.normal()
        tall = round(height * self._tall * 10)
        metres = tall / 1000
        weight = round(mass * min(max(self._heavy, 0.72), 1.5) * metres * metres * 10)
        return tall, weight, round(weight / (metres * metres))

    def _medians(self, age: float) -> tuple[float, float]:
        """Height in cm and index at this age, along a line between the rows of GROWTH."""
        column = 1 if self._person.gender == "female" else 2
        for earlier, later in pairwise(GROWTH):
            if age < later[0]:
                part = (age - earlier[0]) / (later[0] - earlier[0])
                height = earlier[column] + part * (later[column] - earlier[column])
                return height, earlier[3] + part * (later[3] - earlier[3])
        return GROWTH[-1][column], GROWTH[-1][3]
