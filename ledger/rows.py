"""Rows: what is folded from entries, each kind a NamedTuple, found by its key or together by a group.

Rows are immutable; a change is a new row under the same key. They live in memory (verifiers) or in SQL
(the service), which load them into the same `Rows`. What is to be known of a kind is declared once, by
`row_type` above its class: keys, groups, ids, tables and indexes derive from that.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

Row = Any
"""One of the NamedTuples of the directory, the policies or the consent facts."""
R = TypeVar("R")
Name = tuple[type, tuple[str, ...]]
"""A row's kind, and its key or its group."""


@dataclass(frozen=True)
class RowType:
    """What is declared of a kind of row."""

    table: str
    """Its SQL home, whose columns are the row's fields."""
    key: int
    """How many leading fields make the key."""
    group: tuple[str, ...] = ()
    """The fields, side by side, by which rows are found together; none: each is found alone."""
    prefix: str = ""
    """How the ids begin whose creation a row of this kind tells; such an id is the row's key."""
    indexes: Mapping[str, str] = field(default_factory=dict)
    """The table's indexes by name, and the one column of each."""
    consent_only: bool = False
    """Whether consent alone rests on it: who may sign is told without, and verifiers don't keep it."""
    stands: Callable[[Row], bool] | None = None
    """Of a kind whose rows leave their group when they have ended for good: whether a row is still in it."""
    live: Callable[[Row, int], bool] | None = None
    """Of such a kind: whether a row that stands has not run out at a time (Unix ms) either."""


ROW_TYPES: dict[type, RowType] = {}
"""Every kind of row and what is declared of it."""
KEY_LENGTHS: dict[type, int] = {}
"""How many leading fields make a row's key."""
GROUPS: dict[type, slice] = {}
"""By which fields rows of a kind are found together, where they are."""
STANDING: dict[type, Callable[[Row], bool]] = {}
"""Of a kind whose rows leave their group when they have ended for good: whether a row is still in it."""
LIVE: dict[type, Callable[[Row, int], bool]] = {}
"""Of such a kind: whether a row that stands has not run out at a time (Unix ms) either."""
_BY_PREFIX: dict[str, type] = {}


def row_type(
    table: str,
    *,
    key: int,
    group: tuple[str, ...] = (),
    prefix: str = "",
    indexes: Mapping[str, str] | None = None,
    consent_only: bool = False,
    stands: Callable[[Row], bool] | None = None,
    live: Callable[[Row, int], bool] | None = None,
) -> Callable[[type[R]], type[R]]:
    """Declare the NamedTuple below as a kind of row, see `RowType`; raises ValueError if that can't be."""
    declared = RowType(table, key, group, prefix, indexes or {}, consent_only, stands, live)

    def declare(kind: type[R]) -> type[R]:
        fields: tuple[str, ...] = getattr(kind, "_fields", ())
        if table in {other.table for other in ROW_TYPES.values()} or prefix in _BY_PREFIX:
            raise ValueError(
                f"{kind.__name__}: got {table} {prefix}, which another kind of row has"
            )
        if not 0 < key < len(fields) or (prefix and key != 1):
            raise ValueError(
                f"{kind.__name__}: got a key of {key} fields, and it has {len(fields)}"
            )
        if group:
            start = fields.index(group[0])
            together = slice(start, start + len(group))
            if fields[together] != group:
                raise ValueError(f"{kind.__name__}: the fields {group} don't stand side by side")
            GROUPS[kind] = together
        if stands is not None:
            STANDING[kind] = stands
        if live is not None:
            LIVE[kind] = live
        if prefix:
            _BY_PREFIX[prefix] = kind
        ROW_TYPES[kind], KEY_LENGTHS[kind] = declared, key
        return kind

    return declare


def kind_of_id(id_: str) -> type | None:
    """The kind of row that tells of this id; None where no row does (events, blobs)."""
    return _BY_PREFIX.get(id_.partition("_")[0])


class Wanted(NamedTuple):
    """A row, or a group of rows, that a rule or a fold will ask for."""

    kind: type
    fields: tuple[str, ...]
    """The row's key, or its group."""
    together: bool
    """Whether it is a group."""
    then: Callable[[Row], "Wanted"] | None = None
    """What the row, once it is there, leads to."""


def row_named(kind: type, *key: str) -> Wanted:
    """The row of `kind` under `key`."""
    return Wanted(kind, key, False)


def row_of_id(id_: str, then: Callable[[Row], Wanted] | None = None) -> Wanted:
    """The row that tells of an id, whose kind has one; `then`: what it leads to."""
    return Wanted(_BY_PREFIX[id_.partition("_")[0]], (id_,), False, then)


def rows_in(kind: type, *group: str) -> Wanted:
    """The rows of `kind` in a group."""
    return Wanted(kind, group, True)


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
