"""Erasing a record, killed at each of its system calls, while the patient's other records are read.

Looked at again it is finished: neither key nor ciphertext of the record is left, and every other record opens. Three days are
a millisecond here, in both processes: the clocks stay right.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from unittest.mock import patch

from api.app.settings import Settings
from client import beside, erasing
from client.local import LocalClient
from durable.errors import NotFound
from ledger.facts import COMPLETED, Erasure, Record
from records.uploads import Upload
from storage.ledger import Ledger
from storage.maintenance.erasing import Erasing
from storage.maintenance.renewing import Renewed, Renewing
from storage.sql.database import ALONE_RETRY_SECONDS, CRASHED_SECONDS
from tests.deep import tracing
from tests.deep.calls import run_traced
from tests.deep.injection import Part, Tally, Trial, drive, killed
from tests.deep.load import Crowd
from tests.deep.report import Report
from tests.deep.rotation import read_all, reading_on, run_broken, with_records
from tests.deep.tracing import Fault
from tests.deep.witness import Lost, Wrong
from tests.support.inside import opened
from tests.support.ledger_fixture import CONTENT

MOST = 200
"""Kills on each engine; there are more system calls."""
KILLS_A_PART = 40
SOON_MS = 1
"""How long an erasure waits here."""


# In both.


@contextmanager
def soon() -> Iterator[None]:
    """Let erasures be due at once."""
    with (
        patch("ledger.types.erasures.ERASURE_WAIT_MS", SOON_MS),
        patch("keeper.recovering.ERASED_AFTER_MS", 0),
    ):
        yield


# In the child.


def erase(settings: Settings, crowd: Crowd, path: Path, mutant: str = "") -> None:
    """What a serving process does once an erasure is due, once it may be broken."""
    with soon():
        if mutant:
            MUTANTS[mutant]()
        there = opened(settings)
        run_broken(Report(path), Erasing(there).due)
        there.close()


# Bugs that must be found.


def _kek_first() -> None:
    true = Renewing.rewrap

    def rewrap(self: Renewing, subjects: list[str], done: Renewed) -> set[str]:
        kept = self.keeper.versions(subjects)
        self.keeper.destroy([(s, v) for s, versions in kept.items() for v in versions[:-1]])
        return true(self, subjects, done)

    Renewing.rewrap = rewrap  # type: ignore[method-assign, assignment]


def _keys_stay() -> None:
    Erasing._destroy_keys = lambda self, erasure: set()  # type: ignore[method-assign]


MUTANTS: dict[str, Callable[[], None]] = {
    "the KEK goes first": _kek_first,
    "the keys stay": _keys_stay,
}


# In the parent.


def asked(trial: Trial) -> str:
    """One more record of the first patient, who asks to erase it; gives the erasure."""
    one, there = trial.crowd.patients[0], trial.fixture.ledger
    upload = Upload(
        one.patient, "document", "text/plain", [CONTENT], title="Report", clinical_date="1980-01-01"
    )
    made = beside.upload(there, trial.fixture.north.system, [upload])[0]
    return erasing.erase(LocalClient(there), one.actor, one.patient, made.record)[0]


def finish(there: Ledger) -> None:
    """Look again, as a serving process does each minute: PostgreSQL may learn late that the one that was at it is gone."""
    deadline = time.monotonic() + CRASHED_SECONDS
    while (done := Erasing(there).due()) is None:
        if time.monotonic() > deadline:
            raise Wrong(f"after {CRASHED_SECONDS} s somebody else seems to erase still")
        time.sleep(ALONE_RETRY_SECONDS)
    if done.waiting:
        raise Wrong(f"an erasure waits: {done.waiting}")


def check_erased(there: Ledger, erasure: str) -> None:
    """It is completed, and nothing is left that could open the record; raises Wrong."""
    row = there.row(Erasure, erasure)
    if row is None or row.state != COMPLETED:
        raise Wrong(f"{erasure} is not completed: {row}")
    record = there.row(Record, row.record)
    blobs = set(there.blobs.list())
    for version in record.versions if record else ():
        if version.blob in blobs:
            raise Wrong(f"the ciphertext of {version.blob} is there after {erasure}")
        try:
            there.keys.blob_key(version.blob)
        except NotFound:
            continue
        raise Wrong(f"the key of {version.blob} is there after {erasure}")
    kept = there.keeper.versions([row.patient])[row.patient]
    if len(kept) != 1:
        raise Wrong(
            f"KEKs {kept} of {row.patient} are left after {erasure}, expected the newest alone"
        )


def broken(trial: Trial, options: list[str], mutant: str = "") -> tuple[bool, str]:
    """One erasure in a child, with what strace does to it; then it is looked at again, and everything checked.

    Whether it was killed, and what strace wrote. Raises Wrong or Lost.
    """
    fixture, crowd = trial.fixture, trial.crowd
    fixture.reopen()
    try:
        erasure = asked(trial)
        with reading_on(fixture.ledger, crowd):
            done = run_traced(trial, erase, options, mutant)
        finish(fixture.ledger)
        check_erased(fixture.ledger, erasure)
        read_all(fixture.ledger, crowd)
    finally:
        fixture.close()
    trial.stands([])  # by a keeper that holds nothing yet
    try:
        read_all(fixture.ledger, crowd)
        if alarms := fixture.ledger.keeper.alarms():
            raise Lost(f"an alarm where nobody lied: {alarms[0]}")
    finally:
        fixture.close()
    return killed(done.code), done.trace


@cache
def all_faults(engine: str) -> list[Fault]:
    """A kill at every system call of an erasure."""
    with with_records(engine) as trial:
        lines = [broken(trial, tracing.counting())[1].splitlines() for _ in range(2)]
    return [fault for fault in tracing.faults("main", lines[-1]) if fault.kind == "SIGKILL"]


def sample(part: Part) -> list[tuple[int, Fault]]:
    """The kills of a part, by number; the whole list is dealt in a random order by the seed, locks last."""
    if part.only:
        return [(0, Fault.parse(part.only))]
    dealt = list(enumerate(all_faults(part.engine)))
    random.Random(part.seed).shuffle(dealt)
    dealt.sort(key=lambda one: one[1].call == "fcntl")
    return dealt[part.first : part.first + part.count]


def run(part: Part) -> list[Tally]:
    """The kills of one part."""
    with soon():
        cases = sample(part)
        return [
            drive(
                part,
                "erasing killed, readings go on",
                cases,
                lambda trial, fault, _: broken(trial, fault.options())[0],
                lambda: with_records(part.engine),
                lambda number, fault: part.again(number, str(fault)),
            )
        ]
