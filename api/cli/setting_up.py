"""`account set-up`: the operator's first sign-in, by the link that `init` printed."""

from typing import Annotated

import typer

from api.cli.accounts import account_app
from api.cli.app import Data, Json, Url, at, say
from api.cli.factors import recovery_lines, show_seed
from api.cli.held import new_password, secret
from api.cli.sessions import PasswordFile


@account_app.command("set-up")
def set_up(
    link: Annotated[
        str, typer.Argument(help="What `init` printed; asked for if it isn't given.")
    ] = "",
    password_file: PasswordFile = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Set the operator's password and one-time codes by the link that `init` printed: once, within a day.

    Shows a QR code for an app, asks for a new password and a code, and prints ten recovery codes once. The operator's key file
    stays valid, and lets the service keep a key (`account key keep`), which signs in sessions by password.
    """
    link = link or secret("The link that init printed")
    with at(data, url) as client:
        begun = client.begin_setup(link)
        password = new_password(password_file)
        show_seed(begun.uri, begun.seed)
        done = client.complete_setup(link, password, secret("Code"))
    say(
        json_,
        {"account": done.account, "recovery": list(done.recovery)},
        *recovery_lines(done.recovery),
        f"next: heartwood account key keep --as KEYFILE, then heartwood account sign-in {done.account}",
    )
