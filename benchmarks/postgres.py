"""PostgreSQL: two processes append to one log, batches of 200, each event signed by itself."""

import multiprocessing
import time
from multiprocessing.synchronize import Barrier

from api.app.opening import open_ledger
from api.app.settings import Settings
from benchmarks.append import append_signed
from benchmarks.fixture import BenchFixture, Signed
from benchmarks.measure import Figure, one_thread_limit, workplace
from identity.actors import Actor
from tests.support.postgres import Cluster

EVENTS = 6_000
"""By each process."""
BATCH = 200
ROUNDS = 6
"""The best round counts; the machine is shared."""


def _process(
    settings: Settings,
    system: Actor,
    patients: list[str],
    start: Barrier,
    out: "multiprocessing.Queue[float]",
) -> None:
    ledger = open_ledger(settings)
    fixture = BenchFixture(settings, ledger, system, patients, system, system)
    for _ in range(ROUNDS):
        events: list[Signed] = fixture.signed(fixture.uploads(EVENTS))
        start.wait()
        out.put(append_signed(fixture, events, BATCH))
    ledger.close()


def figures() -> list[Figure]:
    """The PostgreSQL row."""
    limit = one_thread_limit()
    context = multiprocessing.get_context("spawn")
    with workplace() as place, Cluster.start() as cluster:
        fixture = BenchFixture.build(place, 2_000, cluster.database())
        fixture.ledger.close()
        start, out = context.Barrier(3), context.Queue()
        half = len(fixture.patients) // 2
        parts = (fixture.patients[:half], fixture.patients[half:])
        processes = [
            context.Process(
                target=_process, args=(fixture.settings, fixture.system, part, start, out)
            )
            for part in parts
        ]
        for process in processes:
            process.start()
        rate = 0.0
        for _ in range(ROUNDS):
            start.wait()
            began = time.perf_counter()
            for _ in processes:
                out.get(timeout=300)
            rate = max(rate, 2 * EVENTS / (time.perf_counter() - began))
        for process in processes:
            process.join()
    return [Figure.of("postgres", rate, limit)]
