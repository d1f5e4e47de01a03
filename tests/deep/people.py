"""People who sign in, and the sender of what they are told, killed: at random moments and at each system call.

Whatever a process was doing: entries and what is kept beside them say the same, what was shown counts once, and each
message arrives at least once under one Message-ID.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import psycopg

from api.app.settings import Settings
from tests.deep import tracing
from tests.deep.accounts import check_account, told_of
from tests.deep.calls import Traced, run_traced
from tests.deep.injection import Part, Tally, Trial, drive, killed
from tests.deep.load import FIRST_SECONDS, Acting
from tests.deep.mail import Post, send_for_ever, send_once
from tests.deep.report import POLL_SECONDS
from tests.deep.sign_ins import DID, THREADS, live_for_ever, sign_in_once
from tests.deep.tracing import Fault, StraceMissing, find_strace
from tests.deep.witness import Wrong
from tests.support.mail_server import mail_serving

RUNS = 60
RUNS_A_PART = 15
SIGN_IN_FAULTS_A_RUN = 4
"""Faults at system calls of a sign-in for each kill under load; there are about two hundred."""
MAIL_FAULTS_A_RUN = 4
"""The same, of a round of the sender."""
LONGEST_MS = 500
"""Latest moment of a kill after something was done: by then the first people are through with it all."""
WHOLE_EVERY = 10
"""Kills until the whole log is verified again."""
SETTLE_SECONDS = 30.0
"""How long PostgreSQL may go on with what a killed process asked of it."""
_COUNTED = 2
_SENDER = "sender"
"""What the thread of the sender is called in faults."""


def settled(settings: Settings) -> None:
    """Wait until the database has ended what dead processes asked of it; raises Wrong if it doesn't."""
    if not settings.database_url:
        return
    url = settings.database_url.replace("+psycopg", "")
    statement = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )
    deadline = time.monotonic() + SETTLE_SECONDS
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(statement).fetchone() != (0,):
            if time.monotonic() > deadline:
                raise Wrong("PostgreSQL still serves a process that was killed")
            time.sleep(0.01)


# Signing in.


def signing_in_killed(trial: Trial, chance: random.Random, mutant: str = "") -> int:
    """Kill a process in which people sign in; then everything is checked. Gives how many acts were under way."""
    with Acting() as acting:
        acting.child(live_for_ever, trial.settings, trial.crowd, chance.getrandbits(32), mutant)
        _some_time(acting, chance, lambda: any(line.startswith(DID) for line in acting.lines))
        acknowledged, lines = acting.acknowledged(), acting.lines
    _check_sign_ins(trial, acknowledged, lines)
    return sum(told.going is not None for told in told_of(lines))


def _some_time(acting: Acting, chance: random.Random, began: Callable[[], bool]) -> None:
    """Kill the children up to LONGEST_MS after something began; raises Wrong if it doesn't."""
    acting.wait()
    deadline = time.monotonic() + FIRST_SECONDS
    while not began():
        acting.acknowledged()  # raises what is an error of the program
        if time.monotonic() > deadline:
            raise Wrong(f"nothing is done within {FIRST_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    time.sleep(chance.random() * LONGEST_MS / 1000)
    acting.kill()


def broken_sign_in(trial: Trial, thread: str, options: list[str], mutant: str = "") -> Traced:
    """A sign-in during which strace acts on one thread; then everything is checked."""
    done = run_traced(trial, sign_in_once, options, thread, mutant)
    _check_sign_ins(trial, done.acknowledged, done.lines)
    return done


def _check_sign_ins(trial: Trial, acknowledged: list[str], lines: list[str]) -> None:
    settled(trial.settings)
    trial.stands(acknowledged)
    try:
        for told in told_of(lines):
            check_account(trial.fixture.ledger, told)
        trial.witness.check(trial.fixture.ledger, [])
    finally:
        trial.fixture.close()


# The sender.


def sender_killed(trial: Trial, post: Post, chance: random.Random, mutant: str = "") -> int:
    """Kill a process that sends what people are told; then everything is checked. Gives how many messages were under way."""
    before = len(post.server.taken)
    with Acting() as acting:
        acting.child(
            send_for_ever, trial.settings, trial.crowd, chance.getrandbits(32), mutant, *post.way
        )
        _some_time(acting, chance, lambda: len(post.server.taken) > before)
        acknowledged = acting.acknowledged()
    return _check_mail(trial, post, acknowledged)


def broken_round(trial: Trial, post: Post, options: list[str], mutant: str = "") -> Traced:
    """A round of the sender during which strace acts on its thread; then everything is checked."""
    done = run_traced(trial, send_once, options, mutant, *post.way)
    _check_mail(trial, post, done.acknowledged)
    return done


def _check_mail(trial: Trial, post: Post, acknowledged: list[str]) -> int:
    settled(trial.settings)
    trial.stands(acknowledged)
    try:
        return post.check(trial.fixture.ledger)
    finally:
        trial.fixture.close()


# All of it.


def begin(engine: str) -> Trial:
    """A new ledger."""
    return Trial.found(engine, patients=1)


@cache
def sign_in_faults() -> list[Fault]:
    """Kills, and failures of the disk, at every system call of a sign-in."""
    with begin("sqlite") as trial:
        lines = {
            thread: broken_sign_in(trial, thread, tracing.counting()).trace.splitlines()
            for _ in range(_COUNTED)
            for thread in THREADS
        }
    found = [fault for thread in THREADS for fault in tracing.faults(thread, lines[thread])]
    return [fault for fault in found if fault.kind in ("SIGKILL", "EIO", "ENOSPC")]


@cache
def mail_faults() -> list[Fault]:
    """Kills, and failures of disk and line, at every system call of a round."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mail_serving(Path(folder)) as server,
        begin("sqlite") as trial,
    ):
        lines = broken_round(trial, Post(server), tracing.counting()).trace.splitlines()
    return [f for f in tracing.faults(_SENDER, lines) if f.kind in ("SIGKILL", "EIO", "ECONNRESET")]


def sample(part: Part, found: Callable[[], list[Fault]], a_run: int) -> list[tuple[int, Fault]]:
    """The faults of a part, by number; the whole list is dealt in a random order by the seed."""
    dealt = list(enumerate(found()))
    random.Random(part.seed).shuffle(dealt)
    return dealt[part.first * a_run : (part.first + part.count) * a_run]


def run(part: Part) -> list[Tally]:
    """The kills of one part and, on SQLite, its faults at system calls."""
    with tempfile.TemporaryDirectory() as folder, mail_serving(Path(folder)) as server:
        post = Post(server)

        def sign_in_case(trial: Trial, fault: Fault, _: random.Random) -> bool:
            return _met(broken_sign_in(trial, fault.thread, fault.options()))

        def mail_case(trial: Trial, fault: Fault, _: random.Random) -> bool:
            return _met(broken_round(trial, post, fault.options()))

        tallies = []
        if not part.only:
            tallies += [
                _under_load(part, "people killed as they sign in", "acts", signing_in_killed),
                _under_load(
                    part,
                    "the sender killed under load",
                    "messages",
                    lambda trial, chance: sender_killed(trial, post, chance),
                ),
            ]
        if part.engine == "sqlite" and _may_trace():
            sign_ins, mails = _cases(part)
            if sign_ins:
                name = "faults at system calls of a sign-in"
                tallies.append(_broken(part, name, sign_ins, sign_in_case))
            if mails:
                name = "faults at system calls of the sender"
                tallies.append(_broken(part, name, mails, mail_case))
        for tally in tallies[-1:]:
            many = f"{len(post.twice)} of {len(post.known)}"
            tally.notes.append(f"{part.engine}: {many} messages came twice")
        return tallies


def _under_load(
    part: Part, name: str, what: str, kill: Callable[[Trial, random.Random], int]
) -> Tally:
    numbers, under_way = range(part.first, part.first + part.count), list[int]()

    def case(trial: Trial, _: int, chance: random.Random) -> bool:
        under_way.append(kill(trial, chance))
        return True

    tally = drive(
        part,
        name,
        [(number, number) for number in numbers],
        case,
        lambda: begin(part.engine),
        lambda number, _: part.again(number),
        WHOLE_EVERY,
    )
    tally.notes.append(f"{part.engine}, {name}: {sum(under_way)} {what} were under way")
    return tally


def _broken(
    part: Part, name: str, cases: list[tuple[int, Fault]], case: Callable[[Trial, Fault, random.Random], bool]
) -> Tally:  # fmt: skip
    return drive(
        part,
        name,
        cases,
        case,
        lambda: begin(part.engine),
        lambda number, fault: part.again(number, str(fault)),
        WHOLE_EVERY,
    )


def _cases(part: Part) -> tuple[list[tuple[int, Fault]], list[tuple[int, Fault]]]:
    if part.only:
        only = [(0, Fault.parse(part.only))]
        return ([], only) if only[0][1].thread == _SENDER else (only, [])
    return (
        sample(part, sign_in_faults, SIGN_IN_FAULTS_A_RUN),
        sample(part, mail_faults, MAIL_FAULTS_A_RUN),
    )


def _met(done: Traced) -> bool:
    return killed(done.code) or "(INJECTED)" in done.trace


def _may_trace() -> bool:
    try:
        find_strace()
    except StraceMissing:
        return False
    return True
