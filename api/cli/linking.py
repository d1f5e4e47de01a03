"""`patient link`, `patient unlink`, `patient links`: two charts of one person."""

from typing import Annotated

import typer

from api.cli.app import As, Data, Json, Url, actor, at, check_patient, say
from api.cli.charts import PatientOption, chart_of
from api.cli.people import patient_app
from client import linking
from crypto.texts import counted
from identity.actors import Actor
from ledger.directory import ChartLink

Patient = Annotated[str, typer.Argument(help="The chart's patient id.")]
Other = Annotated[str, typer.Argument(help="The other chart's patient id.")]


@patient_app.command("link")
def patient_link(
    patient: Patient,
    other: Other,
    who: As,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Say that two charts are of one person (as an admin or a system of a hospital that has records in both; then as the patient of each)."""
    own, named, acting = check_patient(patient), check_patient(other), actor(who)
    with at(data, url) as client:
        seqs = linking.link(client, acting, own, named)
    then = (
        "Whom either excludes is kept out of both. Grants count in both once the patients of both have signed."
        if acting.hospital
        else "Once the patient of the other chart has signed too, grants count in both, as far as they name neither records nor labels."
    )
    say(
        json_, {"patient": own, "other": named, "seqs": seqs},
        f"{_entries(seqs)} linked {own} with {named}", then,
    )  # fmt: skip


@patient_app.command("unlink")
def patient_unlink(
    patient: Patient,
    other: Other,
    who: As,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Say that two charts are not of one person (as the hospital that linked them, or as the patient of the first)."""
    own, named, acting = check_patient(patient), check_patient(other), actor(who)
    with at(data, url) as client:
        seqs = linking.unlink(client, acting, own, named)
    then = (
        "Grants count in their own chart alone. Whom the other excludes stays out until the patient ends the link, too."
        if acting.hospital
        else f"Neither grants nor exclusions of {named} count in {own} any more."
    )
    say(
        json_, {"patient": own, "other": named, "seqs": seqs},
        f"{_entries(seqs)} ended the link of {own} with {named}", then,
    )  # fmt: skip


@patient_app.command("links")
def patient_links(
    who: As,
    patient: PatientOption = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Show with which charts yours is linked."""
    acting: Actor = actor(who)
    with at(data, url) as client:
        chart = chart_of(client, acting, patient)
        found = linking.links(client, acting, chart).links
    fields = {"patient": chart, "links": [link._asdict() for link in found]}
    lines = [f"{link.other}  {_state(link)}" for link in found]
    say(json_, fields, *(lines or [f"{chart} is linked with no other chart"]))


def _state(link: ChartLink) -> str:
    if link.joined:
        return "grants and exclusions count in both"
    if link.told:
        mine, theirs = ("signed" if seq else "not signed" for seq in (link.signed, link.theirs))
        return f"linked by entry {link.told} of {link.hospital}: you have {mine}, its patient has {theirs}; exclusions count in both"
    return "ended; its exclusions still hold in your chart" if link.holds else "ended"


def _entries(seqs: list[int]) -> str:
    return f"{counted(len(seqs), 'entry')} ({', '.join(map(str, seqs))})"
