"""What a client holds a server to: one log's verifier keys, and the last checkpoint that was shown.

No network: proofs come in by a function. A failed check raises Tampered, which says what was got.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from crypto.cosignatures import Checkpoint
from crypto.errors import NoteError
from crypto.notes import Note, VerifierKey
from durable.files import create_file, private_directory, replace_file
from durable.trusted import TrustedCheckpoint
from journeys.errors import NotThere
from ledger.checkpoint import open_checkpoint, parse_keys
from ledger.errors import LedgerError, ProofError, Tampered
from ledger.handovers import HandOver, generations_known, reached
from ledger.logkeys import Generation, newest_at
from ledger.merkle import check_consistency

Prove = Callable[[int, int], Sequence[bytes]]
"""The consistency proof from one size to a larger one; raises NotThere where the server can't give it."""


class Kept(Protocol):
    """Where keys and checkpoint of one log are kept. Others may write there too: nothing is replaced unseen."""

    place: str
    """Where that is, for people."""

    def keys(self) -> tuple[str, ...]:
        """The verifier keys that were kept; none before the first contact."""
        ...

    def keep_keys(self, keys: Sequence[str], pinned: bool) -> None:
        """Keep the keys of the first contact, unless some are kept by now; `pinned`: they were got from elsewhere."""
        ...

    def hand_over(self, keys: Sequence[str]) -> None:
        """Keep these keys in the place of those that handed over to them."""
        ...

    def checkpoint(self) -> bytes | None:
        """The last checkpoint that was kept."""
        ...

    def advance(self, before: bytes | None, size: int, note: bytes) -> bool:
        """Replace the checkpoint `before` by a larger one; False if another one is kept by now."""
        ...


class KeptInMemory:
    """Kept as long as the client lives."""

    place = "this client"

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._keys: tuple[str, ...] = ()
        self._note: bytes | None = None

    def keys(self) -> tuple[str, ...]:
        """See the port."""
        return self._keys

    def keep_keys(self, keys: Sequence[str], pinned: bool) -> None:
        """See the port."""
        self._keys = self._keys or tuple(keys)

    def hand_over(self, keys: Sequence[str]) -> None:
        """See the port."""
        self._keys = tuple(keys)

    def checkpoint(self) -> bytes | None:
        """See the port."""
        return self._note

    def advance(self, before: bytes | None, size: int, note: bytes) -> bool:
        """See the port."""
        if self._note != before:
            return False
        self._note = note
        return True


class KeptInFiles:
    """Kept in a folder of the user's, one for each log: `log.vkey`, and `checkpoint`, which never shrinks."""

    def __init__(
        self, folder: Path, origin: str, first: Callable[[str], None] = lambda words: None
    ) -> None:
        """`folder`: of all logs; made where it is missing. `first` is told of a first contact. Raises OSError."""
        self._origin, self._first = origin, first
        self._folder = folder / hashlib.sha256(origin.encode()).hexdigest()[:32]
        private_directory(self._folder)
        self.place = str(self._folder)
        self._trusted = TrustedCheckpoint(self._folder / "checkpoint", 0, _size_of)

    def keys(self) -> tuple[str, ...]:
        """See the port."""
        path = self._folder / "log.vkey"
        return tuple(path.read_text().splitlines()) if path.exists() else ()

    def keep_keys(self, keys: Sequence[str], pinned: bool) -> None:
        """See the port."""
        path = self._folder / "log.vkey"
        if path.exists():
            return
        with suppress(FileExistsError):  # another process was first; what it kept counts
            create_file(path, "".join(f"{key}\n" for key in keys).encode())
            if not pinned:
                self._first(
                    f"first contact with {self._origin}: the keys that the server names are taken on trust, and no "
                    f"others from now on; compare {path} with the operator's log.vkey"
                )

    def hand_over(self, keys: Sequence[str]) -> None:
        """See the port."""
        replace_file(self._folder / "log.vkey", "".join(f"{key}\n" for key in keys).encode())

    def checkpoint(self) -> bytes | None:
        """See the port."""
        return self._trusted.read()

    def advance(self, before: bytes | None, size: int, note: bytes) -> bool:
        """See the port."""
        return self._trusted.advance(before, size, note)


class TrustedLog:
    """One log, by its keys: each checkpoint must be signed by all of them and fit the last one kept."""

    def __init__(
        self,
        origin: str,
        told: Sequence[str],
        kept: Kept,
        pinned: Sequence[VerifierKey] = (),
        handovers: Callable[[], Sequence[HandOver]] = tuple,
    ) -> None:
        """`told`: the keys that the server names, taken only where none are `pinned` or kept.

        `handovers`: the hand-overs of the log's keys that the server shows; each is proved.
        """
        self.origin, self._told, self._kept, self._pinned = origin, told, kept, tuple(pinned)
        self._handovers = handovers
        self._keys: tuple[VerifierKey, ...] = ()
        self._generations: list[Generation] = []

    def size(self) -> int:
        """The size of the last checkpoint that was kept; 0 before the first."""
        note = self._kept.checkpoint()
        return 0 if note is None else self._last(note).size

    def check(self, note: bytes, prove: Prove) -> Checkpoint:
        """The checkpoint of a note, after it is kept (if it is the largest so far); raises Tampered."""
        checkpoint = self._opened(note, prove)
        self._keep(checkpoint, note, prove)
        return checkpoint

    def _keep(self, checkpoint: Checkpoint, note: bytes, prove: Prove) -> None:
        """Keep a checkpoint, if it is the largest so far; raises Tampered where it doesn't fit the last one kept."""
        while True:
            before = self._kept.checkpoint()
            if before is not None:
                last = self._last(before)
                if (last.size, last.root) == (checkpoint.size, checkpoint.root):
                    return
                self._compare(last, checkpoint, prove)
                if checkpoint.size < last.size:
                    return
            if self._kept.advance(before, checkpoint.size, note):
                return

    def _opened(self, note: bytes, prove: Prove) -> Checkpoint:
        """The checkpoint of a note that the log's keys signed, or those that they handed over to."""
        keys = self.keys()
        try:
            return self._signed(note)
        except NoteError as error:
            try:
                self._learn(keys, prove)
                return self._signed(note)
            except (NoteError, ProofError, LedgerError):
                raise Tampered(f"the server's {_named(error)}") from error

    def _signed(self, note: bytes) -> Checkpoint:
        if not self._generations:
            return open_checkpoint(note, self.keys())
        one = newest_at(self._generations, Checkpoint.parse(Note.parse(note).text).size)
        return open_checkpoint(note, one.keys if one else self.keys())

    def _learn(self, keys: tuple[VerifierKey, ...], prove: Prove) -> None:
        """Learn the log's other keys from the hand-overs that the server shows; raises ProofError or Tampered.

        The last hand-over's checkpoint is kept: what older keys signed, which a thief may have by now, must fit it.
        """
        shown = self._handovers()

        def check(signed: Checkpoint, other: Checkpoint) -> None:
            self._compare(signed, other, prove)
            if (before := self._kept.checkpoint()) is not None:
                self._compare(self._last(before), other, prove)

        generations = generations_known(keys, shown, check)
        if len(generations) > 1:
            note = shown[-1].added.checkpoint
            self._keep(self._last(note), note, prove)
        self._generations = generations
        newest = self._generations[-1].keys
        if not set(newest) <= set(keys):
            self._keys = newest
            self._kept.hand_over([str(key) for key in newest])

    def keys(self) -> tuple[VerifierKey, ...]:
        """The log's verifier keys: pinned, or kept at the first contact. Raises Tampered."""
        if not self._keys:
            self._keys = self._settle()
        return self._keys

    def _settle(self) -> tuple[VerifierKey, ...]:
        given = tuple(map(str, self._pinned)) or tuple(self._told)
        try:
            keys = tuple(parse_keys(given))
        except NoteError as error:
            raise Tampered(f"the server's verifier keys: {error}") from error
        if keys[0].name != self.origin:
            raise Tampered(
                f"the verifier keys are those of {keys[0].name}, and the server's log is {self.origin}"
            )
        self._kept.keep_keys(given, bool(self._pinned))
        if set(self._kept.keys()) != set(given):
            if (found := self._handed_over(keys)) is not None:
                return found
            whose = "given" if self._pinned else "named by the server"
            raise Tampered(
                f"the verifier keys {whose} for {self.origin} are not those kept at the first contact in "
                f"{self._kept.place}; if you know from elsewhere that they are the log's, remove that and try again"
            )
        return keys

    def _handed_over(self, given: tuple[VerifierKey, ...]) -> tuple[VerifierKey, ...] | None:
        """The newer of the kept and the `given` keys, where the one was handed over to the other; None where it wasn't.

        Keys that only the server names are never taken for it.
        """
        try:
            kept, shown = tuple(parse_keys(self._kept.keys())), self._handovers()
            if set(given) <= reached(kept, shown):
                if not self._pinned:
                    return kept
                self._kept.hand_over([str(key) for key in given])
                return given
            return kept if set(kept) <= reached(given, shown) else None
        except (NoteError, LedgerError):
            return None

    def _last(self, note: bytes) -> Checkpoint:
        try:
            return Checkpoint.parse(Note.parse(note).text)
        except NoteError as error:
            raise Tampered(f"the checkpoint kept in {self._kept.place}: {error}") from error

    def _compare(self, last: Checkpoint, shown: Checkpoint, prove: Prove) -> None:
        """Raises Tampered unless one of both trees extends the other."""
        old, new = sorted((last, shown), key=lambda one: one.size)
        try:
            proof = [] if old.size == new.size else prove(old.size, new.size)
            check_consistency(old.size, old.root, new.size, new.root, proof)
        except NotThere as error:
            raise Tampered(
                f"the log went back: the server shows {shown.size} entries and can't prove that they belong to the "
                f"{last.size} of the checkpoint kept in {self._kept.place}. If its operator says that it was "
                "restored from a backup, remove that and look what is lost"
            ) from error
        except ProofError as error:
            raise Tampered(
                f"the log has two histories: the server's checkpoint of {shown.size} entries does not fit the one of "
                f"{last.size} kept in {self._kept.place}"
            ) from error


def _named(error: NoteError) -> str:
    text = str(error)
    return text if text.startswith("checkpoint") else f"checkpoint: {text}"


def _size_of(note: bytes) -> int:
    return Checkpoint.parse(Note.parse(note).text).size
