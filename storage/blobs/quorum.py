"""Several stores that each hold a copy of every blob: written once a quorum has it, read from the first that answers.

What is read is not checked here, as in any store. Who knows what a blob must be, by its key or its SHA-256, goes through
`members` and tells by `doubt` which of them gave something else.
"""

import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from crypto.blobs import closed_after
from storage.blobs.files import BlobStore, Member, check_blob
from storage.blobs.spreading import Copy, Spread
from storage.errors import BadBlob, BlobError, BlobLocked, BlobsUnavailable

REST_SECONDS = 30.0
"""A store that failed is asked last for so long, and not written to where the others are a quorum."""
PROVED_SECONDS = 3_600.0
"""How long a copy that was compared with its hash is taken for right before its first byte is given."""
PROVED = 4_096
"""Copies that are remembered as such."""

Got = TypeVar("Got")
Failed = list[tuple[Member, Exception]]
Told = list[tuple[Member, Got]]


class QuorumBlobs:
    """Blobs in several stores. Any number of threads."""

    def __init__(self, members: Sequence[Member], quorum: int) -> None:
        """`quorum`: how many must have a blob, a majority of the stores."""
        self._members, self._quorum = tuple(members), quorum
        self._resting: dict[str, float] = {}
        self._proved: dict[tuple[BlobStore, str], float] = {}

    def put(self, blob: str, chunks: Iterable[bytes]) -> None:
        """Store a blob in a quorum of the stores, and in the rest where they keep up; see the port."""
        check_blob(blob)
        self._spread(
            lambda store, pieces: store.put(blob, pieces), chunks, lambda store: store.remove(blob)
        )

    def read(self, blob: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `start`, of the first store that has them; another goes on where it breaks off."""
        member, pieces = self._opened(self.members(), blob, start, length)
        return self._resumed(member, pieces, blob, start, length)

    def size(self, blob: str) -> int:
        """Ciphertext bytes, as a quorum of the stores tells; see the port."""
        check_blob(blob)
        told, failed = self._ask(lambda store: store.size(blob), enough=self._quorum)
        for size in {size for _, size in told}:
            if sum(one == size for _, one in told) >= self._quorum:
                return size
        if failed:
            raise self._unavailable(failed)
        if not told:
            raise BlobError(f"{blob} is not in the blob store")
        sizes = ", ".join(f"{member.name}: {size} bytes" for member, size in told)
        raise BlobError(f"{blob} is not in {self._quorum} stores with one size ({sizes})")

    def remove(self, blob: str) -> None:
        """Delete a blob in every store; one that fails keeps none of the others from it. See the port.

        Raises BlobLocked or BlobsUnavailable, which name the stores that still have it.
        """
        locked: list[tuple[Member, BlobLocked]] = []
        failed: Failed = []
        for member in self._members:
            try:
                member.store.remove(blob)
            except BlobLocked as error:
                locked.append((member, error))
            except (BlobsUnavailable, OSError) as error:
                self.doubt(member)
                failed.append((member, error))
        if failed:
            raise BlobsUnavailable(f"{blob} is not removed everywhere: {_told(failed)}")
        if locked:
            ends = [error.until for _, error in locked]
            last = None if None in ends else max(end for end in ends if end is not None)
            raise BlobLocked(_told(locked), last)

    def held(self, blob: str) -> str:
        """The locks of all stores; see the port."""
        words = [(member, member.store.held(blob)) for member in self._members]
        return "; ".join(f"{member.name}: {said}" for member, said in words if said)

    def list(self) -> Iterator[str]:
        """The ids of all blobs of all stores; see the port.

        As many stores may fail as a write may do without: whatever a quorum has is in one of the others.
        """
        failed: Failed = []
        lists = [self._listed(member, failed) for member in self._members]
        last = ""
        for blob in heapq.merge(*lists, key=lambda blob: (blob[-2:], blob)):
            if blob != last:
                yield blob
            last = blob

    def written(self, blob: str) -> int:
        """When the last of the copies was written; see the port."""
        check_blob(blob)
        told, failed = self._ask(lambda store: store.written(blob))
        if failed:
            raise self._unavailable(failed)
        if not told:
            raise BlobError(f"{blob} is not in the blob store")
        return max(moment for _, moment in told)

    def replace(self, blob: str, chunks: Iterable[bytes]) -> str:
        """Put the good content in place in a quorum of the stores, and in the rest where they keep up; see the port."""
        check_blob(blob)
        made = self._spread(lambda store, pieces: store.replace(blob, pieces), chunks)
        return "; ".join(f"{copy.member.name}: {copy.aside}" for copy in made if copy.aside)

    def sweep(self, before: int) -> Sequence[str]:
        """Remove what puts that never ended have left in every store; see the port."""
        told, failed = self._ask(lambda store: store.sweep(before))
        if failed:
            raise self._unavailable(failed)
        return [f"{member.name}: {name}" for member, names in told for name in names]

    def links(self, blob: str, length: int, seconds: int, ask: bool = True) -> Sequence[str]:
        """Those of all stores that have any, of which only the first one is asked; see the port."""
        found = list[str]()
        failed: Failed = []
        for member in self.members():
            try:
                found += member.store.links(blob, length, seconds, ask and not found)
            except (BadBlob, BlobsUnavailable, OSError) as error:
                self.doubt(member)
                failed.append((member, error))
            except BlobError:  # it has none
                continue
        if not found and failed:
            raise self._unavailable(failed)
        return found

    def members(self) -> Sequence[Member]:
        """The stores, those that failed lately behind the others; see the port."""
        now = time.monotonic()
        return sorted(self._members, key=lambda one: self._resting.get(one.name, 0.0) > now)

    def doubt(self, member: Member) -> None:
        """Ask this one last for REST_SECONDS, and take none of its copies for right; see the port."""
        self._resting[member.name] = time.monotonic() + REST_SECONDS
        for proved in [one for one in list(self._proved) if one[0] is member.store]:
            self._proved.pop(proved, None)

    def prove(self, store: BlobStore, blob: str) -> None:
        """Remember that this one of the stores has just given the blob as its entry says."""
        if len(self._proved) >= PROVED:
            self._proved.clear()
        self._proved[store, blob] = time.monotonic() + PROVED_SECONDS

    def proved(self, store: BlobStore, blob: str) -> bool:
        """Whether it did so lately, and nothing was wrong with that store since."""
        return self._proved.get((store, blob), 0.0) > time.monotonic()

    def ledger(self) -> str:
        """The log that the markers of all stores name; see the port."""
        found = {member.name: member.store.ledger() for member in self._members}
        logs = {log for log in found.values() if log}
        if len(logs) > 1:
            told = ", ".join(f"{name}: {log}" for name, log in found.items() if log)
            raise BlobsUnavailable(f"the stores are those of different ledgers: {told}")
        return logs.pop() if logs and all(found.values()) else ""

    def mark(self, origin: str) -> None:
        """Make each of them that log's store; see the port."""
        for member in self._members:
            member.store.mark(origin)

    def check_marked(self) -> None:
        """Raises BlobsUnavailable unless a quorum are stores of their ledger; see the port."""
        failed: Failed = []
        for member in self._members:
            try:
                member.store.check_marked()
            except (BlobsUnavailable, OSError) as error:
                self.doubt(member)
                failed.append((member, error))
        if len(self._members) - len(failed) < self._quorum:
            raise self._unavailable(failed)

    def _spread(
        self,
        write: Callable[[BlobStore, Iterator[bytes]], Got],
        chunks: Iterable[bytes],
        undo: Callable[[BlobStore], object] = lambda store: None,
    ) -> Sequence[Copy[Got]]:
        """Write to all that don't rest or, where these are no quorum, to all."""
        now = time.monotonic()
        awake = [one for one in self._members if self._resting.get(one.name, 0.0) <= now]
        spread = Spread(
            awake if len(awake) >= self._quorum else self._members, self._quorum, write, undo
        )
        try:
            return spread.run(chunks)
        finally:
            for copy in spread.copies:
                if copy.failed:
                    self.doubt(copy.member)

    def _opened(
        self, members: Sequence[Member], blob: str, start: int, length: int | None
    ) -> tuple[Member, Iterator[bytes]]:
        """The first of the stores that has a blob, and its bytes."""
        missing: BlobError | None = None
        failed: Failed = []
        for member in members:
            try:
                return member, member.store.read(blob, start, length)
            except (BadBlob, BlobsUnavailable, OSError) as error:
                self.doubt(member)
                failed.append((member, error))
            except BlobError as error:
                missing = missing or error
        if failed:
            raise self._unavailable(failed)
        raise missing or BlobError(f"{blob} is not in the blob store")

    def _resumed(
        self, member: Member, pieces: Iterator[bytes], blob: str, start: int, length: int | None
    ) -> Iterator[bytes]:
        given, left = 0, [one for one in self.members() if one.name != member.name]
        while True:
            try:
                with closed_after(pieces):
                    for piece in pieces:
                        given += len(piece)
                        yield piece
                return
            except (BadBlob, BlobsUnavailable, OSError) as error:
                self.doubt(member)
                if not left:
                    raise self._unavailable([(member, error)]) from error
            rest = None if length is None else length - given
            member, pieces = self._opened(left, blob, start + given, rest)
            left = [one for one in left if one.name != member.name]

    def _ask(self, ask: Callable[[BlobStore], Got], enough: int = 0) -> tuple[Told[Got], Failed]:
        """What the stores that have a blob say, until there is `enough` (0: all), and which ones failed."""
        told: Told[Got] = []
        failed: Failed = []
        for member in self.members():
            try:
                told.append((member, ask(member.store)))
            except (BadBlob, BlobsUnavailable, OSError) as error:
                self.doubt(member)
                failed.append((member, error))
            except BlobError:  # it has none
                continue
            if enough and len(told) >= enough and len({got for _, got in told}) == 1:
                break
        return told, failed

    def _listed(self, member: Member, failed: Failed) -> Iterator[str]:
        try:
            yield from member.store.list()
        except (BlobsUnavailable, OSError) as error:
            self.doubt(member)
            failed.append((member, error))
            if len(failed) > len(self._members) - self._quorum:
                raise self._unavailable(failed) from error

    def _unavailable(self, failed: Sequence[tuple[Member, Exception]]) -> BlobsUnavailable:
        return BlobsUnavailable(f"the blob stores can't be used now: {_told(failed)}")


def _told(which: Sequence[tuple[Member, Exception]]) -> str:
    return "; ".join(f"{member.name}: {error}" for member, error in which)
