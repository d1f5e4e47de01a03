"""Files that commands make: ready before anything is signed, and named after it. Names are always ours."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from durable.files import DIRECTORY_MODE, Draft
from identity.actors import Actor, keyfile_bytes
from identity.errors import IdentityError
from journeys.errors import AccessDenied, RecordsError
from ledger.errors import EventError, Refused
from storage.errors import Unavailable

NAME_LENGTH = 120
"""Most characters of a file name that was made from somebody's text."""
_RESERVED = {"aux", "con", "nul", "prn"} | {f"{p}{n}" for p in ("com", "lpt") for n in range(10)}
"""Names that Windows takes for devices, whatever comes after a dot."""
_REFUSALS = (AccessDenied, EventError, IdentityError, RecordsError, Refused)


def nothing_appended(error: BaseException) -> bool:
    """Whether an error says that what was signed is not in the log; others leave that open."""
    if isinstance(error, Unavailable):
        return error.code != "unreachable"
    return isinstance(error, _REFUSALS)


def safe_name(text: str, taken: set[str]) -> str:
    """A file name made from a text of others: no path, no device, no control characters, none `taken` twice.

    `taken`: the names so far, in small letters; the new one is added.
    """
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in text)
    kept = kept[:NAME_LENGTH].strip(".") or "file"
    if kept.partition(".")[0].lower() in _RESERVED:
        kept = f"_{kept}"
    name, number = kept, 1
    while name.lower() in taken:
        number += 1
        name = f"{kept}-{number}"
    taken.add(name.lower())
    return name


@contextmanager
def place_for(path: Path) -> Iterator[Draft]:
    """A file that will be at `path` once all went well, and else is not there at all.

    Raises RecordsError, before anything is done, where it can't be made.
    """
    with _before(path):
        draft = Draft.beside(path)
    try:
        yield draft
    except BaseException:
        draft.drop()
        raise
    draft.keep()


@contextmanager
def folder_for(path: Path) -> Iterator[Path]:
    """A new folder, open to its owner alone; gone again if an error leaves it empty. Raises RecordsError."""
    with _before(path):
        path.mkdir(mode=DIRECTORY_MODE, parents=True)
    try:
        yield path
    except BaseException:
        if not any(path.iterdir()):
            path.rmdir()
        raise


@contextmanager
def _before(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise RecordsError(f"{path} exists; nothing was signed or read") from error
    except OSError as error:
        words = "no such folder" if isinstance(error, FileNotFoundError) else error.strerror
        raise RecordsError(f"cannot write {path}: {words}; nothing was signed or read") from error


class KeyFiles:
    """New key files in one folder: drafted, and durable, before their keys are appended."""

    def __init__(self, folder: Path, passphrase: str | None) -> None:
        """`folder` is made where it is missing."""
        self._folder, self._passphrase = folder, passphrase
        self._drafts: dict[str, Draft] = {}
        self.paths: dict[str, Path] = {}
        """The key files that were kept, by key id."""

    def draft(self, actor: Actor) -> None:
        """Write an actor's key file beside its place; raises RecordsError."""
        path = self._place(actor)
        with _before(path):
            self._folder.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            draft = self._drafts[actor.key.id] = Draft.beside(path)
            draft.write([keyfile_bytes(actor, self._passphrase)])

    def also(self, actor: Actor) -> Path:
        """The file of a key that has one already, under another of its roles; made unless it is there."""
        path = self._place(actor)
        if not path.exists():
            self.draft(actor)
            self.stands(actor)
        return path

    def _place(self, actor: Actor) -> Path:
        return self._folder / f"{actor.role}-{actor.account}-{actor.key.id[-6:]}.key"

    def stands(self, actor: Actor) -> None:
        """Give it its name; raises OSError, which says where it is."""
        self.paths[actor.key.id] = self._drafts.pop(actor.key.id).keep()

    def give_up(self, error: BaseException, tell: Callable[[str], None]) -> None:
        """After an error: remove what was refused; keep, and tell of, what may be in the log."""
        for draft in self._drafts.values():
            if nothing_appended(error):
                draft.drop()
            else:
                tell(
                    f"heartwood: it is not known whether the key is in the log; it is kept in {draft.temporary}. "
                    "If it is registered, rename the file; if not, delete it."
                )


class KeyFileAt(KeyFiles):
    """One new key file, where whoever makes it says."""

    def __init__(self, path: Path, passphrase: str | None) -> None:
        """Its folder is made where it is missing."""
        super().__init__(path.parent, passphrase)
        self._path = path

    def _place(self, actor: Actor) -> Path:
        return self._path


@contextmanager
def key_files(files: KeyFiles) -> Iterator[KeyFiles]:
    """Where the keys that a command makes are kept."""
    try:
        yield files
    except BaseException as error:
        files.give_up(error, lambda line: print(line, file=sys.stderr))
        raise
