"""What the columns of a row say: whose it is, where it belongs, what it is called, and what was corrected in it."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from imports.births import NOTHING, birth_of, death_of
from imports.cleaning import Corrected, Doubt, clean_code, clean_date, clean_unit, day_of
from imports.drafts import Origin, Person, source_name
from imports.labels import Labels
from imports.mapping import PATIENTS, Table
from imports.rows import Row
from imports.texts import TITLE_BYTES, shown
from people.demographics import NOTHING_SAID, Demographics

INVISIBLE = " \t\r\n\xa0\u200b\u200c\u200d\u2060\ufeff"
"""What may stand around a name without being part of it."""

Cleaner = Callable[[str], Corrected | Doubt | None]


class Unreadable(ValueError):
    """A row, or a whole table, that cannot be taken; says what was got and expected."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction that was made in a row; see `Findings.correct`."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Names:
    """The names by which a row names its patient."""

    strong: tuple[str, ...]
    """Those that nobody else can bear."""
    weak: tuple[str, ...]
    """Numbers that came without saying whose they are."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A row, and what its columns say."""

    row: Row
    text: str
    """Cleansed, with the line end of the source."""
    names: Names
    name: str
    """The row's own, which others of the same patient may have too."""
    category: str
    encounter: str | None
    day: str | None
    """`YYYY-MM-DD`."""
    title: str
    labels: tuple[str, ...]
    person: Person | None
    """In a table that registers patients."""
    corrections: tuple[Correction, ...]
    said: Demographics = NOTHING_SAID
    """What a row that registers says of the person."""
    doubts: tuple[Correction, ...] = ()
    """Dates that are left as they are, since they may mean two days, or none."""


class Columns:
    """Reads the rows of one file by the columns of its header."""

    def __init__(self, table: Table, header: list[str], labels: Labels, origin: Origin) -> None:
        """`header`: the names of all columns; Unreadable if one that the mapping names isn't there once."""
        names = [name.strip(INVISIBLE) for name in header]
        for column in table.columns():
            if names.count(column) != 1:
                got = f"{names.count(column)} of it" if column in names else "none"
                among = shown(", ".join(names))
                raise Unreadable(f"got {got} in the header {among}, expected one column {column!r}")
        self.width = len(names)
        self._names = names
        self._table = table
        self._labels = labels
        self._origin = origin
        self._at = {column: names.index(column) for column in table.columns()}
        self._cleaners: dict[int, Cleaner] = {
            self._at[code.column]: _clean_code for code in table.codes
        }
        self._cleaners |= {self._at[unit]: clean_unit for unit in table.units}
        self._cleaners |= {self._at[day]: clean_date for day in table.all_dates()}

    def read(
        self, row: Row, text: str, values: list[str], recoded: tuple[Correction, ...] = ()
    ) -> Reading:
        """The reading of a row with these values; Unreadable where it doesn't say whose it is.

        `recoded`: what was corrected before.
        """
        table = self._table
        names = self._patient(values)
        doubts = tuple(self._doubts(values))
        text, values, corrections = self._cleansed(text, values)
        encounter = self._value(table.encounter, values) or None
        category = table.category.of(self._value(table.category.column, values))
        if encounter is None and table.without_encounter:
            category = table.without_encounter
        person = self._person(values) if table.kind == PATIENTS else None
        key = [(names.strong + names.weak)[0], *(self._value(one, values) for one in table.key)]
        return Reading(
            row,
            text,
            names,
            f"{table.name} {json.dumps(key, ensure_ascii=False)}",
            category,
            encounter,
            day_of(self._value(table.date, values)),
            person.name if person else self._value(table.title, values)[:TITLE_BYTES],
            self._labels.of(self._codes(values)),
            person,
            recoded + corrections,
            self._said(values, person) if person else NOTHING_SAID,
            doubts,
        )

    def _value(self, column: str, values: list[str]) -> str:
        return values[self._at[column]].strip(INVISIBLE) if column else ""

    def _patient(self, values: list[str]) -> Names:
        strong, weak, nobody = list[str](), list[str](), ""
        for naming in self._table.patient:
            value = self._value(naming.column, values)
            if not value:
                continue
            if self._origin.placeholders.has(value):
                nobody = f"got the patient {value[:80]!r} in the column {naming.column}, which is nobody's"
                continue
            name = naming.name(value)
            if name is None:
                raise Unreadable(
                    f"got the patient {value[:80]!r} in the column {naming.column}, expected a UUID"
                )
            (weak if naming.weak else strong).append(name)
            if naming.weak and self._origin.source:
                strong.append(source_name(self._origin.source, value))
        if not strong and not weak and nobody:
            raise Unreadable(nobody)
        if not strong and not weak:
            columns = dict.fromkeys(naming.column for naming in self._table.patient)
            raise Unreadable(f"got no patient in the column {', '.join(columns)}, expected one")
        return Names(tuple(dict.fromkeys(strong)), tuple(dict.fromkeys(weak)))

    def _cleansed(
        self, text: str, values: list[str]
    ) -> tuple[str, list[str], tuple[Correction, ...]]:
        made: dict[int, Corrected] = {}
        for at, clean in self._cleaners.items():
            if isinstance(one := clean(values[at]), Corrected):
                made[at] = one
        if not made:
            return text, values, ()
        told = tuple(
            Correction(f"{self._names[at]}: {one.rule}", values[at], one.value)
            for at, one in made.items()
        )
        written = {at: one.value for at, one in made.items()}
        after = [written.get(at, value) for at, value in enumerate(values)]
        return replaced(text, self._table.delimiter, written), after, told

    def _codes(self, values: list[str]) -> list[tuple[str, str]]:
        return [
            (code.system or self._value(code.system_column, values), value)
            for code in self._table.codes
            if (value := self._value(code.column, values))
        ]

    def _person(self, values: list[str]) -> Person:
        table, today = self._table, self._origin.today
        parts = (self._value(part, values) for part in table.person)
        born, death = (self._value(c, values) for c in (table.birth_date, table.death_date))
        dead, doubt = death_of(death, today, born)
        birth = birth_of(born, today, dead=dead)
        latest = birth.latest.isoformat() if birth.latest else None
        name = shown(" ".join(filter(None, parts)))
        return Person(name, latest, dead, birth.doubt, doubt, (born, death))

    def _said(self, values: list[str], person: Person) -> Demographics:
        birth = self._value(self._table.birth_date, values)
        return Demographics(
            text=person.name,
            birth=birth_of(birth, self._origin.today, dead=person.deceased).known,
            sex=self._value(self._table.sex, values),
        )

    def _doubts(self, values: list[str]) -> Iterator[Correction]:
        """Dates that cannot be read; those of birth and death are told with the patient."""
        for column in self._table.other_dates():
            value = values[self._at[column]]
            if value.strip(INVISIBLE).lower() in NOTHING:
                continue
            if isinstance(made := clean_date(value), Doubt):
                yield Correction(f"{column}: {made.reason}", value, value)


def replaced(text: str, delimiter: str, written: Mapping[int, str]) -> str:
    """The row `text` with other values in some of its fields; every other byte stays, and so do quotes.

    The row must be one that `rows.fields` reads.
    """
    parts, copied = list[str](), 0
    for number, (start, end) in enumerate(_spans(text, delimiter)):
        if number in written:
            value = written[number]
            quoted = text[start : start + 1] == '"' or any(s in value for s in (delimiter, '"'))
            parts += [text[copied:start], '"' + value.replace('"', '""') + '"' if quoted else value]
            copied = end
    return "".join([*parts, text[copied:]])


def _spans(text: str, delimiter: str) -> list[tuple[int, int]]:
    """Where each field begins and ends, its quotes included."""
    field, size = _field(delimiter), len(text.rstrip("\r\n"))
    found, at = list[tuple[int, int]](), 0
    while at <= size:
        match = field.match(text, at, size)
        assert match is not None, "a field may be empty"
        found.append(match.span())
        at = match.end() + len(delimiter)
    return found


@lru_cache
def _field(delimiter: str) -> re.Pattern[str]:
    return re.compile(rf'"[^"]*(?:""[^"]*)*"|[^{re.escape(delimiter)}]*')


def _clean_code(text: str) -> Corrected | None:
    return clean_code(text)
