"""The key keeper as its callers see it: the calls of `protocol.Keeper`, put to its process over a socket."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from keeper import messages
from keeper.errors import KeeperUnavailable
from keeper.protocol import (
    Alarm,
    Conflict,
    Evidence,
    KeptBlob,
    KeyRequest,
    ListedBlob,
    SealedObject,
    SignedReleases,
    Standing,
    Wrapped,
)
from ledger.receipt import Receipt

CALL_SECONDS = 30
"""How long a call may take, from its first byte to the last of its answer."""
CONNECT_SECONDS = 10
"""How long a keeper that starts, or ends, is waited for."""
RETRY_SECONDS = 0.01
"""The first of the waits between two tries to connect; each is twice the one before."""


class RemoteKeeper:
    """Thread-safe: a connection for each call that runs at a time, kept for the next."""

    def __init__(self, path: Path, origin: str, start: Callable[[], None] | None) -> None:
        """`path`: the keeper's socket; `start`: starts it where it doesn't run (raises StartRefused), or None."""
        self._path, self._origin, self._start = path, origin, start
        self._idle: list[socket.socket] = []
        self._lock = threading.Lock()
        self._closed = False

    def new_key(self, requests: Sequence[KeyRequest]) -> list[Wrapped]:
        """See `protocol.Keeper`, as of all calls."""
        found: list[Wrapped] = self._ask("new_key", requests)
        return found

    def seal(self, key: Wrapped, stream: str, event: str, fields: dict[str, str]) -> dict[str, str]:
        """Seal texts as fields of an event."""
        found: dict[str, str] = self._ask("seal", key, stream, event, fields)
        return found

    def label_codes(self, key: Wrapped, labels: Sequence[str]) -> list[str]:
        """The codes of sensitivity labels."""
        found: list[str] = self._ask("label_codes", key, labels)
        return found

    def release(
        self, evidence: Evidence, wrapped: Wrapped, record: str, sha256: bytes
    ) -> bytes | Conflict:
        """The data key that a permitted reading names."""
        found: bytes | Conflict = self._ask("release", evidence, wrapped, record, sha256)
        return found

    def release_export(
        self, evidence: Evidence, listed: Sequence[ListedBlob]
    ) -> list[bytes] | Conflict:
        """The data keys of all that a permitted export lists."""
        found: list[bytes] | Conflict = self._ask("release_export", evidence, listed)
        return found

    def open_fields(
        self, evidence: Evidence, sealed: Sequence[SealedObject]
    ) -> list[list[str]] | Conflict:
        """The texts of sealed fields that a permitted reading shows."""
        found: list[list[str]] | Conflict = self._ask("open_fields", evidence, sealed)
        return found

    def staff_name(self, evidence: Evidence, key: Wrapped) -> str | Conflict:
        """The name of somebody who works or worked at a hospital."""
        found: str | Conflict = self._ask("staff_name", evidence, key)
        return found

    def group_name(self, evidence: Evidence, key: Wrapped) -> str | Conflict:
        """The name of a hospital's group."""
        found: str | Conflict = self._ask("group_name", evidence, key)
        return found

    def versions(self, subjects: Sequence[str]) -> dict[str, list[int]]:
        """The KEK versions that are kept of each subject."""
        found: dict[str, list[int]] = self._ask("versions", subjects)
        return found

    def advance(self, above: dict[str, int]) -> None:
        """Make the KEK version after the one said of each subject, unless it is there."""
        self._ask("advance", above)

    def renew(self, objects: Sequence[Wrapped], blobs: Sequence[KeptBlob]) -> list[Wrapped]:
        """The same keys under the newest KEK of their subjects."""
        found: list[Wrapped] = self._ask("renew", objects, blobs)
        return found

    def destroy(self, keks: Sequence[tuple[str, int]]) -> None:
        """Destroy KEKs by (subject, version)."""
        self._ask("destroy", keks)

    def follow(
        self, since: int, entries: Sequence[bytes], checkpoint: bytes, proof: Sequence[bytes]
    ) -> int:
        """Read the entries from `since` on."""
        found: int = self._ask("follow", since, entries, checkpoint, proof)
        return found

    def accept_restored(self, restored: Receipt, first: Receipt) -> None:
        """Follow a log that the operator declared restored."""
        self._ask("accept_restored", restored, first)

    def standing(self) -> Standing:
        """How far it follows the log."""
        found: Standing = self._ask("standing")
        return found

    def vkeys(self) -> list[str]:
        """Its verifier keys as a witness."""
        found: list[str] = self._ask("vkeys")
        return found

    def cosign(self, since: int, checkpoint: bytes, proof: Sequence[bytes]) -> bytes | Conflict:
        """Its cosignatures of a checkpoint that it has read up to."""
        found: bytes | Conflict = self._ask("cosign", since, checkpoint, proof)
        return found

    def alarms(self) -> list[Alarm]:
        """What it found that is not what the rules give."""
        found: list[Alarm] = self._ask("alarms")
        return found

    def signed_releases(self) -> SignedReleases:
        """The checkpoint of all that it gave out so far."""
        found: SignedReleases = self._ask("signed_releases")
        return found

    def releases(self, since: int, count: int) -> list[bytes]:
        """Its log's entries from `since` on, at most `count`."""
        found: list[bytes] = self._ask("releases", since, count)
        return found

    def close(self) -> None:
        """End the connections; a keeper that this was the last caller of has ended when this returns."""
        with self._lock:
            self._closed = True
            lines, self._idle = self._idle, []
        for line in lines:
            with suppress(OSError, messages.Malformed):
                messages.ask(line, messages.ENDS, ())
            line.close()

    def _ask(self, name: str, *arguments: Any) -> Any:
        """One call. On a connection that was kept the keeper may have ended since: then once more, on a new one.

        Asked twice, the keeper gives a reading's key to one of the two at most, and says so to the other.
        """
        line = self._kept()
        if line is not None:
            with suppress(OSError, messages.Malformed):
                return self._over(line, name, arguments)
        try:
            return self._over(self._connected(), name, arguments)
        except (OSError, messages.Malformed) as error:
            raise KeeperUnavailable(f"the key keeper did not answer: {error}") from error

    def _over(self, line: socket.socket, name: str, arguments: tuple[Any, ...]) -> Any:
        done = False
        try:
            found = messages.ask(line, name, arguments)
            done = True
            return found
        except (OSError, messages.Malformed):
            raise
        except Exception:  # what the keeper answered, or what can't be sent
            done = True
            raise
        finally:
            self._keep(line) if done else line.close()

    def _kept(self) -> socket.socket | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _keep(self, line: socket.socket) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(line)
                return
        line.close()

    def _connected(self) -> socket.socket:
        """A new connection; raises KeeperUnavailable, or StartRefused where it can't be started."""
        deadline, wait = time.monotonic() + CONNECT_SECONDS, RETRY_SECONDS
        while True:
            try:
                return self._connect()
            except (OSError, messages.Malformed) as error:
                if time.monotonic() > deadline:
                    raise KeeperUnavailable(
                        f"the key keeper can't be reached at {self._path}: {error}"
                    ) from error
            if self._start is not None:
                self._start()
            time.sleep(wait)
            wait *= 2

    def _connect(self) -> socket.socket:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.settimeout(CALL_SECONDS)
        try:
            with messages.Address(self._path) as name:
                line.connect(name)
            messages.greet(line, self._origin)
        except BaseException:
            line.close()
            raise
        return line
