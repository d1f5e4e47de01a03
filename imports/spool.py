"""Rows of all tables on disk, to be given back patient by patient: memory is bound by the largest patient."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

from imports.births import SEVERAL
from imports.drafts import Person
from imports.tablerows import Names, Reading
from people.comparing import compare, listed
from people.demographics import NOTHING_SAID, Demographics, Traits

NAMES_CACHED = 4_096
"""Patients whose number is at hand while rows are spooled; the rows of one mostly stand together."""

_SCHEMA = """
CREATE TABLE patient (id INTEGER PRIMARY KEY, names TEXT UNIQUE, person TEXT);
CREATE TABLE name (name TEXT, weak INTEGER, patient INTEGER, UNIQUE (name, weak, patient));
CREATE INDEX name_patient ON name (patient);
CREATE TABLE row (patient INTEGER, file INTEGER, line INTEGER, offset INTEGER, length INTEGER,
    crc INTEGER, name TEXT, category TEXT, encounter TEXT, day TEXT, title TEXT, labels TEXT, changed BLOB);
"""


class Unclear(ValueError):
    """A row that names two patients."""


class Spooled(NamedTuple):
    """A row as it is spooled; see `Reading`."""

    file: int
    line: int
    offset: int
    length: int
    crc: int
    """CRC-32 of its bytes in the file, by which is seen that the file is still the same."""
    name: str
    category: str
    encounter: str | None
    day: str | None
    title: str
    labels: str
    """Apart by spaces."""
    changed: bytes | None
    """What goes into a record where it isn't the bytes of the file."""


class Patient(NamedTuple):
    """Somebody whose rows are spooled."""

    id: int
    names: Names
    person: Person | None
    said: Demographics = NOTHING_SAID
    """What the rows that register say of the person."""


class Spool:
    """A database in a temporary file without a name, which goes when it is closed."""

    def __init__(self) -> None:
        """Empty."""
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)
        self._cached = lru_cache(NAMES_CACHED)(self._known)

    def close(self) -> None:
        """Give the disk back."""
        self._db.close()

    def add(self, file: int, reading: Reading, changed: bytes | None) -> None:
        """Add a row; those that register patients must come before all others. Unclear: of two patients."""
        if reading.person is None:
            patient = self._cached(reading.names)
        else:
            patient = self._registered(reading.names, reading.person, reading.said)
        row = reading.row
        spooled = Spooled(
            file,
            row.line,
            row.offset,
            len(row.raw),
            crc32(row.raw),
            reading.name,
            reading.category,
            reading.encounter,
            reading.day,
            reading.title,
            " ".join(reading.labels),
            changed,
        )
        signs = ", ".join("?" * (1 + len(spooled)))
        self._db.execute(f"INSERT INTO row VALUES ({signs})", (patient, *spooled))

    def patients(self) -> Iterator[Patient]:
        """Everybody, those who are registered first, each in the order of their first rows."""
        self._db.execute("CREATE INDEX IF NOT EXISTS row_patient ON row (patient)")
        for number, names, person in self._db.execute("SELECT * FROM patient ORDER BY id"):
            if person is None:
                strong, weak = json.loads(names)
                yield Patient(number, Names(tuple(strong), tuple(weak)), None)
            else:
                yield Patient(number, self._names(number), *_read(person))

    def rows(self, patient: Patient) -> Iterator[Spooled]:
        """The rows of a patient in the order in which they came."""
        columns = ", ".join(Spooled._fields)
        sql = f"SELECT {columns} FROM row WHERE patient = ? ORDER BY rowid"
        return map(Spooled._make, self._db.execute(sql, (patient.id,)))

    def _registered(self, names: Names, person: Person, said: Demographics) -> int:
        found = self._bearers(names)
        if len(found) > 1:
            raise Unclear("got a row with the names of two patients, expected those of one")
        if found:
            (number,) = found
            self._add(number, person, said)
        else:
            number = self._insert(None, _written(person, said))
        for weak, group in enumerate((names.strong, names.weak)):
            self._db.executemany(
                "INSERT OR IGNORE INTO name VALUES (?, ?, ?)",
                [(name, weak, number) for name in group],
            )
        return number

    def _add(self, number: int, person: Person, said: Demographics) -> None:
        """Add what a further row says of somebody; Unclear if it is somebody else."""
        sql = "SELECT person FROM patient WHERE id = ?"
        before, was = _read(self._db.execute(sql, (number,)).fetchone()[0])
        if differs := compare(Traits.of(was), Traits.of(said)).differs:
            raise Unclear(
                f"same identifier, but another {listed(differs)} than in a row before; set aside"
            )
        written = _written(
            _both(before, person), was if len(was.birth) >= len(said.birth) else said
        )
        self._db.execute("UPDATE patient SET person = ? WHERE id = ?", (written, number))

    def _known(self, names: Names) -> int:
        """The one registered patient who bears the names, else somebody with just these."""
        found = self._bearers(names)
        others = self._bearers(Names((), names.weak))
        if names.strong and found and (len(found) > 1 or (others and not others & found)):
            raise Unclear("got a row with the names of two patients, expected those of one")
        if len(found) == 1:
            return found.pop()
        given = json.dumps([names.strong, names.weak])
        known = self._db.execute("SELECT id FROM patient WHERE names = ?", (given,)).fetchone()
        return int(known[0]) if known else self._insert(given, None)

    def _bearers(self, names: Names) -> set[int]:
        """Who is registered with the strong names; with the numbers where there is no other name."""
        sql = "SELECT patient FROM name WHERE name = ? AND weak = ?"
        weak = not names.strong
        return {
            patient
            for name in (names.weak if weak else names.strong)
            for (patient,) in self._db.execute(sql, (name, weak))
        }

    def _insert(self, names: str | None, person: str | None) -> int:
        sql = "INSERT INTO patient (names, person) VALUES (?, ?)"
        return int(self._db.execute(sql, (names, person)).lastrowid or 0)

    def _names(self, patient: int) -> Names:
        sql = "SELECT name, weak FROM name WHERE patient = ? ORDER BY rowid"
        found = self._db.execute(sql, (patient,)).fetchall()
        return Names(
            tuple(name for name, weak in found if not weak),
            tuple(name for name, weak in found if weak),
        )


def _both(one: Person, other: Person) -> Person:
    """Somebody by two rows: dead if either says so, born on the day that is read."""
    births = sorted(
        (one, other), key=lambda person: (bool(person.birth_doubt), not person.birth_date)
    )
    birth, dead = births[0], one.deceased or other.deceased
    whole = [each for each in births if each.birth_date and each.birth_doubt in ("", SEVERAL)]
    if len({(each.birth_date, each.birth_doubt) for each in whole}) > 1:
        latest = max(whole, key=lambda each: each.birth_date or "")
        birth = replace(latest, birth_doubt=SEVERAL)
    doubt = "" if dead else one.death_doubt or other.death_doubt
    death = one if one.death_doubt else other
    written = (birth.written[0], death.written[1])
    name = one.name or other.name
    return Person(name, birth.birth_date, dead, birth.birth_doubt, doubt, written)


def _written(person: Person, said: Demographics) -> str:
    return json.dumps([asdict(person), asdict(said)])


def _read(text: str) -> tuple[Person, Demographics]:
    person, said = json.loads(text)
    person["written"] = tuple(person["written"])
    return Person(**person), Demographics(**said)
