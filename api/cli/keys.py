"""`keys`: new keys for a subject, or for all."""

from dataclasses import asdict
from typing import Annotated

import typer

from api.cli.app import GOOD, WRONG, Data, Json, app, opened, say, settings
from api.cli.progress import bar
from crypto.texts import counted
from journeys.errors import RecordsError
from storage.maintenance.renewing import Renewing

keys_app = typer.Typer(help="The keys of patients, accounts and hospitals.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")


@keys_app.command("renew")
def renew(
    subject: Annotated[
        str, typer.Option("--subject", help="The patient, account or hospital whose keys to renew.")
    ] = "",
    all_: Annotated[bool, typer.Option("--all", help="Renew everybody's.")] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Make new KEKs, put every key under them, and destroy the old ones, while the ledger is in use.

    If it is interrupted, run it again: it continues where it was. Ends with 1 if a key is found that nothing opens.
    """
    if bool(subject) == all_:
        raise RecordsError("name one with --subject, or give --all")
    with opened(data) as ledger, bar("renewing keys") as progress:
        renewing = Renewing(ledger.keys, ledger.keeper)
        done = renewing.all(settings(data).data, progress) if all_ else renewing.one(subject)
    lines = [f"LOST: {name}: no kept key opens it" for name in done.lost]
    lines.append(
        f"{counted(done.keys, 'key')} of {counted(done.subjects, 'subject')} re-wrapped; "
        f"{counted(done.destroyed, 'old KEK')} destroyed"
    )
    lines.append(
        "backups made before open only with a backup of the keeper made before: make new ones of both"
    )
    say(json_, asdict(done), *lines)
    raise typer.Exit(WRONG if done.lost else GOOD)
