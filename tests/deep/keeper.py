"""The key keeper's process killed: under load at random moments, and at each system call with which it answers a reading.

Whatever it was doing: no reading gets its key twice, none gets it without an entry, whoever asked is told; and the keeper
that is started next goes on where this one was, without an alarm.
"""

from __future__ import annotations

import faulthandler
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keeper.child
from api.app.layout import keeper_place, pinned_keys
from api.app.opening import open_ledger
from api.app.settings import Settings
from client import beside
from keeper import messages
from keeper.endpoints import Address
from keeper.errors import KeeperRefused
from keeper.releases import Releases
from ledger.entry import Entry
from ledger.facts import sha256_of
from records import opening
from storage.evidence import ask_keeper, of_entries
from storage.feeding import feed
from storage.ledger import Ledger
from tests.deep import tracing
from tests.deep.injection import Part, Tally, Trial, drive, root
from tests.deep.load import STACKS, TOLD, Acting, Crowd, Telling, act
from tests.deep.report import Report
from tests.deep.tracing import Fault, Strace
from tests.deep.witness import Lost, Wrong
from tests.support.ledger_fixture import CONTENT

RUNS = 60
RUNS_A_PART = 15
FAULTS_A_RUN = 2
"""Faults at system calls for each kill under load; there are about a hundred."""
LONGEST_MS = 250
"""Longest time between two kills."""
MOST_KILLS = 3
"""Kills of the keeper while its callers go on."""
AGAIN_SECONDS = 60.0
"""How long they may take until a key is given again."""
ASKED_AGAIN = 20
"""Readings that are asked for once more, of each case: the last ones."""
USED = "has already received its key"
"""What is said of a reading whose key was given, or lost on its way."""
GIVEN = "told given "
_PEER_BYTES = 12
_PTRACE_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")


# A keeper that forgets: it must be found.


def _used_in_memory() -> None:
    known, true = set[str](), Releases._put

    def put(log: Releases, connection: Any, edge: Any, asked: Any) -> None:
        event = asked.reading.event
        if asked.once and event in known:
            asked.error = KeeperRefused(USED)
            return
        if asked.once:
            known.add(event)
        true(log, connection, edge, replace(asked, once=False))

    Releases._put = put  # type: ignore[method-assign, assignment]


MUTANTS: dict[str, Callable[[], None]] = {"releases are remembered in memory": _used_in_memory}


_WATCHED = (
    "import faulthandler, signal, sys; faulthandler.register(signal.SIGUSR1); {mutate}"
    "from keeper.process import be_child; sys.exit(be_child())"
)
"""A keeper that prints where its threads stand when it is sent SIGUSR1."""


@contextmanager
def quiet_keepers(mutant: str = "", stacks: Path = Path(os.devnull)) -> Iterator[None]:
    """The keepers that this process starts meanwhile print nothing of callers that died, but into `stacks`.

    With a name they have that bug.
    """
    mutate = f"from tests.deep.keeper import MUTANTS; MUTANTS[{mutant!r}](); " if mutant else ""
    code = _WATCHED.format(mutate=mutate)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "keeper"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" 2>>{stacks}\n')
        script.chmod(0o700)
        keeper.child.sys = SimpleNamespace(executable=str(script))  # type: ignore[attr-defined, assignment]
        try:
            yield
        finally:
            keeper.child.sys = sys  # type: ignore[attr-defined]


# In the child.


def act_and_tell(settings: Settings, crowd: Crowd, path: Path, seed: int, mutant: str = "") -> None:
    """Act for ever beside a keeper in a process of its own, telling what fails, and each key that it gives."""
    report, stacks = Report(path), path.with_suffix(STACKS)
    try:
        with quiet_keepers(mutant, stacks), stacks.open("a") as file:
            faulthandler.register(signal.SIGUSR1, file)
            _act_and_tell(settings, crowd, report, seed)
    except BaseException as error:
        report.say(f"error {error!r}")


def _act_and_tell(settings: Settings, crowd: Crowd, report: Report, seed: int) -> None:
    ledger = Telling(**vars(open_ledger(settings)))
    true = ledger.keeper.release

    def release(evidence: Any, *given: Any) -> Any:
        found = true(evidence, *given)
        if isinstance(found, bytes):
            report.say(f"{GIVEN}{Entry.parse(evidence.receipts[0].entry).event.id}")
        return found

    ledger.keeper.release = release  # type: ignore[method-assign, assignment]
    act(ledger, crowd, report, seed, TOLD)


# In the parent.


def keeper_pid(settings: Settings) -> int | None:
    """The process of a ledger's keeper; None where none listens."""
    keys = pinned_keys(settings)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(AGAIN_SECONDS)
        try:
            with Address(keeper_place(settings, keys).socket) as name:
                line.connect(name)
            raw = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_BYTES)
            messages.greet(line, keys[0].name)
            messages.ask(line, messages.ENDS, ())
        except (OSError, messages.Malformed):
            return None
    return int.from_bytes(raw[:4], sys.byteorder)


def kill_keeper(settings: Settings) -> bool:
    """Kill it, and wait until it is gone; False where there is none."""
    pid = keeper_pid(settings)
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    while _lives(pid):
        time.sleep(0.001)
    return True


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def killed_under_load(trial: Trial, chance: random.Random, mutant: str = "") -> bool:
    """Kill the keeper again and again while a process uses it; then everything is checked. Whether any was killed."""
    killed = 0
    with Acting() as acting:
        acting.child(act_and_tell, trial.settings, trial.crowd, chance.getrandbits(32), mutant)
        _gives_again(acting, trial.settings)
        for _ in range(chance.randint(1, MOST_KILLS)):
            time.sleep(chance.random() * LONGEST_MS / 1000)
            killed += kill_keeper(trial.settings)
            if chance.random() < 0.7:  # else the next kill may meet it as it starts
                _gives_again(acting, trial.settings)
        acting.kill()
        kill_keeper(trial.settings)
        lines = acting.lines
        trial.stands(acting.acknowledged())
    try:
        check_told(lines)
        given = [line.removeprefix(GIVEN) for line in lines if line.startswith(GIVEN)]
        check_keeper(trial.fixture.ledger, given)
    finally:
        trial.fixture.close()
    return killed > 0


def _gives_again(acting: Acting, settings: Settings) -> None:
    """Wait until one key more is given; raises Wrong if none is, with where the threads of both processes stand."""
    before, deadline = _given(acting), time.monotonic() + AGAIN_SECONDS
    while _given(acting) == before:
        acting.acknowledged()  # raises what is an error of the program
        if any(child.exitcode is not None for child in acting.children):
            raise Wrong(f"a child ended by itself: {acting.lines[-1:]}")
        if time.monotonic() > deadline:
            told = [line for line in acting.lines if line.startswith("told ") and GIVEN not in line]
            raise Wrong(
                f"no key is given for {AGAIN_SECONDS:.0f} s, of {len(acting.lines)} lines the last: {acting.lines[-1:]}, "
                f"of {len(told)} told: {told[-3:]}\n{acting.stacks([keeper_pid(settings)])}"
            )
        time.sleep(0.005)


def _given(acting: Acting) -> int:
    return sum(line.startswith(GIVEN) for line in acting.lines)


def check_told(lines: Sequence[str]) -> None:
    """A keeper that was killed refuses nothing but a second release; raises Wrong."""
    for line in lines:
        if line.startswith("told KeeperRefused") and USED not in line:
            raise Wrong(f"the keeper refuses what it was asked for: {line}")


def check_keeper(ledger: Ledger, given: Sequence[str]) -> None:
    """No key was given twice, or without an entry; the keeper stands where the log does, and raised no alarm."""
    if len(set(given)) != len(given):
        raise Wrong("a reading got its key twice")
    with ledger.database.read() as connection:
        known = ledger.store.known(connection, list(given))
    if missing := set(given) - known.keys():
        raise Lost(f"keys were given for readings without an entry: {missing}")
    for event in given[-ASKED_AGAIN:]:
        if asked_again(ledger, known[event]):
            raise Wrong(f"{event} gets its key a second time")
    size = ledger.head().size
    feed(ledger, size)
    stands, alarms = ledger.keeper.standing(), ledger.keeper.alarms()
    if alarms:
        raise Wrong(f"an alarm where nobody lied: {alarms[0]}")
    if (stands.read, stands.size, stands.root) != (size, size, ledger.root_at(size)):
        raise Wrong(f"the keeper has read {stands.read} of {size} entries, or others")


def asked_again(ledger: Ledger, entry: Entry) -> bool:
    """Whether a reading, which is an entry, gets a key when it is asked for once more; it may have been used."""
    body, shown = entry.event.body, of_entries(ledger, entry.link.seq)
    record = opening.find_record(ledger, body["record"])
    version = record.versions[body["version"] - 1]
    key = ledger.keys.of_version(version.blob, record.record, record.patient).blob
    try:
        ask_keeper(
            ledger, shown,
            lambda found: ledger.keeper.release(found, key, record.record, sha256_of(version)),
        )  # fmt: skip
        return True
    except KeeperRefused as refused:
        if USED not in str(refused):
            raise Wrong(f"asked again, the keeper says: {refused}") from refused
        return False


# At each system call.


def may_trace() -> bool:
    """Whether a process may be traced that isn't a child of the tracer."""
    return root() or not _PTRACE_SCOPE.exists() or _PTRACE_SCOPE.read_text().strip() == "0"


def broken_release(trial: Trial, options: list[str]) -> str:
    """A reading during which strace acts on the keeper's thread that answers; what strace wrote.

    Then everything is checked; raises Wrong.
    """
    with tempfile.TemporaryDirectory() as folder, quiet_keepers():
        ledger, log = open_ledger(trial.settings), Path(folder) / "strace"
        try:
            _read(
                ledger, trial.crowd, []
            )  # from here on one thread answers, and nothing is left to load
            given = list[str]()
            with Strace(_answering(trial.settings), log, options):
                event = _read(ledger, trial.crowd, given)
            said = log.read_text(errors="replace")
            with ledger.database.read() as connection:
                entry = ledger.store.known(connection, [event])[event]
            times = len(given) + sum(asked_again(ledger, entry) for _ in range(2))
            if times > 1:
                raise Wrong(f"a reading got its key {times} times")
            _read(ledger, trial.crowd, given)
            if given[-1:] == [event] or not given:
                raise Wrong("the next reading gets no key")
            check_keeper(ledger, given)
        finally:
            ledger.close()
    trial.stands([])
    trial.witness.acknowledged += len(given)
    try:
        check_keeper(trial.fixture.ledger, given)  # by another one, which holds nothing yet
    finally:
        trial.fixture.close()
    return said


def _answering(settings: Settings) -> int:
    """The keeper's one thread that answers: there is one caller."""
    pid = keeper_pid(settings)
    deadline = time.monotonic() + AGAIN_SECONDS
    while time.monotonic() < deadline:
        others = [int(name) for name in os.listdir(f"/proc/{pid}/task") if int(name) != pid]
        if len(others) == 1:  # the one of the look for its number ends at once
            return others[0]
        time.sleep(0.005)
    raise Wrong("the keeper has more threads than callers")


def _read(ledger: Ledger, crowd: Crowd, given: list[str]) -> str:
    """A reading, by the patient, of the newest record; its event's id, which is put into `given` if its key came."""
    one = crowd.patients[0]
    record = ledger.records_of(one.patient)[-1]
    proposal = beside.reading(ledger, one.actor, record, "PATRQT")
    try:
        content = b"".join(opening.open_record(ledger, proposal).content)
    except TOLD as error:
        check_told([f"told {type(error).__name__}: {error}"])
        return proposal.event.id
    if content != CONTENT:
        raise Wrong("a reading gave another content")
    given.append(proposal.event.id)
    return proposal.event.id


def _with_a_record(engine: str) -> Trial:
    trial = Trial.found(engine, patients=1)
    trial.fixture.reopen()
    trial.fixture.record(trial.crowd.patients[0], title="Report")
    trial.fixture.close()
    return trial


@cache
def all_faults() -> list[Fault]:
    """Kills, and failures of the disk, at every system call of an answer."""
    with _with_a_record("sqlite") as trial:
        lines = broken_release(trial, tracing.counting()).splitlines()
    kinds = ("SIGKILL", "EIO", "ENOSPC")
    return [fault for fault in tracing.faults("keeper", lines) if fault.kind in kinds]


def sample(part: Part) -> list[tuple[int, Fault]]:
    """The faults of a part, by number; the whole list is dealt in a random order by the seed."""
    if part.only:
        return [(0, Fault.parse(part.only))]
    dealt = list(enumerate(all_faults()))
    random.Random(part.seed).shuffle(dealt)
    first = part.first * FAULTS_A_RUN
    return dealt[first : first + part.count * FAULTS_A_RUN]


def run(part: Part) -> list[Tally]:
    """The kills of one part and, on SQLite, its faults at system calls."""
    tallies = []
    if not part.only:
        numbers = range(part.first, part.first + part.count)
        tallies.append(
            drive(
                part,
                "the key keeper killed under load",
                [(number, number) for number in numbers],
                lambda trial, _, chance: killed_under_load(trial, chance),
                lambda: Trial.found(part.engine),
                lambda number, _: part.again(number),
                whole_every=10,
            )
        )
    if part.engine == "sqlite" and may_trace() and (cases := sample(part)):
        tallies.append(
            drive(
                part,
                "faults at system calls of a release",
                cases,
                _case,
                lambda: _with_a_record(part.engine),
                lambda number, fault: part.again(number, str(fault)),
            )
        )
    return tallies


def _case(trial: Trial, fault: Fault, _: random.Random) -> bool:
    before = keeper_pid(trial.settings)
    assert before is None, "a keeper is left of the case before"
    said = broken_release(trial, fault.options())
    return "(INJECTED)" in said or "+++ killed by" in said
