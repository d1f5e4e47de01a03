"""The hospital that imports."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.app.settings import Settings
from tests.support.clinic import ORIGIN, Clinic
from tests.support.ledger_fixture import LedgerFixture


@pytest.fixture(scope="session")
def utc_template(tmp_path_factory: pytest.TempPathFactory) -> LedgerFixture:
    """A closed ledger to be copied, with hospitals whose day is UTC's."""
    settings = Settings(
        data=tmp_path_factory.mktemp("utc") / "data", database_url="", blobs="", root=None
    )
    made = LedgerFixture.found(settings, origin=ORIGIN, zone="Etc/UTC")
    made.close()
    return made


@pytest.fixture
def clinic(utc_template: LedgerFixture, tmp_path: Path) -> Iterator[Clinic]:
    """A hospital, with nothing imported yet."""
    made = Clinic(utc_template.copied(tmp_path / "data"))
    yield made
    made.ledger.close()
