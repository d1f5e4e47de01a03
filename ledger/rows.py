"""Rows: what is folded from entries, each kind a NamedTuple, found by its key or together by a group.

Rows are immutable; a change is a new row under the same key. They live in memory (verifiers) or in SQL
(the service), which load them into the same `Rows`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

Row = Any
"""One of the NamedTuples of the directory, the policies or the consent facts."""
R = TypeVar("R")
Name = tuple[type, tuple[str, ...]]
"""A row's kind, and its key or its group."""

KEY_LENGTHS: dict[type, int] = {}
"""How many leading fields make a row's key; each kind is entered beside its definition."""
GROUPS: dict[type, slice] = {}
"""By which fields rows of a kind are found together, where they are."""
STANDING: dict[type, Callable[[Row], bool]] = {}
"""Of a kind whose rows leave their group when they have ended for good: whether a row is still in it."""
LIVE: dict[type, Callable[[Row, int], bool]] = {}
"""Of such a kind: whether a row that stands has not run out at a time (Unix ms) either."""


class Look(Protocol):
    """Rows as of the entry before; what was never created is None."""

    def get(self, kind: type[R], *key: str) -> R | None:
        """The row of `kind` under `key`."""
        ...

    def group(self, kind: type[R], *group: str) -> Iterable[R]:
        """The rows of `kind` in a group (`GROUPS`), in no order that counts; of `STANDING` kinds those that stand."""
        ...

    def live(self, kind: type[R], time: int, *group: str) -> Iterable[R]:
        """The rows of a `LIVE` kind in a group that are live at `time` (Unix ms) or later, in no order that counts."""
        ...

    def any(self, kind: type, *group: str) -> bool:
        """Whether there was ever a row of a `STANDING` kind in a group."""
        ...

    def created(self, id_: str) -> bool:
        """Whether an entry has created this id."""
        ...


class Rows:
    """Rows in memory, by kind and key; the home of the verifiers, and the sequencer's working set."""

    def __init__(self) -> None:
        """Empty."""
        self._rows: dict[type, dict[tuple[str, ...], Row]] = {kind: {} for kind in KEY_LENGTHS}
        self._groups: dict[Name, dict[tuple[str, ...], Row]] = {}
        self._ever: set[Name] = set()
        self.ids: set[str] = set()

    def get(self, kind: type[R], *key: str) -> R | None:
        """The row of `kind` under `key`, or None."""
        return self._rows[kind].get(key)

    def put(self, row: Row) -> tuple[Name, bool]:
        """Add a row or replace the one under its key; gives its name, and whether none was there."""
        name = kind, key = row_name(row)
        rows = self._rows[kind]
        new = key not in rows
        rows[key] = row
        self._group(kind, key, row)
        return name, new

    def _group(self, kind: type, key: tuple[str, ...], row: Row) -> None:
        """Put a row into its group, or take it out."""
        fields = GROUPS.get(kind)
        if fields is None:
            return
        name, stands = (kind, row[fields]), STANDING.get(kind)
        if stands is not None:
            self._ever.add(name)
        if stands is None or stands(row):
            self._groups.setdefault(name, {})[key] = row
        elif name in self._groups:
            self._groups[name].pop(key, None)

    def created(self, id_: str) -> bool:
        """Whether an entry has created this id."""
        return id_ in self.ids

    def all(self, kind: type[R]) -> Mapping[tuple[str, ...], R]:
        """Every row of `kind`, by its key."""
        return self._rows[kind]

    def group(self, kind: type[R], *group: str) -> Iterable[R]:
        """The rows of `kind` in a group."""
        return self._groups.get((kind, group), {}).values()

    def live(self, kind: type[R], time: int, *group: str) -> Iterable[R]:
        """The rows of `kind` in a group that are live at `time` or later."""
        lives = LIVE[kind]
        return [row for row in self.group(kind, *group) if lives(row, time)]

    def any(self, kind: type, *group: str) -> bool:
        """Whether there was ever a row of `kind` in a group."""
        return (kind, group) in self._ever


def row_name(row: Row) -> Name:
    """What names a row among all rows: its kind and its key."""
    kind = type(row)
    return kind, row[: KEY_LENGTHS[kind]]
