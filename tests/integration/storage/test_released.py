"""What released programs left behind is read, verified, audited, upgraded and restored."""

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from api.app.maintenance import believe_clock, upgrade_schema_of
from api.app.settings import Settings
from client import beside
from client.local import LocalClient
from client.readings import history
from consent.auditor import audit_export
from durable.errors import StartRefused
from identity.actors import Actor, read_keyfile
from journeys.errors import AccessDenied
from ledger.auditor import verify_export
from ledger.files import read_vkeys
from ledger.policies import edition_in_force
from ledger.registry import EDITION
from records import opening
from storage.clock import wall_clock
from storage.exports import write_export
from storage.ledger import Ledger
from storage.sql.views import rebuild
from tests.support.commands import heartwood
from tests.support.inside import opened
from tests.support.ledger_fixture import vkeys
from tests.support.paths import FIXTURES

RELEASED = sorted(FIXTURES.glob("v*.tar.xz"))


@dataclass(frozen=True)
class Left:
    """A folder as a released program left it."""

    folder: Path

    def actor(self, name: str) -> Actor:
        """One of the ledger's people."""
        people = self.folder / "ledger" / "people"
        return read_keyfile(next(people.glob(f"{name}*.key")))

    @property
    def operator(self) -> Path:
        """The operator's key file."""
        return next((self.folder / "ledger" / "people").glob("operator*.key"))

    @property
    def about(self) -> dict[str, object]:
        """The chart and its records."""
        found: dict[str, object] = json.loads(
            (self.folder / "ledger" / "people" / "about.json").read_text()
        )
        return found


@pytest.fixture(params=RELEASED, ids=lambda path: path.name.removesuffix(".tar.xz"))
def left(request: pytest.FixtureRequest, tmp_path: Path) -> Left:
    """Unpacked anew."""
    with tarfile.open(request.param) as archive:
        # Python 3.11.2 knows no filters yet; the archive is our own.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        archive.extractall(tmp_path)
    return Left(tmp_path)


@pytest.mark.parametrize("name", ["export", "export-of-ledger"])
def test_exports_verify_and_audit_as_they_did(left: Left, name: str) -> None:
    folder = left.folder / name
    keys = read_vkeys(folder / "log.vkey")
    assert verify_export(folder, keys).proven
    assert audit_export(folder, keys).wrong == ()


def test_a_database_is_upgraded_and_goes_on(left: Left) -> None:
    settings = Settings(data=left.folder / "ledger")
    with pytest.raises(StartRefused, match="heartwood upgrade"):
        opened(settings)
    believe_clock(settings, wall_clock())  # the last entry is as old as the release
    goes_on(left, settings)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_backup_is_restored_and_goes_on(
    left: Left, engine: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("cluster").database() if engine == "postgresql" else ""
    settings = Settings(data=left.folder / "restored", database_url=url)
    folders = (str(left.folder / "backup"), "--keeper", str(left.folder / "keeper"))
    assert heartwood(settings, "restore", *folders).code == 0
    believe_clock(settings, wall_clock())
    early = heartwood(settings, "accept-restore", "--as", left.operator)
    assert early.code == 4 and "run `heartwood upgrade`" in early.err
    # The schema comes first; that what was lost is to be declared is said together with it.
    half = heartwood(settings, "upgrade", "--as", left.operator)
    assert half.code == 4 and "accept-restore" in half.err
    assert half.err.endswith("Then run `heartwood upgrade` again.\n")
    accepted = heartwood(settings, "accept-restore", "--as", left.operator)
    assert accepted.code == 0, accepted.err
    goes_on(left, settings)


def goes_on(left: Left, settings: Settings) -> None:
    """Upgraded by its operator it opens, shows, refuses and records as this program does."""
    upgraded = heartwood(settings, "upgrade", "--as", left.operator)
    assert upgraded.code == 0, upgraded.err
    assert not upgrade_needed(settings)
    ledger = opened(settings)
    try:
        used(ledger, left)
        assert rebuild(ledger.store, swap=False).differences == {}
        target = left.folder / f"export-{settings.data.name}"
        write_export(ledger, target)
    finally:
        ledger.close()
    keys = vkeys(settings)
    report = verify_export(target, keys, since=left.folder / "export-of-ledger")
    assert (
        report.proven and report.since == verify_export(left.folder / "export-of-ledger", keys).size
    )
    assert audit_export(target, keys).wrong == ()


def upgrade_needed(settings: Settings) -> bool:
    before, after = upgrade_schema_of(settings)
    return before != after


def used(ledger: Ledger, left: Left) -> None:
    """What people of the old ledger do with it."""
    assert edition_in_force(ledger.policies()) == EDITION
    patient, chart = left.actor("patient"), str(left.about["patient"])
    records = [str(record) for record in left.about["records"]]  # type: ignore[attr-defined]
    for number, record in enumerate(records):
        found = opening.find_record(ledger, record)
        proposal = beside.reading(ledger, patient, found, "PATRQT")
        shown = opening.open_record(ledger, proposal)
        assert b"".join(shown.content) == f"result {number}".encode()
        assert shown.texts["title"] == f"Titel {number}"
    came_back = opening.find_record(ledger, str(left.about["came_back"]))
    strangers = beside.reading(ledger, left.actor("stranger"), came_back, "TREAT")
    with pytest.raises(AccessDenied, match="the refusal is entry"):
        opening.open_record(ledger, strangers)
    acts = history(LocalClient(ledger), patient, chart, "PATRQT").acts()
    assert [act.effect for act in acts].count("deny") == 2
