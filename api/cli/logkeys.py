"""`log-key`: the keys that sign the log's checkpoints, and handing them over to new ones."""

from pathlib import Path
from typing import Annotated

import typer

from api.app.opening import open_ledger
from api.cli.app import Data, Json, actor, app, say, settings
from api.operator.logkeys import HandedOver, forget_keys, retire_keys, rotate_keys

keys_app = typer.Typer(help="The keys that sign the log's checkpoints.", no_args_is_help=True)
app.add_typer(keys_app, name="log-key")
Operator = Annotated[Path, typer.Option("--as", help="The operator's key file.")]


@keys_app.command("show")
def show(data: Data = None, json_: Json = False) -> None:
    """Show the log's verifier keys by generation, and which of them sign."""
    ledger = open_ledger(settings(data))
    try:
        found, size = ledger.vkeys.generations, ledger.head().size
    finally:
        ledger.close()
    lines = []
    for one in found:
        state = f"retired by entry {one.retired}" if one.retired else "signs"
        lines += [f"entry {one.added}, {state}: {key}" for key in one.keys]
    shown = [
        {"added": one.added, "retired": one.retired, "vkeys": list(map(str, one.keys))}
        for one in found
    ]
    say(json_, {"size": size, "generations": shown}, *lines)


@keys_app.command("rotate")
def rotate(operator: Operator, data: Data = None, json_: Json = False) -> None:
    """Add new keys of the log: from the operator's entry on old and new keys sign every checkpoint.

    If the command is interrupted, run it again: it continues where it was.
    """
    config, acting = settings(data), actor(operator)
    ledger = open_ledger(config)
    try:
        done = rotate_keys(config, ledger, acting)
    finally:
        ledger.close()
    first = f"entry {done.seq} names the new keys of the log; old and new ones sign from there on"
    if not done.fresh:
        first = f"entry {done.seq} had named new keys before, and the old ones still sign: none were added"
    _say(
        json_, done, first,
        f"give {config.data / 'log.vkey'} to auditors, witnesses and clients, and make a new backup of the secrets",
        "then, when they have it: `heartwood log-key retire --as OPERATOR`",
    )  # fmt: skip


@keys_app.command("retire")
def retire(operator: Operator, data: Data = None, json_: Json = False) -> None:
    """Retire the keys before the newest ones: those sign alone from the operator's entry on.

    The old private keys stay until `heartwood log-key forget`. If the command is interrupted, run it again: it continues
    where it was.
    """
    config, acting = settings(data), actor(operator)
    ledger = open_ledger(config)
    try:
        done = retire_keys(config, ledger, acting)
    finally:
        ledger.close()
    _say(
        json_, done, f"entry {done.seq} retires the keys before; the newest sign alone from there on",
        "then, when every standby has that entry and a new backup is made: `heartwood log-key forget`",
    )  # fmt: skip


@keys_app.command("forget")
def forget(data: Data = None, json_: Json = False) -> None:
    """Destroy the private keys that are retired. A database that lacks the entry that retired them can't go on then.

    Run it when every standby has that entry and a backup was made since.
    """
    config = settings(data)
    ledger = open_ledger(config)
    try:
        done = forget_keys(config, ledger)
    finally:
        ledger.close()
    lines = [f"destroyed: {path}" for path in done.destroyed]
    _say(json_, done, *(lines or ["no private key of a retired pair is left in `keys`"]))


def _say(json_: bool, done: HandedOver, *lines: str) -> None:
    fields = {
        "seq": done.seq,
        "fresh": done.fresh,
        "vkeys": list(done.vkeys),
        "destroyed": list(map(str, done.destroyed)),
    }
    say(json_, fields, *lines)
