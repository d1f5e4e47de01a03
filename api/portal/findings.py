"""What FHIR resources in records say, for trends and for what matters on one page. Whatever is in them is data, bounded and escaped."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from ledger.facts import Record
from people.clinical import MEASURES
from people.typed import Digits, at, parsed

RESOURCES = 500
"""Most resources of one record that are looked at."""
WORDS = 200
"""Longest text of a resource on these pages, in characters."""
_LARGEST = Decimal(10) ** 9
_OUT = frozenset({"cancelled", "entered-in-error"})
_OVER = frozenset({"cancelled", "completed", "ended", "inactive", "not-taken", "refuted", "remission", "resolved", "stopped"})  # fmt: skip
"""States of what isn't current any more."""
_SIGNS = frozenset(one.code for one in MEASURES.values())


@dataclass(frozen=True)
class Source:
    """The record that says it."""

    record: Record
    look: int
    """The entry of the reading by which it is shown."""

    @property
    def own(self) -> bool:
        """Whether the patient or the family wrote it: no hospital stands for it."""
        return not self.record.hospital


@dataclass(frozen=True)
class Value:
    """One measured value."""

    code: str
    """Its LOINC code, if it is a vital sign; else empty."""
    name: str
    shown: str
    """As it is written, with all of its digits."""
    number: Decimal
    unit: str
    low: Decimal | None
    high: Decimal | None
    date: str
    """As the resource says it, or else as the record does."""
    source: Source

    @property
    def key(self) -> tuple[str, str]:
        """What can be compared: the same measurement in the same unit."""
        return self.code or self.name.casefold(), self.unit

    @property
    def state(self) -> str:
        """`low`, `high` or `within` its own range; empty where there is none."""
        if self.low is not None and self.number < self.low:
            return "low"
        if self.high is not None and self.number > self.high:
            return "high"
        return "" if self.low is None and self.high is None else "within"

    @property
    def range(self) -> str:
        """The reference range in signs."""
        low, high = (f"{one:f}" if one is not None else "" for one in (self.low, self.high))
        return f"{low} – {high}" if low and high else f"≥ {low}" if low else f"≤ {high}" if high else ""  # fmt: skip


@dataclass(frozen=True)
class Statement:
    """A problem, an allergy, a medicine or a vaccination."""

    kind: str
    """`problem`, `allergy`, `medicine` or `vaccination`."""
    text: str
    codes: tuple[str, ...]
    """Of its state, in FHIR's codes."""
    more: str
    """In the author's words: a dosage, a reaction."""
    date: str
    source: Source

    @property
    def current(self) -> bool:
        """Whether it counts now, as far as it says."""
        return self.kind == "vaccination" or not _OVER.intersection(self.codes)


def resources(content: bytes) -> list[dict[str, Any]]:
    """The resources of a content, those of a bundle and contained ones too; none of what isn't FHIR."""
    found = list[dict[str, Any]]()
    waiting = deque([parsed(content)])
    while waiting and len(found) < RESOURCES:
        one = waiting.popleft()
        if not isinstance(one, dict) or not isinstance(one.get("resourceType"), str):
            continue
        found.append(one)
        waiting += _list(one, "contained")
        waiting += [at(entry, "resource") for entry in _list(one, "entry")]
    return found


def values(resource: dict[str, Any], source: Source) -> Iterator[Value]:
    """The measured values of an Observation, each of its components."""
    if resource["resourceType"] != "Observation" or _words(resource.get("status")) in _OUT:
        return
    date = next(
        (
            found
            for path in ("effectiveDateTime", "effectivePeriod.start", "issued")
            if (found := _words(at(resource, path)))
        ),
        source.record.clinical_date,
    )
    components = [one for one in _list(resource, "component") if isinstance(one, dict)]
    for one in [resource, *components]:
        quantity = one.get("valueQuantity")
        number = _number(at(quantity, "value"))
        name = _concept(one.get("code"))
        if number is None or not name:
            continue
        code = at(one, "code.coding.0.code")
        yield Value(
            code if isinstance(code, str) and code in _SIGNS else "",
            name,
            _words(at(quantity, "comparator")) + _words(at(quantity, "value")),
            number,
            _words(at(quantity, "unit") or at(quantity, "code")),
            _number(at(one, "referenceRange.0.low.value")),
            _number(at(one, "referenceRange.0.high.value")),
            date,
            source,
        )


_STATEMENTS = {
    "AllergyIntolerance": ("allergy", "code", "recordedDate", "reaction.0.manifestation.0"),
    "Condition": ("problem", "code", "onsetDateTime", "severity"),
    "Immunization": ("vaccination", "vaccineCode", "occurrenceDateTime", "protocolApplied.0.targetDisease.0"),
    "MedicationRequest": ("medicine", "medicationCodeableConcept", "authoredOn", "dosageInstruction.0"),
    "MedicationStatement": ("medicine", "medicationCodeableConcept", "dateAsserted", "dosage.0"),
}  # fmt: skip


def statements(resource: dict[str, Any], source: Source) -> Iterator[Statement]:
    """What a resource states, if it is one of those kinds and no slip."""
    if resource["resourceType"] not in _STATEMENTS:
        return
    kind, named, dated, more = _STATEMENTS[resource["resourceType"]]
    codes = [
        _words(at(resource, path))
        for path in ("clinicalStatus.coding.0.code", "status", "verificationStatus.coding.0.code", "criticality")
    ]  # fmt: skip
    text = _concept(resource.get(named)) or _words(at(resource, "medicationReference.display"))
    if text and not _OUT.intersection(codes):
        date = _words(resource.get(dated)) or source.record.clinical_date
        told = tuple(one for one in codes if one)
        yield Statement(kind, text, told, _concept(at(resource, more)), date, source)


def _list(value: dict[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    return found[:RESOURCES] if isinstance(found, list) else []


def _concept(value: Any) -> str:
    return next(
        (
            found
            for path in ("text", "coding.0.display", "coding.0.code")
            if (found := _words(at(value, path)))
        ),
        "",
    )


def _words(value: Any) -> str:
    """A text of theirs as one line."""
    if not isinstance(value, str):
        return ""
    return "".join(one for one in value if one.isprintable())[:WORDS].strip()


def _number(value: Any) -> Decimal | None:
    """A number that can be drawn. A text isn't one, whatever it looks like."""
    if not isinstance(value, Digits):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if abs(number) < _LARGEST and abs(number.adjusted()) < 12 else None
