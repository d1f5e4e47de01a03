"""A small part of `make deep`: faults at system calls, what runs out, torn writes, and mutants that are found."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from identity.actors import write_keyfile
from tests.deep import calls, finding, injection, scarce, torn
from tests.deep.append_mutants import APPEND_MUTANTS, AppendMutant
from tests.deep.injection import Part, Tally, Trial
from tests.deep.tracing import StraceMissing, find_strace
from tests.support.postgres import Cluster

SEED = 1
FAULTS = 16
"""Of some three thousand."""
STEPS = range(1, 8)
BROKEN_CALLS = {
    "sqlite": ("fdatasync:error=EIO", "pwrite64:error=ENOSPC", "openat:error=EMFILE lock"),
    "postgresql": ("recvfrom:error=EIO:when=30+", "fsync:error=EIO"),
}
"""What fails while a command runs, as strace is told it; of which file of the data directory, if of one."""


@pytest.fixture(autouse=True)
def _this_cluster(
    engine: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault injection's PostgreSQL is the one that the other tests have."""
    if engine == "postgresql":
        running: Cluster = request.getfixturevalue("cluster")
        monkeypatch.setattr(injection, "cluster", lambda: running)


@pytest.fixture
def strace() -> str:
    """The program; without it the test is skipped, but never in CI."""
    try:
        return find_strace()
    except StraceMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


def assert_good(tallies: list[Tally]) -> None:
    """Every kind was met, and nothing is lost or wrong."""
    for tally in tallies:
        assert not tally.failures, "\n".join(tally.failures)
        assert (tally.lost, tally.wrong) == (0, 0)
        assert tally.runs


def test_faults_at_system_calls(engine: str, strace: str) -> None:
    """A sample of the calls of start, upload and append, killed at or failed."""
    tallies = calls.run(Part("calls", engine, SEED, 0, FAULTS))
    assert_good(tallies)
    assert sum(tally.met for tally in tallies) > FAULTS / 2


def test_what_runs_out(engine: str) -> None:
    """Handles, memory, files, and where a small disk can be mounted its room, and leave to write."""
    assert_good(scarce.run(Part("scarce", engine, SEED, 0, 1)))


@pytest.mark.parametrize("engine", ["sqlite"])
def test_torn_writes(engine: str) -> None:
    """The end of the write-ahead log, an unfinished checkpoint, temporary files, the trusted checkpoint."""
    assert_good(torn.run(Part("torn", engine, SEED, 0, 1)))


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_mutant_of_each_step_is_found(engine: str, strace: str) -> None:
    """A mutant of each of the seven steps of the append transaction."""
    found = {
        one.step: finding.find(Part("finding", engine, SEED, 0, 1), name, one)
        for step in STEPS
        for name, one in [first_of(step, engine)]
    }
    assert list(found) == list(STEPS)


def first_of(step: int, engine: str) -> tuple[str, AppendMutant]:
    """The first bug of a step on an engine."""
    return next((n, p) for n, p in APPEND_MUTANTS.items() if p.step == step and engine in p.engines)


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_search_without_a_mutant_finds_none(engine: str, strace: str) -> None:
    """The search that finds the mutants fails without one."""
    harmless = AppendMutant(1, (), "", ("log fdatasync * EIO",))
    with pytest.raises(AssertionError, match="not found"):
        finding.find(Part("finding", engine, SEED, 0, 1), "", harmless)


@pytest.fixture
def trial(engine: str, tmp_path: Path) -> Iterator[Trial]:
    """A ledger and who acts in it."""
    with Trial.found(engine, patients=1, folder=tmp_path / "trial") as made:
        yield made


def test_the_command_line_says_it_in_one_line(
    trial: Trial, engine: str, strace: str, tmp_path: Path
) -> None:
    """Whatever fails while a command runs: exit code 4 and one line, without a traceback."""
    report, key = tmp_path / "report.txt", tmp_path / "system.key"
    report.write_text("haemoglobin 13.9 g/dl")
    write_keyfile(key, trial.crowd.system, None)
    patient = trial.crowd.patients[0].patient
    command = [
        *(sys.executable, "-c", "from api.cli import main; main()", "upload", f"{report}"),
        *("--patient", patient, "--category", "laboratory", "--as", f"{key}"),
    ]
    surroundings = {
        "HEARTWOOD_DATA": f"{trial.settings.data}",
        "HEARTWOOD_DATABASE_URL": trial.settings.database_url,
    }
    for fault in BROKEN_CALLS[engine]:
        what, _, file = fault.partition(" ")
        broken = [strace, "-f", "-o", "/dev/null", "-e", f"inject={what}"]
        broken += ["-P", f"{trial.settings.data / file}"] if file else []
        done = subprocess.run(
            [*broken, *command], env=os.environ | surroundings, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (4, ""), (fault, done)
        assert done.stderr.startswith("heartwood: "), fault
        assert done.stderr.count("\n") == 1, (fault, done.stderr)
    trial.stands([])
    trial.fixture.close()
