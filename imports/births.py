"""What a date of birth or of death in a source means: read, read in part, or not at all. Pure.

A birth date that is not known whole gives the latest day it can be, and one that cannot be read the day of
the import: the rights of age then begin too late rather than too early.
"""

import re
from calendar import monthrange
from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

from imports.cleaning import COMPACT_YEARS, Corrected, Doubt, clean_date

OLDEST_YEARS = 125
"""Nobody alive is older: 1900-01-01, 1899-12-30 and 0001-01-01 are what programs write for no date."""
AHEAD = timedelta(days=1)
"""How far a hospital's day may be ahead of UTC's: a child born this morning in Auckland is born."""
NOTHING = frozenset({"", "null", '""', "\\n", "none", "nan", "nat", "na", "n/a", "nil"})
"""What databases write for no value: these say nothing, not even a doubt."""
SEVERAL = "more than one birth date is given, of which the latest counts"
_AMBIGUOUS = re.compile(r"\s*([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})\s*", re.ASCII)
_COMPACT_PART = re.compile(r"([0-9]{4})([0-9]{2})?", re.ASCII)


class Birth(NamedTuple):
    """A birth date as it is understood."""

    known: str
    """`YYYY`, `YYYY-MM` or `YYYY-MM-DD`; empty when it is not read, or absent."""
    latest: date | None
    """The latest day it can be; None when nothing is known."""
    doubt: str
    """Why it is not taken as it stands; empty when it is whole."""


def birth_of(text: str, today: date, *, dead: bool = False) -> Birth:
    """The birth date in `text`, in any notation that `clean_date` knows; `today`: nobody is born later."""
    if text.strip().lower() in NOTHING:
        return Birth("", None, "no birth date is given")
    if ambiguous := _AMBIGUOUS.fullmatch(text):
        return _either(int(ambiguous[1]), int(ambiguous[2]), int(ambiguous[3]), text, today, dead)
    known = _partial(text)
    if not known:
        return Birth("", None, f"the birth date {text[:40]!r} cannot be read")
    latest = _last_day(known)
    problem = _impossible(known, latest, today, dead)
    if problem:
        return Birth("", None, problem)
    whole = len(known) == len("2020-01-31")
    doubt = "" if whole else f"the birth date {text[:40]!r} is not a full day"
    return Birth(known, min(latest, today), doubt)


def latest_of(births: Iterable[Birth]) -> Birth:
    """The birth date of somebody of whom several are given: the latest of those that are whole, else of all.

    Two that are whole and differ (day and month exchanged) are a doubt.
    """
    found = list(births)
    whole = [one for one in found if not one.doubt]
    latest = max(whole or found, key=lambda one: one.latest or date.min)
    if len({one.known for one in whole}) > 1:
        return latest._replace(doubt=SEVERAL)
    return latest


def death_of(text: str, today: date, born: str = "") -> tuple[bool, str]:
    """Whether `text` is a date of death, whole or partial; and why not, if it says something else.

    Only a date that reads, has come, and is not what programs write for none means death: no day before the
    birth (`born`, as the source writes it), and none of so long ago that nobody treated today died on it, unless
    a life before it is told.
    """
    if text.strip().lower() in NOTHING:
        return False, ""
    known = _partial(text)
    if not known or _first_day(known) > today:
        return False, f"the date of death {text[:40]!r} is not a date that reads and has come"
    last, birth = _last_day(known), _partial(born)
    old = today.year - last.year > OLDEST_YEARS
    if old and not (
        birth and _last_day(birth) < _first_day(known)
    ):  # of an archive it tells the life
        return False, f"the date of death {text[:40]!r} is more than {OLDEST_YEARS} years ago"
    if birth and last < _first_day(birth):
        return False, f"the date of death {text[:40]!r} is before the birth"
    return True, ""


def _partial(text: str) -> str:
    """The date part of what reads, as `Birth.known`; empty otherwise."""
    found = _COMPACT_PART.fullmatch(text.strip())
    if found and int(found[1]) in COMPACT_YEARS:
        text = "-".join(filter(None, found.groups()))
    made = clean_date(text)
    if isinstance(made, Doubt):
        return ""
    return (made.value if isinstance(made, Corrected) else text.strip())[:10]


def _either(first: int, second: int, year: int, text: str, today: date, dead: bool) -> Birth:
    """Month and day in an order that is not told: the later of the days that it can be."""
    days = []
    for month, day in ((first, second), (second, first)):
        try:
            days.append(date(year, month, day))
        except ValueError:
            continue
    if not days:
        return Birth("", None, f"the birth date {text[:40]!r} cannot be read")
    latest = max(days)
    known = latest.isoformat() if len(set(days)) == 1 else f"{latest:%Y}"
    if problem := _impossible(known, latest, today, dead):
        return Birth("", None, problem)
    doubt = "" if len(set(days)) == 1 else f"the birth date {text[:40]!r} may mean two days"
    return Birth(known, min(latest, today), doubt)


def _impossible(known: str, latest: date, today: date, dead: bool) -> str:
    if _first_day(known) > today + AHEAD:
        return f"the birth date {known} lies in the future"
    if not dead and today.year - latest.year > OLDEST_YEARS:
        return f"the birth date {known} is more than {OLDEST_YEARS} years ago"
    return ""


def _first_day(known: str) -> date:
    year, month, day = (int(part) for part in f"{known}-01-01".split("-")[:3])
    return date(year, month, day)


def _last_day(known: str) -> date:
    year, *rest = (int(part) for part in known.split("-"))
    month = rest[0] if rest else 12
    return date(year, month, rest[1] if len(rest) > 1 else monthrange(year, month)[1])
