"""`generate`: synthetic patients as FHIR bundles, for tests, trials and measurements."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from api.app.layout import VKEYS
from api.cli.app import Json, app, progress_console, say
from crypto.texts import counted
from imports import generating
from imports.generating import PATIENTS_LIMIT, YEARS_LIMIT, Generated, Order
from synthetic import YEARS

YEAR_LEAST, ACTS_LEAST, ACTS_MOST = 250, 2_000, 10_000_000
"""Patients and acts that a year has at least, and acts that it has at most."""
PATIENTS, PATIENTS_OF_A_YEAR, ACTS_OF_A_YEAR = 100, 1_000, 200_000
"""Unless told otherwise."""


@app.command()
def generate(
    directory: Annotated[
        Path,
        typer.Argument(
            help="A folder: new, empty, or (without --year) of an earlier run with the same options, which continues."
        ),
    ],
    patients: Annotated[
        int | None,
        typer.Option(
            min=1, max=PATIENTS_LIMIT, help=f"How many patients: {PATIENTS}, or {PATIENTS_OF_A_YEAR:,} of a year."
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="The same seed gives the same patients, whatever their number.")
    ] = 1,
    years: Annotated[
        int, typer.Option(min=1, max=YEARS_LIMIT, help="How many years the records go back.")
    ] = YEARS,
    workers: Annotated[int, typer.Option(min=1, help="Processes that write in parallel.")] = 1,
    year: Annotated[
        bool,
        typer.Option("--year", help="A ledger instead, with what hospitals and patients did in the last year."),
    ] = False,
    acts: Annotated[
        int, typer.Option(min=ACTS_LEAST, max=ACTS_MOST, help="With --year: how many acts.")
    ] = ACTS_OF_A_YEAR,
    frauds: Annotated[
        bool, typer.Option("--frauds", help="With --year: plant what an audit has to find.")
    ] = False,
    json_: Json = False,
) -> None:  # fmt: skip
    """Generate synthetic patients: one FHIR R4 bundle each, and files of hospitals and doctors. Or a ledger with a year in it."""
    if year:
        _generate_year(directory, seed, patients or PATIENTS_OF_A_YEAR, acts, frauds, json_)
        return
    if frauds:
        raise typer.BadParameter("--frauds goes with --year")
    patients = patients or PATIENTS
    with _bar("patients", patients) as progress:
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


def _generate_year(
    directory: Path, seed: int, patients: int, acts: int, frauds: bool, json_: bool
) -> None:
    """The ledger, and what was planted in it."""
    from demo import year

    if patients < YEAR_LEAST:
        raise typer.BadParameter(f"--patients: got {patients}, expected at least {YEAR_LEAST} with --year")  # fmt: skip
    began = time.perf_counter()
    with _bar("acts", acts) as progress:
        made = year.make(directory, year.Order(seed, patients, acts, frauds), progress)
    fields = {
        "directory": directory,
        "seed": seed,
        "entries": made.entries,
        "acts": made.acts,
        "hospitals": made.hospitals,
        "doctors": made.doctors,
        "patients": made.patients,
        "records": made.records,
        "refused": made.refused,
        "planted": [asdict(one) for one in made.planted],
        "export": made.export,
        "seconds": round(time.perf_counter() - began, 3),
    }
    lines = [
        f"{counted(made.acts, 'act')} of a year in {counted(made.entries, 'entry')}: "
        f"{counted(made.hospitals, 'hospital')}, {counted(made.doctors, 'doctor')}, "
        f"{counted(made.patients, 'patient')}, {counted(made.records, 'record')}, "
        f"{counted(made.refused, 'reading')} refused, in {fields['seconds']:.0f} s",
        *(f"planted at entry {one.seq} ({one.kind}): {one.what}, {one.reader}" for one in made.planted),
        f"audit it: heartwood audit {made.export} --vkey {directory / VKEYS}",
    ]  # fmt: skip
    say(json_, fields, *lines)


@contextmanager
def _bar(what: str, total: int) -> Iterator[generating.Progress]:
    """A progress bar on standard error, where that is a terminal."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=progress_console(), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=total)
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
