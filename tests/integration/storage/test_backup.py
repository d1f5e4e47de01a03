"""Backup and restore: what comes back is what was there, what is missing shows, and half a backup is none."""

import random
import shutil
import signal
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from api.app.maintenance import opened_stores, secrets_of, target_of, upgrade_schema_of
from api.app.settings import Settings
from client import beside
from consent.auditor import audit_export
from durable.errors import StartRefused
from identity.actors import Caller
from records import opening, uploads
from records.uploads import Upload
from storage.blobs.files import FileBlobs
from storage.clock import wall_clock
from storage.errors import BackupRefused, BlobError
from storage.exports import write_export
from storage.maintenance.backup import BackedUp, back_up
from storage.maintenance.manifest import MANIFEST
from storage.maintenance.restore import check_backup, restore
from storage.maintenance.scrub import Scrub
from storage.sql.views import rebuild
from tests.integration.conftest import fresh_settings
from tests.integration.storage.test_upgrade import NEW, OLD, old_ledger
from tests.support.child_processes import start
from tests.support.commands import heartwood
from tests.support.copies import copy_ledger
from tests.support.inside import opened
from tests.support.ledger_fixture import CONTENT, LedgerFixture, Person, vkeys
from tests.support.workers import back_up_until

OTHER = {"sqlite": "postgresql", "postgresql": "sqlite"}
MOMENTS = (("os.link", 1), ("os.link", 2), ("os.rename", 1), ("os.rename", 2))
"""A child is killed right before it: the first blob, its end, the keeper's manifest, the manifest."""


@dataclass
class Home:
    """A closed ledger with a record and what is needed to act on it, and where its backups go."""

    fixture: LedgerFixture
    pat: Person
    record: str
    backup: Path
    keeper: Path

    @property
    def settings(self) -> Settings:
        """The ledger's."""
        return self.fixture.settings

    def back_up(self, settings: Settings | None = None) -> BackedUp:
        """A backup, as the command makes it."""
        return make_backup(settings or self.settings, self.backup, self.keeper)

    def restored(self, settings: Settings, keeper: Path | None = None) -> Settings:
        """The backup in another place."""
        restore(check_backup(self.backup, keeper or self.keeper), target_of(settings))
        return settings


def make_backup(settings: Settings, directory: Path, keeper: Path) -> BackedUp:
    """A backup, as the command makes it."""
    with opened_stores(settings, anchored=True) as stores:
        apart = (secrets_of(settings), keeper)
        return back_up(stores, settings.data / "heartwood.json", directory, wall_clock(), apart)


@pytest.fixture
def home(settings: Settings, tmp_path: Path) -> Home:
    """A ledger of several bundles of entries."""
    fixture = LedgerFixture.found(settings)
    pat = fixture.person("Patrick Meier")
    record = fixture.record(pat).record
    fixture.fill(pat, 600)
    fixture.record(pat)
    fixture.close()
    return Home(fixture, pat, record, tmp_path / "backup", tmp_path / "keeper")


def new_place(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """An empty place for a restored ledger."""
    return fresh_settings(engine, request, tmp_path / "new")


def grown(settings: Settings, pat: Person, records: int) -> int:
    """Append to a closed ledger; its size then."""
    ledger = opened(settings)
    for _ in range(records):
        one = Upload(pat.patient, "document", "text/plain", [b"later"])
        beside.upload(ledger, pat.actor, [one])
    size = ledger.head().size
    ledger.close()
    return size


def test_from_backup_to_work(
    home: Home, engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Back up, append more, lose the database: refused until accepted, then all goes on and all is good."""
    size, place = home.back_up().size, new_place(engine, request, tmp_path)
    more = grown(home.settings, home.pat, 2)
    assert more > size
    home.restored(
        place, home.settings.data
    )  # the old data directory is still there, its database isn't
    said = f"has {size} entries, and {more} were acknowledged.*accept-restore --as OPERATOR"
    with pytest.raises(StartRefused, match=said):
        opened(place)
    goes_on(
        home, place, f"continues from {size} entries; known to be lost: {more - size} acknowledged"
    )


def test_onto_the_other_engine_without_the_old_place(
    home: Home, engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """From the two backups alone: nobody can tell what is missing, so the start is refused as well."""
    size, place = home.back_up().size, new_place(OTHER[engine], request, tmp_path)
    grown(home.settings, home.pat, 1)
    home.restored(place)
    with pytest.raises(StartRefused, match=r"last checkpoint.* is missing.*accept-restore"):
        opened(place)
    modes = {
        path.stat().st_mode & 0o777
        for folder in (home.backup, home.keeper, place.data)
        for path in [folder, *folder.rglob("*")]
        if not path.name.endswith("lock") or folder != place.data
    }
    assert modes == {0o600, 0o700}
    goes_on(home, place, f"continues from {size} entries")


def goes_on(home: Home, place: Settings, said: str) -> None:
    """The operator accepts; then the ledger works, and log, decisions, views and blobs are good."""
    (operator,) = (place.data / "people").iterdir()
    ran = heartwood(place, "accept-restore", "--as", operator)
    assert ran.code == 0 and said in ran.out, ran
    ledger = opened(place)
    record = opening.find_record(ledger, home.record)
    proposal = beside.reading(ledger, home.pat.actor, record, "PATRQT")
    assert b"".join(opening.open_record(ledger, proposal).content) == CONTENT
    one = Upload(home.pat.patient, "document", "text/plain", [b"after"])
    beside.upload(ledger, home.pat.actor, [one])
    assert list(Scrub(ledger.stores, ledger.clock()).findings()) == []
    assert rebuild(ledger.store, swap=False).differences == {}
    target = place.data.with_name("export")
    write_export(ledger, target)
    ledger.close()
    keys = vkeys(place)
    assert audit_export(target, keys).wrong == ()
    ran = heartwood(place, "verify", target, "--vkey", place.data / "log.vkey")
    assert ran.code == 0, ran


def test_a_backup_while_others_append(home: Home, tmp_path: Path) -> None:
    """Consistent whatever instant it is of; the next one copies what is new alone, and takes its place."""
    ledger, going = opened(home.settings), threading.Event()
    staged: list[str] = []

    def append() -> None:
        caller = Caller(home.pat.actor.account, "patient", "", home.pat.actor.key.id)
        while not going.is_set():
            one = Upload(home.pat.patient, "document", "text/plain", [b"x"])
            beside.upload(ledger, home.pat.actor, [one])
            staged.append(uploads.stage(ledger, caller, home.pat.patient, [b"x"]).blob)

    thread = threading.Thread(target=append)
    thread.start()
    try:
        first, second = home.back_up(), home.back_up()
    finally:
        going.set()
        thread.join()
        ledger.close()
    assert first.findings == second.findings == []
    assert (first.copied, second.copied) == (first.blobs, second.blobs - first.blobs)
    assert second.size > first.size
    found = check_backup(home.backup, home.keeper)
    assert (found.about["size"], found.about["blobs"]) == (second.size, second.blobs)
    assert (
        len(list(home.backup.glob("snapshot-*"))) == len(list(home.keeper.glob("snapshot-*"))) == 1
    )
    with closing(sqlite3.connect(found.folder / "heartwood.db")) as copy:
        keyed = {blob for (blob,) in copy.execute("SELECT blob FROM blob_keys")}
    assert keyed == set(FileBlobs(home.backup / "blobs").list()) and len(keyed) == second.blobs
    assert staged and not keyed & set(staged), "a staged key without its blob could be named"


def test_a_killed_backup(home: Home) -> None:
    """The first one that is cut off is none; a later one leaves the one before as it was."""

    def kill(moment: tuple[str, int]) -> None:
        child = start(back_up_until, home.settings, home.backup, home.keeper, *moment)
        child.join()
        assert child.exitcode == -signal.SIGKILL, moment

    for moment in MOMENTS:
        kill(moment)
        with pytest.raises(BackupRefused, match="not a backup, or one that was interrupted"):
            check_backup(home.backup, None)
    size = home.back_up().size
    grown(home.settings, home.pat, 1)
    for moment in MOMENTS:
        kill(moment)
        assert check_backup(home.backup, home.keeper).about["size"] == size, moment
    assert home.back_up().size > size
    assert len(list(home.backup.glob("snapshot-*"))) == 1
    assert check_backup(home.backup, home.keeper).about["blobs"] == 3


def test_a_backup_of_an_older_schema(
    settings: Settings, engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Made before an upgrade, restored after it, on either engine: it comes back as it was, and is upgraded."""
    old = old_ledger(settings)
    make_backup(settings, tmp_path / "backup", tmp_path / "keeper")
    place = new_place(OTHER[engine], request, tmp_path)
    restore(check_backup(tmp_path / "backup", settings.data), target_of(place))
    with pytest.raises(StartRefused, match=r"older than .*heartwood upgrade"):
        opened(place, older=True)
    assert upgrade_schema_of(place) == (OLD, NEW)
    # Nothing was lost: the old directory's checkpoint came along, and nothing is to be accepted.
    ledger = opened(place, older=True)
    seq = old.read(ledger)
    assert ledger.head().size == seq + 1
    ledger.close()


@pytest.mark.parametrize("engine", ["sqlite"])
def test_one_altered_byte_anywhere(home: Home, tmp_path: Path) -> None:
    """In any file of both backups: refused before anything is written."""
    home.back_up()
    chance = random.Random(7)
    place = Settings(data=tmp_path / "new")
    files = [p for d in (home.backup, home.keeper) for p in sorted(d.rglob("*")) if p.is_file()]
    assert len(files) > 10
    for path in files:
        good = path.read_bytes()
        for _ in range(12 if path.name == MANIFEST else 2):
            if not good:
                continue
            data = bytearray(good)
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            path.write_bytes(data)
            with pytest.raises(BackupRefused):
                home.restored(place)
            assert not place.data.exists()
        path.unlink()
        if good:
            with pytest.raises(BackupRefused):
                home.restored(place)
        path.write_bytes(good)
    home.restored(place)


def test_where_it_is_not_restored(home: Home, tmp_path: Path) -> None:
    """Over nothing that is there: neither files nor tables."""
    home.back_up()
    with pytest.raises(
        StartRefused, match=r"is not empty; a backup is restored into a new directory"
    ):
        home.restored(home.settings)
    there = Settings(data=tmp_path / "new", database_url=home.settings.url())
    with pytest.raises(StartRefused, match=r"already has tables|already exists"):
        home.restored(there)
    assert not (tmp_path / "new").exists() or not any((tmp_path / "new").glob("heartwood.*"))


@pytest.mark.parametrize("engine", ["sqlite"])
def test_what_is_not_backed_up(home: Home, tmp_path: Path) -> None:
    """Not beside the keeper, not an older log over a newer one, not a database that the start refuses."""
    for apart in (home.backup, home.backup / "keeper", tmp_path):
        with pytest.raises(BackupRefused, match="are not separate"):
            make_backup(home.settings, home.backup, apart)
    older = copy_ledger(home.settings, tmp_path / "older")
    grown(home.settings, home.pat, 1)
    size = home.back_up().size
    with pytest.raises(
        BackupRefused, match=f"with {size} entries, and this log of .* does not extend"
    ):
        home.back_up(older)
    shutil.copy2(home.settings.data / "checkpoint", older.data)
    with pytest.raises(StartRefused, match="accept-restore"):
        make_backup(older, tmp_path / "another", tmp_path / "apart")
    assert check_backup(home.backup, home.keeper).about["size"] == size


@pytest.mark.parametrize("engine", ["sqlite"])
def test_what_cannot_be_had(home: Home, tmp_path: Path) -> None:
    """A bad blob is told and left out, the rest is kept; an older copy of it stays; and so for keys."""
    first = home.back_up()
    grown(home.settings, home.pat, 1)
    blobs = FileBlobs(home.settings.data / "blobs")
    newest = max(blobs.list())
    for blob in list(blobs.list()):
        blobs.remove(blob)
    old_keeper = tmp_path / "old keeper"
    shutil.copytree(home.keeper, old_keeper)
    ran = heartwood(home.settings, "backup", home.backup, "--keeper", home.keeper)
    assert ran.code == 1 and f"{newest} is not in the blob store" in ran.out
    assert ran.out.count("not in the backup") == 1
    place = Settings(data=tmp_path / "new")
    ran = heartwood(place, "restore", home.backup, "--keeper", home.keeper)
    assert ran.code == 1 and f"missing: {newest} was not good" in ran.out
    assert len(list(FileBlobs(place.data / "blobs").list())) == first.blobs
    with pytest.raises(BlobError):
        FileBlobs(place.data / "blobs").size(newest)
    # A keeper's store from before a patient was registered can't open that patient's keys.
    fixture = LedgerFixture(
        home.settings,
        opened(home.settings),
        home.fixture.operator,
        home.fixture.north,
        home.fixture.south,
    )
    late = fixture.person("Late")
    fixture.close()
    home.back_up()
    ran = heartwood(place, "restore", home.backup, "--keeper", old_keeper, "--check", "--json")
    assert (ran.code, late.patient in ran.json["without_kek"]) == (1, True)


@pytest.mark.parametrize("engine", ["sqlite"])
def test_by_command(home: Home, tmp_path: Path) -> None:
    """What the commands say: what is held, what is needed to open it, what comes next."""
    ran = heartwood(home.settings, "backup", home.backup)
    assert ran.code == 0
    assert ran.out.endswith(
        "2 of them new\nto open records from it you need roots, keeper and keys, which are NOT in it: name "
        "--keeper\n"
    )
    assert not [
        p
        for p in home.backup.rglob("*")
        if p.suffix in (".root", ".seed", ".key") or "kek" in p.name
    ]
    ran = heartwood(home.settings, "backup", home.backup, "--keeper", home.keeper, "--json")
    assert (ran.code, ran.json["copied"], ran.json["blobs"]) == (0, 0, 2)
    place = Settings(data=tmp_path / "new")
    ran = heartwood(place, "restore", home.backup, "--keeper", home.keeper, "--check")
    assert ran.code == 0 and ran.out.startswith("good: ") and not place.data.exists()
    ran = heartwood(place, "restore", home.backup, "--keeper", home.keeper)
    assert ran.code == 0 and "heartwood accept-restore --as OPERATOR" in ran.out
    assert heartwood(place, "restore", home.backup).code == 4
    assert heartwood(place, "backup", tmp_path / "of the restored").code == 4
    assert heartwood(place, "scrub").code == 0
