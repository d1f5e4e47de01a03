"""A small part of each kind of `make deep` that is about processes beside the server, and a bug that each must find."""

import random
from pathlib import Path

import pytest

from keeper.errors import KeeperRefused
from ledger.witnesses import WitnessPolicy
from tests.deep import erasing, injection, people, rotation, s3, tracing, witnesses
from tests.deep import keeper as keeper_kind
from tests.deep.injection import Part, Tally, Trial
from tests.deep.mail import Post
from tests.deep.people_mutants import MAIL_MUTANTS, SIGN_IN_MUTANTS
from tests.deep.tracing import Fault, StraceMissing, find_strace
from tests.deep.witness import Lost, Wrong
from tests.support.mail_server import mail_serving
from tests.support.postgres import Cluster
from tests.support.versitygw import GatewayMissing, built

SEED = 1
SQLITE = pytest.mark.parametrize("engine", ["sqlite"])
EARLY = r"missing|a reader meanwhile met|no KEK opens|unwrapped|no key"
FOUND = 10
"""Cases within which a bug must be found."""


@pytest.fixture(autouse=True)
def _this_cluster(
    engine: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault injection's PostgreSQL is the one that the other tests have."""
    if engine == "postgresql":
        running: Cluster = request.getfixturevalue("cluster")
        monkeypatch.setattr(injection, "cluster", lambda: running)


@pytest.fixture
def traced() -> None:
    """Skipped where nothing can be traced."""
    try:
        find_strace()
    except StraceMissing as missing:
        pytest.skip(str(missing))
    if not keeper_kind.may_trace():
        pytest.skip("no process may be traced here")


def assert_good(tallies: list[Tally]) -> None:
    """Nothing is lost or wrong, and faults were met."""
    assert tallies
    for tally in tallies:
        assert not tally.failures, "\n".join(tally.failures)
        assert (tally.lost, tally.wrong) == (0, 0)
        assert tally.met


# The key keeper.


def test_a_keeper_that_is_killed(engine: str, traced: None) -> None:
    """Under load and, on SQLite, at system calls of a release."""
    assert_good(keeper_kind.run(Part("keeper", engine, SEED, 0, 2)))


@SQLITE
def test_a_keeper_that_forgets_releases_is_found(tmp_path: Path) -> None:
    with (
        Trial.found("sqlite", folder=tmp_path / "trial") as trial,
        pytest.raises(Wrong, match=r"gets its key a second time|got its key twice"),
    ):
        keeper_kind.killed_under_load(
            trial, random.Random(SEED), "releases are remembered in memory"
        )


# Witnesses.


@SQLITE
def test_a_witness_that_is_killed(engine: str) -> None:
    assert_good(witnesses.run(Part("witness", "none", SEED, 0, 4)))


@SQLITE
def test_a_witness_that_keeps_nothing_is_found(tmp_path: Path) -> None:
    watched = witnesses.Watched.new(tmp_path / "w")
    with pytest.raises((Lost, Wrong), match=r"holds 0|two histories were cosigned|holds none"):
        _kill_mutants(watched)


def _kill_mutants(watched: witnesses.Watched) -> None:
    for number in range(FOUND):
        witnesses.killed_as_it_cosigns(watched, random.Random(number), mutant=True)


def test_a_feed_that_is_killed_before_bad_witnesses(engine: str) -> None:
    assert_good(witnesses.run(Part("witness", engine, SEED, 0, 2)))


@SQLITE
def test_cosignatures_that_dont_fit_are_found(tmp_path: Path) -> None:
    """What the checks say of a row that no witness signed."""
    with Trial.found("sqlite", patients=1, folder=tmp_path / "trial") as trial:
        trial.fixture.reopen()
        store = trial.fixture.ledger.store
        with trial.fixture.ledger.database.write() as connection:
            connection.exec_driver_sql("INSERT INTO cosignatures VALUES (1000, x'00')")
        policy = WitnessPolicy(quorum="none")
        with pytest.raises(Wrong, match="and no checkpoint"):
            witnesses.check_cosigned(trial, policy, [])
        with pytest.raises(Lost, match="not kept"):
            witnesses.check_cosigned(trial, policy, [5])
        assert store.cosigned_now() is None
        trial.fixture.close()


# Signing in, and mail.


def test_sign_ins_and_mail_that_are_killed(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under load and, on SQLite, at system calls."""
    monkeypatch.setattr(people, "SIGN_IN_FAULTS_A_RUN", 2)
    monkeypatch.setattr(people, "MAIL_FAULTS_A_RUN", 2)
    assert_good(people.run(Part("people", engine, SEED, 0, 1)))


@SQLITE
@pytest.mark.parametrize("name", SIGN_IN_MUTANTS)
def test_a_sign_in_with_a_bug_is_found(name: str, traced: None) -> None:
    """Killed at each call of what it writes as a second step, from the last on."""
    thread = "log" if name.startswith("the entry") else "main"
    with pytest.raises(Wrong, match=r"kept are|counts twice"):
        _kill_sign_ins(thread, name)


def _kill_sign_ins(thread: str, name: str) -> None:
    with people.begin("sqlite") as trial:
        lines = people.broken_sign_in(trial, thread, tracing.counting(), name).trace.splitlines()
    kills = [fault for fault in tracing.faults(thread, lines) if fault.kind == "SIGKILL"]
    writes = [fault for fault in kills if fault.call in ("pwrite64", "fdatasync")]
    for fault in writes[::-1][:FOUND]:
        with people.begin("sqlite") as trial:
            people.broken_sign_in(trial, fault.thread, fault.options(), name)


@SQLITE
@pytest.mark.parametrize("name", MAIL_MUTANTS)
def test_a_sender_with_a_bug_is_found(name: str, tmp_path: Path) -> None:
    signs = r"and didn't arrive|nothing brought about|tries are counted"
    with (
        mail_serving(tmp_path / "smtp") as server,
        pytest.raises((Lost, Wrong), match=signs),
    ):
        _kill_senders(Post(server), name)


def _kill_senders(post: Post, name: str) -> None:
    for number in range(FOUND):
        with people.begin("sqlite") as trial:
            people.sender_killed(trial, post, random.Random(number), name)


# Rotation.


def test_rotations_that_are_killed(engine: str, traced: None) -> None:
    assert_good(rotation.run(Part("rotation", engine, SEED, 0, 3)))


@SQLITE
@pytest.mark.parametrize("name", rotation.MUTANTS)
def test_a_rotation_that_destroys_too_early_is_found(name: str, traced: None) -> None:
    """Killed anywhere between, or met by a reader before it goes on."""
    what = "root rotate" if "root" in name else "keys renew"
    faults = [fault for fault in rotation.all_faults("sqlite", what) if fault.call != "flock"]
    with pytest.raises(Exception, match=EARLY):
        _kill_at(what, name, faults[len(faults) // 4 :: max(1, len(faults) // FOUND)])


def _kill_at(what: str, name: str, faults: list[Fault]) -> None:
    for fault in faults:
        with rotation.with_records("sqlite") as trial:
            rotation.broken(trial, what, fault.options(), name)


# Erasing.


def test_erasures_that_are_killed(engine: str, traced: None) -> None:
    assert_good(erasing.run(Part("erasure", engine, SEED, 0, 3)))


@SQLITE
@pytest.mark.parametrize("name", erasing.MUTANTS)
def test_an_erasure_that_loses_or_leaves_keys_is_found(name: str, traced: None) -> None:
    with erasing.soon():
        faults = [fault for fault in erasing.all_faults("sqlite") if fault.call != "flock"]
        some = faults[len(faults) // 4 :: max(1, len(faults) // FOUND)]
        with pytest.raises((Lost, Wrong, KeeperRefused)):
            _erase_at(name, some)


def _erase_at(name: str, faults: list[Fault]) -> None:
    for fault in faults:
        with rotation.with_records("sqlite") as trial:
            erasing.broken(trial, fault.options(), name)


# Blobs in S3.


@SQLITE
def test_kills_with_blobs_in_s3(engine: str) -> None:
    try:
        built()
    except GatewayMissing as missing:
        pytest.skip(str(missing))
    assert_good(s3.run(Part("s3", engine, SEED, 0, 2)))
