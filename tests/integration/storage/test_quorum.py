"""Several stores: a quorum has each blob or nobody is told so, whatever one of them does; what one has wrong is not read."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api.app.settings import Settings
from storage.blobs import bucket, quorum, spreading
from storage.blobs.bucket import Patience
from storage.blobs.checking import fresh
from storage.blobs.files import BlobStore, FileBlobs, Member
from storage.blobs.quorum import QuorumBlobs
from storage.blobs.s3 import S3Blobs
from storage.blobs.uploading import PART_BYTES
from storage.errors import BlobError, BlobExists, BlobsUnavailable
from tests.integration.storage.test_sweeper import swept_later
from tests.support.child_processes import CONTEXT, start
from tests.support.ledger_fixture import LedgerFixture
from tests.support.lying_s3 import LyingS3, Reply, Request, reset, status
from tests.support.workers import upload_one

LARGE = os.urandom(2 * PART_BYTES + 1_000)
SMALL = b"sealed"
CONTENTS = pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
LATE = 0.5


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a test can wait for."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff._MAX_BACKOFF", 0.01)
    monkeypatch.setattr(bucket, "HASTY", Patience(1, 2))
    monkeypatch.setattr(spreading, "LATE_SECONDS", LATE)


@pytest.fixture
def server() -> Iterator[LyingS3]:
    with LyingS3() as made:
        yield made


Fault = Callable[[LyingS3], None]


def _down(server: LyingS3) -> None:
    server.always[""] = reset


def _storm(server: LyingS3) -> None:
    server.always[""] = status(503, "SlowDown")


def _slow(server: LyingS3) -> None:
    def asleep(_: LyingS3, request: Request) -> Reply | None:
        time.sleep(3 * LATE)
        return None

    server.always[""] = asleep


def _read_only(server: LyingS3) -> None:
    refused = status(403, "AccessDenied")
    server.always |= {"PUT": refused, "POST uploads": refused, "DELETE": refused}


def _alters(server: LyingS3) -> None:
    server.lies = {"alters", "sums"}


def _gone(server: LyingS3) -> None:
    server.always[""] = status(404, "NoSuchBucket")


FAULTS: dict[str, Fault] = {
    "down": _down, "503 storm": _storm, "slow": _slow, "read-only": _read_only, "alters": _alters, "no bucket": _gone,
}  # fmt: skip


def three(server: LyingS3, folder: Path, place: int = 0) -> QuorumBlobs:
    """Two folders, and the server as the first, second or third."""
    stores: list[BlobStore] = [FileBlobs(folder / "one"), FileBlobs(folder / "two")]
    stores.insert(place, S3Blobs(server.place, True, bucket.HASTY))
    return QuorumBlobs([Member(f"s{number}", one) for number, one in enumerate(stores)], 2)


def whole(store: BlobStore, blob: str) -> bytes:
    return b"".join(store.read(blob))


@CONTENTS
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_one_bad_store_of_three(
    server: LyingS3, tmp_path: Path, fault: str, place: int, content: bytes
) -> None:
    """A write counts with the other two, within a bounded time; all else goes on as far as it may."""
    store, before, blob = three(server, tmp_path, place), fresh(), fresh()
    store.put(before, [content])
    FAULTS[fault](server)
    began = time.monotonic()
    store.put(blob, [content])
    assert time.monotonic() - began < 20 * LATE
    for name in ("one", "two"):
        assert whole(FileBlobs(tmp_path / name), blob) == content
    assert (whole(store, blob), whole(store, before)) == (content, content)
    assert (store.size(blob), store.size(before)) == (len(content), len(content))
    assert set(store.list()) == {blob, before}
    with pytest.raises(BlobExists):
        store.put(blob, [b"another"])
    assert whole(store, blob) == content


@CONTENTS
@pytest.mark.parametrize("fault", FAULTS)
def test_below_the_quorum_nothing_is_written(
    server: LyingS3, tmp_path: Path, fault: str, content: bytes
) -> None:
    """One of two, both of which are the quorum: the upload fails, says why, and takes back what it made."""
    folder = FileBlobs(tmp_path / "one")
    store = QuorumBlobs(
        [Member("here", folder), Member("there", S3Blobs(server.place, True, Patience(0.3, 2)))], 2
    )
    FAULTS[fault](server)
    with pytest.raises(BlobsUnavailable, match=r"2 of 2 stores must have a blob, .*there: "):
        store.put(fresh(), [content])
    assert list(folder.list()) == [] and folder.sweep(1 << 62) == []
    server.always.clear()
    server.lies.clear()
    blob = fresh()
    store.put(blob, [content])
    assert whole(folder, blob) == content


def test_what_one_store_has_already_is_in_the_way(tmp_path: Path) -> None:
    """Left by a write that was cut off: told as such, and no copy stays beside it; a majority without it goes on."""
    stores = [FileBlobs(tmp_path / name) for name in ("a", "b", "c")]
    members = [Member(name, one) for name, one in zip("abc", stores, strict=True)]
    two, three_of = QuorumBlobs(members[:2], 2), QuorumBlobs(members, 2)
    for first in (0, 1):
        blob = fresh()
        stores[first].put(blob, [b"left"])
        with pytest.raises(BlobExists, match=f"{blob} already exists"):
            two.put(blob, [b"new"])
        assert [whole(stores[first], blob), blob in set(stores[1 - first].list())] == [
            b"left",
            False,
        ]
    blob = fresh()
    stores[2].put(blob, [b"left"])
    three_of.put(blob, [b"new"])
    assert whole(three_of, blob) == b"new"


def test_two_writers_that_reach_other_stores(tmp_path: Path) -> None:
    """Each asks another store first: never are both told that they wrote it."""
    stores = [FileBlobs(tmp_path / name) for name in ("a", "b", "c")]
    members = [Member(name, one) for name, one in zip("abc", stores, strict=True)]

    def put(task: tuple[int, str]) -> int | None:
        turn, blob = task
        try:
            QuorumBlobs(members[turn:] + members[:turn], 2).put(blob, [b"%d" % turn])
        except (BlobError, BlobsUnavailable):
            return None
        return turn

    with ThreadPoolExecutor(3) as pool:
        for _ in range(20):
            blob = fresh()
            won = [t for t in pool.map(put, [(0, blob), (1, blob), (2, blob)]) if t is not None]
            assert len(won) <= 1
            if won:
                there = [whole(one, blob) for one in stores if blob in set(one.list())]
                assert there.count(b"%d" % won[0]) >= 2


class Stuck(FileBlobs):
    """Takes some bytes, then none for ever."""

    def put(self, blob: str, chunks: Iterable[bytes]) -> None:
        next(iter(chunks))
        threading.Event().wait()


def test_a_store_that_takes_no_more_bytes(tmp_path: Path) -> None:
    """It is given up after a while, its memory is bounded, and the next writes don't wait for it."""
    good = [Member(name, FileBlobs(tmp_path / name)) for name in ("a", "b")]
    store = QuorumBlobs([Member("stuck", Stuck(tmp_path / "stuck")), *good], 2)
    blob, sent = fresh(), 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(60):
            sent += 1
            yield LARGE[:1_000_000]

    store.put(blob, pieces())
    assert sent == 60 and store.size(blob) == 60_000_000
    began = time.monotonic()
    for _ in range(5):
        store.put(fresh(), [SMALL])
    assert time.monotonic() - began < LATE
    assert store.members()[-1].name == "stuck"


def test_a_store_that_failed_is_asked_last_for_a_while(
    server: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, blob = three(server, tmp_path), fresh()
    store.put(blob, [SMALL])
    _down(server)
    assert whole(store, blob) == SMALL
    asked = len(server.asked)
    assert asked and whole(store, blob) == SMALL and len(server.asked) == asked
    server.always.clear()
    monkeypatch.setattr(quorum, "REST_SECONDS", -1.0)
    store.doubt(Member("s0", store))
    assert whole(store, blob) == SMALL and len(server.asked) > asked


def test_a_read_that_breaks_off_goes_on_elsewhere(
    server: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.blobs.s3.PAUSE_SECONDS", 0.001)
    store, blob = three(server, tmp_path), fresh()
    store.put(blob, [LARGE])

    def breaking(there: LyingS3, request: Request) -> Reply | None:
        good = there.right(request)
        return Reply(good.status, good.body, good.headers, cut=min(3_000_000, len(good.body) // 2))

    for first, length in ((0, None), (7, None), (100, 9_000_000)):
        server.always["GET"] = breaking
        got = b"".join(store.read(blob, first, length))
        assert got == LARGE[first : None if length is None else first + length]
        server.always.clear()


def test_removal_needs_every_store(server: LyingS3, tmp_path: Path) -> None:
    """It says which store still has it; the others have it no more, and a later call ends it."""
    store, blob = three(server, tmp_path), fresh()
    store.put(blob, [SMALL])
    _down(server)
    with pytest.raises(BlobsUnavailable, match=f"{blob} is not removed everywhere: s0: "):
        store.remove(blob)
    assert [list(FileBlobs(tmp_path / name).list()) for name in ("one", "two")] == [[], []]
    server.always.clear()
    assert list(store.list()) == [blob]
    store.remove(blob)
    assert list(store.list()) == [] and server.objects == {}


def test_a_list_is_whole_without_as_many_as_may_fail(server: LyingS3, tmp_path: Path) -> None:
    store, blobs = three(server, tmp_path), [fresh() for _ in range(30)]
    for blob in blobs:
        store.put(blob, [SMALL])
    _down(server)
    assert sorted(store.list()) == sorted(blobs)
    both = [Member("here", FileBlobs(tmp_path / "one")), Member("there", S3Blobs(server.place))]
    with pytest.raises(BlobsUnavailable, match="there: "):
        list(QuorumBlobs(both, 2).list())


def test_one_size_needs_a_quorum(tmp_path: Path) -> None:
    stores = [FileBlobs(tmp_path / name) for name in ("a", "b", "c")]
    store = QuorumBlobs([Member(n, s) for n, s in zip("abc", stores, strict=True)], 2)
    blob = fresh()
    stores[0].put(blob, [b"12"])
    with pytest.raises(BlobError, match=r"is not in 2 stores with one size \(a: 2 bytes\)"):
        store.size(blob)
    stores[1].put(blob, [b"123"])
    with pytest.raises(BlobError, match="a: 2 bytes, b: 3 bytes"):
        store.size(blob)
    stores[2].put(blob, [b"12"])
    assert store.size(blob) == 2


MOMENTS = [
    (place, operation, moment)
    for operation in ("PUT", "POST uploads", "PUT partNumber uploadId", "POST uploadId")
    for place, moment in ((0, "before"), (2, "done"))
]


@pytest.mark.parametrize(("place", "operation", "moment"), MOMENTS)
def test_killed_at_each_request_of_an_upload(
    tmp_path: Path, place: int, operation: str, moment: str
) -> None:
    """SIGKILL while one of three stores acts: no entry, and what any of them has is swept."""
    with LyingS3() as server:
        s3 = server.place
        stores = [f"file:{tmp_path / 'one'}", f"file:{tmp_path / 'two'}"]
        stores.insert(place, f"s3://{s3.bucket}/{s3.prefix}?endpoint={s3.endpoint}")
        named = " ".join(f"s{number}={one}" for number, one in enumerate(stores))
        fixture = LedgerFixture.found(Settings(data=tmp_path / "data", blobs=named))
        pat = fixture.person()
        kept, size = fixture.record(pat), fixture.size()
        ours, theirs = CONTEXT.Pipe()
        content = SMALL if operation == "PUT" else LARGE
        child = start(
            upload_one, fixture.settings, fixture.north.system, pat.patient, content, theirs
        )

        def kill(there: LyingS3, request: Request) -> Reply | None:
            if moment == "done":
                there.right(request)
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            return reset(there, request)

        server.always[operation] = kill
        child.join(60)
        assert child.exitcode == -signal.SIGKILL and not ours.poll()
        server.always.clear()
        fixture.reopen()
        assert fixture.size() == size
        swept_later(fixture)
        assert list(fixture.ledger.blobs.list()) == [kept.blob]
        assert server.uploads == {}
        assert not list(tmp_path.glob("*/*/.bl_*"))
        fixture.record(pat, LARGE)
        fixture.verify()
        fixture.close()
