"""A crowd that uploads, grants, reads and registers in a child process, and the kills that end it."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from sqlalchemy.exc import DBAPIError

from api.app.settings import Settings
from client import beside, grants, registering
from client.local import LocalClient
from client.registering import NewPatient
from durable.errors import StorageError
from identity.actors import Actor, new_id, new_key
from journeys.errors import AccessDenied
from ledger.errors import Refused
from ledger.merkle import leaf_hash
from ledger.sequencer import Appended, Outcome, Proposal
from records import opening
from records.uploads import Upload
from storage.ledger import Ledger
from tests.deep.append_mutants import mutate
from tests.deep.report import POLL_SECONDS, Report
from tests.deep.witness import Wrong
from tests.support.child_processes import start
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture, Person

PATIENTS = 5
GRANT_SHARE = 0.6
"""Of the patients' acts, how many are grants; the rest are revocations."""
FIRST_SECONDS = 60.0
"""How long a child may take to its first acknowledgement."""
LONGEST_MS = 150
"""Latest moment of a kill after the first acknowledgement."""
PAUSE_SECONDS = 0.005
"""Between a failure that a child was told of and its next act."""
TOLD = (StorageError, DBAPIError, OSError, MemoryError)
"""How a fault may be told to who asked; whatever else comes out is a fault of the program."""

STACKS, STACK_SECONDS = ".stacks", 1.0
"""The file beside a report that stacks are written into, and how long that is waited for."""
TOLD_CHARACTERS = 200
"""Most of an error that is told: without its database a child meets thousands."""


NO_THREAD = "can't start new thread"
"""How Python tells that there is no memory for another thread."""


@dataclass(frozen=True)
class Crowd:
    """Who acts in a child: a hospital's system, a doctor of another hospital, and patients."""

    system: Actor
    doctor: Actor
    patients: tuple[Person, ...]


def found(settings: Settings, patients: int = PATIENTS) -> tuple[LedgerFixture, Crowd]:
    """A ledger, closed, and who will act in it."""
    fixture = LedgerFixture.found(settings)
    people = tuple(fixture.person() for _ in range(patients))
    crowd = Crowd(fixture.north.system, fixture.doctor(), people)
    fixture.close()
    return fixture, crowd


# In the child.


class Telling(Ledger):
    """A ledger that reports each acknowledged event: its id, number and leaf hash."""

    report: Report

    def append(self, proposals: Sequence[Proposal]) -> list[Outcome]:
        """Append, and report what is acknowledged."""
        outcomes = super().append(proposals)
        for outcome in outcomes:
            if isinstance(outcome, Appended):
                self.report.say(acknowledgement(outcome))
        return outcomes


def acknowledgement(outcome: Appended) -> str:
    """The line that tells of an acknowledged event."""
    entry = outcome.entry
    return f"{entry.event.id} {entry.link.seq} {leaf_hash(entry.raw).hex()}"


def act_for_ever(settings: Settings, crowd: Crowd, path: Path, seed: int, mutant: str = "") -> None:
    """Several threads act until somebody kills this process; any error is told and ends it."""
    if mutant:
        mutate(mutant)
    act(Telling(**vars(opened(settings))), crowd, Report(path), seed)


def act_on(settings: Settings, crowd: Crowd, path: Path, seed: int) -> None:
    """The same, but what a fault may be told by is told, and the thread goes on."""
    act(Telling(**vars(opened(settings))), crowd, Report(path), seed, TOLD)


def act(
    ledger: Telling,
    crowd: Crowd,
    report: Report,
    seed: int,
    told: tuple[type[Exception], ...] = (),
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Let the threads act for ever; a line `told …` for each error of `told`, `error …` for others.

    `meanwhile`: done once all of them run.
    """
    ledger.report = report

    def repeat(one: Act, chance: random.Random) -> None:
        try:
            while True:
                try:
                    one(ledger, crowd, chance)
                except told as error:
                    report.say(f"told {type(error).__name__}: {error}"[:TOLD_CHARACTERS])
                    time.sleep(PAUSE_SECONDS)
                except RuntimeError as error:
                    if not told or f"{error}" != NO_THREAD:
                        raise
                    report.say(f"told {error}")
        except BaseException as error:
            report.say(f"error {error!r}")

    threads = [
        threading.Thread(target=repeat, args=(one, random.Random(seed + number)))
        for number, one in enumerate((_upload, _consent, _read, _register, _upload))
    ]
    for thread in threads:
        thread.start()
    meanwhile()
    for thread in threads:
        thread.join()


Act = Callable[[Ledger, Crowd, random.Random], None]


def _upload(ledger: Ledger, crowd: Crowd, chance: random.Random) -> None:
    one = chance.choice(crowd.patients)
    content = [chance.randbytes(chance.randrange(40_000))]
    many = [
        Upload(one.patient, "laboratory", "text/plain", content, title="Report")
        for _ in range(chance.randrange(1, 5))
    ]
    beside.upload(ledger, crowd.system, many)


def _consent(ledger: Ledger, crowd: Crowd, chance: random.Random) -> None:
    one = chance.choice(crowd.patients)
    if chance.random() < GRANT_SHARE:
        grants.grant(LocalClient(ledger), one.actor, one.patient, crowd.doctor.account)
        return
    try:
        grants.revoke(LocalClient(ledger), one.actor, one.patient, crowd.doctor.account)
    except Refused as refusal:
        if refusal.code != "unknown":  # nothing was granted so far
            raise


def _read(ledger: Ledger, crowd: Crowd, chance: random.Random) -> None:
    one = chance.choice(crowd.patients)
    actor = one.actor if chance.random() < 0.5 else crowd.doctor
    records = ledger.records_of(one.patient)
    if not records:
        return
    proposal = beside.reading(ledger, actor, chance.choice(records), "TREAT")
    try:
        for _ in opening.open_record(ledger, proposal).content:
            pass
    except AccessDenied:
        pass
    except Refused as refusal:
        if refusal.code != "too_many_refusals":
            raise


def _register(ledger: Ledger, crowd: Crowd, chance: random.Random) -> None:
    now = ledger.clock()
    new = NewPatient(new_id("pt", now), new_id("ac", now), "Kim", None, False, new_key())
    registering.register_patients(LocalClient(ledger), crowd.system, [new])


# In the parent.


class Acting:
    """Children that act at the same time, and what they told; they are killed at the end."""

    def __init__(self) -> None:
        """Nobody yet."""
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(TemporaryDirectory()))
        self.children: list[ForkServerProcess] = []
        self._reports: list[Report] = []

    def child(
        self, target: Callable[..., None], settings: Settings, crowd: Crowd, *given: object
    ) -> None:
        """Start one; `target` gets settings, crowd, the report's path and what else is given."""
        path = self._folder / f"{len(self.children)}"
        self._reports.append(Report(path))
        self.children.append(start(target, settings, crowd, path, *given))

    def wait(self) -> None:
        """Wait until each has acknowledged something, or told an error; raises Wrong if one does not."""
        deadline = time.monotonic() + FIRST_SECONDS
        while not all(report.lines() for report in self._reports):
            if any(child.exitcode is not None for child in self.children):
                raise RuntimeError("a child ended before it told anything")
            if time.monotonic() > deadline:
                raise Wrong(f"a child acknowledged nothing within {FIRST_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)

    def kill(self) -> None:
        """Kill all."""
        for child in self.children:
            child.kill()
        for child in self.children:
            child.join()

    @property
    def lines(self) -> list[str]:
        """What all of them told, errors included."""
        return [line for report in self._reports for line in report.lines()]

    def stacks(self, others: Iterable[int | None]) -> str:
        """Where the threads stand of children, and of `others` by their numbers: they write it beside their reports."""
        for pid in (*(child.pid for child in self.children), *others):
            if pid is not None:
                os.kill(pid, signal.SIGUSR1)
        time.sleep(STACK_SECONDS)
        files = sorted(self._folder.glob(f"*{STACKS}"))
        return "\n".join(path.read_text(errors="replace") for path in files)

    def acknowledged_each(self) -> list[int]:
        """How many events each of them was told are acknowledged; raises Wrong as `acknowledged`."""
        self.acknowledged()
        return [
            sum(not line.startswith("told ") for line in report.lines()) for report in self._reports
        ]

    def acknowledged(self) -> list[str]:
        """What they were told is acknowledged; raises Wrong at the first error of the program."""
        if errors := [line for line in self.lines if line.startswith("error ")]:
            raise Wrong(errors[0])
        return [line for line in self.lines if not line.startswith("told ")]

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill whoever lives, forget what they told."""
        self.kill()
        self._stack.close()


def run_and_kill(
    settings: Settings, crowd: Crowd, chance: random.Random, children: int = 1, mutant: str = "",
    target: Callable[..., None] = act_for_ever,
) -> list[str]:  # fmt: skip
    """Let children act, kill them some time after their first acknowledgements; what was acknowledged."""
    with Acting() as acting:
        for _ in range(children):
            acting.child(target, settings, crowd, chance.getrandbits(32), mutant)
        acting.wait()
        time.sleep(chance.random() * LONGEST_MS / 1000)
        acting.kill()
        return acting.acknowledged()
