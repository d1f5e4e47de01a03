"""The key keeper as its callers see it: the calls of `protocol.Keeper`, put to its process over a socket."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from keeper import messages
from keeper.endpoints import Endpoint
from keeper.errors import KeeperUnavailable
from keeper.protocol import (
    Alarm,
    Conflict,
    Evidence,
    KeptBlob,
    KeyRequest,
    ListedBlob,
    ReferredBlob,
    SealedObject,
    SignedReleases,
    Standing,
    Wrapped,
)
from ledger.receipt import Receipt

CALL_SECONDS = 30
"""How long a call may take, from its first byte to the last of its answer."""
CONNECT_SECONDS = 5.0
"""How long a keeper is waited for that can't be reached, or just starts or ends; its own start may take longer."""
LEAST_SECONDS = 0.5
"""How long the last try to connect may take, at least."""
DOWN_SECONDS = 1.0
"""How long nobody tries to connect after that failed; then one caller tries, and the others are told at once till it has."""
RETRY_SECONDS = 0.01
"""The first of the waits between two tries to connect; each is twice the one before."""
IDLE_SECONDS = 60
"""How long a connection is kept that no call needs; the last one stays, since a keeper that is a child ends without it."""


class RemoteKeeper:
    """Thread-safe: a connection for each call that runs at a time, kept for the next."""

    def __init__(self, where: Endpoint, origin: str, start: Callable[[], None] | None) -> None:
        """`where`: it listens; `start`: starts it where it doesn't run (raises StartRefused), or None."""
        self._where, self._origin, self._start = where, origin, start
        self._idle: list[tuple[float, socket.socket]] = []
        """Connections that no call has now, and since when: the one that was used last is last."""
        self._lock = threading.Lock()
        self._closed = False
        self._down = ""
        """Why the last connection could not be made; empty when it was."""
        self._try_at = 0.0
        """When the next caller may try."""

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

    def release_package(
        self, evidence: Evidence, listed: Sequence[ReferredBlob], words: SealedObject
    ) -> tuple[bytes, bytes] | Conflict:
        """What an accepted referral lists, sealed for its receiver's key."""
        found: tuple[bytes, bytes] | Conflict = self._ask(
            "release_package", evidence, listed, words
        )
        return found

    def open_fields(
        self, evidence: Evidence, sealed: Sequence[SealedObject]
    ) -> list[list[str | None]] | Conflict:
        """The texts of sealed fields that a permitted reading shows."""
        found: list[list[str | None]] | Conflict = self._ask("open_fields", evidence, sealed)
        return found

    def staff_name(self, evidence: Evidence, key: Wrapped) -> str | Conflict | None:
        """The name of somebody who works or worked at a hospital, or applied to one."""
        found: str | Conflict | None = self._ask("staff_name", evidence, key)
        return found

    def group_name(self, evidence: Evidence, key: Wrapped) -> str | Conflict | None:
        """The name of a hospital's group."""
        found: str | Conflict | None = self._ask("group_name", evidence, key)
        return found

    def applied(self, evidence: Evidence, key: Wrapped) -> list[str | None] | Conflict:
        """The name and the contact that a hospital's application holds."""
        found: list[str | None] | Conflict = self._ask("applied", evidence, key)
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

    def erase(self, evidence: Evidence) -> int | Conflict:
        """Destroy the KEKs that an erasure ends, which has begun; gives how many."""
        found: int | Conflict = self._ask("erase", evidence)
        return found

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

    def alarms(self, since: int = 0) -> list[Alarm]:
        """What it found that is not what the rules give, from entry `since` on."""
        found: list[Alarm] = self._ask("alarms", since)
        return found

    def signed_releases(self) -> SignedReleases:
        """The checkpoint of all that it gave out so far."""
        found: SignedReleases = self._ask("signed_releases")
        return found

    def releases(self, since: int, count: int) -> list[bytes]:
        """Its log's entries from `since` on, at most `count`."""
        found: list[bytes] = self._ask("releases", since, count)
        return found

    def ends(self) -> float | None:
        """When the certificate ends that the keeper showed on the last connection, Unix s; None over a Unix socket."""
        self.vkeys()
        with self._lock:
            return self._where.ends(self._idle[-1][1]) if self._idle else None

    def close(self) -> None:
        """End the connections; a keeper that this was the last caller of has ended when this returns."""
        with self._lock:
            self._closed = True
            lines, self._idle = self._idle, []
        silent = False
        for _, line in lines:
            if not silent:
                try:
                    messages.ask(line, messages.ENDS, ())
                except TimeoutError:
                    silent = True  # one wait is enough
                except (OSError, messages.Malformed):
                    pass
            line.close()

    def _ask(self, name: str, *arguments: Any) -> Any:
        """One call. On a connection that was kept the keeper may have ended since: then once more, on a new one.

        A keeper that doesn't answer in time may still do what it was asked, and isn't asked again. Asked twice, it gives a
        reading's key to one of the two at most, and says so to the other.
        """
        line = self._kept()
        try:
            if line is not None:
                try:
                    return self._over(line, name, arguments)
                except TimeoutError:
                    raise
                except (OSError, messages.Malformed):
                    pass  # it was closed
            return self._over(self._connected(), name, arguments)
        except (OSError, messages.Malformed) as error:
            if isinstance(error, TimeoutError):
                self._drop_kept()  # to the same machine
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
            return self._idle.pop()[1] if self._idle else None

    def _keep(self, line: socket.socket) -> None:
        now = time.monotonic()
        with self._lock:
            if self._closed:
                old = [line]
            else:
                self._idle.append((now, line))
                old = []
                while len(self._idle) > 1 and self._idle[0][0] < now - IDLE_SECONDS:
                    old.append(self._idle.pop(0)[1])
        for one in old:
            one.close()

    def _drop_kept(self) -> None:
        """Close what no call has now: the other end says nothing there either."""
        with self._lock:
            lines, self._idle = self._idle, []
        for _, line in lines:
            line.close()

    def _connected(self) -> socket.socket:
        """A new connection; raises KeeperUnavailable, or StartRefused where it can't be started."""
        with self._lock:
            if self._down:
                if time.monotonic() < self._try_at:
                    raise KeeperUnavailable(self._down)
                self._try_at = float("inf")  # for the others
        down = ""
        try:
            return self._reached()
        except KeeperUnavailable as error:
            down = str(error)
            raise
        finally:
            with self._lock:
                self._down, self._try_at = down, time.monotonic() + DOWN_SECONDS

    def _reached(self) -> socket.socket:
        """A new connection, after as many tries as there is time for; raises as `_connected` does."""
        deadline, wait = time.monotonic() + CONNECT_SECONDS, RETRY_SECONDS
        while True:
            left = deadline - time.monotonic()
            try:
                return self._connect(max(left, LEAST_SECONDS))
            except (OSError, messages.Malformed) as error:
                if time.monotonic() > deadline:
                    raise KeeperUnavailable(
                        f"the key keeper can't be reached at {self._where}: {error}"
                    ) from error
            if self._start is not None:
                self._start()
            time.sleep(wait)
            wait *= 2

    def _connect(self, seconds: float = CONNECT_SECONDS) -> socket.socket:
        """A connection that is made and greeted in about so long."""
        line = None
        try:
            line = self._where.connect(seconds)
            messages.greet(line, self._origin)
            line.settimeout(CALL_SECONDS)
            return line
        except BaseException as error:
            if line is not None:
                line.close()
            if isinstance(error, OSError) and (why := self._where.verdict(error)):
                raise KeeperUnavailable(
                    f"the key keeper can't be reached at {self._where}: {why}"
                ) from error
            raise
