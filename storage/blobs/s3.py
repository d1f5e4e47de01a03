"""Blobs as objects of an S3 bucket, under the names that they have as files: `PREFIX/XX/bl_…`.

What is read is not checked here: who opens a blob checks each of its segments (`crypto.blobs`, AES-256-GCM bound
to patient, record and blob), and who copies or scrubs one checks size and SHA-256 by its entry (`storage.stores`).
So another blob's bytes, altered or cut short, are found by whoever reads them, whatever a server says.
"""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError

from storage.blobs.bucket import Bucket, Declined, Patience
from storage.blobs.files import READ_BYTES, Member, check_blob, check_ledger
from storage.blobs.marker import FRESH_SECONDS, MOST_BYTES, NAME, Watch, marker_of, named
from storage.blobs.place import S3Place
from storage.blobs.uploading import Senders, Upload
from storage.errors import BadBlob, BlobError, BlobExists, BlobLocked, BlobsUnavailable

RESUMES = 5
"""How often a read that broke off goes on, without a MiB of progress, before it is given up."""
PAUSE_SECONDS = 0.2
"""Before the first of them; the next pauses are longer, each twice the one before."""


class S3Blobs:
    """Blobs in a bucket: written only where nothing is, by `If-None-Match: *`, with their SHA-256."""

    def __init__(
        self,
        place: S3Place,
        read_back: bool = True,
        patience: Patience | None = None,
        origin: str = "",
    ) -> None:
        """`read_back`: whatever is written is read again before it counts, as for a server that doesn't check sums.

        `origin`: the log whose marker must be there; "" demands none.
        """
        self.place, self.bucket, self._read_back = place, Bucket(place, patience), read_back
        self._watch = Watch(origin, str(place), self._marker, FRESH_SECONDS)
        self._senders = Senders()

    def put(self, blob: str, chunks: Iterable[bytes]) -> None:
        """Store a blob; see the port."""
        upload = self._upload(blob, only_new=True)
        self._watch.check()
        upload.store(chunks)

    def read(self, blob: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `start`; see the port. One that breaks off goes on where it was."""
        check_blob(blob)
        self._watch.check_read()
        if length == 0:
            self._head(blob)
            return iter(())
        answer = self._get(blob, start, length)
        return iter(()) if answer is None else self._pieces(blob, answer, start)

    def size(self, blob: str) -> int:
        """Ciphertext bytes; see the port."""
        return int(self._head(blob)["ContentLength"])

    def remove(self, blob: str) -> None:
        """Delete a blob in all its versions, the oldest first; see the port."""
        key = self.key(blob)
        self._watch.check()
        self.remove_object(key, blob)

    def remove_object(self, key: str, name: str) -> None:
        """Delete an object of the bucket in all its versions; raises BlobLocked, which calls it `name`."""
        if not self.versioning():
            self._remove(name, {"Key": key})
            return
        for version in reversed(self._versions(key)):
            self._remove(name, {"Key": key, "VersionId": version})

    def written_before(self, before: int) -> Iterator[str]:
        """The keys of all objects below the place that were last written before `before` (Unix ms)."""
        for page in self._pages("list_objects_v2", {}, ("ContinuationToken",)):
            for entry in page.get("Contents", ()):
                if _ms(entry["LastModified"]) < before:
                    yield str(entry["Key"])

    def held(self, blob: str) -> str:
        """The lock of its version in use; see the port."""
        locked = self._lock_of(blob, {"Key": self.key(blob)})
        return "" if locked is None else str(locked)

    def list(self) -> Iterator[str]:
        """The ids of all whole blobs, by pages of a thousand; see the port."""
        self._watch.look()
        for page in self._pages("list_objects_v2", {}, ("ContinuationToken",)):
            for entry in page.get("Contents", ()):
                name = str(entry["Key"]).rpartition("/")[2]
                if _is_blob(name) and entry["Key"] == self.key(name):
                    yield name

    def written(self, blob: str) -> int:
        """When it was written, in whole seconds; in AWS of one in parts: when that began. See the port."""
        return _ms(self._head(blob)["LastModified"])

    def replace(self, blob: str, chunks: Iterable[bytes]) -> str:
        """Put the good content in place of a bad blob; see the port.

        In a bucket that keeps versions the bad one stays as one of them, else it is copied to `bad/` first.
        """
        aside: list[str] = []
        upload = self._upload(blob, only_new=False)
        self._watch.check()
        upload.store(chunks, lambda: aside.append(self._set_aside(blob)))
        return aside[0]

    def sweep(self, before: int) -> Sequence[str]:
        """Abort uploads in parts that nobody goes on with; see the port."""
        self._watch.look()
        swept = []
        markers = ("KeyMarker", "UploadIdMarker")
        for page in list(self._pages("list_multipart_uploads", {}, markers)):
            for found in page.get("Uploads", ()):
                upload = {"Key": found["Key"], "UploadId": found["UploadId"]}
                if _ms(found["Initiated"]) < before and self._touched(upload) < before:
                    self._ignoring_absent("abort_multipart_upload", upload)
                    swept.append(f"{found['Key']} (upload {found['UploadId']})")
        return swept

    def links(self, blob: str, length: int, seconds: int, ask: bool = True) -> Sequence[str]:
        """A presigned GET of the one object, ranges too; see the port. It ends earlier with the credentials."""
        if ask and (size := self.size(blob)) != length:
            raise BadBlob("altered", f"{blob} has {size} bytes, its entry says {length}")
        return (self.bucket.presigned(self.key(blob), seconds),)

    def members(self) -> Sequence[Member]:
        """It is a single store; see the port."""
        return (Member("", self),)

    def doubt(self, member: Member) -> None:
        """There is none but this one to ask; see the port."""

    def ledger(self) -> str:
        """The log that its marker names; see the port."""
        return named(self._marker(), str(self.place))

    def mark(self, origin: str) -> None:
        """Make it that log's store, by an object that is never locked; see the port."""
        place = replace(self.place, lock="", days=0, hold=False)
        key = f"{place.prefix}{NAME}"
        try:
            Upload(self.bucket, self._senders, place, key, NAME, True, self._read_back).store(
                [marker_of(origin)]
            )
        except BlobExists:
            check_ledger(self, origin, str(place))

    def check_marked(self) -> None:
        """Raises BlobsUnavailable unless it is the store of its ledger; see the port."""
        self._watch.look()

    def _marker(self) -> bytes | None:
        try:
            answer = self.bucket.call("get_object", Key=f"{self.place.prefix}{NAME}")
            return bytes(answer["Body"].read(MOST_BYTES))
        except Declined as error:
            if error.absent:
                return None
            raise BlobsUnavailable(f"the marker {NAME} can't be read: {error}") from error
        except BotoCoreError as error:
            raise self.bucket.unavailable(error) from error

    def key(self, blob: str) -> str:
        """The name of a blob's object; raises BlobError for what is no blob's id."""
        return f"{self.place.prefix}{check_blob(blob)[-2:]}/{blob}"

    def versioning(self) -> bool:
        """Whether the bucket keeps, or once kept, older versions."""
        try:
            return "Status" in self.bucket.call("get_bucket_versioning")
        except Declined as error:
            if error.code in ("NotImplemented", "MethodNotAllowed"):
                return False
            raise

    def _upload(self, blob: str, only_new: bool, key: str = "") -> Upload:
        named = key or self.key(blob)
        return Upload(
            self.bucket, self._senders, self.place, named, blob, only_new, self._read_back
        )

    def _head(self, blob: str) -> dict[str, Any]:
        try:
            return self.bucket.call("head_object", Key=self.key(blob))
        except Declined as error:
            raise self._not_there(blob, error) from error

    def _get(
        self, blob: str, start: int, length: int | None, etag: str = ""
    ) -> dict[str, Any] | None:
        """The answer to a GET; None where the range begins behind the end. `etag`: of that version only."""
        wanted: dict[str, Any] = {"IfMatch": etag} if etag else {}
        ranged = bool(start) or length is not None
        if ranged:
            wanted["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
        try:
            answer = self.bucket.call("get_object", Key=self.key(blob), **wanted)
        except Declined as error:
            if error.code in ("InvalidRange", "416", "RequestedRangeNotSatisfiable"):
                return None
            raise self._not_there(blob, error) from error
        told = str(answer.get("ContentRange", ""))
        if ranged and not told.startswith(f"bytes {start}-"):
            answer["Body"].close()
            said = told or f"all {answer['ContentLength']} bytes"
            raise BadBlob(
                "unreadable", f"{self.place}: asked for {blob} from byte {start} on, got {said}"
            )
        return answer

    def _pieces(self, blob: str, answer: dict[str, Any], start: int) -> Iterator[bytes]:
        at = mark = start
        end, broken = start + int(answer["ContentLength"]), 0
        while True:
            body = answer["Body"]
            try:
                while piece := body.read(READ_BYTES):
                    at += len(piece)
                    yield piece
                return
            except BotoCoreError as error:
                broken = 1 if at - mark >= READ_BYTES else broken + 1
                mark = at
                if broken > RESUMES:
                    raise self.bucket.unavailable(error) from error
                time.sleep(PAUSE_SECONDS * 2**broken)
            finally:
                body.close()
            if at == end:
                return
            resumed = self._get(blob, at, end - at, str(answer["ETag"]))
            if resumed is None:
                raise BadBlob("unreadable", f"{blob} became shorter while it was read: {at} bytes")
            answer = resumed

    def _set_aside(self, blob: str) -> str:
        """Keep what is there now; gives where, or "" if nothing is."""
        try:
            there = self._head(blob)
        except BadBlob:
            raise
        except BlobError:
            return ""
        if self.versioning() and there.get("VersionId", "null") != "null":
            return f"version {there['VersionId']} of s3://{self.place.bucket}/{self.key(blob)}"
        key = f"{self.place.prefix}bad/{blob}.{os.urandom(4).hex()}"
        self._upload(blob, True, key).store(self.read(blob))
        return f"s3://{self.place.bucket}/{key}"

    def _remove(self, blob: str, which: dict[str, str]) -> None:
        try:
            self._ignoring_absent("delete_object", which)
        except (Declined, BlobsUnavailable) as error:
            locked = self._lock_of(blob, which)
            if locked is None:
                raise
            raise locked from error

    def _lock_of(self, blob: str, which: dict[str, str]) -> BlobLocked | None:
        """What holds a version that could not be removed; None if no lock is told of."""
        try:
            found = self.bucket.call("head_object", **which)
        except (Declined, BlobsUnavailable):
            return None
        until = found.get("ObjectLockRetainUntilDate")
        if found.get("ObjectLockLegalHoldStatus") == "ON":
            return BlobLocked(
                f"{blob} is under a legal hold: it can't be removed until that ends", None
            )
        if until is None or until <= datetime.now(UTC):
            return None
        mode = str(found.get("ObjectLockMode", "")).lower()
        return BlobLocked(
            f"{blob} is locked ({mode}) until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC: it can't be removed "
            "before",
            _ms(until),
        )

    def _versions(self, key: str) -> Sequence[str]:
        """The versions of an object, deletion markers too, the newest first."""
        found: list[tuple[datetime, str]] = []
        markers = ("KeyMarker", "VersionIdMarker")
        for page in self._pages("list_object_versions", {"Prefix": key}, markers):
            for kind in ("DeleteMarkers", "Versions"):
                for entry in page.get(kind, ()):
                    if entry["Key"] == key:
                        found.append((entry["LastModified"], str(entry["VersionId"])))
        return [version for _, version in sorted(found, key=lambda one: one[0], reverse=True)]

    def _pages(
        self, operation: str, wanted: dict[str, Any], markers: Sequence[str]
    ) -> Iterator[dict[str, Any]]:
        """The pages of a listing under the prefix; `markers`: what the next page's request takes over."""
        wanted = {"Prefix": self.place.prefix} | wanted
        while True:
            page = self.bucket.call(operation, **wanted)
            yield page
            if not page.get("IsTruncated"):
                return
            following = {name: page.get(f"Next{name}") for name in markers}
            if all(wanted.get(name) == value for name, value in following.items()):
                raise BlobsUnavailable(
                    "blobs", f"{self.place}: {operation} gives one page again and again"
                )
            wanted |= {name: value for name, value in following.items() if value}

    def _touched(self, upload: dict[str, str]) -> int:
        """When the last part came, Unix ms; 0 if none did, or the upload is gone."""
        newest, wanted = 0, dict[str, Any](upload)
        while True:
            try:
                page = self.bucket.call("list_parts", **wanted)
            except Declined:
                return newest
            newest = max([newest, *(_ms(part["LastModified"]) for part in page.get("Parts", ()))])
            if not page.get("IsTruncated"):
                return newest
            wanted["PartNumberMarker"] = page["NextPartNumberMarker"]

    def _ignoring_absent(self, operation: str, arguments: dict[str, str]) -> None:
        try:
            self.bucket.call(operation, **arguments)
        except Declined as error:
            if not error.absent and error.code != "NoSuchUpload":
                raise

    def _not_there(self, blob: str, error: Declined) -> BlobError:
        if error.absent:
            hidden = error.headers.get("x-amz-delete-marker") == "true"
            words = (
                ": a deletion marker hides it, and an older version may be there" if hidden else ""
            )
            self._watch.look()
            return BlobError(f"{blob} is not in the blob store{words}")
        if error.code in ("PreconditionFailed", "412"):
            return BadBlob("unreadable", f"{blob} was replaced while it was read")
        return BadBlob("unreadable", f"{blob} can't be read: {error}")


def _is_blob(name: str) -> bool:
    try:
        check_blob(name)
    except BlobError:
        return False
    return True


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
