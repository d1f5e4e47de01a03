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
from tests.support.people import Person, Town


@dataclass
class Place:
    """A town with three records of a patient; the second is the one that is damaged."""

    town: Town
    pat: Person
    ups: list[Uploaded]

    @property
    def hurt(self) -> Uploaded:
        """The record in the middle."""
        return self.ups[1]

    def path(self, blobs: Path | None = None) -> Path:
        """Its blob's file."""
        return (blobs or self.town.settings.data / "blobs") / self.hurt.blob[-2:] / self.hurt.blob

    def scrub(self, good: Path | None = None, later: int = 0) -> list[Finding]:
        """All findings."""
        ledger = self.town.ledger
        source = FileBlobs(good) if good else None
        return list(Scrub(ledger.stores, ledger.clock() + later, source).findings())

    def sql(self, statement: str) -> None:
        """One statement past everything."""
        with self.town.ledger.database.write() as connection:
            connection.exec_driver_sql(statement)


@pytest.fixture
def place(town: Town) -> Place:
    """The town and its records."""
    pat = town.person()
    return Place(town, pat, [town.record(pat) for _ in range(3)])


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
    "altered": (_flip, "has another SHA-256 than its entry says"),
    "longer": (_append, "bytes, its entry says"),
    "empty": (_empty, "has 0 bytes, its entry says"),
    "unreadable": (_unreadable, "can't be read: .*Input/output error"),
}
"""What happens to a blob's file, and what the finding says."""


def test_a_good_ledger(place: Place) -> None:
    """Nothing is found, also while somebody appends, and what is staged counts for nothing."""
    town, going = place.town, threading.Event()

    def append() -> None:
        while not going.is_set():
            town.record(place.pat)

    who = town.north.system
    caller = Caller(who.account, who.role, who.hospital, who.key.id)
    uploads.stage(town.ledger, caller, place.pat.patient, [b"x"])
    thread = threading.Thread(target=append)
    thread.start()
    try:
        for _ in range(5):
            assert place.scrub() == []
    finally:
        going.set()
        thread.join()


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_blob_is_named_and_put_right(place: Place, tmp_path: Path, damage: str) -> None:
    """With its entry, record and patient; then a good copy takes its place, and the bad one stays."""
    act, said = DAMAGES[damage]
    copies, hurt = tmp_path / "copies", place.hurt
    shutil.copytree(place.town.settings.data / "blobs", copies)
    act(place.path())
    (found,) = place.scrub()
    kind = {"longer": "altered", "empty": "altered"}.get(damage, damage)
    assert (found.what, found.seq, found.record, found.blob, found.patient, found.repaired) == (
        kind, hurt.seq, hurt.record, hurt.blob, place.pat.patient, "",
    )  # fmt: skip
    assert re.search(said, found.message), found.message
    (mended,) = place.scrub(copies)
    assert mended.repaired.startswith("put")
    assert place.scrub() == []
    aside = list(place.path().parent.glob(f"bad.{hurt.blob}.*"))
    assert len(aside) == (damage != "missing")
    assert all(str(path) in mended.repaired for path in aside)
    assert oct(place.path().stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_copy_is_not_taken(place: Place, tmp_path: Path, damage: str) -> None:
    """Neither one that is missing or altered; what lies there stays as it is."""
    copies = tmp_path / "copies"
    shutil.copytree(place.town.settings.data / "blobs", copies)
    DAMAGES[damage][0](place.path(copies))
    _flip(place.path())
    before = place.path().read_bytes()
    (found,) = place.scrub(copies)
    assert found.repaired == ""
    assert place.path().read_bytes() == before
    assert sorted(os.listdir(place.path().parent)) == sorted(
        up.blob for up in place.ups if up.blob[-2:] == place.hurt.blob[-2:]
    )
    place.path().unlink()


def test_keys_that_are_lost(place: Place) -> None:
    """Of a blob, a record, a patient, an account: each is named with the entry that needs it."""
    hurt, patient = place.hurt, place.pat.patient
    entry = place.town.ledger.stream(place.pat.stream, place.town.size())[0]
    place.sql(f"DELETE FROM blob_keys WHERE blob = '{hurt.blob}'")
    place.sql(f"DELETE FROM object_keys WHERE object = '{hurt.record}'")
    place.sql(f"DELETE FROM object_keys WHERE subject = '{patient}' AND object = '{patient}'")
    place.sql(f"DELETE FROM object_keys WHERE object = '{place.town.north.system.account}'")
    place.sql(f"UPDATE blob_keys SET size = size + 1 WHERE blob = '{place.ups[0].blob}'")
    found = place.scrub(later=2 * UNSWEPT_MS)
    assert [f.seq for f in found] == sorted(f.seq or 0 for f in found)
    told = {(f.what, f.seq, f.message.split(" is ")[0]) for f in found}
    assert {
        ("no key", hurt.seq, f"the key of {hurt.blob}"),
        ("no key", hurt.seq, f"the key of {hurt.record} of {patient}"),
        ("no key", entry.link.seq, f"the key of {patient} of {patient}"),
        ("other key", place.ups[0].seq, f"the key's row of {place.ups[0].blob} says otherwise"),
    } <= told
    assert len(told) == 5, told


def test_what_is_surplus(place: Place) -> None:
    """A blob nobody names and what was staged, once garbage collection should have come; before, neither."""
    town = place.town
    stray = new_id("bl", town.ledger.clock())
    town.ledger.blobs.put(stray, [b"x"])
    who = town.north.system
    caller = Caller(who.account, who.role, who.hospital, who.key.id)
    staged = uploads.stage(town.ledger, caller, place.pat.patient, [b"x"])
    assert place.scrub(later=UNSWEPT_MS - 60_000) == []
    found = place.scrub(later=UNSWEPT_MS + 60_000)
    assert [(f.what, f.seq, f.blob) for f in found] == [
        ("surplus", None, staged.blob),
        ("surplus", None, stray),
    ]


def test_an_altered_log(place: Place) -> None:
    """What the blobs are compared with must be the log itself."""
    raw = place.town.ledger.entry(place.hurt.seq).raw
    other = raw.replace(b'"purpose":"TREAT"', b'"purpose":"PATRQT"')
    with place.town.ledger.database.write() as connection:
        mark = "?" if place.town.ledger.database.sqlite else "%s"
        statement = f"UPDATE entries SET raw = {mark} WHERE seq = {mark}"
        connection.exec_driver_sql(statement, (other, place.hurt.seq))
    try:
        (found,) = place.scrub()
        assert found.what == "entry" and "do not lead to the root" in found.message
    finally:
        with place.town.ledger.database.write() as connection:
            connection.exec_driver_sql(statement, (raw, place.hurt.seq))


def test_by_command(place: Place, tmp_path: Path) -> None:
    """Without the roots, while the ledger is in use: 1 until all is put right."""
    settings, hurt = place.town.settings, place.hurt
    shutil.move(settings.data / "roots", tmp_path / "roots")
    shutil.copytree(settings.data / "blobs", tmp_path / "backup" / "blobs")
    ran = heartwood(settings, "scrub")
    assert (ran.code, ran.out.split(", ")[0]) == (0, f"3 blobs of {place.town.size()} entries")
    _flip(place.path())
    ran = heartwood(settings, "scrub")
    assert ran.code == 1
    assert ran.out.splitlines()[0] == (
        f"altered: entry {hurt.seq}: {hurt.blob} has another SHA-256 than its entry says (record {hurt.record})"
    )
    ran = heartwood(settings, "scrub", "--json")
    assert (ran.code, ran.json["wrong"], ran.json["findings"][0]["seq"]) == (1, 1, hurt.seq)
    ran = heartwood(settings, "scrub", "--repair-from", tmp_path / "backup")
    assert ran.code == 0 and "put right from the copy; the bad one is " in ran.out
    assert heartwood(settings, "scrub", "--repair-from", tmp_path / "nothing").code == 4
    assert heartwood(settings, "scrub", "--json").json["wrong"] == 0
    shutil.move(tmp_path / "roots", settings.data / "roots")
