"""`account number`: the mobile number by which a patient may be found."""

from dataclasses import asdict
from typing import Annotated

import typer

from api.cli.accounts import account_app
from api.cli.app import As, Data, Json, Url, actor, at, say
from api.cli.charts import PatientOption, chart_of
from client.operations import NUMBER
from people.numbers import NumberShown

number_app = typer.Typer(
    help="A mobile number by which those who may find your chart.", no_args_is_help=True
)
account_app.add_typer(number_app, name="number")


@number_app.command("show")
def show(
    who: As, patient: PatientOption = None, data: Data = None, url: Url = None, json_: Json = False
) -> None:
    """Show since when a number is stated. The number itself is kept nowhere."""
    acting = actor(who)
    with at(data, url) as client:
        chart = chart_of(client, acting, patient)
        shown = client.ask(acting, NUMBER, patient=chart)
    say(json_, {"patient": chart, **asdict(shown)}, _line(chart, shown))


@number_app.command("set")
def set_(
    number: Annotated[str, typer.Argument(help="With its country code: '+49 170 1234567'.")],
    who: As,
    patient: PatientOption = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """State a number, in place of the one before. What is kept of it is a keyed hash."""
    acting = actor(who)
    with at(data, url) as client:
        chart = chart_of(client, acting, patient)
        shown = client.state_number(acting, chart, number)
    say(json_, {"patient": chart, **asdict(shown)}, _line(chart, shown))


@number_app.command("remove")
def remove(
    who: As, patient: PatientOption = None, data: Data = None, url: Url = None, json_: Json = False
) -> None:
    """Let no number find your chart."""
    acting = actor(who)
    with at(data, url) as client:
        chart = chart_of(client, acting, patient)
        client.remove_number(acting, chart)
    say(json_, {"patient": chart, "stated": ""}, f"no number finds {chart}")


def _line(chart: str, shown: NumberShown) -> str:
    if not shown.stated:
        return f"no number finds {chart}"
    return f"the number that was stated on {shown.stated} finds {chart}, for those who may"
