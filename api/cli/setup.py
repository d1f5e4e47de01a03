"""`init` and `accept-restore`: the beginning of a ledger, and its going on after a loss."""

from typing import Annotated

import typer

from api.bootstrap import create_ledger, open_ledger
from api.cli.app import As, Data, Json, actor, app, say, settings
from records.restoring import accept_restore

Origin = Annotated[
    str, typer.Option(help="The log's name: a URL without schema, e.g. heartwood.example/log.")
]


@app.command()
def init(data: Data = None, origin: Origin = "heartwood.local/log", json_: Json = False) -> None:
    """Make a new ledger: keys, roots, schema and entry 0. Never over one that is there."""
    config = settings(data)
    created = create_ledger(config, origin)
    fields = {
        "origin": created.origin,
        "account": created.operator.account,
        "key": created.operator.key.id,
        "keyfile": created.keyfile,
        "vkey": config.data / "log.vkey",
        "seq": 0,
    }
    lines = [
        f"the ledger {created.origin} is in {config.data}",
        f"operator's key: {created.keyfile} (keep it safe; it admits hospitals)",
        f"verifier keys: {config.data / 'log.vkey'} (give them to auditors, by another way)",
    ]
    if config.root is None:
        lines.append(
            f"note: the root keys lie beside the data, in {config.roots()}: a thief of this disk has all. "
            "HEARTWOOD_ROOT puts them elsewhere."
        )
    say(json_, fields, *lines)


@app.command("accept-restore")
def accept(operator: As, data: Data = None, json_: Json = False) -> None:
    """Go on with a database older than the last checkpoint; the loss stands in the log for all to see."""
    acting = actor(operator)
    ledger = open_ledger(settings(data), restored=True)
    try:
        restored = accept_restore(ledger, acting, settings(data).data / "checkpoint")
    finally:
        ledger.close()
    fields = {"seq": restored.seq, "size": restored.size, "last_size": restored.last_size}
    lost = max(0, restored.last_size - restored.size)
    say(
        json_,
        fields,
        f"accepted: the log goes on from {restored.size} entries; {lost} that were acknowledged are known to "
        f"be lost (entry {restored.seq} says so)",
    )
