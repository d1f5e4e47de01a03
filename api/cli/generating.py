"""`generate`: synthetic patients as FHIR bundles, for tests, trials and measurements."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from api.cli.app import Json, app, progress_console, say
from crypto.texts import counted
from imports import generating
from imports.generating import PATIENTS_LIMIT, YEARS_LIMIT, Generated, Order
from synthetic import YEARS


@app.command()
def generate(
    directory: Annotated[
        Path,
        typer.Argument(
            help="A folder: new, empty, or of an earlier run with the same options, which continues."
        ),
    ],
    patients: Annotated[
        int, typer.Option(min=1, max=PATIENTS_LIMIT, help="How many patients.")
    ] = 100,
    seed: Annotated[
        int, typer.Option(help="The same seed gives the same patients, whatever their number.")
    ] = 1,
    years: Annotated[
        int, typer.Option(min=1, max=YEARS_LIMIT, help="How many years the records go back.")
    ] = YEARS,
    workers: Annotated[int, typer.Option(min=1, help="Processes that write in parallel.")] = 1,
    json_: Json = False,
) -> None:
    """Generate synthetic patients: one FHIR R4 bundle each, and files of hospitals and doctors."""
    with _bar(patients) as progress:
        done = generating.generate(directory, Order(seed, patients, years), workers, progress)
    fields = {
        "directory": directory,
        "seed": seed,
        "years": years,
        "patients": done.patients,
        "deceased": done.deceased,
        "kept": done.kept,
        "encounters": done.types["Encounter"],
        "resources": done.resources,
        "types": dict(sorted(done.types.items())),
        "files": done.files,
        "bytes": done.bytes,
        "seconds": round(done.seconds, 3),
    }
    say(json_, fields, *_lines(directory, done))


@contextmanager
def _bar(patients: int) -> Iterator[generating.Progress]:
    """A progress bar on standard error, where that is a terminal."""
    columns = (TextColumn("patients"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=progress_console(), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("patients", total=patients)
        yield lambda done, size: bar.update(task, completed=done, total=size)


def _lines(directory: Path, done: Generated) -> list[str]:
    seconds = max(done.seconds, 1e-9)
    lines = [
        f"{counted(done.patients, 'patient')} ({done.deceased} deceased), "
        f"{done.types['Encounter']} encounters, {counted(done.resources, 'resource')}:",
        *(f"  {count:>9} {kind}" for kind, count in sorted(done.types.items())),
        f"{counted(done.files, 'file')}, {done.bytes / 1e6:.1f} MB in {done.seconds:.1f} s: "
        f"{done.patients / seconds:,.0f} patients/s, {done.bytes / 1e6 / seconds:,.1f} MB/s, "
        f"in {directory}",
    ]
    if done.kept:
        lines.append(f"{counted(done.kept, 'patient')} were there already and stay as they are")
    return lines
