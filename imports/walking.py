"""What lies below a folder: every name there is counted, and none leads out of it."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from imports.generating import MARKER
from journeys.errors import RecordsError

BY_SYSTEMS = frozenset({".DS_Store", ".directory", ".gitkeep", ".localized"})
"""Hidden files of desktops, which hold no patient's data."""
APPLE_DOUBLE = "._"
"""With what macOS begins the files in which it keeps attributes of another file."""
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Aside(NamedTuple):
    """A name of a folder that is not read."""

    path: Path
    reason: str
    """Why it is set aside; empty for what nobody's data can be lost with."""
    closed: bool = False
    """Whether it is a folder that cannot be entered, so that nobody knows how much is in it."""


def walk(paths: Sequence[Path]) -> Iterator[Path | Aside]:
    """The files named, and every name below the folders named, in the order of their names, none twice.

    A link is followed where it is named itself; within a folder never, wherever it leads: what lies in the
    folder is read there, and what does not was not given. Raises RecordsError for a path that isn't there.
    """
    seen: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found: Iterator[Path | Aside] = _below(path)
        elif path.is_file():
            found = iter((path,))
        else:
            raise RecordsError(_missing(path))
        for one in found:
            place = one.path if isinstance(one, Aside) else one
            if place not in seen:
                seen.add(place)
                yield one


def _below(root: Path) -> Iterator[Path | Aside]:
    """As the names of whole paths sort; a stack of its own, as folders nest deep."""
    real = Path(os.path.realpath(root))
    stack = [root]
    while stack:
        path = stack.pop()
        try:
            mode = path.lstat().st_mode
            if path != root and (aside := _aside(path, mode, real)):
                yield aside
            elif stat.S_ISREG(mode):
                yield path
            else:
                # The mark of `heartwood generate` is the program's own, and nothing of a source.
                below = (name for name in path.iterdir() if name.name != MARKER)
                stack += sorted(below, reverse=True)
        except OSError as error:
            closed = os.path.isdir(path)
            what = "the folder" if closed else "it"
            yield Aside(path, f"{what} cannot be read: {error.strerror}", closed)


def _aside(path: Path, mode: int, root: Path) -> Aside | None:
    """Why a name below a folder is not read; None for a file or folder that is."""
    if stat.S_ISLNK(mode):
        return _link(path, root)
    if path.name.startswith("."):
        if path.name in BY_SYSTEMS or path.name.startswith(APPLE_DOUBLE):
            return Aside(path, "")
        kind = "folder" if stat.S_ISDIR(mode) else "file"
        return Aside(path, f"it is a hidden {kind}; name it itself to import it")
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    return Aside(path, f"got {_KINDS.get(stat.S_IFMT(mode), 'something else')}, expected a file")


def _link(path: Path, root: Path) -> Aside:
    target = Path(os.path.realpath(path))
    if not target.exists():
        return Aside(path, "it is a link to what is not there")
    if not target.is_relative_to(root):
        return Aside(path, "it is a link that leads out of the folder, and is not followed")
    if any(part.startswith(".") for part in target.relative_to(root).parts):
        return Aside(path, "it is a link to something hidden, and is not followed")
    return Aside(path, "")  # a file of the folder, which is read where it lies


def _missing(path: Path) -> str:
    try:
        kind = _KINDS.get(stat.S_IFMT(path.stat().st_mode))
    except OSError as error:
        return f"there is no file or folder {path}: {error.strerror}"
    return f"got {kind or 'something else'} {path}, expected a file or folder"
