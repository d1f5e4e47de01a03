"""The one branch of the log that the keeper follows, by the checkpoints that it was shown."""

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache

from crypto.errors import CryptoError
from crypto.notes import VerifierKey
from durable.errors import StartRefused
from durable.trusted import TrustedCheckpoint
from keeper.protocol import Conflict, Evidence
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.errors import ProofError
from ledger.merkle import check_consistency

NOTES_CACHED = 64


class Branch:
    """Each checkpoint extends one that was followed before, or is extended by it. Thread-safe.

    The last one stands in a file of the keeper's own too, which never goes back to a smaller size. Where several
    processes have a keeper on one folder, each goes on from what another one wrote there, once that is proved to lie
    on its own branch.
    """

    def __init__(
        self,
        log_keys: Sequence[VerifierKey],
        trusted: TrustedCheckpoint,
        clock: Callable[[], int],
    ) -> None:
        """Goes on from what `trusted` holds; raises StartRefused where that is not signed by `log_keys`."""
        self._log_keys, self._trusted, self._clock = tuple(log_keys), trusted, clock
        self._lock = threading.Lock()
        self.opened = lru_cache(maxsize=NOTES_CACHED)(self._open)
        """The checkpoint of a note that all of the log's keys signed; raises NoteError."""
        self._seen = self._last_seen()
        self._followed = {self._seen.size: self._seen.root}
        """Roots by size, all of the one branch; the last one seen is always among them."""
        self._ahead: Checkpoint | None = None
        """What a neighbour's keeper wrote, further on than the last one seen and not yet proved to extend it."""
        self._linked: dict[int, bytes] = {}
        """Roots by size of what extends the last one seen, and is yet to be proved to lie on one branch with `_ahead`."""

    @property
    def seen(self) -> Checkpoint:
        """The newest checkpoint; of size 0 before the first."""
        with self._lock:
            return self._seen

    def follow(self, evidence: Evidence) -> Checkpoint | Conflict:
        """The checkpoint of an evidence's receipts, once it is proved to lie on the branch.

        A conflict, and nothing is changed, where the proof begins at a size that doesn't decide it. Raises NoteError, or
        ProofError for another branch.
        """
        if not evidence.receipts:
            raise ProofError("got no receipt")
        note = evidence.receipts[0].checkpoint
        shown = self.opened(note)
        if self._followed.get(shown.size) == shown.root:
            return shown
        with self._lock:
            self._look_ahead()
            if shown.size > self._seen.size:
                return self._advance(evidence, note, shown)
            root = self._followed.get(evidence.since)
            # What is extended by a checkpoint of the branch lies on it, whatever came since. What extends an
            # older one than the last may leave the branch after it.
            if root is None or shown.size > evidence.since:
                return Conflict(self._seen.size)
            _check_extension(Checkpoint(shown.origin, evidence.since, root), shown, evidence.proof)
            self._keep(shown)
        return shown

    def go_on_from(self, note: bytes) -> None:
        """Follow the branch of this checkpoint from now on, whatever was seen; raises NoteError."""
        checkpoint = self.opened(note)
        with self._lock:
            self._seen, self._followed = checkpoint, {checkpoint.size: checkpoint.root}
            self._ahead, self._linked = None, {}
            self._trusted.reset(note)

    def write_now(self) -> None:
        """Write the last checkpoint seen to its file."""
        self._trusted.write_now()

    def _advance(self, evidence: Evidence, note: bytes, shown: Checkpoint) -> Checkpoint | Conflict:
        """Follow a later checkpoint than the last one, proved from that one and from what a neighbour wrote."""
        ahead = self._ahead
        if ahead is None or self._linked.get(shown.size) != shown.root:
            if evidence.since != self._seen.size:
                return Conflict(self._seen.size)
            _check_extension(self._seen, shown, evidence.proof)
            if ahead is not None:
                if len(self._linked) >= NOTES_CACHED:
                    self._linked.clear()
                self._linked[shown.size] = shown.root
                return Conflict(ahead.size)
        else:
            if evidence.since != ahead.size:
                return Conflict(ahead.size)
            _check_extension(ahead, shown, evidence.proof)
        if ahead is None or shown.size >= ahead.size:
            self._trusted.saw(
                shown.size, note, self._clock()
            )  # first: what isn't kept isn't followed
            self._seen = shown
        else:
            self._seen = ahead  # it stands in the file
            self._followed[ahead.size] = ahead.root
        self._ahead, self._linked = None, {}
        self._keep(shown)
        return shown

    def _keep(self, shown: Checkpoint) -> None:
        if len(self._followed) >= NOTES_CACHED:
            self._followed = {self._seen.size: self._seen.root}
        self._followed[shown.size] = shown.root

    def _look_ahead(self) -> None:
        """Learn where a neighbour's keeper wrote that it stands, if that is further on."""
        note = self._trusted.read_beyond((self._ahead or self._seen).size)
        if note is None:
            return
        if self._seen.size:
            self._ahead, self._linked = self.opened(note), {}
        else:  # as at a start
            self._seen = there = self.opened(note)
            self._followed = {there.size: there.root}

    def _open(self, note: bytes) -> Checkpoint:
        return open_checkpoint(note, self._log_keys)

    def _last_seen(self) -> Checkpoint:
        note = self._trusted.read()
        if note is None:
            return Checkpoint(self._log_keys[0].name, 0, b"")
        try:
            return self._open(note)
        except CryptoError as error:
            raise StartRefused(
                f"the keeper's last checkpoint is not valid: {error}. Restore it from the keeper's backup."
            ) from error


def _check_extension(known: Checkpoint, shown: Checkpoint, proof: Sequence[bytes]) -> None:
    """Raises ProofError unless the proof shows that one of the two extends the other; before the first all is good."""
    old, new = (known, shown) if known.size < shown.size else (shown, known)
    if known.size:
        check_consistency(old.size, old.root, new.size, new.root, proof)
