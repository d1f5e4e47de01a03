"""`keeper`: what the key keeper found in the log."""

from dataclasses import asdict

import typer

from api.app.opening import open_ledger
from api.cli.app import GOOD, WRONG, Data, Json, app, say, settings
from crypto.texts import counted
from storage.feeding import feed

keeper_app = typer.Typer(help="The key keeper.", no_args_is_help=True)
app.add_typer(keeper_app, name="keeper")


@keeper_app.command("alarms")
def alarms(data: Data = None, json_: Json = False) -> None:
    """Let the keeper read the log to its end, and say what it found that the rules don't give; then it ends with 1."""
    ledger = open_ledger(settings(data))
    try:
        feed(ledger, ledger.head().size)
        stands, found = ledger.keeper.standing(), ledger.keeper.alarms()
    finally:
        ledger.close()
    lines = [f"ALARM: entry {one.seq}{_where(one.taken)}: {one.what}" for one in found]
    verdict = (
        f"{counted(len(found), 'alarm')}: somebody wrote into the log what the rules don't give. `heartwood audit` of an "
        "export says what the log holds"
        if found
        else "no alarm"
    )
    fields = {"size": stands.size, "alarms": [asdict(one) for one in found]}
    say(json_, fields, f"the key keeper has read {counted(stands.size, 'entry')}", *lines, verdict)
    raise typer.Exit(WRONG if found else GOOD)


def _where(taken: bool) -> str:
    return "" if taken else ", which the keeper was given to read and refused"
