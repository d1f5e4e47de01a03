"""Reserve ids: make keys with the keeper, keep them staged, seal texts under them."""

from collections.abc import Sequence

from storage.keeper import KeyRequest, Wrapped
from storage.ledger import Ledger
from storage.staged import BlobKey, ObjectKey


def reserve(
    ledger: Ledger, author: str, requests: Sequence[KeyRequest], sizes: dict[str, int] | None = None
) -> dict[tuple[str, str], Wrapped]:
    """Make and stage the keys asked for; gives them by (subject, object or blob).

    An object that has a key already keeps that one.

    `sizes`: plaintext bytes of the blobs, by id. Open to `author` alone until an entry names them.
    """
    made = ledger.keeper.new_key(requests)
    blobs = {b.blob: (r.subject, b) for r in requests for b in r.blobs}
    now, objects, blob_keys = ledger.clock(), [], []
    for w in made:
        if w.name in blobs:
            patient, blob = blobs[w.name]
            size = (sizes or {})[w.name]
            blob_keys.append(
                BlobKey(
                    w.name,
                    patient,
                    blob.record,
                    author,
                    blob.sha256,
                    size,
                    w.version,
                    w.wrapped,
                    now,
                )
            )
        else:
            objects.append(ObjectKey(w.name, w.subject, author, w.version, w.wrapped, now))
    ledger.keys.stage(objects, blob_keys)
    with ledger.database.read() as connection:
        names = [(key.object, key.subject) for key in objects]
        kept = ledger.keys.object_keys(connection, names)
    return {(w.subject, w.name): w for w in made if w.name in blobs} | {
        (k.subject, k.object): Wrapped(k.subject, k.object, k.version, k.wrapped) for k in kept
    }


def object_key(ledger: Ledger, subject: str, name: str) -> Wrapped:
    """An object key that was reserved before; raises NotFound."""
    row = ledger.keys.object_key(subject, name)
    return Wrapped(row.subject, row.object, row.version, row.wrapped)
