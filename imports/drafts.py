"""What every reader of a source yields: whose it is, which records it makes, and what was found on the way."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from imports.standing import Standing
from people.demographics import NOTHING_SAID, Demographics
from people.placeholders import Placeholders

NOTHING = Standing()
SHARED_TYPES = frozenset(
    {"AN", "ANC", "AND", "ANT", "DL", "EN", "GI", "GN", "MB", "PPN", "SN", "SS", "VN"}
)
"""Types of identifiers (HL7 table 0203) that are of an account, a visit, a guarantor or a family, or are used wrongly
too often."""
_NUMBER, _SOURCE = "#MR|", "#in|"
"""What no identifier of a hospital begins with: reserving one from outside is refused."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Unit:
    """What is counted and known again: a resource, a row, a message, a file."""

    name: str
    """Its own name in the source: the same in every run, and no other's of the same patient."""
    position: str
    """Where it stands in its file, for people: `entry[3]`, `line 17`, `message 2`; empty for a file."""
    raw: bytes = b""
    """What of it goes into a record, UTF-8 or as it came; empty for a file, which is read when needed."""
    sha256: bytes = b""
    """Of `raw`, or of the file; by it a changed unit is told from one that is known."""
    labels: tuple[str, ...] = ()
    """Sensitivity labels by its codes and the marks of its source."""
    restricted: bool = False
    """Whether its source marks it as restricted."""
    standing: Standing = NOTHING
    """By which it is told whether it is newer than what is kept."""
    was: tuple[bytes, ...] = ()
    """Further hashes under which the same content may be kept: by an older program, in other formatting."""
    former: str = ""
    """What an older program called it; it counts for the same content only."""
    parts: tuple[str, ...] = ()
    """Names of the results in it, where they and not its own name are what is known again."""

    @staticmethod
    def of(
        name: str,
        position: str,
        raw: bytes,
        labels: Iterable[str] = (),
        *,
        restricted: bool = False,
        standing: Standing = NOTHING,
    ) -> "Unit":
        """A unit that is at hand as bytes."""
        found = tuple(sorted(set(labels)))
        return Unit(name, position, raw, sha256(raw).digest(), found, restricted, standing)


@dataclass(frozen=True, slots=True)
class RecordDraft:
    """One record to be."""

    category: str
    encounter: str | None
    """The source's own name of the encounter that ties records to an episode; None without one."""
    clinical_date: str | None
    """`YYYY-MM-DD`."""
    title: str
    """For people; at most 200 bytes of UTF-8."""
    media_type: str
    units: tuple[Unit, ...]
    compose: Callable[[Sequence[Unit]], Iterable[bytes]]
    """The content made of these units, all or some of them, in their order."""
    file_name: str = ""
    source: Path | None = None
    """The file that the units stand in, where a patient's draft comes from several."""
    merge: Callable[[bytes, Sequence[Unit]], bytes] | None = None
    """The content of a record with these units in the place of those that it held by their names; None where a
    part cannot be put into a whole."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who is registered when the hospital does not know the patient yet."""

    name: str
    """Empty when the source gives none."""
    birth_date: str | None
    """`YYYY-MM-DD`, the latest day it can be; None when nothing is known: registered as born today."""
    deceased: bool = False
    birth_doubt: str = ""
    """Why the birth date is not taken as it stands; told when the patient is registered."""
    death_doubt: str = ""
    """What stands for a date of death and is none."""
    written: tuple[str, str] = ("", "")
    """Both dates as the source has them."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the units of an import come from, as far as whose they are hangs on it."""

    source: str = ""
    """The name of the system whose own ids these are; empty where nobody said it."""
    placeholders: Placeholders = field(default_factory=Placeholders.default)
    today: date = field(default_factory=lambda: datetime.now(UTC).date())
    """The day of the import: nobody is born or has died later."""


@dataclass(frozen=True, slots=True)
class PatientDraft:
    """One patient of a source, with the records made of it."""

    names: tuple[str, ...]
    """Names that no other patient should bear: see `identifier_name`, `uuid_name` and `source_name`."""
    numbers: tuple[str, ...]
    """Numbers that others may bear too (see `record_number`): they count only when `said` confirms them."""
    person: Person | None
    """None in a source that registers nobody: then a patient who is not known is set aside."""
    records: tuple[RecordDraft, ...]
    encounters: int = 0
    unresolved: int = 0
    """How often the patient's own units refer to what is nowhere in the import."""
    also: tuple[str, ...] = ()
    """Names and numbers that the content gives beside those: if they are another patient's, it is set aside."""
    said: Demographics = NOTHING_SAID
    """What the units say of the patient: it must not contradict what is known of who bears the names."""
    bare: tuple[str, ...] = ()
    """A server's own id without its source, where there is no other name; counts like `numbers`."""
    former: tuple[str, ...] = ()
    """What older programs called the patient, if nothing above; looked for like `numbers`, never kept."""
    chosen: bool = False
    """A person named the patient for this import: then a number is taken that one patient alone bears."""


class Findings(Protocol):
    """Where a reader tells what it finds in the file that is read. Each unit found ends in exactly one place:
    a draft that the reader yields, `reference`, `duplicate` or `reject`.
    """

    def found(self, count: int = 1) -> None:
        """So many more units were found."""

    def reference(self, count: int = 1) -> None:
        """Units that are no patient's: organizations, payers, a manifest; kept where records refer to them."""

    def duplicate(self, position: str, name: str) -> None:
        """A unit that stands in the same file before, the same in every byte."""

    def reject(self, position: str, reason: str, original: bytes | None) -> None:
        """A unit set aside; `original` as it came, None for a file that is left where it is."""

    def correct(self, position: str, what: str, before: str, after: str) -> None:
        """A correction that was made; `what`: the path or column, and by which rule."""

    def doubt(self, position: str, what: str, value: str) -> None:
        """Something that was left as it is, since it may mean two things, or nothing."""


@dataclass
class Listed:
    """Findings kept in memory, for what is read in one piece."""

    units: int = 0
    references: int = 0
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    rejected: list[tuple[str, str, bytes | None]] = field(default_factory=list)
    corrections: list[tuple[str, str, str, str]] = field(default_factory=list)
    doubts: list[tuple[str, str, str]] = field(default_factory=list)

    def found(self, count: int = 1) -> None:
        """See `Findings`."""
        self.units += count

    def reference(self, count: int = 1) -> None:
        """See `Findings`."""
        self.references += count

    def duplicate(self, position: str, name: str) -> None:
        """See `Findings`."""
        self.duplicates.append((position, name))

    def reject(self, position: str, reason: str, original: bytes | None) -> None:
        """See `Findings`."""
        self.rejected.append((position, reason, original))

    def correct(self, position: str, what: str, before: str, after: str) -> None:
        """See `Findings`."""
        self.corrections.append((position, what, before, after))

    def doubt(self, position: str, what: str, value: str) -> None:
        """See `Findings`."""
        self.doubts.append((position, what, value))


def identifier_name(system: str, value: str) -> str:
    """The name `system|value`, which the system makes its own; the system empty if there is none."""
    return f"{system}|{value}"


def uuid_name(value: str) -> str | None:
    """The name of a patient by a UUID, which nobody else can bear; None for any other id."""
    if not _UUID.fullmatch(value) or Placeholders.default().has(value):
        return None
    return f"Patient/{value.lower()}"


def record_number(value: str) -> str:
    """The weak name of a patient by a number alone: it finds nobody once two patients bear it."""
    return f"{_NUMBER}{value}"


def source_name(source: str, own: str) -> str:
    """The name of a patient by what a source itself calls it (`Patient/4711`, a bare number).

    It counts within that source; with an empty `source` it is a server's id of nobody knows which server.
    """
    return f"{_SOURCE}{source}|{own}"


def plain_name(name: str) -> str:
    """A name for people, without the marks that tell its kind."""
    return name.removeprefix(_NUMBER).removeprefix(_SOURCE).removeprefix("|")


def encounter_name(name: str) -> str:
    """The name of an encounter as what ties records: the same in all sources that give its UUID; no unit has it."""
    *_, last = name.replace(":", "/").split("/")
    return f"episode {last.lower() if _UUID.fullmatch(last) else name}"


def names_of(text: str, source: str = "") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names and the numbers that a person may mean by `text`: `system|value`, a UUID or a bare number.

    In a `source` that is named, a bare number is a name of that source too.
    """
    if "|" in text:
        return (text,), ()
    uuid = uuid_name(text)
    if uuid:
        return (uuid,), ()
    return ((source_name(source, text),) if source else ()), (record_number(text),)
