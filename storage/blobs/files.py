"""Blob stores: ciphertext under an id. The port, and the directory that implements it."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from crypto.ids import ID_PATTERN
from durable.files import (
    DIRECTORY_MODE,
    PRIVATE_MODE,
    create_file,
    leftovers,
    sync_directory,
    temporary_for,
    written_at,
)
from storage.blobs.marker import MOST_BYTES, NAME, Watch, marker_of, named
from storage.errors import BlobError, BlobExists, BlobsUnavailable

READ_BYTES = 1024 * 1024
"""How much is read at a time."""

_BLOB = re.compile(f"bl_{ID_PATTERN}").fullmatch


class BlobStore(Protocol):
    """Ciphertexts, each written once. Any number of threads and processes."""

    def put(self, blob: str, chunks: Iterable[bytes]) -> None:
        """Store a blob: durable and whole when this returns, else not there at all.

        Never overwrites: raises BlobExists if the id is taken. Where a remote store's answer was lost for good it
        raises BlobsUnavailable; what may have come through then is found by nobody, and garbage collection removes it.
        """
        ...

    def read(self, blob: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `start`, in order; raises BlobError if it isn't there."""
        ...

    def size(self, blob: str) -> int:
        """Ciphertext bytes; raises BlobError if it isn't there."""
        ...

    def remove(self, blob: str) -> None:
        """Delete a blob in all its versions, durably; one that isn't there is no error.

        Raises BlobLocked where a lock holds it.
        """
        ...

    def held(self, blob: str) -> str:
        """What keeps a blob from being removed now, in words that say until when; "" if nothing does."""
        ...

    def list(self) -> Iterator[str]:
        """The ids of all whole blobs, by their last two digits, then as texts."""
        ...

    def written(self, blob: str) -> int:
        """When its last byte was written, in Unix ms; raises BlobError if it isn't there."""
        ...

    def replace(self, blob: str, chunks: Iterable[bytes]) -> str:
        """Put the good content in place of a bad blob, or of none; durable and whole when this returns.

        What was there is kept aside; gives where, or "" if nothing was. If `chunks` raises, all is as before.
        """
        ...

    def sweep(self, before: int) -> Sequence[str]:
        """Remove what puts that never ended have left, untouched since `before` (Unix ms); gives its names."""
        ...

    def links(self, blob: str, length: int, seconds: int, ask: bool = True) -> Sequence[str]:
        """URLs that each give this ciphertext of `length` bytes to whoever has them, for so long; empty where there are none.

        The first leads to what is there: raises BlobError if it isn't, or of another length. Of several stores the
        others are not asked, for whoever finds the first one's bytes wrong. Without `ask` none is.
        """
        ...

    def members(self) -> "Sequence[Member]":
        """The stores that each are to hold every blob, the one to ask first ahead; of a single store itself.

        Who knows what a blob must be asks one after the other until one has it: `storage.stores.first_good`.
        """
        ...

    def doubt(self, member: "Member") -> None:
        """Ask this one of the members last for a while: it failed, or gave something else than was written."""
        ...

    def ledger(self) -> str:
        """The log that its marker names, of several stores that of all; "" where one has none. See `marker`."""
        ...

    def mark(self, origin: str) -> None:
        """Make it that log's store, durably; raises BlobsUnavailable if it is another's."""
        ...

    def check_marked(self) -> None:
        """Raises BlobsUnavailable unless it is the store of its ledger; of several stores: unless a quorum is."""
        ...


class Member(NamedTuple):
    """One of the stores that each hold a copy of every blob. `name`: empty where there is but one."""

    name: str
    store: BlobStore


def check_blob(blob: str) -> str:
    """A blob's id; raises BlobError for a text that is none."""
    if not _BLOB(blob):
        raise BlobError(f"got {blob[:40]!r}, expected a blob's id bl_…")
    return blob


def check_ledger(store: BlobStore, origin: str, where: str) -> None:
    """Raises BlobsUnavailable unless a store's marker names this log."""
    if (found := store.ledger()) != origin:
        raise BlobsUnavailable(f"{where} holds blobs of the ledger {found}, expected {origin}")


class FileBlobs:
    """Blobs as files: temporary file, fsync, link, fsync of the directory."""

    def __init__(self, directory: Path, origin: str = "") -> None:
        """Blobs go into `directory`, spread by the last two digits of their ids.

        `origin`: the log whose marker must be there; "": any folder will do, and it is made if it isn't there.
        """
        self._directory = directory
        if not origin:
            directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        self._watch = Watch(origin, f"file:{directory}", self._marker, 0.0)
        self._folders: set[str] = set()

    def put(self, blob: str, chunks: Iterable[bytes]) -> None:
        """Store a blob; see the port."""
        path = self._path(blob)
        self._watch.check()
        with self._written(path, chunks) as temporary:
            try:
                os.link(temporary, path)
            except FileExistsError as error:
                raise BlobExists(f"{blob} already exists; blobs are never overwritten") from error
            except FileNotFoundError as error:
                raise BlobError(
                    f"{blob} was removed before it was complete: the upload was too slow"
                ) from error
        sync_directory(path.parent)

    def read(self, blob: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `start`; see the port."""
        name = self._name(blob)
        self._watch.check_read()
        try:
            file = open(name, "rb")  # noqa: SIM115 - closed by the generator
        except FileNotFoundError as error:
            raise self._absent(blob) from error
        return _pieces(file, start, length)

    def size(self, blob: str) -> int:
        """Ciphertext bytes; see the port."""
        try:
            return self._path(blob).stat().st_size
        except FileNotFoundError as error:
            raise self._absent(blob) from error

    def remove(self, blob: str) -> None:
        """Delete a blob; see the port."""
        path = self._path(blob)
        self._watch.check()
        path.unlink(missing_ok=True)
        if path.parent.exists():
            sync_directory(path.parent)

    def held(self, blob: str) -> str:
        """Nothing holds a file; see the port."""
        self._path(blob)
        return ""

    def list(self) -> Iterator[str]:
        """The ids of all whole blobs; see the port."""
        self._watch.look()
        for folder in self._folders_there():
            yield from (name for name in sorted(os.listdir(folder)) if _BLOB(name))

    def written(self, blob: str) -> int:
        """When its last byte was written; see the port."""
        try:
            return written_at(self._path(blob))
        except FileNotFoundError as error:
            raise self._absent(blob) from error

    def replace(self, blob: str, chunks: Iterable[bytes]) -> str:
        """Put the good content in place of a bad blob; see the port.

        The good one is durable before the bad one is renamed; a crash between the two renamings leaves both,
        under other names.
        """
        path = self._path(blob)
        self._watch.check()
        aside = path.with_name(f"bad.{blob}.{os.urandom(4).hex()}")
        with self._written(path, chunks) as temporary:
            there = os.path.lexists(path)
            if there:
                os.rename(path, aside)
            os.link(temporary, path)
        sync_directory(path.parent)
        return str(aside) if there else ""

    def sweep(self, before: int) -> Sequence[str]:
        """Remove temporary files of writers that were killed; see the port."""
        self._watch.look()
        swept = []
        for folder in self._folders_there():
            for path in leftovers(folder, before):
                path.unlink(missing_ok=True)
                swept.append(path.name)
        return swept

    def links(self, blob: str, length: int, seconds: int, ask: bool = True) -> Sequence[str]:
        """None: nobody else reads the disk; see the port."""
        return ()

    def members(self) -> Sequence[Member]:
        """It is a single store; see the port."""
        return (Member("", self),)

    def doubt(self, member: Member) -> None:
        """There is none but this one to ask; see the port."""

    def ledger(self) -> str:
        """The log that its marker names; see the port."""
        return named(self._marker(), f"file:{self._directory}")

    def mark(self, origin: str) -> None:
        """Make it that log's store, and the folder if it isn't there; see the port."""
        self._directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        try:
            create_file(self._directory / NAME, marker_of(origin))
        except FileExistsError:
            check_ledger(self, origin, f"file:{self._directory}")

    def check_marked(self) -> None:
        """Raises BlobsUnavailable unless it is the store of its ledger; see the port."""
        self._watch.look()

    def _marker(self) -> bytes | None:
        try:
            with (self._directory / NAME).open("rb") as file:
                return file.read(MOST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _absent(self, blob: str) -> BlobError:
        """That a blob isn't there, if this is the store where it should be."""
        self._watch.look()
        return BlobError(f"{blob} is not in the blob store")

    def _folders_there(self) -> Sequence[Path]:
        return sorted(path for path in self._directory.iterdir() if path.is_dir())

    @contextmanager
    def _written(self, path: Path, chunks: Iterable[bytes]) -> Iterator[Path]:
        """A temporary file beside `path` that holds the chunks, durable; gone in the end."""
        self._folder(path.parent)
        temporary = temporary_for(path)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                for chunk in chunks:
                    view = memoryview(chunk)
                    while view:
                        view = view[file.write(view) :]
                os.fsync(descriptor)
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def _path(self, blob: str) -> Path:
        return Path(self._name(blob))

    def _name(self, blob: str) -> str:
        return f"{self._directory}/{check_blob(blob)[-2:]}/{blob}"

    def _folder(self, folder: Path) -> None:
        if folder.name not in self._folders:
            folder.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
            sync_directory(self._directory)
            self._folders.add(folder.name)


def _pieces(file: BinaryIO, start: int, length: int | None) -> Iterator[bytes]:
    with file as opened:
        opened.seek(start)
        left = length
        while left is None or left > 0:
            piece = opened.read(READ_BYTES if left is None else min(READ_BYTES, left))
            if not piece:
                return
            left = None if left is None else left - len(piece)
            yield piece
