"""What the integration tests stand on: a real PostgreSQL, settings for both engines, a ledger with people."""

import functools
import gc
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.app.settings import Settings
from tests.support import exports
from tests.support.copies import drop_database
from tests.support.exports import Export
from tests.support.ledger_fixture import LedgerFixture
from tests.support.postgres import Cluster, PostgresMissing
from tests.support.versitygw import CREDENTIALS, Gateway, GatewayMissing

ENGINES = ("sqlite", "postgresql")
COLLECT_AFTER_TESTS = 10
"""A collection takes as long as half a test, and a closed ledger holds 2 MB, or more where it kept threads."""


@pytest.fixture(scope="session", autouse=True)
def _own_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The tester's own ledger doesn't count, nor what the tester knows of servers' logs, nor a session, nor keys of a cloud."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("HEARTWOOD_", "AWS_"))]:
            patch.delenv(name)
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(scope="session")
def tests_done() -> Iterator[int]:
    """Counts."""
    return itertools.count(1)


@pytest.fixture(autouse=True)
def _little_is_kept(tests_done: Iterator[int]) -> Iterator[None]:
    """What closed ledgers leave goes now and then: opening one freezes what is there, so nothing else collects it."""
    yield
    if next(tests_done) % COLLECT_AFTER_TESTS == 0:
        gc.unfreeze()
        gc.collect()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One PostgreSQL for each worker process; without a server its half is skipped, but never in CI."""
    try:
        running = Cluster.start()
    except PostgresMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
    with running:
        yield running


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    """One S3 server for each worker process; where none can be had each of its tests is skipped, by name."""
    try:
        running = Gateway.start()
    except GatewayMissing as missing:
        pytest.skip(str(missing))
    with running:
        yield running


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """The name of the database engine."""
    return str(request.param)


@pytest.fixture
def settings(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a ledger to be made, on a fresh database."""
    made = fresh_settings(engine, request, tmp_path)
    yield made
    if made.database_url:
        drop_database(made.database_url)


@pytest.fixture(scope="session")
def template(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], LedgerFixture]:
    """A closed ledger for each engine, to be copied: made when a test of a worker first wants it."""

    @functools.cache
    def made(engine: str) -> LedgerFixture:
        folder = tmp_path_factory.mktemp("template")
        first = LedgerFixture.found(fresh_settings(engine, request, folder))
        first.close()
        return first

    return made


@pytest.fixture
def fixture(
    engine: str, template: Callable[[str], LedgerFixture], tmp_path: Path
) -> Iterator[LedgerFixture]:
    """A ledger with people; whatever a test did to it, the whole log verifies afterwards."""
    yield from verified(template(engine).copied(tmp_path / "data"))


@pytest.fixture(scope="module", params=ENGINES)
def shared_fixture(
    request: pytest.FixtureRequest,
    template: Callable[[str], LedgerFixture],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LedgerFixture]:
    """A ledger for all tests of a module, which leave it as it was or only add to it."""
    yield from verified(template(request.param).copied(tmp_path_factory.mktemp("shared") / "data"))


def fresh_settings(engine: str, request: pytest.FixtureRequest, folder: Path) -> Settings:
    """Settings with a data directory in `folder`, and a fresh database."""
    url = ""
    if engine == "postgresql":
        running: Cluster = request.getfixturevalue("cluster")
        url = running.database()
    return Settings(data=folder / "data", database_url=url)


def verified(made: LedgerFixture) -> Iterator[LedgerFixture]:
    """A ledger that is verified, closed and removed in the end."""
    url = made.settings.database_url
    yield made
    try:
        made.verify()
    finally:
        made.close()
        if url:
            drop_database(url)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """An export of one bundle, with everybody in it."""
    return exports.small(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """An export of several bundles."""
    return exports.large(tmp_path_factory.mktemp("large"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a test writes an export."""
    return tmp_path / "export"
