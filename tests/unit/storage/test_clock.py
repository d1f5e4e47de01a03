"""The clock's watch: what it takes, what it refuses, and what it tells, by clocks of the test's own."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from durable.errors import StartRefused
from ledger.times import DAY_MS
from storage.clock import (
    CLOCK_BEHIND_MS,
    CLOCK_GAP_DAYS,
    CLOCK_JUMP_MS,
    CLOCK_KEPT_MS,
    CLOCK_STEP_MS,
    Boot,
    ClockWatch,
    accept_clock,
    read_clock,
    this_boot,
    wall_clock,
)
from storage.errors import Unavailable

NOW = 1_795_000_000_000
SIZE = 10
FAR = (400 * DAY_MS, 3 * DAY_MS, CLOCK_STEP_MS + 1, -CLOCK_STEP_MS - 1, -400 * DAY_MS)
"""How far a clock is set otherwise."""


@dataclass
class Machine:
    """Clocks that a test moves, a ledger's folder, and the last entry's time."""

    path: Path
    wall: int = NOW
    boot: Boot = field(default_factory=lambda: Boot("one", 50_000))
    last: int = NOW

    def start(self) -> ClockWatch:
        """The watch of a new process."""
        return ClockWatch(self.path, lambda: self.wall, lambda: self.boot)

    def passes(self, milliseconds: int) -> None:
        """Time goes by, truly."""
        self.wall += milliseconds
        self.boot = self.boot._replace(uptime=self.boot.uptime + milliseconds)

    def reboots(self, milliseconds: int) -> None:
        """Off for a while."""
        self.wall += milliseconds
        self.boot = Boot(self.boot.id + "'", 9_000)

    def appends(self, watch: ClockWatch) -> None:
        """An entry is made and acknowledged."""
        self.last = watch.time(SIZE, self.last, None)
        watch.saw(self.last)

    def refuses(self, watch: ClockWatch, said: str) -> None:
        """No entry is made, for the reason `said`, and the next step is told."""
        before = self.path.read_bytes() if self.path.exists() else None
        with pytest.raises(Unavailable, match=said) as caught:
            watch.time(SIZE, self.last, None)
        assert caught.value.code == "clock" and "ight" in str(caught.value)
        assert (self.path.read_bytes() if self.path.exists() else None) == before


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A ledger that was used once in this boot."""
    made = Machine(tmp_path / "clock")
    made.appends(made.start())
    return made


@pytest.mark.parametrize("step", FAR)
def test_set_otherwise_between_two_processes(machine: Machine, step: int) -> None:
    """In one boot the wall's clock and the time since boot go together."""
    machine.passes(3_600_000)
    machine.wall += step
    machine.last = min(machine.last, machine.wall)
    machine.refuses(machine.start(), "was set (forward|back) by .* since this ledger was used last")
    machine.wall -= step
    machine.appends(machine.start())


@pytest.mark.parametrize("step", [CLOCK_STEP_MS, -CLOCK_STEP_MS])
def test_a_small_correction_is_taken(machine: Machine, step: int) -> None:
    """As after a process told that the clock had jumped."""
    machine.passes(2 * CLOCK_STEP_MS)
    machine.wall += step
    machine.appends(machine.start())


@pytest.mark.parametrize("days", [0, 1, CLOCK_GAP_DAYS, 100, 4_000])
def test_any_time_in_one_boot(machine: Machine, days: int) -> None:
    """A machine that ran may have had nothing to append for years."""
    machine.passes(days * DAY_MS)
    machine.appends(machine.start())


def test_a_gap_over_a_reboot(machine: Machine) -> None:
    """Plausible up to some days; beyond them the operator is asked, once."""
    machine.reboots(CLOCK_GAP_DAYS * DAY_MS)
    machine.appends(machine.start())
    machine.reboots(CLOCK_GAP_DAYS * DAY_MS + 1)
    watch = machine.start()
    machine.refuses(
        watch, "7 days after the last entry, and the machine was started anew .*accept-clock TIME"
    )
    accept_clock(machine.path, machine.wall + CLOCK_STEP_MS, machine.wall, machine.boot)
    machine.appends(watch)  # the process that refused goes on by itself
    machine.passes(DAY_MS)
    machine.appends(machine.start())


def test_without_the_file_the_last_entry_counts(machine: Machine) -> None:
    """As after a restored backup, an upgrade, or on another machine."""
    machine.path.unlink()
    machine.wall = machine.last + CLOCK_GAP_DAYS * DAY_MS + 1
    machine.refuses(machine.start(), "after the last entry")
    machine.wall -= 1
    machine.appends(machine.start())
    assert read_clock(machine.path) == (machine.wall, machine.boot)


def test_the_first_entry_of_all(tmp_path: Path) -> None:
    assert Machine(tmp_path / "clock").start().time(0, 0, None) == NOW


@pytest.mark.parametrize("step", FAR)
def test_the_operator_says_what_another_clock_shows(machine: Machine, step: int) -> None:
    """Not what this one shows: a time that differs is refused, and nothing is believed."""
    before = machine.path.read_bytes()
    with pytest.raises(
        StartRefused, match=r"they are .* apart, expected at most 5 minutes. Set .* right"
    ):
        accept_clock(machine.path, machine.wall - step, machine.wall, machine.boot)
    assert machine.path.read_bytes() == before


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"wall": "x", "boot": "one", "uptime": 1}', b"\xff"]
)
def test_a_damaged_file_is_no_proof(machine: Machine, data: bytes) -> None:
    """Nothing is appended until the operator has looked."""
    machine.path.write_bytes(data)
    machine.refuses(machine.start(), "can't be read .*accept-clock TIME")
    accept_clock(machine.path, machine.wall, machine.wall, machine.boot)
    machine.appends(machine.start())


@pytest.mark.parametrize("way", [1, -1])
def test_in_one_process(machine: Machine, way: int) -> None:
    """However long it sleeps, the two clocks go together; a jump is met, whatever the file says."""
    watch = machine.start()
    machine.passes(30 * DAY_MS)
    machine.appends(watch)
    machine.wall += way * (CLOCK_JUMP_MS + 1)
    accept_clock(machine.path, machine.wall, machine.wall, machine.boot)
    machine.refuses(watch, "jumped (forward|back) by 2.0 s while this process ran.*restart")


def test_the_log_and_the_database_are_asked(machine: Machine) -> None:
    watch = machine.start()
    machine.last += CLOCK_BEHIND_MS + 1
    machine.refuses(watch, "behind the log's last entry.*restore a backup from before it")
    machine.last = machine.wall
    for away in (CLOCK_BEHIND_MS + 1, -CLOCK_BEHIND_MS - 1):
        with pytest.raises(Unavailable, match="away from the database's"):
            watch.time(SIZE, machine.last, machine.wall + away)


def test_the_file_is_written_seldom(machine: Machine) -> None:
    watch = machine.start()
    machine.appends(watch)
    kept = read_clock(machine.path)
    machine.passes(CLOCK_KEPT_MS - 1)
    machine.appends(watch)
    assert read_clock(machine.path) == kept
    machine.passes(1)
    machine.appends(watch)
    assert read_clock(machine.path) == (machine.wall, machine.boot) != kept


def test_a_clock_of_nobody_knows_where(tmp_path: Path) -> None:
    """Without a boot of its own nothing but its drift is known, and nothing is kept of it."""
    watch = ClockWatch(tmp_path / "clock", lambda: wall_clock() + 400 * DAY_MS)
    watch.saw(watch.time(SIZE, NOW, None))
    assert not (tmp_path / "clock").exists()


def test_this_machine(tmp_path: Path) -> None:
    one, other = this_boot(), this_boot()
    assert one.id == other.id and 0 <= other.uptime - one.uptime < 60_000
    watch = ClockWatch(tmp_path / "clock")
    watch.saw(watch.time(0, 0, None))
    assert ClockWatch(tmp_path / "clock").time(SIZE, wall_clock(), None)
