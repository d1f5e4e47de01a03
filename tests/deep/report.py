"""What a child tells: lines in a mapped file, so that telling is no system call and a kill takes nothing back."""

import mmap
import threading
import time
from pathlib import Path

REPORT_BYTES = 8 * 1024 * 1024
"""Most that one child tells."""
POLL_SECONDS = 0.001


class Report:
    """Byte 0 is the parent's sign to go on; then come the child's lines, each with its line feed, then zeros."""

    def __init__(self, path: Path) -> None:
        """Opens the file at `path`, or makes it."""
        self._lock, self._end = threading.Lock(), 1
        path.touch()
        with path.open("r+b") as file:
            file.truncate(REPORT_BYTES)
            self._map = mmap.mmap(file.fileno(), REPORT_BYTES)

    def say(self, line: str) -> None:
        """Add a line; by the child alone, from any thread."""
        data = line.replace("\n", " ").encode(errors="replace") + b"\n"
        with self._lock:
            end = self._end + len(data)
            self._map[self._end : end] = data
            self._end = end

    def lines(self) -> list[str]:
        """The whole lines so far; of a last one cut off nobody was told."""
        told = self._map[1 : max(1, self._map.find(b"\0", 1))]
        return told.decode(errors="replace").split("\n")[:-1]

    def go(self) -> None:
        """Let the child go on."""
        self._map[0] = 1

    def wait(self) -> None:
        """Wait until the parent lets go."""
        while not self._map[0]:
            time.sleep(POLL_SECONDS)
