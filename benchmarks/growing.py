"""One long log: does appending slow down, can views be made anew, how long is the start after a crash."""

import signal
import subprocess
import sys
import time

from benchmarks.append import append_bundles, append_signed
from benchmarks.fixture import BenchFixture
from benchmarks.measure import Figure, workplace
from storage.sql.views import rebuild

ENTRIES = 1_000_000
"""How long the long log is; `--entries` takes another length."""
ENTRIES_A_PATIENT = 10
PART_OF_IT = 20
"""The young log has this part of the entries and of the patients."""
REBUILT_PART = 5
MEASURED = 10_000
"""Events of one round of a rate."""
STEP = 7_919
"""A prime: each event is of another patient than the ones before, far from them."""
PART = 20_000
ROUNDS = 3

_START = """
import sys, time
began = time.perf_counter()
from pathlib import Path
from api.app.opening import open_ledger
from api.app.settings import Settings
from identity.actors import new_id, read_keyfile
from client.beside import append
ledger = open_ledger(Settings(data=Path(sys.argv[1]), database_url="", blobs="", root=None))
actor = read_keyfile(Path(sys.argv[2]))
body = {"hospital": new_id("hs", ledger.clock()), "name": "Bench", "time_zone": "Etc/UTC"}
event = actor.event("hospital.approved", "ledger", body, ledger.clock())
append(ledger, actor, [event])
print(time.perf_counter() - began, flush=True)
sys.stdin.read()
"""


def figures(entries: int = ENTRIES) -> list[Figure]:
    """Four rows: views built anew, appending to a young log and to the long one by turns, the start."""
    patients = entries // ENTRIES_A_PATIENT
    with workplace() as one, workplace() as another:
        young = BenchFixture.build(another, patients // PART_OF_IT)
        grow(young, entries // PART_OF_IT)
        fixture = BenchFixture.build(one, patients // PART_OF_IT)
        out = [_rebuilt(fixture, entries)]
        fixture.register(patients - len(fixture.patients))
        grow(fixture, entries)
        was = _where(young)
        rates = [(_rate(young), _rate(fixture)) for _ in range(ROUNDS)]
        base, rate = (max(each) for each in zip(*rates, strict=True))
        out.append(Figure(f"append, each signed, {was}", base, "events/s"))
        out.append(Figure.of("growth", rate, base, f" ({_where(fixture)})"))
        young.ledger.close()
        fixture.ledger.close()
        start = min(start_after_crash(fixture) for _ in range(ROUNDS))
        out.append(Figure.of("start", start, None, f" ({entries:,} entries)"))
    return out


def _rate(fixture: BenchFixture) -> float:
    """Events a second, each signed and each of another patient than the ones before."""
    return MEASURED / append_signed(fixture, fixture.signed(fixture.uploads(MEASURED, STEP)))


def _where(fixture: BenchFixture) -> str:
    size = fixture.ledger.head().size
    return f"{size:,} entries, {len(fixture.patients):,} patients"


def _rebuilt(fixture: BenchFixture, entries: int) -> Figure:
    size = grow(fixture, entries // REBUILT_PART)
    began = time.perf_counter()
    found = rebuild(fixture.ledger.store, swap=False)
    rate = found.entries / (time.perf_counter() - began)
    if found.differences or found.entries < size:
        raise SystemExit(f"the views differ: {found.differences}")
    return Figure.of("rebuild", rate)


def grow(fixture: BenchFixture, entries: int) -> int:
    """Append uploads, by turns for every patient, until the log has so many entries; its size."""
    while (size := fixture.ledger.head().size) < entries:
        count = min(PART, entries - size)
        append_bundles(fixture, fixture.bundled(fixture.uploads(count, STEP), 500))
    return size


def start_after_crash(fixture: BenchFixture) -> float:
    """Seconds from a new interpreter to its first durable append, the process before having been killed."""
    operator = next((fixture.settings.data / "people").glob("operator-*.key"))
    command = [sys.executable, "-c", _START, str(fixture.settings.data), str(operator)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    return float(line)
