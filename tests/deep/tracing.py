"""strace: which system calls one thread makes, and one of them failed or answered with a kill.

A thread is attached to by its number, without the others: strace counts the calls of each thread by itself,
so the n-th call of a thread is the same one each time.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.deep.witness import Wrong
from tests.support.postgres import apt_get

MISSING = "strace is missing (Debian: apt-get install strace): faults at system calls are left out"
INSTALL_LOCK = Path("/run/heartwood-strace-install.lock")
ATTACH_SECONDS = 30.0

_DISK = ("SIGKILL", "EIO", "ENOSPC")
_LOCK = ("SIGKILL", "EIO", "EINTR", "ENOLCK")
_WIRE = ("SIGKILL", "EIO", "ECONNRESET", "EINTR")
# A failed send alone is not broken: libpq takes it for a lost connection and waits until the socket says so,
# which here lives on. A connection that is lost for good is one whose receiving fails.
_SEND = ("SIGKILL", "EINTR")
KINDS: dict[str, tuple[str, ...]] = {
    "open": (*_DISK, "EMFILE"), "openat": (*_DISK, "EMFILE"),
    "read": ("EIO", "EINTR"), "pread64": ("EIO", "EINTR"),
    "write": (*_DISK, "EINTR"), "pwrite64": (*_DISK, "EINTR"), "writev": (*_DISK, "EINTR"),
    "fsync": _DISK, "fdatasync": _DISK, "ftruncate": _DISK, "fallocate": _DISK,
    "rename": _DISK, "renameat": _DISK, "renameat2": _DISK, "link": _DISK, "linkat": _DISK,
    "unlink": _DISK, "unlinkat": _DISK, "mkdir": _DISK, "mkdirat": _DISK,
    "flock": _LOCK, "fcntl": _LOCK,
    "connect": _WIRE, "sendto": _SEND, "sendmsg": _SEND, "recvfrom": _WIRE, "recvmsg": _WIRE,
}  # fmt: skip
"""The calls that are broken, and how: the kill comes in the call's place, the error instead of its work."""

UNLOCKING = "F_UNLCK"
"""What a lock's giving back says. No local file system fails it, and SQLite counts on that: it is only killed at."""
_CALL = re.compile(r"(?:\[pid +\d+\] )?(\w+)\(")


class StraceMissing(RuntimeError):
    """No strace here, and none could be installed; the text is one line for people."""


@dataclass(frozen=True, order=True)
class Fault:
    """One call of one thread, by its number from 1, and what comes instead of it."""

    thread: str
    call: str
    number: int
    kind: str

    def __str__(self) -> str:
        """As `--only` takes it."""
        return f"{self.thread} {self.call} {self.number} {self.kind}"

    @classmethod
    def parse(cls, text: str) -> Fault:
        """From what `str` gives."""
        thread, call, number, kind = text.split()
        return cls(thread, call, int(number), kind)

    def options(self) -> list[str]:
        """How strace is told."""
        kind = f"signal={self.kind}" if self.kind.startswith("SIG") else f"error={self.kind}"
        traced = f"trace={self.call}"
        return ["-e", traced, "-e", f"inject={self.call}:{kind}:when={self.number}"]


def faults(thread: str, lines: list[str]) -> list[Fault]:
    """Every fault of every call that a thread made, from what strace wrote of it."""
    calls, found = Counter[str](), list[Fault]()
    for line in lines:
        if match := _CALL.match(line):
            call = match[1]
            calls[call] += 1
            kinds = KINDS[call][:1] if UNLOCKING in line else KINDS[call]
            found += [Fault(thread, call, calls[call], kind) for kind in kinds]
    return found


class Strace:
    """A tracer of one thread of another process, from the moment this is made."""

    def __init__(self, thread: int, log: Path, options: list[str]) -> None:
        """Attaches; raises Wrong if that fails."""
        self._log = log
        command = [find_strace(), "-p", f"{thread}", "-o", f"{log}", *options]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        said = self._process.stderr.readline()
        if "attached" not in said:
            self._process.wait(ATTACH_SECONDS)
            raise Wrong(f"strace can't attach: {said.strip()}")

    def said(self) -> str:
        """What strace wrote, once the thread has ended."""
        self._process.wait(ATTACH_SECONDS)
        return self._log.read_text(errors="replace")

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, whether or not the thread has."""
        if self._process.poll() is None:
            self._process.terminate()
        self._process.communicate()


def counting() -> list[str]:
    """The options that count all calls that may be broken."""
    return ["-e", "trace=" + ",".join(f"?{call}" for call in KINDS)]


def find_strace() -> str:
    """The program; installed where this process may, else raises StraceMissing."""
    if found := shutil.which("strace"):
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise StraceMissing(MISSING)
    with INSTALL_LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if shutil.which("strace") is None:  # else another worker was faster
            with suppress(OSError, subprocess.SubprocessError):
                apt_get("update")
                apt_get("install", "--yes", "--no-install-recommends", "strace")
    if found := shutil.which("strace"):
        return found
    raise StraceMissing(MISSING)
