"""One contract for every blob store: written once, whole or not there at all, read by range."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from identity.actors import new_id
from storage.blobs.files import READ_BYTES, BlobStore, FileBlobs
from storage.blobs.place import Place, open_place, parse_place
from storage.blobs.s3 import S3Blobs
from storage.blobs.uploading import PART_BYTES
from storage.clock import wall_clock
from storage.errors import BlobError
from tests.support.paths import ROOT
from tests.support.versitygw import Gateway


class Kind(NamedTuple):
    """A kind of store: where a new empty one is, as the setting says it."""

    setting: Callable[[pytest.FixtureRequest, Path], str]
    piece: int = 64 * 1024
    """Of what a writer is killed over, in bytes: the third must have left something."""
    read_back: bool = False
    copies: int = 1
    """Stores behind it that each hold a blob."""


def _file(request: pytest.FixtureRequest, folder: Path) -> str:
    return f"file:{folder / 'blobs'}"


def _s3(request: pytest.FixtureRequest, folder: Path) -> str:
    gateway: Gateway = request.getfixturevalue("gateway")
    return gateway.setting(gateway.place())


def _s3_versions(request: pytest.FixtureRequest, folder: Path) -> str:
    gateway: Gateway = request.getfixturevalue("gateway")
    return gateway.setting(gateway.place(versions=True, prefix=""))


def _two_files(request: pytest.FixtureRequest, folder: Path) -> str:
    return f"east=file:{folder / 'east'} west=file:{folder / 'west'}"


def _three_mixed(request: pytest.FixtureRequest, folder: Path) -> str:
    places = (_s3(request, folder), f"file:{folder / 'blobs'}", _s3_versions(request, folder))
    return " ".join(f"{name}={place}" for name, place in zip(("a", "b", "c"), places, strict=True))


KINDS = {
    "files": Kind(_file),
    "s3": Kind(_s3, PART_BYTES),
    "s3 with versions": Kind(_s3_versions, PART_BYTES),
    "s3 read back": Kind(_s3, PART_BYTES, True),
    "two folders": Kind(_two_files, PART_BYTES, copies=2),
    "a folder and two buckets": Kind(_three_mixed, PART_BYTES, copies=3),
}
"""Every store; what stands here keeps the whole contract."""
RANGES = (
    (0, None), (0, 0), (0, 1), (1, 5), (7, None), (READ_BYTES - 1, 2), (READ_BYTES, 10),
    (0, READ_BYTES + 3), (READ_BYTES + 90, 100), (READ_BYTES + 100, None), (READ_BYTES * 2, 5),
)  # fmt: skip
BAD_IDS = (
    "", "bl_", "bl_0", "../bl_01m7w65asvtdvhdasacyj51eex", "bl_01m7w65asvtdvhdasacyj51ee/", "x" * 300,
    "rc_01m7w65asvtdvhdasacyj51eex", "bl_01M7W65ASVTDVHDASACYJ51EEX", "bl_81m7w65asvtdvhdasacyj51eex",
    "bl_01m7w65asvtdvhdasacyj51eex\n", "bl_01m7w65asvtdvhdasacyj51ee\0", "bl_01m7w65asvtdvhdasacyj51eil",
)  # fmt: skip
CLOCK_MS = 2_000
"""How far a store's clock may be from this one; S3 tells whole seconds."""
PUT_FOR_EVER = """
import sys; from pathlib import Path; from storage.blobs.place import open_place, parse_place
def pieces():
    while True:
        yield b"x" * int(sys.argv[3])
        print("piece", flush=True)
open_place(parse_place(sys.argv[1], Path())).put(sys.argv[2], pieces())
"""


@dataclass(frozen=True)
class Opened:
    """Where the store of a test is."""

    setting: str
    place: Place
    kind: Kind


@pytest.fixture(params=KINDS)
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """A place for an empty store."""
    kind = KINDS[request.param]
    setting = kind.setting(request, tmp_path)
    return Opened(setting, parse_place(setting, tmp_path), kind)


@pytest.fixture
def store(at: Opened) -> BlobStore:
    """An empty store."""
    return open_place(at.place, at.kind.read_back)


def fresh() -> str:
    """A new blob's id."""
    return new_id("bl", wall_clock())


def whole(store: BlobStore, blob: str) -> bytes:
    """All of a blob's bytes."""
    return b"".join(store.read(blob))


def test_a_blob_comes_back_as_it_went_in(store: BlobStore) -> None:
    """Pieces of any size, empty ones too, are joined; the size is their sum."""
    blob, pieces = fresh(), [b"", b"a", b"bc" * 100_000, b"", b"d"]
    store.put(blob, iter(pieces))
    assert whole(store, blob) == b"".join(pieces)
    assert store.size(blob) == len(b"".join(pieces))
    assert list(store.list()) == [blob]


def test_an_empty_blob_is_a_blob(store: BlobStore) -> None:
    """No bytes at all are stored as such."""
    blob = fresh()
    store.put(blob, [])
    assert (whole(store, blob), store.size(blob), list(store.list())) == (b"", 0, [blob])


@pytest.mark.parametrize(("start", "length"), RANGES)
def test_ranges(store: BlobStore, start: int, length: int | None) -> None:
    """A range is what a slice of the bytes is, also over the end and across what is read at once."""
    blob, data = fresh(), os.urandom(READ_BYTES + 100)
    store.put(blob, [data])
    end = None if length is None else start + length
    assert b"".join(store.read(blob, start, length)) == data[start:end]


def test_never_overwrites(store: BlobStore) -> None:
    """The second writer of an id is told, and the first one's bytes stay."""
    blob = fresh()
    store.put(blob, [b"first"])
    with pytest.raises(BlobError, match=f"{blob} already exists"):
        store.put(blob, [b"second"])
    assert whole(store, blob) == b"first"


def test_of_many_writers_of_one_id_one_wins(store: BlobStore) -> None:
    """Whoever is told that it went well finds its own bytes; all others are refused."""
    blob = fresh()

    def put(number: int) -> int | None:
        with contextlib.suppress(BlobError):
            store.put(blob, [b"%d" % number] * 50)
            return number
        return None

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(put, range(8)) if number is not None]
    assert len(winners) == 1
    assert whole(store, blob) == b"%d" % winners[0] * 50


def test_an_exception_between_pieces_leaves_nothing(store: BlobStore, tmp_path: Path) -> None:
    """The caller's error comes through, nothing is visible or left, the id stays free."""

    def pieces() -> Iterator[bytes]:
        yield b"half of it" * 2_000_000
        raise ConnectionResetError("the sender went away")

    blob = fresh()
    with pytest.raises(ConnectionResetError):
        store.put(blob, pieces())
    assert_not_there(store, blob)
    assert list(store.sweep(wall_clock() + CLOCK_MS)) == []
    if isinstance(store, FileBlobs):
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    store.put(blob, [b"all of it"])
    assert whole(store, blob) == b"all of it"


def test_nothing_is_visible_while_it_is_written(store: BlobStore) -> None:
    """A blob appears whole, after its last piece."""
    blob = fresh()

    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * 100_000
            assert_not_there(store, blob)

    store.put(blob, pieces())
    assert store.size(blob) == 300_000


def test_a_killed_writer_leaves_no_blob(store: BlobStore, at: Opened) -> None:
    """After SIGKILL in the middle nothing is visible, and the id can be written again."""
    blob = fresh()
    kill_a_writer(at, blob)
    assert_not_there(store, blob)
    store.put(blob, [b"again"])
    assert whole(store, blob) == b"again"


def kill_a_writer(at: Opened, blob: str) -> None:
    """Let a child begin a blob, and kill it in the middle."""
    command = [sys.executable, "-c", PUT_FOR_EVER, at.setting, blob, str(at.kind.piece)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        for _ in range(3):
            assert child.stdout.readline() == b"piece\n"
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL


def assert_not_there(store: BlobStore, blob: str) -> None:
    """A blob can't be read, measured or listed."""
    assert blob not in list(store.list())
    with pytest.raises(BlobError, match=f"{blob} is not in the blob store"):
        store.size(blob)
    with pytest.raises(BlobError, match=f"{blob} is not in the blob store"):
        list(store.read(blob))


def test_remove(store: BlobStore) -> None:
    """A removed blob is gone; removing it again, or one that never was, is no error."""
    kept, gone = fresh(), fresh()
    store.put(kept, [b"kept"])
    store.put(gone, [b"gone"])
    store.remove(gone)
    store.remove(gone)
    store.remove(fresh())
    assert_not_there(store, gone)
    assert list(store.list()) == [kept]


def test_written_tells_when(store: BlobStore) -> None:
    """Between the clock before and after the put, as fine as the store's clock is."""
    blob, before = fresh(), wall_clock()
    store.put(blob, [b"x"])
    assert before - CLOCK_MS <= store.written(blob) <= wall_clock() + CLOCK_MS
    with pytest.raises(BlobError, match="is not in the blob store"):
        store.written(fresh())


def test_replace_keeps_the_bad_one_aside(store: BlobStore) -> None:
    """The good content is read from now on; what was there isn't lost and isn't listed."""
    blob, gone = fresh(), fresh()
    store.put(blob, [b"bad"])
    aside = store.replace(blob, [b"go", b"od"])
    assert whole(store, blob) == b"good"
    assert store.replace(gone, [b"back"]) == ""
    assert whole(store, gone) == b"back"
    assert sorted(store.list()) == sorted([blob, gone])
    if isinstance(store, FileBlobs):
        assert Path(aside).read_bytes() == b"bad"
        store.sweep(wall_clock() + CLOCK_MS)
        assert Path(aside).exists()
    if isinstance(store, S3Blobs):
        store.sweep(wall_clock() + CLOCK_MS)
        assert kept_aside(store, aside) == b"bad"


def kept_aside(store: S3Blobs, aside: str) -> bytes:
    """What lies at the place that `replace` told."""
    version, _, address = aside.rpartition(" of ") if " of " in aside else ("", "", aside)
    key = address.removeprefix(f"s3://{store.place.bucket}/")
    wanted = {"VersionId": version.removeprefix("version ")} if version else {}
    return bytes(store.bucket.call("get_object", Key=key, **wanted)["Body"].read())


def test_many_parts_come_back_as_one(store: BlobStore) -> None:
    """What is longer than is sent at once, and not a multiple of it; and exactly one and two of it."""
    for size in (PART_BYTES, 2 * PART_BYTES, 7 * PART_BYTES + 17):
        blob, data = fresh(), os.urandom(size)
        store.put(blob, (data[at : at + 100_000] for at in range(0, size, 100_000)))
        assert (whole(store, blob) == data, store.size(blob)) == (True, size)
        assert b"".join(store.read(blob, size - 20, 10)) == data[-20:-10]
        with pytest.raises(BlobError, match=f"{blob} already exists"):
            store.put(blob, [b"y" * size])
        assert store.size(blob) == size and whole(store, blob) == data


def test_replace_by_nothing_good_changes_nothing(store: BlobStore) -> None:
    """The copy turns out to be bad at its end: what was there stays, also where nothing was."""

    def pieces() -> Iterator[bytes]:
        yield b"half" * 5_000_000
        raise BlobError("not what it should be")

    blob, gone = fresh(), fresh()
    store.put(blob, [b"bad"])
    for one in (blob, gone):
        with pytest.raises(BlobError, match="not what it should be"):
            store.replace(one, pieces())
    assert whole(store, blob) == b"bad"
    assert_not_there(store, gone)
    assert list(store.list()) == [blob]


def test_sweep_removes_what_killed_writers_left(store: BlobStore, at: Opened) -> None:
    """Not before its time, and no blob."""
    kept, blob = fresh(), fresh()
    store.put(kept, [b"kept"])
    kill_a_writer(at, blob)
    assert list(store.sweep(0)) == []
    assert len(store.sweep(wall_clock() + CLOCK_MS)) == at.kind.copies
    assert list(store.sweep(wall_clock() + CLOCK_MS)) == []
    assert whole(store, kept) == b"kept"
    store.put(blob, [b"again"])


def test_list_names_every_blob_once(store: BlobStore) -> None:
    """Ids that end alike or not, all are listed."""
    blobs = [fresh() for _ in range(100)]
    for blob in blobs:
        store.put(blob, [blob.encode()])
    assert sorted(store.list()) == sorted(blobs)


@pytest.mark.parametrize("blob", BAD_IDS)
def test_bad_ids(store: BlobStore, blob: str) -> None:
    """What is no blob's id never becomes a path, in any call."""
    for call in (
        lambda: store.put(blob, [b"x"]),
        lambda: store.size(blob),
        lambda: list(store.read(blob)),
        lambda: store.remove(blob),
        lambda: store.written(blob),
        lambda: store.replace(blob, [b"x"]),
    ):
        with pytest.raises(BlobError, match="expected a blob's id"):
            call()
    assert list(store.list()) == []


def test_files_are_private(tmp_path: Path) -> None:
    """Blobs are for their owner alone, folders too."""
    store, blob = FileBlobs(tmp_path / "blobs"), fresh()
    store.put(blob, [b"x"])
    modes = {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "blobs").rglob("*")}
    assert modes == {"0o600", "0o700"}
