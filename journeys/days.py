"""Days as people count them: a hospital's days are those of its time zone."""

from datetime import UTC, date, datetime, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from ledger.errors import Refused
from ledger.event import Event
from ledger.times import format_time

TEEN_YEARS = 12
"""At what age patients begin to act in their own chart: `teen_from` is that birthday."""
UTC_NAMES = frozenset({"Etc/UTC", "UTC"})
"""Known even where the machine has no time zone database."""


@cache
def zone_names() -> frozenset[str]:
    """The time zones that there are, by their IANA names, as far as this machine knows them."""
    return frozenset(available_timezones()) | UTC_NAMES


def check_zone(name: str) -> None:
    """Raises Refused for a time zone that doesn't exist: in the log it would stand for ever."""
    if name not in zone_names():
        raise Refused(
            "malformed",
            f"got the time zone {name[:40]!r}, expected one of the IANA database, such as Europe/Berlin",
        )


def check_event_zone(event: Event) -> None:
    """Raises Refused for an event that names a time zone that doesn't exist."""
    if event.type.name in ("hospital.applied", "hospital.approved"):
        check_zone(event.body["time_zone"])


def zone(name: str) -> tzinfo:
    """A time zone; UTC for one that an older log names and nobody knows."""
    return UTC if name in UTC_NAMES or name not in zone_names() else ZoneInfo(name)


def day_in(zone_name: str, now: int) -> date:
    """The day it is at `now` (Unix ms) in a time zone."""
    return datetime.fromtimestamp(now / 1000, zone(zone_name)).date()


def today(now: int) -> date:
    """The day of the instant `now` (Unix ms) in UTC, by which ages are counted."""
    return date.fromisoformat(format_time(now)[:10])


def birthday(birth: date, years: int) -> date:
    """The birthday after `years`; 29 February counts as 1 March in years that have none."""
    try:
        return birth.replace(year=birth.year + years)
    except ValueError:
        return date(birth.year + years, 3, 1)


def acts_at_all(birth: date, now: int) -> bool:
    """Whether who was born then is at `now` (Unix ms) old enough to act in their own chart, of age or not yet."""
    return birthday(birth, TEEN_YEARS) <= today(now)


def minute_in(zone_name: str, when: int) -> str:
    """An instant (Unix ms) for people: to the minute, in a time zone, which is named."""
    known = zone_name if zone_name in zone_names() and zone_name not in UTC_NAMES else "UTC"
    return f"{datetime.fromtimestamp(when / 1000, zone(zone_name)):%Y-%m-%d %H:%M} ({known})"
