"""Verifying a whole export on both threads: with and without signatures, with and without orjson."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.append import append_signed
from benchmarks.fixture import BenchFixture
from benchmarks.measure import Figure, two_thread_limit, workplace
from storage.exports import write_export

ENTRIES = 240_000
ROUNDS = 4
"""By turns with the limit; the best counts, as it does for the limit: the machine is shared."""
QUICK = 3
"""Runs without signatures in a round: they are short, and so is a quiet moment of the machine."""
ROOMS = ("crypto", "ledger")


def build(place: Path, entries: int) -> tuple[Path, Path, int]:
    """An export of at least `entries` entries, each signed by itself; (folder, keys, entries)."""
    fixture = BenchFixture.build(place, 2_000)
    done = 0
    while done < entries:
        append_signed(fixture, fixture.signed(fixture.uploads(10_000)))
        done += 10_000
    target = place / "export"
    size = write_export(fixture.ledger, target)
    fixture.ledger.close()
    return target, fixture.settings.data / "log.vkey", size


def seconds(target: Path, vkey: Path, signatures: bool, orjson: bool) -> float:
    """Wall time of `python -P -m ledger verify` on the rooms an auditor needs, and nothing else."""
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as folder:
        for room in ROOMS:
            (Path(folder) / room).symlink_to(root / room)
        if not orjson:
            (Path(folder) / "orjson.py").write_text("raise ImportError('left out')\n")
        command = [sys.executable, "-P", "-m", "ledger", "verify", str(target), "--vkey", str(vkey)]
        if not signatures:
            command.append("--no-signatures")
        env = {**os.environ, "PYTHONPATH": folder}
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=env, cwd="/")
        return time.perf_counter() - began


def figures() -> list[Figure]:
    """Four rows: all signatures or none, orjson or the standard library."""
    out = []
    with workplace() as place:
        target, vkey, size = build(place, ENTRIES)
        for orjson in (False, True):
            library = "orjson" if orjson else "standard"
            rounds = [
                (
                    two_thread_limit(),
                    size / seconds(target, vkey, True, orjson),
                    max(size / seconds(target, vkey, False, orjson) for _ in range(QUICK)),
                )
                for _ in range(ROUNDS)
            ]
            limit, signed, unsigned = map(max, zip(*rounds, strict=True))
            out.append(Figure.of(f"verify {library}", signed, limit))
            out.append(Figure.of(f"verify {library} unsigned", unsigned))
    return out
