"""A ledger whose blobs are in several stores: what one lacks or has wrong is read from another, healed, and told."""

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from api.app.opening import open_ledger
from api.app.settings import Settings
from client import readings
from client.beside import propose
from client.local import LocalClient
from crypto.encoding import b64encode
from durable.errors import StartRefused
from records import opening
from records.contents import HELD_BYTES
from records.ranges import read_range, ticket_of
from storage.blobs.files import FileBlobs
from storage.errors import BlobError
from storage.maintenance.garbage import Collected
from tests.integration.storage.test_sweeper import stage, swept_later
from tests.support.commands import heartwood
from tests.support.ledger_fixture import CONTENT, LedgerFixture, Person
from tests.support.lying_s3 import LyingS3, reset
from tests.support.server import serving

NAMES = ("east", "west", "north")
LARGE = os.urandom(HELD_BYTES + 100_000)


def three(folder: Path) -> str:
    """HEARTWOOD_BLOBS for three folders."""
    return " ".join(f"{name}=file:{folder / name}" for name in NAMES)


@pytest.fixture
def fixture(tmp_path: Path) -> Iterator[LedgerFixture]:
    made = LedgerFixture.found(Settings(data=tmp_path / "data", blobs=three(tmp_path)))
    yield made
    made.verify()
    made.close()


def path_of(folder: Path, name: str, blob: str) -> Path:
    """Where a store of the test keeps a blob."""
    return folder / name / blob[-2:] / blob


def _missing(path: Path, other: Path) -> None:
    path.unlink()


def _cut(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _altered(path: Path, other: Path) -> None:
    body = bytearray(path.read_bytes())
    body[-1] ^= 1
    path.write_bytes(body)


def _anothers(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


WRONG: dict[str, Callable[[Path, Path], None]] = {
    "missing": _missing, "cut short": _cut, "altered at its end": _altered, "another's": _anothers,
}  # fmt: skip


@pytest.mark.parametrize("content", [CONTENT, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("wrong", WRONG)
def test_what_one_store_has_wrong_is_read_from_another(
    fixture: LedgerFixture, tmp_path: Path, wrong: str, content: bytes
) -> None:
    """By a reading, one that is opened at the reader's end, a range and an export; scrub heals it."""
    pat = fixture.person()
    up, other = fixture.record(pat, content), fixture.record(pat, content)
    sealed = path_of(tmp_path, "north", up.blob).read_bytes()
    paths = [path_of(tmp_path, name, up.blob) for name in NAMES[:2]]
    for path in paths:
        WRONG[wrong](path, path_of(tmp_path, path.parent.parent.name, other.blob))
    ledger = fixture.ledger
    opened = opening.open_record(ledger, fixture.reading(pat.actor, up.record, "PATRQT"))
    gc.disable()  # it would close what was left open
    try:
        assert b"".join(opened.content) == content
        assert not _open_below(tmp_path, up.blob)
    finally:
        gc.enable()
    fixture.reopen()
    ledger = fixture.ledger
    ticket = ticket_of(ledger, ledger.tokens, opened.token, up.record)
    size = len(content)
    assert read_range(ledger.blobs, ticket, size - 2, size) == content[-2:]
    fixture.reopen()
    assert _sealed(fixture, pat, up.record) == sealed
    fixture.reopen()
    client = LocalClient(fixture.ledger)
    _, taken = readings.export(client, pat.actor, pat.patient, "PATRQT")
    assert {b"".join(one.content) for one in taken} == {content}
    ran = heartwood(fixture.settings, "scrub")
    assert ran.code == 0, ran.out
    for name in NAMES[:2]:
        assert f"{name}: {up.blob}" in ran.out
    assert ran.out.count("from north") == 2
    assert [path.read_bytes() for path in paths] == [sealed, sealed]
    assert "good" in heartwood(fixture.settings, "scrub").out


def _open_below(folder: Path, blob: str) -> list[str]:
    """The files of a blob that this process has open."""
    names = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    return [name for name in names if name.startswith(str(folder)) and name.endswith(blob)]


def _sealed(fixture: LedgerFixture, person: Person, record: str) -> bytes:
    reply = b64encode(X25519PrivateKey.generate().public_key().public_bytes_raw())
    (version,) = opening.find_record(fixture.ledger, record).versions
    body = {
        "blob": version.blob,
        "purpose": "PATRQT",
        "record": record,
        "reply": reply,
        "version": 1,
    }
    event = person.actor.event("record.opened", person.stream, body, fixture.ledger.clock())
    (asked,) = propose(fixture.ledger, person.actor, [event])
    return b"".join(opening.open_record(fixture.ledger, asked).content)


def test_wrong_in_every_store(fixture: LedgerFixture, tmp_path: Path) -> None:
    """Then the reading fails, and scrub says so of each, until a backup is at hand."""
    pat = fixture.person()
    up = fixture.record(pat)
    assert heartwood(fixture.settings, "backup", tmp_path / "backup").code == 0
    for name in NAMES:
        _altered(path_of(tmp_path, name, up.blob), Path())
    ran = heartwood(fixture.settings, "scrub")
    assert ran.code == 1 and all(f"{name}: {up.blob}" in ran.out for name in NAMES)
    ran = heartwood(fixture.settings, "scrub", "--repair-from", tmp_path / "backup")
    assert ran.code == 0 and ran.out.count("repaired from the copy") == 3


def test_backup_restore_and_a_store_that_is_replaced(
    fixture: LedgerFixture, tmp_path: Path
) -> None:
    """A backup takes what is right wherever it is; restored, each store has all; `move` fills a new one."""
    pat = fixture.person()
    ups = [fixture.record(pat) for _ in range(3)]
    staged = stage(fixture, pat)
    for name, up in zip(NAMES, ups, strict=True):
        path_of(tmp_path, name, up.blob).unlink()
    backup = tmp_path / "backup"
    assert heartwood(fixture.settings, "backup", backup).code == 0
    again = Settings(data=tmp_path / "again", blobs=three(tmp_path / "new"))
    assert heartwood(again, "restore", backup, "--keeper", fixture.settings.data).code == 0
    for name in NAMES:
        assert set(FileBlobs(tmp_path / "new" / name).list()) == {up.blob for up in ups}
    old = fixture.settings.blobs
    new = old.replace(f"north=file:{tmp_path / 'north'}", f"south=file:{tmp_path / 'south'}")
    ran = heartwood(fixture.settings, "blobs", "move", old, new, "--final")
    assert ran.code == 0 and "3 blobs of" in ran.out and "1 more that no entry names yet" in ran.out
    for name in ("east", "west", "south"):
        blobs = {up.blob for up in ups} | {staged.blob}
        assert set(FileBlobs(tmp_path / name).list()) == blobs
    with pytest.raises(StartRefused, match="this ledger's blobs are in east=file:"):
        open_ledger(fixture.settings)
    fixture.settings = Settings(data=fixture.settings.data, blobs=new)
    fixture.reopen()


def test_a_folder_becomes_several_stores(tmp_path: Path) -> None:
    config = Settings(data=tmp_path / "data")
    fixture = LedgerFixture.found(config)
    pat = fixture.person()
    up = fixture.record(pat)
    fixture.close()
    assert heartwood(config, "blobs", "move", "file:", three(tmp_path), "--final").code == 0
    fixture.settings = Settings(data=config.data, blobs=three(tmp_path), blobs_quorum=3)
    fixture.reopen()
    opened = opening.open_record(fixture.ledger, fixture.reading(pat.actor, up.record, "PATRQT"))
    assert b"".join(opened.content) == CONTENT
    fixture.close()


def test_one_store_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made without it; later all goes on, a server starts; what needs every store says which failed."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff._MAX_BACKOFF", 0.01)
    with LyingS3() as server:
        place = server.place
        s3 = f"s3://{place.bucket}/{place.prefix}?endpoint={place.endpoint}"
        blobs = f"bucket={s3} {three(tmp_path).rsplit(' ', 1)[0]}"
        config = Settings(data=tmp_path / "data", blobs=blobs)
        server.always[""] = reset
        ran = heartwood(config, "blobs", "check")
        assert (
            ran.code == 0 and "no bucket: answers: " in ran.out and "yes west: races: " in ran.out
        )
        every = Settings(data=config.data, blobs=blobs, blobs_quorum=3)
        ran = heartwood(every, "blobs", "check")
        assert ran.code == 1 and "NO bucket: answers: " in ran.out
        ran = heartwood(config, "init")
        assert ran.code == 4 and "bucket: answers: " in ran.err and not config.data.exists()
        server.always.clear()
        fixture = LedgerFixture.found(config)
        pat = fixture.person()
        first, staged = fixture.record(pat), stage(fixture, pat)
        server.always[""] = reset
        fixture.reopen()
        second = fixture.record(pat)
        with serving(config):
            pass
        for up in (first, second):
            asked = fixture.reading(pat.actor, up.record, "PATRQT")
            assert b"".join(opening.open_record(fixture.ledger, asked).content) == CONTENT
        swept = swept_later(fixture)
        assert swept.owed == {"bucket": [staged.blob]} and list(swept.silent) == ["bucket"]
        ran = heartwood(config, "scrub")
        assert ran.code == 1 and "store: bucket was not compared from here on: " in ran.out
        server.always.clear()
        assert swept_later(fixture) == Collected(strays=[staged.blob])
        ran = heartwood(config, "scrub")
        assert ran.code == 0 and f"bucket: {second.blob}" in ran.out and "restored from " in ran.out
        fixture.verify()
        fixture.close()


def test_a_large_copy_is_compared_once_before_it_is_streamed(
    fixture: LedgerFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For who opens it at the own end; after that it is compared as it is given, and never trusted once it was wrong."""
    pat = fixture.person()
    up = fixture.record(pat, LARGE)
    reads, read = list[str](), FileBlobs.read

    def counted(self: FileBlobs, blob: str, *rest: Any) -> Iterator[bytes]:
        reads.append(self.ledger() and str(self._directory.name))
        return read(self, blob, *rest)

    monkeypatch.setattr(FileBlobs, "read", counted)
    sealed = path_of(tmp_path, "east", up.blob).read_bytes()
    for expected in (["east", "east"], ["east"], ["east"]):
        reads.clear()
        assert _sealed(fixture, pat, up.record) == sealed
        assert reads == expected
    _altered(path_of(tmp_path, "east", up.blob), Path())
    with pytest.raises(BlobError, match="does not have the SHA-256"):
        _sealed(fixture, pat, up.record)
    assert _sealed(fixture, pat, up.record) == sealed
