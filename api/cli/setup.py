"""`init`, `passphrase`, `accept-restore`, `accept-clock`: a ledger's beginning, and its going on after what went wrong."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from api.app.creating import create_ledger
from api.app.maintenance import believe_clock
from api.app.opening import open_ledger
from api.app.settings import Settings
from api.cli.app import As, Data, Json, actor, app, count, say, settings
from api.cli.progress import bar
from api.operator.restoring import accept_restore
from api.operator.rewrapping import change_passphrase
from crypto.texts import counted
from journeys.errors import RecordsError
from keeper.roots import FilePlace
from ledger.times import format_time

Origin = Annotated[
    str, typer.Option(help="The log's name: a URL without its scheme, e.g. heartwood.example/log.")
]


@app.command()
def init(data: Data = None, origin: Origin = "heartwood.local/log", json_: Json = False) -> None:
    """Create a new ledger: keys, roots, schema and entry 0. Never overwrites an existing one."""
    config = settings(data)
    created = create_ledger(config, origin)
    fields = {
        "origin": created.origin,
        "account": created.operator.account,
        "key": created.operator.key.id,
        "keyfile": created.keyfile,
        "vkey": config.data / "log.vkey",
        "seq": 0,
        "setup_link": created.setup_link,
    }
    lines = [
        f"the ledger {created.origin} is in {config.data}",
        f"operator's key: {created.keyfile} (keep it safe; it admits hospitals)",
        f"to sign in as the operator without that file, once and within a day: heartwood account set-up {created.setup_link}",
        f"verifier keys: {config.data / 'log.vkey'} (give them to auditors through another channel)",
    ]
    place = config.root_place()
    if not isinstance(place, FilePlace):
        lines.append(f"record root: {place}; no record opens without it (`heartwood root show`)")
    elif config.root is None:
        lines.append(
            f"note: the root keys are next to the data, in {config.roots()}: whoever steals this disk has everything. "
            "Set HEARTWOOD_ROOT to keep them elsewhere."
        )
    say(json_, fields, *lines)


@app.command()
def passphrase(
    keyfiles: Annotated[
        list[Path] | None,
        typer.Argument(help="Key files kept elsewhere; those in the data directory are included."),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Remove the passphrase.")] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Change the passphrase of the root keys, the log's keys and key files.

    HEARTWOOD_PASSPHRASE is the old one and HEARTWOOD_NEW_PASSPHRASE the new one; what is missing is asked for. If the
    command is interrupted, run it again with both.
    """
    config = settings(data)
    new = None if none else _new_passphrase(config)
    with bar("changing the passphrase") as progress:
        done = change_passphrase(config, new, keyfiles or (), progress)
    lines = [
        f"{count(len(done.changed), 'file')} now {'without a' if none else 'under the new'} passphrase",
        *(f"left as it is, it opens under neither: {path}" for path in done.left),
        *(
            f"no passphrase plays a part in {path}: see `heartwood root show`"
            for path in done.elsewhere
        ),
        "backups made before still need the old one",
    ]
    fields = {name: list(map(str, paths)) for name, paths in vars(done).items()}
    say(json_, fields, *lines)


def _new_passphrase(config: Settings) -> str:
    if config.new_passphrase:
        return config.new_passphrase.get_secret_value()
    if not sys.stdin.isatty():
        raise RecordsError("set HEARTWOOD_NEW_PASSPHRASE to the new passphrase, or give --none")
    asked: str = typer.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)
    return asked


@app.command("accept-clock")
def accept_clock(
    now: Annotated[
        str,
        typer.Argument(
            metavar="TIME",
            help="The current time by another clock, with its UTC offset: 2027-03-01T14:05+01:00.",
        ),
    ],
    data: Data = None,
    json_: Json = False,
) -> None:
    """Confirm this machine's clock after it was set, or after the ledger was unused for a long time."""
    said = _moment(now)
    believe_clock(settings(data), said)
    say(
        json_,
        {"accepted": format_time(said)},
        "accepted: this machine's clock is trusted from now on. `heartwood status` says whether anything else is wrong",
    )


def _moment(text: str) -> int:
    """Unix ms of a time with its zone; raises RecordsError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min
    if moment.tzinfo is None:
        raise RecordsError(
            f"got {text[:40]!r}, expected a time with its UTC offset, such as 2027-03-01T14:05+01:00 or "
            "2027-03-01T13:05Z"
        )
    return int(moment.timestamp() * 1000)


@app.command("accept-restore")
def accept(operator: As, data: Data = None, json_: Json = False) -> None:
    """Continue with a database older than the last checkpoint; the log records the loss for everyone to see."""
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
        f"accepted: the log continues from {counted(restored.size, 'entry')}; known to be lost: "
        f"{counted(lost, 'acknowledged entry')} (entry {restored.seq} says so)",
    )
