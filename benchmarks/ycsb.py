"""YCSB A to F (Cooper, Silberstein, Tam, Ramakrishnan, Sears 2010) as signed events, at rising load.

A key is a record of 1,000 bytes, ten of them in a chart. read: `record.opened` by a doctor whom the patient
granted, with content. update: `access.granted` by the patient, in place of the grant before. insert:
`record.uploaded`, its content staged beforehand. scan: `chart.opened`, the list of a chart. read-modify-write:
a read, then an update that expects that nothing came in between.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from benchmarks.clinic import Clinic, shuffled, zipfian
from benchmarks.page import Part, markdown, number
from benchmarks.plots import Line, Panel, chart
from benchmarks.rising import RATES, SECONDS, Operation, rise
from benchmarks.surroundings import FIRST, surroundings

CHARTS, RECORDS = 500, 10
WORKLOADS = {
    "A": "50 % read, 50 % update, zipfian",
    "B": "95 % read, 5 % update, zipfian",
    "C": "read, zipfian",
    "D": "95 % read of the latest, 5 % insert",
    "E": "95 % scan, 5 % insert, zipfian",
    "F": "50 % read, 50 % read-modify-write, zipfian",
    "updates": "update alone",
    "views": "C without the trace: look-ups in a view",
}
HEAD = ("workload", "on", ">offered/s", ">done/s", ">p50, ms", ">p95, ms", ">p99, ms", ">conflicts")


class Workloads:
    """Makes the operations of each workload, always from the same draws."""

    def __init__(self, clinic: Clinic) -> None:
        """On this clinic, whose records are the keys."""
        self._clinic, self._draw = clinic, random.Random(20_100)
        self._order, self._weights = shuffled(len(clinic.records)), zipfian(len(clinic.records))
        self._charts = {chart.patient: chart for chart in clinic.charts}

    def make(self, workload: str, count: int) -> Iterator[Operation]:
        """`count` operations."""
        self._clinic.settle()
        kinds: dict[str, tuple[float, Callable[[], Operation], Callable[[], Operation]]] = {
            "A": (0.5, self._read, self._update),
            "B": (0.95, self._read, self._update),
            "C": (1.0, self._read, self._read),
            "D": (0.95, self._read_latest, self._insert),
            "E": (0.95, self._scan, self._insert),
            "F": (0.5, self._read, self._change),
            "updates": (1.0, self._update, self._update),
            "views": (1.0, self._view, self._view),
        }
        share, often, seldom = kinds[workload]
        for _ in range(count):
            yield often() if self._draw.random() < share else seldom()

    def _popular(self) -> Any:
        """A record by the zipfian choice, popular ones anywhere among the charts."""
        (rank,) = self._draw.choices(self._order, cum_weights=self._weights)
        return self._clinic.records[rank]

    def _read(self) -> Operation:
        return self._clinic.read(self._popular())

    def _view(self) -> Operation:
        return self._clinic.view(self._popular())

    def _read_latest(self) -> Operation:
        """Zipfian by age, among what stood when this rate began."""
        (rank,) = self._draw.choices(range(len(self._weights)), cum_weights=self._weights)
        return self._clinic.read(self._clinic.records[-1 - rank])

    def _update(self) -> Operation:
        return Operation([self._clinic.grant(self._charts[self._popular().patient])])

    def _change(self) -> Operation:
        record = self._popular()
        return self._clinic.change(record, self._charts[record.patient])

    def _scan(self) -> Operation:
        return self._clinic.scan(self._popular().patient)

    def _insert(self) -> Operation:
        return self._clinic.insert(self._draw.choice(self._clinic.charts).patient)


Rows = list[dict[str, Any]]
"""What came of one rising load: a row a rate."""
Measured = dict[str, dict[str, Rows]]
"""Surroundings → workload → rows."""


def measure(quick: bool) -> Measured:
    """On each engine with each store, for each workload, a row a rate."""
    charts, rates, seconds = (20, (250, 4_000), 1.0) if quick else (CHARTS, RATES, SECONDS)
    out: Measured = {}
    with surroundings() as each:
        for on in each:
            out[on.name] = {}
            for workload in WORKLOADS:
                with on.fresh() as (place, url, blobs):
                    clinic = Clinic.build(place, charts, RECORDS, url, blobs)
                    make = partial(Workloads(clinic).make, workload)
                    out[on.name][workload] = rise(clinic.ledger, make, rates, seconds)
                    clinic.ledger.close()
    return out


def rows(name: str, on: str, measured: Rows) -> list[list[str]]:
    """The table's lines of one workload on one engine and store."""
    return [
        [name, on, number(r["offered"]), number(r["done"]),
         *(number(r[p]) for p in ("p50", "p95", "p99")),
         f"{r['conflicts']:.1%}" if r["conflicts"] else ""]
        for r in measured
    ]  # fmt: skip


def latencies(title: str, measured: Rows) -> Panel:
    """The three percentiles against the offered rate."""
    lines = [
        Line(p, [(r["offered"], r[p]) for r in measured], color)
        for color, p in enumerate(("p50", "p95", "p99"))
    ]
    return Panel(title, "offered, operations/s", "latency, ms", lines)


def throughput(title: str, data: Measured, unit: str) -> str:
    """What was done against what was offered: a panel for each engine and store, a line for each workload."""
    panels = [
        Panel(on, f"offered, {unit}/s", f"done, {unit}/s", _lines(by)) for on, by in data.items()
    ]
    return chart(title, "a line ends where less than nine tenths of the offered were done", panels, 2)  # fmt: skip


def _lines(by: Mapping[str, Rows]) -> list[Line]:
    return [
        Line(name, [(r["offered"], r["done"]) for r in measured], color)
        for color, (name, measured) in enumerate(by.items())
    ]


def part(data: Measured) -> Part:
    """The table and two plots; latencies are drawn for SQLite with files."""
    lines = [
        line
        for w in WORKLOADS
        for on, by in data.items()
        for line in rows(f"{w}: {WORKLOADS[w]}", on, by[w])
    ]
    panels = [latencies(f"{w}: {WORKLOADS[w]}", data[FIRST][w]) for w in WORKLOADS]
    subtitle = f"{FIRST}; from the instant an operation was due to its answer; the last point is past what the log follows"  # fmt: skip
    plots = {
        "ycsb.svg": chart("YCSB: latency at rising load", subtitle, panels, 2),
        "ycsb-throughput.svg": throughput("YCSB: throughput at rising load", data, "operations"),
    }
    return Part({"ycsb": markdown(HEAD, lines)}, plots)
