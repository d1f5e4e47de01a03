"""Who a synthetic patient is: name, gender, and the days of birth and death."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta

# The day on which every synthetic record ends: there is no clock here.
LAST_DAY = date(2026, 3, 31)

YEAR = timedelta(days=365)
ADULT_YEARS = (19, 95)
MINOR_YEARS = (1, 14)
MINOR_EVERY = 8
DECEASED_EVERY = 20
LONGEST_DEAD_DAYS = 600

GIVEN = {
    "female": (
        "Amina", "Beatriz", "Chloé", "Daria", "Elif", "Freya", "Grace", "Hana", "Ingrid",
        "Joséphine", "Katarzyna", "Leila", "Mei", "Nneka", "Olga", "Priya", "Rosa", "Sinéad",
        "Thảo", "Zoë",
    ),
    "male": (
        "Ahmed", "Bjørn", "Carlos", "Dmitri", "Emeka", "François", "Günther", "Hiroshi", "Ivan",
        "János", "Kofi", "Łukasz", "Mateo", "Nikhil", "Omar", "Pál", "Rafael", "Søren", "Tomáš",
        "Yusuf",
    ),
}  # fmt: skip
FAMILY = (
    "Abara", "Bauer", "Çelik", "Dubois", "Eriksen", "Fernández", "García", "Haddad", "Ito",
    "Jansen", "Kowalska", "Lindqvist", "Müller", "Nguyễn", "O'Brien", "Petrović", "Quinn", "Rossi",
    "Sørensen", "Tanaka", "Usman", "Vogel", "Weiß", "Xu", "Özdemir", "Zhang",
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """A patient before any record; `died` is None for the living."""

    identifier: str
    given: str
    family: str
    gender: str
    born: date
    died: date | None
    minor: bool

    @property
    def name(self) -> str:
        """Given and family name."""
        return f"{self.given} {self.family}"


def draw_person(rng: random.Random, identifier: str, place: int) -> Person:
    """Draw the patient at this place of a run.

    The place decides on age group and death, so that a run of 20 surely holds both.
    """
    minor = place % MINOR_EVERY == 3
    gender = rng.choice(("female", "male"))
    years = rng.randint(*(MINOR_YEARS if minor else ADULT_YEARS))
    died = None
    if place % DECEASED_EVERY == 10:
        died = LAST_DAY - timedelta(days=rng.randint(1, LONGEST_DEAD_DAYS))
    return Person(
        identifier=identifier,
        given=rng.choice(GIVEN[gender]),
        family=rng.choice(FAMILY),
        gender=gender,
        born=(died or LAST_DAY) - years * YEAR - timedelta(days=rng.randrange(365)),
        died=died,
        minor=minor,
    )
