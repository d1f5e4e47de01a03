"""The visits of a life: birth, checks, complaints, lasting conditions and their crises, births, death."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta

from synthetic.chance import Chance
from synthetic.complaints import (
    AGES,
    COMPLAINTS,
    DEATHS,
    INFECTION_MONTHS,
    WOMEN,
    YEARLY,
    Complaint,
    group,
)
from synthetic.drugs import CONTRACEPTIVE
from synthetic.illnesses import COLONOSCOPY, MAMMOGRAM, SERIOUS, Crisis
from synthetic.life import Onset
from synthetic.people import ADULT_YEARS, LAST_DAY, Person
from synthetic.terms import Term
from synthetic.vaccines import (
    CHILD_CHECKS,
    COVID,
    INFLUENZA,
    PNEUMOCOCCAL_23,
    TETANUS,
    ZOSTER,
    Vaccine,
)
from synthetic.visits import (
    ADMISSION,
    CHECK,
    CHILD_CHECK,
    EMERGENCY,
    FOLLOW_UP,
    PRENATAL,
    SYMPTOM,
    Calendar,
    Kind,
    Visit,
)

MONTH_DAYS = 30.44
YEAR_DAYS = 365
TOGETHER_DAYS = 45
"""Follow-ups that are due within this are one visit."""
MOVES_DAYS = 20
"""How much later a visit can be that finds no room."""
CHECK_YEARS = ((40, 3.0), (65, 2.0), (200, 1.0))
"""Years between an adult's checks, up to an age."""
SCREENING = ["ldl", "hba1c", "creatinine", "hemoglobin"]
SCREENING_AGE = 35
BLOOD_COUNT = ["hemoglobin", "leukocytes", "platelets", "crp"]
PRENATAL_DAYS = (215, 160, 105, 60, 20)
"""Days before a birth."""
CHILDBIRTH = Term("66348005", "Childbirth")
CESAREAN = Term("11466000", "Cesarean section")
CESAREAN_PART = 0.3
NEWBORN = Complaint(Term("133931009", "Newborn infant", "Z38.0"), (), (1, 1))
PREGNANCY = Complaint(Term("72892002", "Normal pregnancy", "Z34.9"), (), (250, 290))
FERTILE = (16, 45)
CONTRACEPTION = Complaint(Term("13197004", "Contraception", "Z30.9"), (), (1, 1), label="SEX")
CONTRACEPTION_YEARLY = 0.14
TERMINATION = Complaint(
    Term("57797005", "Termination of pregnancy", "O04.9"), (), (1, 14), label="SEX"
)
TERMINATION_YEARLY = 0.006
LONGEST_LAST_STAY_DAYS = 12


class Plan:
    """Fills a calendar with one person's visits; what must not be missed comes first."""

    def __init__(
        self, chance: Chance, person: Person, onsets: Mapping[str, Onset], since: date
    ) -> None:
        """Visits lie between the day `since`, or birth, and death or the last day."""
        self._chance, self._person, self._onsets = chance, person, onsets
        self._since, self._until = max(since, person.born), person.until
        last = person.died or datetime.combine(LAST_DAY, time())
        self.calendar = Calendar(datetime.combine(self._since, time()), last)

    def visits(self) -> list[Visit]:
        """All visits in their order; at least one."""
        self._death()
        self._births()
        self._crises()
        self._diagnoses()
        self._checks()
        self._follow_ups()
        self._shots()
        self._reproduction()
        self._complaints()
        if not self.calendar.visits:
            day = self._since + timedelta(days=self._chance.below(self._days()))
            self.calendar.book(self._visit(day, *self._check_kind(day)), self._days())
        return self.calendar.visits

    def _days(self) -> int:
        return max((self._until - self._since).days, 1)

    def _visit(
        self, day: date, kind: Kind, department: str, complaint: Complaint | None = None
    ) -> Visit:
        """A visit in working hours; a minor's is pediatric."""
        chance = self._chance
        any_hour = kind is EMERGENCY or kind is ADMISSION
        hour = chance.below(23) if any_hour else chance.between(7, 16)
        begins = datetime.combine(day, time(hour, 5 * chance.below(12)))
        minutes = 60 + 15 * chance.below(20) if kind is EMERGENCY else 15 + 5 * chance.below(7)
        if self._person.age(day) < ADULT_YEARS:
            department = "child psychiatry" if department == "psychiatry" else "pediatrics"
        ends = begins + timedelta(minutes=minutes)
        return Visit(begins, ends, kind, department, complaint)

    def _stay(
        self, day: date, nights: int, department: str, complaint: Complaint | None = None
    ) -> Visit:
        """An admission over some nights, with a letter at its end."""
        visit = self._visit(day, ADMISSION, department, complaint)
        visit.letter = True
        morning = time(9 + self._chance.below(5), 30)
        visit.ends = datetime.combine(visit.begins.date() + timedelta(days=max(nights, 1)), morning)
        return visit

    def _death(self) -> None:
        person, chance = self._person, self._chance
        if person.died is None:
            return
        stay = timedelta(hours=chance.between(3, 24 * LONGEST_LAST_STAY_DAYS))
        begins = max(person.died - stay, self.calendar.first)
        if begins >= person.died:
            return
        department = "general" if person.age(begins.date()) >= ADULT_YEARS else "pediatrics"
        serious = [
            onset for key, onset in self._onsets.items()
            if key in SERIOUS and onset.found < begins.date()
        ]  # fmt: skip
        visit = Visit(begins, person.died, ADMISSION, department, fatal=True, letter=True)
        visit.labs = ["creatinine", "potassium", "sodium", *BLOOD_COUNT]
        if serious:
            visit.follows = [chance.pick(serious)]
            visit.crisis = visit.follows[0].illness.crisis
        else:
            weights = [one.weights[group(person.age(person.died.date()))] for one in DEATHS]
            visit.complaint = chance.weighted(DEATHS, weights)
        self.calendar.book(visit)

    def _births(self) -> None:
        """The person's own birth, and those of a mother's children."""
        chance, person = self._chance, self._person
        if person.born >= self._since and person.born < self._until:
            nights = chance.between(2, 4)
            self.calendar.book(self._stay(person.born, nights, "pediatrics", NEWBORN))
        for birth in person.children:
            delivery = CESAREAN if chance.happens(CESAREAN_PART) else CHILDBIRTH
            nights = 5 if delivery is CESAREAN else chance.between(2, 3)
            stay = self._stay(birth, nights, "obstetrics", PREGNANCY)
            stay.procedures = [delivery]
            self.calendar.book(stay)
            for days in PRENATAL_DAYS:
                day = birth - timedelta(days=days + chance.below(10))
                visit = self._visit(day, PRENATAL, "obstetrics")
                visit.labs = ["hemoglobin", "glucose"]
                self.calendar.book(visit, MOVES_DAYS // 2)

    def _crises(self) -> None:
        for onset in self._onsets.values():
            crisis = onset.illness.crisis
            if crisis is None:
                continue
            for start in self._year_starts(onset.found):
                if self._chance.happens(crisis.yearly):
                    self._crisis(start, onset, crisis)

    def _crisis(self, start: date, onset: Onset, crisis: Crisis) -> None:
        day = start + timedelta(days=self._chance.below(YEAR_DAYS))
        nights = self._chance.between(*crisis.nights)
        stay = self._stay(day, nights, crisis.department)
        stay.crisis, stay.follows = crisis, [onset]
        stay.labs = [*onset.illness.labs, "creatinine", *BLOOD_COUNT]
        stay.procedures, stay.images = list(crisis.procedures), list(crisis.images)
        stay.drugs = list(crisis.drugs)
        self.calendar.book(stay, MOVES_DAYS)

    def _year_starts(self, first: date) -> Iterator[date]:
        """Days a year apart, from `first` or the beginning on."""
        day = max(first + timedelta(days=1), self._since)
        while day < self._until:
            yield day
            day += timedelta(days=YEAR_DAYS)

    def _diagnoses(self) -> None:
        """The visit at which a condition is found; those of before belong to the first visit."""
        for onset in self._onsets.values():
            if onset.found < self._since:
                continue
            illness = onset.illness
            visit = self._visit(onset.found, SYMPTOM, illness.department)
            visit.found = [onset]
            visit.procedures, visit.images = list(illness.work_up), list(illness.images)
            visit.labs = [*illness.labs, "hemoglobin"]
            self.calendar.book(visit, MOVES_DAYS)

    def _check_kind(self, day: date) -> tuple[Kind, str]:
        adult = self._person.age(day) >= ADULT_YEARS
        return (CHECK, "general") if adult else (CHILD_CHECK, "pediatrics")

    def _checks(self) -> None:
        chance, person = self._chance, self._person
        for months, vaccines in CHILD_CHECKS:
            day = person.born + timedelta(days=int(months * MONTH_DAYS) + chance.below(14))
            if self._since <= day < self._until:
                visit = self._visit(day, CHILD_CHECK, "pediatrics")
                visit.vaccines = list(vaccines)
                self.calendar.book(visit, MOVES_DAYS)
        grown = person.born + timedelta(days=int((ADULT_YEARS + 0.1) * 365.25))
        day = max(self._since, grown) + timedelta(days=chance.below(2 * YEAR_DAYS))
        while day < self._until:
            self._adult_check(day)
            years = next(years for limit, years in CHECK_YEARS if person.age(day) < limit)
            day += timedelta(days=int(years * YEAR_DAYS * chance.real(0.85, 1.2)))

    def _adult_check(self, day: date) -> None:
        chance, age = self._chance, self._person.age(day)
        visit = self._visit(day, CHECK, "general")
        visit.vaccines = self._adult_vaccines(day, age)
        if age >= SCREENING_AGE:
            visit.labs = list(SCREENING)
        if 50 <= age < 76 and chance.happens(0.12):
            visit.procedures = [COLONOSCOPY]
        if self._person.gender == "female" and 50 <= age < 70 and chance.happens(0.6):
            visit.images = [MAMMOGRAM]
        self.calendar.book(visit, MOVES_DAYS)

    def _adult_vaccines(self, day: date, age: int) -> list[Vaccine]:
        chances = (
            (TETANUS, 0.18),
            (COVID, 0.75 if day.year == 2021 else 0.08 if day.year > 2021 else 0.0),
            (PNEUMOCOCCAL_23, 0.3 if age >= 60 else 0.0),
            (ZOSTER, 0.12 if age >= 60 else 0.0),
        )
        return [vaccine for vaccine, part in chances if self._chance.happens(part)]

    def _follow_ups(self) -> None:
        """Each condition's own rhythm; what is due at about the same time is one visit."""
        due: list[tuple[date, int, Onset]] = []
        for rank, onset in enumerate(self._onsets.values()):
            if onset.illness.visits <= 0:
                continue
            pause = YEAR_DAYS / onset.illness.visits
            start = onset.found if onset.found >= self._since else self._since
            day = start + timedelta(days=int(pause * self._chance.real(0.5, 1.0)))
            while day < self._until:
                due.append((day, rank, onset))
                day += timedelta(days=int(pause * self._chance.real(0.8, 1.25)))
        due.sort(key=lambda one: one[:2])
        while due:
            first = due[0]
            near = [one for one in due if (one[0] - first[0]).days <= TOGETHER_DAYS]
            due = due[len(near) :]
            follows = list(dict.fromkeys(one[2] for one in near))
            self._follow_up(first[0], follows)

    def _follow_up(self, day: date, follows: list[Onset]) -> None:
        visit = self._visit(day, FOLLOW_UP, follows[0].illness.department)
        visit.follows = follows
        visit.labs = [lab for onset in follows for lab in onset.illness.labs]
        work_up = follows[0].illness.work_up
        if work_up and self._chance.happens(0.2):
            visit.procedures = [work_up[0]]
        self.calendar.book(visit, MOVES_DAYS)

    def _shots(self) -> None:
        """Influenza vaccinations in autumn: of the old, and of those with lasting conditions."""
        for year in range(self._since.year, self._until.year + 1):
            day = date(year, 10, 1) + timedelta(days=self._chance.below(60))
            age = self._person.age(day)
            part = 0.5 if age >= 60 else 0.25 if self._onsets else 0.05
            if age >= 1 and self._since < day < self._until and self._chance.happens(part):
                visit = self._visit(day, *self._check_kind(day))
                visit.vaccines = [INFLUENZA]
                self.calendar.book(visit)

    def _reproduction(self) -> None:
        if self._person.gender != "female":
            return
        for start in self._year_starts(self._since):
            day = start + timedelta(days=self._chance.below(YEAR_DAYS))
            if not FERTILE[0] <= self._person.age(day) <= FERTILE[1] or self._expecting(day):
                continue
            if self._chance.happens(CONTRACEPTION_YEARLY):
                visit = self._visit(day, FOLLOW_UP, "obstetrics", CONTRACEPTION)
                visit.drugs = [CONTRACEPTIVE]
                self.calendar.book(visit)
            elif self._chance.happens(TERMINATION_YEARLY):
                visit = self._visit(day, FOLLOW_UP, "obstetrics", TERMINATION)
                visit.procedures = [TERMINATION.term]
                self.calendar.book(visit)

    def _expecting(self, day: date) -> bool:
        return any(-90 < (birth - day).days < 290 for birth in self._person.children)

    def _complaints(self) -> None:
        for start in self._year_starts(self._since):
            rate = YEARLY[group(self._person.age(start))]
            grown = ADULT_YEARS <= self._person.age(start) < AGES[3]
            if grown and self._person.gender == "female":
                rate *= WOMEN
            for _ in range(self._chance.count(rate)):
                day = start + timedelta(days=self._chance.below(YEAR_DAYS))
                if day < self._until:
                    self._complain(day)

    def _complain(self, day: date) -> None:
        chance, place = self._chance, group(self._person.age(day))
        season = INFECTION_MONTHS[day.month - 1]
        weights = [
            0.0 if one.sex and one.sex != self._person.gender
            else one.weights[place] * (season if one.infection else 1.0)
            for one in COMPLAINTS
        ]  # fmt: skip
        one = chance.weighted(COMPLAINTS, weights)
        if one.nights[1] and (place in (0, 4) or chance.happens(0.5)):
            visit = self._stay(day, chance.between(*one.nights), "general", one)
            visit.labs = ["creatinine", "sodium", "potassium", *BLOOD_COUNT]
        elif one.emergency:
            visit = self._visit(day, EMERGENCY, "emergency", one)
            visit.labs = list(BLOOD_COUNT) if one.infection else []
        else:
            visit = self._visit(day, SYMPTOM, "general", one)
            visit.labs = ["leukocytes", "crp"] if one.infection and chance.happens(0.25) else []
        visit.procedures, visit.images = list(one.procedures), list(one.images)
        self.calendar.book(visit, MOVES_DAYS // 4)
