"""Fault injection: many cases of one kind against ledgers that are made anew every so often, and the table of it."""

from __future__ import annotations

import functools
import gc
import logging
import os
import random
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.util import Finalize
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from api.app.settings import Settings
from tests.deep.load import PATIENTS, Crowd, found
from tests.deep.witness import Lost, Witness, everything_holds
from tests.support.ledger_fixture import LedgerFixture
from tests.support.postgres import Cluster

C = TypeVar("C")
ENGINES = ("sqlite", "postgresql")
CASES_A_FIXTURE = 50
"""Cases until a new ledger; what one of them breaks shows within so many."""
FAILURES_TOLD = 10
"""Failures of one part that are told in full; the others are counted."""
ERROR_CHARACTERS = 20_000


@dataclass(frozen=True)
class Part:
    """The cases `first` to `first + count` of a kind on an engine: what one process does in one go."""

    kind: str
    engine: str
    seed: int
    first: int
    count: int
    only: str = ""
    """The one case to do, in the words of its kind; the first of the part if empty."""

    def chance(self, number: int) -> random.Random:
        """Of one case: the same whatever ran before."""
        return random.Random(f"{self.seed} {self.kind} {self.engine} {number}")

    def again(self, number: int, only: str = "") -> str:
        """The command that repeats one case."""
        which = f"--only '{only}'" if only else f"--first {number} --size 1"
        return f"python -m tests.deep {self.kind} --engine {self.engine} --seed {self.seed} {which}"


@dataclass
class Tally:
    """A row of the table: how many cases of one kind of fault, and how they ended."""

    fault: str
    engine: str
    runs: int = 0
    met: int = 0
    """Cases in which the fault was met."""
    acknowledged: int = 0
    lost: int = 0
    wrong: int = 0
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is worth telling beside the row."""

    def add(self, other: Tally) -> None:
        """Take in what another part of the same kind counted."""
        for name in ("runs", "met", "acknowledged", "lost", "wrong"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures += other.failures
        self.notes += other.notes

    def fail(self, error: BaseException, about: str, again: str) -> None:
        """Count a case that failed, and keep how to repeat it."""
        if isinstance(error, Lost):
            self.lost += 1
        else:
            self.wrong += 1
        if len(self.failures) < FAILURES_TOLD:
            text = f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS]
            if not isinstance(error, AssertionError):
                where = traceback.extract_tb(error.__traceback__)[-1]
                text += f" ({where.filename}:{where.lineno})"
            self.failures.append(f"{self.engine}, {about}: {text}\n    {again}")


@dataclass
class Trial:
    """A ledger, closed between cases, who acts in it, and what was acknowledged there."""

    folder: Path
    fixture: LedgerFixture
    crowd: Crowd
    witness: Witness

    @classmethod
    def found(
        cls, engine: str, patients: int = PATIENTS, folder: Path | None = None, blobs: str = ""
    ) -> Trial:
        """A new one on a database of its own; `folder`: where, by default a temporary one; `blobs`: as HEARTWOOD_BLOBS."""
        url = cluster().database() if engine == "postgresql" else ""
        place = folder or Path(tempfile.mkdtemp(prefix="heartwood-deep-"))
        settings = Settings(data=place / "data", database_url=url, blobs=blobs)
        fixture, crowd = found(settings, patients)
        return cls(place, fixture, crowd, Witness())

    @property
    def settings(self) -> Settings:
        """Of its ledger."""
        return self.fixture.settings

    def stands(self, lines: list[str]) -> None:
        """Open the ledger, with every check of the start; what was acknowledged must stand. Leaves it open."""
        self.fixture.reopen()
        self.witness.check(self.fixture.ledger, lines)

    def leave(self) -> None:
        """Remove it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        gc.unfreeze()  # each opening of a ledger freezes what is there
        gc.collect()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove it."""
        self.leave()


@functools.cache
def cluster() -> Cluster:
    """This process's PostgreSQL; stopped when it ends."""
    running = Cluster.start()
    Finalize(running, running.stop, exitpriority=10)
    return running


Case = Callable[[Trial, C, random.Random], bool]
"""Does one case, checks, leaves the ledger closed; gives whether the fault was met. Raises what is wrong."""


def drive(
    part: Part,
    fault: str,
    cases: Iterable[tuple[int, C]],
    case: Case[C],
    begin: Callable[[], Trial],
    again: Callable[[int, C], str],
    whole_every: int = 1,
) -> Tally:
    """Do the numbered cases, in trials that `begin` gives; `whole_every`: cases until the log is verified."""
    tally, trial, done = Tally(fault, part.engine), begin(), 0
    try:
        for number, one in cases:
            if done == CASES_A_FIXTURE:
                tally.acknowledged += trial.witness.acknowledged
                trial.leave()
                trial, done = begin(), 0
            tally.runs, done = tally.runs + 1, done + 1
            try:
                tally.met += case(trial, one, part.chance(number))
                if done % whole_every == 0 or done == CASES_A_FIXTURE:
                    whole(trial)
            except Exception as error:
                tally.fail(error, f"{fault}, {one}", again(number, one))
                done = CASES_A_FIXTURE
    finally:
        tally.acknowledged += trial.witness.acknowledged
        trial.leave()
    return tally


def whole(trial: Trial) -> None:
    """The whole log verifies, every decision is decided again, the views are compared with the log."""
    trial.fixture.reopen()
    try:
        everything_holds(trial.fixture)
    finally:
        trial.fixture.close()


def quiet() -> None:
    """The tracebacks that SQLAlchemy and psycopg log of what they raise as well are not printed, nor aiosmtpd's warnings."""
    for library in ("sqlalchemy", "psycopg", "mail.log"):
        logging.getLogger(library).addHandler(logging.NullHandler())


def root() -> bool:
    """Whether this process may mount and chmod means nothing to it."""
    return os.geteuid() == 0


def killed(code: int | None) -> bool:
    """Whether a child ended by SIGKILL."""
    return code == -signal.SIGKILL
