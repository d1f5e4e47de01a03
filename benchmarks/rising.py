"""Load that rises: operations begin when they are due, whatever the log does (an open loop).

An operation's latency counts from the instant it was due, so one that waited behind others shows it: nothing
is left out when the log is slow ("coordinated omission"). Arrivals are a Poisson process.
"""

import gc
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from benchmarks.fixture import Signed
from keeper.errors import KeeperUnavailable
from ledger.errors import Refused
from storage.errors import Unavailable
from storage.ledger import Ledger
from storage.log import CommittedBatch

RATES = (100, 250, 500, 1_000, 1_500, 2_000, 3_000, 4_000, 6_000, 8_000, 10_000)
"""Operations a second, offered one after the other until the log doesn't follow."""
SECONDS = 4.0
"""Of arrivals at one rate, or as long as LEAST operations take."""
LEAST = 1_000
"""Operations at one rate, so that a 99th percentile means something."""
FOLLOWED = 0.9
"""Part of the offered rate that must be done for the next one to be offered."""
CHECKERS, ANSWERERS = 3, 3
"""Threads that check signatures, and that give out what readings opened."""
ANSWER_SECONDS = 300


@dataclass(frozen=True)
class Operation:
    """Events of one call, with what is done once they stand; without events, `after` alone."""

    events: Sequence[Signed] = ()
    atomic: bool = False
    after: Callable[[CommittedBatch], "Operation | None"] | None = None
    """Gives out what was opened; may give another operation that belongs to this one."""
    look: Callable[[], object] | None = None
    """What to look up in the views, where nothing is appended."""
    expect: int | None = None
    """The stream length that the first event expects."""


@dataclass
class _Run:
    """One rate's run: when each operation was due, what came of it."""

    ledger: Ledger
    left: int
    took: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: list[BaseException] = field(default_factory=list)
    checking: "queue.SimpleQueue[tuple[Operation, float] | None]" = field(default_factory=queue.SimpleQueue)  # fmt: skip
    answering: "queue.SimpleQueue[tuple[Operation, float, CommittedBatch] | None]" = field(default_factory=queue.SimpleQueue)  # fmt: skip
    ended: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    done: threading.Event = field(default_factory=threading.Event)

    def end(self, due: float, outcome: str) -> None:
        """One operation is over."""
        now = time.perf_counter()
        with self._lock:
            self.took.append(now - due)
            self.outcomes[outcome] += 1
            self.ended = max(self.ended, now)
            self.left -= 1
            if not self.left:
                self.done.set()

    def fail(self, error: BaseException) -> None:
        """Something that no workload does: the run ends."""
        self.errors.append(error)
        self.done.set()

    def check(self) -> None:
        """A thread: check signatures, queue events."""
        while (item := self.checking.get()) is not None:
            try:
                self._check(*item)
            except BaseException as error:
                self.fail(error)

    def _check(self, operation: Operation, due: float) -> None:
        if operation.look is not None:
            operation.look()
            return self.end(due, "done")
        signatures, expects = self.ledger.signatures, [operation.expect, None, None]
        proposals = [
            signatures.event(one.raw, one.key, one.value, expect)
            for one, expect in zip(operation.events, expects, strict=False)
        ]
        try:
            committed = self.ledger.submit(proposals, operation.atomic)
        except Unavailable:  # the queue is full: a client would come again
            return self.end(due, "turned away")
        committed.add_done_callback(lambda future: self._committed(operation, due, future))

    def _committed(
        self, operation: Operation, due: float, future: "Future[CommittedBatch]"
    ) -> None:
        """In the log's thread, hence short."""
        if error := future.exception():
            return self.fail(error)
        committed = future.result()
        refused = next((o for o in committed.outcomes if isinstance(o, Refused)), None)
        if refused is not None and refused.code == "conflict":
            self.end(due, "conflict")
        elif refused is not None:
            self.fail(refused)
        elif operation.after is None:
            self.end(due, "done")
        else:
            self.answering.put((operation, due, committed))

    def answer(self) -> None:
        """A thread: give out what readings opened."""
        while (item := self.answering.get()) is not None:
            operation, due, committed = item
            try:
                assert operation.after is not None
                following = operation.after(committed)
                if following is None:
                    self.end(due, "done")
                else:
                    self.checking.put((following, due))
            except (
                KeeperUnavailable
            ):  # it is behind the log, so that nothing is given out: a client would come again
                self.end(due, "turned away")
            except BaseException as error:
                self.fail(error)


def offer(ledger: Ledger, operations: Sequence[Operation], rate: float, seed: int = 1) -> dict[str, Any]:  # fmt: skip
    """Let the operations arrive at `rate` a second; what was done, and the percentiles in ms."""
    run, draw = _Run(ledger, len(operations)), random.Random(seed)
    threads = [threading.Thread(target=run.check) for _ in range(CHECKERS)]
    threads += [threading.Thread(target=run.answer) for _ in range(ANSWERERS)]
    gc.collect()
    gc.freeze()
    for thread in threads:
        thread.start()
    began = due = time.perf_counter()
    for operation in operations:
        due += draw.expovariate(rate)
        while (early := due - time.perf_counter()) > 0:
            time.sleep(early)
        run.checking.put((operation, due))
    whole = run.done.wait(ANSWER_SECONDS)
    for _ in range(CHECKERS):
        run.checking.put(None)
    for _ in range(ANSWERERS):
        run.answering.put(None)
    for thread in threads:
        thread.join()
    gc.unfreeze()
    if run.errors or not whole:
        raise run.errors[0] if run.errors else SystemExit("no answer came")
    return _summary(run, rate, run.ended - began)


def _summary(run: _Run, rate: float, seconds: float) -> dict[str, Any]:
    took, done = sorted(run.took), run.outcomes["done"]
    at = {f"p{p}": took[min(len(took) - 1, len(took) * p // 100)] * 1000 for p in (50, 95, 99)}
    conflicts = run.outcomes["conflict"]
    return {
        "offered": rate, "done": (done + conflicts) / seconds, **at,
        "conflicts": conflicts / len(took), "turned away": run.outcomes["turned away"] / len(took),
    }  # fmt: skip


def rise(
    ledger: Ledger, make: Callable[[int], Iterable[Operation]], rates: Sequence[int], seconds: float
) -> list[dict[str, Any]]:
    """Offer rising rates of what `make(count)` makes, until less than FOLLOWED of one is done.

    A rate that is missed is offered once more, and the better one counts: the machine is shared.
    """
    rows = []
    for rate in rates:
        count = max(int(rate * seconds), min(LEAST, int(LEAST * seconds / SECONDS)))
        row = offer(ledger, list(make(count)), rate)
        if row["done"] < FOLLOWED * rate:
            row = max(row, offer(ledger, list(make(count)), rate), key=lambda row: row["done"])
        rows.append(row)
        if row["done"] < FOLLOWED * rate:
            break
    return rows
