"""The marker of a store: what isn't the ledger's own folder or bucket is never taken for it, whatever is asked of it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.blobs import marker
from storage.blobs.files import BlobStore, FileBlobs, Member
from storage.blobs.place import open_place
from storage.blobs.quorum import QuorumBlobs
from storage.blobs.s3 import S3Blobs
from storage.clock import wall_clock
from storage.errors import BlobError, BlobsUnavailable
from tests.integration.storage.test_blob_store import Opened, at, fresh, whole
from tests.support.lying_s3 import LyingS3

__all__ = ["at"]
OURS, THEIRS = "ours.example/log", "theirs.example/log"
CALLS: dict[str, Callable[[BlobStore, str], object]] = {
    "put": lambda store, blob: store.put(blob, [b"new"]),
    "read": lambda store, blob: list(store.read(blob)),
    "size": lambda store, blob: store.size(blob),
    "written": lambda store, blob: store.written(blob),
    "list": lambda store, blob: list(store.list()),
    "replace": lambda store, blob: store.replace(blob, [b"new"]),
    "remove": lambda store, blob: store.remove(blob),
    "sweep": lambda store, blob: store.sweep(wall_clock()),
    "check": lambda store, blob: store.check_marked(),
}
"""Every call that means something else where the store isn't the right one."""


@pytest.mark.parametrize("call", CALLS)
def test_without_its_marker_a_store_is_not_there(at: Opened, tmp_path: Path, call: str) -> None:
    """Nothing is read, written or made, and the words ask the right question; marked, it is a store like any other."""
    store, blob = open_place(at.place, at.kind.read_back, OURS), fresh()
    with pytest.raises(BlobsUnavailable, match=r"no marker heartwood\.store: is it mounted"):
        CALLS[call](store, blob)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    made = open_place(at.place, at.kind.read_back)
    assert made.ledger() == "" and list(made.list()) == []
    made.mark(OURS)
    made.mark(OURS)
    assert made.ledger() == OURS
    store.put(blob, [b"sealed"])
    assert whole(store, blob) == b"sealed" and list(store.list()) == [blob]
    other = open_place(at.place, at.kind.read_back, THEIRS)
    with pytest.raises(BlobsUnavailable, match=f"of the ledger {OURS}, expected {THEIRS}"):
        CALLS[call](other, fresh())
    with pytest.raises(BlobsUnavailable, match=f"of the ledger {OURS}, expected {THEIRS}"):
        made.mark(THEIRS)
    store.remove(blob)
    with pytest.raises(BlobError, match="is not in the blob store"):
        store.size(blob)


def test_a_disk_that_is_unmounted_while_it_is_in_use(tmp_path: Path) -> None:
    """Its folder is left empty, or is gone: neither is filled, or made anew; mounted again all goes on."""
    folder, away = tmp_path / "blobs", tmp_path / "away"
    FileBlobs(folder).mark(OURS)
    store, blob = FileBlobs(folder, OURS), fresh()
    store.put(blob, [b"sealed"])
    for left in (False, True):
        folder.rename(away)
        if left:
            folder.mkdir()
        for name, call in CALLS.items():
            with pytest.raises(BlobsUnavailable, match="is it mounted"):
                call(store, blob)
            assert not folder.exists() or list(folder.iterdir()) == [], name
        shutil.rmtree(folder, ignore_errors=True)
        away.rename(folder)
        assert whole(store, blob) == b"sealed"


def test_a_bucket_that_is_emptied_while_it_is_in_use() -> None:
    """Whoever misses a blob is told at once; writes at the latest when the marker is looked at again."""
    with LyingS3() as server:
        S3Blobs(server.place, read_back=False).mark(OURS)
        store, blob = S3Blobs(server.place, read_back=False, origin=OURS), fresh()
        store.put(blob, [b"sealed"])
        asked = len(server.asked)
        store.put(fresh(), [b"sealed"])
        assert len(server.asked) == asked + 1, "the marker is looked at once in a while"
        server.objects.clear()
        for name in ("read", "size", "written", "list", "sweep"):
            with pytest.raises(BlobsUnavailable, match="is it mounted"):
                CALLS[name](store, blob)
        with pytest.raises(BlobsUnavailable, match="is it mounted"):
            store.put(blob, [b"sealed"])
        assert server.objects == {}


def test_a_marker_that_can_not_be_read(tmp_path: Path) -> None:
    FileBlobs(tmp_path).mark(OURS)
    for text in (
        "",
        "[]",
        "{}",
        '{"format": 2, "ledger": "x"}',
        '{"format": 1, "ledger": 7}',
        "\0",
    ):
        (tmp_path / marker.NAME).write_text(text)
        with pytest.raises(BlobsUnavailable, match="can't be read"):
            FileBlobs(tmp_path, OURS).put(fresh(), [b"x"])


@pytest.fixture
def three(tmp_path: Path) -> QuorumBlobs:
    """Three folders, each with its marker, of which two are a quorum."""
    for name in "abc":
        FileBlobs(tmp_path / name).mark(OURS)
    return QuorumBlobs([Member(name, FileBlobs(tmp_path / name, OURS)) for name in "abc"], 2)


def test_of_several_stores_one_that_is_not_mounted_does_not_count(
    three: QuorumBlobs, tmp_path: Path
) -> None:
    """It gets nothing and is no copy; without a quorum nothing is written."""
    before = fresh()
    three.put(before, [b"before"])
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "a").mkdir()
    blob = fresh()
    three.put(blob, [b"sealed"])
    three.check_marked()
    assert list((tmp_path / "a").iterdir()) == []
    assert whole(three, blob) == b"sealed" and whole(three, before) == b"before"
    assert three.ledger() == "" and set(three.list()) == {before, blob}
    shutil.rmtree(tmp_path / "b")
    with pytest.raises(BlobsUnavailable, match=r"2 of [23] stores must have a blob"):
        three.put(fresh(), [b"sealed"])
    with pytest.raises(BlobsUnavailable, match=r"a: .*is it mounted.*b: .*is it mounted"):
        three.check_marked()
    with pytest.raises(BlobsUnavailable):
        list(three.list())


def test_stores_of_different_ledgers(tmp_path: Path) -> None:
    stores = [FileBlobs(tmp_path / name) for name in "ab"]
    stores[0].mark(OURS)
    stores[1].mark(THEIRS)
    both = QuorumBlobs([Member(n, s) for n, s in zip("ab", stores, strict=True)], 2)
    with pytest.raises(
        BlobsUnavailable, match=r"different ledgers: a: ours\.example/log, b: theirs"
    ):
        both.ledger()
