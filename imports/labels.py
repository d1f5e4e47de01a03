"""Which sensitivity labels a code brings: by a table that the hospital may edit."""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path

from journeys.errors import RecordsError
from ledger.codes import LABELS

COLUMNS = ("system", "code", "label", "comment")

SYSTEMS: Mapping[str, tuple[str, ...]] = {
    "SNOMED-CT": ("http://snomed.info/sct", "SCT", "SNM", "SNOMED CT", "SNOMED", "2.16.840.1.113883.6.96"),
    "ICD-10": ("http://hl7.org/fhir/sid/icd-10", "I10", "ICD10", "2.16.840.1.113883.6.3"),
    "ICD-10-CM": ("http://hl7.org/fhir/sid/icd-10-cm", "I10C", "ICD10CM", "2.16.840.1.113883.6.90"),
    "ICD-10-GM": ("http://fhir.de/CodeSystem/bfarm/icd-10-gm", "http://fhir.de/CodeSystem/dimdi/icd-10-gm",
                  "ICD10GM", "1.2.276.0.76.5.409"),
    "ICD-9-CM": ("http://hl7.org/fhir/sid/icd-9-cm", "I9", "I9C", "I9CDX", "I9M", "ICD9", "ICD9CM",
                 "2.16.840.1.113883.6.103"),
    "LOINC": ("http://loinc.org", "LN", "2.16.840.1.113883.6.1"),
    "RxNorm": ("http://www.nlm.nih.gov/research/umls/rxnorm", "RXN", "2.16.840.1.113883.6.88"),
    "CVX": ("http://hl7.org/fhir/sid/cvx", "2.16.840.1.113883.12.292"),
    "ATC": ("http://www.whocc.no/atc", "2.16.840.1.113883.6.73"),
}  # fmt: skip
"""Short names of code systems, with the URIs, OIDs and codes of HL7 table 0396 that mean the same."""

_SYSTEM = {alias.lower(): name for name, aliases in SYSTEMS.items() for alias in (name, *aliases)}
_OID = re.compile(r"urn:oid:", re.IGNORECASE)
_YEAR = re.compile(r"[-_ ]?(19|20)[0-9]{2}\Z", re.ASCII)
"""By which sources tell the edition of a code system (`icd10gm2020`)."""
_SNOMED_EDITION = "http://snomed.info/sct/"


@dataclass(frozen=True)
class Labels:
    """A table of codes and the labels that they bring.

    It lists what is sensitive: a code that it does not know, one of a system that it does not know and one
    that came without a system bring no label. So a hospital with codes of its own adds them, under a system
    of its own; the table that Heartwood brings is a start, of diagnoses and treatments and not of screenings,
    and the hospital answers for what it makes of it.
    """

    rows: Mapping[tuple[str, str], frozenset[str]]
    """Labels by system and code, both normal; a prefix ends with `*`."""

    @cached_property
    def _longest(self) -> int:
        """Of the codes and prefixes: no longer beginning of a code is looked for."""
        return max((len(code) for _, code in self.rows), default=0)

    @staticmethod
    def default() -> "Labels":
        """The table that comes with Heartwood: `labels.csv` beside this file."""
        return _default()

    @staticmethod
    def read(path: Path) -> "Labels":
        """A hospital's own table, UTF-8; RecordsError names file and line, what was got and expected."""
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise RecordsError(
                f"{path}: byte {error.start} is not UTF-8, as a table must be"
            ) from None
        except OSError as error:
            raise RecordsError(f"{path}: cannot be read: {error.strerror}") from None
        return Labels.parse(text, str(path))

    @staticmethod
    def parse(text: str, place: str) -> "Labels":
        """The table in `text`; `place` names it in errors."""
        rows: dict[tuple[str, str], set[str]] = {}
        lines = csv.reader(text.splitlines(keepends=True), strict=True)
        try:
            header = next(lines, [])
            if tuple(header[: len(COLUMNS)]) != COLUMNS:
                raise RecordsError(
                    f"{place}, line 1: got {','.join(header)[:80]!r}, expected {','.join(COLUMNS)}"
                )
            for row in lines:
                if row:
                    for key, label in _row(row, f"{place}, line {lines.line_num}"):
                        rows.setdefault(key, set()).add(label)
        except csv.Error as error:
            raise RecordsError(f"{place}, line {lines.line_num}: {error}") from None
        return Labels({key: frozenset(labels) for key, labels in rows.items()})

    def of(self, codes: Iterable[tuple[str, str]]) -> tuple[str, ...]:
        """The labels of these codes, each (system, code), in the order of the alphabet, none twice."""
        found: set[str] = set()
        for system, code in codes:
            key = system_name(system), _normal(system_name(system), code)
            found |= self.rows.get(key, frozenset())
            for end in range(1, min(len(key[1]), self._longest) + 1):
                found |= self.rows.get((key[0], key[1][:end] + "*"), frozenset())
        return tuple(sorted(found))


def system_name(system: str) -> str:
    """The short name of a code system, whichever of its names it goes by; one not known in lower case.

    Its version or edition doesn't matter, in whichever way it is said: `…/icd-10|2019`, `…/sct/900000000000207008`,
    `icd10gm2020`; nor does `https`.
    """
    bare = _OID.sub("", system.strip()).lower()
    if bare in _SYSTEM:
        return _SYSTEM[bare]
    plain = bare.partition("|")[0].strip().rstrip("/").replace("https://", "http://", 1)
    if plain.startswith(_SNOMED_EDITION):
        return "SNOMED-CT"
    return _SYSTEM.get(plain) or _SYSTEM.get(_YEAR.sub("", plain), bare)


@cache
def _default() -> Labels:
    text = files("imports").joinpath("labels.csv").read_text("utf-8")
    return Labels.parse(text, "labels.csv")


def _row(row: list[str], place: str) -> Iterable[tuple[tuple[str, str], str]]:
    if len(row) != len(COLUMNS):
        raise RecordsError(f"{place}: got {len(row)} fields, expected {','.join(COLUMNS)}")
    systems, code, label = row[0].split(" "), row[1].strip(), row[2].strip()
    if not row[0].strip() or not code.removesuffix("*"):
        raise RecordsError(f"{place}: got {','.join(row)[:80]!r}, expected a system and a code")
    if "*" in code[:-1]:
        raise RecordsError(f"{place}: got the code {code!r}, expected `*` only at its end")
    if label not in LABELS:
        raise RecordsError(f"{place}: got the label {label!r}, expected {', '.join(LABELS)}")
    for system in filter(None, systems):
        name = system_name(system)
        yield (name, _normal(name, code)), label


def _normal(system: str, code: str) -> str:
    """A code as it is compared: upper case, and of ICD without its dot, which many sources leave out."""
    bare = code.strip().upper()
    return bare.replace(".", "") if system.startswith("ICD-") else bare
