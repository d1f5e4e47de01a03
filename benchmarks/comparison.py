"""The same events by alternatives: one caller, one batch after the other, each durable."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import peers
from benchmarks.append import append_bundles, append_signed
from benchmarks.fixture import BenchFixture
from benchmarks.measure import workplace
from benchmarks.page import Part, markdown, number
from benchmarks.peers import Append, Plain
from benchmarks.plots import Line, Panel, chart
from ledger.event import Event
from tests.support.postgres import Cluster

COUNTS = {1: 500, 100: 10_000, 500: 20_000}
"""Events of a round, by batch size."""
QUICK = {1: 50, 100: 500, 500: 1_000}
ROUNDS = 3
"""Of each; the best one counts."""
PATIENTS = 2_000
ALL = ("yes", "yes", "yes", "yes")


class Peer(NamedTuple):
    """One row: what it is, on which engine, how it appends, and what it has of what Heartwood gives."""

    name: str
    engine: str
    has: tuple[str, str, str, str]
    """Signature checked, chained by hashes, proofs, decided by rules."""
    open: Callable[[Path, str], AbstractContextManager[Append]] | None
    """None: Heartwood, which makes its own events (their keys must be staged)."""
    check: bool = False
    bundles: bool = False


NONE = ("no", "no", "no", "no")
CHECKED = ("yes", "no", "no", "no")
PEERS = (
    Peer("plain table, executemany", "SQLite", NONE, peers.sqlite),
    Peer("plain table, signatures checked", "SQLite", CHECKED, peers.sqlite, check=True),
    Peer("pymerkle", "SQLite", ("no", "tree", "yes", "no"), peers.merkle),
    Peer("eventsourcing", "SQLite", NONE, peers.eventsourcing_sqlite),
    Peer("Heartwood, each signed", "SQLite", ALL, None),
    Peer("Heartwood, bundles", "SQLite", ALL, None, bundles=True),
    Peer("plain table, executemany", "PostgreSQL", NONE, peers.postgres_insert),
    Peer("plain table, COPY", "PostgreSQL", NONE, peers.postgres_copy),
    Peer("plain table, COPY, signatures checked", "PostgreSQL", CHECKED, peers.postgres_copy, check=True),
    Peer("eventsourcing", "PostgreSQL", NONE, peers.eventsourcing_postgres),
    Peer("Heartwood, each signed", "PostgreSQL", ALL, None),
    Peer("Heartwood, bundles", "PostgreSQL", ALL, None, bundles=True),
)  # fmt: skip
SHORT = {
    "Heartwood, each signed": ("Heartwood", 0), "Heartwood, bundles": ("Heartwood, bundles", 1),
    "eventsourcing": ("eventsourcing", 2), "pymerkle": ("pymerkle", 3),
    "plain table, signatures checked": ("plain, checked", 4),
    "plain table, COPY, signatures checked": ("COPY, checked", 4),
    "plain table, executemany": ("plain table", 6), "plain table, COPY": ("plain, COPY", 5),
}  # fmt: skip
"""Names and colours in the plot."""


def measure(quick: bool) -> list[dict[str, Any]]:
    """A row for each peer: events a second by batch size, the best of rounds in which all take turns."""
    counts, patients = (QUICK, 50) if quick else (COUNTS, PATIENTS)
    rates: dict[Peer, dict[str, float]] = {peer: {} for peer in PEERS}
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster.start())
        runs = {
            peer: _opened(stack, peer, patients, cluster.database() if peer.engine == "PostgreSQL" else "")
            for peer in PEERS
        }  # fmt: skip
        source = stack.enter_context(_fixture(patients, ""))
        for _ in range(ROUNDS):
            for batch, count in counts.items():
                events = _plain(source, count)
                for peer, run in runs.items():
                    rate = count / run(events, batch)
                    rates[peer][str(batch)] = max(rate, rates[peer].get(str(batch), 0.0))
    return [{"name": p.name, "engine": p.engine, "rates": rates[p]} for p in PEERS]


Run = Callable[[Sequence[Plain], int], float]
"""Seconds of appending events in batches of a size."""


def _opened(stack: ExitStack, peer: Peer, patients: int, url: str) -> Run:
    """The peer, open until the stack ends; Heartwood makes as many events of its own, as by one caller."""
    if peer.open is None:
        fixture = stack.enter_context(_fixture(patients, url))

        def run(events: Sequence[Plain], batch: int) -> float:
            raws = fixture.uploads(len(events))
            if peer.bundles:
                return append_bundles(fixture, fixture.bundled(raws, batch), callers=1)
            return append_signed(fixture, fixture.signed(raws), batch, callers=1)

        return run
    append = stack.enter_context(peer.open(stack.enter_context(workplace()), url))
    return partial(_timed, append, peer.check)


def _timed(append: Append, check: bool, events: Sequence[Plain], batch: int) -> float:
    if check:
        append = peers.checked(append)
    began = time.perf_counter()
    for start in range(0, len(events), batch):
        append(events[start : start + batch])
    return time.perf_counter() - began


def _plain(source: BenchFixture, count: int) -> list[Plain]:
    """Events, numbered on from the last ones, with what a table is indexed by, read beforehand."""
    first, public, out = source.appended, source.system.key.public, []
    for seq, one in enumerate(source.signed(source.uploads(count)), first):
        event = Event.parse(one.raw)
        out.append(Plain(seq, event.id, event.stream, event.type.name, one.raw, one.value, public))
    return out


@contextmanager
def _fixture(patients: int, url: str) -> Iterator[BenchFixture]:
    with workplace() as place:
        fixture = BenchFixture.build(place, patients, url)
        yield fixture
        fixture.ledger.close()


def part(rows: list[dict[str, Any]]) -> Part:
    """The table and the plot."""
    has = {(peer.engine, peer.name): peer.has for peer in PEERS}
    head = ["", "engine", *(f">by {batch}" for batch in rows[0]["rates"])]
    head += ["signature checked", "hash-chained", "proofs", "decided", "durable"]
    lines = [
        [r["name"], r["engine"], *(number(rate) for rate in r["rates"].values()),
         *has[r["engine"], r["name"]], "yes"]
        for r in rows
    ]  # fmt: skip
    panels = []
    for engine in ("SQLite", "PostgreSQL"):
        mine = [r for r in rows if r["engine"] == engine]
        drawn = [
            Line(name, [(float(b), v) for b, v in r["rates"].items()], color)
            for r in mine
            for name, color in [SHORT[r["name"]]]
        ]  # fmt: skip
        panels.append(Panel(engine, "events in a batch", "events/s", drawn))
    subtitle = "one caller, one durable batch after the other; Heartwood also checks, chains, proves and decides"  # fmt: skip
    svg = chart("The same events, by alternatives", subtitle, panels, 2)
    return Part({"comparison": markdown(head, lines)}, {"comparison.svg": svg})
