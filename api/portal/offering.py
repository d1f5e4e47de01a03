"""What a chart offers from its list alone: forms to be typed by each role, and pages that open many records at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.portal import terms
from api.portal.rendering import TEXT_BYTES
from ledger.facts import Record

WRITES: dict[str, tuple[str, ...]] = {
    "doctor": tuple(terms.FORMS), "patient": ("vitals",), "relative": ("vitals",),
}  # fmt: skip
"""Which forms each role is offered: patients and relatives write what they measured themselves."""
OPENED = 30
"""Most records that one page opens, the newest first."""
FHIR = "application/fhir+json"
TRENDS = ("laboratory", "encounter")
"""Categories whose values are drawn over time; the second has vital signs."""
MATTERS = {"condition": 10, "medication": 10, "laboratory": 6, "encounter": 4}
"""Categories of the page of what matters, and how many of each it opens: together no more than OPENED."""


def readable(records: Sequence[Record], category: str) -> list[str]:
    """The records of a list, newest first, that such a page can show, up to OPENED."""
    return [
        one.record
        for one in records
        if one.category == category
        and one.state == "live"
        and one.versions[-1].media_type.partition(";")[0].strip().lower() == FHIR
        and one.versions[-1].size <= TEXT_BYTES
    ][:OPENED]


@dataclass(frozen=True)
class Offer:
    """A page of many that a chart offers: the records that it would open, and how many more there are."""

    what: str
    records: tuple[str, ...]
    more: int


def offers(records: Sequence[Record]) -> list[Offer]:
    """What can be opened of a list, newest first: what matters, where it is more than one category, and trends."""
    out = list[Offer]()
    by_category = [readable(records, name)[:most] for name, most in MATTERS.items()]
    if sum(map(bool, by_category)) > 1:
        out.append(Offer("overview", tuple(one for some in by_category for one in some), 0))
    for name in TRENDS:
        if found := readable(records, name):
            every = sum(one.category == name and one.state == "live" for one in records)
            out.append(Offer(name, tuple(found), every - len(found)))
    return out
