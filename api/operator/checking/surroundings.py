"""What is around the ledger: blobs, backups, the proxy, the keeper's socket, witnesses, and the environment itself."""

import difflib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from api.app.blobs import recorded
from api.app.settings import Settings
from api.operator.checking.files import OTHERS
from api.operator.checking.findings import Finding, ok, unsafe, warning
from crypto.texts import counted
from durable.errors import StorageError
from ledger.times import DAY_MS, format_time
from storage.blobs.checking import CHECKSUMS
from storage.blobs.place import S3Place
from storage.clock import wall_clock
from storage.errors import BackupRefused
from storage.maintenance.manifest import current

BACKUP_DAYS = 2
"""A backup is older than a night's if it is older than this."""
CHECKED_DAYS = 90
OTHER_NAMES = ("HEARTWOOD_URL", "HEARTWOOD_TRACEBACK")
"""Variables of commands that are no settings of a ledger."""


def check_surroundings(settings: Settings) -> Iterator[Finding]:
    """What is beside the data directory and the database."""
    yield from _blobs(settings)
    yield from _proxies(settings.proxies)
    yield from _keeper(settings)
    yield from _witnesses(settings)
    yield from _environment()


def _blobs(settings: Settings) -> Iterator[Finding]:
    try:
        place, record = recorded(settings)
    except StorageError as error:
        yield unsafe("blobs", f"{error}", "the ledger does not start")
        return
    if isinstance(place, Path):
        if place.is_dir():
            yield ok("blobs", f"in the folder {place}")
        else:
            yield unsafe("blobs", f"the folder {place} is missing", "mount it, or restore a backup")
        return
    if not isinstance(place, S3Place) or "checked" not in record:
        yield warning("blobs", f"{place} was never tested", "run `heartwood blobs check`")
        return
    age = (wall_clock() - int(record["checked"])) // DAY_MS
    held = (
        "enforces checksums"
        if record.get(CHECKSUMS)
        else "enforces no checksums, so each write is read back"
    )
    words = f"{place} was tested {counted(age, 'day')} ago and {held}"
    if age > CHECKED_DAYS:
        yield warning("blobs", words, "test it again: `heartwood blobs check`")
    else:
        yield ok("blobs", words)


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


def _keeper(settings: Settings) -> Iterator[Finding]:
    """The socket of a keeper that is a process of another user; without the setting it is a child of the service."""
    place = settings.keeper
    if not place.startswith("unix:"):
        return
    path = Path(place.removeprefix("unix:"))
    try:
        found = path.stat()
    except OSError as error:
        yield unsafe(
            "key keeper",
            f"its socket {path} can't be reached: {error.strerror}",
            "start the keeper: no record opens",
        )
        return
    if not stat.S_ISSOCK(found.st_mode):
        yield unsafe("key keeper", f"{path} is not a socket", "set HEARTWOOD_KEEPER right")
    elif stat.S_IMODE(found.st_mode) & OTHERS & 0o007 and path.parent.stat().st_mode & 0o001:
        yield unsafe(
            "key keeper", f"every user can reach its socket {path}", f"chmod o= {path.parent}"
        )
    elif found.st_uid == settings.data.stat().st_uid:
        yield warning(
            "key keeper",
            "it runs as the service's own user: whoever takes the service over can read the keeper's memory and files",
            "run it as a user of its own (deploy/systemd/heartwood-keeper.service)",
        )
    else:
        yield ok("key keeper", f"listens on {path} as user {found.st_uid}")


def _witnesses(settings: Settings) -> Iterator[Finding]:
    if "witness_policy" not in type(settings).model_fields:
        return
    path: Path | None = getattr(settings, "witness_policy", None)
    if path is None:
        yield warning(
            "witnesses",
            "nobody outside watches this log: a second history could be shown to somebody unnoticed",
            "name a policy of witnesses in HEARTWOOD_WITNESS_POLICY",
        )
    elif os.access(path, os.R_OK):
        yield ok("witnesses", f"the policy is {path}")
    else:
        yield unsafe("witnesses", f"the policy {path} can't be read", "put it back")


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
