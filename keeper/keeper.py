"""The key keeper: the only code that unwraps a record's key, and it asks for proof.

`new_key` and `seal` encrypt only. `release` and `open_fields` give something out, and only against the
receipt of a permitted reading that names it. An object in this process for now, behind the calls of a
process of its own: it has the record root for itself, trusts nobody's word about the log, and keeps the
last checkpoint it saw in a file of its own.
"""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from crypto import wraps
from crypto.cosignatures import Checkpoint
from crypto.encoding import b64decode
from crypto.errors import CryptoError
from crypto.notes import VerifierKey
from crypto.shares import share_info, share_once
from crypto.signing import verify
from durable.errors import NotFound, StartRefused
from durable.trusted import TrustedCheckpoint
from keeper.errors import KeeperRefused
from keeper.keks import KekStore
from ledger.checkpoint import open_checkpoint
from ledger.entry import Entry
from ledger.errors import LedgerError
from ledger.exports import export_line, export_root
from ledger.forms import parse_entry
from ledger.merkle import check_consistency
from ledger.receipt import Receipt

RELEASE_MS = 60_000
"""How long after its entry a reading may still get its key, by the keeper's own clock."""
STAFF_EVENTS = frozenset({"admin.appointed", "doctor.approved", "system.added"})
KEKS_CACHED = 1_024
NOTES_CACHED = 64
KEY_ENTRIES_CACHED = 4_096
_ROOT_CHECK = "root"

Prove = Callable[[int, int], Sequence[bytes]]
"""`prove(old, new)`: the consistency proof between two sizes of the log."""


@dataclass(frozen=True, slots=True)
class NewBlob:
    """A data key to wrap: `key` as the sealer drew it, `sha256` of the ciphertext."""

    record: str
    blob: str
    sha256: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """Object keys to make and data keys to wrap for one subject (patient or account)."""

    subject: str
    objects: tuple[str, ...] = ()
    blobs: tuple[NewBlob, ...] = ()


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A wrapped key; `version` is the KEK's."""

    subject: str
    name: str
    version: int
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class SealedField:
    """A sealed field as it stands in an entry: where it stands, and the text."""

    stream: str
    event: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What the keeper is shown: the reading's receipt, that of its key, and proofs between sizes.

    `key` is the receipt of the `key.registered` (or `ledger.created`) that put in the signing key; both
    receipts are under the same checkpoint.
    """

    receipt: Receipt
    key: Receipt
    prove: Prove


class KeyKeeper:
    """Keys under the record root; see the module."""

    def __init__(
        self,
        root: bytes,
        store: KekStore,
        log_keys: Sequence[VerifierKey],
        trusted: TrustedCheckpoint,
        clock: Callable[[], int],
    ) -> None:
        """`root`: 32 bytes; `log_keys`: pinned, not taken from the log; `clock`: Unix ms."""
        self._root, self._store, self._log_keys = root, store, tuple(log_keys)
        self._trusted, self._clock = trusted, clock
        self._lock = threading.Lock()
        self._seen = self._last_seen()
        self._followed: set[tuple[int, bytes]] = set()
        """Checkpoints that were shown to lie on the one branch."""
        self._kek = lru_cache(maxsize=KEKS_CACHED)(self._load_kek)
        self._checkpoint = lru_cache(maxsize=NOTES_CACHED)(self._lead_to)
        self._proved = lru_cache(maxsize=NOTES_CACHED)(self._prove)
        self._opened = lru_cache(maxsize=NOTES_CACHED)(
            lambda note: open_checkpoint(note, self._log_keys)
        )

    def check_root(self) -> None:
        """Raises StartRefused unless the root is the one this store was made under."""
        try:
            self._kek(_ROOT_CHECK, 1)
        except (CryptoError, KeeperRefused) as error:
            raise StartRefused(
                "the record root is not the one this ledger was made with: put the right record.root back "
                "(HEARTWOOD_ROOT names its folder)"
            ) from error

    def create(self) -> None:
        """Begin a new store: a key that later tells whether the root is the right one."""
        self._versions([_ROOT_CHECK])

    @property
    def seen(self) -> Checkpoint:
        """The last checkpoint the keeper follows; of size 0 before the first."""
        with self._lock:
            return self._seen

    # Encrypting: open to whoever may append.

    def new_key(self, requests: Sequence[KeyRequest]) -> list[Wrapped]:
        """Make object keys and wrap data keys, a KEK for each subject that has none; in order."""
        versions = self._versions([request.subject for request in requests])
        out = []
        for request in requests:
            subject, version = request.subject, versions[request.subject]
            kek = self._kek(subject, version)
            for name in request.objects:
                key = os.urandom(wraps.KEY_BYTES)
                wrapped = wraps.wrap(kek, wraps.object_name(subject, name, version), key)
                out.append(Wrapped(subject, name, version, wrapped))
            for blob in request.blobs:
                name_ = wraps.dek_name(subject, blob.record, blob.blob, blob.sha256, version)
                out.append(Wrapped(subject, blob.blob, version, wraps.wrap(kek, name_, blob.key)))
        return out

    def seal(self, key: Wrapped, stream: str, event: str, fields: dict[str, str]) -> dict[str, str]:
        """Seal texts as fields of the event `event`, under the object key `key`, by field name."""
        object_key = self._object(key)
        return {
            name: wraps.seal_field(
                object_key, wraps.field_name(stream, key.name, event, name), text
            )
            for name, text in fields.items()
        }

    def label_codes(self, key: Wrapped, labels: Sequence[str]) -> list[str]:
        """The codes of sensitivity labels under a patient's label key, ascending."""
        object_key = self._object(key)
        return sorted(wraps.label_code(object_key, label) for label in labels)

    # Decrypting: only against a reading.

    def release(self, reading: Reading, wrapped: Wrapped, record: str, sha256: bytes) -> bytes:
        """The data key of the blob that a permitted reading or carrying names; once for each.

        With `reply` in the reading, the key as an HPKE share for that key instead. Raises KeeperRefused.
        """
        entry = self._permitted(reading, ("record.carried", "record.opened"))
        event, body = entry.event, entry.event.body
        named = (event.subject, body["record"], body["blob"])
        if named != (wrapped.subject, record, wrapped.name):
            raise KeeperRefused(f"entry {entry.link.seq} opens {body['blob']}, not {wrapped.name}")
        name = wraps.dek_name(wrapped.subject, record, wrapped.name, sha256, wrapped.version)
        try:
            key = wraps.unwrap(self._kek(wrapped.subject, wrapped.version), name, wrapped.wrapped)
            self._use(entry)
            if "reply" not in body:
                return key
            receiver = b64decode(body["reply"], 32)
            info = share_info(event.subject, event.id, receiver, wrapped.name)
            return share_once(receiver, info, key)
        except CryptoError as error:
            raise KeeperRefused(f"the key of {wrapped.name} does not open: {error}") from error

    def release_export(
        self, reading: Reading, listed: Sequence[tuple[str, int, bytes, Wrapped]]
    ) -> list[bytes]:
        """The data keys of all that a permitted export lists: record, version, hash, wrapped key; once.

        The list is checked against the count and root that the export's event names. Raises KeeperRefused.
        """
        entry = self._permitted(reading, ("chart.exported",))
        body = entry.event.body
        lines = [export_line(record, version, w.name) for record, version, _, w in listed]
        if len(lines) != body["count"] or export_root(lines) != b64decode(body["root"], 32):
            raise KeeperRefused(f"entry {entry.link.seq} exports another list than the one shown")
        self._use(entry)
        try:
            return [
                self._data_key(entry, wrapped, record, sha) for record, _, sha, wrapped in listed
            ]
        except CryptoError as error:
            raise KeeperRefused(f"a key of the export does not open: {error}") from error

    def _data_key(self, entry: Entry, wrapped: Wrapped, record: str, sha256: bytes) -> bytes:
        if wrapped.subject != entry.event.subject:
            raise KeeperRefused(f"entry {entry.link.seq} exports {entry.event.subject} alone")
        name = wraps.dek_name(wrapped.subject, record, wrapped.name, sha256, wrapped.version)
        return wraps.unwrap(self._kek(wrapped.subject, wrapped.version), name, wrapped.wrapped)

    def open_fields(
        self, reading: Reading, key: Wrapped, fields: Sequence[SealedField]
    ) -> list[str]:
        """The texts of sealed fields that a permitted reading shows; never for an auditor."""
        return self.open_each(reading, [(key, fields)])[0]

    def open_each(
        self, reading: Reading, sealed: Sequence[tuple[Wrapped, Sequence[SealedField]]]
    ) -> list[list[str]]:
        """The same for many objects at once: the texts of each one's fields, in order."""
        entry = self._permitted(reading, ("record.opened", "history.opened", "chart.opened"))
        event = entry.event
        if event.role == "auditor":
            raise KeeperRefused("auditors verify without reading; no field is opened for them")
        if event.type.name == "chart.opened" and (entry.decision or {})["rule"] != "S5":
            raise KeeperRefused(
                "a list shows its titles to the patient only; a reading shows its own"
            )
        return [self._texts(entry, key, fields) for key, fields in sealed]

    def _texts(self, entry: Entry, key: Wrapped, fields: Sequence[SealedField]) -> list[str]:
        event = entry.event
        if event.type.name == "record.opened" and key.name != event.body["record"]:
            raise KeeperRefused(
                f"entry {entry.link.seq} shows {event.body['record']}, not {key.name}"
            )
        if key.subject != event.subject or any(f.stream != event.stream for f in fields):
            raise KeeperRefused(f"entry {entry.link.seq} shows fields of {event.stream} only")
        try:
            object_key = self._object(key)
            return [
                wraps.open_field(
                    object_key, wraps.field_name(f.stream, key.name, f.event, f.name), f.text
                )
                for f in fields
            ]
        except CryptoError as error:
            raise KeeperRefused(f"a field of {key.name} does not open: {error}") from error

    def staff_name(self, registered: Receipt, joined: Receipt, key: Wrapped) -> str:
        """The name of somebody who works or worked at a hospital; for anybody signed in.

        `registered`: the receipt of the account's entry, `joined`: of one that gave it a role at a
        hospital, both under one checkpoint; `key`: the account's object key. Raises KeeperRefused.
        """
        try:
            if self._checkpoint(registered) != self._checkpoint(joined):
                raise KeeperRefused("the two receipts are under different checkpoints")
            account, role = _parsed(registered.entry).event, _parsed(joined.entry).event
            if account.type.name != "account.registered" or role.type.name not in STAFF_EVENTS:
                raise KeeperRefused(f"got {account.type.name} and {role.type.name}, not of staff")
            named = account.body["account"]
            if (role.body["account"], key.subject, key.name) != (named, named, named):
                raise KeeperRefused("the receipts and the key are not of one account")
            name = wraps.field_name(account.stream, named, account.id, "name")
            return wraps.open_field(self._object(key), name, account.body["name"])
        except (LedgerError, CryptoError, LookupError) as error:
            raise KeeperRefused(f"the name does not open: {error}") from error

    def group_name(self, formed: Receipt, key: Wrapped) -> str:
        """The name of a hospital's group, by the receipt of the entry that formed it; for anybody signed in.

        `key`: the group's object key, of the hospital. Raises KeeperRefused.
        """
        try:
            self._checkpoint(formed)
            event = _parsed(formed.entry).event
            group = event.body.get("group")
            if event.type.name != "group.formed" or (key.subject, key.name) != (
                event.subject,
                group,
            ):
                raise KeeperRefused(
                    f"got {event.type.name} and the key of {key.name}, not a group's"
                )
            name = wraps.field_name(event.stream, key.name, event.id, "name")
            return wraps.open_field(self._object(key), name, event.body["name"])
        except (LedgerError, CryptoError, LookupError) as error:
            raise KeeperRefused(f"the name does not open: {error}") from error

    def accept_restored(self, restored: Receipt, first: Receipt) -> None:
        """Follow a log that the operator declared restored: `ledger.restored`, with entry 0's receipt."""
        checkpoint = self._checkpoint(restored)
        entry, created = Entry.parse(restored.entry), Entry.parse(first.entry)
        operator = created.event.body["operator"]
        if (
            first.verify(self._log_keys) != checkpoint
            or first.index
            or entry.event.type.name != "ledger.restored"
        ):
            raise KeeperRefused("expected the receipts of ledger.restored and of entry 0")
        if entry.event.body["last_size"] < self._seen.size:
            raise KeeperRefused(
                f"ledger.restored speaks of {entry.event.body['last_size']} entries, and the keeper saw {self._seen.size}"
            )
        self._check_signature(entry, operator["account"], operator["key"], operator["public_key"])
        with self._lock:
            self._seen = checkpoint
            self._followed.clear()
            self._trusted.reset(restored.checkpoint)

    def close(self) -> None:
        """Write the last checkpoint seen, close the store."""
        try:
            self._trusted.write_now()
        finally:
            self._store.close()

    def _permitted(self, reading: Reading, types: tuple[str, ...]) -> Entry:
        """The entry of a permitted, fresh reading, after every check; raises KeeperRefused."""
        try:
            self._follow(self._checkpoint(reading.receipt), reading)
            entry = self._proved(reading.receipt, reading.key)
            if entry.event.type.name not in types:
                raise KeeperRefused(
                    f"entry {entry.link.seq} is {entry.event.type.name}, not {types}"
                )
        except (LedgerError, CryptoError, NotFound, LookupError) as error:
            raise KeeperRefused(f"the receipt does not hold: {error}") from error
        age = self._clock() - entry.time
        if abs(age) > RELEASE_MS:
            raise KeeperRefused(
                f"entry {entry.link.seq} is {age} ms old, expected at most {RELEASE_MS}"
            )
        return entry

    def _prove(self, receipt: Receipt, key: Receipt) -> Entry:
        """The permitted reading of a receipt, signed by the key that the other receipt puts in.

        Kept by the receipts' bytes: the same reading is shown for its key and for its texts.
        """
        checkpoint = self._checkpoint(receipt)
        entry = parse_entry(receipt.entry)
        if self._checkpoint(key) != checkpoint:
            raise KeeperRefused("the two receipts are under different checkpoints")
        if entry.decision is None or entry.decision["effect"] != "permit":
            name = entry.event.type.name
            raise KeeperRefused(f"entry {entry.link.seq} is {name}, not a permitted reading")
        if entry.link.seq != receipt.index:
            raise KeeperRefused(f"entry {entry.link.seq} permits nothing")
        self._check_signature(entry, *_registered(_parsed(key.entry), entry.sig.key))
        return entry

    def _lead_to(self, receipt: Receipt) -> Checkpoint:
        """The checkpoint that a receipt's path leads to; its signatures are looked at once a checkpoint."""
        checkpoint = self._opened(receipt.checkpoint)
        receipt.check_under(checkpoint)
        return checkpoint

    def _follow(self, checkpoint: Checkpoint, reading: Reading) -> None:
        """Follow one branch of the log only: each checkpoint extends, or is extended by, the last."""
        if (checkpoint.size, checkpoint.root) in self._followed:
            return
        with self._lock:
            seen = self._seen
            old, new = (seen, checkpoint) if seen.size <= checkpoint.size else (checkpoint, seen)
            if old.size:
                proof = reading.prove(old.size, new.size)
                check_consistency(old.size, old.root, new.size, new.root, proof)
            if len(self._followed) >= NOTES_CACHED:
                self._followed.clear()
            self._followed.add((checkpoint.size, checkpoint.root))
            if new is checkpoint:
                self._seen = checkpoint
                self._trusted.saw(checkpoint.size, reading.receipt.checkpoint, self._clock())

    def _check_signature(self, entry: Entry, account: str, key: str, public: str) -> None:
        if (entry.event.actor, entry.sig.key) != (account, key):
            raise KeeperRefused(f"entry {entry.link.seq} is not signed by a key of its actor")
        origin = self._log_keys[0].name
        verify(b64decode(public, 32), entry.sig.value, entry.sig.message(origin, entry.event.raw))

    def _use(self, entry: Entry) -> None:
        """One release for each reading, over all processes and restarts."""
        if not self._store.use(entry.event.id, self._clock(), 2 * RELEASE_MS):
            raise KeeperRefused(f"entry {entry.link.seq} has had its key already")

    def _last_seen(self) -> Checkpoint:
        note = self._trusted.read()
        if note is None:
            return Checkpoint(self._log_keys[0].name, 0, b"")
        try:
            return open_checkpoint(note, self._log_keys)
        except CryptoError as error:
            raise StartRefused(
                f"the keeper's last checkpoint does not hold: {error}. Restore it from the keeper's backup."
            ) from error

    def _versions(self, subjects: Sequence[str]) -> dict[str, int]:
        """The newest KEK version of each subject; version 1 is made where there is none."""
        wanted = list(dict.fromkeys(subjects))
        versions = {subject: found[0] for subject, found in self._store.latest(wanted).items()}
        fresh = [subject for subject in wanted if subject not in versions]
        if fresh:
            self._store.add(
                [
                    (s, 1, wraps.wrap(self._root, wraps.kek_name(s, 1), os.urandom(32)))
                    for s in fresh
                ]
            )
            versions.update(dict.fromkeys(fresh, 1))
        return versions

    def _load_kek(self, subject: str, version: int) -> bytes:
        wrapped = self._store.get(subject, version)
        if wrapped is None:
            raise KeeperRefused(
                f"no key is kept for {subject} in version {version}: it was erased, or never made"
            )
        return wraps.unwrap(self._root, wraps.kek_name(subject, version), wrapped)

    def _object(self, key: Wrapped) -> bytes:
        name = wraps.object_name(key.subject, key.name, key.version)
        return wraps.unwrap(self._kek(key.subject, key.version), name, key.wrapped)


@lru_cache(maxsize=KEY_ENTRIES_CACHED)
def _parsed(raw: bytes) -> Entry:
    return parse_entry(raw)


def _registered(entry: Entry, key: str) -> tuple[str, str, str]:
    """(account, key, public key) that `entry` put into the log under the key id `key`."""
    body = entry.event.body
    if entry.event.type.name == "key.registered" and body["key"] == key:
        return body["account"], key, body["public_key"]
    if entry.event.type.name == "ledger.created":
        for role in ("operator", "service"):
            if body[role]["key"] == key:
                return body[role]["account"], key, body[role]["public_key"]
    raise KeeperRefused(f"entry {entry.link.seq} does not register the key {key}")
