"""Files that are there whole or not at all, and stay after a power cut."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TEMPORARY = re.compile(r"\..+\.[0-9]+\.[0-9a-f]{8}").fullmatch
PRIVATE_MODE = 0o600
DIRECTORY_MODE = 0o700


def sync_directory(directory: Path) -> None:
    """Make the directory's entries durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private(path: str, flags: int) -> int:
    """An `opener` for `open`: what is made is its owner's alone, whatever folder and umask say."""
    return os.open(path, flags, PRIVATE_MODE)


def private_directory(path: Path) -> None:
    """A directory that is its owner's alone, also where it was there before; raises OSError."""
    path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    path.chmod(DIRECTORY_MODE)


def make_private(path: Path, create: bool = False) -> None:
    """Let nobody but the owner read or write a file; `create`: make it if it isn't there.

    One that isn't there, or isn't this user's to change, stays as it is. A file that was there is never
    opened: closing it would give up every lock that this process has on it, those of SQLite's other
    connections too (POSIX; https://sqlite.org/howtocorrupt.html, 2.2).
    """
    with suppress(OSError):  # whoever then needs to write it is told
        if path.stat().st_mode & ~PRIVATE_MODE & 0o777:
            path.chmod(PRIVATE_MODE)
        return
    if create:
        with suppress(OSError):
            os.close(private(os.fspath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL))


def temporary_for(path: Path) -> Path:
    """A name beside `path` for what isn't whole yet; `leftovers` knows it by its form."""
    return path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")


def leftovers(directory: Path, before: int) -> Iterator[Path]:
    """Temporary files directly in `directory` that nobody wrote to since `before` (Unix ms)."""
    for path in directory.iterdir():
        if _TEMPORARY(path.name) and written_at(path) < before:
            yield path


def written_at(path: Path) -> int:
    """When a file was last written to, in Unix ms; raises OSError."""
    return path.stat(follow_symlinks=False).st_mtime_ns // 1_000_000


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` at `path`, atomically and durably, over what was there."""
    temporary = temporary_for(path)
    _write(temporary, data)
    os.replace(temporary, path)
    sync_directory(path.parent)


def replace_files(files: Mapping[Path, bytes]) -> None:
    """`replace_file` for many at once, with one wait for each directory; each is there whole or not at all."""
    temporary = {path: temporary_for(path) for path in files}
    for path, data in files.items():
        _write(temporary[path], data)
    for path in files:
        os.replace(temporary[path], path)
    for directory in {path.parent for path in files}:
        sync_directory(directory)


def create_file(path: Path, data: bytes) -> None:
    """Put `data` at `path` with mode 0600; raises FileExistsError if something is there."""
    temporary = temporary_for(path)
    _write(temporary, data)
    try:
        os.link(temporary, path)
    finally:
        os.unlink(temporary)
    sync_directory(path.parent)


@dataclass(frozen=True)
class Draft:
    """A file made ready beside its place before something that can't be undone, and named after it.

    Until `keep` it lies under a name of its own, with the mode 0600, which no garbage collection takes for a leftover.
    """

    path: Path
    """Where it will be."""
    temporary: Path
    """Where it is until then."""

    @classmethod
    def beside(cls, path: Path) -> "Draft":
        """An empty draft of `path`; raises FileExistsError if something is there (a dangling link, too) and
        OSError if nothing can be made there."""
        if os.path.lexists(path):
            raise FileExistsError(f"{path} exists")
        temporary = path.with_name(f"{path.name}.{os.urandom(4).hex()}.draft")
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE))
        sync_directory(path.parent)
        return cls(path, temporary)

    def write(self, pieces: Iterable[bytes]) -> None:
        """Write the content, durably."""
        with open(self.temporary, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())

    def keep(self) -> Path:
        """Give it its name, never over another file; raises OSError, which says where the content is."""
        try:
            try:
                os.link(self.temporary, self.path)
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links
                if os.path.lexists(self.path):
                    raise
                os.rename(self.temporary, self.path)
            sync_directory(self.path.parent)
        except OSError as error:
            raise OSError(
                f"{self.path} could not be made ({error.strerror}); its content is in {self.temporary}"
            ) from error
        with suppress(OSError):  # the file is where it was asked for
            self.temporary.unlink(missing_ok=True)
        return self.path

    def drop(self) -> None:
        """Remove it."""
        self.temporary.unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
