"""Who can read and write the data directory, and what disk it is on."""

import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from api.app.layout import CHECKPOINT, MARKER
from api.app.settings import Settings
from api.operator.checking.findings import Finding, ok, unsafe, warning
from durable.errors import StartRefused

LEAST_FREE_BYTES = 1 << 30
"""Less room than this is gone within a busy day."""
LEAST_FREE_SHARE = 0.1
FILES_NAMED = 5
"""Most files that are named one by one."""
OTHERS = 0o077
NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "afs", "fuse.sshfs", "fuse.s3fs"}  # fmt: skip
"""File systems on which locks, fsync or shared memory are not what SQLite and the key keeper rely on."""
VOLATILE = {"tmpfs", "ramfs"}
MOUNTS = Path("/proc/self/mountinfo")


def check_files(settings: Settings) -> Iterator[Finding]:
    """Modes and owners of what the ledger keeps, its file system, and the room left."""
    folders = [settings.data, settings.roots()]
    paths = sorted({path for folder in folders for path in _kept(folder)})
    yield from _modes(paths)
    yield from _owners(paths, settings.data)
    yield from _parents(settings.data)
    yield from _file_system(settings)
    yield from _room(settings.data)
    yield from _outside(settings)


def _kept(folder: Path) -> Iterator[Path]:
    """The folder, its files, and those one level below; blobs, which may be millions, by their folders."""
    if not folder.is_dir():
        return
    yield folder
    for path in folder.iterdir():
        if path.is_symlink():
            continue
        yield path
        if path.is_dir() and path.name != "blobs":
            yield from (p for p in path.iterdir() if not p.is_symlink())


def _modes(paths: list[Path]) -> Iterator[Finding]:
    open_to = [p for p in paths if stat.S_IMODE(p.lstat().st_mode) & OTHERS]
    if not open_to:
        yield ok("file modes", f"{len(paths)} files and folders are their owner's alone")
        return
    named = [f"{p} ({stat.S_IMODE(p.lstat().st_mode):04o})" for p in open_to[:FILES_NAMED]]
    more = f" and {len(open_to) - len(named)} more" if len(open_to) > len(named) else ""
    yield unsafe(
        "file modes",
        f"other users can get at {', '.join(named)}{more}",
        f"chmod go= {' '.join(str(p) for p in open_to[:FILES_NAMED])}",
    )


def _owners(paths: list[Path], data: Path) -> Iterator[Finding]:
    owner = data.stat().st_uid
    strangers = [p for p in paths if p.lstat().st_uid != owner]
    if strangers:
        yield unsafe(
            "owner",
            f"{strangers[0]} belongs to user {strangers[0].lstat().st_uid}, the data directory to user {owner}"
            + (f" ({len(strangers)} such files)" if len(strangers) > 1 else ""),
            f"chown --recursive {owner} {data}, unless one of the users should not be there at all",
        )
    elif owner == 0:
        yield warning(
            "owner",
            "the data belongs to root, so the service runs as root: whoever takes it over has the machine",
            f"make a user for the service, chown --recursive heartwood {data}, and run it as that user",
        )
    else:
        yield ok("owner", f"everything belongs to user {owner}")
    if os.geteuid() not in (0, owner):
        yield warning(
            "who asks",
            f"this ran as user {os.geteuid()}, the service's user is {owner}: limits and rights may differ",
            "run this command as the service's user, with the service's environment",
        )


def _parents(data: Path) -> Iterator[Finding]:
    """Whoever may write to a folder above can put another folder in the data's place."""
    for parent in data.resolve().parents:
        mode = parent.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            yield unsafe(
                "folder above",
                f"every user can write to {parent}, and could put another folder in the place of {data}",
                f"chmod o-w {parent}, or move the data directory",
            )
            return


def file_system(path: Path, mounts: str) -> str:
    """The type of the file system that holds `path`, by the text of `mountinfo`; empty if it isn't known."""
    best, kind = "", ""
    resolved = str(path.resolve())
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 5 or not right:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), fields[4])
        inside = resolved == point or resolved.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, right.split(" ")[0]
    return kind


def _file_system(settings: Settings) -> Iterator[Finding]:
    if not MOUNTS.exists():
        return
    kind = file_system(settings.data, MOUNTS.read_text(errors="replace"))
    if kind in NETWORK:
        yield unsafe(
            "file system",
            f"{settings.data} is on a network file system ({kind}): its locks and fsync are not those of a local disk, "
            "and SQLite and the key keeper can lose or damage what they keep",
            "move the data directory to a local disk",
        )
    elif kind in VOLATILE:
        yield unsafe(
            "file system",
            f"{settings.data} is in memory ({kind}): a restart of the machine loses everything",
            "move the data directory to a disk",
        )
    elif kind == "overlay":
        yield warning(
            "file system",
            f"{settings.data} is in a container's own layer (overlay), which goes with the container",
            "mount a volume there",
        )
    else:
        yield ok("file system", f"{settings.data} is on {kind or 'a file system of unknown type'}")


def _room(data: Path) -> Iterator[Finding]:
    disk = shutil.disk_usage(data)
    words = f"{disk.free / 1e9:.1f} GB of {disk.total / 1e9:.1f} GB are free for {data}"
    if disk.free < LEAST_FREE_BYTES:
        yield unsafe("disk", words, "make room: without it nothing can be appended")
    elif disk.free < disk.total * LEAST_FREE_SHARE:
        yield warning("disk", words, "make room, or move the blobs: `heartwood blobs move`")
    else:
        yield ok("disk", words)


def _outside(settings: Settings) -> Iterator[Finding]:
    """The marker, the checkpoint outside the database, and key files that needn't be here."""
    for name, remedy in (
        (MARKER, "restore it from a backup, or check --data and HEARTWOOD_DATA"),
        (CHECKPOINT, "put it back; if it is lost, `heartwood accept-restore --as OPERATOR`"),
    ):
        if not (settings.data / name).exists():
            yield unsafe(name, f"the file {settings.data / name} is missing", remedy)
    people = settings.data / "people"
    if people.is_dir() and (keys := sorted(people.glob("operator-*.key"))):
        yield warning(
            "operator's key",
            f"the operator's key file lies on the server ({keys[0]}): whoever takes the server over can admit hospitals",
            "keep it on another machine or a stick, and give it with --as where it is needed",
        )


def same_disk(one: Path, other: Path) -> bool:
    """Whether two folders are on one file system; where one can't be looked at, they count as if."""
    try:
        return one.stat().st_dev == other.stat().st_dev
    except OSError:
        return True


def checked_marker(settings: Settings) -> None:
    """Raises StartRefused where there is no data directory to look at."""
    if not settings.data.is_dir():
        raise StartRefused(
            f"there is no data directory {settings.data}. Check --data or HEARTWOOD_DATA; `heartwood init` makes one."
        )
