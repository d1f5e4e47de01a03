"""`account passkeys list`, `remove`: the passkeys that one signs in by; a browser makes them."""

import re
from typing import Annotated

import typer

from api.cli.accounts import account_app
from api.cli.app import As, Data, Json, Url, actor, at, say
from client import operations
from crypto.texts import counted
from journeys.errors import RecordsError

passkeys_app = typer.Typer(
    help="Your passkeys, which a browser makes and signs in by.", no_args_is_help=True
)
account_app.add_typer(passkeys_app, name="passkeys")


@passkeys_app.command("list")
def passkeys_list(who: As, data: Data = None, url: Url = None, json_: Json = False) -> None:
    """List your passkeys, the newest first."""
    acting = actor(who)
    with at(data, url) as client:
        found = client.ask(acting, operations.OWN_PASSKEYS)
    lines = [
        f"{one.passkey}  since {one.created}, last used {one.used}"
        + (f"; its counter went back on {one.regressed}: remove it" if one.regressed else "")
        for one in found
    ]
    rows = operations.OWN_PASSKEYS.codec.encode(found)
    say(json_, {"passkeys": rows}, *lines, counted(len(found), "passkey"))


@passkeys_app.command("remove")
def passkeys_remove(
    passkey: Annotated[
        str, typer.Argument(help="The passkey, as `account passkeys list` shows it.")
    ],
    who: As,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Remove one of your passkeys, after a fresh code or with your key; all your other sessions by password end."""
    if not re.fullmatch("[0-9a-f]{32}", passkey):
        raise RecordsError(f"{passkey[:60]!r} is not a passkey as `account passkeys list` shows it")
    acting = actor(who)
    with at(data, url) as client:
        client.remove_passkey(acting, passkey)
    say(json_, {"passkey": passkey}, f"Removed the passkey {passkey}")
