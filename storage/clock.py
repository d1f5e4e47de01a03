"""The machine's clock, watched: no entry is made while it may be wrong.

One entry from the future would close the log until then, since times never go back. Four witnesses: the
time since boot while the process runs; the file `clock` beside the last checkpoint, for the time between
two processes; the last entry; the database's own clock where it runs elsewhere.
"""

import json
import time as clocks
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from durable.errors import StartRefused
from durable.files import replace_file
from ledger.times import DAY_MS, format_time
from storage.errors import Unavailable

CLOCK_JUMP_MS = 2_000
"""How far the clock may drift from the time since boot, in one process, before nothing more is appended."""
CLOCK_BEHIND_MS = 5_000
"""How far the clock may stand behind the last entry, or away from the database's clock."""
CLOCK_STEP_MS = 300_000
"""How far it may have been set otherwise between two processes of one boot; and between what the operator
says and what it shows."""
CLOCK_GAP_DAYS = 7
"""So many days after the last entry are plausible once the machine was started anew; then the operator is asked."""
CLOCK_KEPT_MS = 60_000
"""Least time between two writings of the file."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Boot(NamedTuple):
    """One run of the machine, and how long it has lasted (ms; suspended time counts)."""

    id: str
    uptime: int


def wall_clock() -> int:
    """Unix milliseconds of this machine."""
    return clocks.time_ns() // 1_000_000


def this_boot() -> Boot:
    """The machine's; where it doesn't tell (no Linux), each process is a boot of its own."""
    name = _boot_id()
    if not name:
        return Boot("", clocks.monotonic_ns() // 1_000_000)
    return Boot(name, clocks.clock_gettime_ns(clocks.CLOCK_BOOTTIME) // 1_000_000)


@cache
def _boot_id() -> str:
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""


class Kept(NamedTuple):
    """What the clocks showed when an entry was last acknowledged: Unix ms, and the boot."""

    wall: int
    boot: Boot


class ClockWatch:
    """Gives the time to append at, or says why there is none. For one process; the file is for all."""

    def __init__(
        self,
        path: Path,
        wall: Callable[[], int] = wall_clock,
        boot: Callable[[], Boot] | None = None,
    ) -> None:
        """`path`: the file `clock`; `wall`: Unix ms; `boot`: None for this machine's.

        A clock other than the machine's goes with a `boot` of its own: without one nothing is known of it
        beyond this process, and the file is neither asked nor written.
        """
        self.wall = wall
        self._path = path
        self._boot = boot or (this_boot if wall is wall_clock else None)
        self._offset = wall() - self._uptime()
        self._sure = self._boot is None
        """Whether it was found right once in this process; from then on its drift alone counts."""
        self._written_at = 0

    def time(self, size: int, last: int, there: int | None) -> int:
        """The time of an entry made now, in Unix ms, after a log of `size` entries, the last at `last`.

        `there`: the database's clock, None where it is this one. Raises Unavailable with the next step.
        """
        now = self.wall()
        reason = (
            self._drifted(now) or _astray(now, size, last, there) or self._unlikely(now, size, last)
        )
        if reason:
            raise Unavailable("clock", f"{reason} Nothing is appended until then.")
        self._sure = True
        return now

    def saw(self, now: int) -> None:
        """An entry was acknowledged at `now`: keep what the clocks show, if it is time to."""
        if self._boot is not None and abs(now - self._written_at) >= CLOCK_KEPT_MS:
            keep_clock(self._path, now, self._boot())
            self._written_at = now

    def _uptime(self) -> int:
        return self._boot().uptime if self._boot else clocks.monotonic_ns() // 1_000_000

    def _drifted(self, now: int) -> str:
        drift = now - self._uptime() - self._offset
        if abs(drift) <= CLOCK_JUMP_MS:
            return ""
        way = "forward" if drift > 0 else "back"
        return f"the clock jumped {way} by {_span(drift)} while this process ran. Set it right, then restart."

    def _unlikely(self, now: int, size: int, last: int) -> str:
        """Why the time since the last entry isn't one to believe, asked once a process."""
        if self._sure or self._boot is None:
            return ""
        kept, boot = read_clock(self._path), self._boot()
        say = (
            "If another clock agrees, say so: `heartwood accept-clock TIME`, with the time that it shows; "
            "else set this one right."
        )
        if kept is not None and kept.boot.id == boot.id != "":
            step = now - kept.wall - (boot.uptime - kept.boot.uptime)
            if abs(step) <= CLOCK_STEP_MS:
                return ""
            way = "forward" if step > 0 else "back"
            return (
                f"the clock, which shows {format_time(now)}, was set {way} by {_span(step)} since this "
                f"ledger was used last, while the machine ran. {say}"
            )
        gap = now - max(last, kept.wall if kept else 0)
        if not size or gap <= CLOCK_GAP_DAYS * DAY_MS:
            return ""
        return (
            f"the clock shows {format_time(now)}, {_span(gap)} after the last entry, and the machine was "
            f"started anew since then. {say}"
        )


def read_clock(path: Path) -> Kept | None:
    """What the file says; None where there is none. Raises Unavailable for one that can't be read."""
    try:
        found = json.loads(path.read_bytes())
        return Kept(int(found["wall"]), Boot(str(found["boot"]), int(found["uptime"])))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise Unavailable(
            "clock",
            f"{path}, which tells whether the clock is right, can't be read ({error}); nothing is appended. "
            "Compare the clock with another one, then `heartwood accept-clock TIME`",
        ) from error


def keep_clock(path: Path, now: int, boot: Boot) -> None:
    """Write the file."""
    kept = {"boot": boot.id, "uptime": boot.uptime, "wall": now}
    replace_file(path, json.dumps(kept).encode() + b"\n")


def accept_clock(path: Path, said: int, now: int, boot: Boot) -> None:
    """The operator says that it is `said` (Unix ms): from here on `now`, the clock's, is believed.

    Raises StartRefused where the two are more than `CLOCK_STEP_MS` apart.
    """
    if abs(said - now) > CLOCK_STEP_MS:
        raise StartRefused(
            f"got {_minute(said)}, and this machine's clock shows {_minute(now)}: they are "
            f"{_span(said - now)} apart, expected at most {_span(CLOCK_STEP_MS)}. Set the machine's clock right, "
            "then say the time again"
        )
    keep_clock(path, now, boot)


def _astray(now: int, size: int, last: int, there: int | None) -> str:
    """Why the last entry, or the database, tells that this clock is wrong."""
    if there is not None and abs(there - now) > CLOCK_BEHIND_MS:
        return (
            f"the clock shows {format_time(now)}, {_span(there - now)} away from the database's, which shows "
            f"{format_time(there)}. Set both right, by NTP say."
        )
    if size and last - now > CLOCK_BEHIND_MS:
        return (
            f"the clock shows {format_time(now)}, {_span(last - now)} behind the log's last entry of "
            f"{format_time(last)}. Set it right. If that entry was made while a clock was ahead, restore a "
            "backup from before it (docs/operations.md, A wrong clock)."
        )
    return ""


def _span(milliseconds: int) -> str:
    """A length of time for people; its sign is told otherwise."""
    seconds = abs(milliseconds) / 1000
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"


def _minute(milliseconds: int) -> str:
    """A time to the minute, as `accept-clock` takes it."""
    return f"{format_time(milliseconds)[:16]}Z"
