"""One write to several stores: streamed to all at once, with bounded memory, acknowledged once a quorum has it.

All take the bytes side by side. Then one after the other is let go on until one has made the blob: of two writers of
one id the second meets it there and is told. After that the rest are let go on together. A quorum is a majority, so
that whatever the writers could reach, of two never both are acknowledged.

A store that fails, or keeps the others waiting, is given up as long as a quorum is left; a write that stays below
the quorum takes back what it made.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from queue import Full, Queue
from typing import Generic, TypeVar

from durable.errors import StorageError
from storage.blobs.files import READ_BYTES, BlobStore, Member
from storage.errors import BlobExists, BlobsUnavailable

LATE_SECONDS = 10.0
"""How long a quorum waits for a store that is slower, in all of one write."""
PIECES = 4
"""Pieces of at most READ_BYTES that wait for one store."""
LOOK_SECONDS = 0.02
"""How often one that waits for room looks whether the others wait as well."""

Made = TypeVar("Made")
Write = Callable[[BlobStore, Iterator[bytes]], Made]


class _GivenUp(Exception):
    """The write was given up: the store must leave nothing of it."""


class Copy(Generic[Made]):
    """The write to one store, in a thread of its own."""

    def __init__(
        self,
        member: Member,
        write: Write[Made],
        undo: Callable[[BlobStore], object],
        told: threading.Condition,
    ) -> None:
        """It begins at once. `undo`: takes back what was made; `told` is notified of its end."""
        self.member, self.made, self.error = member, False, ""
        self.exists = False
        self.aside: Made | None = None
        """What `write` gave."""
        self.waited = 0.0
        """How long others that could go on have waited for it, in seconds."""
        self._write, self._undo, self._told = write, undo, told
        self._pieces = Queue[bytes | None](PIECES)
        self._go, self._gone = threading.Event(), False
        self._revoked = self._spared = False
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="copy", daemon=True)
        self._thread.start()

    @property
    def live(self) -> bool:
        """Whether it may still become whole, or is."""
        return not self._gone and (self.made or not self.ended.is_set())

    @property
    def failed(self) -> bool:
        """Whether the store itself failed or was late, whatever became of the write."""
        return bool(self.error) and not self.exists and not self._spared

    @property
    def hungry(self) -> bool:
        """Whether it waits for the next piece."""
        return self.live and self._pieces.empty()

    def offer(self, piece: bytes | None, seconds: float = 0.0) -> bool:
        """Give it the next piece, None after the last; False if it has no room for so long.

        One that ended takes anything.
        """
        if self.ended.is_set() or self._gone:
            return True
        with suppress(Full):
            self._pieces.put(piece, seconds > 0, seconds)
            return True
        return False

    def go_on(self) -> None:
        """Let it make the blob once it has all pieces."""
        self._go.set()

    def give_up(self, why: str) -> None:
        """Let it leave nothing, if it hasn't gone on; what comes of it doesn't count. `why`: "" if it isn't to blame."""
        self._spared = not self.error and not why
        self.error = self.error or why
        self._gone = True
        self._go.set()
        with suppress(Full):  # wakes it if it waits
            self._pieces.put_nowait(None)

    def revoke(self) -> None:
        """Take back what it made, now or whenever it ends."""
        self._revoked = True
        if self.ended.is_set() and self.made:
            self._take_back()

    def join(self, seconds: float) -> None:
        """Wait for its end, no longer than so."""
        self._thread.join(max(0.0, seconds))

    def _run(self) -> None:
        try:
            self.aside = self._write(self.member.store, self._taken())
            self.made = True
        except _GivenUp:
            pass
        except BlobExists as error:
            self.exists, self.error = True, str(error)
        except Exception as error:  # told of with the others
            self.error = self.error or _words(error)
        finally:
            self.ended.set()
            with self._told:
                self._told.notify_all()
        if self.made and self._revoked:
            self._take_back()

    def _taken(self) -> Iterator[bytes]:
        while (piece := self._pieces.get()) is not None:
            if self._gone:
                raise _GivenUp
            yield piece
        self._go.wait()
        if self._gone:
            raise _GivenUp

    def _take_back(self) -> None:
        with suppress(StorageError, OSError):  # what stays, garbage collection removes
            self._undo(self.member.store)


class Spread(Generic[Made]):
    """One write to several stores."""

    def __init__(
        self,
        members: Sequence[Member],
        quorum: int,
        write: Write[Made],
        undo: Callable[[BlobStore], object] = lambda store: None,
    ) -> None:
        """It begins with the first piece; `undo` takes back what one store made, where the quorum isn't reached."""
        self._quorum, self._told = quorum, threading.Condition()
        self.copies = [Copy(member, write, undo, self._told) for member in members]

    def run(self, chunks: Iterable[bytes]) -> list[Copy[Made]]:
        """Write the chunks; gives the copies, of which a quorum are made.

        Raises what `chunks` raises, BlobExists, and BlobsUnavailable below the quorum; then nothing stays.
        """
        began = time.monotonic()
        try:
            for piece in _pieces(chunks):
                self._offer(piece, began)
            self._offer(None, began)
            self._make()
        except BaseException:
            for copy in self.copies:
                copy.give_up("")
                copy.revoke()
            self._join()
            raise
        return self.copies

    def _offer(self, piece: bytes | None, began: float) -> None:
        """Give a piece to all; waits for those that have no room."""
        waiting = [copy for copy in self.copies if not copy.offer(piece)]
        while waiting:
            looked = time.monotonic()
            if waiting[0].offer(piece, LOOK_SECONDS):
                waiting.pop(0)
            waiting = [copy for copy in waiting if not copy.offer(piece)]
            now = time.monotonic()
            for copy in waiting:
                if sum(other.hungry for other in self.copies if other is not copy) >= self._quorum:
                    copy.waited += now - looked
                # Of stores that are alike now one is ahead, now another: only one that is in the way half of the
                # time is slower.
                if copy.waited > max(LATE_SECONDS, (now - began) / 2):
                    copy.give_up(f"the others waited for it for {LATE_SECONDS:.0f} s")
        self._check_enough()

    def _make(self) -> None:
        """Let the stores make the blob; returns once the quorum has it and the rest had their time."""
        for copy in self.copies:  # the first that makes it decides between two writers
            copy.go_on()
            self._wait(lambda one=copy: one.ended.is_set(), enough=self._others_of(copy))  # type: ignore[misc]
            if copy.exists:
                raise BlobExists(copy.error)
            if copy.made and copy.live:
                break
            self._check_enough()
        for copy in self.copies:
            copy.go_on()
        self._wait(lambda: self._made() >= self._quorum or self._over(), enough=False)
        self._check_enough()
        self._wait(self._over, enough=True)
        for copy in self.copies:
            if copy.live and not copy.made:
                copy.error = f"it was not done {LATE_SECONDS:.0f} s after the others"

    def _wait(self, done: Callable[[], bool], enough: bool) -> None:
        """Wait until `done`; where there is `enough` without, not for longer than a store may be late."""
        with self._told:
            self._told.wait_for(done, LATE_SECONDS if enough else None)

    def _others_of(self, copy: Copy[Made]) -> bool:
        return sum(other.live for other in self.copies if other is not copy) >= self._quorum

    def _made(self) -> int:
        return sum(copy.made and copy.live for copy in self.copies)

    def _over(self) -> bool:
        return all(copy.ended.is_set() or not copy.live for copy in self.copies)

    def _check_enough(self) -> None:
        if sum(copy.live for copy in self.copies) >= self._quorum:
            return
        for copy in self.copies:
            if copy.exists:
                raise BlobExists(f"{copy.member.name}: {copy.error}")
        failed = "; ".join(f"{c.member.name}: {c.error}" for c in self.copies if not c.live)
        raise BlobsUnavailable(
            f"{self._quorum} of {len(self.copies)} stores must have a blob, and too few took it: {failed}"
        )

    def _join(self) -> None:
        until = time.monotonic() + LATE_SECONDS
        for copy in self.copies:
            copy.join(until - time.monotonic())


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, none longer than READ_BYTES."""
    for chunk in chunks:
        if len(chunk) <= READ_BYTES:
            yield bytes(chunk)
            continue
        for start in range(0, len(chunk), READ_BYTES):
            yield bytes(chunk[start : start + READ_BYTES])


def _words(error: Exception) -> str:
    """What went wrong in a store, in words that name no more than they must."""
    return str(error) or type(error).__name__
