"""The same events by what else one could use: one caller, one batch after the other, each durable."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import peers
from benchmarks.append import append_bundles, append_signed
from benchmarks.measure import workplace
from benchmarks.page import Part, markdown, number
from benchmarks.peers import Append, Plain
from benchmarks.plots import Line, Panel, chart
from benchmarks.town import ORIGIN, Signed, Town
from ledger.event import Event
from tests.postgres import Cluster

COUNTS = {1: 500, 100: 10_000, 500: 20_000}
"""Events of a round, by batch size."""
QUICK = {1: 50, 100: 500, 500: 1_000}
ROUNDS = 2
"""The best one counts."""
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
    "plain table, executemany": "plain table", "plain table, signatures checked": "plain, checked",
    "plain table, COPY": "plain, COPY", "plain table, COPY, signatures checked": "COPY, checked",
    "Heartwood, each signed": "Heartwood", "Heartwood, bundles": "Heartwood, bundles",
}  # fmt: skip


def measure(quick: bool) -> list[dict[str, Any]]:
    """A row for each peer: events a second by batch size."""
    counts, patients = (QUICK, 50) if quick else (COUNTS, PATIENTS)
    with workplace() as place, Cluster.start() as cluster:
        town = Town.build(place, patients)
        signed = town.signed(town.uploads(ROUNDS * sum(counts.values())))
        events, public = _plain(signed), town.system.key.public
        town.ledger.close()
        rows = []
        for peer in PEERS:
            url = cluster.database() if peer.engine == "PostgreSQL" else ""
            if peer.open is None:
                rates = _heartwood(peer, url, counts, patients)
            else:
                with workplace() as own, peer.open(own, url) as append:
                    timed = peers.checked(public, ORIGIN, append) if peer.check else append
                    rates = _rates(timed, events, counts)
            rows.append({"name": peer.name, "engine": peer.engine, "rates": rates})
    return rows


def _plain(signed: Sequence[Signed]) -> list[Plain]:
    """The events with what a table is indexed by, read beforehand."""
    lengths, out = Counter[str](), []
    for seq, one in enumerate(signed):
        event = Event.parse(one.raw)
        kind, stream = event.type.name, event.stream
        out.append(Plain(seq, event.id, stream, lengths[stream], kind, one.raw, one.value))
        lengths[stream] += 1
    return out


def _rates(append: Append, events: Sequence[Plain], counts: dict[int, int]) -> dict[str, float]:
    todo, out = iter(events), {}
    for batch, count in counts.items():
        best = 0.0
        for _ in range(ROUNDS):
            part = [next(todo) for _ in range(count)]
            began = time.perf_counter()
            for start in range(0, count, batch):
                append(part[start : start + batch])
            best = max(best, count / (time.perf_counter() - began))
        out[str(batch)] = best
    return out


def _heartwood(peer: Peer, url: str, counts: dict[int, int], patients: int) -> dict[str, float]:
    """Heartwood by one caller, too, though it is made for several."""
    out = {}
    with _town(patients, url) as town:
        for batch, count in counts.items():
            best = 0.0
            for _ in range(ROUNDS):
                raws = town.uploads(count)
                if peer.bundles:
                    spent = append_bundles(town, town.bundled(raws, batch), callers=1)
                else:
                    spent = append_signed(town, town.signed(raws), batch, callers=1)
                best = max(best, count / spent)
            out[str(batch)] = best
    return out


@contextmanager
def _town(patients: int, url: str) -> Iterator[Town]:
    with workplace() as place:
        town = Town.build(place, patients, url)
        yield town
        town.ledger.close()


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
            Line(SHORT.get(r["name"], r["name"]), [(float(b), v) for b, v in r["rates"].items()], color)
            for color, r in enumerate(reversed(mine))
        ]  # fmt: skip
        panels.append(Panel(engine, "events in a batch", "events/s", drawn))
    subtitle = "one caller, one durable batch after the other; only Heartwood checks, chains, proves and decides"  # fmt: skip
    svg = chart("The same events, by what else one could use", subtitle, panels, 2)
    return Part({"comparison": markdown(head, lines)}, {"comparison.svg": svg})
