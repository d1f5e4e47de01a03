"""Fault injection is tested itself: it must find each mutant of a step of the append transaction."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatch

from tests.deep.append_mutants import APPEND_MUTANTS, AppendMutant
from tests.deep.calls import all_faults, breaks
from tests.deep.injection import Part, Tally, Trial
from tests.deep.load import run_and_kill
from tests.deep.tracing import Fault

TRIES = 150
"""Faults tried at most until a mutant must be found; the first that finds it ends the search."""
RUNS = len(APPEND_MUTANTS)
RUNS_A_PART = 2


def run(part: Part) -> list[Tally]:
    """AppendMutant some of the bugs, by their numbers, on one engine."""
    tally = Tally("mutants of the append, found", part.engine)
    chosen = list(APPEND_MUTANTS.items())[part.first : part.first + part.count]
    for number, (name, one) in enumerate(chosen, part.first):
        if part.engine not in one.engines or (part.only and part.only != name):
            continue
        tally.runs += 1
        try:
            tally.notes.append(f"step {one.step}, {name}: {find(part, name, one)}")
            tally.met += 1
        except Exception as error:
            tally.fail(error, name, part.again(number, name))
    return [tally]


def find(part: Part, name: str, one: AppendMutant) -> str:
    """Search until an injected fault shows the mutant; what it said. Raises AssertionError if it never does."""
    with Trial.found(part.engine, patients=1) as trial:
        for tried, (about, attempt) in enumerate(_attempts(part, name, one), 1):
            try:
                attempt(trial)
            except RuntimeError:  # the mutant could not be made
                raise
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
                if not re.search(one.says, said):
                    raise AssertionError(
                        f"found by another sign than {one.says!r}: {said}"
                    ) from error
                return f"found by {about} (number {tried}): {said[:200]}"
            finally:
                trial.fixture.close()
    raise AssertionError(f"not found within {TRIES} faults")


Attempt = Callable[[Trial], object]


def _attempts(part: Part, name: str, one: AppendMutant) -> Iterator[tuple[str, Attempt]]:
    """The faults that must find it, each as what it is called and what it does to a new ledger."""
    if not one.faults:
        for number in range(TRIES):
            yield "two processes at work", _two(part.chance(number), name)
        return
    fitting = [f for f in all_faults(part.engine) if any(fnmatch(f"{f}", p) for p in one.faults)]
    part.chance(0).shuffle(fitting)
    for fault in fitting[:TRIES]:
        yield f"{fault}", _broken(fault, name)


def _two(chance: random.Random, name: str) -> Attempt:
    def attempt(trial: Trial) -> None:
        trial.stands(run_and_kill(trial.settings, trial.crowd, chance, 2, name))

    return attempt


def _broken(fault: Fault, name: str) -> Attempt:
    return lambda trial: breaks(trial, fault, name)
