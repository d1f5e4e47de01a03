"""The log's keys by generation: which of them must have signed a checkpoint of which size. Pure.

Entry 0 names the first generation, each `log_key.added` the next; `log_key.retired` ends the one before it. Which of
them count is a matter of a checkpoint's size alone, so what was signed before a hand-over stays good for ever.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, overload

from crypto.notes import VerifierKey
from ledger.rows import row_type

if TYPE_CHECKING:  # made of the registry, whose types are made of this
    from ledger.entry import Entry

LOG = "log"
"""The one group of these rows: the keys of this log."""


@row_type("log_keys", key=1, group=("log",))
class LogKeyRow(NamedTuple):
    """A generation of the log's keys, named by entry `seq`."""

    event: str
    """The id of its event."""
    log: str
    seq: int
    retired: int
    """The entry that retired them; 0 while they count."""
    keys: str
    """The verifier keys, apart by spaces: Ed25519, ML-DSA-44."""


class Generation(NamedTuple):
    """The keys that one entry names, and the entries from and up to which they count."""

    keys: tuple[VerifierKey, ...]
    added: int
    retired: int = 0

    def counts(self, size: int) -> bool:
        """Whether a checkpoint of `size` entries needs their signatures."""
        return (not self.added or size > self.added) and (not self.retired or size <= self.retired)


class LogKeys(Sequence[VerifierKey]):
    """All generations of one log's keys. As a sequence: the keys that aren't retired, the older first."""

    def __init__(self, generations: Iterable[Generation]) -> None:
        """`generations`: in the log's order."""
        self._generations = tuple(generations)

    @property
    def generations(self) -> tuple[Generation, ...]:
        """From the first to the newest."""
        return self._generations

    def at(self, size: int) -> list[VerifierKey]:
        """The keys that must have signed a checkpoint of `size` entries."""
        return [key for one in self.generations if one.counts(size) for key in one.keys]

    def ever(self) -> list[VerifierKey]:
        """Every key, also the retired ones."""
        return [key for one in self.generations for key in one.keys]

    def _standing(self) -> list[VerifierKey]:
        return [key for one in self.generations if not one.retired for key in one.keys]

    @overload
    def __getitem__(self, index: int) -> VerifierKey: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[VerifierKey]: ...
    def __getitem__(self, index: int | slice) -> VerifierKey | Sequence[VerifierKey]:
        """One of the keys that aren't retired, or some."""
        return self._standing()[index]

    def __len__(self) -> int:
        """How many aren't retired."""
        return len(self._standing())


def newest_at(generations: Sequence[Generation], size: int) -> Generation | None:
    """The newest generation that was added before a checkpoint of `size` entries; it always signs that.

    For whoever doesn't know yet which of the earlier ones are retired.
    """
    counting = [one for one in generations if one.counts(size)]
    return counting[-1] if counting else None


def generations_of(rows: Iterable[LogKeyRow]) -> tuple[Generation, ...]:
    """The generations that rows tell of, in the log's order."""
    return tuple(
        Generation(tuple(map(VerifierKey.parse, row.keys.split())), row.seq, row.retired)
        for row in in_order(rows)
    )


NAMING = frozenset({"ledger.created", "log_key.added", "log_key.retired"})
"""The types of entries that tell which keys count."""


def generations_named(entries: "Iterable[Entry]") -> tuple[Generation, ...]:
    """The generations that entries of the `NAMING` types tell of, in the log's order."""
    found = list[Generation]()
    for entry in entries:
        seq, body = entry.link.seq, entry.event.body
        if entry.event.type.name == "log_key.retired":
            found[-2] = found[-2]._replace(retired=seq)
        else:
            found.append(Generation(tuple(map(VerifierKey.parse, body["log_keys"])), seq))
    return tuple(found)


def in_order(rows: Iterable[LogKeyRow]) -> list[LogKeyRow]:
    """The rows by the entries that made them."""
    return sorted(rows, key=lambda row: row.seq)
