"""`request`: doctors and relatives ask for access; patients, those who act for them, and hospitals answer."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from api.cli.acting import For, acting_for
from api.cli.app import As, Data, Json, Url, actor, app, at, check_patient, count, say
from api.cli.charts import PatientOption, chart_of
from api.cli.consents import exception_of
from client import readings, requests
from client.requests import Asked, Smaller
from crypto.texts import counted
from identity.actors import Actor
from journeys.days import minute_in
from journeys.errors import NotThere, RecordsError
from journeys.sealing import check_category
from ledger.asking import DECLINED, DISCLOSED, OPEN, REFERRED, AccessRequest
from ledger.codes import GRANT_ACTIONS
from records.requests import RequestStanding

requests_app = typer.Typer(
    help="Requests for access: ask a patient or a hospital, and answer.", no_args_is_help=True
)
app.add_typer(requests_app, name="request")
Request = Annotated[str, typer.Argument(help="The request's id, ev_….")]
Records = Annotated[list[str] | None, typer.Option("--record", help="Only these records.")]
Categories = Annotated[list[str] | None, typer.Option("--category", help="Only these categories.")]
Since = Annotated[
    str, typer.Option("--date-from", help="Only from this clinical date, YYYY-MM-DD.")
]
Until = Annotated[
    str, typer.Option("--date-to", help="Only up to and including this clinical date.")
]
Authors = Annotated[
    list[str] | None, typer.Option("--author", help="Only what this person or hospital wrote.")
]


def _what(
    authors: Sequence[str] | None, categories: Sequence[str] | None, date_from: str, date_to: str
) -> dict[str, Any]:
    for one in categories or ():
        check_category(one)
    what: dict[str, Any] = {
        "authors": sorted(authors or ()), "categories": sorted(categories or ()), "date_from": date_from, "date_to": date_to,
    }  # fmt: skip
    return {name: value for name, value in what.items() if value}


@requests_app.command("send")
def send(
    patient: Annotated[str, typer.Argument(help="The patient pt_….")],
    asker: As,
    words: Annotated[str, typer.Option(help="Why you ask; sealed for the patient.")],
    days: Annotated[int, typer.Option(min=1, help="For how many days.")] = 30,
    purpose: Annotated[str, typer.Option(help="HL7 v3-ActReason.")] = "TREAT",
    record: Records = None,
    category: Categories = None,
    date_from: Since = "",
    date_to: Until = "",
    author: Authors = None,
    may: Annotated[
        list[str] | None,
        typer.Option(help=f"To do what: {', '.join(GRANT_ACTIONS)}; by default list and read."),
    ] = None,
    sensitive: Annotated[
        bool, typer.Option("--sensitive", help="Ask for sensitive records, too.")
    ] = False,
    hospital: Annotated[
        str, typer.Option(help="Ask this hospital, hs_…, for what it wrote, not the patient.")
    ] = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Ask for access to a chart, as a doctor or a relative. It waits 30 days for an answer.

    The patient is told by mail, or the administrators of the hospital that is asked. Without an answer, nothing is told.
    """
    acting, chart = actor(asker), check_patient(patient)
    what = _what(author, category, date_from, date_to)
    asked = Asked(
        words, days, purpose, tuple(may or ("list", "read")), tuple(record or ()), what, sensitive, hospital
    )  # fmt: skip
    with at(data, url) as client:
        request, seq = requests.ask(client, acting, chart, asked)
    fields = {"request": request, "patient": chart, "seq": seq}
    whom = hospital or chart
    say(
        json_, fields, f"Asked {whom} for access for {counted(days, 'day')}: {request}, entry {seq}"
    )


@requests_app.command("list")
def list_(
    reader: As,
    patient: PatientOption = None,
    for_: For = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """List who asks for access to your chart; as a doctor or relative, what you asked for; as an admin, what is asked of your hospital."""
    acting = actor(reader)
    with at(data, url) as client:
        chart = for_ or (chart_of(client, acting, patient) if acting.role == "patient" else "")
        found = requests.listed(client, acting, chart)
        zone = client.time_zone(acting, acting.hospital) if acting.hospital else "Etc/UTC"
    fields = {"requests": [_fields(one) for one in found]}
    waiting = sum(one.state == OPEN for one in found)
    say(json_, fields, *(_row(one, zone) for one in found), f"{count(waiting, 'request')} open")


@requests_app.command("show")
def show(
    request: Request,
    patient_key: As,
    patient: PatientOption = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Show a request about your chart with the words of whoever asks. A look at your history, on record."""
    acting = actor(patient_key)
    with at(data, url) as client:
        chart = chart_of(client, acting, patient)
        found = next(
            (
                one
                for one in requests.listed(client, acting, chart)
                if one.request.request == request
            ),
            None,
        )
        if found is None:
            raise NotThere(f"nobody asks for access to {chart} by {request}")
        look = readings.history(client, acting, chart, "PATRQT")
    words = look.texts.get(str(found.request.seq), {}).get("words", "")
    fields = _fields(found) | {"words": words, "look": look.entry.link.seq}
    said = words or "what was written can not be opened"
    say(
        json_,
        fields,
        _row(found, "Etc/UTC"),
        f"    {said}",
        f"this look is entry {look.entry.link.seq}",
    )


@requests_app.command("answer")
def answer(
    request: Request,
    patient_key: As,
    no: Annotated[bool, typer.Option("--no", help="Say no.")] = False,
    days: Annotated[int, typer.Option(min=0, help="For fewer days; 0: as asked.")] = 0,
    record: Records = None,
    category: Categories = None,
    date_from: Since = "",
    date_to: Until = "",
    author: Authors = None,
    exception: Annotated[
        list[str] | None,
        typer.Option("--except", help='Leave out: JSON such as {"categories": ["imaging"]}.'),
    ] = None,
    uses: Annotated[int, typer.Option(min=0, help="How many readings at most; 0: any.")] = 0,
    without_sensitive: Annotated[
        bool, typer.Option("--without-sensitive", help="Leave out sensitive records.")
    ] = False,
    patient: PatientOption = None,
    for_: For = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Answer a request about your chart: as asked, with less, or --no. More than was asked for is not given by an answer."""
    acting = actor(patient_key)
    what = _what(author, category, date_from, date_to)
    if what and record:
        raise RecordsError("--record can't be combined with other ways to choose records")
    smaller = Smaller(
        days, tuple(record or ()), what, [exception_of(text) for text in exception or ()], uses, without_sensitive
    )  # fmt: skip
    if no and smaller != Smaller(what={}, exceptions=[]):
        raise RecordsError("--no grants nothing: leave out what else there is")
    with at(data, url) as client:
        acting = acting_for(client, acting, for_)
        chart = chart_of(client, acting, for_ or patient)
        found = requests.found(client, acting, request, chart)
        if no:
            grant, seq = "", requests.decline(client, acting, found)
        else:
            grant, seq = requests.grant(client, acting, found, smaller)
    fields = {"request": request, "patient": chart, "grant": grant, "seq": seq}
    said = (
        f"Granted {found.asker} access: {grant}" if grant else f"Declined what {found.asker} asks"
    )
    say(json_, fields, f"{said}, entry {seq}")


@requests_app.command("forward")
def forward(
    request: Request, admin: As, data: Data = None, url: Url = None, json_: Json = False
) -> None:
    """Leave a request to your hospital for the patient to answer, as an admin."""
    acting = actor(admin)
    with at(data, url) as client:
        found = _to_hospital(requests.listed(client, acting), request, acting)
        seq = requests.forward(client, acting, found)
    fields = {"request": request, "patient": found.patient, "seq": seq}
    say(json_, fields, f"Forwarded {request} to {found.patient}: entry {seq}")


@requests_app.command("close")
def close(
    request: Request,
    admin: As,
    disclosure: Annotated[
        str, typer.Option(help="The disclosure, ev_…, that answers: see `disclose`.")
    ] = "",
    referral: Annotated[str, typer.Option(help="The referral, ev_…, that answers.")] = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Answer a request to your hospital, as an admin: by a disclosure or a referral, or, without either, with no."""
    acting = actor(admin)
    if disclosure and referral:
        raise RecordsError("give --disclosure or --referral, not both")
    verdict = DISCLOSED if disclosure else REFERRED if referral else DECLINED
    with at(data, url) as client:
        found = _to_hospital(requests.listed(client, acting), request, acting)
        seq = requests.close(client, acting, found, verdict, disclosure or referral)
    fields = {"request": request, "patient": found.patient, "verdict": verdict, "seq": seq}
    say(json_, fields, f"{request} is {verdict}: entry {seq}")


def _to_hospital(found: Sequence[RequestStanding], request: str, acting: Actor) -> AccessRequest:
    for one in found:
        if one.request.request == request:
            return one.request
    raise NotThere(f"nobody asks {acting.hospital or 'a hospital of yours'} by {request}")


def _fields(one: RequestStanding) -> dict[str, Any]:
    return one.request._asdict() | {"name": one.name, "state": one.state}


def _row(one: RequestStanding, zone: str) -> str:
    asked = one.request
    what = {
        "full": "the whole chart", "partial": "part of the chart", "selective": count(len(asked.records), "record"),
    }[asked.scope]  # fmt: skip
    how = f"open until {minute_in(zone, asked.until)}" if one.state == OPEN else one.state
    to = f" of {asked.addressee}" if asked.addressee else ""
    sensitive = ", sensitive records too" if asked.sensitive else ""
    return (
        f"{asked.request}  {how}  {one.name or asked.asker} asks{to} for {what} of {asked.patient}{sensitive}, to "
        f"{', '.join(asked.actions)} for {asked.purpose}, for {counted(asked.days, 'day')}, entry {asked.seq}"
    )
