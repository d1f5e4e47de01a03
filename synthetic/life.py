"""A life's lasting conditions: which, since when, and when they were found."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from synthetic.chance import Chance
from synthetic.illnesses import CATALOGUE, SERIOUS, Illness
from synthetic.people import DAYS_A_YEAR, Person

DECADE_YEARS = 10
UNFOUND_DAYS = 500
"""The longest that a condition goes unnoticed."""
FATAL_RISK = 2.5
"""Who has died had serious conditions this much more often."""


class Onset(NamedTuple):
    """A condition that began on a day and was found on another, within the life."""

    illness: Illness
    began: date
    found: date


def onsets(chance: Chance, person: Person) -> dict[str, Onset]:
    """The conditions of a whole life by their keys, in the catalogue's order.

    One uniform number a condition is spent on the hazards of decade after decade, so that each
    decade's is the right one for who has not got it yet.
    """
    found: dict[str, Onset] = {}
    years = (person.until - person.born).days / DAYS_A_YEAR
    for illness in CATALOGUE:
        left = chance.unit()
        if illness.sex and illness.sex != person.gender:
            continue
        fatal = FATAL_RISK if person.died and illness.key in SERIOUS else 1.0
        age = _onset_age(illness, left, years, found, person, fatal)
        if age is not None:
            began = person.born + timedelta(days=int(age * DAYS_A_YEAR))
            seen = began + timedelta(days=30 + chance.below(UNFOUND_DAYS))
            if began < seen < person.until:
                found[illness.key] = Onset(illness, began, seen)
    return found


def _onset_age(
    illness: Illness,
    left: float,
    years: float,
    found: dict[str, Onset],
    person: Person,
    factor: float,
) -> float | None:
    """The age in years at which the chance of staying without it falls below `left`."""
    without = 1.0
    risks = [(found[key].began, times) for key, times in illness.risks if key in found]
    for decade, yearly in enumerate((*illness.onset, illness.onset[-1])):
        start = decade * DECADE_YEARS
        if start >= years:
            return None
        middle = person.born + timedelta(days=int((start + 5) * DAYS_A_YEAR))
        hazard = yearly * factor / 1000 * DECADE_YEARS
        for began, times in risks:
            if began < middle:
                hazard *= times
        stay = without / (1 + hazard)  # a chance that never reaches 0, without an exponential
        if stay < left:
            part = (without - left) / (without - stay)
            age = start + part * DECADE_YEARS
            return age if age < years else None
        without = stay
    return None
