"""What a referral's receiver takes up, sealed for it: a fresh key to its X-Wing key, and under that the list with the data keys."""

import os
from collections.abc import Mapping, Sequence

from crypto.blobs import KEY_BYTES, Sealer
from crypto.encoding import b64decode, b64encode
from crypto.shares import kept_share_info
from crypto.xwing import share_stored
from keeper.errors import KeeperRefused
from keeper.following import Referred
from keeper.protocol import ReferredBlob, SealedObject
from ledger.entry import Entry
from ledger.exports import export_line, export_root
from ledger.facts import sha256_of, version_of
from ledger.links import travelling
from ledger.packages import PackedList, PackedVersion, list_context

TEXTS = frozenset({"file_name", "title"})
"""The sealed fields of a version that travel."""


def check_packed(
    entry: Entry, found: Referred, listed: Sequence[ReferredBlob], words: SealedObject
) -> bytes:
    """What is to be sealed is just what the referral lists and may still travel, as the entry commits to; gives the root.

    Raises KeeperRefused.
    """
    event, number = entry.event, entry.link.seq
    lines = [export_line(one.blob.record, one.blob.version, one.blob.key.name) for one in listed]
    if [line.decode() for line in lines] != travelling(found.referral, found.records.get):
        raise KeeperRefused(f"entry {number} takes up another list than the one shown")
    root = export_root(lines)
    if len(lines) != event.body["count"] or root != b64decode(event.body["root"], 32):
        raise KeeperRefused(f"entry {number} commits to another list than the one shown")
    for one in listed:
        blob = one.blob
        version = version_of(found.records[blob.record], blob.version)
        if version is None or sha256_of(version) != blob.sha256:
            raise KeeperRefused(
                f"{blob.key.name} is not the blob of version {blob.version} of {blob.record}"
            )
        names = {field.name for field in one.texts.fields}
        twice = len(names) != len(one.texts.fields)
        if one.texts.key.name != blob.record or twice or not names <= TEXTS:
            raise KeeperRefused(
                f"got texts of {one.texts.key.name}, expected title and file name of {blob.record}"
            )
    said = [(field.event, field.name) for field in words.fields]
    if words.key.name != event.subject or said != [(found.referral.referral, "words")]:
        raise KeeperRefused(f"entry {number} shows the words of {found.referral.referral} alone")
    for texts in (words, *(one.texts for one in listed)):
        if texts.key.subject != event.subject or any(
            f.stream != event.stream for f in texts.fields
        ):
            raise KeeperRefused(f"entry {number} takes up what is in {event.stream} alone")
    return root


def packed(
    entry: Entry,
    found: Referred,
    listed: Sequence[ReferredBlob],
    keys: Sequence[bytes],
    texts: Sequence[Mapping[str, str]],
    words: str,
) -> tuple[bytes, bytes]:
    """Share and sealed list of what was checked: `keys` and `texts` of each line in order; raises SealError."""
    referral, event = found.referral, entry.event
    versions = []
    for one, key, known in zip(listed, keys, texts, strict=True):
        record = found.records[one.blob.record]
        version = record.versions[one.blob.version - 1]
        versions.append(
            PackedVersion(
                version.blob, record.category, record.clinical_date, known.get("file_name", ""), b64encode(key),
                version.media_type, record.record, version.sha256, version.size, known.get("title", ""), version.version,
            )
        )  # fmt: skip
    secret = os.urandom(KEY_BYTES)
    sealer = Sealer(secret, list_context(referral.patient, referral.referral, event.id))
    sealed = sealer.update(PackedList(tuple(versions), words).text()) + sealer.finalize()
    info = kept_share_info(referral.patient, event.id, found.key.key, referral.referral)
    return share_stored(found.key.public, info, secret), sealed
