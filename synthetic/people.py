"""Who the patients are: households of a street, with their families, ages and deaths.

Patients stand in streets of STREET places. A street depends on the seed and its number alone, so a
patient is the same in a run of any length, and so are the relatives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from synthetic.chance import Chance
from synthetic.names import FAMILY, GIVEN, STREETS, TOWNS

# The day on which every synthetic record ends: there is no clock here.
LAST_DAY = date(2026, 3, 31)
STREET = 10
ADULT_YEARS = 18
DAYS_A_YEAR = 365.25
WINDOW_YEARS = 10
"""How long ago a death can be: who died before is in no register."""

HOUSEHOLDS = ("single", "couple", "family", "one parent")
HOUSEHOLD_WEIGHTS = (0.34, 0.30, 0.26, 0.10)
CHILDREN = (1, 2, 3, 4)
CHILDREN_WEIGHTS = (0.45, 0.40, 0.12, 0.03)
OTHER_NAME = 0.3
"""How often a couple keeps two family names."""

# The codes of v3-RoleCode for (who is asked, the other) being adults: woman, man.
ROLES = {
    (True, True): ("WIFE", "HUSB"),
    (True, False): ("DAUC", "SONC"),
    (False, True): ("MTH", "FTH"),
    (False, False): ("SIS", "BRO"),
}

# Deaths a year by age: (up to this age, female, male), after the life tables of Western Europe.
MORTALITY = (
    (1, 0.003, 0.0035), (15, 0.0001, 0.0001), (45, 0.0005, 0.001), (55, 0.002, 0.0035),
    (65, 0.005, 0.009), (75, 0.012, 0.022), (85, 0.04, 0.06), (95, 0.13, 0.17), (200, 0.3, 0.33),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """A patient before any record; `died` is None for the living, else a moment on the hour."""

    place: int
    identifier: str
    insurance: str
    given: str
    family: str
    gender: str
    born: date
    died: datetime | None
    address: tuple[str, str, str]
    """Street and number, postal code, town."""
    phone: str
    children: tuple[date, ...] = ()
    """Of a woman: when she gave birth."""
    relatives: tuple[Relative, ...] = ()

    @property
    def name(self) -> str:
        """Given and family name."""
        return f"{self.given} {self.family}"

    @property
    def until(self) -> date:
        """The last day that a record can be about."""
        return self.died.date() if self.died else LAST_DAY

    @property
    def home(self) -> int:
        """The number of the nearest hospital: each town has one."""
        return next(n for n, (postal, _) in enumerate(TOWNS) if postal == self.address[1])

    def age(self, day: date) -> int:
        """Full years on a day."""
        before = (day.month, day.day) < (self.born.month, self.born.day)
        return day.year - self.born.year - before


@dataclass(frozen=True, slots=True)
class Relative:
    """Somebody of the household as a relative: the role is a code of v3-RoleCode."""

    role: str
    person: Person


def person_at(seed: int, place: int) -> Person:
    """The patient at this place of a run."""
    return street(seed, place // STREET)[place % STREET]


@lru_cache(maxsize=4)
def street(seed: int, number: int) -> tuple[Person, ...]:
    """The STREET patients of a street."""
    chance = Chance(seed, "street", number)
    site = Chance(seed, "site").between(1_000, 9_999)
    people: list[Person] = []
    while len(people) < STREET:
        first = number * STREET + len(people)
        people += _related(*_Household(chance, site, first).draw(STREET - len(people)))
    return tuple(people)


class _Household:
    """Draws those who live together."""

    def __init__(self, chance: Chance, site: int, first: int) -> None:
        self._chance, self._site, self._first = chance, site, first
        postal, town = chance.pick(TOWNS)
        self._address = (f"{chance.pick(STREETS)} {chance.between(1, 140)}", postal, town)
        self._phone = f"+49 30 23125{chance.between(0, 999):03d}"  # numbers that are nobody's

    def draw(self, room: int) -> tuple[int, list[Person]]:
        """How many adults, and all: them, then their children from the eldest on."""
        chance = self._chance
        kind = chance.weighted(HOUSEHOLDS, HOUSEHOLD_WEIGHTS)
        adults = min(room, 2 if kind in ("couple", "family") else 1)
        wanted = (
            chance.weighted(CHILDREN, CHILDREN_WEIGHTS) if kind in ("family", "one parent") else 0
        )
        family = chance.pick(FAMILY)
        gender = "female" if kind == "one parent" or chance.happens(0.5) else "male"
        born = self._birth(kind)
        people = [self._adult(0, gender, family, born)]
        if adults == 2:
            other = chance.pick(FAMILY) if chance.happens(OTHER_NAME) else family
            gap = timedelta(days=int(chance.normal() * 900))
            people.append(self._adult(1, _other(gender), other, born + gap))
        mother = next((p for p in people if p.gender == "female"), people[0])
        births = self._births([p.born for p in people], mother.born, min(wanted, room - adults))
        people += [self._child(adults + n, family, day) for n, day in enumerate(births)]
        if mother.gender == "female":
            people[people.index(mother)] = replace(mother, children=births)
        safe = max(births) + timedelta(days=1) if births else date.min
        return adults, [replace(p, died=self._death(p, max(safe, p.born))) for p in people]

    def _birth(self, kind: str) -> date:
        chance = self._chance
        if kind in ("family", "one parent"):
            years = chance.real(24, 52)
        elif kind == "couple":
            years = chance.real(26, 90)
        else:
            years = chance.real(19, 40) if chance.happens(0.45) else chance.real(40, 97)
        return LAST_DAY - timedelta(days=int(years * DAYS_A_YEAR))

    def _births(self, parents: list[date], mother: date, wanted: int) -> tuple[date, ...]:
        """Birth days of children who still live at home, a year and a half apart or more."""
        chance = self._chance
        younger = (max(parents) - mother).days / DAYS_A_YEAR
        low = max(20.0, 20.0 + younger, (LAST_DAY - mother).days / DAYS_A_YEAR - 20)
        high = min(43.0, (LAST_DAY - mother).days / DAYS_A_YEAR)
        years, births = chance.real(low, max(low, high - 1.6 * wanted)), []
        for _ in range(wanted):
            if years < high:
                births.append(mother + timedelta(days=int(years * DAYS_A_YEAR)))
            years += chance.real(1.5, 4)
        return tuple(births)

    def _adult(self, number: int, gender: str, family: str, born: date) -> Person:
        return self._person(number, gender, family, min(born, _grown()))

    def _child(self, number: int, family: str, born: date) -> Person:
        return self._person(number, self._chance.pick(("female", "male")), family, born)

    def _person(self, number: int, gender: str, family: str, born: date) -> Person:
        place = self._first + number
        return Person(
            place=place,
            identifier=f"MRN-{self._site}-{place:07d}",
            insurance=f"{'ABCDEFGHKLMNPQRSTUVWXYZ'[place % 23]}{self._site}{place:07d}",
            given=self._chance.pick(GIVEN[gender]),
            family=family,
            gender=gender,
            born=born,
            died=None,
            address=self._address,
            phone=self._phone,
        )

    def _death(self, person: Person, safe: date) -> datetime | None:
        """When somebody died within WINDOW_YEARS, after the day `safe`; None for most."""
        chance = self._chance
        for year in range(LAST_DAY.year - WINDOW_YEARS, LAST_DAY.year + 1):
            day = date(year, 1, 1) + timedelta(days=chance.below(365))
            dead = chance.happens(_mortality(person.gender, person.age(day)))
            if dead and safe < day < LAST_DAY:
                return datetime.combine(day, time(chance.below(24)))
        return None


def _grown() -> date:
    return LAST_DAY - timedelta(days=int((ADULT_YEARS + 1) * DAYS_A_YEAR))


def _other(gender: str) -> str:
    return "male" if gender == "female" else "female"


def _mortality(gender: str, age: int) -> float:
    row = next(row for row in MORTALITY if age < row[0])
    return row[1] if gender == "female" else row[2]


def _related(adults: int, household: list[Person]) -> list[Person]:
    """The same people, each with the others as relatives; the adults come first."""
    return [
        replace(
            person,
            relatives=tuple(
                Relative(_role(mine < adults, theirs < adults, other.gender), other)
                for theirs, other in enumerate(household)
                if theirs != mine
            ),
        )
        for mine, person in enumerate(household)
    ]


def _role(mine: bool, theirs: bool, gender: str) -> str:
    """What the other is to one, from who of the two is an adult of the household."""
    female, male = ROLES[mine, theirs]
    return female if gender == "female" else male
