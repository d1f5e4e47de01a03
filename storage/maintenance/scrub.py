"""Scrub: every blob, and every key's row, against what the log says of them. Reading ciphertext needs no key.

It runs while others serve and append: entries below the size it began with never change, and what they name
is never removed. Of several stores each is compared, and one that lacks a blob gets it from another that is good.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from crypto.errors import CryptoError
from durable.errors import StorageError
from ledger.entry import Entry
from ledger.errors import LedgerError
from ledger.forms import parse_entry
from ledger.merkle import Frontier, leaf_hash
from ledger.tiles import TILE_WIDTH
from storage.blobs.files import BlobStore, Member
from storage.errors import BadBlob, BlobsUnavailable
from storage.keytable import NamedBlob, named_blob, named_objects
from storage.maintenance.erased import erased_in, is_erased
from storage.maintenance.garbage import SWEEP_MS
from storage.maintenance.orphans import STAGED_MS, Page, staged, strays
from storage.sql.entries import Head
from storage.stores import Stores, checked, read_apart

_MISSED = frozenset({"missing", "no key"})
"""What is found of a blob, or of a key's row, that is gone."""
READING_THREADS = 4
"""Blobs hashed at a time."""
UNSWEPT_MS = STAGED_MS + SWEEP_MS
"""What is staged longer than this should have been swept: it is surplus."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as the log says.

    `what`: missing, altered, unreadable, surplus, of a blob; `no key`, `other key`, of a key's row; `entry`,
    of the log itself; `store`, of a blob store that can't be listed, or of one of several that doesn't answer.
    """

    what: str
    message: str
    seq: int | None = None
    patient: str = ""
    record: str = ""
    blob: str = ""
    repaired: str = ""
    """How it was put right: where the good copy came from, and where the bad one lies now."""


@dataclass
class Scrubbed:
    """What was compared so far."""

    entries: int = 0
    blobs: int = 0
    keys: int = 0
    bytes: int = 0
    """Plaintext bytes of the blobs that are good."""
    locked: int = 0
    """Blobs that nobody names, and that a lock of the store still holds."""
    erased: int = 0
    """Keys and blobs that entries name and that were erased: none of them is missed."""


@dataclass
class Scrub:
    """One comparison of the stores at `now` (Unix ms); bad blobs are put right from `good`, if given."""

    stores: Stores
    now: int
    good: BlobStore | None = None
    done: Scrubbed = field(default_factory=Scrubbed)
    _silent: set[str] = field(default_factory=set)
    """Of several stores those that didn't answer: they are asked no more."""

    def findings(
        self, progress: Callable[[int, int], None] = lambda done, size: None
    ) -> Iterator[Finding]:
        """What is wrong, by entry, then what is surplus; `progress(entries, size)`.

        Memory doesn't grow with the log. Raises StorageError where there is no log.
        """
        with self.stores.database.read() as connection:
            head = self.stores.store.head(connection)
        if head is None:
            raise StorageError("there is no log to compare the blobs with")
        with ThreadPoolExecutor(READING_THREADS) as pool:
            frontier = Frontier()
            for start in range(0, head.size, TILE_WIDTH):
                end = min(start + TILE_WIDTH, head.size)
                bundle = read_apart(self.stores.store, start, end)
                for raw in bundle:
                    frontier.append(leaf_hash(raw))
                yield from self._bundle(bundle, pool)
                progress(self.done.entries, head.size)
        yield from _log(frontier, head)
        yield from self._surplus()

    def _bundle(self, bundle: list[bytes], pool: ThreadPoolExecutor) -> Iterator[Finding]:
        """The findings of one bundle, in the order of its entries."""
        entries: list[Entry] = []
        found: list[Finding] = []
        for number, raw in enumerate(bundle, self.done.entries):
            try:
                entries.append(parse_entry(raw))
            except (LedgerError, CryptoError) as error:
                found.append(Finding("entry", f"entry {number} is altered: {error}", number))
        self.done.entries += len(bundle)
        found += self._keys(entries)
        named = [one for entry in entries if (one := named_blob(entry)) is not None]
        found += [finding for findings in pool.map(self._blob, named) for finding in findings]
        self.done.blobs += len(named)
        yield from sorted(self._without_erased(found), key=lambda finding: finding.seq or 0)

    def _without_erased(self, found: list[Finding]) -> list[Finding]:
        """What is missing of what was erased is no finding; an account's key is never erased with a chart."""
        if not any(finding.what in _MISSED for finding in found):
            return found
        erased = erased_in(self.stores.database)
        kept = [
            one
            for one in found
            if one.what not in _MISSED
            or one.record.startswith("ac_")
            or not is_erased(erased, one.patient, one.record)
        ]
        self.done.erased += len(found) - len(kept)
        return kept

    def _keys(self, entries: list[Entry]) -> Iterator[Finding]:
        """Keys' rows that are not there, or say otherwise than their entries."""
        objects = [(e, name) for e in entries for name in named_objects(e.event)]
        named = [(e, one) for e in entries if (one := named_blob(e)) is not None]
        objects += [(e, (one.record, one.patient)) for e, one in named]
        keys = self.stores.keys
        with self.stores.database.read() as connection:
            there = {
                (key.object, key.subject)
                for key in keys.object_keys(connection, [name for _, name in objects])
            }
            rows = {
                key.blob: key for key in keys.blob_keys(connection, [one.blob for _, one in named])
            }
        for entry, (name, subject) in objects:
            if (name, subject) not in there:
                words = f"the key of {name} of {subject} is missing"
                yield Finding("no key", words, entry.link.seq, entry.event.subject, name)
        for _, one in named:
            key = rows.get(one.blob)
            place = (one.seq, one.patient, one.record, one.blob)
            if key is None:
                yield Finding("no key", f"the key of {one.blob} is missing", *place)
            elif key[1:6] != (one.patient, one.record, one.author, one.sha256, one.size):
                yield Finding("other key", f"the key's row of {one.blob} does not match", *place)
        self.done.keys += len(objects) + len(named)

    def _blob(self, named: NamedBlob) -> list[Finding]:
        """What is wrong with a blob in any store, put right if a good copy is at hand."""
        members = self.stores.blobs.members()
        found, good = list[Finding](), list[Member]()
        bad = list[tuple[Member, BadBlob]]()
        for member in members:
            if member.name in self._silent:
                continue
            try:
                for _ in checked(member.store, named):
                    pass
                good.append(member)
            except BadBlob as error:
                bad.append((member, error))
            except BlobsUnavailable as error:
                if len(members) == 1:
                    raise
                found += self._no_answer(member, error)
        place = (named.seq, named.patient, named.record, named.blob)
        for member, wrong in bad:
            words = f"{member.name}: {wrong}" if member.name else str(wrong)
            found.append(Finding(wrong.what, words, *place, self._repair(named, member, good)))
        if not bad:
            self.done.bytes += named.size
        return found

    def _no_answer(self, member: Member, error: BlobsUnavailable) -> list[Finding]:
        """Told once of each store."""
        if member.name in self._silent:
            return []
        self._silent.add(member.name)
        return [Finding("store", f"{member.name} was not compared from here on: {error}")]

    def _repair(self, named: NamedBlob, bad: Member, good: Sequence[Member]) -> str:
        """Bring a good copy back from another store or from the copy at hand; how, or "" if there is none."""
        sources = [(f" from {member.name}", member.store) for member in good]
        if self.good is not None:
            sources += [(" from the copy", member.store) for member in self.good.members()]
        for words, source in sources:
            try:
                aside = bad.store.replace(named.blob, checked(source, named))
            except BadBlob:  # the copy isn't good, either: nothing was changed
                continue
            except BlobsUnavailable:
                if not bad.name:
                    raise
                continue
            if aside:
                return f"repaired{words}; the bad one is {aside}"
            return f"restored{words}" if bad.name else "restored"
        return ""

    def _surplus(self) -> Iterator[Finding]:
        before = self.now - UNSWEPT_MS
        try:
            for page in staged(self.stores, before):
                yield from self._unswept(page, "staged, and named by no entry")
            for page in strays(self.stores, before):
                yield from self._unswept(page, "without a key, and named by no entry")
        except (OSError, BlobsUnavailable) as error:
            yield Finding("store", f"the blob store can't be listed: {error}")

    def _unswept(self, page: Page, words: str) -> Iterator[Finding]:
        for one in page.blobs:
            if self.stores.blobs.held(one.blob):
                self.done.locked += 1
                continue
            message = f"{one.blob} is {words}: `heartwood sweep` removes it"
            yield Finding("surplus", message, None, one.patient, one.record, one.blob)


def _log(frontier: Frontier, head: Head) -> Iterator[Finding]:
    """Whether the entries that the blobs were compared with are those under the log's checkpoint."""
    if (frontier.size, frontier.root()) != (head.size, head.root):
        yield Finding(
            "entry",
            f"{frontier.size} entries do not lead to the root of the log of {head.size}: "
            "`heartwood export` and `heartwood verify` name the first that is wrong",
        )
