"""Backup: the database as of one instant, and the blobs it names, in a directory; the secrets in another.

The database comes first: blobs are never overwritten and those that are named never removed, so whatever the
copy names is there when its turn comes. The keeper's store comes after the database, as keys are made in it before they
are used, and before any is destroyed. The last checkpoint outside the database (`checkpoint`) is in neither: a restored one would say
that nothing is missing.

    DIR/manifest, DIR/snapshot-…/{backup.json, heartwood.db, heartwood.json, log.vkey}
    DIR/blobs/…                       of all backups into DIR: only new ones are copied
    KEEPER/manifest, KEEPER/snapshot-…/{keeper, keys, people, roots}/…
"""

import json
import re
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from crypto.encoding import b64decode, b64encode
from crypto.errors import CryptoError
from crypto.notes import VerifierKey
from durable.errors import StartRefused
from durable.files import DIRECTORY_MODE, create_file
from keeper.following import FOLLOWED
from keeper.keks import copy_store, copying
from keeper.releases import LAST, RELEASES
from ledger.errors import LedgerError
from ledger.follower import Follower, Progress
from ledger.forms import parse_entry
from ledger.merkle import Frontier, leaf_hash, root_of
from storage.blobs.files import BlobStore, FileBlobs
from storage.contacts import forget_proofs
from storage.errors import BackupRefused, BadBlob, BlobError
from storage.keytable import KeyTable, NamedBlob, named_blob
from storage.logkeys import keys_in, keys_there, standing
from storage.maintenance import manifest, snapshot
from storage.maintenance.erased import erased_in, is_erased
from storage.maintenance.garbage import sweep_keys
from storage.maintenance.scrub import Finding
from storage.outbox import Outbox
from storage.sql import schema
from storage.sql.challenges import Challenges
from storage.sql.database import Database
from storage.sql.entries import EntryStore, Head
from storage.sql.sessions import Sessions
from storage.start import check_start
from storage.stores import Stores, checked, first_good, read_apart

DATABASE, ABOUT, MARKER, VKEYS = "heartwood.db", "backup.json", "heartwood.json", "log.vkey"
KEKS = "keks.db"
BLOBS = "blobs"
FORMAT = 1
THREADS = 8
"""Blobs copied at a time: each waits for the disk twice."""
_NOT_COPIED = (".", f"{KEKS}-", f"{RELEASES}-", LAST, FOLLOWED)
"""How the names of files begin that no backup of the keeper's folder holds."""
FAR_FUTURE_MS = 1 << 62
_NAMING = re.compile(rb'"type":"record\.(?:uploaded|amended)"').search
"""Whether an entry may name a blob; the others need not be parsed."""


@dataclass(frozen=True)
class Secrets:
    """Where what opens records, and signs, lies."""

    keeper: Path | None
    """The key keeper's folder; None where another user's process keeps it, and backs it up."""
    keys: Path
    people: Path
    roots: Path


@dataclass
class BackedUp:
    """What a backup holds, and what it could not get."""

    origin: str
    size: int
    """Entries of the log."""
    root: str
    """Their root, base64."""
    schema: str
    time: int
    """Unix ms."""
    format: int = FORMAT
    blobs: int = 0
    bytes: int = 0
    """Ciphertext bytes of all of them."""
    copied: int = 0
    """Blobs that weren't in the directory before."""
    findings: list[Finding] = field(default_factory=list)
    """Blobs that are not as the log says; the backup is without them."""
    erased: list[str] = field(default_factory=list)
    """Blobs that the log names and that were erased: nobody misses them, and copies of before are removed."""

    def about(self) -> dict[str, Any]:
        """What the backup says of itself."""
        kept = {k: v for k, v in vars(self).items() if k not in ("copied", "findings")}
        return kept | {"absent": [finding.blob for finding in self.findings]}


def back_up(
    stores: Stores,
    marker: Path,
    directory: Path,
    now: int,
    secrets: tuple[Secrets, Path] | None = None,
    progress: Progress = lambda done, size: None,
) -> BackedUp:
    """Back up into `directory`; `secrets`: where they are, and the directory for them.

    `marker`: the ledger's `heartwood.json`; `now`: Unix ms; `progress(entries, size)` of the blobs. A run
    that is cut off leaves the backup before as it was. Raises BackupRefused.
    """
    apart = secrets[1] if secrets else None
    if apart is not None:
        _check_apart(directory, apart)
    locked: AbstractContextManager[None] = manifest.only_one(apart) if apart else nullcontext()
    with manifest.only_one(directory), locked:
        _check_extends(stores, directory)
        folder = manifest.begin(directory, now)
        # Between the two copies no key is destroyed that one of them needs of the other.
        kept_here = secrets[0].keeper if secrets else None
        with copying(kept_here) if kept_here else nullcontext():
            done, vkeys = _copy_log(stores, folder / DATABASE, now)
            kept = _copy_secrets(*secrets, now) if secrets else None
        create_file(folder / VKEYS, standing(vkeys).encode())
        manifest.copy_private(marker, folder / MARKER)
        _copy_blobs(stores, folder / DATABASE, FileBlobs(directory / BLOBS), done, progress)
        if apart is not None and kept is not None:
            manifest.finish(apart, kept)
        create_file(folder / ABOUT, json.dumps(done.about(), indent=1).encode() + b"\n")
        manifest.finish(directory, folder)
        # Now that no snapshot names them but this one, which says that it is without them.
        for blob in done.erased:
            FileBlobs(directory / BLOBS).remove(blob)
    return done


def about(folder: Path) -> dict[str, Any]:
    """What a snapshot's folder says of itself; raises BackupRefused for a later format."""
    try:
        found: dict[str, Any] = json.loads((folder / ABOUT).read_bytes())
        if found["format"] != FORMAT:
            raise BackupRefused(f"{folder} has format {found['format']}, expected {FORMAT}")
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise BackupRefused(f"{folder / ABOUT} can't be read: {error}") from error
    return found


def _check_apart(directory: Path, apart: Path) -> None:
    one, other = directory.resolve(), apart.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise BackupRefused(
            f"{apart} and {directory} are not separate: whoever finds both can open every record. Name another folder, "
            "on another disk"
        )


def _check_extends(stores: Stores, directory: Path) -> None:
    """The log extends the one that was backed up here before: a good backup gives way to no older one."""
    folder = manifest.current(directory)
    if folder is None:
        return
    last = about(folder)
    with stores.database.read() as connection:
        head = stores.store.head(connection)
        size = head.size if head else 0
        same = head is not None and last["origin"] == head.origin and last["size"] <= size
        root = root_of(last["size"], stores.store.nodes(connection)) if same else b""
    if root != b64decode(last["root"], 32):
        raise BackupRefused(
            f"{directory} holds a backup of {last['origin']} with {last['size']} entries, and this log of "
            f"{size} does not extend it. Back up into another folder, and keep that one"
        )


def _copy_log(stores: Stores, path: Path, now: int) -> tuple[BackedUp, Sequence[VerifierKey]]:
    """The database as of one instant, without what is only staged, and the log's keys; checked as at a start."""
    snapshot.take(stores.database, path)
    copy = snapshot.opened(path)
    try:
        log = EntryStore(copy)
        sweep_keys(Stores(copy, log, KeyTable(copy), stores.blobs, stores.vkeys), FAR_FUTURE_MS)
        _leave_out_sessions(copy)
        Outbox(copy).forget()
        forget_proofs(copy)
        with copy.read() as connection:
            head = check_start(log, connection, keys_there(stores.vkeys), None, older=True)
            vkeys = keys_in(log, connection)
            revision = snapshot.revision_of(connection)
    finally:
        copy.close()
    snapshot.seal(path)
    return BackedUp(head.origin, head.size, b64encode(head.root), revision, now), list(vkeys)


def _leave_out_sessions(copy: Database) -> None:
    """Whoever signed out stays out of what is restored; an older schema has none."""
    with copy.read() as connection:
        there = {table.name for table in snapshot.tables(connection)}
    if schema.sessions.name in there:
        Sessions(copy).sweep(FAR_FUTURE_MS, FAR_FUTURE_MS)
    if schema.passkey_challenges.name in there:
        Challenges(copy).forget()


def _copy_blobs(
    stores: Stores, path: Path, target: FileBlobs, done: BackedUp, progress: Progress
) -> None:
    """Copy the blobs that the copied log names and that aren't in the directory yet."""

    lock, erased = threading.Lock(), erased_in(stores.database)

    def leave_out(named: NamedBlob) -> None:
        with lock:
            done.erased.append(named.blob)

    def copy(named: NamedBlob) -> None:
        if is_erased(erased, named.patient, named.record):
            return leave_out(named)
        try:
            copied = _copy_blob(stores.blobs, target, named)
        except BadBlob as error:
            if is_erased(erased_in(stores.database), named.patient, named.record):
                return leave_out(named)  # meanwhile
            place = (named.seq, named.patient, named.record, named.blob)
            with lock:
                done.findings.append(Finding(error.what, str(error), *place))
            return
        with lock:
            done.copied += copied
            done.blobs += 1
            done.bytes += named.length

    each_blob(path, done.size, copy, progress)
    done.findings.sort(key=lambda finding: finding.seq or 0)
    done.erased.sort()


def _copy_blob(source: BlobStore, target: FileBlobs, named: NamedBlob) -> bool:
    """Copy a blob unless it is there; gives whether it was copied. Raises BadBlob for one that is bad."""
    try:
        if target.size(named.blob) == named.length:
            return False
    except BlobError:
        first_good(source, lambda member: target.put(named.blob, checked(member, named)))
        return True
    first_good(source, lambda member: target.replace(named.blob, checked(member, named)))
    return True


def each_blob(path: Path, size: int, act: Callable[[NamedBlob], None], progress: Progress) -> None:
    """Call `act` with each blob that a snapshot's log names, some at a time, in threads of their own.

    Raises what `act` raises, and BackupRefused if the log doesn't stand.
    """
    copy, pool = snapshot.opened(path), ThreadPoolExecutor(THREADS)
    log, frontier = EntryStore(copy), Frontier()
    follower = Follower("the copy", partial(read_apart, log), progress=progress)
    try:
        for bundle in follower.bundles(size):
            for raw in bundle:
                frontier.append(leaf_hash(raw))
            found = [named_blob(parse_entry(raw)) for raw in bundle if _NAMING(raw)]
            for _ in pool.map(act, [named for named in found if named is not None]):
                pass
        with copy.read() as connection:
            _check_root(frontier, log.head(connection))
    except (LedgerError, CryptoError) as error:
        raise BackupRefused(f"an entry before {frontier.size} was altered: {error}") from error
    finally:
        pool.shutdown(cancel_futures=True)
        copy.close()


def _check_root(frontier: Frontier, head: Head | None) -> None:
    if head is None or (head.size, head.root) != (frontier.size, frontier.root()):
        raise BackupRefused(
            "the entries do not lead to the log's root: the database was altered. `heartwood export` and "
            "`heartwood verify` name the first entry that is wrong"
        )


def _copy_secrets(secrets: Secrets, apart: Path, now: int) -> Path:
    """The keeper's store, roots and keys, as a snapshot of their own, to be finished with the backup; gives its folder."""
    folder = manifest.begin(apart, now)
    for name, source in vars(secrets).items():
        # The people may have taken their keys away.
        if source is not None and (name != "people" or source.is_dir()):
            copy_secrets_folder(source, folder / name)
    return folder


def copy_secrets_folder(source: Path, target: Path) -> None:
    """Copy one folder of secrets, the keeper's store and its log by the online way; raises StartRefused without it.

    The keeper's reading of the log isn't copied: it reads the log anew. Nor is what tells whether its own log of releases
    is the last one: where that is missing, the log says that it was restored.
    """
    if not source.is_dir():
        raise StartRefused(f"the folder {source} is missing")
    target.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        if path.name in (KEKS, RELEASES):
            copy_store(path, target / path.name)
        elif path.is_file() and not path.name.startswith(_NOT_COPIED):
            manifest.copy_private(path, target / path.name)


def missing_keks(path: Path, keeper: Path) -> list[str]:
    """Patients and accounts whose keys in a snapshot the keeper's store can't open: it is older."""
    with closing(
        sqlite3.connect(f"file:{path.resolve()}?mode=ro&immutable=1", uri=True)
    ) as connection:
        connection.execute("ATTACH ? AS kept", (f"file:{keeper.resolve()}?mode=ro",))
        rows = connection.execute(
            "SELECT DISTINCT subject FROM (SELECT subject, version FROM object_keys "
            "UNION SELECT patient, version FROM blob_keys) AS used WHERE NOT EXISTS "
            "(SELECT 1 FROM kept.keks k WHERE k.subject = used.subject AND k.version = used.version) "
            "ORDER BY subject"
        )
        return [str(subject) for (subject,) in rows]
