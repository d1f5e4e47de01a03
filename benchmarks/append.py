"""Appending: each event signed by itself, or by bundles; SQLite in one process, PostgreSQL in two."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.fixture import BenchFixture, Signed
from benchmarks.measure import Figure, one_thread_limit, workplace
from ledger.sequencer import Appended, Proposal

EVENTS = 15_000
"""In each of ROUNDS rounds; the best counts, as it does for the limit: the machine is shared."""
ROUNDS = 6
PATIENTS = 2_000
CALLERS = 3
BATCH = 500


def append_signed(
    fixture: BenchFixture, events: Sequence[Signed], batch: int = BATCH, callers: int = CALLERS
) -> float:
    """Verify, decide, chain, view and commit; seconds for all."""
    signatures, ledger = fixture.ledger.signatures, fixture.ledger

    def act(part: Sequence[Signed]) -> None:
        proposals = [signatures.event(one.raw, one.key, one.value) for one in part]
        _all_appended(ledger.append(proposals), part)

    parts = [events[i : i + batch] for i in range(0, len(events), batch)]
    return in_threads(act, parts, callers)


def append_bundles(
    fixture: BenchFixture, bundles: Sequence[tuple[list[bytes], str, bytes]], callers: int = CALLERS
) -> float:
    """The same by bundles under one signature; seconds for all."""

    def act(bundle: tuple[list[bytes], str, bytes]) -> None:
        proposals: list[Proposal] = fixture.ledger.signatures.bundle(*bundle)
        _all_appended(fixture.ledger.append(proposals), bundle[0])

    return in_threads(act, bundles, callers)


def in_threads(act: Callable[[Any], None], parts: Sequence[Any], callers: int = CALLERS) -> float:
    """Let `callers` threads work through the parts; seconds for all; their errors are raised."""
    todo, errors = list(reversed(parts)), []

    def work() -> None:
        try:
            while todo:
                try:
                    part = todo.pop()
                except IndexError:
                    return
                act(part)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(callers)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return time.perf_counter() - began


def _all_appended(outcomes: Sequence[Any], part: Sequence[Any]) -> None:
    bad = [o for o in outcomes if not isinstance(o, Appended)]
    if bad or len(outcomes) != len(part):
        raise SystemExit(f"not appended: {bad[:1]}")


def signed_rate(fixture: BenchFixture, count: int = EVENTS) -> float:
    """Events a second, each signed, in batches of BATCH: the best of ROUNDS."""
    rounds = (fixture.signed(fixture.uploads(count)) for _ in range(ROUNDS))
    return count / min(append_signed(fixture, events) for events in rounds)


def bundled_rate(fixture: BenchFixture, count: int = EVENTS) -> float:
    """Events a second by bundles of BATCH: the best of ROUNDS."""
    rounds = (fixture.bundled(fixture.uploads(count), BATCH) for _ in range(ROUNDS))
    return count / min(append_bundles(fixture, bundles) for bundles in rounds)


def figures() -> list[Figure]:
    """The two SQLite rows."""
    with workplace() as place:
        fixture = BenchFixture.build(place, PATIENTS)
        out = [
            Figure.of("signed", signed_rate(fixture), one_thread_limit()),
            Figure.of("bundles", bundled_rate(fixture), one_thread_limit()),
        ]
        fixture.ledger.close()
    return out
