"""`root`: how the record root is kept, and putting every KEK under a new one."""

from typing import Annotated

import typer

from api.cli.app import Data, Json, app, say, settings
from api.cli.progress import bar
from api.operator.rewrapping import rotate_root, show_roots
from crypto.texts import counted
from keeper.roots import parse_root_place

root_app = typer.Typer(help="The record root.", no_args_is_help=True)
app.add_typer(root_app, name="root")


@root_app.command("show")
def show(data: Data = None, json_: Json = False) -> None:
    """Show how the record root is kept, and how many keys are under it. Opens nothing."""
    found = show_roots(settings(data))
    lines = [
        f"root {one.generation}: {one.place} ({one.file}), {counted(one.keks, 'key')}"
        for one in found
    ]
    if len(found) > 1:
        lines.append("a rotation was begun and has not ended: run `heartwood root rotate` again")
    shown = [
        {
            "generation": one.generation,
            "kept": str(one.place),
            "file": str(one.file),
            "keys": one.keks,
        }
        for one in found
    ]
    say(json_, {"roots": shown, "rotating": len(found) > 1}, *lines)


@root_app.command("rotate")
def rotate(
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="How the new root is kept: file:, kms:KEY?region=… or pkcs11:MODULE?token=…&label=…; by default "
            "HEARTWOOD_RECORD_ROOT.",
        ),
    ] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Put every key under a new record root, while the ledger is in use, and destroy the old root.

    If the command is interrupted, run it again: it continues where it was.
    """
    config = settings(data)
    place = config.root_place() if to is None else parse_root_place(to)
    with bar("re-wrapping keys") as progress:
        done = rotate_root(config, place, progress)
    lines = []
    if done.resumed:
        lines.append("ended the rotation that was interrupted before, and began no other")
    lines.append(
        f"{counted(done.rewrapped, 'key')} re-wrapped; all are now under root {done.generation}, kept at {done.place}"
    )
    lines += [f"destroyed: {path}" for path in done.destroyed]
    lines += [
        f"nothing here uses {place} any more: schedule its deletion there" for place in done.left
    ]
    lines.append("backups of the keeper made before still open with the old root: make a new one")
    fields = {
        "generation": done.generation,
        "kept": str(done.place),
        "rewrapped": done.rewrapped,
        "destroyed": list(map(str, done.destroyed)),
        "left": list(map(str, done.left)),
        "resumed": done.resumed,
    }
    say(json_, fields, *lines)
