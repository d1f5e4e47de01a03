"""`account`: what people do about their own account, and those who decide on them."""

import typer

from api.cli.app import app

account_app = typer.Typer(help="Accounts: registering, applying, signing in.", no_args_is_help=True)
app.add_typer(account_app, name="account")
