"""The key keeper: the only code that unwraps a record's key, and it asks for proof.

`new_key` and `seal` encrypt only. `release` and `open_fields` give something out, and only against the
receipt of a permitted reading that names it. An object in this process for now, behind the calls of a
process of its own (`protocol`: values in, values out): it has the record root for itself, trusts nobody's
word about the log, and keeps the last checkpoint it saw in a file of its own (`branch`).
"""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from crypto import wraps
from crypto.encoding import b64decode
from crypto.errors import CryptoError
from crypto.ids import prefix_of
from crypto.notes import Cosigner, LogSigner, Note, VerifierKey
from crypto.shares import share_info, share_once
from crypto.signing import verify
from durable.errors import StartRefused
from durable.trusted import TrustedCheckpoint
from keeper.branch import NOTES_CACHED, Branch
from keeper.cosigning import ENDED, end_cosigning
from keeper.errors import KeeperRefused, KeeperUnavailable
from keeper.following import FollowedLog
from keeper.keks import KekStore
from keeper.packing import check_packed, packed
from keeper.protocol import (
    Alarm,
    Conflict,
    Evidence,
    KeptBlob,
    KeyRequest,
    ListedBlob,
    ReferredBlob,
    SealedField,
    SealedObject,
    SignedReleases,
    Standing,
    Wrapped,
)
from keeper.releases import Reading, Releases
from keeper.roots import RecordRoots
from keeper.wrapping import Keks
from ledger.checkpoint import Checkpoint
from ledger.entry import Entry
from ledger.errors import LedgerError, ProofError
from ledger.event import Event
from ledger.exports import export_line, export_root
from ledger.forms import parse_entry
from ledger.receipt import Receipt
from ledger.releases import (
    EXPORT,
    KEY,
    PACKAGE,
    RELEASE_MS,
    RELEASED_FOR,
    TEXTS,
    export_given,
    key_given,
    package_given,
    texts_given,
)

ASKING_EVENTS = frozenset({"doctor.applied", "doctor.joined", "hospital.applied"})
"""By which their author asks for a role at a hospital, or takes one up that it offered."""
STAFF_EVENTS = ASKING_EVENTS | {"admin.appointed", "doctor.approved", "system.added"}
"""What makes an account's name one that is opened: whoever applies to a hospital is to be known there."""
KEY_ENTRIES_CACHED = 4_096
_ROOT_CHECK = "root"


_TO_PATIENTS = frozenset({"chart.opened", "history.opened"})
"""What shows texts to nobody but the patient: titles, and what was written for them."""


class _Permitted(NamedTuple):
    """A reading that may get something, and when the keeper looked at it, Unix ms."""

    entry: Entry
    time: int

    @property
    def reading(self) -> Reading:
        """What the log of releases says of it."""
        return Reading(self.entry.link.seq, self.entry.event.id, self.time)


class KeyKeeper:
    """Keys under the record root; see the module.

    Calls that take evidence raise KeeperRefused for what it doesn't prove, and answer a `Conflict` where it begins at
    another size than the keeper's.
    """

    def __init__(
        self,
        roots: RecordRoots,
        store: KekStore,
        log_keys: Sequence[VerifierKey],
        trusted: TrustedCheckpoint,
        clock: Callable[[], int],
        followed: FollowedLog,
        cosigner: Cosigner,
        folder: Path,
        releases: Releases,
        releases_signer: LogSigner,
    ) -> None:
        """`roots`: of the store's KEKs; `log_keys`: pinned, not taken from the log; `clock`: Unix ms; `followed`: its reading of it;
        `cosigner`: its keys as a witness; `folder`: where it says that it cosigns no more;
        `releases`: its log of what it gave out, and `releases_signer` the keys of that."""
        self._keks, self._store, self._origin = Keks(store, roots), store, log_keys[0].name
        self._log_keys, self._clock = tuple(log_keys), clock
        self._followed, self._cosigner, self._folder = followed, cosigner, folder
        self._releases, self._releases_signer = releases, releases_signer
        self._branch = Branch(log_keys, trusted, lambda: self._clock(), followed)
        self._signed = lru_cache(maxsize=NOTES_CACHED)(self._check_signed)

    def check_root(self) -> None:
        """Raises StartRefused unless the root can be had, and is the one this store was made under."""
        self._keks.check_roots()
        try:
            self._keks.kek(_ROOT_CHECK, 1)
        except (CryptoError, KeeperRefused) as error:
            raise StartRefused(
                "the record root is not the one this ledger was made with: put the right record.root back "
                "(HEARTWOOD_ROOT names its folder)"
            ) from error

    def create(self) -> None:
        """Begin a new store: a key that later tells whether the root is the right one."""
        self._keks.newest([_ROOT_CHECK])

    @property
    def seen(self) -> Checkpoint:
        """The last checkpoint the keeper follows; of size 0 before the first."""
        return self._branch.seen

    def standing(self) -> Standing:
        """How far it follows the log. Asked by every server several times a second, it sees to its log of releases, too."""
        self._releases.catch_up()
        seen, (taken, refused) = self.seen, self._followed.count_alarms()
        return Standing(seen.size, seen.root, taken, self._followed.end().size, refused)

    def alarms(self, since: int = 0) -> list[Alarm]:
        """What it found that is not what the rules give, in the log's order: the first page of it from entry `since` on."""
        return self._followed.alarms(since)

    # Following the log.

    def follow(
        self, since: int, entries: Sequence[bytes], checkpoint: bytes, proof: Sequence[bytes]
    ) -> int:
        """Read the entries from `since` on, which lie under a checkpoint (its note); gives how many were read by then.

        Nothing is read where `since` isn't how many were read before. `proof`: the consistency proof from the last of
        them to the checkpoint. Raises KeeperRefused for what is not under it, or not what the rules give.
        """
        try:
            return self._branch.take(since, entries, checkpoint, proof)
        except (LedgerError, CryptoError) as error:
            raise KeeperRefused(f"the log can't be followed: {error}") from error

    # A witness.

    def vkeys(self) -> list[str]:
        """Its verifier keys as a witness: Ed25519, ML-DSA-44."""
        return [str(key) for key in self._cosigner.keys]

    def cosign(self, since: int, checkpoint: bytes, proof: Sequence[bytes]) -> bytes | Conflict:
        """Its cosignatures, as the lines of a note, of a checkpoint (its note) that it has read up to.

        `proof`: the consistency proof to the size `since`, which it told last. What it cosigned it holds to, on the disk
        before it answers. Raises KeeperRefused for another log's, and after a restoration.
        """
        if (self._folder / ENDED).exists():
            raise KeeperRefused(
                "the log was restored after it had been cosigned: the keeper cosigns no second history"
            )
        try:
            shown = self._branch.lies(checkpoint, since, proof)
            if isinstance(shown, Conflict):
                return shown
            self._branch.hold_to(shown, checkpoint)
            if (self._folder / ENDED).exists():  # restored meanwhile
                raise KeeperRefused("the log was restored: the keeper cosigns no second history")
            return self._cosigner.cosign(Note.parse(checkpoint).text, self._clock() // 1000)
        except (LedgerError, CryptoError) as error:
            raise KeeperRefused(f"the checkpoint is not cosigned: {error}") from error

    # Its own log, of what it gave out.

    def signed_releases(self) -> SignedReleases:
        """The checkpoint of all that it gave out so far, and the keys that sign it."""
        note = self._releases.checkpoint(self._releases_signer)
        return SignedReleases(note, tuple(str(key) for key in self._releases_signer.keys))

    def releases(self, since: int, count: int) -> list[bytes]:
        """Its log's entries from `since` on, at most `count`; raises KeeperRefused for more than a page."""
        return self._releases.page(since, count)

    # Encrypting: open to whoever may append.

    def new_key(self, requests: Sequence[KeyRequest]) -> list[Wrapped]:
        """Make object keys and wrap data keys, a KEK for each subject that has none; in order."""
        newest = self._keks.newest([request.subject for request in requests])
        out = []
        for request in requests:
            subject = request.subject
            version, kek = newest[subject]
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

    # Decrypting: only against a reading, whose evidence is its receipt.

    def release(
        self, evidence: Evidence, wrapped: Wrapped, record: str, sha256: bytes
    ) -> bytes | Conflict:
        """The data key of the blob that a permitted reading or carrying names; once for each.

        With `reply` in the reading, the key as an HPKE share for that key instead. Raises KeeperRefused.
        """
        permitted = self._permitted(evidence, RELEASED_FOR[KEY], (record,))
        if isinstance(permitted, Conflict):
            return permitted
        entry = permitted.entry
        self._followed.check_given(entry, (record,))
        event, body = entry.event, entry.event.body
        named = (event.subject, body["record"], body["blob"])
        if named != (wrapped.subject, record, wrapped.name):
            raise KeeperRefused(f"entry {entry.link.seq} opens {body['blob']}, not {wrapped.name}")
        try:
            key = self._data_key(entry, wrapped, record, sha256)
            if "reply" in body:
                receiver = b64decode(body["reply"], 32)
                key = share_once(
                    receiver, share_info(event.subject, event.id, receiver, wrapped.name), key
                )
        except CryptoError as error:
            raise KeeperRefused(f"the key of {wrapped.name} can't be opened: {error}") from error
        given = key_given(record, body["version"], wrapped.name)
        self._releases.record(permitted.reading, [given], once=True)
        return key

    def release_export(
        self, evidence: Evidence, listed: Sequence[ListedBlob]
    ) -> list[bytes] | Conflict:
        """The data keys of all that a permitted export lists, in order; once.

        The list is checked against the count and root that the export's event names. Raises KeeperRefused.
        """
        records = {one.record for one in listed}
        permitted = self._permitted(evidence, RELEASED_FOR[EXPORT], records)
        if isinstance(permitted, Conflict):
            return permitted
        entry = permitted.entry
        self._followed.check_given(entry, records)
        body = entry.event.body
        lines = [export_line(one.record, one.version, one.key.name) for one in listed]
        root = export_root(lines)
        if len(lines) != body["count"] or root != b64decode(body["root"], 32):
            raise KeeperRefused(f"entry {entry.link.seq} exports another list than the one shown")
        try:
            keys = [self._data_key(entry, one.key, one.record, one.sha256) for one in listed]
        except CryptoError as error:
            raise KeeperRefused(f"a key of the export can't be opened: {error}") from error
        self._releases.record(permitted.reading, [export_given(len(lines), root)], once=True)
        return keys

    def release_package(
        self, evidence: Evidence, listed: Sequence[ReferredBlob], words: SealedObject
    ) -> tuple[bytes, bytes] | Conflict:
        """What a permitted taking up of an accepted referral gives, sealed for the receiver's X-Wing key that it names; once.

        `listed`: all that the referral lists and may still travel, in its order; `words`: what its sender wrote. No key
        leaves in clear: given are the share that opens by that key, and the list that opens by what is in it. Raises KeeperRefused.
        """
        records = {one.blob.record for one in listed}
        permitted = self._permitted(evidence, RELEASED_FOR[PACKAGE], records)
        if isinstance(permitted, Conflict):
            return permitted
        entry = permitted.entry
        self._followed.check_given(entry, records)
        found = self._followed.referred(entry)
        root = check_packed(entry, found, listed, words)
        try:
            blobs = [one.blob for one in listed]
            keys = [self._data_key(entry, one.key, one.record, one.sha256) for one in blobs]
            texts = [self._named_texts(one.texts) for one in listed]
            package = packed(
                entry, found, listed, keys, texts, self._named_texts(words).get("words", "")
            )
        except CryptoError as error:
            raise KeeperRefused(f"the package can't be sealed: {error}") from error
        given = package_given(len(listed), root, found.key.key)
        self._releases.record(permitted.reading, [given], once=True)
        return package

    def _named_texts(self, sealed: SealedObject) -> dict[str, str]:
        """The texts of an object's fields by name, without those that can't be opened; raises CryptoError."""
        if not sealed.fields:
            return {}
        key = self._object(sealed.key)
        texts = {
            f.name: _opened(
                key, wraps.field_name(f.stream, sealed.key.name, f.event, f.name), f.text
            )
            for f in sealed.fields
        }
        return {name: text for name, text in texts.items() if text is not None}

    def _data_key(self, entry: Entry, wrapped: Wrapped, record: str, sha256: bytes) -> bytes:
        if wrapped.subject != entry.event.subject:
            raise KeeperRefused(f"entry {entry.link.seq} exports {entry.event.subject} alone")
        name = wraps.dek_name(wrapped.subject, record, wrapped.name, sha256, wrapped.version)
        return wraps.unwrap(self._keks.kek(wrapped.subject, wrapped.version), name, wrapped.wrapped)

    def open_fields(
        self, evidence: Evidence, sealed: Sequence[SealedObject]
    ) -> list[list[str | None]] | Conflict:
        """The texts of sealed fields that a permitted reading shows, of each object in order; never for an auditor.

        None stands for a field that isn't sealed as what it is shown as: whoever wrote it must not keep the others from the reader.
        """
        names = {one.key.name for one in sealed}
        permitted = self._permitted(evidence, RELEASED_FOR[TEXTS], names)
        if isinstance(permitted, Conflict):
            return permitted
        entry = permitted.entry
        event = entry.event
        if event.role == "auditor":
            raise KeeperRefused("auditors verify without reading; no field is opened for them")
        if event.type.name in _TO_PATIENTS and (entry.decision or {})["rule"] != "S5":
            raise KeeperRefused(
                "a list or a history shows its texts to the patient only; a reading shows its own"
            )
        self._followed.check_given(entry, names)
        texts = [self._texts(entry, one.key, one.fields) for one in sealed]
        if names:
            self._releases.record(permitted.reading, texts_given(names), once=False)
        return texts

    def _texts(self, entry: Entry, key: Wrapped, fields: Sequence[SealedField]) -> list[str | None]:
        event = entry.event
        if event.type.name == "record.opened" and key.name != event.body["record"]:
            raise KeeperRefused(
                f"entry {entry.link.seq} shows {event.body['record']}, not {key.name}"
            )
        if event.type.name == "history.opened" and key.name != event.subject:
            raise KeeperRefused(
                f"entry {entry.link.seq} shows what was written for the patient, not {key.name}"
            )
        if event.type.name == "emergency.opened" and not _declares(event, key, fields):
            raise KeeperRefused(
                f"entry {entry.link.seq} shows what was declared of {event.body['emergency']} alone"
            )
        if key.subject != event.subject or any(f.stream != event.stream for f in fields):
            raise KeeperRefused(f"entry {entry.link.seq} shows fields of {event.stream} only")
        try:
            prefix_of(key.name)  # what stands in the log of releases is ids alone
            object_key = self._object(key)
            named = [
                (wraps.field_name(f.stream, key.name, f.event, f.name), f.text) for f in fields
            ]
        except CryptoError as error:
            raise KeeperRefused(f"the key of {key.name} can't be opened: {error}") from error
        return [_opened(object_key, name, text) for name, text in named]

    # Decrypting names: for anybody signed in.

    def staff_name(self, evidence: Evidence, key: Wrapped) -> str | Conflict | None:
        """The name of somebody who works or worked at a hospital, or applied to one.

        `evidence`: the receipts of the account's entry and of one that gave it a role at a hospital, or by which it asked
        for one; of an account that registered alone, one by which it asked: else a hospital could learn anybody's name by
        appointing them. `key`: the account's object key. None where what was signed isn't sealed as its name. Raises KeeperRefused.
        """
        try:
            stood = self._stood(evidence, 2)
            if isinstance(stood, Conflict):
                return stood
            account, role = (entry.event for entry in stood)
            if account.type.name != "account.registered" or role.type.name not in STAFF_EVENTS:
                raise KeeperRefused(f"got {account.type.name} and {role.type.name}, not of staff")
            named = account.body["account"]
            if account.role == "service" and role.type.name not in ASKING_EVENTS:
                raise KeeperRefused(f"{named} registered alone and didn't ask for a role here")
            asked = role.actor if role.type.name in ASKING_EVENTS else role.body["account"]
            if (asked, key.subject, key.name) != (named, named, named):
                raise KeeperRefused("the receipts and the key are not of one account")
            name = wraps.field_name(account.stream, named, account.id, "name")
            return _opened(self._object(key), name, account.body["name"])
        except (LedgerError, CryptoError, LookupError) as error:
            raise KeeperRefused(f"the name can't be opened: {error}") from error

    def group_name(self, evidence: Evidence, key: Wrapped) -> str | Conflict | None:
        """The name of a hospital's group; None as of `staff_name`.

        `evidence`: the receipt of the entry that formed it; `key`: the group's object key, of the hospital. Raises
        KeeperRefused.
        """
        try:
            stood = self._stood(evidence, 1)
            if isinstance(stood, Conflict):
                return stood
            (event,) = (entry.event for entry in stood)
            group = event.body.get("group")
            if event.type.name != "group.formed" or (key.subject, key.name) != (
                event.subject,
                group,
            ):
                raise KeeperRefused(
                    f"got {event.type.name} and the key of {key.name}, not a group's"
                )
            name = wraps.field_name(event.stream, key.name, event.id, "name")
            return _opened(self._object(key), name, event.body["name"])
        except (LedgerError, CryptoError, LookupError) as error:
            raise KeeperRefused(f"the name can't be opened: {error}") from error

    def applied(self, evidence: Evidence, key: Wrapped) -> list[str | None] | Conflict:
        """The name and the contact that a hospital's application holds; None as of `staff_name`.

        `evidence`: the receipt of the application; `key`: the hospital's object key. Raises KeeperRefused.
        """
        try:
            stood = self._stood(evidence, 1)
            if isinstance(stood, Conflict):
                return stood
            (event,) = (entry.event for entry in stood)
            hospital = event.body.get("hospital")
            if event.type.name != "hospital.applied" or (key.subject, key.name) != (
                hospital,
                hospital,
            ):
                raise KeeperRefused(
                    f"got {event.type.name} and the key of {key.name}, not a hospital's application"
                )
            opened = self._object(key)
            return [
                _opened(
                    opened,
                    wraps.field_name(event.stream, key.name, event.id, field),
                    event.body[field],
                )
                for field in ("name", "contact")
            ]
        except (LedgerError, CryptoError, LookupError) as error:
            raise KeeperRefused(f"the application can't be opened: {error}") from error

    # Renewing KEKs: wraps go in and wraps come out. Older versions open until they are destroyed.

    def versions(self, subjects: Sequence[str]) -> dict[str, list[int]]:
        """The KEK versions that are kept of each subject, ascending."""
        return self._store.versions(subjects)

    def advance(self, above: dict[str, int]) -> None:
        """Make a new KEK for each subject, in the version after the one said, unless there is one already."""
        self._keks.advance(above)

    def renew(self, objects: Sequence[Wrapped], blobs: Sequence[KeptBlob]) -> list[Wrapped]:
        """The same object keys and data keys under the newest KEK of their subjects: objects, then blobs, in order.

        Raises KeeperRefused for a wrap that opens under no KEK that is kept, and for what was erased.
        """
        self._check_not_erased(objects, blobs)
        newest = self._keks.newest([key.subject for key in (*objects, *(b.key for b in blobs))])
        wanted = [
            (key, wraps.object_name(key.subject, key.name, key.version),
             wraps.object_name(key.subject, key.name, newest[key.subject][0]))
            for key in objects
        ]  # fmt: skip
        for blob in blobs:
            key, place = blob.key, (blob.key.subject, blob.record, blob.key.name, blob.sha256)
            name = wraps.dek_name(*place, key.version)
            wanted.append((key, name, wraps.dek_name(*place, newest[key.subject][0])))
        return [self._renewed(key, name, to, *newest[key.subject]) for key, name, to in wanted]

    def _renewed(self, key: Wrapped, name: bytes, to: bytes, version: int, kek: bytes) -> Wrapped:
        rewrap = wraps.Rewrapping(self._keks.kek(key.subject, key.version), kek)
        try:
            wrapped = rewrap(name, key.wrapped, to)
        except CryptoError as error:
            raise KeeperRefused(f"the key of {key.name} can't be renewed: {error}") from error
        return Wrapped(key.subject, key.name, version, wrapped)

    def destroy(self, keks: Sequence[tuple[str, int]]) -> None:
        """Destroy KEKs by (subject, version), for every process at once.

        Raises KeeperRefused for a subject's newest, KeeperUnavailable while a backup copies the store.
        """
        latest = self._store.latest([subject for subject, _ in keks])
        for subject, version in keks:
            if subject in latest and version >= latest[subject].version:
                raise KeeperRefused(
                    f"version {version} is the newest key of {subject}: make the next one before it is destroyed"
                )
        self._remove(keks)

    def _remove(self, keks: Sequence[tuple[str, int]]) -> None:
        try:
            self._store.remove(keks)
        except BlockingIOError as error:
            raise KeeperUnavailable(
                "the keeper's store is being copied: try again later"
            ) from error

    def _check_not_erased(self, objects: Sequence[Wrapped], blobs: Sequence[KeptBlob]) -> None:
        """Raises KeeperRefused for a key of what was erased: from a copy of the key table it would come back."""
        named = [(key.subject, key.name) for key in objects]
        named += [(blob.key.subject, blob.record) for blob in blobs]
        erased = self._followed.erased({subject for subject, _ in named})
        for subject, name in named:
            if erased[subject] & {"", name}:
                raise KeeperRefused(f"{name} of {subject} was erased: its key is not renewed")

    def erase(self, evidence: Evidence) -> int | Conflict:
        """Destroy what opens the keys of an erased record, or of a whole chart, for every process at once; gives how many KEKs.

        `evidence`: the receipt of the `erasure.begun`. Of a record the versions before the newest are destroyed, under
        which the subject's other keys are by now; of a chart all versions. Done again, it gives 0. Raises KeeperRefused for
        an erasure that has not begun, was withdrawn or has not waited here, KeeperUnavailable while a backup copies the
        store.
        """
        try:
            stood = self._stood(evidence, 1)
        except (LedgerError, CryptoError, LookupError) as error:
            raise KeeperRefused(f"the receipt is not valid: {error}") from error
        if isinstance(stood, Conflict):
            return stood
        erasure = self._followed.begun(stood[0], self._clock())
        kept = self._store.versions([erasure.patient])[erasure.patient]
        gone = kept[:-1] if erasure.record else kept
        self._remove([(erasure.patient, version) for version in gone])
        return len(gone)

    # After a loss.

    def accept_restored(self, restored: Receipt, first: Receipt) -> None:
        """Follow a log that the operator declared restored: `ledger.restored`, with entry 0's receipt.

        It extends nothing that was seen, so nothing proves it but the operator's signature. That signs for the entries
        before it: only they are believed to be as old as they say. What was accepted once is no second restoration: it
        changes nothing, whatever follows it. Raises KeeperRefused.
        """
        checkpoint = self._under_any(restored)
        entry, created = Entry.parse(restored.entry), Entry.parse(first.entry)
        operator = created.event.body["operator"]
        if (
            self._under_any(first) != checkpoint
            or first.index
            or entry.event.type.name != "ledger.restored"
        ):
            raise KeeperRefused("expected the receipts of ledger.restored and of entry 0")
        if not self._followed.is_first(first.entry):
            raise KeeperRefused("entry 0 is not the one that was read before: this is another log")
        event, seen = entry.event, self.seen
        self._check_operator(entry, **operator)
        if self._followed.is_accepted(event.id):
            same = checkpoint.size == seen.size and checkpoint.root == seen.root
            if not same and checkpoint.size <= seen.size:
                raise KeeperRefused(
                    f"{event.id} was accepted before, and {seen.size} entries were read since: nothing goes back behind them"
                )
            return  # what is appended to it is followed as ever
        if event.body["last_size"] < seen.size:
            raise KeeperRefused(
                f"ledger.restored speaks of {event.body['last_size']} entries, and the keeper saw {seen.size}"
            )
        # First: a crash leaves no witness of two histories.
        end_cosigning(self._folder, restored.checkpoint)
        signed_for = min(restored.index, event.body["size"])
        self._followed.believe_restored(checkpoint.size, signed_for)
        self._branch.go_on_from(checkpoint, restored.checkpoint)
        self._followed.accept(event.id)  # last: after a crash it can be said again

    def _under_any(self, receipt: Receipt) -> Checkpoint:
        """The checkpoint of a receipt, signed by a generation of the log's keys: which of them count isn't known after a loss."""
        generations = self._followed.log_keys()[0]
        for one in reversed(generations):
            with suppress(CryptoError):
                return receipt.verify(one.keys)
        return receipt.verify(self._log_keys)

    def close(self) -> None:
        """Write the last checkpoint seen, close the store."""
        try:
            self._branch.write_now()
        finally:
            self._followed.close()
            self._store.close()
            self._releases.close()

    def _permitted(
        self, evidence: Evidence, types: tuple[str, ...], records: Iterable[str]
    ) -> _Permitted | Conflict:
        """A permitted, fresh reading of these records, after every check; raises KeeperRefused."""
        try:
            checkpoint = self._branch.follow(evidence)
            if isinstance(checkpoint, Conflict):
                return checkpoint
            _check_paths(evidence.receipts, checkpoint, 1)
            entry = self._signed(evidence.receipts[0].entry)
            _check_permitted(entry, evidence.receipts[0].index)
        except (LedgerError, CryptoError, LookupError) as error:
            raise KeeperRefused(f"the receipt is not valid: {error}") from error
        if entry.event.type.name not in types:
            raise KeeperRefused(f"entry {entry.link.seq} is {entry.event.type.name}, not {types}")
        unchecked = self._followed.check_reading(entry, records, evidence.shown)
        if unchecked:
            return Conflict(evidence.since, unchecked=tuple(unchecked))
        now = self._clock()
        age = now - entry.time
        if abs(age) > RELEASE_MS:
            raise KeeperRefused(
                f"entry {entry.link.seq} is {age} ms old, expected at most {RELEASE_MS}"
            )
        return _Permitted(entry, now)

    def _check_signed(self, raw: bytes) -> Entry:
        """The entry of these bytes, which was read, signed by a key of its actor; kept: it is shown for its key and its texts."""
        entry = parse_entry(raw)
        self._followed.check_signed(entry)
        return entry

    def _stood(self, evidence: Evidence, count: int) -> list[Entry] | Conflict:
        """The `count` entries of an evidence, each proved to stand in the log; raises LedgerError or CryptoError."""
        checkpoint = self._branch.follow(evidence)
        if isinstance(checkpoint, Conflict):
            return checkpoint
        _check_paths(evidence.receipts, checkpoint, count)
        return [_parsed(receipt.entry) for receipt in evidence.receipts]

    def _check_operator(self, entry: Entry, account: str, key: str, public_key: str) -> None:
        """Signed by the operator whom entry 0 names; raises KeeperRefused or CryptoError."""
        if (entry.event.actor, entry.sig.key) != (account, key):
            raise KeeperRefused(f"entry {entry.link.seq} is not signed by a key of its actor")
        message = entry.sig.message(self._origin, entry.event.raw)
        verify(b64decode(public_key, 32), entry.sig.value, message)

    def _object(self, key: Wrapped) -> bytes:
        name = wraps.object_name(key.subject, key.name, key.version)
        return wraps.unwrap(self._keks.kek(key.subject, key.version), name, key.wrapped)


def _check_paths(receipts: Sequence[Receipt], checkpoint: Checkpoint, count: int) -> None:
    """Raises KeeperRefused or ProofError unless there are `count` receipts, each leading to the checkpoint of the first."""
    if len(receipts) != count:
        raise ProofError(f"got {len(receipts)} receipts, expected {count}")
    for receipt in receipts:
        if receipt.checkpoint != receipts[0].checkpoint:
            raise KeeperRefused("the receipts are under different checkpoints")
        receipt.check_under(checkpoint)


def _check_permitted(entry: Entry, index: int) -> None:
    """Raises KeeperRefused unless the entry, which stands at `index`, permits a reading."""
    if entry.decision is None or entry.decision["effect"] != "permit":
        name = entry.event.type.name
        raise KeeperRefused(f"entry {entry.link.seq} is {name}, not a permitted reading")
    if entry.link.seq != index:
        raise KeeperRefused(f"entry {entry.link.seq} permits nothing")


@lru_cache(maxsize=KEY_ENTRIES_CACHED)
def _parsed(raw: bytes) -> Entry:
    return parse_entry(raw)


def _opened(object_key: bytes, name: bytes, text: str) -> str | None:
    """The text of a sealed field; None where it wasn't sealed under this key and name."""
    try:
        return wraps.open_field(object_key, name, text)
    except CryptoError:
        return None


def _declares(event: Event, key: Wrapped, fields: Sequence[SealedField]) -> bool:
    """Whether these are the words with which the emergency was declared that an `emergency.opened` names."""
    declared = [(event.body["emergency"], "text")]
    return key.name == event.subject and [(f.event, f.name) for f in fields] == declared
