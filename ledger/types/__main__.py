"""The table of all event types, for `docs/events.md`: `python -m ledger.types > docs/events.md`."""

import inspect

from ledger.rows import ROW_TYPES
from ledger.types import AREAS, declared
from ledger.types.declaration import EventType

_HEAD = """\
# Events

Every type that the log takes, by area; generated from their declarations in `ledger/types/` (`python -m ledger.types`).
The bodies are in [registry.json](registry.json). *Action* is what the consent rules decide; what has none is for the
registry alone. *Rows* are the tables of views that it changes. *Since* is the edition of the registry that brought it.
"""
_COLUMNS = ("event", "stream", "signed by", "action", "creates", "rows", "since")


def table() -> str:
    """The whole page, Markdown."""
    parts = [_HEAD]
    for area in AREAS:
        about = inspect.cleandoc(area.__doc__ or "").splitlines()[0]
        name = area.__name__.rpartition(".")[2]
        parts.append(f"\n## {name.capitalize()}\n\n{about}\n\n{_line(_COLUMNS)}")
        parts.append(_line(("---",) * len(_COLUMNS)))
        parts += [_line(_cells(kind)) for kind in declared(area)]
    return "".join(parts)


def _cells(kind: EventType) -> tuple[str, ...]:
    name = f"`{kind.name}`" + (f" v{kind.v}" if kind.v > 1 else "")
    action = f"`{kind.action}`" if kind.action else ""
    return (
        name + (" (a reading)" if kind.reading else ""),
        kind.stream,
        ", ".join(kind.roles),
        action,
        ", ".join(kind.creates),
        ", ".join(ROW_TYPES[row].table for row in kind.changes),
        str(kind.since),
    )


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    print(table(), end="")
