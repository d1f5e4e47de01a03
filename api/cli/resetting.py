"""`account reset`, `revoke-recovery`: a forgotten password is replaced, and a recovery that somebody else asked for stopped."""

from typing import Annotated

import typer

from api.cli.accounts import account_app
from api.cli.app import Data, Json, Url, at, say
from api.cli.held import second, secret
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


@account_app.command("revoke-recovery")
def account_revoke_recovery(
    who: Annotated[str, typer.Argument(help="Your account's id, or its e-mail address.")],
    code: Annotated[
        bool, typer.Option("--code", help="Show a code or a recovery code, not the password.")
    ] = False,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Revoke a recovery of your account that you didn't ask for, before its key counts, by your password or by a code.

    They do so once: the recovery that is opened after you were identified again goes on. A key of yours revokes each
    (`heartwood key revoke`). Password or code is asked for, or read as a line of standard input.
    """
    shown = second() if code else ("", "")
    password = "" if code else secret("Password")
    with at(data, url) as client:
        seq = client.revoke_recovery(who, password, *shown)
    say(json_, {"seq": seq}, f"entry {seq}: the recovery was revoked; its key will never count")
