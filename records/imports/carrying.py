"""What a record holds now, for the next version that its own hospital's system makes of it."""

from consent.facts import Record, sha256_of
from crypto.blobs import blob_context, open_stream
from storage.ledger import Ledger


def current_content(ledger: Ledger, record: Record) -> bytes:
    """The newest version's content. It goes into the next version and nowhere else: nobody reads it here.

    Raises KeeperRefused for a version that no system wrote.
    """
    version = record.versions[-1]
    entry = ledger.kept_entry(version.seq)
    written = ledger.reading(version.seq, ledger.key_entry(entry.sig.key))
    keys = ledger.keys.of_version(version.blob, record.record, record.patient)
    key = ledger.keeper.carry(written, keys.blob, record.record, sha256_of(version))
    context = blob_context(record.patient, record.record, version.blob)
    return b"".join(open_stream(key, context, ledger.blobs.read(version.blob)))
