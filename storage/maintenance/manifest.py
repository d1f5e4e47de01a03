"""Snapshots: folders of files under a manifest with their sizes and SHA-256, replaced whole or not at all.

    DIR/manifest              names one folder and all that is in it; written last, by renaming
    DIR/snapshot-sn_…/…       the files

A run that is cut off leaves the manifest as it was, and the folder that it names; the next one removes what
no manifest names.
"""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crypto.ids import timed_id
from durable.files import DIRECTORY_MODE, PRIVATE_MODE, replace_file, sync_directory
from storage.errors import BackupRefused

MANIFEST = "manifest"
PIECE_BYTES = 1024 * 1024
_LINE = re.compile(r"([0-9a-f]{64}) (0|[1-9][0-9]*) (snapshot-sn_[0-9a-z]{26})/([^\x00-\x1f\x7f]+)")


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Nobody else writes a snapshot into `directory` meanwhile; raises BackupRefused if somebody does."""
    directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    path = directory / ".lock"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, PRIVATE_MODE), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupRefused(f"another backup into {directory} is running") from error
        yield


def begin(directory: Path, now: int) -> Path:
    """A new empty folder for a snapshot; what runs that were cut off have left is removed."""
    _remove_others(directory)
    folder = directory / f"snapshot-{timed_id('sn', now, os.urandom(10))}"
    folder.mkdir(mode=DIRECTORY_MODE)
    return folder


def finish(directory: Path, folder: Path) -> None:
    """Let the manifest name `folder`, durably, in place of the snapshot before; that one is removed then."""
    lines = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        size, digest = _summed(path)
        lines.append(f"{digest} {size} {folder.name}/{path.relative_to(folder)}\n")
    for place in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        sync_directory(place)
    sync_directory(directory)
    replace_file(directory / MANIFEST, "".join(lines).encode())
    _remove_others(directory)


def current(directory: Path) -> Path | None:
    """The folder that the manifest names, unchecked; None without a manifest. Raises BackupRefused."""
    if not (directory / MANIFEST).exists():
        return None
    return directory / _parsed(directory)[0]


def check(directory: Path) -> Path:
    """The folder of the snapshot, after every file of it was checked; raises BackupRefused."""
    if not (directory / MANIFEST).is_file():
        raise BackupRefused(
            f"{directory} has no manifest: it is not a backup, or one that was interrupted"
        )
    folder, files = _parsed(directory)
    for name, (size, digest) in files.items():
        path = directory / folder / name
        if not path.is_file():
            raise BackupRefused(f"{path} is missing from the backup")
        got = _summed(path)
        if got != (size, digest):
            raise BackupRefused(
                f"{path} was altered: got {got[0]} bytes with SHA-256 {got[1][:16]}…, the manifest says "
                f"{size} with {digest[:16]}…"
            )
    return directory / folder


def copy_private(source: Path, target: Path) -> None:
    """Copy one file, durably, with mode 0600; raises FileExistsError if something is there."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE)
    with open(source, "rb") as reading, os.fdopen(descriptor, "wb") as writing:
        shutil.copyfileobj(reading, writing, PIECE_BYTES)
        writing.flush()
        os.fsync(writing.fileno())


def _parsed(directory: Path) -> tuple[str, dict[str, tuple[int, str]]]:
    """Folder, and name → (size, SHA-256 in hex), of a manifest."""
    path = directory / MANIFEST
    text = path.read_bytes().decode(errors="replace")
    lines = [_LINE.fullmatch(line) for line in text.removesuffix("\n").split("\n")]
    matches = [line for line in lines if line is not None]
    files = {line[4]: (int(line[2]), line[1]) for line in matches}
    folders = {line[3] for line in matches}
    whole = text.endswith("\n") and len(files) == len(lines) and len(folders) == 1
    if not whole or any(".." in Path(name).parts or name.startswith("/") for name in files):
        raise BackupRefused(f"{path} was altered: it is not the manifest of a backup")
    return folders.pop(), files


def _remove_others(directory: Path) -> None:
    """Remove the snapshots that the manifest doesn't name."""
    kept = current(directory)
    for folder in directory.glob("snapshot-sn_*"):
        if folder != kept:
            shutil.rmtree(folder)


def _summed(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file, made durable."""
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
            size += len(piece)
        os.fsync(file.fileno())
    return size, digest.hexdigest()
