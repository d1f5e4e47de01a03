"""Both chains: every entry holds the leaf hash of the one before, and of the one before in its stream.

They lie inside what the tree hashes, so chain and tree can't tell two stories.
"""

from collections.abc import MutableMapping
from typing import NamedTuple

from ledger.errors import Tampered

ZERO = bytes(32)
"""What the first entry, and the first of a stream, holds."""


_EMPTY = (0, ZERO)
"""Length and end of a stream without entries."""


class Link(NamedTuple):
    """An entry's place in both chains."""

    seq: int
    prev: bytes
    stream_seq: int
    stream_prev: bytes


class Chain:
    """The ends of the log's chain and of the streams' chains, as the next entry needs them."""

    def __init__(
        self,
        size: int = 0,
        tip: bytes = ZERO,
        time: int = 0,
        streams: MutableMapping[str, tuple[int, bytes]] | None = None,
    ) -> None:
        """`size` entries so far, the last with leaf hash `tip` at `time` (Unix ms).

        `streams`: length and last leaf hash of each stream; one that is not there is empty.
        """
        self.size, self.tip, self.time = size, tip, time
        self.streams = {} if streams is None else streams

    def next(self, stream: str) -> Link:
        """Where the next entry of `stream` goes."""
        length, tip = self.streams.get(stream, _EMPTY)
        return Link(self.size, self.tip, length, tip)

    def extend(self, stream: str, link: Link, leaf: bytes, time: int) -> None:
        """Take the entry at `link` with hash `leaf`; `time` never goes back."""
        self.size, self.tip, self.time = link.seq + 1, leaf, time
        self.streams[stream] = (link.stream_seq + 1, leaf)

    def follow(
        self, stream: str, stream_seq: int, stream_prev: bytes, leaf: bytes, time: int
    ) -> None:
        """Take the next entry if it follows its stream's last one and `time` does not go back.

        That its number and `prev` are the next ones was checked with its bundle. Raises Tampered.
        """
        length, tip = self.streams.get(stream, _EMPTY)
        if stream_seq != length or stream_prev != tip:
            raise Tampered(f"entry {self.size}: does not follow entry {length} of {stream}")
        if time < self.time:
            raise Tampered(f"entry {self.size}: its time is before that of the previous entry")
        self.streams[stream] = (length + 1, leaf)
        self.size, self.tip, self.time = self.size + 1, leaf, time
