"""A generated year: hospitals, doctors and patients, and what they did in it, appended by a clock that runs through the year.

Everything goes through the journeys and the gate like anything else; only the clock is another. What the same seed gives
again are the acts; ids, keys and ciphertexts are new each time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from api.app.creating import create_ledger
from api.app.opening import open_ledger
from api.app.settings import Settings
from demo.year.calendar import Calendar, YearClock
from demo.year.frauds import Planted, lie, plant
from demo.year.visits import Visits
from demo.year.world import populate
from ledger.times import DAY_MS
from storage.clock import wall_clock
from storage.exports import write_export

ORIGIN = "heartwood.example/year"
DAYS = 365
LEFT_MS = 60_000
"""The year ends so long before now: nothing of it lies in the future on a machine whose clock is a little behind."""

Progress = Callable[[int, int], None]
"""Takes the acts so far, and how many there will be."""


@dataclass(frozen=True)
class Order:
    """What to generate."""

    seed: int
    patients: int
    """At least 250: the frauds want strangers."""
    acts: int
    """So many entries after those that found hospitals, people and first records, at least."""
    frauds: bool
    """Whether to plant what an audit has to find."""


@dataclass(frozen=True)
class Year:
    """What was made."""

    entries: int
    """Of the log."""
    acts: int
    hospitals: int
    doctors: int
    patients: int
    records: int
    refused: int
    """Readings that the rules denied, as they were meant to be."""
    planted: tuple[Planted, ...]
    export: Path


def make(data: Path, order: Order, progress: Progress, days: int = DAYS) -> Year:
    """Make a ledger in `data` (new or empty) with a year in it, and an export of it in `data`/export; raises StartRefused.

    The clock of the log begins `days` before now and ends now.
    """
    settings = Settings(data=data, database_url="", blobs="", root=None)
    end = wall_clock() - LEFT_MS
    clock = YearClock(end - days * DAY_MS)
    created = create_ledger(settings, ORIGIN, clock)
    ledger = open_ledger(settings, clock, boot=clock.boot)
    try:
        world = populate(ledger, created.operator, order.seed, order.patients)
        calendar = Calendar(clock, end)
        visits = Visits(world, calendar, order.acts, progress)
        planted = plant(world, calendar) if order.frauds else []
        visits.plan()
        calendar.run()
        clock.now = end
    finally:
        ledger.close()
    if order.frauds:
        planted += lie(settings, clock, world)
    ledger = open_ledger(settings, clock, boot=clock.boot)
    try:
        export, size = data / "export", ledger.head().size
        write_export(ledger, export)
    finally:
        ledger.close()
    doctors = sum(len(house.doctors) for house in world.houses)
    records = sum(len(chart.records) for chart in world.charts)
    planted.sort(key=lambda one: one.seq)
    return Year(size, size - world.founded, len(world.houses), doctors, len(world.charts), records, world.denied,
                tuple(planted), export)  # fmt: skip
