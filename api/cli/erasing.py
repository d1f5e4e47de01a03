"""`erase`, `erasures`: what a patient has erased of the own chart, and takes back while there is time."""

from typing import Annotated

import typer

from api.cli.app import As, Data, Json, Url, actor, app, at, count, say
from api.cli.charts import PatientOption, chart_of
from client import erasing
from crypto.ids import is_id
from journeys.errors import RecordsError
from ledger.facts import BEGUN, COMPLETED, REQUESTED, Erasure
from ledger.times import format_time


@app.command()
def erase(
    patient_key: As,
    record: Annotated[str | None, typer.Argument(help="The record to erase, rc_….")] = None,
    whole: Annotated[
        bool, typer.Option("--whole-chart", help="Erase every record of the chart.")
    ] = False,
    withdraw: Annotated[
        str | None, typer.Option("--withdraw", help="Take this erasure back instead, ev_….")
    ] = None,
    patient: PatientOption = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Erase a record, or the whole chart: at once nobody reads it, and 72 hours later its keys are destroyed for good.

    Until then it can be taken back with --withdraw.
    """
    if sum((record is not None, whole, withdraw is not None)) != 1:
        raise RecordsError("name one record, or give --whole-chart, or --withdraw with an erasure")
    if record is not None and not is_id("rc", record):
        raise RecordsError(f"{record[:60]!r} is not a record id")
    acting = actor(patient_key)
    with at(data, url) as client:
        chart = chart_of(client, acting, patient)
        if withdraw is not None:
            seq = erasing.withdraw(client, acting, chart, withdraw)
            fields = {"erasure": withdraw, "patient": chart, "seq": seq}
            say(json_, fields, f"Withdrew {withdraw}: all is as it was before; entry {seq}")
            return
        erasure, seq = erasing.erase(client, acting, chart, record or "")
        (asked,) = [e for e in erasing.erasures(client, acting, chart) if e.erasure == erasure]
    fields = {
        "erasure": erasure, "patient": chart, "record": record or "", "due": format_time(asked.due), "seq": seq,
    }  # fmt: skip
    what = record or f"the whole chart {chart}"
    say(
        json_, fields, f"Nobody reads {what} from now on: {erasure}, entry {seq}",
        f"its keys are destroyed at {_minute(asked.due)}, and nothing brings it back then",
        f"until then: heartwood erase --withdraw {erasure} --as KEYFILE",
    )  # fmt: skip


@app.command("erasures")
def erasures_(
    patient_key: As, patient: PatientOption = None, data: Data = None, url: Url = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """List what was asked to be erased of your own chart, and what became of it."""
    acting = actor(patient_key)
    with at(data, url) as client:
        chart = chart_of(client, acting, patient)
        found = erasing.erasures(client, acting, chart)
    fields = {"patient": chart, "erasures": [one._asdict() for one in found]}
    say(json_, fields, *map(_row, found), count(len(found), "erasure"))


def _row(one: Erasure) -> str:
    what = one.record or "the whole chart"
    locked = f", {count(one.locked, 'blob')} still locked" if one.locked else ""
    if one.locked_until:
        locked += f" until {_minute(one.locked_until)}"
    words = {
        REQUESTED: f"can be withdrawn until {_minute(one.due)}",
        BEGUN: f"is being erased since entry {one.state_seq}",
        COMPLETED: f"erased by entry {one.state_seq}{locked}",
    }
    return f"{one.erasure}  {what}  {words.get(one.state, f'withdrawn by entry {one.state_seq}')}"


def _minute(when: int) -> str:
    return f"{format_time(when)[:16].replace('T', ' ')} UTC"
