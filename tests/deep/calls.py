"""Each system call of the start, of an upload and of appending, killed at or failed, in a child of its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from ledger.sequencer import Appended
from tests.deep import tracing
from tests.deep.injection import Part, Tally, Trial, drive, killed
from tests.deep.journey import THREADS, Sent, travel
from tests.deep.report import Report
from tests.deep.tracing import Fault, Strace
from tests.deep.witness import Wrong
from tests.support.child_processes import start

END_SECONDS = 90.0
"""How long a child may take that was broken once; locks are waited for 30 s."""
MOST = 5_000
"""More than there are."""
FAULTS_A_PART = 100
COUNTED = 2
"""Journeys that are counted; the later one has nothing to make that the first one made."""


@dataclass(frozen=True)
class Traced:
    """How a traced child ended: what it told, what strace wrote."""

    code: int | None
    lines: list[str]
    trace: str

    def told(self, *words: str) -> list[str]:
        """The lines that begin with one of these words."""
        return [line for line in self.lines if line.startswith(words)]

    @property
    def acknowledged(self) -> list[str]:
        """The lines that acknowledge events."""
        return self.told("ev_")

    @property
    def sent(self) -> list[Sent]:
        """What the child sent."""
        return [Sent.parse(line) for line in self.told("sent ")]


def traced(trial: Trial, thread: str, options: list[str], mutant: str = "") -> Traced:
    """One journey in a child whose `thread` is traced; raises Wrong if it hangs or errs."""
    return run_traced(trial, travel, options, thread, mutant)


def run_traced(
    trial: Trial, target: Callable[..., None], options: list[str], *given: object
) -> Traced:
    """What `target` does in a child, one thread of which is traced; raises Wrong if it hangs or errs.

    `target` gets settings, crowd, the report's path and what else is given. It tells `ready` with the thread's number,
    waits until it may go on, and tells `done` in the end.
    """
    with TemporaryDirectory() as folder:
        report, log = Report(Path(folder) / "report"), Path(folder) / "strace"
        child = start(target, trial.settings, trial.crowd, Path(folder) / "report", *given)
        try:
            while not (ready := report.lines()):
                child.join(0.001)
                if child.exitcode is not None:
                    raise RuntimeError(f"a child ended with {child.exitcode} before its journey")
            if not ready[0].startswith("ready "):
                raise Wrong(ready[0])
            with Strace(int(ready[0].split()[1]), log, options) as strace:
                report.go()
                child.join(END_SECONDS)
                lines = report.lines()
                if child.exitcode is None:
                    raise Wrong(f"hangs; the last it told: {lines[-1]}")
                done = Traced(child.exitcode, lines, strace.said())
        finally:
            child.kill()
            child.join()
    if errors := done.told("error"):
        raise Wrong(f"{errors[0]}, after {done.told('told')}")
    if not killed(done.code) and done.lines[-1:] != ["done"]:
        raise Wrong(f"ended with {done.code}; the last it told: {done.lines[-1]}")
    return done


def breaks(trial: Trial, fault: Fault, mutant: str = "") -> bool:
    """One journey with one fault, and everything checked after it; gives whether the fault was met."""
    done = traced(trial, fault.thread, fault.options(), mutant)
    trial.stands(done.acknowledged)
    try:
        send_again(trial, done)
        trial.witness.check(trial.fixture.ledger, [])
    finally:
        trial.fixture.close()
    return killed(done.code) or "(INJECTED)" in done.trace


def send_again(trial: Trial, done: Traced) -> None:
    """Whatever was sent has one entry when it is sent again, twice: the one that was acknowledged, if one was."""
    ledger = trial.fixture.ledger
    seqs = {line.split(" ")[0]: int(line.split(" ")[1]) for line in done.acknowledged}
    for fresh_is_good in (True, False):
        for sent in done.sent:
            outcome = ledger.append([sent.proposal(ledger)])[0]
            if not isinstance(outcome, Appended):
                raise Wrong(f"sent again after the fault, it is not taken: {outcome!r}")
            event, seq = outcome.entry.event.id, outcome.entry.link.seq
            if seqs.setdefault(event, seq) != seq or (outcome.fresh and not fresh_is_good):
                raise Wrong(f"{event} is entry {seqs[event]} and, sent again, entry {seq}")


@cache
def all_faults(engine: str) -> list[Fault]:
    """Every fault of the journey on an engine, from journeys without any."""
    with Trial.found(engine, patients=1) as trial:
        counts = {
            thread: traced(trial, thread, tracing.counting()).trace.splitlines()
            for _ in range(COUNTED)
            for thread in THREADS
        }
    return [fault for thread in THREADS for fault in tracing.faults(thread, counts[thread])]


def sample(part: Part) -> list[tuple[int, Fault]]:
    """The faults of a part, by number; the whole list is dealt in a random order by the seed."""
    if part.only:
        return [(0, Fault.parse(part.only))]
    dealt = list(enumerate(all_faults(part.engine)))
    random.Random(part.seed).shuffle(dealt)
    return dealt[part.first : part.first + part.count]


def run(part: Part) -> list[Tally]:
    """The faults of one part, each in a child of its own; a row for kills, one for errors."""
    cases = sample(part)

    def case(trial: Trial, fault: Fault, _: random.Random) -> bool:
        return breaks(trial, fault)

    rows = (("killed at a system call", True), ("error of a system call", False))
    return [
        drive(
            part,
            name,
            [(n, fault) for n, fault in cases if fault.kind.startswith("SIG") is kill],
            case,
            lambda: Trial.found(part.engine, patients=1),
            lambda number, fault: part.again(number, str(fault)),
        )
        for name, kill in rows
    ]
