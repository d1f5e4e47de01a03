"""Days at a hospital, and births that lie in the future there or not."""

from datetime import date
from typing import Any, cast

import pytest

from client.port import LedgerClient
from client.registering import ages
from journeys.days import birthday, day_in, minute_in, zone_names
from journeys.errors import RecordsError
from ledger.policies import DEFAULT_POLICY, Policy
from ledger.times import parse_time

NOON = parse_time("2026-03-01T12:00:00.000Z")


class Quiet:
    """Of a client, the clock and the policy."""

    def now(self) -> int:
        return NOON

    def policy(self) -> Policy:
        return Policy.of(dict(DEFAULT_POLICY), 0)


CLIENT = cast(LedgerClient, Quiet())


def born(birth: str, zone: str) -> dict[str, Any]:
    return ages(CLIENT, date.fromisoformat(birth), day_in(zone, NOON))


@pytest.mark.parametrize(
    ("zone", "day"),
    [("Pacific/Kiritimati", "2026-03-02"), ("Pacific/Auckland", "2026-03-02"), ("Etc/UTC", "2026-03-01"),
     ("Pacific/Honolulu", "2026-03-01"), ("Etc/GMT+12", "2026-03-01"), ("Nowhere/Land", "2026-03-01")],
)  # fmt: skip
def test_the_day_is_the_hospitals(zone: str, day: str) -> None:
    assert str(day_in(zone, NOON)) == day
    assert born(day, zone)["teen_from"] == f"2038{day[4:]}T00:00:00.000Z"
    with pytest.raises(RecordsError, match="future"):
        born(str(date.fromordinal(date.fromisoformat(day).toordinal() + 1)), zone)


def test_rights_of_age_come_at_midnight_utc_wherever_the_hospital_is() -> None:
    assert "adult_from" in born("2008-03-02", "Pacific/Kiritimati")
    assert born("2008-03-01", "Etc/GMT+12") == {"adult": True}


def test_an_instant_names_its_zone() -> None:
    assert minute_in("Europe/Berlin", NOON) == "2026-03-01 13:00 (Europe/Berlin)"
    assert minute_in("Nowhere/Land", NOON) == "2026-03-01 12:00 (UTC)"
    assert "Etc/UTC" in zone_names() and "Nowhere/Land" not in zone_names()


def test_who_was_born_on_a_leap_day_has_birthdays() -> None:
    """On 29 February in years that have it, else on 1 March: rights begin that day, and none later."""
    born = date(2024, 2, 29)
    found = [birthday(born, years).isoformat() for years in (12, 16, 18, 19)]
    assert found == ["2036-02-29", "2040-02-29", "2042-03-01", "2043-03-01"]
