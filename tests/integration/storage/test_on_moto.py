"""Wiring against moto's server, which knows most of S3 and holds to little of it: found, told, and lived with."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from api.app.settings import Settings
from demo.bucket import moto
from records import opening
from storage.blobs.checking import check_place, fresh, sums_are_checked
from storage.blobs.place import S3Place, open_place
from storage.blobs.s3 import S3Blobs
from storage.blobs.uploading import PART_BYTES
from storage.errors import BlobError
from tests.support.commands import heartwood
from tests.support.ledger_fixture import LedgerFixture

LARGE = bytes(range(256)) * (2 * PART_BYTES // 256 + 100)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto() as url:
        yield url


@pytest.fixture
def place(endpoint: str, request: pytest.FixtureRequest) -> S3Place:
    """A bucket of its own that keeps versions and knows locks."""
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return S3Place(name, "w/", endpoint, "us-east-1")


def test_what_moto_does_not_hold_to_is_found(place: S3Place) -> None:
    """Checksums above all: usable, and whatever is written is read back."""
    found = {one.name: one for one in check_place(place)}
    assert not [one for one in found.values() if one.fatal]
    assert (
        not found["checksums"].held and "with a wrong SHA-256 was taken" in found["checksums"].words
    )
    assert not sums_are_checked(place, list(found.values()))
    assert found["versions"].held and found["create-only in parts"].held


def test_a_wrong_checksum_is_taken_and_read_back(place: S3Place) -> None:
    """The finding is true of the server itself; and what our store writes is compared."""
    store, blob = S3Blobs(place, read_back=True), fresh()
    wrong = b64encode(hashlib.sha256(b"other").digest()).decode()
    store.bucket.call("put_object", Key=store.key(blob), Body=b"sent", ChecksumSHA256=wrong)
    assert b"".join(store.read(blob)) == b"sent"
    for content in (b"small", LARGE):
        blob = fresh()
        store.put(blob, [content])
        assert b"".join(store.read(blob, 3, 7)) == content[3:10]
        with pytest.raises(BlobError, match="already exists"):
            store.put(blob, [content])


def test_a_ledger_on_moto(place: S3Place, tmp_path: Path) -> None:
    """Commands find it, remember what it lacks, and everything goes its way."""
    named = f"s3://{place.bucket}/{place.prefix}?endpoint={place.endpoint}&region={place.region}"
    config = Settings(data=tmp_path / "data", blobs=named)
    ran = heartwood(config, "blobs", "check")
    assert ran.code == 0 and "no checksums: " in ran.out and "can be used for blobs" in ran.out
    fixture = LedgerFixture.found(config)
    pat = fixture.person()
    up = fixture.record(pat, LARGE)
    asked = fixture.reading(pat.actor, up.record, "PATRQT")
    assert b"".join(opening.open_record(fixture.ledger, asked).content) == LARGE
    assert heartwood(config, "scrub").code == 0
    assert heartwood(config, "backup", tmp_path / "backup").code == 0
    assert heartwood(config, "blobs", "move", named, f"file:{tmp_path / 'copy'}").code == 0
    assert list(open_place(tmp_path / "copy").list()) == [up.blob]
    fixture.verify()
    fixture.close()
