"""`import`: existing hospital data into records; beside the data only."""

import dataclasses
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from api.cli.app import WRONG, As, Data, Json, actor, app, opened, progress_console, say
from crypto.texts import counted
from imports.report import CORRECTIONS, REJECTS, REVIEW, Report, Summary
from journeys.days import TEEN_YEARS
from journeys.errors import RecordsError

REASONS_SHOWN = 10
"""Most kinds of reasons that the summary lists."""


@app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.")],
    system: As,
    hospital: Annotated[str, typer.Option(help="Whose data it is; must be the system's own.")],
    patient: Annotated[
        str, typer.Option(help="An identifier of the patient whose attachments are in no manifest.")
    ] = "",
    mapping: Annotated[
        Path | None,
        typer.Option(help="What the columns of tables mean (TOML); by default those of Synthea."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Which codes are sensitive (CSV); by default the built-in list."),
    ] = None,
    source: Annotated[
        str,
        typer.Option(help="The system whose ids these are: `Patient/4711` is unique within it."),
    ] = "",
    placeholders: Annotated[
        Path | None,
        typer.Option(
            help="Which numbers identify nobody (one per line); by default the built-in list."
        ),
    ] = None,
    claim_codes: Annotated[
        Path | None,
        typer.Option(
            help="A folder for letters with claim codes (PDF), one for each patient who is registered."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="A folder for rejects and corrections, one per import; created when needed."
        ),
    ] = None,
    accept_rejects: Annotated[
        bool,
        typer.Option(
            help="End with 0 even if units were rejected, and skip folders that can't be read."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Show what would happen; write no record.")] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Import FHIR bundles, tables, HL7 v2 messages and attachments as a hospital's system.

    Every unit found is imported, a reference, or rejected with the reason; it ends with 1 if any was
    rejected. Run it again after an interruption, or with corrected rejects: what is already known is left alone.
    """
    from imports.labels import Labels  # here, as no other command needs them: a tenth of each start
    from imports.run import Options, import_paths
    from imports.tables import Mapping
    from people.placeholders import Placeholders

    acting = actor(system)
    if acting.hospital != hospital:
        raise RecordsError(
            f"{system} acts for {acting.hospital or 'no hospital'}, not for {hospital}"
        )
    folder = report or Path(f"import-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    if any((folder / name).exists() for name in (REJECTS, CORRECTIONS, REVIEW)):
        # Two reports in one would have a rejected row twice, and its mending would import it twice.
        raise RecordsError(f"{folder} already holds a report; choose another folder with --report")
    options = Options(
        patient=patient,
        mapping=Mapping.read(mapping) if mapping else None,
        labels=Labels.read(labels) if labels else None,
        source=source,
        placeholders=Placeholders.read(placeholders) if placeholders else None,
        accept=accept_rejects,
        claim_codes=claim_codes,
        dry=dry_run,
        report=folder,
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
        book = import_paths(
            ledger,
            acting,
            paths,
            options,
            lambda step, done, size: bar.update(task, description=step, completed=done, total=size),
        )
        size, summary = ledger.head().size, book.summary
    say(
        json_,
        _fields(summary, book) | {"dry_run": dry_run, "size": size},
        *_lines(summary, book, dry_run, size),
    )
    if summary.rejected and not accept_rejects:
        raise typer.Exit(WRONG)


def _fields(summary: Summary, book: Report) -> dict[str, Any]:
    fields = dataclasses.asdict(summary) | {"imported": summary.imported}
    for name in ("records", "reasons"):  # asdict makes a Counter of pairs out of a Counter
        fields[name] = dict(getattr(summary, name))
    for name in (REJECTS, CORRECTIONS, REVIEW):
        path = book.path(name)
        fields[name.removesuffix(".jsonl") + "_file"] = str(path) if path else ""
    return fields


def _lines(summary: Summary, book: Report, dry: bool, size: int) -> list[str]:
    made = sum(summary.records.values())
    lines = [
        f"{counted(summary.files, 'file')}: {counted(summary.found, 'unit')} found = {summary.imported} imported + "
        f"{summary.references} reference + {summary.rejected} rejected",
        f"imported: {summary.new} new, {summary.amended} amended, {summary.known} known before, "
        f"{summary.duplicates} twice in a file",
        f"{counted(summary.patients, 'patient')} registered, {counted(summary.encounters, 'encounter')}, {counted(made, 'record')}, "
        f"{summary.amendments} new versions",
        *(f"  {count:>7} {category}" for category, count in sorted(summary.records.items())),
    ]
    if summary.unlettered:
        lines.append(
            f"{counted(summary.unlettered, 'patient')} without a claim letter: under {TEEN_YEARS}, or of unknown age"
        )
    if summary.unresolved:
        lines.append(f"{summary.unresolved} references point nowhere; they are kept as they are")
    if path := book.path(CORRECTIONS):
        lines.append(f"{summary.corrections} corrections, each in {path}")
    if summary.doubts:
        lines.append(
            f"{summary.doubts} values could not be read for certain and stay as they are, listed there too"
        )
    if summary.moved:
        lines.append(
            f"{counted(summary.moved, 'unit')} stand in another patient's chart as well; each is in {book.path(REVIEW)}: "
            "retract the wrong record"
        )
    if summary.rejected:
        lines.append(
            f"NOT imported: {counted(summary.rejected, 'unit')}, to be corrected; see {book.path(REJECTS)}:"
        )
        lines += [f"  {n:>7} {reason}" for reason, n in summary.reasons.most_common(REASONS_SHOWN)]
    if dry:
        return [*lines, "this was a dry run: nothing was imported"]
    lines.append(
        f"{summary.content / 1e6:.1f} MB of records in {summary.seconds:.1f} s, "
        f"{summary.found / max(summary.seconds, 1e-9):,.0f} units/s; the log has {counted(size, 'entry')}"
    )
    return lines
