"""The marker of a blob store: it tells the ledger's own folder or bucket from whatever else is in its place.

Where a disk isn't mounted there is an empty folder, and another bucket is empty, too: both would count as a store
that lacks everything, and take new blobs. So whatever makes a store puts a marker into it, which names the ledger
(`init`, `restore`, `blobs move`, `blobs check --adopt NAME`, and `upgrade` of a ledger that has none yet); reading and
writing never do, and nothing is read or written without it.
"""

import json
import time
from collections.abc import Callable

from storage.errors import BlobsUnavailable

NAME = "heartwood.store"
"""Of the file or object, beside the blobs' folders."""
MOST_BYTES = 4_096
FRESH_SECONDS = 60.0
"""How long a store that had its marker may be read, and a bucket written to, without another look, which is a request."""
ADOPT = "`heartwood blobs check --adopt NAME`"


def marker_of(origin: str) -> bytes:
    """The marker of a store of this log."""
    return json.dumps({"format": 1, "ledger": origin}).encode() + b"\n"


def origin_of(data: bytes) -> str:
    """The log that a marker names; raises ValueError for what is none."""
    told = json.loads(data)
    if not isinstance(told, dict) or told.get("format") != 1 or not isinstance(told["ledger"], str):
        raise ValueError(f"got {data[:80]!r}, expected format 1 and a ledger")
    return told["ledger"]


class Watch:
    """Looks whether a store has the marker of its ledger. Any number of threads."""

    def __init__(
        self, origin: str, where: str, read: Callable[[], bytes | None], seconds: float
    ) -> None:
        """`origin`: the log's; "" demands no marker. `read`: the marker, None if there is none.

        `seconds`: how long it is taken to be there before it is looked at again for a write.
        """
        self._origin, self._where, self._read, self._seconds = origin, where, read, seconds
        self._seen = float("-inf")

    def check(self) -> None:
        """Before a write; raises BlobsUnavailable."""
        if time.monotonic() - self._seen >= self._seconds:
            self.look()

    def check_read(self) -> None:
        """Before a read, which does no harm elsewhere: at most once in FRESH_SECONDS; raises BlobsUnavailable."""
        if time.monotonic() - self._seen >= FRESH_SECONDS:
            self.look()

    def look(self) -> None:
        """Now, as before it is said that something isn't there; raises BlobsUnavailable."""
        if not self._origin:
            return
        self._seen = float("-inf")
        found = named(self._read(), self._where)
        if not found:
            raise BlobsUnavailable(
                f"{self._where} has no marker {NAME}: is it mounted, and the right place? If it is to hold this "
                f"ledger's blobs: {ADOPT}"
            )
        if found != self._origin:
            raise BlobsUnavailable(
                f"{self._where} holds blobs of the ledger {found}, expected {self._origin}"
            )
        self._seen = time.monotonic()


def named(data: bytes | None, where: str) -> str:
    """The log that a store's marker names, "" where there is none; raises BlobsUnavailable for one that can't be read."""
    if data is None:
        return ""
    try:
        return origin_of(data)
    except (ValueError, KeyError) as error:
        raise BlobsUnavailable(f"the marker {NAME} of {where} can't be read: {error}") from error
