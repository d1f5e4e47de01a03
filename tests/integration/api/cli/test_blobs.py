"""`blobs check` and `blobs move`; and nothing starts on a store that isn't the ledger's or isn't fit."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.app.settings import Settings
from durable.errors import StartRefused
from identity.actors import new_id
from records import opening
from storage.blobs.files import FileBlobs
from storage.blobs.place import S3Place, open_place
from storage.clock import wall_clock
from storage.errors import BlobError, BlobsUnavailable
from storage.maintenance.moving import Moved, move
from tests.support.commands import heartwood
from tests.support.inside import opened
from tests.support.ledger_fixture import CONTENT, LedgerFixture, Person
from tests.support.lying_s3 import LyingS3, status
from tests.support.server import serving
from tests.support.versitygw import Gateway


@pytest.fixture
def server() -> Iterator[LyingS3]:
    with LyingS3() as made:
        yield made


def content(fixture: LedgerFixture, person: Person, record: str) -> bytes:
    """What the patient reads of a record."""
    opened = opening.open_record(fixture.ledger, fixture.reading(person.actor, record, "PATRQT"))
    return b"".join(opened.content)


def setting(place: S3Place) -> str:
    """A place as HEARTWOOD_BLOBS names it."""
    return f"s3://{place.bucket}/{place.prefix}?endpoint={place.endpoint}&region={place.region}"


def test_check_says_what_an_endpoint_guarantees(gateway: Gateway, tmp_path: Path) -> None:
    """Of a good one, each guarantee in words; it needs no ledger, and leaves nothing."""
    place = gateway.place(versions=True)
    config = Settings(data=tmp_path / "none", blobs=gateway.setting(place))
    ran = heartwood(config, "blobs", "check")
    assert (ran.code, ran.err) == (0, "")
    for words in (
        "yes create-only: a second write under one name is refused, and the first stays\n",
        "yes races: of 8 writers of one name at once exactly one wins",
        "yes create-only in parts: ",
        "yes checksums: an object or a part whose SHA-256 is wrong is refused\n",
        "yes versions: older versions are kept\n",
        "no locks: none asked for",
        f"{place}: can be used for blobs\n",
    ):
        assert words in ran.out
    assert not config.data.exists()
    left = gateway.client().list_object_versions(Bucket=place.bucket)
    assert "Versions" not in left and "DeleteMarkers" not in left
    told = heartwood(
        config, "blobs", "check", gateway.setting(gateway.locked("COMPLIANCE")), "--json"
    )
    locks = {one["name"]: one for one in told.json["guarantees"]}["locks"]
    assert (told.code, locks["held"], locks["needed"]) == (0, True, True)


def test_check_of_a_lock_that_a_bucket_can_not_give(gateway: Gateway, tmp_path: Path) -> None:
    """Asked for, and not there: not fit, in words."""
    named = gateway.setting(gateway.place()) + "&lock=compliance&days=1"
    ran = heartwood(Settings(data=tmp_path), "blobs", "check", named)
    assert ran.code == 1 and "NO locks: " in ran.out and "must NOT be used for blobs: " in ran.out


def test_check_of_a_folder(tmp_path: Path) -> None:
    config = Settings(data=tmp_path, blobs=f"file:{tmp_path / 'there'}")
    ran = heartwood(config, "blobs", "check")
    assert ran.code == 0 and "yes races" in ran.out and "can be used for blobs" in ran.out
    assert not (tmp_path / "there").exists(), "what wasn't there is not left behind"


def test_nothing_is_made_or_started_on_a_store_that_overwrites(
    server: LyingS3, tmp_path: Path
) -> None:
    """`init` makes nothing; a server whose store went bad since then refuses, others go on."""
    config = Settings(data=tmp_path / "data", blobs=setting(server.place))
    server.lies = {"completes over"}
    ran = heartwood(config, "init")
    assert ran.code == 4 and "must not be used for blobs: create-only in parts: " in ran.err
    assert "large blobs could be overwritten" in ran.err
    assert not config.data.exists() and server.objects == {}
    server.lies = set()
    assert heartwood(config, "init").code == 0
    server.lies = {"overwrites"}
    ran = heartwood(config, "serve", "--port", "0")
    assert ran.code == 4 and "must not be used for blobs: create-only: " in ran.err
    server.always[""] = status(403, "InvalidAccessKeyId")
    ran = heartwood(config, "serve", "--port", "0")
    assert ran.code == 4 and "the access key is not known there" in ran.err


def test_where_checksums_are_not_held_to_what_is_written_is_read_back(
    server: LyingS3, tmp_path: Path
) -> None:
    """The check says so and the store does so, in every process from then on."""
    config = Settings(data=tmp_path / "data", blobs=setting(server.place))
    server.lies = {"sums"}
    assert "is read back and compared" in heartwood(config, "blobs", "check").out
    fixture = LedgerFixture.found(config)
    pat = fixture.person()
    fixture.record(pat)
    assert json.loads((config.data / "blobs.json").read_bytes())["checksums"] is False
    server.lies = {"sums", "alters"}
    fixture.reopen()
    with pytest.raises(BlobError, match="was written"):
        fixture.record(pat)
    fixture.close()


def test_the_blobs_of_a_ledger_are_where_its_directory_says(
    server: LyingS3, tmp_path: Path
) -> None:
    """A forgotten or another setting never begins a second store beside the first."""
    there = Settings(data=tmp_path / "data", blobs=setting(server.place))
    fixture = LedgerFixture.found(there)
    fixture.close()
    for other in ("", f"file:{tmp_path / 'x'}", there.blobs.replace("/w/", "/v/")):
        wrong = Settings(data=there.data, blobs=other)
        with pytest.raises(StartRefused, match="this ledger's blobs are in s3://wards/w at http"):
            opened(wrong)
        assert heartwood(wrong, "scrub").code == 4
    assert not (tmp_path / "data" / "blobs").exists() and not (tmp_path / "x").exists()
    here = Settings(data=tmp_path / "second")
    LedgerFixture.found(here).close()
    with pytest.raises(StartRefused, match=r"this ledger's blobs are in .*second/blobs, and"):
        opened(Settings(data=here.data, blobs=there.blobs))


def test_moving_to_s3_and_back_while_in_use(gateway: Gateway, tmp_path: Path) -> None:
    """Every blob is copied and compared, what comes meanwhile by the next run; the last one settles it."""
    config = Settings(data=tmp_path / "data")
    fixture = LedgerFixture.found(config)
    pat, large = fixture.person(), os.urandom(20_000_000)
    first, second = fixture.record(pat), fixture.record(pat, large)
    named = gateway.setting(gateway.place(versions=True))
    with serving(config):
        ran = heartwood(config, "blobs", "move", "file:", named)
        assert ran.code == 0 and "2 blobs of" in ran.out and "2 of them new" in ran.out
        assert "the ledger still uses the old place" in ran.out
        third = fixture.record(pat)
    fixture.close()
    ran = heartwood(config, "blobs", "move", "file:", named, "--final", "--json")
    assert (ran.code, ran.json["blobs"], ran.json["copied"]) == (0, 3, 1)
    moved = Settings(data=config.data, blobs=named)
    with pytest.raises(StartRefused, match="this ledger's blobs are in s3://"):
        opened(config)
    assert heartwood(moved, "scrub").code == 0
    fixture.settings = moved
    fixture.reopen()
    assert content(fixture, pat, second.record) == large
    fixture.close()
    ran = heartwood(moved, "blobs", "move", named, "file:", "--final")
    assert ran.code == 0 and "0 of them new" in ran.out
    assert heartwood(config, "scrub").code == 0
    assert {one.blob for one in (first, second, third)} == set(
        open_place(config.data / "blobs").list()
    )


def test_a_move_names_what_is_good_in_neither(gateway: Gateway, tmp_path: Path) -> None:
    """It ends with 1, and the ledger stays where it is; a bad copy in the new place is put right."""
    config = Settings(data=tmp_path / "data")
    fixture = LedgerFixture.found(config)
    pat = fixture.person()
    bad, good = fixture.record(pat), fixture.record(pat)
    fixture.close()
    folder, named = config.data / "blobs", gateway.setting(gateway.place())
    (folder / bad.blob[-2:] / bad.blob).write_bytes(b"altered")
    target = open_place(Settings(data=config.data, blobs=named).blob_place())
    target.put(good.blob, [b"altered, too"])
    ran = heartwood(config, "blobs", "move", "file:", named, "--final")
    assert ran.code == 1 and f"altered: entry {bad.seq}: {bad.blob}" in ran.out
    assert b"".join(target.read(good.blob)) == (folder / good.blob[-2:] / good.blob).read_bytes()
    fixture.reopen()
    assert content(fixture, pat, good.record) == CONTENT
    fixture.close()


def test_a_move_needs_two_places(tmp_path: Path) -> None:
    config = Settings(data=tmp_path / "data")
    LedgerFixture.found(config).close()
    ran = heartwood(config, "blobs", "move", "file:", f"file:{config.data / 'blobs'}")
    assert ran.code == 4 and "is both FROM and TO" in ran.err
    ran = heartwood(
        config, "blobs", "move", f"file:{tmp_path / 'x'}", f"file:{tmp_path / 'y'}", "--final"
    )
    assert ran.code == 4 and "is not where this ledger's blobs are" in ran.err


def test_a_move_to_a_store_that_does_not_answer(server: LyingS3, tmp_path: Path) -> None:
    config = Settings(data=tmp_path / "data")
    LedgerFixture.found(config).close()
    server.always[""] = status(404, "NoSuchBucket")
    ran = heartwood(config, "blobs", "move", "file:", setting(server.place), "--final", "--json")
    assert (ran.code, ran.json["problem"]) == (4, "blob_store")
    assert "there is no such bucket" in ran.json["message"]


def refused(config: Settings, *arguments: object) -> None:
    """A command ends with 4 and asks whether the store is mounted."""
    ran = heartwood(config, *arguments, "--json")
    assert (ran.code, ran.json["problem"]) == (4, "blob_store"), ran
    assert "has no marker heartwood.store: is it mounted" in ran.json["message"]


@pytest.mark.parametrize("where", ["", "elsewhere"], ids=["data directory", "elsewhere"])
def test_a_folder_that_is_not_mounted(tmp_path: Path, where: str) -> None:
    """Nothing is read from it, written to it or started on it; a new disk is told so, and filled from a backup."""
    blobs = f"file:{tmp_path / where}" if where else ""
    config = Settings(data=tmp_path / "data", blobs=blobs)
    folder = tmp_path / where if where else config.data / "blobs"
    fixture = LedgerFixture.found(config)
    pat = fixture.person()
    up = fixture.record(pat)
    assert heartwood(config, "backup", tmp_path / "backup").code == 0
    folder.rename(tmp_path / "unmounted")
    folder.mkdir()
    with pytest.raises(BlobsUnavailable, match="is it mounted"):
        content(fixture, pat, up.record)
    with pytest.raises(BlobsUnavailable, match="is it mounted"):
        fixture.record(pat)
    fixture.close()
    ran = heartwood(config, "serve", "--port", "0")
    assert ran.code == 4 and "is it mounted" in ran.err
    refused(config, "scrub")
    refused(config, "blobs", "check")
    refused(config, "blobs", "move", blobs or "file:", f"file:{tmp_path / 'other'}")
    unsafe = [
        one
        for one in heartwood(config, "check-setup", "--json").json["findings"]
        if one["about"] == "blobs"
    ]
    assert [one["level"] for one in unsafe] == ["unsafe"]
    assert list(folder.iterdir()) == [] and not (tmp_path / "other").exists()
    ran = heartwood(config, "blobs", "check", "--adopt", "only")
    assert ran.code == 4 and "holds 0 of the 1 oldest blobs of this ledger" in ran.err
    assert list(folder.iterdir()) == []
    assert heartwood(config, "blobs", "check", "--adopt", "only", "--empty").code == 0
    ran = heartwood(config, "scrub", "--repair-from", tmp_path / "backup")
    assert ran.code == 0 and f"{up.blob}" in ran.out
    fixture.reopen()
    assert content(fixture, pat, up.record) == CONTENT
    fixture.close()


def test_a_store_of_another_ledger_is_not_taken(tmp_path: Path) -> None:
    """Neither by a new ledger nor by a move: nothing is made or copied there."""
    first = Settings(data=tmp_path / "first", blobs=f"file:{tmp_path / 'blobs'}")
    assert heartwood(first, "init", "--origin", "first.example/log").code == 0
    second = Settings(data=tmp_path / "second", blobs=first.blobs)
    ran = heartwood(second, "init", "--origin", "second.example/log")
    assert ran.code == 4 and "holds blobs of the ledger first.example/log" in ran.err
    assert not second.data.exists()
    here = Settings(data=second.data)
    assert heartwood(here, "init", "--origin", "second.example/log").code == 0
    ran = heartwood(here, "blobs", "move", "file:", first.blobs, "--final")
    assert ran.code == 4 and "holds blobs of the ledger first.example/log" in ran.err
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == ["heartwood.store"]


def test_only_the_ledgers_own_store_is_adopted(tmp_path: Path) -> None:
    config = Settings(data=tmp_path / "data")
    LedgerFixture.found(config).close()
    ran = heartwood(config, "blobs", "check", f"file:{tmp_path / 'x'}", "--adopt", "only")
    assert ran.code == 4 and "is not where this ledger's blobs are" in ran.err
    assert not (tmp_path / "x").exists()


def test_the_store_of_an_older_program_gets_its_marker_by_upgrade(tmp_path: Path) -> None:
    """Once, and only if it has blobs or the ledger has none."""
    config = Settings(data=tmp_path / "data")
    fixture = LedgerFixture.found(config)
    pat = fixture.person()
    up = fixture.record(pat)
    fixture.close()
    folder = config.data / "blobs"
    for path in (config.data / "blobs.json", folder / "heartwood.store"):
        path.unlink()
    with pytest.raises(StartRefused, match=r"has no marker yet.*run `heartwood upgrade`"):
        fixture.reopen()
    assert heartwood(config, "backup", tmp_path / "backup").code == 0
    folder.rename(tmp_path / "unmounted")
    ran = heartwood(config, "upgrade")
    assert ran.code == 4 and "is not there, and the ledger has blobs: is it mounted" in ran.err
    assert not folder.exists()
    folder.mkdir()
    ran = heartwood(config, "upgrade")
    assert ran.code == 4 and "holds 0 of the 1 oldest blobs of this ledger" in ran.err
    shutil.rmtree(folder)
    (tmp_path / "unmounted").rename(folder)
    ran = heartwood(config, "upgrade")
    assert ran.code == 0 and "the blob store has its marker now\n" in ran.out
    assert "marker" not in heartwood(config, "upgrade").out
    fixture.reopen()
    assert content(fixture, pat, up.record) == CONTENT
    fixture.close()
    (folder / "heartwood.store").unlink()
    assert "marker" not in heartwood(config, "upgrade").out
    refused(config, "scrub")


def three(tmp_path: Path, dead: str = "") -> Settings:
    """A ledger on three stores, of which two are a quorum; `dead`: where the third one is, if it isn't a folder."""
    third = dead or f"file:{tmp_path / 'c'}"
    blobs = f"a=file:{tmp_path / 'a'} b=file:{tmp_path / 'b'} c={third}"
    return Settings(data=tmp_path / "data", blobs=blobs)


def older(config: Settings, *folders: Path) -> None:
    """Let a ledger be one of an older program, that made no markers."""
    record = json.loads((config.data / "blobs.json").read_text())
    del record["marked"]
    (config.data / "blobs.json").write_text(json.dumps(record))
    for folder in folders:
        (folder / "heartwood.store").unlink()


@pytest.mark.parametrize("there", ["empty", "missing", "another's", "written to unmounted"])
def test_upgrade_marks_no_store_that_lacks_the_blobs(tmp_path: Path, there: str) -> None:
    """The mount point of one of several: nothing is made there, it is named, and the others get their markers."""
    config, folder = three(tmp_path), tmp_path / "b"
    fixture = LedgerFixture.found(config)
    pat = fixture.person()
    up = [fixture.record(pat) for _ in range(9)]
    older(config, *(tmp_path / name for name in "abc"))
    folder.rename(tmp_path / "unmounted")
    if there != "missing":
        folder.mkdir()
    if there == "another's":
        FileBlobs(folder).put(new_id("bl", wall_clock()), [b"another's"])
    if there == "written to unmounted":
        shutil.copytree(tmp_path / "unmounted" / up[-1].blob[-2:], folder / up[-1].blob[-2:])
    before = sorted(folder.rglob("*"))
    ran = heartwood(config, "upgrade")
    assert ran.code == 0 and "has its marker now (a, c)\n" in ran.out
    assert "the store b has NO marker" in ran.out and "--adopt b`" in ran.out
    assert sorted(folder.rglob("*")) == before and folder.exists() == (there != "missing")
    fixture.reopen()
    assert content(fixture, pat, up[0].record) == CONTENT
    fixture.close()
    shutil.rmtree(folder, ignore_errors=True)
    (tmp_path / "unmounted").rename(folder)
    ran = heartwood(config, "blobs", "check", "--adopt", "b")
    assert ran.code == 0 and "b: answers" not in ran.out


def test_upgrade_needs_a_quorum_of_stores(tmp_path: Path) -> None:
    """Below it, each is named; what was marked stays, and the command does the rest later."""
    config = three(tmp_path)
    fixture = LedgerFixture.found(config)
    fixture.record(fixture.person())
    fixture.close()
    older(config, *(tmp_path / name for name in "abc"))
    for name in "bc":
        (tmp_path / name).rename(tmp_path / f"{name}.disk")
    ran = heartwood(config, "upgrade")
    assert ran.code == 4 and "is not there, and the ledger has blobs" in ran.err
    assert not (tmp_path / "b").exists() and not (tmp_path / "c").exists()
    (tmp_path / "b.disk").rename(tmp_path / "b")
    ran = heartwood(config, "upgrade", "--json")
    assert (ran.code, ran.json["marked"], list(ran.json["skipped"])) == (0, ["a", "b"], ["c"])


def test_upgrade_goes_on_without_a_dead_bucket(server: LyingS3, tmp_path: Path) -> None:
    config = three(tmp_path, setting(server.place))
    fixture = LedgerFixture.found(config)
    fixture.record(fixture.person())
    fixture.close()
    older(config, tmp_path / "a", tmp_path / "b")
    server.always[""] = status(404, "NoSuchBucket")
    ran = heartwood(config, "upgrade", "--json")
    assert (ran.code, ran.json["marked"]) == (0, ["a", "b"])
    assert "there is no such bucket" in ran.json["skipped"]["c"]


def test_one_store_of_several_is_adopted(server: LyingS3, tmp_path: Path) -> None:
    """Only that one: another, which isn't mounted, gets nothing; nor does a dead one stop it. An empty one, said so."""
    blobs = three(tmp_path).blobs + f" d={setting(server.place)} e=file:{tmp_path / 'e'}"
    config = Settings(data=tmp_path / "data", blobs=blobs)
    fixture = LedgerFixture.found(config)
    pat = fixture.person()
    up = fixture.record(pat)
    fixture.close()
    for name in "ab":
        (tmp_path / name).rename(tmp_path / f"{name}.disk")
    (tmp_path / "a").mkdir()
    server.always[""] = status(404, "NoSuchBucket")
    ran = heartwood(config, "blobs", "check", "--adopt", "a")
    assert ran.code == 4 and "say --empty" in ran.err
    ran = heartwood(config, "blobs", "check", "--adopt", "x", "--empty")
    assert ran.code == 4 and "got 'x' as the store to adopt, expected a or b or c" in ran.err
    assert list((tmp_path / "a").iterdir()) == []
    ran = heartwood(config, "blobs", "check", "--adopt", "a", "--empty")
    assert ran.code == 0, ran
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["heartwood.store"]
    assert not (tmp_path / "b").exists() and "no b: answers" in ran.out
    heartwood(config, "scrub")
    assert (tmp_path / "a" / up.blob[-2:] / up.blob).exists()
    ran = heartwood(config, "blobs", "check", "--empty")
    assert ran.code == 4 and "expected it with --adopt" in ran.err


def test_a_move_never_fills_a_folder_that_is_unmounted_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by a copy, and at the end each store must still be the ledger's."""
    config, there = Settings(data=tmp_path / "data"), tmp_path / "there"
    fixture = LedgerFixture.found(config)
    fixture.record(fixture.person())
    fixture.close()

    def unmount() -> None:
        there.rename(tmp_path / "there.disk")
        there.mkdir()

    def before(*arguments: Any) -> Moved:
        unmount()
        return move(*arguments)

    def after(*arguments: Any) -> Moved:
        done = move(*arguments)
        unmount()
        return done

    for moving in (before, after):
        monkeypatch.setattr("api.cli.blobs.move_blobs", moving)
        refused(config, "blobs", "move", "file:", f"file:{there}", "--final")
        assert list(there.iterdir()) == []
        assert json.loads((config.data / "blobs.json").read_text())["place"] == ""
        there.rmdir()
        (tmp_path / "there.disk").rename(there)
    monkeypatch.undo()
    assert heartwood(config, "blobs", "move", "file:", f"file:{there}", "--final").code == 0


def test_a_move_to_a_longer_list_marks_no_store_of_the_shorter_one(tmp_path: Path) -> None:
    """One of the old stores isn't mounted: the quorum does for reading, and its folder gets nothing."""
    config = three(tmp_path)
    fixture = LedgerFixture.found(config)
    fixture.record(fixture.person())
    fixture.close()
    (tmp_path / "a").rename(tmp_path / "a.disk")
    (tmp_path / "a").mkdir()
    refused(config, "blobs", "move", config.blobs, f"{config.blobs} d=file:{tmp_path / 'd'}")
    assert list((tmp_path / "a").iterdir()) == []


def test_nothing_is_repaired_before_a_store_is_known(tmp_path: Path) -> None:
    """Of an older ledger with several stores `scrub` would fill a mount point, and `upgrade` then find the blobs there."""
    config = three(tmp_path)
    fixture = LedgerFixture.found(config)
    fixture.record(fixture.person())
    fixture.close()
    older(config, *(tmp_path / name for name in "abc"))
    shutil.rmtree(tmp_path / "b")
    (tmp_path / "b").mkdir()
    for arguments in ((), ("--repair-from", f"file:{tmp_path / 'a'}")):
        ran = heartwood(config, "scrub", *arguments)
        assert ran.code == 4 and "has no marker yet" in ran.err
    assert list((tmp_path / "b").iterdir()) == []
    assert heartwood(config, "backup", tmp_path / "backup").code == 0
