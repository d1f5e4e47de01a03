"""`import`: existing hospital data into records; beside the data only."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from api.cli.app import As, Data, Json, actor, app, opened, progress_console, say
from records.errors import RecordsError
from records.imports import import_bundles


@app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(help="FHIR R4 bundles, or folders of them.")],
    system: As,
    hospital: Annotated[str, typer.Option(help="Whose data it is; must be the system's own.")],
    data: Data = None,
    json_: Json = False,
) -> None:
    """Import FHIR R4 bundles as a hospital's system: one record for each encounter and category."""
    acting = actor(system)
    if acting.hospital != hospital:
        raise RecordsError(
            f"{system} acts for {acting.hospital or 'no hospital'}, not for {hospital}"
        )
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=progress_console(),
        disable=not sys.stderr.isatty(),
    )
    with opened(data) as ledger, bar:
        task = bar.add_task("looking", total=None)
        summary = import_bundles(
            ledger,
            acting,
            paths,
            lambda step, done, size: bar.update(task, description=step, completed=done, total=size),
        )
        size = ledger.head().size
    fields = dataclasses.asdict(summary) | {"found": summary.found, "size": size}
    fields["records"] = dict(summary.records)  # asdict makes a Counter of pairs out of a Counter
    total = sum(summary.records.values())
    rows = [f"  {count:>7} {category}" for category, count in sorted(summary.records.items())]
    lines = [
        f"{summary.files} files: {summary.found} resources = {summary.own} imported + "
        f"{summary.known_resources} of patients known before + {summary.references} reference + "
        f"{summary.unassigned} unassigned",
        f"{summary.patients} patients, {summary.encounters} encounters, {total} records:",
        *rows,
        f"{summary.content / 1e6:.1f} MB of records in {summary.seconds:.1f} s, "
        f"{summary.own / max(summary.seconds, 1e-9):,.0f} resources/s; the log has {size} entries",
    ]
    if summary.known:
        lines.append(f"{summary.known} patients were known before and left as they are")
    if summary.unassigned:
        lines.append(
            f"{summary.unassigned} resources could be assigned to no patient: NOT imported"
        )
    say(json_, fields, *lines)
