"""What is tried of an S3 server beside the port: parts, checksums, versions, encryption and locks."""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from storage.blobs.checking import CHECKSUMS, Lacking, Trial, fresh
from storage.blobs.place import S3Place
from storage.blobs.s3 import S3Blobs
from storage.errors import BlobError, BlobLocked, BlobsUnavailable

LOCK_SECONDS = 10
"""How long an object is locked for a trial."""


def trials(place: S3Place, store: S3Blobs) -> Sequence[Trial]:
    """The trials on `store`, for what `place` asks for."""
    return (
        ("create-only in parts", True, lambda: _parts(store)),
        (CHECKSUMS, False, lambda: _checksums(store)),
        ("versions", bool(place.lock or place.hold), lambda: _versions(store)),
        ("encryption", bool(place.encryption), lambda: _encryption(place, store)),
        ("locks", bool(place.lock), lambda: _locks(place, store)),
        ("legal hold", place.hold, lambda: _hold(place, store)),
    )


def clear(store: S3Blobs, before: int) -> None:
    """Take away what trials left before `before` (Unix ms); what is locked stays for the next time."""
    for key in list(store.written_before(before)):
        with suppress(BlobLocked):
            store.remove_object(key, key)


def _parts(store: S3Blobs) -> str:
    """An upload in parts is completed only where nothing is."""
    blob = fresh()
    store.put(blob, [b"first"])
    key, body = store.key(blob), b"second"
    upload = {
        "Key": key,
        "UploadId": store.bucket.call(
            "create_multipart_upload", Key=key, ChecksumAlgorithm="SHA256"
        )["UploadId"],
    }
    part = store.bucket.call(
        "upload_part", **upload, PartNumber=1, Body=body, ChecksumSHA256=_sum(body)
    )
    done = {"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": _sum(body)}
    refused = _refused(
        lambda: store.bucket.call(
            "complete_multipart_upload",
            **upload,
            MultipartUpload={"Parts": [done]},
            IfNoneMatch="*",
        )
    )
    if refused:
        store.bucket.call("abort_multipart_upload", **upload)
    got = b"".join(store.read(blob))
    if not refused or got != b"first":
        raise Lacking(
            f"an upload in parts over an object was {'refused' if refused else 'completed'} and {got!r} is there, "
            "expected a refusal and b'first': large blobs could be overwritten"
        )
    return "an upload in parts is not completed over an object, either"


def _checksums(store: S3Blobs) -> str:
    blob = fresh()
    wrong = {"Key": store.key(blob), "Body": b"sent", "ChecksumSHA256": _sum(b"meant")}
    upload = {"Key": store.key(blob)}
    begun = store.bucket.call("create_multipart_upload", **upload, ChecksumAlgorithm="SHA256")
    upload["UploadId"] = begun["UploadId"]
    part = wrong | upload | {"PartNumber": 1}
    taken = [
        words
        for words, operation, arguments in (
            ("an object", "put_object", wrong),
            ("a part", "upload_part", part),
        )
        if not _refused(lambda o=operation, a=arguments: store.bucket.call(o, **a))  # type: ignore[misc]
    ]
    store.bucket.call("abort_multipart_upload", **upload)
    if taken:
        raise Lacking(
            f"{' and '.join(taken)} with a wrong SHA-256 was taken: whatever is written is read back and compared"
        )
    return "an object or a part whose SHA-256 is wrong is refused"


def _versions(store: S3Blobs) -> str:
    blob = fresh()
    store.put(blob, [b"old"])
    aside = store.replace(blob, [b"new"])
    if not aside.startswith("version "):
        raise Lacking(
            "the bucket keeps no versions: what somebody with these credentials overwrites or removes is gone"
        )
    kept = store.bucket.call("get_object", Key=store.key(blob), VersionId=aside.split()[1])
    if kept["Body"].read() != b"old":
        raise Lacking("an older version has other bytes than were written")
    return "older versions are kept"


def _encryption(place: S3Place, store: S3Blobs) -> str:
    blob = fresh()
    store.put(blob, [b"x"])
    got = store.bucket.call("head_object", Key=store.key(blob)).get("ServerSideEncryption", "none")
    if place.encryption and got != place.encryption:
        raise Lacking(f"objects are encrypted there by {got}, expected {place.encryption}")
    if got == "none":
        raise Lacking("objects are not encrypted there beside Heartwood's own encryption")
    return f"objects are encrypted there by {got}, beside Heartwood's own encryption"


def _locks(place: S3Place, store: S3Blobs) -> str:
    """A locked version is neither removed nor released earlier."""
    if not place.lock:
        raise Lacking("none asked for: HEARTWOOD_BLOBS has no lock=…&days=…")
    until = datetime.now(UTC) + timedelta(seconds=LOCK_SECONDS)
    key, version = _put(store, {"ObjectLockMode": place.lock, "ObjectLockRetainUntilDate": until})
    which = {"Key": key, "VersionId": version}
    if not _refused(lambda: store.bucket.call("delete_object", **which)):
        raise Lacking(f"a version locked ({place.lock.lower()}) was removed before its time")
    shorter = {"Mode": place.lock, "RetainUntilDate": datetime.now(UTC) + timedelta(seconds=1)}
    if not _refused(lambda: store.bucket.call("put_object_retention", **which, Retention=shorter)):
        raise Lacking(f"the lock ({place.lock.lower()}) of a version was shortened")
    return f"each object is locked ({place.lock.lower()}) for {place.days} days: not removed, not shortened"


def _hold(place: S3Place, store: S3Blobs) -> str:
    if not place.hold:
        raise Lacking("none asked for: HEARTWOOD_BLOBS has no hold=on")
    key, version = _put(store, {"ObjectLockLegalHoldStatus": "ON"})
    which = {"Key": key, "VersionId": version}
    held = _refused(lambda: store.bucket.call("delete_object", **which))
    if not held:
        raise Lacking("a version under a legal hold was removed")
    store.bucket.call("put_object_legal_hold", **which, LegalHold={"Status": "OFF"})
    return "each object is under a legal hold: not removed until somebody ends it"


def _put(store: S3Blobs, options: dict[str, Any]) -> tuple[str, str]:
    """A new object's key and version."""
    key, body = store.key(fresh()), b"locked"
    made = store.bucket.call("put_object", Key=key, Body=body, ChecksumSHA256=_sum(body), **options)
    if "VersionId" not in made:
        raise Lacking("the bucket keeps no versions, and without them nothing is locked")
    return key, str(made["VersionId"])


def _refused(act: Callable[[], object]) -> bool:
    """Whether the server declines; a lock is told of as denied access."""
    try:
        act()
    except BlobError:
        return True
    except BlobsUnavailable as error:
        if "AccessDenied" in str(error):
            return True
        raise
    return False


def _sum(body: bytes) -> str:
    return b64encode(hashlib.sha256(body).digest()).decode()
