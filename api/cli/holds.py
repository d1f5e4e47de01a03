"""`hold`: a hospital keeps a record from somebody for a while, or its records from being erased."""

from typing import Annotated

import typer

from api.cli.app import As, Data, Json, Url, actor, app, at, check_patient, count, say
from api.cli.charts import PatientOption, chart_of
from client import holds
from journeys.errors import NotThere, RecordsError
from ledger.codes import HARMS, HOSPITAL_ROLES, LEGAL_HOLDS
from ledger.facts import HARM, HOLD_DAYS_MOST, Hold
from ledger.times import format_time

holds_app = typer.Typer(
    help="What a hospital holds of the records that it wrote.", no_args_is_help=True
)
app.add_typer(holds_app, name="hold")
Patient = Annotated[str, typer.Option("--patient", help="The patient whose chart it is.")]
_REASONS = "; ".join(f"{code}: {words}" for code, words in {**HARMS, **LEGAL_HOLDS}.items())


@holds_app.command("place")
def place(
    staff: As,
    patient: Patient,
    reason: Annotated[
        str,
        typer.Option(
            help=f"Why. {_REASONS}. The code stands in the patient's history, where the patient and relatives may see it."
        ),
    ],
    record: Annotated[
        str,
        typer.Option(
            help="The record; an admin may leave it out, for all that the hospital has here."
        ),
    ] = "",
    against: Annotated[
        str, typer.Option(help="A doctor: the account that is kept from it, ac_….")
    ] = "",
    words: Annotated[str, typer.Option(help="A doctor: why, in words; they are sealed.")] = "",
    days: Annotated[
        int, typer.Option(min=1, max=HOLD_DAYS_MOST, help="A doctor: for how long.")
    ] = HOLD_DAYS_MOST,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """A doctor keeps a record from its patient or a relative for a while; an admin keeps records from being erased.

    Both only what their own hospital wrote. A record is kept from somebody for 14 days at most, and once more.
    """
    acting, chart = actor(staff), check_patient(patient)
    with at(data, url) as client:
        if acting.role == "doctor":
            if not (record and against and words):
                raise RecordsError("a doctor names --record, --against and --words")
            hold, seq = holds.hold_back(client, acting, chart, record, against, reason, words, days)
            said = f"{record} is kept from {against} for {count(days, 'day')}"
        else:
            if against or words:
                raise RecordsError(
                    "a legal hold keeps nobody from a record: --against and --words are a doctor's"
                )
            hold, seq = holds.hold_for_law(client, acting, chart, reason, record)
            said = f"{record or f'all that your hospital has in {chart}'} is kept from being erased"
    fields = {"hold": hold, "patient": chart, "record": record, "seq": seq}
    say(json_, fields, f"{said}: {hold}, entry {seq}")


@holds_app.command("lift")
def lift(
    hold: Annotated[str, typer.Argument(help="The hold, ev_….")],
    staff: As,
    patient: Patient,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Lift a hold of your own hospital."""
    acting, chart = actor(staff), check_patient(patient)
    with at(data, url) as client:
        found = [one for one in holds.holds(client, acting, chart) if one.hold == hold]
        if not found:
            raise NotThere(f"your hospital has no hold {hold} on {chart}")
        seq = holds.lift(client, acting, found[0])
    say(json_, {"hold": hold, "patient": chart, "seq": seq}, f"Lifted {hold}: entry {seq}")


@holds_app.command("list")
def list_(
    reader: As,
    patient: PatientOption = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """List what is held in your own chart, or what your hospital holds of a chart."""
    acting = actor(reader)
    if acting.role in HOSPITAL_ROLES and patient is None:
        raise RecordsError("name the chart with --patient")
    with at(data, url) as client:
        chart, now = chart_of(client, acting, patient), client.now()
        found = holds.holds(client, acting, chart)
    fields = {
        "patient": chart,
        "holds": [one._asdict() | {"stands": one.stands(now)} for one in found],
    }
    standing = sum(one.stands(now) for one in found)
    say(json_, fields, *(_row(one, now) for one in found), f"{count(standing, 'hold')} in force")


def _row(one: Hold, now: int) -> str:
    state = (
        "in force"
        if one.stands(now)
        else f"lifted by entry {one.lifted}"
        if one.lifted
        else "ended"
    )
    what = one.record or f"all that {one.hospital} has here"
    if one.kind == HARM:
        words = f"kept from {one.against} until {format_time(one.end)[:16].replace('T', ' ')} UTC"
    else:
        words = "kept from being erased"
    why = f" ({one.reason})" if one.reason else ""
    return f"{one.hold}  {state}  {what}  {words}{why}, by {one.hospital}, entry {one.seq}"
