"""`emergency configure`, `declare`, `review`, `list`: what patients allow in one, doctors who declare one, and its review."""

import dataclasses
from typing import Annotated

import typer

from api.cli.app import As, Data, Json, Url, actor, app, at, check_patient, count, say
from api.cli.charts import PatientOption, chart_of
from client import emergencies
from crypto.texts import counted
from journeys.days import minute_in
from journeys.errors import RecordsError
from ledger.codes import CEILINGS, EMERGENCY_REASONS, FINDINGS
from ledger.times import HOUR_MS, parse_time
from records.emergencies import EmergencyStanding

emergency_app = typer.Typer(
    help="Emergencies: what patients allow in one, doctors who declare one, and its review.",
    no_args_is_help=True,
)
app.add_typer(emergency_app, name="emergency")


def _codes(codes: dict[str, str]) -> str:
    return "; ".join(f"{name}: {words}" for name, words in codes.items())


@emergency_app.command("configure")
def configure(
    ceiling: Annotated[
        str, typer.Argument(help=f"How far doctors see in an emergency. {_codes(dict(CEILINGS))}.")
    ],
    patient_key: As,
    patient: PatientOption = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Say how far doctors see in an emergency; until you do, normal records that aren't sensitive."""
    acting = actor(patient_key)
    with at(data, url) as client:
        chart = chart_of(client, acting, patient)
        seq = emergencies.configure(client, acting, chart, ceiling)
    fields = {"patient": chart, "ceiling": ceiling, "seq": seq}
    say(json_, fields, f"In an emergency doctors see {CEILINGS[ceiling]}: entry {seq}")


@emergency_app.command("declare")
def declare(
    patient: Annotated[str, typer.Argument(help="The patient pt_….")],
    doctor: As,
    reason: Annotated[str, typer.Option(help=f"Why. {_codes(dict(EMERGENCY_REASONS))}.")],
    text: Annotated[
        str, typer.Option(help="What happened; sealed for the patient and whoever reviews it.")
    ],
    purpose: Annotated[
        str, typer.Option(help="ETREAT, treatment in an emergency, or BTG, breaking the glass.")
    ] = "ETREAT",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Declare an emergency, as a doctor: for some hours you may read for ETREAT or BTG what the patient allows in one.

    Patient and administrators are told at once; each look is marked in the history, and it is reviewed.
    """
    acting = actor(doctor)
    with at(data, url) as client:
        chart, hours = check_patient(patient), client.policy().emergency_hours
        emergency, seq = emergencies.declare(client, acting, chart, reason, text, purpose)
        ends = client.now() + hours * HOUR_MS
        zone = client.time_zone(acting, acting.hospital)
    fields = {"emergency": emergency, "patient": chart, "hours": hours, "seq": seq}
    say(
        json_, fields, f"Emergency {emergency} declared for {counted(hours, 'hour')}: entry {seq}",
        f"read with --purpose {purpose} until about {minute_in(zone, ends)}; patient and administrators are told, and "
        "it is reviewed",
    )  # fmt: skip


@emergency_app.command("show")
def show(
    emergency: Annotated[str, typer.Argument(help="The emergency's id ev_….")],
    admin: As,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Show what a doctor of your hospital declared and what was read, for its review. This look is in the history, too."""
    acting = actor(admin)
    with at(data, url) as client:
        found = emergencies.found(client, acting, acting.hospital, emergency)
        opened = emergencies.open_for_review(client, acting, found.patient, emergency)
    fields = {
        "emergency": emergency,
        "patient": found.patient,
        "reason": opened.reason,
        "text": opened.text,
        "acts": [dataclasses.asdict(act) for act in opened.acts],
        "seq": opened.entry.link.seq,
    }
    lines = [f"{opened.reason}: {opened.text or 'what the doctor wrote can not be opened'}"]
    lines += [
        f"{a.seq:>7}  {a.time[:19].replace('T', ' ')}  {a.type} {a.record}" for a in opened.acts
    ]
    looks = counted(len(opened.acts), "reading")
    say(json_, fields, *lines, f"{looks}; this look is entry {opened.entry.link.seq}")


@emergency_app.command("review")
def review(
    emergency: Annotated[str, typer.Argument(help="The emergency's id ev_….")],
    admin: As,
    finding: Annotated[str, typer.Option(help=f"What you found. {_codes(dict(FINDINGS))}.")],
    text: Annotated[str, typer.Option(help="Why; sealed for the patient.")],
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Review an emergency that another doctor of your hospital declared; a later review takes this one's place."""
    acting = actor(admin)
    with at(data, url) as client:
        found = emergencies.found(client, acting, acting.hospital, emergency)
        seq = emergencies.review(client, acting, found.patient, emergency, finding, text)
    fields = {"emergency": emergency, "patient": found.patient, "finding": finding, "seq": seq}
    say(json_, fields, f"{emergency} reviewed, {FINDINGS[finding]}: entry {seq}")


@emergency_app.command("list")
def list_(
    admin: As,
    state: Annotated[
        str, typer.Option(help="Only those that are unreviewed, overdue or reviewed.")
    ] = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """List the emergencies that doctors of your hospital declared, and until when each is to be reviewed."""
    acting = actor(admin)
    if not acting.hospital:
        raise RecordsError(
            f"got the key of a {acting.role}; a hospital's administrators list its emergencies"
        )
    found: list[EmergencyStanding] = []
    with at(data, url) as client:
        page = emergencies.listed(client, acting, acting.hospital, state)
        found += page.emergencies
        while page.next:
            page = emergencies.listed(client, acting, acting.hospital, state, page.next)
            found += page.emergencies
        zone = client.time_zone(acting, acting.hospital)
    fields = {"emergencies": [dataclasses.asdict(one) for one in found]}
    say(json_, fields, *(_row(one, zone) for one in found), count(len(found), "emergency"))


def _row(one: EmergencyStanding, zone: str) -> str:
    how = {
        "reviewed": f"reviewed by entry {one.reviewed}: {one.finding}",
        "unreviewed": f"to be reviewed by {minute_in(zone, parse_time(one.due))}",
        "overdue": f"OVERDUE since {minute_in(zone, parse_time(one.due))}",
    }[one.state]
    return (
        f"{one.emergency}  {minute_in(zone, parse_time(one.start))}  {one.name or one.doctor} for {one.patient}, "
        f"{one.reason}, {counted(one.readings, 'reading')}; {how}"
    )
