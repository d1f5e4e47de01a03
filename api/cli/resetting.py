"""`account reset`: a forgotten password is replaced, by a mail and the second factor."""

from typing import Annotated

import typer

from api.cli.accounts import account_app
from api.cli.app import Data, Json, Url, at, say
from api.cli.held import secret
from journeys.errors import RecordsError


@account_app.command("reset")
def account_reset(
    who: Annotated[
        str, typer.Argument(help="Your account's id or its e-mail address, to which a link goes.")
    ] = "",
    link: Annotated[
        str, typer.Option("--link", help="The link that came by mail: set another password.")
    ] = "",
    recovery: Annotated[
        bool, typer.Option("--recovery", help="Show a recovery code, not a one-time code.")
    ] = False,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Replace a forgotten password: a link goes to the account's address; with it and a code you set another one.

    The answer is the same whether or not there is such an account. Code and password are asked for, or read as lines of
    standard input. If you have lost the second factor, too, let the hospital that registered you, or the service, identify you.
    """
    if bool(who) == bool(link):
        raise RecordsError("give your account, or --link with the link that came by mail")
    with at(data, url) as client:
        if who:
            client.ask_reset(who)
            say(
                json_,
                {},
                "if there is such an account with an address, a link goes there; it counts for 10 minutes",
            )
            return
        shown = secret("Recovery code" if recovery else "Code")
        new = secret("New password")
        client.reset_password(link, new, "" if recovery else shown, shown if recovery else "")
    say(json_, {}, "The password was replaced, and all sessions by password ended")
