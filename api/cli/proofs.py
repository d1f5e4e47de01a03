"""`receipt`, `check`, `export`, `verify`: proofs, and their checks without trusting the server."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from api.cli.app import (
    GOOD,
    UNPROVEN,
    As,
    Data,
    Json,
    Vkey,
    actor,
    app,
    opened,
    progress_console,
    say,
)
from ledger.auditor import check_receipt, read_vkeys, verify_export
from records.receipts import receipt as receipt_for
from storage.exports import write_export


@app.command()
def receipt(
    seq: Annotated[int, typer.Argument(help="The entry's number.")],
    who: As,
    out: Annotated[Path | None, typer.Option(help="Where to; by default standard output.")] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """The receipt of an entry that concerns you: entry, path and signed checkpoint."""
    acting = actor(who)
    with opened(data) as ledger:
        found, final = receipt_for(ledger, acting, seq)
    text = found.text()
    if out is not None:
        out.write_bytes(text)
    fields = {"seq": seq, "final": final, "receipt": out or text.decode()}
    state = "final" if final else "provisional: ask again in a second for the final one"
    say(json_, fields, f"entry {seq} in {out} ({state})" if out else text.decode())


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A receipt.")], vkey: Vkey = None, json_: Json = False
) -> None:
    """Check a receipt, offline: does its entry stand in the log that signed it?"""
    found = check_receipt(file.read_bytes(), read_vkeys(vkey))
    proven = vkey is not None
    words = (
        f"good: entry {found.index} stands in the log"
        if proven
        else "consistent, origin unproven: give the log's keys with --vkey"
    )
    say(json_, {"seq": found.index, "proven": proven}, words)
    raise typer.Exit(GOOD if proven else UNPROVEN)


@app.command()
def export(
    directory: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    data: Data = None,
    json_: Json = False,
) -> None:
    """Write the whole log as a folder that anyone can verify; it holds no clinical content."""
    with (
        opened(data) as ledger,
        Progress(
            console=progress_console(), transient=True, disable=not sys.stderr.isatty()
        ) as bar,
    ):
        task = bar.add_task("exporting", total=None)
        size = write_export(
            ledger, directory, lambda done, size: bar.update(task, completed=done, total=size)
        )
    say(json_, {"directory": directory, "size": size}, f"{size} entries in {directory}")


@app.command()
def verify(
    directory: Annotated[Path, typer.Argument(help="An export.")],
    vkey: Vkey = None,
    at_least: Annotated[
        Path | None, typer.Option(help="An older receipt that must still stand.")
    ] = None,
    signatures: Annotated[bool, typer.Option(help="Check the events' signatures.")] = True,
    json_: Json = False,
) -> None:
    """Verify an export, offline: every hash, chain, signature, signer, tile and the checkpoint."""
    older = at_least.read_bytes() if at_least else None
    report = verify_export(directory, read_vkeys(vkey), older, signatures)
    fields = {"size": report.size, "proven": report.proven, "seconds": round(report.seconds, 3)}
    say(json_, fields | vars(report.counts), *report.lines())
    raise typer.Exit(GOOD if report.proven else UNPROVEN)
