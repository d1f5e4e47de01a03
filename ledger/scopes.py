"""Scopes: which records criteria mean, and whether one scope lies in another. Pure."""

from typing import Any

from ledger.facts import Provision, Record

_LISTS = ("authors", "categories", "episodes")
"""The criteria that are lists, of which a record meets one member."""


def meets(what: Provision, record: Record) -> bool:
    """Whether a record meets every criterion.

    What isn't known to lie outside a denial lies in it: a record without a clinical date meets a denying
    range, and no permitting one.
    """
    return (
        (not what.authors or not {record.author, record.hospital}.isdisjoint(what.authors))
        and (not what.categories or record.category in what.categories)
        and (not what.episodes or record.episode in what.episodes)
        and (not what.labels or not set(record.labels).isdisjoint(what.labels))
        and (not what.records or record.record in what.records)
        and dated(what, record.clinical_date)
    )


def dated(what: Provision, date: str) -> bool:
    """Whether a clinical date (empty: none) meets the range of these criteria, both ends included."""
    if not (what.date_from or what.date_to):
        return True
    if not date:
        return not what.permits
    return what.date_from <= date and (not what.date_to or date <= what.date_to)


def lies_within(given: dict[str, Any], asked: Provision) -> bool:
    """Whether the criteria of a grant's body (`what`) mean no record that the permitting `asked` doesn't mean.

    Told by the criteria alone: each that was asked for is there again, and no wider.
    """
    for name in _LISTS:
        wanted = set(getattr(asked, name))
        if wanted and not (set(given.get(name, ())) and set(given[name]) <= wanted):
            return False
    if asked.date_from and not given.get("date_from", "") >= asked.date_from:
        return False
    return not asked.date_to or "" < given.get("date_to", "") <= asked.date_to
