"""Upload of a large blob in process: sealed, hashed, written, fsynced; and how flat memory stays."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.fixture import BenchFixture
from benchmarks.measure import Figure, workplace
from client.beside import upload
from records.uploads import Upload

RATED_GIB = 1
"""Plaintext of the blob whose rate has a target: what the machine's memory takes before its disk slows it."""
GIB = 5
"""Plaintext of the blob whose memory has a target, the longest a record may have; `--gib` takes less."""
PIECE = 1024 * 1024


def pieces(size: int) -> Iterator[bytes]:
    """`size` bytes, a mebibyte at a time."""
    piece = bytes(range(256)) * (PIECE // 256)
    for _ in range(size // PIECE):
        yield piece


def sha256_limit() -> float:
    """SHA-256 of large input on one thread, bytes a second; the bound of an upload."""
    piece, began = bytes(PIECE), time.perf_counter()
    digest = hashlib.sha256()
    for _ in range(512):
        digest.update(piece)
    return 512 * PIECE / (time.perf_counter() - began)


def peak_memory(reset: bool = False) -> int:
    """The most memory this process had, in KiB; with `reset`, counted anew from what it has now."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def run(place: Path, size: int, blobs: str = "") -> tuple[float, float]:
    """(bytes a second, MiB of memory above idle) of one upload; `blobs`: to where, as HEARTWOOD_BLOBS says it."""
    fixture = BenchFixture.build(place, 1, blobs=blobs)
    upload(
        fixture.ledger,
        fixture.system,
        [Upload(fixture.patients[0], "imaging", "image/png", pieces(PIECE))],
    )
    idle = peak_memory(reset=True)
    began = time.perf_counter()
    upload(
        fixture.ledger,
        fixture.system,
        [Upload(fixture.patients[0], "imaging", "image/png", pieces(size))],
    )
    spent = time.perf_counter() - began
    above = (peak_memory() - idle) / 1024
    fixture.ledger.close()
    return size / spent, above


def disk_limit(place: Path, size: int) -> float:
    """Writing `size` plain bytes and one fsync, bytes a second; the bound of a blob larger than caches."""
    began = time.perf_counter()
    with (place / "plain").open("wb") as file:
        for piece in pieces(size):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    spent = time.perf_counter() - began
    (place / "plain").unlink()
    return size / spent


def figures(gib: int = GIB) -> list[Figure]:
    """The rate of a large blob, and rate and memory of the longest one."""
    rate, _ = _apart(RATED_GIB)
    long_rate, above = _apart(gib)
    with workplace() as place:
        disk = disk_limit(place, gib * 1024**3)
    name, note = f"upload of {gib} GiB; the limit is the disk's", f", {gib} GiB"
    return [
        Figure.of("upload", rate / 1e6, sha256_limit() / 1e6, f", {RATED_GIB} GiB"),
        Figure.of("upload memory", above, None, note),
        Figure(name, long_rate / 1e6, "MB/s", disk / 1e6, long_rate / disk),
    ]


def _apart(gib: int) -> tuple[float, float]:
    """`run` in a process of its own, so that its memory is its own."""
    with workplace() as place:
        command = [sys.executable, "-m", "benchmarks.blobs", str(place), str(gib * 1024**3)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(answer[0]), float(answer[1])


if __name__ == "__main__":
    print(*run(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
