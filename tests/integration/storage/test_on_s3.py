"""A ledger whose blobs are in S3: the same journeys, the same care of the data, the same falls."""

import os
import random
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from api.app.settings import Settings
from crypto.errors import CryptoError
from durable.errors import StorageError
from identity.actors import write_keyfile
from imports.generating import Order, generate
from records import opening
from storage.blobs.place import open_place
from storage.blobs.s3 import S3Blobs
from storage.blobs.uploading import PART_BYTES
from storage.errors import BlobError, BlobLocked, BlobsUnavailable
from storage.maintenance.garbage import Collected
from storage.maintenance.scrub import UNSWEPT_MS, Scrub
from tests.deep.load import found, run_and_kill
from tests.deep.witness import Witness
from tests.integration.storage.test_sweeper import stage, swept_later
from tests.support.child_processes import CONTEXT, start
from tests.support.clinic import ORIGIN, Clinic
from tests.support.commands import Ran, heartwood
from tests.support.ledger_fixture import CONTENT, LedgerFixture, Person
from tests.support.lying_s3 import LyingS3, Reply, Request, reset, status
from tests.support.server import serving
from tests.support.versitygw import Gateway
from tests.support.workers import upload_one

LARGE = os.urandom(2 * PART_BYTES + 4_000_000)
KILLS = 8


@pytest.fixture
def on_s3(gateway: Gateway, tmp_path: Path) -> Settings:
    """Settings of a ledger to be made, with a bucket of its own that keeps versions."""
    return Settings(data=tmp_path / "data", blobs=gateway.setting(gateway.place(versions=True)))


@pytest.fixture
def fixture(on_s3: Settings) -> Iterator[LedgerFixture]:
    made = LedgerFixture.found(on_s3)
    yield made
    made.verify()
    made.close()


def read(fixture: LedgerFixture, person: Person, record: str) -> bytes:
    """What the patient reads of a record."""
    opened = opening.open_record(fixture.ledger, fixture.reading(person.actor, record, "PATRQT"))
    return b"".join(opened.content)


def store_of(fixture: LedgerFixture) -> S3Blobs:
    """Its store, past the ledger."""
    assert isinstance(fixture.ledger.blobs, S3Blobs)
    return fixture.ledger.blobs


def overwrite(fixture: LedgerFixture, blob: str, body: bytes) -> None:
    """Let a blob's object be something else, as somebody with the bucket's credentials can."""
    store = store_of(fixture)
    store.bucket.call("put_object", Key=store.key(blob), Body=body)


def test_a_whole_journey(on_s3: Settings, gateway: Gateway, tmp_path: Path) -> None:
    """By commands alone: make, upload, read over HTTP, scrub, back up, restore into another bucket, verify."""

    def run(settings: Settings, *arguments: object) -> Ran:
        ran = heartwood(settings, *arguments)
        assert ran.code == 0, ran.err
        return ran

    run(on_s3, "init")
    (operator,) = (on_s3.data / "people").glob("operator-*.key")
    north = run(on_s3, "hospital", "add", "Nord", "--as", operator, "--json").json
    pat = run(on_s3, "patient", "add", "Pat", "--as", north["keyfile"], "--json").json
    source, out, records = tmp_path / "scan", tmp_path / "read", []
    contents = (b"HbA1c 5.60 %", LARGE)
    with serving(on_s3, workers=2) as served:
        for content, url in zip(contents, ((), ("--url", served.url)), strict=True):
            source.write_bytes(content)
            options = ("--patient", pat["patient"], "--category", "laboratory", "--json", *url)
            done = run(on_s3, "upload", source, *options, "--as", north["keyfile"]).json
            records.append(done["record"])
        for record, content in zip(records, contents, strict=True):
            place = (out.with_name(record), "--purpose", "PATRQT", "--url", served.url)
            run(on_s3, "open", record, "--as", pat["keyfile"], "--out", *place)
            assert out.with_name(record).read_bytes() == content
    assert not (on_s3.data / "blobs").exists()
    assert "2 blobs" in run(on_s3, "scrub").out
    backup, keeper = tmp_path / "backup", tmp_path / "keeper"
    assert "2 blobs in" in run(on_s3, "backup", backup, "--keeper", keeper).out
    again = Settings(data=tmp_path / "again", blobs=gateway.setting(gateway.place(prefix="x/y/")))
    run(again, "restore", backup, "--keeper", on_s3.data)
    assert "good" in run(again, "scrub").out
    run(again, "open", records[1], "--as", pat["keyfile"], "--out", out, "--purpose", "PATRQT")
    assert out.read_bytes() == LARGE
    run(again, "export", tmp_path / "export")
    run(again, "verify", tmp_path / "export", "--vkey", again.data / "log.vkey")


def test_altered_objects_never_come_as_content(fixture: LedgerFixture, tmp_path: Path) -> None:
    """Another's bytes, bytes cut short, bytes altered: the reader gets an error, scrub a name, the backup heals."""
    pat = fixture.person()
    ups = [fixture.record(pat, LARGE + bytes([number])) for number in range(4)]
    backup = tmp_path / "backup"
    assert heartwood(fixture.settings, "backup", backup).code == 0
    whole = {up.blob: b"".join(fixture.ledger.blobs.read(up.blob)) for up in ups}
    altered = bytearray(whole[ups[2].blob])
    altered[len(altered) // 2] ^= 1
    overwrite(fixture, ups[0].blob, whole[ups[3].blob])
    overwrite(fixture, ups[1].blob, whole[ups[1].blob][:-1])
    overwrite(fixture, ups[2].blob, bytes(altered))
    for up in ups[:3]:
        with pytest.raises((CryptoError, BlobError)):
            read(fixture, pat, up.record)
    findings = list(Scrub(fixture.ledger.stores, fixture.ledger.clock()).findings())
    assert [(one.what, one.seq) for one in findings] == [("altered", up.seq) for up in ups[:3]]
    ran = heartwood(fixture.settings, "scrub", "--repair-from", backup)
    assert ran.code == 0 and ran.out.count("; repaired from the copy; the bad one is version ") == 3
    for number, up in enumerate(ups):
        assert read(fixture, pat, up.record) == LARGE + bytes([number])


def test_repaired_from_another_bucket(fixture: LedgerFixture, gateway: Gateway) -> None:
    pat = fixture.person()
    up, other = fixture.record(pat), gateway.setting(gateway.place())
    assert heartwood(fixture.settings, "blobs", "move", fixture.settings.blobs, other).code == 0
    fixture.ledger.blobs.remove(up.blob)
    assert heartwood(fixture.settings, "scrub").code == 1
    ran = heartwood(fixture.settings, "scrub", "--repair-from", other)
    assert ran.code == 0 and "missing: " in ran.out and "; restored" in ran.out
    assert read(fixture, pat, up.record) == CONTENT


def test_a_database_is_restored_beside_a_bucket_that_is_still_there(
    fixture: LedgerFixture, tmp_path: Path
) -> None:
    """What is good there stays, what is altered is put right and kept aside, what is gone comes back."""
    pat = fixture.person()
    kept, bad, gone = (fixture.record(pat) for _ in range(3))
    backup = tmp_path / "backup"
    assert heartwood(fixture.settings, "backup", backup).code == 0
    overwrite(fixture, bad.blob, b"altered")
    fixture.ledger.blobs.remove(gone.blob)
    before = fixture.ledger.blobs.written(kept.blob)
    new = Settings(data=tmp_path / "new", blobs=fixture.settings.blobs)
    assert heartwood(new, "restore", backup, "--keeper", fixture.settings.data).code == 0
    assert heartwood(new, "scrub").code == 0
    assert fixture.ledger.blobs.written(kept.blob) == before
    for up in (kept, bad, gone):
        assert read(fixture, pat, up.record) == CONTENT


def test_what_was_staged_goes_with_all_its_versions(
    fixture: LedgerFixture, gateway: Gateway
) -> None:
    pat = fixture.person()
    kept, staged = fixture.record(pat), stage(fixture, pat)
    overwrite(fixture, staged.blob, b"another version")
    assert swept_later(fixture) == Collected(blobs=[staged.blob])
    place = store_of(fixture).place
    left = gateway.client().list_object_versions(Bucket=place.bucket)
    keys = [store_of(fixture).key(kept.blob), f"{place.prefix}heartwood.store"]
    assert sorted(one["Key"] for one in left["Versions"]) == sorted(keys)
    assert "DeleteMarkers" not in left


def test_what_a_lock_holds_is_kept_until_its_time(gateway: Gateway, tmp_path: Path) -> None:
    """A sweep says until when and goes on; scrub doesn't call it wrong; a legal hold has no end of its own."""
    place = gateway.locked("COMPLIANCE", 2)
    fixture = LedgerFixture.found(Settings(data=tmp_path / "data", blobs=gateway.setting(place)))
    pat = fixture.person()
    staged = [stage(fixture, pat) for _ in range(2)]
    up = fixture.record(pat)
    swept = swept_later(fixture)
    assert (swept.blobs, swept.strays, len(swept.locked)) == ([], [], 2)
    assert all(" is locked (compliance) until 20" in words for words in swept.locked)
    scrubbing = Scrub(fixture.ledger.stores, fixture.ledger.clock() + UNSWEPT_MS + 60_000)
    assert list(scrubbing.findings()) == [] and scrubbing.done.locked == 2
    with pytest.raises(BlobLocked) as told:
        fixture.ledger.blobs.remove(up.blob)
    assert told.value.until is not None
    assert 0 < told.value.until - fixture.ledger.clock() <= 2 * 86_400_000
    assert read(fixture, pat, up.record) == CONTENT
    held = S3Blobs(replace(place, lock="", days=0, hold=True))
    held.put(staged[0].blob[:-4] + "0000", [b"x"])
    with pytest.raises(BlobLocked, match="is under a legal hold"):
        held.remove(staged[0].blob[:-4] + "0000")
    fixture.verify()
    fixture.close()


def test_a_store_that_does_not_answer_is_told(tmp_path: Path) -> None:
    """An upload leaves no entry; a reading's entry stands, and its reader is told that nothing came."""
    with LyingS3() as server:
        place = server.place
        named = f"s3://{place.bucket}/{place.prefix}?endpoint={place.endpoint}"
        fixture = LedgerFixture.found(Settings(data=tmp_path / "data", blobs=named))
        pat = fixture.person()
        up, size = fixture.record(pat), fixture.size()
        server.always[""] = status(403, "ExpiredToken")
        with pytest.raises(BlobsUnavailable, match="the credentials have expired"):
            fixture.record(pat)
        assert fixture.size() == size
        with pytest.raises(BlobsUnavailable, match="the credentials have expired"):
            read(fixture, pat, up.record)
        assert fixture.size() == size + 1
        ran = heartwood(fixture.settings, "scrub", "--json")
        assert (ran.code, ran.json["problem"]) == (4, "blob_store")
        server.always.clear()
        with serving(fixture.settings) as served:
            server.always[""] = status(403, "ExpiredToken")
            key = tmp_path / "pat.key"
            write_keyfile(key, pat.actor, None)
            words = ("open", up.record, "--as", key, "--purpose", "PATRQT", "--url", served.url)
            ran = heartwood(fixture.settings, *words, "--json", "--out", tmp_path / "out")
            assert (ran.code, ran.json["problem"]) == (4, "blob_store")
            assert ran.json["message"] == "the blob store does not answer"
        server.always.clear()
        assert read(fixture, pat, up.record) == CONTENT
        fixture.verify()
        fixture.close()


UPLOAD = ("POST uploads", "PUT partNumber uploadId", "POST uploadId")


MOMENTS = [
    (operation, moment)
    for operation in ("PUT", *UPLOAD)
    for moment in ("before", "amid its body", "done")
    if moment != "amid its body" or operation.startswith("PUT")
]


@pytest.mark.parametrize(("operation", "moment"), MOMENTS)
def test_killed_at_each_request_of_an_upload(tmp_path: Path, operation: str, moment: str) -> None:
    """SIGKILL before the server acts on it, or before its answer: no entry, and all that is left is swept."""
    done = moment == "done"
    with LyingS3() as server:
        place = server.place
        named = f"s3://{place.bucket}/{place.prefix}?endpoint={place.endpoint}"
        fixture = LedgerFixture.found(Settings(data=tmp_path / "data", blobs=named))
        pat = fixture.person()
        kept, size = fixture.record(pat), fixture.size()
        ours, theirs = CONTEXT.Pipe()
        content = b"small" if operation == "PUT" else LARGE
        child = start(
            upload_one, fixture.settings, fixture.north.system, pat.patient, content, theirs
        )

        def kill(there: LyingS3, request: Request) -> Reply | None:
            if done:
                there.right(request)
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            return reset(there, request)

        if moment == "amid its body":
            server.answers.append(("half of PUT", kill))
        else:
            server.always[operation] = kill
        child.join(60)
        assert child.exitcode == -signal.SIGKILL and not ours.poll()
        server.always.clear()
        fixture.reopen()
        assert fixture.size() == size
        swept = swept_later(fixture)
        left = [*swept.strays, *swept.files]
        stored = done and operation in ("PUT", "POST uploadId")
        begun = operation in UPLOAD[1:] or (operation == "POST uploads" and done)
        assert len(left) == int(stored or begun), swept
        assert server.uploads == {}
        assert list(fixture.ledger.blobs.list()) == [kept.blob]
        assert read(fixture, pat, fixture.record(pat, LARGE).record) == LARGE
        fixture.verify()
        fixture.close()


def test_kills_at_random_moments(on_s3: Settings) -> None:
    """Nothing acknowledged is lost, nothing half done, no hand needed; orphans go."""
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")  # shown when it fails
    chance, witness = random.Random(seed), Witness()
    fixture, crowd = found(on_s3)
    for _ in range(KILLS):
        lines = run_and_kill(on_s3, crowd, chance)
        fixture.reopen()
        witness.check(fixture.ledger, lines)
        fixture.close()
    fixture.reopen()
    fixture.verify()
    swept_later(fixture)
    assert list(Scrub(fixture.ledger.stores, fixture.ledger.clock() + UNSWEPT_MS).findings()) == []
    fixture.close()
    assert witness.acknowledged >= KILLS and witness.counts["record.uploaded"]


def test_places_are_opened_lazily(tmp_path: Path) -> None:
    """A store is opened without a call; the first one tells."""
    config = Settings(data=tmp_path, blobs="s3://wards?endpoint=http://127.0.0.1:9")
    store = open_place(config.blob_place())
    with pytest.raises(StorageError, match="does not answer: Could not connect"):
        list(store.list())


def test_an_import_is_taken_whole_and_comes_back_from_a_directory(
    on_s3: Settings, tmp_path: Path
) -> None:
    """Imported into S3, read, scrubbed, moved to a directory, read again, and back: byte for byte the same."""
    fixture = LedgerFixture.found(on_s3, origin=ORIGIN, zone="Etc/UTC")
    clinic = Clinic(fixture)
    made = generate(tmp_path / "run", Order(seed=5, patients=2, years=1))
    summary = clinic.bring(tmp_path / "run")
    assert (summary.rejected, summary.found) == (0, made.resources)
    first = [b"".join(clinic.contents(chart)) for chart in clinic.charts()]
    assert b'"resourceType":"Patient"' in b"".join(first)
    fixture.close()
    assert heartwood(on_s3, "scrub").code == 0
    assert heartwood(on_s3, "blobs", "move", on_s3.blobs, "file:", "--final").code == 0
    fixture.settings = Settings(data=on_s3.data)
    fixture.reopen()
    clinic = Clinic(fixture)
    assert [b"".join(clinic.contents(chart)) for chart in clinic.charts()] == first
    fixture.close()
    assert heartwood(fixture.settings, "scrub").code == 0
    assert heartwood(fixture.settings, "blobs", "move", "file:", on_s3.blobs, "--final").code == 0
    fixture.settings = on_s3
    fixture.reopen()
    clinic = Clinic(fixture)
    assert [b"".join(clinic.contents(chart)) for chart in clinic.charts()] == first
    fixture.close()
    log, keys = tmp_path / "log", on_s3.data / "log.vkey"
    assert heartwood(on_s3, "scrub").code == 0 and heartwood(on_s3, "export", log).code == 0
    for judge in ("verify", "audit"):
        assert heartwood(on_s3, judge, log, "--vkey", keys).code == 0
