"""Views built anew, and the start after a crash, on one long log."""

import os
import signal
import subprocess
import sys
import time

from benchmarks.append import append_bundles
from benchmarks.measure import Figure, workplace
from benchmarks.town import Town
from storage.views import rebuild

REBUILT_ENTRIES = 200_000
STARTED_ENTRIES = int(os.environ.get("HEARTWOOD_BENCH_ENTRIES", "1000000"))
"""HEARTWOOD_BENCH_ENTRIES: how long a log the start is measured on."""
PART = 20_000
ROUNDS = 3

_START = """
import sys, time
began = time.perf_counter()
from pathlib import Path
from api.bootstrap import open_ledger
from api.settings import Settings
from identity.actors import new_id, read_keyfile
from records.appending import append
ledger = open_ledger(Settings(data=Path(sys.argv[1]), database_url="", root=None))
actor = read_keyfile(Path(sys.argv[2]))
body = {"hospital": new_id("hs", ledger.clock()), "name": "Bench", "time_zone": "Etc/UTC"}
event = actor.event("hospital.approved", "ledger", body, ledger.clock())
append(ledger, actor, [event])
print(time.perf_counter() - began, flush=True)
sys.stdin.read()
"""


def figures() -> list[Figure]:
    """Two rows."""
    out = []
    with workplace() as place:
        town = Town.build(place, 2_000)
        size = grow(town, REBUILT_ENTRIES)
        began = time.perf_counter()
        found = rebuild(town.ledger.store, swap=False)
        rate = found.entries / (time.perf_counter() - began)
        if found.differences or found.entries < size:
            raise SystemExit(f"the views differ: {found.differences}")
        out.append(Figure("rebuild all views, equal to the live ones", rate, "entries/s", floor="30,000/s", aim="60,000/s", met=rate >= 30_000))  # fmt: skip
        size = grow(town, STARTED_ENTRIES)
        town.ledger.close()
        seconds = min(start_after_crash(town) for _ in range(ROUNDS))
        out.append(Figure(f"start to the first append after a crash, {size:,} entries", seconds, "s", floor="≤ 2 s at 1 million", aim="1 s", met=seconds <= 2))  # fmt: skip
    return out


def grow(town: Town, entries: int) -> int:
    """Append uploads until the log has so many entries; its size."""
    while (size := town.ledger.head().size) < entries:
        count = min(PART, entries - size)
        append_bundles(town, town.bundled(town.uploads(count), 500))
    return size


def start_after_crash(town: Town) -> float:
    """Seconds from a new interpreter to its first durable append, the process before having been killed."""
    operator = next((town.settings.data / "people").glob("operator-*.key"))
    command = [sys.executable, "-c", _START, str(town.settings.data), str(operator)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    return float(line)
