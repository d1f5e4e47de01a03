"""Times as the formats write them: UTC with milliseconds, `2026-11-20T07:24:00.123Z`."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from ledger.errors import EventError

TIME_PATTERN = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z"
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
_LAST_YEAR = 9999
"""The last that a calendar of ours has."""
_DAYS = ("clinical_date", "date_from", "date_to")
"""Members of bodies that are dates."""

_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_TIME = re.compile(TIME_PATTERN).fullmatch


@lru_cache(maxsize=4096)
def parse_time(text: str) -> int:
    """Unix milliseconds of a time; raises EventError if it is none."""
    try:
        if not _TIME(text):
            raise ValueError
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise EventError(
            f"got the time {text[:40]!r}, expected as 2026-11-20T07:24:00.123Z"
        ) from error
    return int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000


def check_days(body: Mapping[str, Any]) -> None:
    """Raises EventError for a date in an event's body that no calendar has, as 31 February.

    For new events alone: the registry's pattern takes such a date, and older entries may hold one.
    """
    for name in _DAYS:
        if name in body and not _is_day(body[name]):
            raise EventError(f"got the {name} {body[name]}, expected a day of the calendar")
    if "what" in body:
        check_days(body["what"])
    if "exceptions" in body:
        for inner in body["exceptions"]:
            check_days(inner)


@lru_cache(maxsize=4096)
def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def end_of_years(start: str | int, years: int) -> int:
    """Unix ms of 00:00Z on the day `years` after a date (YYYY-MM-DD) or an instant (Unix ms).

    29 February counts as 1 March in years that have none. A day that no calendar has, which an old entry may hold, counts
    as the next one that there is; a text that is no date has no end before the last year.
    """
    text = format_time(start)[:10] if isinstance(start, int) else start
    if not _DATE(text):
        return int(datetime(_LAST_YEAR, 1, 1, tzinfo=UTC).timestamp()) * 1000
    year, month, day = int(text[:4]) + years, int(text[5:7]), int(text[8:10])
    while month <= 12 and year < _LAST_YEAR:
        try:
            return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1000
        except ValueError:
            month, day = month + 1, 1
    return int(datetime(min(year + 1, _LAST_YEAR), 1, 1, tzinfo=UTC).timestamp()) * 1000


@lru_cache(maxsize=4096)
def format_time(milliseconds: int) -> str:
    """The text of Unix `milliseconds`."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{rest:03d}Z"
