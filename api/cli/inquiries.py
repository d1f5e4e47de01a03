"""`inquiry`: ask whoever stated a number or holds a health card, and see who asks so."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from api.cli.acting import For, acting_for
from api.cli.app import As, Data, Json, Url, actor, app, at, say
from api.cli.charts import PatientOption, chart_of
from client import inquiries
from crypto.texts import counted
from journeys.sealing import check_category
from records.inquiries import Inquiry

inquiry_app = typer.Typer(
    help="Inquiries: ask by a number or a health card; nothing tells whether there is such a person.",
    no_args_is_help=True,
)
app.add_typer(inquiry_app, name="inquiry")
InquiryId = Annotated[str, typer.Argument(help="The inquiry's id, ev_….")]


@inquiry_app.command("send")
def send(
    to: Annotated[
        str,
        typer.Argument(help="A number with its country code, or what a health card holds: pt_…."),
    ],
    asker: As,
    words: Annotated[str, typer.Option(help="Who you are and why you ask; nothing clinical.")],
    days: Annotated[int, typer.Option(min=1, help="For how many days.")] = 30,
    category: Annotated[
        list[str] | None, typer.Option("--category", help="Only these categories.")
    ] = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Ask for access, as a doctor, a hospital's admin or a relative, without knowing whether there is such a person.

    It counts for 30 days. Whoever stated the number reads the words, and nobody has proved that it is theirs.
    """
    acting = actor(asker)
    for one in category or ():
        check_category(one)
    with at(data, url) as client:
        done = inquiries.inquire(client, acting, to, words, days, tuple(category or ()))
    say(json_, asdict(done), f"asked, if there is such a person; it counts until {done.until}")


@inquiry_app.command("list")
def list_(
    reader: As,
    patient: PatientOption = None,
    for_: For = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """List who asks you by your number or health card."""
    acting = actor(reader)
    with at(data, url) as client:
        acting = acting_for(client, acting, for_)
        chart = chart_of(client, acting, for_ or patient)
        found = inquiries.listed(client, acting, chart)
    fields: dict[str, Any] = {"patient": chart, "inquiries": [asdict(one) for one in found]}
    lines = [line for one in found for line in _lines(one)]
    say(json_, fields, *lines, f"{counted(len(found), 'inquiry')} to {chart}")


@inquiry_app.command("grant")
def grant(
    inquiry: InquiryId,
    patient_key: As,
    days: Annotated[int, typer.Option(min=0, help="For fewer days; 0: as asked.")] = 0,
    patient: PatientOption = None,
    for_: For = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Give whoever asks access, as asked or for fewer days: a doctor, or a hospital whose admin asks."""
    acting = actor(patient_key)
    with at(data, url) as client:
        acting = acting_for(client, acting, for_)
        chart = chart_of(client, acting, for_ or patient)
        one = inquiries.found(client, acting, chart, inquiry)
        given, seq = inquiries.grant(client, acting, chart, one, days)
    whom = one.asker if one.role == "doctor" else one.hospital
    fields = {"inquiry": inquiry, "patient": chart, "grant": given, "seq": seq}
    say(json_, fields, f"Granted {whom} access: {given}, entry {seq}")


@inquiry_app.command("dismiss")
def dismiss(
    inquiry: InquiryId,
    patient_key: As,
    patient: PatientOption = None,
    for_: For = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Be troubled with an inquiry no more. Whoever asked isn't told."""
    acting = actor(patient_key)
    with at(data, url) as client:
        acting = acting_for(client, acting, for_)
        chart = chart_of(client, acting, for_ or patient)
        client.dismiss_inquiry(acting, chart, inquiry)
    say(json_, {"inquiry": inquiry, "patient": chart}, f"dismissed {inquiry}")


def _lines(one: Inquiry) -> list[str]:
    who = one.name or one.asker
    at_ = f" of {one.hospital}" if one.hospital else ""
    what = f"{', '.join(one.categories)} of your chart" if one.categories else "your chart"
    return [
        f"{one.inquiry}  {one.role} {who}{at_} asks for {what}, for {counted(one.days, 'day')}, until {one.until}",
        f"    {one.words}",
    ]
