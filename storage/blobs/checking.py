"""What a blob store really guarantees, tested on the store itself: servers differ, and some ignore what they don't know.

Everything is written under names of its own (`check/…` of an S3 prefix, a folder of its own in a directory) and removed
again; what a lock holds is removed by a later check.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from crypto.ids import timed_id
from storage.blobs.files import BlobStore, FileBlobs
from storage.blobs.place import Place, S3Place, SeveralPlaces, open_place
from storage.clock import wall_clock
from storage.errors import BlobError, BlobLocked, BlobsUnavailable

RACERS = 8
"""Writers of one name at once."""
RACES = 3
LEFT_MS = 3_600_000
"""What a check left, locked say, is taken away by one that comes later than this."""
FAR_FUTURE_MS = 1 << 62
ANSWERS = "answers"
"""What is said of one of several stores that can't be used now."""
CHECKSUMS = "checksums"
"""The guarantee without which whatever is written is read back."""


class Lacking(Exception):
    """What was got instead of what was expected."""


@dataclass(frozen=True)
class Guarantee:
    """One thing that was tried. `needed`: without it nothing is to be written there."""

    name: str
    held: bool
    needed: bool
    words: str

    @property
    def fatal(self) -> bool:
        """Whether the store must not be used."""
        return self.needed and not self.held


Trial = tuple[str, bool, Callable[[], str]]


def check_place(place: Place, origin: str = "") -> Sequence[Guarantee]:
    """Try a store out; raises BlobsUnavailable or OSError where it can't be used at all.

    Of several stores each is tried by its name; without one that doesn't answer they do as long as a quorum is left.
    `origin`: the log whose marker must be there; one that has none is as one that doesn't answer.
    """
    if not isinstance(place, SeveralPlaces):
        return _check_one(place, origin)
    with ThreadPoolExecutor(len(place.stores)) as pool:
        found = list(pool.map(lambda one: _check_named(one[0], one[1], origin), place.stores))
    missing = [guarantees for guarantees in found if guarantees[0].name.endswith(f": {ANSWERS}")]
    needed = len(found) - len(missing) < place.quorum
    return [
        replace(one, needed=needed) if guarantees in missing else one
        for guarantees in found
        for one in guarantees
    ]


def sums_are_checked(place: Place, found: Sequence[Guarantee]) -> bool:
    """Whether every store at a place refuses what has another SHA-256 than it is told; a folder is told none."""
    held = {one.name for one in found if one.held}
    if isinstance(place, SeveralPlaces):
        stores = {f"{name}: {CHECKSUMS}": one for name, one in place.stores}
    else:
        stores = {CHECKSUMS: place}
    return all(isinstance(one, Path) or name in held for name, one in stores.items())


def _check_named(name: str, place: Path | S3Place, origin: str) -> Sequence[Guarantee]:
    """What was found of one of several stores; that it doesn't answer, if so."""
    try:
        return [replace(one, name=f"{name}: {one.name}") for one in _check_one(place, origin)]
    except (BlobsUnavailable, OSError) as error:
        return [Guarantee(f"{name}: {ANSWERS}", False, False, str(error))]


def _check_one(place: Path | S3Place, origin: str) -> Sequence[Guarantee]:
    if origin:
        open_place(place, origin=origin).check_marked()
    if isinstance(place, Path):
        with _apart(place) as store:
            return [_tried(*trial) for trial in _common(store)]
    from storage.blobs.s3 import S3Blobs  # boto3 takes half a second
    from storage.blobs.s3_checking import clear, trials

    # Nothing stays locked longer than a trial says.
    checks = replace(place, prefix=f"{place.prefix}check/", lock="", days=0, hold=False)
    clear(S3Blobs(checks), wall_clock() - LEFT_MS)
    own = S3Blobs(replace(checks, prefix=f"{checks.prefix}{os.urandom(4).hex()}/"), read_back=False)
    found = [_tried(*trial) for trial in (*_common(own), *trials(place, own))]
    clear(own, FAR_FUTURE_MS)
    return found


@contextmanager
def _apart(directory: Path) -> Iterator[FileBlobs]:
    """A directory store of its own on the same disk; gone in the end, and so is what wasn't there before it."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix=".check.", dir=directory)
    try:
        yield FileBlobs(Path(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # somebody else put something there meanwhile
            for path in missing:
                path.rmdir()


def _tried(name: str, needed: bool, trial: Callable[[], str]) -> Guarantee:
    try:
        return Guarantee(name, True, needed, trial())
    except (Lacking, BlobError) as error:
        return Guarantee(name, False, needed, str(error))


def _common(store: BlobStore) -> Sequence[Trial]:
    """What every store must do, by its port."""
    return (
        ("create-only", True, lambda: _create_only(store)),
        ("races", True, lambda: _races(store)),
        ("ranges", True, lambda: _ranges(store)),
        ("listing", True, lambda: _listing(store)),
        ("removal", True, lambda: _removal(store)),
    )


def _create_only(store: BlobStore) -> str:
    blob = fresh()
    store.put(blob, [b"first"])
    refused = _refuses(lambda: store.put(blob, [b"second"]))
    got = b"".join(store.read(blob))
    if got != b"first" or not refused:
        raise Lacking(
            f"a second write under one name was {'refused' if refused else 'taken'} and {got!r} is there, expected "
            "a refusal and b'first': blobs could be overwritten"
        )
    return "a second write under one name is refused, and the first stays"


def _races(store: BlobStore) -> str:
    for _ in range(RACES):
        blob = fresh()

        def put(number: int, blob: str = blob) -> bytes | None:
            body = b"%d" % number * 100
            return None if _refuses(lambda: store.put(blob, [body])) else body

        with ThreadPoolExecutor(RACERS) as pool:
            won = [body for body in pool.map(put, range(RACERS)) if body is not None]
        got = b"".join(store.read(blob))
        if len(won) != 1 or got != won[0]:
            raise Lacking(
                f"of {RACERS} writers of one name at once {len(won)} were told that they had written it, expected 1 "
                "whose bytes are there"
            )
    return f"of {RACERS} writers of one name at once exactly one wins, {RACES} times of {RACES}"


def _ranges(store: BlobStore) -> str:
    blob, data = fresh(), os.urandom(1_000)
    store.put(blob, [data])
    for start, length in ((0, 1), (10, 20), (990, 100), (999, None), (1_000, 5)):
        got = b"".join(store.read(blob, start, length))
        wanted = data[start : None if length is None else start + length]
        if got != wanted:
            raise Lacking(
                f"asked for {length} bytes from byte {start} of {len(data)} on, got {len(got)} bytes, expected the "
                f"{len(wanted)} that are there"
            )
    return "a range is what is asked for"


def _listing(store: BlobStore) -> str:
    blob, before = fresh(), set(store.list())
    store.put(blob, [b"x"])
    if set(store.list()) != before | {blob}:
        raise Lacking("a blob was not listed right after it was written")
    return "whatever was written is listed at once"


def _removal(store: BlobStore) -> str:
    blob = fresh()
    store.put(blob, [b"gone"])
    try:
        store.remove(blob)
    except BlobLocked as error:
        return f"by the bucket's own rule nothing is removed for a while: {error}"
    if not _refuses(lambda: store.size(blob)) or blob in set(store.list()):
        raise Lacking("a blob was there after its removal")
    store.put(blob, [b"again"])
    got = b"".join(store.read(blob))
    if got != b"again":
        raise Lacking(f"after a removal {got!r} was read under a name, expected b'again'")
    return "what is removed is gone in all its versions, and its name is free"


def _refuses(act: Callable[[], object]) -> bool:
    with suppress(BlobError):
        act()
        return False
    return True


def fresh() -> str:
    """A name for a blob that is nobody's."""
    return timed_id("bl", wall_clock(), os.urandom(10))
