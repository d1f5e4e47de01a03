"""Whole runs of synthetic patients as files: a folder that an import takes, made by any number of workers."""

import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from durable.files import replace_file, replace_files
from journeys.errors import RecordsError
from synthetic import YEARS, patient, region

MARKER = ".heartwood-generated"
"""Says what the folder is; an import passes files with a dot first."""
EDITION = 1
"""Of what is generated: another edition gives other bytes for a seed."""
FOLDER_PATIENTS = 1_000
"""Patients a sub-folder."""
PART_PATIENTS = 20
"""Patients that a worker writes at a time, and waits for the disk once."""
WAITING_PARTS = 4
"""Parts a worker that are handed out ahead."""
PATIENTS_LIMIT = 10_000_000
YEARS_LIMIT = 120

Progress = Callable[[int, int], None]
"""`progress(done, all)` in patients."""


class Order(NamedTuple):
    """What to generate; the same order always gives the same bytes."""

    seed: int
    patients: int
    years: int = YEARS
    """How far the records go back."""


@dataclass
class Generated:
    """What a run wrote, and what it found written already."""

    patients: int = 0
    deceased: int = 0
    kept: int = 0
    """Patients whose files an earlier run had written; they are counted in nothing else."""
    files: int = 0
    bytes: int = 0
    types: Counter[str] = field(default_factory=Counter)
    """Resources by type."""
    seconds: float = 0.0

    @property
    def resources(self) -> int:
        """All resources written."""
        return self.types.total()

    def add(self, part: "Generated") -> None:
        """Take in a part's counts."""
        self.patients += part.patients
        self.deceased += part.deceased
        self.kept += part.kept
        self.files += part.files
        self.bytes += part.bytes
        self.types += part.types


def generate(
    folder: Path, order: Order, workers: int = 1, progress: Progress = lambda done, size: None
) -> Generated:
    """Write the order's bundles into `folder`, one file a patient, hospitals and doctors beside.

    A folder that an earlier run of the same seed began, or of fewer patients, is continued: whole
    files stay. Raises RecordsError for a folder that holds anything else. Memory doesn't grow with
    the order.
    """
    began = time.perf_counter()
    _claim(folder, order)
    written = Generated()
    for name, bundle in region(order.seed).items():
        data = bundle.encode()
        replace_file(folder / f"{name}.json", data)
        written.add(Generated(files=1, bytes=len(data), types=bundle.types))
    for part in _parts(folder, order, workers):
        written.add(part)
        progress(written.patients + written.kept, order.patients)
    _mark(folder, order, whole=True)
    written.seconds = time.perf_counter() - began
    return written


def patient_file(folder: Path, place: int) -> Path:
    """Where the patient of a place stands: `patients/<thousands>/patient-<place>.json`."""
    return folder / "patients" / f"{place // FOLDER_PATIENTS:04d}" / f"patient-{place:07d}.json"


def write_part(folder: Path, order: Order, start: int) -> Generated:
    """Write up to PART_PATIENTS patients from the place `start` on; what a worker does."""
    written, files = Generated(), dict[Path, bytes]()
    for place in range(start, min(start + PART_PATIENTS, order.patients)):
        path = patient_file(folder, place)
        if path.exists():
            written.kept += 1
            continue
        made = patient(order.seed, place, order.years)
        files[path] = made.bundle
        written.add(
            Generated(1, int(made.deceased), files=1, bytes=len(made.bundle), types=made.types)
        )
    for directory in {path.parent for path in files}:
        directory.mkdir(parents=True, exist_ok=True)
    replace_files(files)
    return written


def _parts(folder: Path, order: Order, workers: int) -> Iterator[Generated]:
    """Every part's counts, in any number of processes; few enough at once to keep memory flat."""
    starts = range(0, order.patients, PART_PATIENTS)
    write = partial(write_part, folder, order)
    if workers <= 1 or len(starts) <= 1:
        yield from map(write, starts)
        return
    # Not forked: the progress bar has a thread, and a copy of it could hold a lock for ever.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(starts)), context) as pool:
        for batch in _batches(starts, workers * WAITING_PARTS):
            yield from pool.map(write, batch)


def _batches(starts: Iterable[int], size: int) -> Iterator[list[int]]:
    rest = iter(starts)
    while batch := list(islice(rest, size)):
        yield batch


def _claim(folder: Path, order: Order) -> None:
    """Make the folder this order's, or find it to be so; raises RecordsError."""
    _check(order)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        known = _known(folder)
        mine = {"edition": EDITION, "seed": order.seed, "years": order.years}
        if any(known.get(name) != value for name, value in mine.items()):
            raise RecordsError(f"{folder} holds the run {known}, expected one of {mine}")
        if known["patients"] > order.patients:
            raise RecordsError(
                f"{folder} holds a run of {known['patients']} patients, "
                f"expected at most {order.patients}"
            )
    _mark(folder, order, whole=False)


def _check(order: Order) -> None:
    if not 1 <= order.patients <= PATIENTS_LIMIT:
        raise RecordsError(f"got {order.patients} patients, expected 1 to {PATIENTS_LIMIT}")
    if not 1 <= order.years <= YEARS_LIMIT:
        raise RecordsError(f"got {order.years} years, expected 1 to {YEARS_LIMIT}")


def _known(folder: Path) -> dict[str, Any]:
    """What the marker says; raises RecordsError without one."""
    marker = folder / MARKER
    try:
        known = json.loads(marker.read_text())
    except (OSError, ValueError) as error:
        raise RecordsError(
            f"{folder} holds files and is not a generated folder; nothing was touched"
        ) from error
    if not isinstance(known, dict) or not isinstance(known.get("patients"), int):
        raise RecordsError(f"{marker} is not what `heartwood generate` writes")
    return known


def _mark(folder: Path, order: Order, whole: bool) -> None:
    said = {"made by": "heartwood generate", "edition": EDITION, **order._asdict(), "whole": whole}
    replace_file(folder / MARKER, json.dumps(said, indent=1).encode() + b"\n")
