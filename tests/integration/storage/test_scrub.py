"""Scrub: whatever is not as the log says is named, with its entry; good copies come back, bad ones stay aside."""

import os
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from identity.actors import Caller, new_id
from records import uploads
from records.uploads import Uploaded
from storage.blobs.files import FileBlobs
from storage.maintenance.scrub import UNSWEPT_MS, Finding, Scrub
from tests.support.commands import heartwood
from tests.support.ledger_fixture import LedgerFixture, Person


@dataclass(frozen=True)
class DamagedRecord:
    """A ledger with three records of a patient; the second is the one that is damaged."""

    fixture: LedgerFixture
    pat: Person
    ups: list[Uploaded]

    @property
    def hurt(self) -> Uploaded:
        """The record in the middle."""
        return self.ups[1]

    def path(self, blobs: Path | None = None) -> Path:
        """Its blob's file."""
        return (
            (blobs or self.fixture.settings.data / "blobs") / self.hurt.blob[-2:] / self.hurt.blob
        )

    def scrub(self, good: Path | None = None, later: int = 0) -> list[Finding]:
        """All findings."""
        ledger = self.fixture.ledger
        source = FileBlobs(good) if good else None
        return list(Scrub(ledger.stores, ledger.clock() + later, source).findings())

    def sql(self, statement: str) -> None:
        """One statement past everything."""
        with self.fixture.ledger.database.write() as connection:
            connection.exec_driver_sql(statement)


@pytest.fixture
def damaged(fixture: LedgerFixture) -> DamagedRecord:
    """The ledger and its records."""
    pat = fixture.person()
    return DamagedRecord(fixture, pat, [fixture.record(pat) for _ in range(3)])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _unreadable(path: Path) -> None:
    """Reading it fails with EIO: the first page of this process's memory."""
    path.unlink()
    path.symlink_to("/proc/self/mem")


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (Path.unlink, "is not in the blob store"),
    "altered": (_flip, "does not have the SHA-256 that its entry says"),
    "longer": (_append, "bytes, its entry says"),
    "empty": (_empty, "has 0 bytes, its entry says"),
    "unreadable": (_unreadable, "can't be read: .*Input/output error"),
}
"""What happens to a blob's file, and what the finding says."""


def test_a_good_ledger(damaged: DamagedRecord) -> None:
    """Nothing is found, also while somebody appends, and what is staged counts for nothing."""
    fixture, going = damaged.fixture, threading.Event()

    def append() -> None:
        while not going.is_set():
            fixture.record(damaged.pat)

    who = fixture.north.system
    caller = Caller(who.account, who.role, who.hospital, who.key.id)
    uploads.stage(fixture.ledger, caller, damaged.pat.patient, [b"x"])
    thread = threading.Thread(target=append)
    thread.start()
    try:
        for _ in range(5):
            assert damaged.scrub() == []
    finally:
        going.set()
        thread.join()


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_blob_is_named_and_put_right(
    damaged: DamagedRecord, tmp_path: Path, damage: str
) -> None:
    """With its entry, record and patient; then a good copy takes its place, and the bad one stays."""
    act, said = DAMAGES[damage]
    copies, hurt = tmp_path / "copies", damaged.hurt
    shutil.copytree(damaged.fixture.settings.data / "blobs", copies)
    act(damaged.path())
    (found,) = damaged.scrub()
    kind = {"longer": "altered", "empty": "altered"}.get(damage, damage)
    assert (found.what, found.seq, found.record, found.blob, found.patient, found.repaired) == (
        kind, hurt.seq, hurt.record, hurt.blob, damaged.pat.patient, "",
    )  # fmt: skip
    assert re.search(said, found.message), found.message
    (mended,) = damaged.scrub(copies)
    assert mended.repaired.startswith(("repaired", "restored"))
    assert damaged.scrub() == []
    aside = list(damaged.path().parent.glob(f"bad.{hurt.blob}.*"))
    assert len(aside) == (damage != "missing")
    assert all(str(path) in mended.repaired for path in aside)
    assert oct(damaged.path().stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_copy_is_not_taken(damaged: DamagedRecord, tmp_path: Path, damage: str) -> None:
    """Neither one that is missing or altered; what lies there stays as it is."""
    copies = tmp_path / "copies"
    shutil.copytree(damaged.fixture.settings.data / "blobs", copies)
    DAMAGES[damage][0](damaged.path(copies))
    _flip(damaged.path())
    before = damaged.path().read_bytes()
    (found,) = damaged.scrub(copies)
    assert found.repaired == ""
    assert damaged.path().read_bytes() == before
    assert sorted(os.listdir(damaged.path().parent)) == sorted(
        up.blob for up in damaged.ups if up.blob[-2:] == damaged.hurt.blob[-2:]
    )
    damaged.path().unlink()


def test_keys_that_are_lost(damaged: DamagedRecord) -> None:
    """Of a blob, a record, a patient, an account: each is named with the entry that needs it."""
    hurt, patient = damaged.hurt, damaged.pat.patient
    entry = damaged.fixture.ledger.stream(damaged.pat.stream, damaged.fixture.size())[0]
    damaged.sql(f"DELETE FROM blob_keys WHERE blob = '{hurt.blob}'")
    damaged.sql(f"DELETE FROM object_keys WHERE object = '{hurt.record}'")
    damaged.sql(f"DELETE FROM object_keys WHERE subject = '{patient}' AND object = '{patient}'")
    damaged.sql(f"DELETE FROM object_keys WHERE object = '{damaged.fixture.north.system.account}'")
    damaged.sql(f"UPDATE blob_keys SET size = size + 1 WHERE blob = '{damaged.ups[0].blob}'")
    found = damaged.scrub(later=2 * UNSWEPT_MS)
    assert [f.seq for f in found] == sorted(f.seq or 0 for f in found)
    told = {(f.what, f.seq, f.message.split(" is ")[0]) for f in found}
    assert {
        ("no key", hurt.seq, f"the key of {hurt.blob}"),
        ("no key", hurt.seq, f"the key of {hurt.record} of {patient}"),
        ("no key", entry.link.seq, f"the key of {patient} of {patient}"),
        ("other key", damaged.ups[0].seq, f"the key's row of {damaged.ups[0].blob} does not match"),
    } <= told
    assert len(told) == 5, told


def test_what_is_surplus(damaged: DamagedRecord) -> None:
    """A blob nobody names and what was staged, once garbage collection should have come; before, neither."""
    fixture = damaged.fixture
    stray = new_id("bl", fixture.ledger.clock())
    fixture.ledger.blobs.put(stray, [b"x"])
    who = fixture.north.system
    caller = Caller(who.account, who.role, who.hospital, who.key.id)
    staged = uploads.stage(fixture.ledger, caller, damaged.pat.patient, [b"x"])
    assert damaged.scrub(later=UNSWEPT_MS - 60_000) == []
    found = damaged.scrub(later=UNSWEPT_MS + 60_000)
    assert [(f.what, f.seq, f.blob) for f in found] == [
        ("surplus", None, staged.blob),
        ("surplus", None, stray),
    ]


def test_an_altered_log(damaged: DamagedRecord) -> None:
    """What the blobs are compared with must be the log itself."""
    raw = damaged.fixture.ledger.entry(damaged.hurt.seq).raw
    other = raw.replace(b'"purpose":"TREAT"', b'"purpose":"PATRQT"')
    with damaged.fixture.ledger.database.write() as connection:
        mark = "?" if damaged.fixture.ledger.database.sqlite else "%s"
        statement = f"UPDATE entries SET raw = {mark} WHERE seq = {mark}"
        connection.exec_driver_sql(statement, (other, damaged.hurt.seq))
    try:
        (found,) = damaged.scrub()
        assert found.what == "entry" and "do not lead to the root" in found.message
    finally:
        with damaged.fixture.ledger.database.write() as connection:
            connection.exec_driver_sql(statement, (raw, damaged.hurt.seq))


def test_by_command(damaged: DamagedRecord, tmp_path: Path) -> None:
    """Without the roots, while the ledger is in use: 1 until all is put right."""
    settings, hurt = damaged.fixture.settings, damaged.hurt
    shutil.move(settings.data / "roots", tmp_path / "roots")
    shutil.copytree(settings.data / "blobs", tmp_path / "backup" / "blobs")
    ran = heartwood(settings, "scrub")
    assert (ran.code, ran.out.split(", ")[0]) == (0, f"3 blobs of {damaged.fixture.size()} entries")
    _flip(damaged.path())
    ran = heartwood(settings, "scrub")
    assert ran.code == 1
    assert ran.out.splitlines()[0] == (
        f"altered: entry {hurt.seq}: {hurt.blob} does not have the SHA-256 that its entry says (record {hurt.record})"
    )
    ran = heartwood(settings, "scrub", "--json")
    assert (ran.code, ran.json["wrong"], ran.json["findings"][0]["seq"]) == (1, 1, hurt.seq)
    ran = heartwood(settings, "scrub", "--repair-from", tmp_path / "backup")
    assert ran.code == 0 and "repaired from the copy; the bad one is " in ran.out
    assert heartwood(settings, "scrub", "--repair-from", tmp_path / "nothing").code == 4
    assert heartwood(settings, "scrub", "--json").json["wrong"] == 0
    shutil.move(tmp_path / "roots", settings.data / "roots")
