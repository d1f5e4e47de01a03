"""`heartwood root rotate` and `heartwood keys renew` killed at each of their system calls, while records are read.

Run again they end what was begun: every record opens, and nothing is left under what was to go.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import keeper.rotating
from api.app.layout import record_roots
from api.app.settings import Settings
from api.operator.rewrapping import rotate_root, show_roots
from client import beside
from keeper.roots import FilePlace
from records import opening
from storage.ledger import Ledger
from storage.maintenance import renewing
from storage.maintenance.renewing import Renewing
from tests.deep import tracing
from tests.deep.calls import run_traced
from tests.deep.injection import Part, Tally, Trial, drive, killed
from tests.deep.journey import let_trace
from tests.deep.load import Crowd
from tests.deep.report import Report
from tests.deep.tracing import Fault
from tests.deep.witness import Lost, Wrong
from tests.support.inside import opened
from tests.support.ledger_fixture import CONTENT

MOST = 200
"""Kills of each command, on each engine; there are more system calls."""
KILLS_A_PART = 40
PATIENTS, RECORDS = 3, 2
"""Charts, and records of each."""
PAGE_KEYS, SUBJECTS_AT_ONCE = 4, 5
"""So few at once in the commands that are killed: they take many steps."""
PAUSE_SECONDS = 0.02
"""Between two readings of everything."""
SUBJECTS = 1_000
"""More than there are."""


# In the child.


def rotate(settings: Settings, crowd: Crowd, path: Path, mutant: str = "") -> None:
    """`heartwood root rotate`, once it may be broken."""
    keeper.rotating.PAGE_KEKS = PAGE_KEYS
    if mutant:
        MUTANTS[mutant]()
    run_broken(Report(path), lambda: rotate_root(settings, FilePlace()))


def renew(settings: Settings, crowd: Crowd, path: Path, mutant: str = "") -> None:
    """`heartwood keys renew --all`, once it may be broken."""
    renewing.PAGE_KEYS, renewing.SUBJECTS_AT_ONCE = PAGE_KEYS, SUBJECTS_AT_ONCE
    if mutant:
        MUTANTS[mutant]()
    ledger = opened(settings)
    run_broken(Report(path), lambda: Renewing(ledger.keys, ledger.keeper).all(settings.data))
    ledger.close()


def run_broken(report: Report, act: Callable[[], object]) -> None:
    """Say that all is ready, wait for the word, do it, and say how it ended."""
    try:
        let_trace()
        report.say(f"ready {threading.get_native_id()}")
        report.wait()
        act()
        report.say("done")
    except BaseException as error:
        report.say(f"error {error!r}")
        raise SystemExit(1) from None


# Bugs that must be found.


def _old_root_first() -> None:
    true = keeper.rotating._rewrap

    def rewrap(store: object, roots: object, current: int, progress: object) -> int:
        for old in roots.there():  # type: ignore[attr-defined]
            if old < current:
                roots.get(old)  # type: ignore[attr-defined]
                roots.destroy(old)  # type: ignore[attr-defined]
        return true(store, roots, current, progress)  # type: ignore[arg-type]

    keeper.rotating._rewrap = rewrap


def _old_keks_first() -> None:
    true = Renewing.rewrap

    def rewrap(self: Renewing, subjects: list[str], done: object) -> set[str]:
        kept = self.keeper.versions(subjects)
        self.keeper.destroy([(s, v) for s, versions in kept.items() for v in versions[:-1]])
        return true(self, subjects, done)  # type: ignore[arg-type]

    Renewing.rewrap = rewrap  # type: ignore[method-assign, assignment]


MUTANTS = {"the old root goes first": _old_root_first, "the old KEKs go first": _old_keks_first}


# In the parent.


def with_records(engine: str) -> Trial:
    """A ledger whose patients have records, closed."""
    trial = Trial.found(engine, patients=PATIENTS)
    trial.fixture.reopen()
    for one in trial.crowd.patients:
        for _ in range(RECORDS):
            trial.fixture.record(one, title="Report")
    trial.fixture.close()
    return trial


def read_all(ledger: Ledger, crowd: Crowd) -> None:
    """Every record opens, with its title, for its patient; raises Lost."""
    for one in crowd.patients:
        for record in ledger.records_of(one.patient):
            if record.state != "live":
                continue  # erased meanwhile
            proposal = beside.reading(ledger, one.actor, record, "PATRQT")
            shown = opening.open_record(ledger, proposal)
            if (b"".join(shown.content), shown.texts) != (CONTENT, {"title": "Report"}):
                raise Lost(f"{record.record} opens as something else")


@contextmanager
def reading_on(ledger: Ledger, crowd: Crowd) -> Iterator[None]:
    """Read all the time until the end; raises what a reader met."""
    stop, met = threading.Event(), list[Exception]()

    def read() -> None:
        try:
            while not stop.wait(PAUSE_SECONDS):
                read_all(ledger, crowd)
        except Exception as error:
            met.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if met:
        raise Wrong(f"a reader meanwhile met {met[0]!r}") from met[0]


def broken(trial: Trial, what: str, options: list[str], mutant: str = "") -> tuple[bool, str]:
    """One command in a child, with what strace does to it; then it is run again, and everything checked.

    Whether it was killed, and what strace wrote. Raises Wrong or Lost.
    """
    fixture, crowd = trial.fixture, trial.crowd
    fixture.reopen()
    try:
        with reading_on(fixture.ledger, crowd):
            done = run_traced(trial, COMMANDS[what][0], options, mutant)
        COMMANDS[what][1](trial)
        read_all(fixture.ledger, crowd)
    finally:
        fixture.close()
    trial.stands([])  # by a keeper that holds nothing yet
    try:
        read_all(fixture.ledger, crowd)
        if alarms := fixture.ledger.keeper.alarms():
            raise Wrong(f"an alarm where nobody lied: {alarms[0]}")
    finally:
        fixture.close()
    return killed(done.code), done.trace


def _end_rotation(trial: Trial) -> None:
    """Run it again: nothing is under an older root, and none is there."""
    settings = trial.settings
    done = rotate_root(settings, FilePlace())
    roots = record_roots(settings)
    if [one.generation for one in show_roots(settings)] != [done.generation]:
        raise Wrong(f"older roots are needed after root {done.generation}: {show_roots(settings)}")
    if roots.there() != [done.generation]:
        raise Wrong(f"roots {roots.there()} are there, expected {done.generation} alone")
    left = {path.name for path in settings.roots().glob("record.root*")}
    if left != {roots.path(done.generation).name}:
        raise Wrong(f"files of roots: {sorted(left)}")


def _end_renewal(trial: Trial) -> None:
    """Run it again: each subject has one KEK, and nothing is lost."""
    ledger = trial.fixture.ledger
    done = Renewing(ledger.keys, ledger.keeper).all(trial.settings.data)
    if done.lost:
        raise Lost(f"keys that no KEK opens: {done.lost}")
    subjects = ledger.keys.subjects("", SUBJECTS)
    several = {s: v for s, v in ledger.keeper.versions(subjects).items() if len(v) != 1}
    if several:
        raise Wrong(f"KEKs that are left: {several}")


COMMANDS: dict[str, tuple[Callable[..., None], Callable[[Trial], None]]] = {
    "root rotate": (rotate, _end_rotation),
    "keys renew": (renew, _end_renewal),
}
"""What is killed, and how it is ended."""


@cache
def all_faults(engine: str, what: str) -> list[Fault]:
    """A kill at every system call of a command."""
    with with_records(engine) as trial:
        lines = [broken(trial, what, tracing.counting())[1].splitlines() for _ in range(2)]
    return [fault for fault in tracing.faults("main", lines[-1]) if fault.kind == "SIGKILL"]


def sample(part: Part, what: str) -> list[tuple[int, Fault]]:
    """The kills of a part, by number; the whole list is dealt in a random order by the seed, locks last."""
    if part.only:
        command, _, fault = part.only.partition(": ")
        return [(0, Fault.parse(fault))] if command == what else []
    dealt = list(enumerate(all_faults(part.engine, what)))
    random.Random(part.seed).shuffle(dealt)
    dealt.sort(key=lambda one: one[1].call == "fcntl")
    return dealt[part.first : part.first + part.count]


def run(part: Part) -> list[Tally]:
    """The kills of one part; the root has nothing to do with the database, so it is rotated on one engine."""
    tallies = []
    for what in COMMANDS:
        if what == "root rotate" and part.engine != "sqlite":
            continue
        if cases := sample(part, what):
            tallies.append(_driven(part, what, cases))
    return tallies


def _driven(part: Part, what: str, cases: list[tuple[int, Fault]]) -> Tally:
    return drive(
        part,
        f"{what} killed, readings go on",
        cases,
        lambda trial, fault, _: broken(trial, what, fault.options())[0],
        lambda: with_records(part.engine),
        lambda number, fault: part.again(number, f"{what}: {fault}"),
    )
