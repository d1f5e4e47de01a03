"""`consultation`: doctors open one, patients sign it, both add notes, either closes it."""

from typing import Annotated, Any

import typer

from api.cli.acting import For, acting_for
from api.cli.app import As, Data, Json, Url, actor, app, at, check_patient, count, say
from api.cli.charts import PatientOption, chart_of
from client import consultations
from crypto.texts import counted
from journeys.errors import RecordsError
from journeys.sealing import check_category
from ledger.codes import HOSPITAL_ROLES
from ledger.links import CONSULTATION_DAYS, Consultation
from ledger.times import format_time

consultations_app = typer.Typer(
    help="Consultations: doctors open one, patients sign it.", no_args_is_help=True
)
app.add_typer(consultations_app, name="consultation")
Named = Annotated[str, typer.Argument(help="The consultation's id, ev_….")]


@consultations_app.command("open")
def open_(
    patient: Annotated[str, typer.Argument(help="The patient pt_….")],
    doctor: As,
    category: Annotated[list[str], typer.Option(help="What kind of records it is about.")],
    words: Annotated[str, typer.Option(help="What it is about, in words; sealed for the patient.")],
    days: Annotated[
        int, typer.Option(min=1, max=CONSULTATION_DAYS, help="For how many days.")
    ] = CONSULTATION_DAYS,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Open a consultation, as a doctor. Nothing is shown to you by it until the patient signed it."""
    acting, chart = actor(doctor), check_patient(patient)
    for one in category:
        check_category(one)
    with at(data, url) as client:
        named, seq = consultations.open_(client, acting, chart, category, words, days)
    fields = {"consultation": named, "patient": chart, "seq": seq}
    say(json_, fields, f"Opened {named} for {counted(days, 'day')}, to be signed by the patient: entry {seq}")  # fmt: skip


@consultations_app.command("confirm")
def confirm(
    consultation: Named, patient_key: As, patient: PatientOption = None, for_: For = "", data: Data = None,
    url: Url = None, json_: Json = False,
) -> None:  # fmt: skip
    """Sign a consultation about your chart: doctors of its hospital then see what it is about, where the policy lets them."""
    acting = actor(patient_key)
    with at(data, url) as client:
        acting = acting_for(client, acting, for_)
        chart = chart_of(client, acting, for_ or patient)
        seq = consultations.confirm(client, acting, chart, consultation)
        basic = client.policy().care_link == "basic"
    fields = {"consultation": consultation, "patient": chart, "seq": seq}
    opens = "doctors of its hospital see normal records of its kinds, for treatment" if basic else "the operator's policy lets nobody see anything by it"  # fmt: skip
    say(json_, fields, f"Signed {consultation}: entry {seq}; {opens}")


@consultations_app.command("note")
def note(
    consultation: Named,
    author: As,
    words: Annotated[str, typer.Option(help="The note; sealed for the patient.")],
    patient: PatientOption = None,
    for_: For = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Add a note to an open consultation; it shows in the patient's history."""
    acting = actor(author)
    with at(data, url) as client:
        acting = acting_for(client, acting, for_)
        chart = chart_of(client, acting, for_ or patient)
        seq = consultations.note(client, acting, chart, consultation, words)
    say(json_, {"consultation": consultation, "patient": chart, "seq": seq}, f"Noted: entry {seq}")


@consultations_app.command("close")
def close(
    consultation: Named, closer: As, patient: PatientOption = None, for_: For = "", data: Data = None,
    url: Url = None, json_: Json = False,
) -> None:  # fmt: skip
    """Close a consultation; nothing is shown by it any more."""
    acting = actor(closer)
    with at(data, url) as client:
        acting = acting_for(client, acting, for_)
        chart = chart_of(client, acting, for_ or patient)
        seq = consultations.close(client, acting, chart, consultation)
    fields = {"consultation": consultation, "patient": chart, "seq": seq}
    say(json_, fields, f"Closed {consultation}: entry {seq}")


@consultations_app.command("list")
def list_(
    reader: As, patient: PatientOption = None, data: Data = None, url: Url = None, json_: Json = False
) -> None:  # fmt: skip
    """List the consultations about your own chart, or those of your hospital about a chart."""
    acting = actor(reader)
    if acting.role in HOSPITAL_ROLES and patient is None:
        raise RecordsError("name the chart with --patient")
    with at(data, url) as client:
        chart, now = chart_of(client, acting, patient), client.now()
        found = consultations.listed(client, acting, chart)
    fields: dict[str, Any] = {
        "patient": chart, "consultations": [one._asdict() | {"stands": one.stands(now)} for one in found],
    }  # fmt: skip
    standing = sum(one.stands(now) for one in found)
    say(
        json_,
        fields,
        *(_row(one, now, acting.role in HOSPITAL_ROLES) for one in found),
        f"{count(standing, 'consultation')} open",
    )


def _row(one: Consultation, now: int, at_hospital: bool) -> str:
    if not one.stands(now):
        by = one.closed or one.withdrawn
        state = f"closed by entry {by}" if by else "ended"
    elif at_hospital:
        state = "open"  # whether it was signed, reading tells
    else:
        state = f"signed by entry {one.confirmed}" if one.confirmed else "waits to be signed"
    return (
        f"{one.consultation}  {state}  {', '.join(one.categories)}, until {format_time(one.end)[:16].replace('T', ' ')} UTC, "
        f"{one.doctor} of {one.hospital}, entry {one.seq}"
    )
