"""The key table: wrapped keys, staged until an entry names them. Holds no key that opens anything alone."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from crypto.encoding import b64decode
from ledger.errors import Refused
from ledger.event import Event
from storage import schema
from storage.database import Database
from storage.errors import NotFound


class ObjectKey(NamedTuple):
    """A wrapped object key; `live_seq` is the entry that named it, None while staged."""

    subject: str
    object: str
    author: str
    version: int
    wrapped: bytes
    staged_at: int
    live_seq: int | None


class BlobKey(NamedTuple):
    """A blob's wrapped data key; `sha256` is that of the ciphertext, `size` the plaintext's in bytes."""

    blob: str
    patient: str
    record: str
    author: str
    sha256: bytes
    size: int
    version: int
    wrapped: bytes
    staged_at: int
    live_seq: int | None


class KeyTable:
    """Wrapped keys in SQL."""

    def __init__(self, database: Database) -> None:
        """On the log's own database."""
        self.database = database

    def stage(self, objects: Sequence[ObjectKey], blobs: Sequence[BlobKey] = ()) -> None:
        """Keep staged keys, durable when this returns; an author may stage an unused one again."""
        columns = ", ".join(ObjectKey._fields)
        statement = (
            f"INSERT INTO object_keys ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (subject, object) DO UPDATE SET version = excluded.version, "
            "wrapped = excluded.wrapped, staged_at = excluded.staged_at "
            "WHERE object_keys.live_seq IS NULL AND object_keys.author = excluded.author"
        )
        with self.database.write() as connection:
            self.database.run_many(connection, statement, list(objects))
            self.database.insert(connection, schema.blob_keys, list(blobs))

    def object_key(self, subject: str, object_id: str) -> ObjectKey:
        """One object key; raises NotFound."""
        with self.database.read() as connection:
            found = self.object_keys(connection, [(subject, object_id)])
        if not found:
            raise NotFound(f"no key is kept for {object_id} of {subject}")
        return found[0]

    def object_keys(
        self, connection: Connection, names: Sequence[tuple[str, str]]
    ) -> list[ObjectKey]:
        """The keys under these (subject, object) names."""
        subjects, first = self.database.among("subject", list({subject for subject, _ in names}))
        objects, second = self.database.among("object", list({name for _, name in names}))
        columns = ", ".join(ObjectKey._fields)
        statement = f"SELECT {columns} FROM object_keys WHERE {subjects} AND {objects}"
        rows = connection.exec_driver_sql(statement, (first, second))
        return [ObjectKey._make(row)._replace(wrapped=bytes(row[4])) for row in rows]

    def blob_keys(self, connection: Connection, blobs: Sequence[str]) -> list[BlobKey]:
        """The data keys of these blobs."""
        where, parameter = self.database.among("blob", blobs)
        columns = ", ".join(BlobKey._fields)
        rows = connection.exec_driver_sql(
            f"SELECT {columns} FROM blob_keys WHERE {where}", (parameter,)
        )
        return [
            BlobKey._make(row)._replace(sha256=bytes(row[4]), wrapped=bytes(row[7])) for row in rows
        ]

    def blob_key(self, blob: str) -> BlobKey:
        """One blob's data key; raises NotFound."""
        with self.database.read() as connection:
            found = self.blob_keys(connection, [blob])
        if not found:
            raise NotFound(f"no key is kept for {blob}")
        return found[0]


class Claims:
    """The staged keys that a batch's events name; they turn live in the batch's transaction."""

    def __init__(self, keys: KeyTable, connection: Connection, events: Sequence[Event]) -> None:
        """Load what the events name."""
        self._keys = keys
        blobs = [e.body["blob"] for e in events if e.type.name in _BLOB_EVENTS]
        objects = list({name for e in events for name in named_objects(e)})
        found = keys.blob_keys(connection, blobs) if blobs else []
        self._blobs = {key.blob: key for key in found}
        rows = keys.object_keys(connection, objects) if objects else []
        self._objects = {(key.subject, key.object): key for key in rows}
        self._live_blobs: list[tuple[int, str]] = []
        self._live_objects: list[tuple[int, str, str]] = []

    def claim(self, event: Event, seq: int) -> None:
        """Take what `event`, about to be entry `seq`, names; raises Refused if it isn't its author's."""
        objects = [self._object(event, *name) for name in named_objects(event)]
        blob = self._blob(event) if event.type.name in _BLOB_EVENTS else None
        for key in objects:
            if key.live_seq is None:
                self._live_objects.append((seq, key.subject, key.object))
                self._objects[key.subject, key.object] = key._replace(live_seq=seq)
        if blob is not None:
            self._live_blobs.append((seq, blob.blob))
            self._blobs[blob.blob] = blob._replace(live_seq=seq)

    def _object(self, event: Event, subject: str, object_id: str) -> ObjectKey:
        key = self._objects.get((subject, object_id))
        if key is None:
            raise Refused("no_key", f"no key was reserved for {object_id}: reserve it first")
        if key.live_seq is None and key.author != event.actor:
            raise Refused("no_key", f"{object_id} was reserved by somebody else")
        return key

    def _blob(self, event: Event) -> BlobKey:
        body = event.body
        key = self._blobs.get(body["blob"])
        if key is None:
            raise Refused("no_key", f"got {body['blob']}, which was not staged")
        if key.live_seq is not None:
            raise Refused(
                "duplicate_id", f"got {body['blob']}, which entry {key.live_seq} names already"
            )
        if (key.patient, key.record, key.author) != (event.subject, body["record"], event.actor):
            raise Refused(
                "no_key", f"got {body['blob']}, staged for another patient, record or author"
            )
        if key.sha256 != b64decode(body["sha256"], 32) or key.size != body["size"]:
            raise Refused("no_key", f"got another hash or size of {body['blob']} than was staged")
        return key

    def write(self, connection: Connection) -> None:
        """Turn live what was claimed."""
        database = self._keys.database
        database.run_many(
            connection, "UPDATE blob_keys SET live_seq = ? WHERE blob = ?", self._live_blobs
        )
        statement = "UPDATE object_keys SET live_seq = ? WHERE subject = ? AND object = ?"
        database.run_many(connection, statement, self._live_objects)


_BLOB_EVENTS = frozenset({"record.uploaded", "record.amended"})
LABEL_KEY = "labels"
"""The object whose key makes a patient's label codes."""


def named_objects(event: Event) -> list[tuple[str, str]]:
    """(subject, object) of every object key that an event needs."""
    name, body = event.type.name, event.body
    if name in _BLOB_EVENTS:
        return [(event.subject, body["record"])]
    if name == "account.registered":
        return [(body["account"], body["account"])]
    if name == "patient.registered":
        patient, account = body["patient"], body["account"]
        return [(patient, patient), (patient, LABEL_KEY), (account, account)]
    return []
