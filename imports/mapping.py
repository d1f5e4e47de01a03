"""Which tables a hospital's files are, and what their columns mean: a TOML file that the hospital writes."""

import tomllib
from collections.abc import Iterator
from collections.abc import Mapping as Members
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from imports.cleaning import Undecodable, charset
from imports.drafts import identifier_name, record_number, uuid_name
from journeys.errors import RecordsError
from ledger.codes import CATEGORIES

PATIENTS, ROWS, REFERENCE = "patients", "rows", "reference"
DEMOGRAPHICS = "demographics"
"""The category of the rows of patients."""
DELIMITERS = (",", ";", "\t", "|")
UUID, NUMBER, IDENTIFIER = "uuid", "number", "identifier"

KEYS: Members[str, tuple[str, ...]] = {
    "files": (PATIENTS, ROWS, REFERENCE),
    "kind": (PATIENTS, ROWS, REFERENCE),
    "delimiter": (PATIENTS, ROWS, REFERENCE),
    "encoding": (PATIENTS, ROWS, REFERENCE),
    "patient": (PATIENTS, ROWS),
    "key": (PATIENTS, ROWS),
    "codes": (PATIENTS, ROWS),
    "dates": (PATIENTS, ROWS),
    "units": (PATIENTS, ROWS),
    "name": (PATIENTS,),
    "birth_date": (PATIENTS,),
    "death_date": (PATIENTS,),
    "sex": (PATIENTS,),
    "category": (ROWS,),
    "without_encounter": (ROWS,),
    "encounter": (ROWS,),
    "date": (ROWS,),
    "title": (ROWS,),
}
"""Every key of a table, and the kinds of tables that may have it."""

_NAME_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


@dataclass(frozen=True, slots=True)
class Naming:
    """A column that says whose a row is, and how."""

    column: str
    kind: str
    """UUID, NUMBER or IDENTIFIER."""
    system: str = ""

    @property
    def weak(self) -> bool:
        """Whether two patients may bear the same."""
        return self.kind == NUMBER

    def name(self, value: str) -> str | None:
        """The name as a draft has it; None when the value is no UUID and should be."""
        if self.kind == UUID:
            return uuid_name(value)
        return record_number(value) if self.weak else identifier_name(self.system, value)


@dataclass(frozen=True, slots=True)
class Code:
    """A column of codes, with their system or the column that tells it; neither when it is not known."""

    column: str
    system: str = ""
    system_column: str = ""


@dataclass(frozen=True, slots=True)
class Category:
    """The category of a row: by the values of a column, whatever their case, else the default."""

    default: str
    column: str = ""
    values: Members[str, str] = field(default_factory=dict)

    def of(self, value: str) -> str:
        """The category of a row with this value in the column."""
        return self.values.get(value.strip().lower(), self.default)


@dataclass(frozen=True, slots=True)
class Table:
    """One table; columns that it does not have are empty."""

    name: str
    files: tuple[str, ...]
    """Patterns of file names."""
    kind: str
    delimiter: str = ","
    encoding: str = ""
    """Python's name of it; empty for what the bytes say."""
    patient: tuple[Naming, ...] = ()
    key: tuple[str, ...] = ()
    category: Category = Category(DEMOGRAPHICS)
    without_encounter: str = ""
    """The category of rows that belong to no encounter; empty for the same as of others."""
    encounter: str = ""
    date: str = ""
    title: str = ""
    codes: tuple[Code, ...] = ()
    dates: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    person: tuple[str, ...] = ()
    birth_date: str = ""
    death_date: str = ""
    sex: str = ""

    def columns(self) -> tuple[str, ...]:
        """Every column that the table names, none twice."""
        codes = [column for code in self.codes for column in (code.column, code.system_column)]
        ones = (self.category.column, self.encounter, self.title, self.sex, *codes)
        named = (naming.column for naming in self.patient)
        every = (*named, *self.key, *ones, *self.all_dates(), *self.units, *self.person)
        return tuple(dict.fromkeys(filter(None, every)))

    def all_dates(self) -> tuple[str, ...]:
        """Every column that holds a date."""
        return tuple(filter(None, (*self.other_dates(), self.birth_date, self.death_date)))

    def other_dates(self) -> tuple[str, ...]:
        """Those that are not of a birth or a death."""
        own = (self.birth_date, self.death_date)
        return tuple(day for day in (self.date, *self.dates) if day and day not in own)


@dataclass(frozen=True, slots=True)
class Mapping:
    """The tables of a hospital, in the order in which they are asked whether a file is theirs."""

    tables: tuple[Table, ...]

    @staticmethod
    def default() -> "Mapping":
        """Synthea's tables: `synthea.toml` beside this file."""
        return _default()

    @staticmethod
    def read(path: Path) -> "Mapping":
        """A hospital's own mapping, UTF-8; RecordsError names file and key, what was got and expected."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise RecordsError(f"{path}: cannot be read: {error.strerror}") from None
        try:
            return Mapping.parse(data.decode("utf-8-sig"), str(path))
        except UnicodeDecodeError as error:
            raise RecordsError(
                f"{path}: byte {error.start} is not UTF-8, as a mapping must be"
            ) from None

    @staticmethod
    def parse(text: str, place: str) -> "Mapping":
        """The mapping in `text`; `place` names it in errors."""
        try:
            members = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise RecordsError(f"{place}: is not valid TOML: {error}") from None
        root = _Part(place, "", members)
        root.only(("tables",))
        tables = [_table(name, part) for name, part in root.part("tables").parts()]
        if not tables:
            raise root.wrong("tables", members.get("tables"), "at least one table")
        return Mapping(tuple(tables))

    def table_of(self, file_name: str) -> Table | None:
        """The first table with a pattern that fits, whatever the case of its letters; None for no table."""
        name = file_name.lower()
        for table in self.tables:
            if any(fnmatchcase(name, pattern.lower()) for pattern in table.files):
                return table
        return None


@cache
def _default() -> Mapping:
    text = files("imports").joinpath("synthea.toml").read_text("utf-8")
    return Mapping.parse(text, "synthea.toml")


@dataclass(frozen=True)
class _Part:
    """A table of the TOML, read key by key; every error says where."""

    place: str
    path: str
    members: Members[str, Any]

    def wrong(self, key: str, got: object, expected: str) -> RecordsError:
        shown = "nothing" if got is None else repr(got)[:80]
        return RecordsError(f"{self.place}, {self._path(key)}: got {shown}, expected {expected}")

    def only(self, keys: tuple[str, ...]) -> None:
        for key in self.members:
            if key not in keys:
                raise self.wrong(key, self.members[key], f"no such key, but {', '.join(keys)}")

    def part(self, key: str) -> "_Part":
        value = self.members.get(key)
        if not isinstance(value, dict):
            raise self.wrong(key, value, "a table of keys")
        return _Part(self.place, self._path(key), value)

    def parts(self) -> Iterator[tuple[str, "_Part"]]:
        for key in self.members:
            yield key, self.part(key)

    def inline(self, key: str) -> Iterator["_Part"]:
        """One table of keys or a list of them."""
        value = self.members.get(key, [])
        for number, one in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(one, dict):
                raise self.wrong(key, one, "{ column = … }, or a list of such")
            yield _Part(self.place, self._path(f"{key}[{number}]"), one)

    def text(self, key: str, default: str | None = "") -> str:
        """A text that is not empty; `default` None for one that must be there."""
        value = self.members.get(key, default)
        if not isinstance(value, str) or (not value and key in self.members):
            raise self.wrong(key, value, "a text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.members.get(key, [])
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
            raise self.wrong(key, value, "a text or a list of texts")
        return tuple(value)

    def some(self, key: str) -> tuple[str, ...]:
        found = self.texts(key)
        if not found:
            raise self.wrong(key, self.members.get(key), "a text or a list of texts")
        return found

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(key, default)
        if value not in choices and value != default:
            raise self.wrong(key, value, "one of " + ", ".join(map(repr, choices)))
        return value

    def _path(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def _table(name: str, part: _Part) -> Table:
    if not name or not _NAME_SIGNS.issuperset(name):
        raise part.wrong("name", name, "a table's name of ASCII letters, digits, `_`, `.` and `-`")
    kind = part.choice("kind", (PATIENTS, ROWS, REFERENCE))
    part.only(tuple(key for key, kinds in KEYS.items() if kind in kinds))
    files = part.some("files")
    delimiter = part.choice("delimiter", DELIMITERS, ",")
    if kind == REFERENCE:
        return Table(name, files, kind, delimiter, _encoding(part))
    return Table(
        name,
        files,
        kind,
        delimiter,
        _encoding(part),
        patient=_namings(part),
        key=part.some("key"),
        category=_category(part) if kind == ROWS else Category(DEMOGRAPHICS),
        without_encounter=part.choice("without_encounter", CATEGORIES, ""),
        encounter=part.text("encounter"),
        date=part.text("date"),
        title=part.text("title"),
        codes=tuple(_codes(part)),
        dates=part.texts("dates"),
        units=part.texts("units"),
        person=part.texts("name"),
        birth_date=part.text("birth_date"),
        death_date=part.text("death_date"),
        sex=part.text("sex"),
    )


def _encoding(part: _Part) -> str:
    declared = part.text("encoding")
    try:
        return charset(declared) if declared else ""
    except Undecodable:
        raise part.wrong("encoding", declared, "a charset like utf-8 or windows-1252") from None


def _namings(part: _Part) -> tuple[Naming, ...]:
    found = []
    for one in part.inline("patient"):
        kind = one.choice("as", (UUID, NUMBER, IDENTIFIER))
        one.only(("column", "as", "system") if kind == IDENTIFIER else ("column", "as"))
        system = one.text("system", None) if kind == IDENTIFIER else ""
        found.append(Naming(one.text("column", None), kind, system))
    if not found:
        raise part.wrong("patient", part.members.get("patient"), "{ column = …, as = … }")
    return tuple(found)


def _codes(part: _Part) -> Iterator[Code]:
    for one in part.inline("codes"):
        one.only(("column", "system", "system_column"))
        code = Code(one.text("column", None), one.text("system"), one.text("system_column"))
        if code.system and code.system_column:
            raise one.wrong("system_column", code.system_column, "either it or system")
        yield code


def _category(part: _Part) -> Category:
    if isinstance(part.members.get("category"), str):
        return Category(part.choice("category", CATEGORIES))
    if not isinstance(part.members.get("category"), dict):
        expected = "a category, or { column = …, values = …, default = … }"
        raise part.wrong("category", part.members.get("category"), expected)
    one = part.part("category")
    one.only(("column", "values", "default"))
    values = one.part("values")
    made = {value.lower(): values.choice(value, CATEGORIES) for value in values.members}
    return Category(one.choice("default", CATEGORIES), one.text("column", None), made)
