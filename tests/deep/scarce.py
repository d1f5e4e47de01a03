"""What runs out under load, and comes back: room on the disk, room in files, handles, memory, leave to write."""

from __future__ import annotations

import errno
import os
import random
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from api.app.settings import Settings
from identity.actors import write_keyfile
from tests.deep.injection import Part, Tally, Trial, drive, root
from tests.deep.load import TOLD, Acting, Crowd, Telling, act
from tests.deep.report import Report
from tests.deep.witness import Wrong
from tests.support.commands import heartwood
from tests.support.inside import opened

RUNS = 30
RUNS_A_PART = 15
AGAIN_SECONDS = 60.0
"""How long a process may take until it appends again; PostgreSQL's locks are waited for 30 s."""
SHORT_SECONDS = 0.1
"""How long something is short."""
DISK_BYTES = 48 * 1024 * 1024
"""Size of the small disk."""
LEAST_FREE, MOST_FREE = 0, 600_000
"""Bytes that are left on the disk when the load begins."""
HANDLES_LEFT = 4
MEMORY_LEFT = 6 * 1024 * 1024
FILE_LEFT, BLOB_LEFT = 300_000, 20_000


# In the child.


def act_short(settings: Settings, crowd: Crowd, path: Path, seed: int, what: str) -> None:
    """Act for ever; the limit `what` is lowered once, for a moment. `short` and `enough` are told around it."""
    report, chance = Report(path), random.Random(seed)
    ledger = Telling(**vars(opened(settings)))
    kind, least = LIMITS[what]

    def lower() -> None:
        time.sleep(chance.random() * SHORT_SECONDS)
        soft, hard = resource.getrlimit(kind)
        limit = least(chance, settings)
        report.say("told short")
        resource.setrlimit(kind, (limit, hard))
        time.sleep(SHORT_SECONDS)
        resource.setrlimit(kind, (soft, hard))
        report.say("told enough")

    act(ledger, crowd, report, seed, TOLD, lower)


def _handles(chance: random.Random, _: Settings) -> int:
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    return highest + 1 + chance.randrange(HANDLES_LEFT)


def _memory(chance: random.Random, _: Settings) -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize() + chance.randrange(MEMORY_LEFT)


def _files(chance: random.Random, settings: Settings) -> int:
    wal = settings.data / "heartwood.db-wal"
    if wal.exists():
        return wal.stat().st_size + chance.randrange(FILE_LEFT)
    return chance.randrange(BLOB_LEFT)


LIMITS: dict[str, tuple[int, Callable[[random.Random, Settings], int]]] = {
    "handles": (resource.RLIMIT_NOFILE, _handles),
    "memory": (resource.RLIMIT_AS, _memory),
    "files": (resource.RLIMIT_FSIZE, _files),
}
"""What a process may run short of by itself, and how far it is lowered."""


def act_told(settings: Settings, crowd: Crowd, path: Path, seed: int) -> None:
    """Act for ever, telling what fails."""
    act(Telling(**vars(opened(settings))), crowd, Report(path), seed, TOLD)


# In the parent.


def _limited(what: str) -> Callable[[Trial, int, random.Random], bool]:
    def case(trial: Trial, number: int, chance: random.Random) -> bool:
        with Acting() as acting:
            acting.child(act_short, trial.settings, trial.crowd, chance.getrandbits(32), what)
            acting.wait()
            _until(acting, lambda: "told enough" in acting.lines)
            met = any(
                line.startswith("told ") and line[5:] not in ("short", "enough")
                for line in acting.lines
            )
            appends_again(acting)
            acting.kill()
            trial.stands(acting.acknowledged())
        trial.fixture.close()
        return met

    return case


def _until(acting: Acting, so: Callable[[], bool]) -> None:
    """Wait until it is so, or the children have ended by themselves; raises Wrong if it never is."""
    deadline = time.monotonic() + AGAIN_SECONDS
    while not so() and any(child.exitcode is None for child in acting.children):
        acting.acknowledged()  # raises what is an error of the program
        if time.monotonic() > deadline:
            raise Wrong(f"after {AGAIN_SECONDS:.0f} s: {acting.lines[-1:]}")
        time.sleep(0.005)


def appends_again(acting: Acting) -> None:
    """What was short is there again: wait until more is acknowledged, or the child has ended by itself."""
    before = len(acting.acknowledged())
    _until(acting, lambda: len(acting.acknowledged()) > before)


def fill(trial: Trial, chance: random.Random) -> bool:
    """The disk is nearly full when the load begins; a start on the full disk is good or told; then room comes back."""
    ballast = trial.folder / "ballast"
    with Acting() as acting:
        acting.child(act_told, trial.settings, trial.crowd, chance.getrandbits(32))
        acting.wait()
        _fill_up(ballast, chance.randrange(LEAST_FREE, MOST_FREE))
        _until(acting, lambda: any(line.startswith("told ") for line in acting.lines))
        if chance.random() < 0.5:
            time.sleep(chance.random() * SHORT_SECONDS)
            ballast.unlink()
            appends_again(acting)
        acting.kill()
        _start_is_told(trial)
        _one_line(trial, "upload")
        ballast.unlink(missing_ok=True)
        trial.stands(acting.acknowledged())
    trial.fixture.close()
    return True


def _fill_up(ballast: Path, free: int) -> None:
    """Leave about `free` bytes on the ballast's disk."""
    with ballast.open("wb") as file:
        while True:
            there = os.statvfs(ballast.parent)
            try:
                room = max(1, there.f_bavail * there.f_frsize - free)
                return os.posix_fallocate(file.fileno(), 0, room)
            except OSError as error:  # the load was faster
                if error.errno != errno.ENOSPC:
                    raise


def _start_is_told(trial: Trial) -> None:
    """The ledger opens, or says in words of ours why not."""
    try:
        trial.fixture.reopen()
        trial.fixture.close()
    except TOLD:
        pass


def read_only(trial: Trial, chance: random.Random) -> bool:
    """Nothing may be written: commands that would end with 4 and one line, and nothing is changed."""
    with Acting() as acting:
        acting.child(act_told, trial.settings, trial.crowd, chance.getrandbits(32))
        acting.wait()
        time.sleep(chance.random() * SHORT_SECONDS)
        acting.kill()
        _mount("-o", "remount,ro", f"{trial.folder}")
        try:
            _start_is_told(trial)
            met = _one_line(trial, "upload") != 0
        finally:
            _mount("-o", "remount,rw", f"{trial.folder}")
        trial.stands(acting.acknowledged())
    trial.fixture.close()
    return met


def _one_line(trial: Trial, command: str) -> int:
    """Run the command on this ledger; it goes well, or ends with 4 and one line. Its exit code."""
    system, patient = trial.crowd.system, trial.crowd.patients[0].patient
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.txt"
        report.write_text("haemoglobin 13.9 g/dl")
        key = write_keyfile(Path(folder) / "system.key", system, None)
        arguments = (report, "--patient", patient, "--category", "laboratory", "--as", key)
        done = heartwood(trial.settings, command, *arguments)
    good = done.code == 0 and not done.err
    told = done.code == 4 and done.err.startswith("heartwood: ") and done.err.count("\n") == 1
    if not good and not told:
        raise Wrong(f"`heartwood {command}` ends with {done.code} and says: {done.err}")
    return done.code


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@cache
def may_mount() -> bool:
    """Whether a small file system can be mounted here."""
    if not root():
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            _mount("-t", "tmpfs", "-o", "size=1m", "none", folder)
        except (OSError, subprocess.CalledProcessError):
            return False
        subprocess.run(["umount", folder], check=True)
    return True


class SmallDisk(Trial):
    """A ledger on a small disk of its own."""

    def leave(self) -> None:
        """Remove the disk as well."""
        subprocess.run(["umount", "--lazy", f"{self.folder}"], check=True)
        super().leave()


def _on_small_disk(engine: str) -> Trial:
    folder = Path(tempfile.mkdtemp(prefix="heartwood-deep-"))
    _mount("-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "none", f"{folder}")
    trial = Trial.found(engine, folder=folder)
    return SmallDisk(trial.folder, trial.fixture, trial.crowd, trial.witness)


def run(part: Part) -> list[Tally]:
    """Each scarcity of one part's runs; without leave to mount, a full disk is a limit of files' size alone."""
    rows: list[tuple[str, Callable[[Trial, int, random.Random], bool], Callable[[str], Trial]]] = [
        ("out of file handles", _limited("handles"), Trial.found),
        ("out of memory", _limited("memory"), Trial.found),
        ("files may not grow", _limited("files"), Trial.found),
    ]
    if may_mount():
        rows += [
            ("disk full (a small tmpfs)", lambda trial, _, chance: fill(trial, chance), _on_small_disk),
            ("read-only (a small tmpfs)", lambda trial, _, chance: read_only(trial, chance), _on_small_disk),
        ]  # fmt: skip
    numbers = range(part.first, part.first + part.count)
    return [
        drive(
            part, name, [(number, number) for number in numbers], case,
            lambda begin=begin: begin(part.engine),  # type: ignore[misc]
            lambda number, _: part.again(number),
        )
        for name, case, begin in rows
    ]  # fmt: skip
