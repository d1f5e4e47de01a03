"""S3 servers that stall, break off, lie and refuse: whole, or told in words; never another's bytes as good ones."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.blobs import bucket
from storage.blobs.checking import check_place, fresh
from storage.blobs.s3 import S3Blobs
from storage.blobs.uploading import PART_BYTES, PARTS_AT_ONCE
from storage.clock import wall_clock
from storage.errors import BlobError, BlobsUnavailable
from tests.support.lying_s3 import Answer, LyingS3, Reply, Request, error, lost, reset, status

LARGE = os.urandom(2 * PART_BYTES + 1_000)
SMALL = b"sealed"
CONTENTS = pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])


@pytest.fixture
def server() -> Iterator[LyingS3]:
    with LyingS3() as made:
        yield made


@pytest.fixture
def store(server: LyingS3, monkeypatch: pytest.MonkeyPatch) -> S3Blobs:
    """A store on it, with pauses that a test can wait for."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff._MAX_BACKOFF", 0.01)
    monkeypatch.setattr(bucket, "READ_SECONDS", 1)
    return S3Blobs(server.place, read_back=False)


def whole(store: S3Blobs, blob: str) -> bytes:
    return b"".join(store.read(blob))


@CONTENTS
@pytest.mark.parametrize(
    "operation", ["PUT", "POST uploads", "PUT partNumber uploadId", "POST uploadId"]
)
@pytest.mark.parametrize(
    "fault",
    [status(503, "SlowDown"), status(500, "InternalError"), reset, lost],
    ids=["503", "500", "reset", "answer lost"],
)
def test_a_fault_in_any_request_of_an_upload(
    server: LyingS3, store: S3Blobs, content: bytes, operation: str, fault: Answer
) -> None:
    """Tried again; where the first call had in truth succeeded, the object is known as this upload's."""
    server.answers += [(operation, fault)] * 2
    blob = fresh()
    store.put(blob, [content])
    assert whole(store, blob) == content
    store.sweep(wall_clock())
    assert server.uploads == {} and len(server.objects) == 1


@CONTENTS
def test_a_connection_reset_in_the_middle_of_a_body(
    server: LyingS3, store: S3Blobs, content: bytes
) -> None:
    server.answers += [("half of PUT", reset)] * 2
    blob = fresh()
    store.put(blob, [content])
    assert whole(store, blob) == content


@CONTENTS
def test_a_storm_that_does_not_end(server: LyingS3, store: S3Blobs, content: bytes) -> None:
    """It is given up after a bounded number of calls, in words, and nothing is there."""
    server.always[""] = status(503, "SlowDown")
    with pytest.raises(
        BlobsUnavailable, match=r"answered \w+ with 503 SlowDown, at the last of \d tries"
    ):
        store.put(fresh(), [content])
    assert server.objects == {} and len(server.asked) < 30


def test_a_server_that_never_answers(server: LyingS3, store: S3Blobs) -> None:
    def asleep(_: LyingS3, request: Request) -> Reply | None:
        time.sleep(3)
        raise ConnectionError

    server.always[""] = asleep
    with pytest.raises(BlobsUnavailable, match="does not answer: Read timeout"):
        list(store.read(fresh()))


@CONTENTS
def test_an_outcome_that_stays_unknown_is_told(
    server: LyingS3, store: S3Blobs, content: bytes
) -> None:
    """The object came to be, every answer is lost, and so is that of the look."""
    server.always |= {"PUT": lost, "POST uploadId": lost, "HEAD": reset}
    with pytest.raises(BlobsUnavailable, match="does not answer"):
        store.put(fresh(), [content])


@CONTENTS
def test_another_writer_is_never_taken_for_oneself(
    server: LyingS3, store: S3Blobs, content: bytes
) -> None:
    """The same bytes by another upload: the second is told, also where its first answer was lost."""
    blob = fresh()
    store.put(blob, [content])
    server.answers += [("PUT", reset), ("POST uploadId", reset)]
    with pytest.raises(BlobError, match=f"{blob} already exists"):
        store.put(blob, [content])


@pytest.mark.parametrize("cut", [0, 1, len(LARGE) // 2, len(LARGE) - 1])
def test_a_read_that_breaks_off_goes_on(server: LyingS3, store: S3Blobs, cut: int) -> None:
    """The rest comes by its range, of the same object."""
    blob = fresh()
    store.put(blob, [LARGE])

    def breaking(there: LyingS3, request: Request) -> Reply | None:
        good = there.right(request)
        return Reply(good.status, good.body, good.headers, cut=cut)

    server.answers.append(("GET", breaking))
    assert whole(store, blob) == LARGE
    server.answers += [("GET", breaking)] * 3
    assert b"".join(store.read(blob, 5, 100_000)) == LARGE[5:100_005]


def test_a_read_that_breaks_off_for_ever(
    server: LyingS3, store: S3Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.blobs.s3.PAUSE_SECONDS", 0.001)
    blob = fresh()
    store.put(blob, [LARGE])

    def breaking(there: LyingS3, request: Request) -> Reply | None:
        good = there.right(request)
        return Reply(good.status, good.body, good.headers, cut=0)

    server.always["GET"] = breaking
    with pytest.raises(BlobsUnavailable, match="does not answer"):
        whole(store, blob)


def test_an_object_that_changes_while_it_is_read(server: LyingS3, store: S3Blobs) -> None:
    """The two halves of two objects are never joined."""
    blob = fresh()
    store.put(blob, [LARGE])

    def breaking(there: LyingS3, request: Request) -> Reply | None:
        good = there.right(request)
        there.objects[request.key].etag = '"another"'
        return Reply(good.status, good.body, good.headers, cut=len(LARGE) // 2)

    server.answers.append(("GET", breaking))
    with pytest.raises(BlobError, match=f"{blob} was replaced while it was read"):
        whole(store, blob)


def test_a_server_that_ignores_ranges(server: LyingS3, store: S3Blobs) -> None:
    """All of it is not taken for a part of it."""
    blob = fresh()
    store.put(blob, [LARGE])
    server.lies = {"ignores ranges"}
    with pytest.raises(BlobError, match=r"from byte 7 on, got all \d+ bytes"):
        list(store.read(blob, 7, 5))


CODES = {
    (400, "ExpiredToken"): "the credentials have expired",
    (403, "InvalidAccessKeyId"): "the access key is not known there",
    (403, "SignatureDoesNotMatch"): "the secret key is not the one",
    (403, "RequestTimeTooSkewed"): "differ by more than 15 minutes",
    (403, "AccessDenied"): "access is denied",
    (404, "NoSuchBucket"): "there is no such bucket",
    (400, "AuthorizationHeaderMalformed"): "the bucket is in another region than us-east-1",
    (301, "PermanentRedirect"): "the bucket is in another region than us-east-1",
    (400, "InvalidToken"): "the session token is not valid there",
}


@pytest.mark.parametrize("code", CODES, ids=lambda code: code[1])
def test_what_concerns_the_whole_store_is_never_told_of_one_blob(
    server: LyingS3, store: S3Blobs, code: tuple[int, str]
) -> None:
    """A blob behind refused credentials isn't missing; a scrub that took it for that would go astray."""
    blob = fresh()
    store.put(blob, [SMALL])
    server.always[""] = status(*code)
    for call in (
        lambda: whole(store, blob),
        lambda: store.put(fresh(), [LARGE]),
        lambda: list(store.list()),
        lambda: store.size(blob),
        lambda: store.written(blob),
        lambda: store.remove(blob),
    ):
        with pytest.raises(BlobsUnavailable, match=CODES[code]):
            call()


def test_a_bucket_that_is_gone_shows_by_head_too(server: LyingS3, store: S3Blobs) -> None:
    server.always[""] = status(404, "NoSuchBucket")
    with pytest.raises(BlobsUnavailable, match="there is no such bucket"):
        store.size(fresh())


@CONTENTS
def test_bytes_that_a_server_alters_are_found_as_they_are_written(
    server: LyingS3, content: bytes
) -> None:
    """Where checksums aren't held to, what was written is read back; the bad one doesn't stay."""
    server.lies = {"alters", "sums"}
    blob, store = fresh(), S3Blobs(server.place, read_back=True)
    with pytest.raises(BlobError, match=rf"gives {len(content)} bytes with SHA-256 .* was written"):
        store.put(blob, [content])
    assert server.objects == {}


@CONTENTS
def test_a_server_that_says_it_stored_something_else(
    server: LyingS3, store: S3Blobs, content: bytes
) -> None:
    """Its own word is enough to doubt it: the upload fails, and nothing stays."""

    def other(there: LyingS3, request: Request) -> Reply | None:
        good = there.right(request)
        return Reply(good.status, headers=good.headers | {"x-amz-checksum-sha256": "b3RoZXI="})

    server.always |= {"PUT": other, "PUT partNumber uploadId": other}
    with pytest.raises(BlobError, match="with SHA-256 b3RoZXI=, expected "):
        store.put(fresh(), [content])
    assert server.objects == {} and server.uploads == {}


LIES = {
    "overwrites": {"create-only", "races"},
    "completes over": {"create-only in parts"},
    "ignores ranges": {"ranges"},
    "sums": {"checksums"},
}


@pytest.mark.parametrize("lie", LIES)
def test_the_check_finds_each_lie(server: LyingS3, lie: str) -> None:
    """By its name, and nothing else; only that of checksums leaves the store fit."""
    honest = {one.name for one in check_place(server.place) if not one.held}
    server.lies = {lie}
    found = check_place(server.place)
    assert {one.name for one in found if not one.held} - honest == LIES[lie]
    assert any(one.fatal for one in found) == (lie != "sums")
    assert server.objects == {} and server.uploads == {}


def test_many_large_uploads_share_their_senders(server: LyingS3, store: S3Blobs) -> None:
    """So memory is bounded for all; one that fails, or whose sender goes away, keeps nobody else waiting."""
    working, most, gone = 0, 0, ConnectionResetError("the sender went away")

    def counted(there: LyingS3, request: Request) -> Reply | None:
        nonlocal working, most
        working += 1
        most = max(most, working)
        time.sleep(0.01)
        working -= 1
        return error(400, "BadDigest") if request.body[:1] == b"!" else None

    def pieces(number: int) -> Iterator[bytes]:
        for part in range(4):
            yield b"!" * PART_BYTES if (number, part) == (1, 2) else LARGE[:PART_BYTES]
        if number == 2:
            raise gone

    def put(number: int) -> Exception | None:
        try:
            store.put(fresh(), pieces(number))
        except (BlobError, ConnectionResetError) as told:
            return told
        return None

    server.always["PUT partNumber uploadId"] = counted
    with ThreadPoolExecutor(12) as pool:
        ended = list(pool.map(put, [1, 2, *range(3, 13)] * 2))
    failed = [one for one in ended if one is not None]
    assert len(failed) == 4 and failed.count(gone) == 2
    assert most <= PARTS_AT_ONCE and len(server.objects) == 20 and server.uploads == {}
