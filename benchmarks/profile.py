"""Where the microseconds go: append, reading and verify by their steps, beside the primitives of the same run.

Functions are timed from outside, each without those inside it, with one caller and nothing side by side, so
that the parts add up to the whole. Then the same is run again unwatched: that is the whole.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

from benchmarks.append import append_bundles, append_signed
from benchmarks.clinic import Clinic
from benchmarks.fixture import BenchFixture
from benchmarks.measure import workplace
from benchmarks.page import Part, markdown, number
from benchmarks.places import (  # fmt: skip
    APPEND,
    BATCH_OF_READING,
    BEGIN,
    COMMIT,
    FOLDS,
    GATE,
    READING,
    VERIFY,
    in_order,
)
from benchmarks.primitives import Costs, of_append, of_reading, of_verify
from benchmarks.stopwatch import Place, Stopwatch, cost
from ledger import sequencer
from ledger.auditor import verify_export
from ledger.files import read_vkeys
from ledger.sequencer import Rules
from records.opening import give_record, settled
from storage.exports import write_export
from storage.log import Log
from storage.sql.database import Database

EVENTS, QUICK_EVENTS = 10_000, 1_000
READINGS, QUICK_READINGS = 1_000, 100
TOGETHER = 100
"""Readings in one batch."""
PATIENTS = 2_000
FEW_PATIENTS = 100
"""Where nearly all entries are to be uploads."""
CHARTS = 100
BATCH = 500
ROUNDS = 3
"""Of each; the best one counts."""
Row = tuple[str, float, float, float]
"""A function's row: µs, of these computing, and calls, each per event."""


class Profile:
    """One profiled activity: what is timed, per how many units, and what came of it."""

    def __init__(self, name: str, unit: str, places: Sequence[Place], log: Log | None = None) -> None:  # fmt: skip
        """`unit` is what the µs are per; `log`: whose gate, folds and transactions are timed, too."""
        self.name, self.unit, self.places, self.log = name, unit, places, log
        self.whole = self.watched = float("inf")
        self.cost = min(cost() for _ in range(ROUNDS))
        """ns on the clock and computing, of timing a call."""
        self.rows: list[Row] = []
        self.costs: Costs = []

    def run(self, act: Callable[[], float], units: int) -> None:
        """Run `act`, which gives its seconds, ROUNDS times watched and unwatched; the best of each counts."""
        for _ in range(ROUNDS):
            gc.collect()
            watch = Stopwatch(self.cost)
            with watch.watching(self.places), self._log_watched(watch):
                watched = act() / units * 1e6
            if watched < self.watched:
                self.watched = watched
                self.rows = [
                    (row, own.wall / units / 1e3, own.computing / units / 1e3, own.calls / units)
                    for row, own in watch.rows.items()
                    if own.calls
                ]
            gc.collect()
            self.whole = min(self.whole, act() / units * 1e6)

    @contextmanager
    def _log_watched(self, watch: Stopwatch) -> Iterator[None]:
        """Time the log's gate and folds, and the beginning and the end of write transactions."""
        if self.log is None:
            yield
            return
        reading = self.places is READING
        rows = (BATCH_OF_READING,) * 4 if reading else (GATE, FOLDS, BEGIN, COMMIT)
        log, rules, write = self.log, self.log._rules, Database.write
        log._rules = Rules(rules.origin, watch.timed(rules.gate, rows[0]))
        fold: Any = vars(sequencer)["fold"]
        vars(sequencer)["fold"] = watch.timed(fold, rows[1])

        def timed(database: Database) -> AbstractContextManager[Any]:
            return watch.around(write(database), rows[2], rows[3])

        Database.write = timed  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            log._rules, vars(sequencer)["fold"] = rules, fold
            Database.write = write  # type: ignore[method-assign]

    def json(self) -> dict[str, Any]:
        """As it is kept; rows in the order of the places."""
        places = in_order() if self.places is APPEND else [place.row for place in self.places]
        order = {row: index for index, row in enumerate(places)}
        rows = sorted(self.rows, key=lambda row: order[row[0]])
        return {
            "name": self.name, "unit": self.unit, "whole": self.whole, "cost": self.cost,
            "rows": rows, "costs": self.costs,
        }  # fmt: skip


def measure(quick: bool) -> dict[str, Any]:
    """Five profiles, and what timing a call costs."""
    events, readings = (QUICK_EVENTS, QUICK_READINGS) if quick else (EVENTS, READINGS)
    profiles = [*_appending(events), *_reading(readings), _verifying(events)]
    return {"profiles": [profile.json() for profile in profiles]}


def _appending(events: int) -> list[Profile]:
    with workplace() as place:
        fixture = BenchFixture.build(place, PATIENTS)
        log = fixture.ledger.log
        each = Profile(f"append, each signed, batches of {BATCH}, SQLite", "event", APPEND, log)
        bundles = Profile(f"append, bundles of {BATCH}, SQLite", "event", APPEND, log)
        append_signed(
            fixture, fixture.signed(fixture.uploads(PATIENTS)), BATCH, 1
        )  # warm, as a server is

        def signed() -> float:
            made = fixture.signed(fixture.uploads(events))
            return append_signed(fixture, made, BATCH, callers=1)

        def bundled() -> float:
            made = fixture.bundled(fixture.uploads(events), BATCH)
            return append_bundles(fixture, made, callers=1)

        each.run(signed, events)
        bundles.run(bundled, events)
        each.costs = of_append(fixture, place, BATCH, bundled=False)
        bundles.costs = of_append(fixture, place, BATCH, bundled=True)
        fixture.ledger.close()
    return [each, bundles]


def _reading(readings: int) -> list[Profile]:
    with workplace() as place:
        clinic = Clinic.build(place, CHARTS, 1)
        log = clinic.ledger.log
        alone = Profile("reading 1,000 bytes, one after the other, SQLite", "reading", READING, log)
        together = Profile(f"reading 1,000 bytes, batches of {TOGETHER}, SQLite", "reading", READING, log)  # fmt: skip
        for profile, batch in ((alone, 1), (together, TOGETHER)):
            profile.run(lambda size=batch: _read(clinic, readings, size), readings)  # type: ignore[misc]
            profile.costs = of_reading(clinic, place, batch)
        clinic.ledger.close()
    return [alone, together]


def _read(clinic: Clinic, count: int, batch: int) -> float:
    """Seconds of `count` readings with content, `batch` of them at a time in one transaction."""
    ledger, records = clinic.ledger, clinic.records
    made = [clinic.read(records[n % len(records)]).events[0] for n in range(count)]
    began = time.perf_counter()
    for start in range(0, count, batch):
        part = made[start : start + batch]
        proposals = [ledger.signatures.event(one.raw, one.key, one.value) for one in part]
        committed = ledger.submit(proposals).result()
        for outcome in committed.outcomes:
            reading = settled(replace(committed, outcomes=[outcome]))
            _open(give_record(ledger, reading).content)
    return time.perf_counter() - began


def _open(content: Iterator[bytes]) -> bytes:
    """Read the blob and decrypt it."""
    return b"".join(content)


def _verifying(events: int) -> Profile:
    profile = Profile("verify, one process, each signed, orjson", "entry", VERIFY)
    with workplace() as place:
        fixture = BenchFixture.build(place, FEW_PATIENTS)
        append_signed(fixture, fixture.signed(fixture.uploads(events)))
        target = place / "export"
        size = write_export(fixture.ledger, target)
        fixture.ledger.close()
        keys = read_vkeys(fixture.settings.data / "log.vkey")

        def verify() -> float:
            return verify_export(target, keys, processes=1).seconds

        profile.run(verify, size)
        profile.costs = of_verify(target)
    return profile


def part(data: dict[str, Any]) -> Part:
    """A table for each profile, its rows first, then the primitives."""
    profiles = data["profiles"]
    cost = max(profile["cost"][0] for profile in profiles)
    note = f"Timing a call takes {cost / 1000:.2f} µs, which is taken off."
    return Part({"profile": "\n\n".join([*map(_table, profiles), note])})


def _table(profile: dict[str, Any]) -> str:
    unit, rows, whole = profile["unit"], profile["rows"], profile["whole"]
    total, computing = (sum(row[column] for row in rows) for column in (1, 2))
    one = f"{'an' if unit[0] in 'ae' else 'a'} {unit}"
    lines = [[row, *map(number, figures)] for row, *figures in rows]
    lines += [
        ["**sum of what was timed**", f"**{number(total)}**", f"**{number(computing)}**", ""],
        [f"**whole, timed by nobody** ({1e6 / whole:,.0f} a second)", f"**{number(whole)}**", "", ""],
    ]  # fmt: skip
    steps = markdown([profile["name"], f">µs {one}", ">computing", f">calls {one}"], lines)
    bound = sum(us for _, us in profile["costs"])
    least = [[name, number(us)] for name, us in profile["costs"]]
    least += [["**sum**", f"**{number(bound)}**"], ["whole above it", number(whole - bound)]]
    head = ["what it takes at least, each alone in the same run", f">µs {one}"]
    return f"{steps}\n\n{markdown(head, least)}"
