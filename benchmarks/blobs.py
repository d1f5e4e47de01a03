"""Upload of a large blob in process: sealed, hashed, written, fsynced; and how flat memory stays."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Figure, workplace
from benchmarks.town import Town
from records.uploads import Upload, upload

SIZE = 1024**3
"""Plaintext bytes of the measured blob; `--size` of the module takes another, e.g. 5 GiB."""
PIECE = 1024 * 1024
MEMORY_MIB = 64


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


def run(place: Path, size: int) -> tuple[float, float]:
    """(bytes a second, MiB of memory above idle) of one upload."""
    town = Town.build(place, 1)
    upload(
        town.ledger, town.system, [Upload(town.patients[0], "imaging", "image/png", pieces(PIECE))]
    )
    idle = peak_memory(reset=True)
    began = time.perf_counter()
    upload(
        town.ledger, town.system, [Upload(town.patients[0], "imaging", "image/png", pieces(size))]
    )
    spent = time.perf_counter() - began
    above = (peak_memory() - idle) / 1024
    town.ledger.close()
    return size / spent, above


def figures(size: int = SIZE) -> list[Figure]:
    """Throughput and memory, in a process of its own so that its memory is its own."""
    limit = sha256_limit() / 1e6
    with workplace() as place:
        command = [sys.executable, "-m", "benchmarks.blobs", str(place), str(size)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    rate, above = float(answer[0]) / 1e6, float(answer[1])
    gib = size / 1024**3
    return [
        Figure(
            f"upload of a {gib:.0f} GiB blob in process", rate, "MB/s", limit, rate / limit, "400 MB/s",
            "600 MB/s", rate >= 400,
        ),
        Figure(
            f"memory above idle, upload of {gib:.0f} GiB", above, "MiB", None, None, "≤ 64 MiB",
            "≤ 64 MiB", above <= MEMORY_MIB,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    print(*run(Path(sys.argv[1]), int(sys.argv[2])))
