"""One receipt, from the tiles in the database."""

import random
import time

from benchmarks.append import append_bundles
from benchmarks.fixture import BenchFixture
from benchmarks.measure import Figure, workplace

ENTRIES = 30_000
RECEIPTS = 1_000


def figures() -> list[Figure]:
    """The median and the 99th of a hundred, in ms."""
    with workplace() as place:
        fixture = BenchFixture.build(place, 1_000)
        append_bundles(fixture, fixture.bundled(fixture.uploads(ENTRIES), 500))
        size = fixture.ledger.head().size
        draw, times = random.Random(1), []
        for _ in range(RECEIPTS):
            seq = draw.randrange(size)
            began = time.perf_counter()
            fixture.ledger.receipt(seq)
            times.append((time.perf_counter() - began) * 1000)
        fixture.ledger.close()
    times.sort()
    median, late = times[RECEIPTS // 2], times[RECEIPTS * 99 // 100]
    return [
        Figure.of("receipt", median),
        Figure("one receipt, 99th of a hundred", late, "ms"),
    ]
