"""The last acknowledged checkpoint, kept outside the database so that a restored backup shows."""

import fcntl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from durable.files import private, replace_file


class Acknowledged(NamedTuple):
    """What the file said at one instant: `note`, or None if there was none.

    Read it before the database that it is compared with. The file follows the database, so the database
    read later holds all that the file speaks of; read the other way round, whatever a neighbour appends
    in between looks lost.
    """

    note: bytes | None


class TrustedCheckpoint:
    """The file `checkpoint`: written with fsync at least once a second while the log grows.

    Several processes share it; it never goes back to a smaller size.
    """

    def __init__(self, path: Path, interval_ms: int, size_of: Callable[[bytes], int]) -> None:
        """`size_of(note)` gives the size of a checkpoint read from the file."""
        self._path, self._interval, self._size_of = path, interval_ms, size_of
        self._lock = threading.Lock()
        self._pending: tuple[int, bytes] | None = None
        self._written_at = 0
        self._looked_at: tuple[int, int, int] | None = None

    def read(self) -> bytes | None:
        """The checkpoint's note, or None if there never was one."""
        return self._path.read_bytes() if self._path.exists() else None

    def read_beyond(self, size: int) -> bytes | None:
        """The note, if a neighbour wrote a larger checkpoint than one of `size`; what was looked at isn't read again."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        mark = (found.st_ino, found.st_mtime_ns, found.st_size)
        if mark == self._looked_at:
            return None
        note = self._path.read_bytes()
        further = self._size_of(note) > size
        self._looked_at = mark  # not before: a file that doesn't hold is an error each time
        return note if further else None

    def acknowledged(self) -> Acknowledged:
        """What the file says now."""
        return Acknowledged(self.read())

    def saw(self, size: int, note: bytes, now: int) -> None:
        """A checkpoint was acknowledged at `now` (Unix ms); write it if one is due."""
        if size:
            with self._lock:
                if self._pending is None or self._pending[0] <= size:
                    self._pending = (size, note)
            self.write_due(now)

    def write_due(self, now: int) -> None:
        """Write what is pending if the last writing is an interval ago."""
        if self._pending is not None and abs(now - self._written_at) >= self._interval:
            self.write_now()
            self._written_at = now  # not before: while it fails, every batch finds it due

    def write_now(self) -> None:
        """Write what is pending."""
        with self._lock:
            if self._pending is None:
                return
            size, note = self._pending
            with self._alone():
                there = self.read()
                if there is None or self._size_of(there) < size:
                    replace_file(self._path, note)
            self._pending = None

    def hold(self, size: int, note: bytes) -> bool:
        """Write a checkpoint of `size` now, unless a larger one is there; gives whether the file holds at least so much."""
        with self._lock, self._alone():
            there = self.read()
            if there is None or self._size_of(there) < size:
                replace_file(self._path, note)
            held = self.read()
            return held is not None and self._size_of(held) >= size

    def advance(self, before: bytes | None, size: int, note: bytes) -> bool:
        """Put `note`, a checkpoint of `size`, in the place of `before` (None: of none), at once.

        False, and nothing is written, where another checkpoint is there by now, or one as large.
        """
        with self._lock, self._alone():
            there = self.read()
            if there != before or (there is not None and self._size_of(there) >= size):
                return False
            replace_file(self._path, note)
            return True

    def reset(self, note: bytes) -> None:
        """Go back to `note`, after the operator accepted a restored database."""
        with self._lock, self._alone():
            replace_file(self._path, note)
            self._pending = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process writes the file meanwhile."""
        with open(self._path.with_name(".checkpoint.lock"), "ab", opener=private) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
