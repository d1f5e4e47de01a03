"""Upload: seal and stage the blob, before its author signs `record.uploaded`. Never an event without its key."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from crypto.blobs import KEY_BYTES, Sealer, blob_context, sealed_length
from crypto.encoding import b64encode
from identity.actors import Caller, new_id
from journeys.errors import NotThere, RecordsError
from journeys.labelling import codes_under, is_private
from journeys.sealing import check_appender, reserve, seal
from keeper.protocol import KeyRequest, NewBlob
from ledger.directory import Patient
from ledger.facts import Record
from storage.blobs.files import BlobStore
from storage.errors import BlobError
from storage.ledger import Ledger

STAGING_THREADS = 8
"""Blobs written at a time."""
BLOB_LIMIT = 5 * 1024**3
"""Longest content in bytes."""


@dataclass(frozen=True)
class Upload:
    """One new record: whose, what it is, and its content as pieces of bytes."""

    patient: str
    category: str
    media_type: str
    content: Iterable[bytes]
    title: str = ""
    file_name: str = ""
    clinical_date: str = ""
    episode: str = ""
    confidentiality: str = "normal"
    labels: tuple[str, ...] = ()
    """Sensitivity labels in clear; the log gets codes."""
    sensitive: bool = False
    minor_private: bool = False
    """Private to a minor whatever its labels say; the policy's private labels make it so by themselves."""
    record: str = ""
    """The record's id: chosen before, or of the record that is amended; empty for a fresh one."""
    version: int = 1
    """Above 1 it is an amendment."""


@dataclass(frozen=True)
class Uploaded:
    """A new record and its entry."""

    record: str
    blob: str
    seq: int
    size: int
    sha256: bytes = field(repr=False)


@dataclass(frozen=True)
class _Staged:
    upload: Upload
    record: str
    blob: str
    key: bytes
    sha256: bytes
    size: int


@dataclass(frozen=True)
class Draft:
    """An upload whose content is staged and whose texts are sealed: what its event says, still to be signed."""

    kind: str
    stream: str
    body: dict[str, Any]
    event: str
    """The event's id, for which the texts were sealed."""
    now: int
    """When that was, Unix ms."""
    staged: _Staged

    def uploaded(self, seq: int) -> "Uploaded":
        """What it is once its event is entry `seq`."""
        staged = self.staged
        return Uploaded(staged.record, staged.blob, seq, staged.size, staged.sha256)


def draft(ledger: Ledger, author: str, uploads: Sequence[Upload], purpose: str) -> list[Draft]:
    """Stage the contents of new records and new versions for an author, and seal their texts; in order.

    The blobs are durable before their keys, the keys before the entries: a crash in between leaves a
    staged blob without an event, never an event without its key. Raises NotThere for an unknown patient.
    """
    for patient in {one.patient for one in uploads}:
        _check_takes(ledger, patient)
    with ThreadPoolExecutor(STAGING_THREADS) as pool:  # waiting for fsync, not computing
        staged = list(
            pool.map(lambda one: _stage(ledger.blobs, ledger.clock(), one, one.record), uploads)
        )
    requests = [
        KeyRequest(s.upload.patient, (s.record,), (NewBlob(s.record, s.blob, s.sha256, s.key),))
        for s in staged
    ]
    made = reserve(ledger, author, requests, {s.blob: s.size for s in staged})
    _check_there(ledger.blobs, staged)
    now = ledger.clock()
    out = []
    for s in staged:
        event_id, stream = new_id("ev", now), f"patient/{s.upload.patient}"
        texts = {"title": s.upload.title, "file_name": s.upload.file_name}
        fields = {name: text for name, text in texts.items() if text}
        sealed = seal(ledger, made[s.upload.patient, s.record], stream, event_id, fields)
        kind = "record.uploaded" if s.upload.version == 1 else "record.amended"
        out.append(Draft(kind, stream, _body(ledger, s, purpose) | sealed, event_id, now, s))
    return out


def _check_takes(ledger: Ledger, patient: str) -> None:
    """Raises NotThere for a chart that isn't there, or is erased: nothing is staged for it that no entry will name."""
    row = ledger.row(Patient, patient)
    if row is None:
        raise NotThere(f"there is no patient {patient}")
    if row.erased:
        raise NotThere(f"the chart {patient} was erased, or is about to be: it takes no records")


@dataclass(frozen=True)
class StagedBlob:
    """A blob that no entry names yet: what the event must say of it."""

    record: str
    blob: str
    sha256: bytes
    """Of the ciphertext."""
    size: int
    """Plaintext bytes."""


def stage(
    ledger: Ledger, caller: Caller, patient: str, content: Iterable[bytes], record: str = ""
) -> StagedBlob:
    """Seal content into the blob store for a patient, for a new record or a new version of `record`.

    Open to who may append; only the caller's own event can name the blob. Raises NotThere or RecordsError;
    then nothing is left.
    """
    check_appender(ledger, caller, patient)
    _check_takes(ledger, patient)
    there = ledger.row(Record, record) if record else None
    if record and (there is None or (there.patient, there.hospital) != (patient, caller.hospital)):
        raise NotThere(f"there is no {record} of {patient} that {caller.hospital or 'you'} wrote")
    if there is not None and there.state == "shredded":
        raise NotThere(f"{record} was erased, or is about to be: it takes no new version")
    staged = _stage(ledger.blobs, ledger.clock(), Upload(patient, "", "", content), record)
    blob = NewBlob(staged.record, staged.blob, staged.sha256, staged.key)
    request = KeyRequest(patient, (staged.record,), (blob,))
    reserve(ledger, caller.account, [request], {staged.blob: staged.size})
    _check_there(ledger.blobs, [staged])
    return StagedBlob(staged.record, staged.blob, staged.sha256, staged.size)


def _stage(blobs: BlobStore, now: int, upload: Upload, known: str = "") -> _Staged:
    """Seal one content into the blob store, under a key of its own."""
    record, blob, key = known or new_id("rc", now), new_id("bl", now), os.urandom(KEY_BYTES)
    sealer = Sealer(key, blob_context(upload.patient, record, blob))
    blobs.put(blob, _sealed(sealer, upload.content))
    return _Staged(upload, record, blob, key, sealer.sha256, sealer.size)


def _check_there(blobs: BlobStore, staged: Iterable[_Staged]) -> None:
    """Raises BlobError unless the blobs are there once their keys are durable.

    A process that slept for a day between blob and key comes after the garbage collection, which saw no key.
    """
    for one in staged:
        size, expected = blobs.size(one.blob), sealed_length(one.size)
        if size != expected:
            raise BlobError(f"{one.blob} has {size} bytes, but {expected} were written")


def _sealed(sealer: Sealer, content: Iterable[bytes]) -> Iterator[bytes]:
    for piece in content:
        yield sealer.update(piece)
        if sealer.size > BLOB_LIMIT:
            raise RecordsError(
                f"got more than {BLOB_LIMIT} bytes of content, the most a record may have"
            )
    yield sealer.finalize()


def members_of(upload: Upload) -> dict[str, Any]:
    """What an upload's event says of it that the author chose, but for what is sealed."""
    body: dict[str, Any] = {
        "category": upload.category,
        "confidentiality": upload.confidentiality,
        "media_type": upload.media_type,
    }
    for member in ("clinical_date", "episode", "sensitive", "minor_private"):
        if value := getattr(upload, member):
            body[member] = value
    return body


def _body(ledger: Ledger, staged: _Staged, purpose: str) -> dict[str, Any]:
    body = members_of(staged.upload) | {
        "blob": staged.blob,
        "purpose": purpose,
        "record": staged.record,
        "sha256": b64encode(staged.sha256),
        "size": staged.size,
        "version": staged.upload.version,
    }
    if staged.upload.labels:
        body["labels"] = codes_under(ledger, staged.upload.patient, staged.upload.labels)
        if is_private(ledger, staged.upload.labels):
            body["minor_private"] = True
    return body
