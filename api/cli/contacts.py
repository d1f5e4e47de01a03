"""`account contact`: how one is reached."""

from dataclasses import asdict
from typing import Annotated

import typer

from api.cli.accounts import account_app
from api.cli.app import As, Data, Json, Url, actor, at, say
from client.operations import CONTACT
from journeys.errors import RecordsError
from people.contacts import ContactShown


@account_app.command("contact")
def account_contact(
    who: As,
    address: Annotated[
        str, typer.Option("--give", help="An e-mail address to be reached at; a code goes there.")
    ] = "",
    language: Annotated[
        str, typer.Option(help="The language to write in, en or de; with --give by default en.")
    ] = "",
    code: Annotated[str, typer.Option("--prove", help="The code that came by mail.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Remove the address.")] = False,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Show how you are reached, give an address, prove it by its code, or remove it. Nothing of it stands in the log.

    Until an address is proved, nothing but its code is sent there. --language alone changes that of the proved address.
    """
    if sum((bool(address), bool(code), remove)) > 1:
        raise RecordsError("give one of --give, --prove and --remove")
    acting = actor(who)
    with at(data, url) as client:
        if code:
            client.prove_contact(code)
        if remove:
            client.remove_contact(acting)
        shown = client.ask(acting, CONTACT)
        if address:
            shown = client.give_contact(acting, address, language or "en")
        elif language and shown.address:
            shown = client.give_contact(acting, shown.address, language)
        elif language:
            raise RecordsError(
                "--language is of the address: give one with --give, or prove it first"
            )
    say(json_, asdict(shown), *_lines(shown))


def _lines(shown: ContactShown) -> list[str]:
    lines = [f"mail goes to {shown.address} ({shown.language}), proved {shown.proved}"]
    if not shown.address:
        lines = [
            "there is no address: you are not told of what happens to your account and your record"
        ]
    if shown.pending:
        lines.append(
            f"a code goes to {shown.pending}; it counts until {shown.pending_until}: heartwood account contact --prove CODE"
        )
    return lines
