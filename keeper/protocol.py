"""What goes to the key keeper and what comes back: values of bytes, texts and numbers, which a message can carry.

No callback, nothing that is open, and nothing of the ledger but its bytes: what the keeper must know of the log, its
caller proves. Where the keeper follows the log at another size than the caller proved from, it gives nothing and answers
with a `Conflict`, which says that size; the caller proves again from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.receipt import Receipt

FOLLOW_ENTRIES = 2_000
"""Most entries that the keeper reads at once: whoever asks it meanwhile waits so long."""
ALARMS_PAGE = 1_000
"""Most alarms that are given at once, or a few more: there is no end to those of a log that somebody else writes."""
FOLLOW_BYTES = 32 * 1024 * 1024
"""Most bytes of them, which fit into a message."""


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
class SealedObject:
    """Sealed fields of one object, and the wrapped object key that opens them."""

    key: Wrapped
    fields: tuple[SealedField, ...]


@dataclass(frozen=True, slots=True)
class ListedBlob:
    """A line of an export's list: a version of a record, the hash of its ciphertext and its wrapped data key."""

    record: str
    version: int
    sha256: bytes
    key: Wrapped


@dataclass(frozen=True, slots=True)
class ReferredBlob:
    """A line of a referral's list, and title and file name of its version with the record's wrapped object key."""

    blob: ListedBlob
    texts: SealedObject


@dataclass(frozen=True, slots=True)
class KeptBlob:
    """A wrapped data key as the key table keeps it; `sha256` is that of the ciphertext."""

    record: str
    sha256: bytes
    key: Wrapped


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an answer rests on: entries by their receipts, and that the log they stand in is the one the keeper follows.

    `receipts` are under one checkpoint; each call says whose they are, in order. `proof` is the consistency proof between
    the size `since`, which the keeper last told, and the checkpoint's, whichever is smaller: empty from 0 and between
    equals.
    """

    receipts: tuple[Receipt, ...]
    since: int
    proof: tuple[bytes, ...]
    shown: tuple[bytes, ...] = ()
    """Entries whose signatures the keeper asked to see, see `Conflict.unchecked`."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """The keeper has read `size` entries of the log, and the evidence proves nothing from there; nothing has changed.

    `behind`: it has to read on first, from there to the evidence's checkpoint; see `Keeper.follow`.
    """

    size: int
    behind: bool = False
    unchecked: tuple[int, ...] = ()
    """The proof holds, but these entries, on which the answer rests, have to be shown: it read them, and kept their hash
    alone until somebody would need their signatures checked."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the keeper follows the log: `size` entries with this root; before the first none, with an empty root.

    `alarms`: how many entries of the log it found that are not what the rules give; `read`: how many entries it has read,
    fewer than `size` where it reads anew what it had read before; `refused`: how many wrong entries it was given to read
    and didn't take, which its operator has not cleared yet.
    """

    size: int
    root: bytes
    alarms: int
    read: int
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Alarm:
    """An entry of the log that is not what the rules give, and why."""

    seq: int
    wrong: str
    """One of `ledger.codes.WRONGS`."""
    what: str
    taken: bool = True
    """Whether it stands in the log that the keeper reads; or else was given to be read, and refused."""


@dataclass(frozen=True, slots=True)
class SignedReleases:
    """The end of the keeper's own log of what it gave out."""

    checkpoint: bytes
    """Its note."""
    vkeys: tuple[str, ...]
    """The keys that sign it, Ed25519 first."""


class Keeper(Protocol):
    """What can be asked of the key keeper, wherever it runs: `keeper.KeyKeeper` says what each call does.

    Calls that take evidence raise KeeperRefused for what it doesn't prove, and answer a `Conflict` where it begins at
    another size than the keeper's. Those that take a wrapped key raise KeyRenewed where its KEK was replaced. All raise KeeperUnavailable where the keeper's process can't be asked.
    """

    def new_key(self, requests: Sequence[KeyRequest]) -> list[Wrapped]:
        """Make object keys and wrap data keys."""
        ...

    def seal(self, key: Wrapped, stream: str, event: str, fields: dict[str, str]) -> dict[str, str]:
        """Seal texts as fields of an event."""
        ...

    def label_codes(self, key: Wrapped, labels: Sequence[str]) -> list[str]:
        """The codes of sensitivity labels."""
        ...

    def release(
        self, evidence: Evidence, wrapped: Wrapped, record: str, sha256: bytes
    ) -> bytes | Conflict:
        """The data key that a permitted reading names."""
        ...

    def release_export(
        self, evidence: Evidence, listed: Sequence[ListedBlob]
    ) -> list[bytes] | Conflict:
        """The data keys of all that a permitted export lists."""
        ...

    def release_package(
        self, evidence: Evidence, listed: Sequence[ReferredBlob], words: SealedObject
    ) -> tuple[bytes, bytes] | Conflict:
        """What an accepted referral lists, sealed for its receiver's key: the share that opens by it, and the list that opens by what is in that."""
        ...

    def open_fields(
        self, evidence: Evidence, sealed: Sequence[SealedObject]
    ) -> list[list[str | None]] | Conflict:
        """The texts of sealed fields that a permitted reading shows."""
        ...

    def staff_name(self, evidence: Evidence, key: Wrapped) -> str | Conflict | None:
        """The name of somebody who works or worked at a hospital, or applied to one."""
        ...

    def group_name(self, evidence: Evidence, key: Wrapped) -> str | Conflict | None:
        """The name of a hospital's group."""
        ...

    def applied(self, evidence: Evidence, key: Wrapped) -> list[str | None] | Conflict:
        """The name and the contact that a hospital's application holds."""
        ...

    def versions(self, subjects: Sequence[str]) -> dict[str, list[int]]:
        """The KEK versions that are kept of each subject, ascending."""
        ...

    def advance(self, above: dict[str, int]) -> None:
        """Make the KEK version after the one said of each subject, unless it is there."""
        ...

    def renew(self, objects: Sequence[Wrapped], blobs: Sequence[KeptBlob]) -> list[Wrapped]:
        """The same keys under the newest KEK of their subjects."""
        ...

    def destroy(self, keks: Sequence[tuple[str, int]]) -> None:
        """Destroy KEKs by (subject, version)."""
        ...

    def erase(self, evidence: Evidence) -> int | Conflict:
        """Destroy the KEKs that an erasure ends, which has begun; gives how many."""
        ...

    def follow(
        self, since: int, entries: Sequence[bytes], checkpoint: bytes, proof: Sequence[bytes]
    ) -> int:
        """Read the entries from `since` on, which lie under a checkpoint (its note); gives how many were read by then."""
        ...

    def accept_restored(self, restored: Receipt, first: Receipt) -> None:
        """Follow a log that the operator declared restored."""
        ...

    def standing(self) -> Standing:
        """How far it follows the log."""
        ...

    def vkeys(self) -> list[str]:
        """Its verifier keys as a witness."""
        ...

    def cosign(self, since: int, checkpoint: bytes, proof: Sequence[bytes]) -> bytes | Conflict:
        """Its cosignatures of a checkpoint that it has read up to."""
        ...

    def alarms(self, since: int = 0) -> list[Alarm]:
        """What it found that is not what the rules give, in the log's order: a page of it from entry `since` on."""
        ...

    def signed_releases(self) -> SignedReleases:
        """The checkpoint of all that it gave out so far, and the keys that sign it."""
        ...

    def releases(self, since: int, count: int) -> list[bytes]:
        """Its log's entries from `since` on, at most `count`."""
        ...

    def close(self) -> None:
        """Ask no more; what runs in this process ends with it."""
        ...
