"""The key table: wrapped keys, staged before the entry that names them. No key here opens anything alone.

Whether a key is staged or live is not kept: it is live once an entry created what it belongs to.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, CursorResult

from crypto.blobs import sealed_length
from crypto.encoding import b64decode, b64encode
from crypto.ids import time_of, timed_id
from durable.errors import NotFound
from keeper.errors import KeyRenewed
from keeper.protocol import Wrapped
from ledger.entry import Entry
from ledger.errors import Refused
from ledger.event import Event
from ledger.facts import Record
from ledger.rows import Look
from storage.errors import BlobError
from storage.sql import schema
from storage.sql.database import Database

LABEL_KEY = "labels"
"""The object whose key makes a patient's label codes."""
A = TypeVar("A")
K = TypeVar("K")
RENEWED_TRIES = 8
"""How often a question is put again because its keys were renewed meanwhile."""
KEYED_MS = 12 * 3_600_000
"""How long after its birth a blob may get its key: half of what garbage collection waits, as clocks may differ."""
_BLOB_EVENTS = frozenset({"record.uploaded", "record.amended"})


class ObjectKey(NamedTuple):
    """A wrapped object key of `author`'s making; `staged_at` in Unix ms."""

    object: str
    subject: str
    author: str
    version: int
    wrapped: bytes
    staged_at: int

    @property
    def key(self) -> Wrapped:
        """What the keeper opens or seals under."""
        return Wrapped(self.subject, self.object, self.version, self.wrapped)


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

    @property
    def key(self) -> Wrapped:
        """What the keeper opens."""
        return Wrapped(self.patient, self.blob, self.version, self.wrapped)


class VersionKeys(NamedTuple):
    """What opens a version of a record: its blob's data key, and the record's object key for its texts."""

    blob: Wrapped
    record: Wrapped


class OlderKeys(NamedTuple):
    """Keys under KEKs that are being replaced."""

    objects: list[ObjectKey]
    blobs: list[BlobKey]


class KeyTable:
    """Wrapped keys in SQL."""

    def __init__(self, database: Database) -> None:
        """On the log's own database."""
        self.database = database

    def stage(
        self, clock: Callable[[], int], objects: Sequence[ObjectKey], blobs: Sequence[BlobKey] = ()
    ) -> list[ObjectKey]:
        """Keep staged keys, durable when this returns; gives the object keys that are kept. `clock`: Unix ms.

        One that is there already stays as it is, whoever made it.

        A blob comes with its record's object key or after it; raises NotFound otherwise. So whoever has
        a blob's key has its record's too. Raises KeyRenewed for a key under a KEK that is being replaced: its
        wrapping is done again, under the newest. Raises BlobError for a blob older than KEYED_MS, by its id: garbage
        collection, which sees a blob without a key a day later, may be about to remove it.
        """
        marks = ", ".join("?" for _ in ObjectKey._fields)
        statement = (
            f"INSERT INTO object_keys VALUES ({marks}) ON CONFLICT (object, subject) DO NOTHING"
        )
        with self.database.write() as connection:
            self.database.run_many(connection, statement, list(objects))
            wanted = {(key.object, key.subject) for key in objects}
            named = {(key.record, key.patient) for key in blobs}
            kept = {
                (k.object, k.subject): k for k in self.object_keys(connection, [*wanted, *named])
            }
            if lost := named - kept.keys():
                raise NotFound(f"no key is kept for the record {min(lost)[0]} of a blob")
            self.database.insert(connection, schema.blob_keys, list(blobs))
            # Last: whoever raises a floor waits for this transaction, or this one sees it.
            self._check_floors(
                connection, [*(one.key for one in objects), *(one.key for one in blobs)]
            )
            # Asked once the table is held: a look for blobs without a key comes before this time, or sees these keys.
            oldest = clock() - KEYED_MS
            if late := [key.blob for key in blobs if time_of(key.blob) < oldest]:
                raise BlobError(
                    f"the upload of {late[0]} took longer than {KEYED_MS // 3_600_000} hours: it is given up"
                )
        return [kept[name] for name in wanted]

    def object_key(self, subject: str, object_id: str) -> ObjectKey:
        """One object key; raises NotFound."""
        with self.database.read() as connection:
            found = self.object_keys(connection, [(object_id, subject)])
        if not found:
            raise NotFound(f"no key is kept for {object_id} of {subject}")
        return found[0]

    def object_keys(
        self, connection: Connection, names: Sequence[tuple[str, str]]
    ) -> list[ObjectKey]:
        """The keys under these (object, subject) names."""
        columns, keys = ", ".join(ObjectKey._fields), list(set(names))
        rows = self.database.select(connection, "object_keys", columns, ("object", "subject"), keys)
        return [ObjectKey._make(row) for row in rows]

    def blob_keys(self, connection: Connection, blobs: Sequence[str]) -> list[BlobKey]:
        """The data keys of these blobs."""
        columns, keys = ", ".join(BlobKey._fields), [(blob,) for blob in set(blobs)]
        rows = self.database.select(connection, "blob_keys", columns, ("blob",), keys)
        return [BlobKey._make(row) for row in rows]

    def oldest_blobs(self, limit: int) -> dict[str, int]:
        """The blobs that have had a key longest, at most so many, and their ciphertexts' lengths in bytes."""
        statement = "SELECT blob, size FROM blob_keys ORDER BY blob LIMIT ?"
        rows = self.database.fetch(statement, (limit,))
        return {str(blob): sealed_length(size) for blob, size in rows}

    def staged_by(self, author: str, patient: str, record: str, since: int) -> list[str]:
        """The blobs that an author staged for a record since `since` (Unix ms), named or not.

        Their ids are time-ordered, so that no others are looked through.
        """
        statement = "SELECT blob FROM blob_keys WHERE blob >= ? AND author = ? AND patient = ? AND record = ?"
        first = timed_id("bl", since, bytes(10))
        rows = self.database.fetch(statement, (first, author, patient, record))
        return [str(blob) for (blob,) in rows]

    def of_version(self, blob: str, record: str, patient: str) -> VersionKeys:
        """The keys of one version of a record; raises NotFound."""
        statement = (
            "SELECT b.version, b.wrapped, o.version, o.wrapped FROM blob_keys b "
            "JOIN object_keys o ON o.object = b.record AND o.subject = b.patient "
            "WHERE b.blob = ? AND b.record = ? AND b.patient = ?"
        )
        rows = self.database.fetch(statement, (blob, record, patient))
        if not rows:
            raise NotFound(
                f"no key is kept for {blob} of {record}: it was erased, or never created"
            )
        first, data_key, second, object_key = rows[0]
        return VersionKeys(
            Wrapped(patient, blob, first, bytes(data_key)),
            Wrapped(patient, record, second, bytes(object_key)),
        )

    def blob_key(self, blob: str) -> BlobKey:
        """One blob's data key; raises NotFound."""
        with self.database.read() as connection:
            found = self.blob_keys(connection, [blob])
        if not found:
            raise NotFound(f"no key is kept for {blob}")
        return found[0]

    def forget(self, subject: str, record: str = "") -> set[str]:
        """Remove the keys of a patient's record, or all of a patient's; gives the blobs that had one. Part of an erasure."""
        of_object, of_blob = ("subject = ?", "patient = ?") if not record else (
            "subject = ? AND object = ?", "patient = ? AND record = ?"
        )  # fmt: skip
        values = (subject,) if not record else (subject, record)
        with self.database.write() as connection:
            self.database.hold(connection, "object_keys", "blob_keys")

            def run(statement: str) -> CursorResult[Any]:
                return connection.exec_driver_sql(self.database.sql(statement), values)

            blobs = {str(blob) for (blob,) in run(f"SELECT blob FROM blob_keys WHERE {of_blob}")}
            run(f"DELETE FROM blob_keys WHERE {of_blob}")
            run(f"DELETE FROM object_keys WHERE {of_object}")
        return blobs

    # Renewing. One at a time does it, see `maintenance.renewing`.

    def subjects(self, after: str, limit: int) -> list[str]:
        """The next subjects that have keys, ascending."""
        statement = (
            "SELECT DISTINCT subject FROM object_keys WHERE subject > ? ORDER BY subject LIMIT ?"
        )
        return [str(subject) for (subject,) in self.database.fetch(statement, (after, limit))]

    def count_subjects(self) -> int:
        """How many subjects have keys."""
        return int(self.database.fetch("SELECT count(DISTINCT subject) FROM object_keys", ())[0][0])

    def raise_floors(self, versions: Mapping[str, int]) -> None:
        """From now on no key of a subject is staged under an older version than this, by any process.

        Whatever was staged under one before is in the tables when this returns.
        """
        with self.database.write() as connection:
            self.database.hold(connection, "object_keys", "blob_keys")
            self.database.upsert(connection, schema.kek_floors, list(versions.items()))

    def below_floors(self, subjects: Sequence[str], limit: int) -> OlderKeys:
        """Keys of these subjects under older versions than their floors; `limit`: of each kind."""
        with self.database.read() as connection:
            objects, blobs = (
                self.database.select(
                    connection, table, ", ".join(f'"{table}"."{name}"' for name in fields), (column,),
                    [(subject,) for subject in subjects],
                    f'JOIN kek_floors f ON f.subject = "{table}"."{column}"',
                    f'"{table}".version < f.version LIMIT {limit}',
                )
                for table, column, fields in (
                    ("object_keys", "subject", ObjectKey._fields),
                    ("blob_keys", "patient", BlobKey._fields),
                )
            )  # fmt: skip
        return OlderKeys(
            [ObjectKey._make(row) for row in objects], [BlobKey._make(row) for row in blobs]
        )

    def replace(self, older: OlderKeys, renewed: Sequence[Wrapped]) -> None:
        """Put renewed keys (of the objects, then of the blobs) in the place of older ones that are still the same."""
        count = len(older.objects)
        objects = [
            (new.version, new.wrapped, old.object, old.subject, old.version, old.wrapped)
            for old, new in zip(older.objects, renewed[:count], strict=True)
        ]
        blobs = [
            (new.version, new.wrapped, old.blob, old.patient, old.version, old.wrapped)
            for old, new in zip(older.blobs, renewed[count:], strict=True)
        ]
        sets = "SET version = ?, wrapped = ? WHERE"
        same = "AND version = ? AND wrapped = ?"
        with self.database.write() as connection:
            self.database.run_many(
                connection, f"UPDATE object_keys {sets} object = ? AND subject = ? {same}", objects
            )
            self.database.run_many(
                connection, f"UPDATE blob_keys {sets} blob = ? AND patient = ? {same}", blobs
            )

    def _check_floors(self, connection: Connection, staged: Sequence[Wrapped]) -> None:
        subjects = [(subject,) for subject in {key.subject for key in staged}]
        rows = self.database.select(
            connection, "kek_floors", "subject, version", ("subject",), subjects
        )
        floors = dict(row for row in map(tuple, rows))
        for key in staged:
            if key.version < floors.get(key.subject, 0):
                raise KeyRenewed(
                    f"the keys of {key.subject} were renewed: got one under version {key.version}, expected "
                    f"{floors[key.subject]} at least"
                )


def with_keys(fetch: Callable[[], K], ask: Callable[[K], A], first: K | None = None) -> A:
    """What `ask` answers for the keys that `fetch` takes from the table; fetched afresh where they were renewed meanwhile.

    `first`: keys that were fetched already. A key is replaced in the table before its KEK goes.
    """
    keys = fetch() if first is None else first
    for _ in range(RENEWED_TRIES):
        try:
            return ask(keys)
        except KeyRenewed:
            keys = fetch()
    return ask(keys)


def with_object_key(keys: KeyTable, key: Wrapped, ask: Callable[[Wrapped], A]) -> A:
    """What `ask` answers for an object key, or for its successor if it was renewed since it was fetched."""
    return with_keys(lambda: keys.object_key(key.subject, key.name).key, ask, key)


class Claims:
    """The staged keys that a batch's events name: there, their author's, and saying the same."""

    def __init__(
        self, keys: KeyTable, connection: Connection, events: Sequence[Event], look: Look
    ) -> None:
        """Load what the events name; `look` tells what was created already."""
        blobs = [e.body["blob"] for e in events if e.type.name in _BLOB_EVENTS]
        objects = [name for e in events for name in named_objects(e)]
        self._look = look
        self._blobs = {key.blob: key for key in keys.blob_keys(connection, blobs)}
        found = keys.object_keys(connection, objects)
        self._authors = {(key.object, key.subject): key.author for key in found}

    def claim(self, event: Event) -> None:
        """Check what `event`, about to be appended, names; raises Refused."""
        if event.type.name in _BLOB_EVENTS:
            return self._claim_blob(event)
        for name in named_objects(event):
            author = self._authors.get(name)
            if author is None:
                raise Refused("no_key", f"no key was reserved for {name[0]}: reserve it first")
            if author != event.actor and name[0] in _created(event):
                raise Refused("no_key", f"{name[0]} was reserved by somebody else")

    def _claim_blob(self, event: Event) -> None:
        body = event.body
        key = self._blobs.get(body["blob"])
        if key is None:
            raise Refused("no_key", f"got {body['blob']}, which was not staged")
        if (key.patient, key.record, key.author) != (event.subject, body["record"], event.actor):
            raise Refused(
                "no_key", f"got {body['blob']}, staged for another patient, record or author"
            )
        if b64encode(key.sha256) != body["sha256"] or key.size != body["size"]:
            raise Refused("no_key", f"got another hash or size of {body['blob']} than was staged")
        record = self._look.get(Record, body["record"])
        if record is not None and any(v.blob == key.blob for v in record.versions):
            raise Refused("duplicate_id", f"got {body['blob']}, which an entry names already")


class NamedBlob(NamedTuple):
    """What an entry says of a blob; `sha256` is that of the ciphertext, `size` the plaintext's in bytes."""

    seq: int
    patient: str
    record: str
    author: str
    blob: str
    sha256: bytes
    size: int

    @property
    def length(self) -> int:
        """The ciphertext's bytes."""
        return sealed_length(self.size)


def named_blob(entry: Entry) -> NamedBlob | None:
    """The blob that an entry names, if it is one of a new version of a record."""
    event, body = entry.event, entry.event.body
    if event.type.name not in _BLOB_EVENTS:
        return None
    return NamedBlob(
        entry.link.seq, event.subject, body["record"], event.actor,
        body["blob"], b64decode(body["sha256"], 32), body["size"],
    )  # fmt: skip


def named_objects(event: Event) -> list[tuple[str, str]]:
    """(object, subject) of the object keys an event needs; a record's comes with its blob's."""
    name, body = event.type.name, event.body
    if name == "account.registered":
        return [(body["account"], body["account"])]
    if name == "patient.registered":
        patient, account = body["patient"], body["account"]
        return [(patient, patient), (LABEL_KEY, patient), (account, account)]
    if name == "hospital.applied":
        return [(body["hospital"], body["hospital"])]
    if name == "group.formed" and "name" in body:
        return [(body["group"], event.subject)]
    return []


def _created(event: Event) -> set[str]:
    """The objects that are this event's own to create; the others were made live by earlier ones."""
    created: set[str] = {event.body[member] for member in event.type.creates}
    if event.type.name == "patient.registered":
        created.add(LABEL_KEY)
        if event.role != "service":
            created.add(event.body["account"])
    return created
