"""One upload to S3: in one request if it is short, else in parts, with bounded memory; whole or not there at all."""

import hashlib
import os
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import BoundedSemaphore
from typing import Any

from botocore.exceptions import BotoCoreError

from storage.blobs.bucket import Bucket, Declined
from storage.blobs.files import READ_BYTES
from storage.blobs.place import S3Place
from storage.errors import BlobError, BlobExists, BlobsUnavailable

PART_BYTES = 8 * 1024 * 1024
"""What is gathered before it is sent. S3 takes 10,000 parts of 5 MiB and more, versitygw on ext4 fewer than 1,025 in
all: the longest record has 641 of these."""
PARTS_AT_ONCE = 6
"""Parts on their way, of all uploads to a store together; an upload that waits for its turn holds one more."""
PARTS_OF_ONE = 3
"""Of these of one upload."""
LONGEST_SECONDS = 12 * 3_600
"""An upload that takes longer is given up: after a day garbage collection would take it for left behind."""
CONFLICTS = 5
"""How often an upload is tried that meets another request for the same name."""
PAUSE_SECONDS = 0.1
MARK = "heartwood-upload"
"""The metadata that tells one upload from another of the same bytes."""


class Senders:
    """The threads that send parts, for all uploads to a store together: so memory is bounded for all."""

    def __init__(self) -> None:
        """Threads begin when they are needed."""
        self._pool = ThreadPoolExecutor(PARTS_AT_ONCE, "s3")
        self._free = BoundedSemaphore(PARTS_AT_ONCE)

    def send(self, act: Callable[[], dict[str, Any]]) -> Future[dict[str, Any]]:
        """Let a thread call `act`, as soon as one is free; waits for it."""
        self._free.acquire()
        try:
            sent = self._pool.submit(act)
        except BaseException:
            self._free.release()
            raise
        sent.add_done_callback(lambda _: self._free.release())
        return sent


class Upload:
    """One upload, for one call of `store`."""

    def __init__(
        self,
        bucket: Bucket,
        senders: Senders,
        place: S3Place,
        key: str,
        blob: str,
        only_new: bool,
        read_back: bool,
    ) -> None:
        """`key`: the object's; `only_new`: never over one that is there; `read_back`: compare it once it is there."""
        self._bucket, self._place, self._key, self._blob = bucket, place, key, blob
        self._senders = senders
        self._condition = {"IfNoneMatch": "*"} if only_new else {}
        self._read_back, self._whole = read_back, hashlib.sha256()
        self._mark = os.urandom(16).hex()
        self._until = time.monotonic() + LONGEST_SECONDS

    def store(self, chunks: Iterable[bytes], before: Callable[[], object] = lambda: None) -> None:
        """Store the chunks; `before` is called once all of them are there, before they become the object.

        Raises what `chunks` or `before` raises; BlobError; BlobsUnavailable, where the object may come yet.
        """
        parts = self._watched(gathered(chunks, PART_BYTES))
        begun = [next(parts, b"")]
        if len(begun[0]) < PART_BYTES:
            before()
            self._at_once(begun[0])
        else:
            self._in_parts(_emptied(begun, parts), before)
        if self._read_back:
            self._compare()

    def _at_once(self, body: bytes) -> None:
        made = {"Body": body, "ChecksumSHA256": _sum(body), **self._condition, **self._options()}
        for attempt in range(CONFLICTS):
            try:
                answer = self._bucket.call("put_object", Key=self._key, **made)
            except (Declined, BlobsUnavailable) as error:
                if self._settled(error):
                    return
            else:
                try:
                    self._check_sum(answer, made["ChecksumSHA256"])
                except BlobError:
                    self._discard()
                    raise
                return
            time.sleep(PAUSE_SECONDS * 2**attempt)
        raise BlobsUnavailable(f"{self._place}: {self._blob} met other requests all the time")

    def _in_parts(self, parts: Iterable[bytes], before: Callable[[], object]) -> None:
        begun = self._bucket.call(
            "create_multipart_upload", Key=self._key, ChecksumAlgorithm="SHA256", **self._options()
        )
        upload = {"Key": self._key, "UploadId": begun["UploadId"]}
        try:
            sent = self._send(upload, parts)
            before()
            self._bucket.call(
                "complete_multipart_upload",
                **upload,
                **self._condition,
                MultipartUpload={"Parts": sent},
            )
        except BaseException as error:
            with suppress(Declined, BlobsUnavailable):  # what stays is swept
                self._bucket.call("abort_multipart_upload", **upload)
            # Aborted, it can't be completed any more: what is seen now stays so.
            if not isinstance(error, (Declined, BlobsUnavailable)) or not self._settled(error):
                raise

    def _send(self, upload: dict[str, str], parts: Iterable[bytes]) -> list[dict[str, Any]]:
        """Send the parts, some at a time; gives what completing them names."""
        under_way, sent = deque[Future[dict[str, Any]]](), []
        try:
            for number, part in enumerate(parts, 1):
                if len(under_way) == PARTS_OF_ONE:
                    sent.append(under_way.popleft().result())
                under_way.append(self._senders.send(partial(self._send_part, upload, number, part)))
            sent += [future.result() for future in under_way]
        finally:  # what comes after the end of an upload would stay behind
            for future in under_way:
                future.cancel()
            wait(under_way)
        return sent

    def _send_part(self, upload: dict[str, str], number: int, part: bytes) -> dict[str, Any]:
        checksum = _sum(part)
        answer = self._bucket.call(
            "upload_part", **upload, PartNumber=number, Body=part, ChecksumSHA256=checksum
        )
        self._check_sum(answer, checksum)
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}

    def _options(self) -> dict[str, Any]:
        """How the object is put there."""
        place, options = self._place, dict[str, Any](Metadata={MARK: self._mark})
        if place.encryption:
            options["ServerSideEncryption"] = place.encryption
        if place.kms_key:
            options["SSEKMSKeyId"] = place.kms_key
        if place.lock:
            options["ObjectLockMode"] = place.lock
            options["ObjectLockRetainUntilDate"] = datetime.now(UTC) + timedelta(days=place.days)
        if place.hold:
            options["ObjectLockLegalHoldStatus"] = "ON"
        return options

    def _settled(self, error: Declined | BlobsUnavailable) -> bool:
        """Whether the object came to be for all that; False if it is to be tried again. Raises otherwise.

        The answer may have been lost, and the retry then met the object that the first call had made.
        """
        try:
            there = self._bucket.call("head_object", Key=self._key)
        except Declined as absent:
            if absent.absent and isinstance(error, Declined):
                if error.exists and self._condition:
                    return False
                if error.code == "NoSuchUpload":
                    raise BlobError(
                        f"{self._blob} was removed before it was complete: the upload was too slow"
                    ) from error
            raise error from absent
        except BlobsUnavailable:
            raise error from None
        if there.get("Metadata", {}).get(MARK) == self._mark:
            return True
        if isinstance(error, Declined) and (error.exists or error.code == "NoSuchUpload"):
            raise BlobExists(f"{self._blob} already exists; blobs are never overwritten") from error
        raise error

    def _watched(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        """The parts, hashed together if they are compared later, for as long as an upload may take."""
        for part in parts:
            if time.monotonic() > self._until:
                raise BlobError(
                    f"{self._blob} took longer than {LONGEST_SECONDS // 3600} hours: it is given up"
                )
            if self._read_back:
                self._whole.update(part)
            yield part

    def _check_sum(self, answer: dict[str, Any], expected: str) -> None:
        got = answer.get("ChecksumSHA256", expected)
        if got != expected:
            raise BlobError(
                f"{self._place} stored {self._blob} with SHA-256 {got}, expected {expected}"
            )

    def _compare(self) -> None:
        """Read what was written; raises BlobError, and takes it away, if it is something else."""
        digest, length = hashlib.sha256(), 0
        body = self._bucket.call("get_object", Key=self._key)["Body"]
        try:
            while piece := body.read(READ_BYTES):
                digest.update(piece)
                length += len(piece)
        except BotoCoreError as error:
            raise self._bucket.unavailable(error) from error
        finally:
            body.close()
        if digest.digest() != self._whole.digest():
            self._discard()
            raise BlobError(
                f"{self._place} gives {length} bytes with SHA-256 {digest.hexdigest()} for {self._blob}, and "
                f"{self._whole.hexdigest()} was written"
            )

    def _discard(self) -> None:
        """Take away an object that is not what was written; nobody has read it yet."""
        if self._condition:
            self._bucket.call("delete_object", Key=self._key)


def gathered(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The chunks in parts of `size` bytes; the last is shorter."""
    part = bytearray()
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            taken = view[: size - len(part)]
            part += taken
            view = view[len(taken) :]
            if len(part) == size:
                yield bytes(part)  # which is sent without another copy
                part = bytearray()
    if part:
        yield bytes(part)


def _emptied(begun: list[bytes], rest: Iterator[bytes]) -> Iterator[bytes]:
    """First what was looked at, which isn't kept, then the rest."""
    while begun:
        yield begun.pop(0)
    yield from rest


def _sum(body: bytes) -> str:
    return b64encode(hashlib.sha256(body).digest()).decode()
