"""What is around the ledger: blobs, backups, the proxy, the keeper's socket, witnesses, and the environment itself."""

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from api.app.blobs import STORES, recorded
from api.app.settings import Settings
from api.operator.checking.findings import Finding, ok, unsafe, warning
from api.operator.checking.keeper import check_keeper
from api.operator.checking.mail import check_mail
from api.operator.checking.witnesses import check_witnesses
from crypto.texts import counted
from durable.errors import StorageError
from ledger.times import DAY_MS, format_time
from storage.blobs.checking import CHECKSUMS
from storage.blobs.marker import ADOPT, NAME
from storage.blobs.place import S3Place, SeveralPlaces
from storage.clock import wall_clock
from storage.errors import BackupRefused
from storage.maintenance.manifest import current
from storage.maintenance.owed import owed_of

BACKUP_DAYS = 2
"""A backup is older than a night's if it is older than this."""
CHECKED_DAYS = 90
OTHER_NAMES = ("HEARTWOOD_URL", "HEARTWOOD_TRACEBACK")
"""Variables of commands that are no settings of a ledger."""


def check_surroundings(settings: Settings) -> Iterator[Finding]:
    """What is beside the data directory and the database."""
    yield from _blobs(settings)
    yield from _proxies(settings.proxies)
    yield from check_keeper(settings)
    yield from check_witnesses(settings)
    yield from check_mail(settings)
    yield from _environment()


def _blobs(settings: Settings) -> Iterator[Finding]:
    try:
        place, record = recorded(settings)
    except StorageError as error:
        yield unsafe("blobs", f"{error}", "the ledger does not start")
        return
    for name, count in owed_of(settings.data).items():
        yield warning(
            "blobs",
            f"{name} doesn't answer, and has still to remove {counted(count, 'blob')}",
            "look after that store: `heartwood blobs check`",
        )
    if isinstance(place, SeveralPlaces):
        for name, one in place.stores:
            yield _store(
                f"blobs, store {name}", one, dict(record.get(STORES, {})).get(name), record
            )
    else:
        yield _store("blobs", place, record.get("checked"), record)


def _store(
    about: str, place: Path | S3Place, checked: object, record: Mapping[str, object]
) -> Finding:
    """One store; `checked`: when it was tested last (Unix ms), if it was."""
    if isinstance(place, Path):
        if (place / NAME).is_file():
            return ok(about, f"in the folder {place}")
        return unsafe(
            about,
            f"the folder {place} is missing, or has no marker {NAME}",
            f"mount it, or restore a backup; `heartwood upgrade` after an older program, later {ADOPT}",
        )
    if not isinstance(checked, int):
        return warning(about, f"{place} was never tested", "run `heartwood blobs check`")
    age = (wall_clock() - checked) // DAY_MS
    held = (
        "enforces checksums"
        if record.get(CHECKSUMS)
        else "enforces no checksums, so each write is read back"
    )
    words = f"{place} was tested {counted(age, 'day')} ago and {held}"
    if age > CHECKED_DAYS:
        return warning(about, words, "test it again: `heartwood blobs check`")
    return ok(about, words)


def check_backup(folder: Path | None) -> Finding:
    """How old the backup in a folder is; without a folder nothing is known of one."""
    remedy = "back up every night: `heartwood backup FOLDER --keeper OTHER-FOLDER`"
    if folder is None:
        return warning(
            "backup", "no backup is known here", f"name its folder with --backup; {remedy}"
        )
    try:
        found = current(folder)
        made = (folder / "manifest").stat().st_mtime_ns // 1_000_000 if found else None
    except (BackupRefused, OSError) as error:
        return unsafe("backup", f"{folder}: {error}", remedy)
    if made is None:
        return unsafe("backup", f"{folder} holds no backup", remedy)
    words = f"the one in {folder} was made at {format_time(made)}"
    if wall_clock() - made > BACKUP_DAYS * DAY_MS:
        return unsafe("backup", f"{words}, more than {counted(BACKUP_DAYS, 'day')} ago", remedy)
    return ok("backup", words)


def _proxies(proxies: str) -> Iterator[Finding]:
    from api.http.shares import Addresses

    try:
        Addresses(proxies)
    except ValueError as error:
        yield unsafe(
            "proxy",
            f"HEARTWOOD_PROXIES: {error}",
            "name addresses or networks, separated by commas",
        )
        return
    if proxies:
        yield ok("proxy", f"clients are told apart by what {proxies} says of them")
    else:
        yield warning(
            "proxy",
            "no TLS proxy is named: `serve` speaks plain HTTP, and behind a proxy all clients share one limit",
            "put a TLS proxy ahead (deploy/tls) and name its address in HEARTWOOD_PROXIES",
        )


def _environment() -> Iterator[Finding]:
    known = [f"HEARTWOOD_{name.upper()}" for name in Settings.model_fields]
    for name in sorted(os.environ):
        if name.startswith("HEARTWOOD_") and name not in (*known, *OTHER_NAMES):
            near = difflib.get_close_matches(name, known, 1)
            yield warning(
                "environment",
                f"{name} is set, and no setting has this name: it does nothing",
                f"did you mean {near[0]}?" if near else "remove it",
            )
    if os.environ.get("HEARTWOOD_NEW_PASSPHRASE"):
        yield warning(
            "environment",
            "HEARTWOOD_NEW_PASSPHRASE is set: it is for `heartwood passphrase` alone",
            "remove it from the service's environment",
        )
