"""Following a log: all of its entries, one after the other, from a position on, and never past what is missing. Pure.

Whatever goes through the whole log goes by this loop, wherever the entries come from: a rebuild of the views, the copy
and the check of a backup's blobs, an audit of an export. A scrub does not: it goes on past what is wrong, to name it all.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from crypto.texts import counted
from ledger.errors import Tampered
from ledger.tiles import TILE_WIDTH

Read = Callable[[int, int], Sequence[bytes]]
"""The stored bytes of entries `start` to `end`, exclusive, in order; never more than one entry bundle's."""
Progress = Callable[[int, int], None]
"""Gets the position, and the size that is followed to."""


@dataclass
class Follower:
    """Reads a log by entry bundles. It goes on where it stopped: from `position`, kept by whoever makes it.

    What came of the entries and the position belong together: a follower that outlives its process keeps both in one
    transaction, or does the same again for entries that it has had. One that makes it all anew begins at 0.
    """

    name: str
    """What errors call it, and whatever tells how far it is."""
    read: Read
    position: int = 0
    """How many entries it is done with: the number of the next one."""
    progress: Progress = lambda position, size: None

    def lag(self, size: int) -> int:
        """How many entries of a log of `size` it isn't done with."""
        return max(0, size - self.position)

    def bundles(self, size: int) -> Iterator[Sequence[bytes]]:
        """The entries from the position to `size`, by entry bundles; with one it is done when the next is asked for.

        An error stops it before the bundle that it came of, whether reading raised it or whoever works through the
        bundle: asked again, it begins with that one. Raises Tampered where entries are missing.
        """
        while self.position < size:
            end = min(size, (self.position // TILE_WIDTH + 1) * TILE_WIDTH)
            bundle = self.read(self.position, end)
            if len(bundle) != end - self.position:
                raise Tampered(
                    f"{self.name} stopped at entry {self.position} with {self.lag(size)} to go: got "
                    f"{counted(len(bundle), 'entry')} up to {end - 1}, expected {end - self.position}"
                )
            yield bundle
            self.position = end
            self.progress(end, size)
