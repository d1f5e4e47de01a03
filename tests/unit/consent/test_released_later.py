"""Releases for readings that no export has yet, and those that say a time that was not yet."""

import pytest

from consent.released import Compared, Comparison
from ledger.release_log import ReleaseLog
from ledger.releases import Release, key_given
from ledger.remarks import FUTURE_MS
from ledger.times import DAY_MS

NOW = 1_790_000_000_000
FAR = 1 << 40
"""A number that no entry has for long."""


def compared(time: int) -> Compared:
    """What the audit of an export at NOW says of a release for a reading that isn't in it, given at `time`."""
    comparison = Comparison()
    comparison.release(Release(0, bytes(32), time, key_given("rc_x", 1, "bl_x"), FAR, "ev_x"))
    return comparison.finish(ReleaseLog("heartwood.example/log/releases", 1, True), NOW)


@pytest.mark.parametrize("time", [NOW - DAY_MS, NOW, NOW + FUTURE_MS])
def test_what_a_later_export_has(time: int) -> None:
    found = compared(time)
    assert (found.beyond, found.wrong) == (1, ())


@pytest.mark.parametrize("time", [NOW + FUTURE_MS + 1, NOW + 3_650 * DAY_MS])
def test_what_was_given_tomorrow(time: int) -> None:
    """It would be after every export's last entry for ever: a release is never dated ahead."""
    (wrong,) = compared(time).wrong
    assert wrong.reading == FAR and "lies in the future" in wrong.what
