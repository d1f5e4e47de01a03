"""The one branch of the log that the keeper follows: what it read itself, and checkpoints that are proved to lie on it."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from crypto.errors import CryptoError, NoteError
from crypto.notes import VerifierKey
from durable.errors import StartRefused
from durable.trusted import TrustedCheckpoint
from keeper.following import FollowedLog
from keeper.logkeys import open_followed
from keeper.protocol import Conflict, Evidence
from ledger.checkpoint import Checkpoint, said_by
from ledger.errors import ProofError
from ledger.logkeys import Generation
from ledger.merkle import check_consistency

NOTES_CACHED = 64
ROOTS_KEPT = 1_024
"""Sizes whose root is kept, so that nothing need be proved of them again."""


class Branch:
    """What the keeper read is the branch; a checkpoint lies on it once it is proved to be extended by that. Thread-safe.

    The last checkpoint that was read up to stands in a file of the keeper's own too, which never goes back to a smaller
    size: what is read anew, because the reading was lost, must come by it.
    """

    def __init__(
        self,
        log_keys: Sequence[VerifierKey],
        trusted: TrustedCheckpoint,
        clock: Callable[[], int],
        followed: FollowedLog,
    ) -> None:
        """Goes on from what `trusted` holds; raises StartRefused where that is no checkpoint of the log."""
        self._log_keys, self._trusted, self._clock = tuple(log_keys), trusted, clock
        self._read = followed
        self._opened = lru_cache(maxsize=NOTES_CACHED)(self._open)
        self._floor = self._last_seen()
        self._known: dict[int, bytes] = {}
        """Roots by size, all of the one branch."""

    def opened(self, note: bytes) -> Checkpoint:
        """The checkpoint of a note that the log's keys signed, as `open_followed` says; raises NoteError."""
        generations, read = self._read.log_keys()
        return self._opened(note, generations, min(read, said_by(note).size))

    @property
    def seen(self) -> Checkpoint:
        """The end of the branch, as far as it is known; of size 0 before the first entry."""
        end = self._read.end()
        return self._floor if self._floor.size > end.size else end

    def take(self, since: int, raws: Sequence[bytes], note: bytes, proof: Sequence[bytes]) -> int:
        """Read the entries from `since` on; see `FollowedLog.take`. Raises NoteError too."""
        shown = self.opened(note)
        size = self._read.take(
            since,
            raws,
            shown,
            proof,
            self._floor,
            self._clock(),
            lambda keys, read: self._opened(note, tuple(keys), read),
        )
        end = self._read.end()
        if (end.size, end.root) == (shown.size, shown.root):  # of as many entries there are others
            self._keep(shown)
            self._trusted.saw(size, note, self._clock())
        return size

    def follow(self, evidence: Evidence) -> Checkpoint | Conflict:
        """The checkpoint of an evidence's receipts, once it is proved to lie on the branch.

        Its signatures add nothing to that: the branch is what was read, under checkpoints that the log signed. A conflict
        where the entries under it were not all read yet, or where the proof begins at a size that doesn't decide it.
        Raises NoteError, or ProofError for another branch.
        """
        if not evidence.receipts:
            raise ProofError("got no receipt")
        shown = said_by(evidence.receipts[0].checkpoint)
        if shown.origin != self._log_keys[0].name:
            raise ProofError(f"got a checkpoint of {shown.origin}, not of {self._log_keys[0].name}")
        return self._lies(shown, evidence.since, evidence.proof)

    def lies(self, note: bytes, since: int, proof: Sequence[bytes]) -> Checkpoint | Conflict:
        """A checkpoint that all of the log's keys signed, once it is proved to lie on the branch; see `follow`."""
        return self._lies(self.opened(note), since, proof)

    def _lies(self, shown: Checkpoint, since: int, proof: Sequence[bytes]) -> Checkpoint | Conflict:
        if self._known.get(shown.size) == shown.root:
            return shown
        end = self._read.end()
        if max(shown.size, self._floor.size) > end.size:
            return Conflict(end.size, behind=True)
        self._keep(end)
        root = self._known.get(since)
        # What is extended by a checkpoint of the branch lies on it, whatever came since. What extends an
        # older one than the last may leave the branch after it.
        if root is None or shown.size > since:
            return Conflict(end.size)
        check_consistency(shown.size, shown.root, since, root, proof)
        self._keep(shown)
        return shown

    def go_on_from(self, checkpoint: Checkpoint, note: bytes) -> None:
        """Follow the branch of this checkpoint, which `note` holds, from now on, whatever was seen.

        The caller has checked who signed it: of a log that was restored, what was read of its keys says nothing.
        """
        self._trusted.reset(note)  # first: what is read anew from here on must come by it
        self._floor, self._known = checkpoint, {}
        self._read.forget()

    def hold_to(self, shown: Checkpoint, note: bytes) -> None:
        """Have it on the disk that the branch goes through this checkpoint, which lies on it."""
        if not self._trusted.hold(shown.size, note):
            raise ProofError("another checkpoint took its place")

    def write_now(self) -> None:
        """Write the last checkpoint that was read up to to its file."""
        self._trusted.write_now()

    def _keep(self, shown: Checkpoint) -> None:
        while len(self._known) >= ROOTS_KEPT:
            self._known.pop(next(iter(self._known)), None)
        self._known[shown.size] = shown.root

    def _open(self, note: bytes, generations: tuple[Generation, ...], read: int) -> Checkpoint:
        return open_followed(note, self._log_keys, generations, read)

    def _last_seen(self) -> Checkpoint:
        """What the keeper's own file says, whoever signed it: it can only restrict what is read.

        By now the log's keys may be others than those that signed it, and whoever doesn't know these would never start.
        """
        note, origin = self._trusted.read(), self._log_keys[0].name
        if note is None:
            return Checkpoint(origin, 0, b"")
        try:
            seen = said_by(note)
            if seen.origin != origin:
                raise NoteError(f"got a checkpoint of {seen.origin}, expected one of {origin}")
        except CryptoError as error:
            raise StartRefused(
                f"the keeper's last checkpoint is not valid: {error}. Restore it from the keeper's backup."
            ) from error
        return seen
