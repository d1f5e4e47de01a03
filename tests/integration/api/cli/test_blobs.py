"""`blobs check` and `blobs move`; and nothing starts on a store that isn't the ledger's or isn't fit."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.app.settings import Settings
from durable.errors import StartRefused
from records import opening
from storage.blobs.place import S3Place, open_place
from storage.errors import BlobError, BlobsUnavailable
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
    assert heartwood(config, "blobs", "check", "--adopt").code == 0
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
    ran = heartwood(config, "blobs", "check", f"file:{tmp_path / 'x'}", "--adopt")
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
    assert ran.code == 4 and "holds no blobs, and the ledger has some: is it mounted" in ran.err
    shutil.rmtree(folder)
    (tmp_path / "unmounted").rename(folder)
    ran = heartwood(config, "upgrade")
    assert ran.code == 0 and "the blob store has its marker now" in ran.out
    assert "marker" not in heartwood(config, "upgrade").out
    fixture.reopen()
    assert content(fixture, pat, up.record) == CONTENT
    fixture.close()
    (folder / "heartwood.store").unlink()
    assert "marker" not in heartwood(config, "upgrade").out
    refused(config, "scrub")
