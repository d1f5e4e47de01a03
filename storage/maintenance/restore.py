"""Restore: a backup, checked whole before anything is written, becomes a data directory and a database.

The last checkpoint outside the database is restored from no backup: an old one would say that nothing is
missing. Without it the start is refused until the operator declares the loss (`accept-restore`); where the
old data directory is still there, its own is taken, and the refusal says how much is missing.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durable.errors import StartRefused
from durable.files import DIRECTORY_MODE, create_file, private_directory
from ledger.checkpoint import parse_keys
from ledger.errors import LedgerError
from ledger.follower import Progress
from storage.blobs.files import BlobStore, FileBlobs
from storage.errors import BackupRefused, BadBlob
from storage.keytable import NamedBlob
from storage.maintenance import manifest, snapshot
from storage.maintenance.backup import (
    BLOBS,
    DATABASE,
    KEKS,
    MARKER,
    VKEYS,
    Secrets,
    about,
    copy_secrets_folder,
    each_blob,
    missing_keks,
)
from storage.sql.database import Database
from storage.sql.entries import EntryStore
from storage.start import check_start
from storage.stores import bring, checked

ANCHOR = "checkpoint"


@dataclass(frozen=True)
class Checked:
    """A backup that is whole."""

    directory: Path
    folder: Path
    about: dict[str, Any]
    secrets: Path | None
    """The folder with the folders of keeper, keys, people and roots."""
    trusted: Path | None
    """The last checkpoint of a data directory that is still there."""
    without_kek: list[str]
    """Whose keys the keeper's store is too old to open."""

    @property
    def blobs(self) -> Path:
        """The blobs' directory."""
        return self.directory / BLOBS


@dataclass(frozen=True)
class Target:
    """Where a backup goes; `secrets` as the new ledger looks for them."""

    data: Path
    sqlite: Path | None
    """The file of a SQLite database, which isn't there yet."""
    database: Callable[[], Database]
    """Opens the database; a PostgreSQL one is empty."""
    secrets: Secrets
    blobs: Callable[[str], BlobStore]
    """Makes the blob store of a log, by its origin; what lies in one already is compared, and kept if it is good."""


def check_backup(
    directory: Path,
    keeper: Path | None,
    progress: Progress = lambda done, size: None,
    apart: bool = False,
) -> Checked:
    """Check every file and every blob of a backup; `keeper`: that of the secrets, or an old data directory.

    `apart`: the key keeper's store is kept, and backed up, by another user.

    Raises BackupRefused for the first that is not what manifest or log say. Writes nothing.
    """
    folder = manifest.check(directory)
    found = about(folder)
    _check_log(folder)
    blobs, absent = _blobs(directory), _absent(found)

    def check(named: NamedBlob) -> None:
        if named.blob in absent:
            return
        try:
            for _ in checked(blobs, named):
                pass
        except BadBlob as error:
            raise BackupRefused(f"the backup's blob of entry {named.seq}: {error}") from error

    each_blob(folder / DATABASE, found["size"], check, progress)
    secrets = trusted = None
    if keeper is not None:
        old = (keeper / MARKER).is_file()
        secrets = keeper if old else manifest.check(keeper)
        trusted = keeper / ANCHOR if old and (keeper / ANCHOR).is_file() else None
        if not (apart or (secrets / "keeper" / KEKS).is_file()):
            raise BackupRefused(f"{secrets / 'keeper'} has no keeper's store")
    kept = None if secrets is None or apart else secrets / "keeper" / KEKS
    without = [] if kept is None else missing_keks(folder / DATABASE, kept)
    return Checked(directory, folder, found, secrets, trusted, without)


def restore(backup: Checked, target: Target, progress: Progress = lambda done, size: None) -> None:
    """Write a checked backup to `target`, `heartwood.json` last; raises StartRefused unless it is empty."""
    _check_empty(target)
    private_directory(target.data)
    source, blobs = _blobs(backup.directory), target.blobs(backup.about["origin"])
    absent = _absent(backup.about)

    def copy(named: NamedBlob) -> None:
        if named.blob not in absent:
            bring(source, blobs, named)

    each_blob(backup.folder / DATABASE, backup.about["size"], copy, progress)
    if backup.secrets is not None:
        _restore_secrets(backup.secrets, target.secrets)
    manifest.copy_private(backup.folder / VKEYS, target.data / VKEYS)
    if backup.trusted is not None:
        manifest.copy_private(backup.trusted, target.data / ANCHOR)
    _restore_database(backup.folder / DATABASE, target)
    marker = json.loads((backup.folder / MARKER).read_bytes())
    marker["database"] = "sqlite" if target.sqlite else "postgresql"
    create_file(target.data / MARKER, json.dumps(marker, indent=1).encode() + b"\n")


def _absent(about: Mapping[str, Any]) -> frozenset[str]:
    """The blobs that a backup is without: not to be had when it was made, or erased."""
    return frozenset((*about["absent"], *about.get("erased", ())))


def _check_log(folder: Path) -> None:
    """The snapshot's head, tiles and checkpoint fit, under the verifier keys beside it."""
    copy = snapshot.opened(folder / DATABASE)
    try:
        vkeys = parse_keys((folder / VKEYS).read_text().split())
        with copy.read() as connection:
            check_start(EntryStore(copy), connection, vkeys, None, older=True)
    except (StartRefused, LedgerError) as error:
        raise BackupRefused(f"the backup's log is not valid: {error}") from error
    finally:
        copy.close()


def _blobs(directory: Path) -> FileBlobs:
    if not (directory / BLOBS).is_dir():
        raise BackupRefused(f"{directory / BLOBS} is missing from the backup")
    return FileBlobs(directory / BLOBS)


def _check_empty(target: Target) -> None:
    if target.data.exists() and any(target.data.iterdir()):
        raise StartRefused(f"{target.data} is not empty; a backup is restored into a new directory")
    if target.sqlite is not None:
        if target.sqlite.exists():
            raise StartRefused(f"{target.sqlite} already exists; a backup needs a new database")
        return
    target.data.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    database = target.database()
    try:
        if not snapshot.is_empty(database):
            raise StartRefused(
                "the database already has tables; a backup is restored into an empty one"
            )
    finally:
        database.close()


def _restore_secrets(source: Path, target: Secrets) -> None:
    """Put the folders where the ledger looks for them; roots that are kept elsewhere may be there."""
    for name, folder in vars(target).items():
        if folder is None:
            continue
        there = folder.is_dir() and any(folder.iterdir())
        if (source / name).is_dir() and not there:
            copy_secrets_folder(source / name, folder)


def _restore_database(path: Path, target: Target) -> None:
    if target.sqlite is not None:
        manifest.copy_private(path, target.sqlite)
        return
    database = target.database()
    try:
        snapshot.load(path, database)
    finally:
        database.close()
