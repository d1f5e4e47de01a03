"""`intake`: what hospitals ask for at registration, and findings that are typed, as records of the chart."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.app import As, Data, Json, Url, actor, app, at, check_patient, say
from client import authoring
from journeys.errors import RecordsError
from people.clinical import CLINICAL, Writer
from people.forms import Field
from people.intake import FILE_BYTES, FORMS, MEDIA_TYPE, checked_file, fill, find_form
from records.uploads import Upload

intake_app = typer.Typer(
    no_args_is_help=True,
    help="Forms that become records: what is asked at registration, and findings such as vital signs or a diagnosis.",
)
app.add_typer(intake_app, name="intake")


@intake_app.command("forms")
def intake_forms(json_: Json = False) -> None:
    """List the forms and their fields."""
    lines = []
    for form in FORMS.values():
        lines.append(f"{form.name}: {form.what} (FHIR {form.resource})")
        lines += [_line(field) for field in form.fields]
    fields = {name: [field.name for field in form.fields] for name, form in FORMS.items()}
    say(json_, fields, *lines)


@intake_app.command("fill")
def intake_fill(
    form: Annotated[str, typer.Argument(help=f"One of {', '.join(FORMS)}.")],
    patient: Annotated[str, typer.Option(help="The patient's id.")],
    author: As,
    answers: Annotated[
        list[str] | None,
        typer.Option("--set", help="An answer, FIELD=VALUE; as many as there are."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="A FHIR resource of the form's type instead of answers.")
    ] = None,
    amends: Annotated[
        str,
        typer.Option(help="The record that it is a new version of (its author's hospital only)."),
    ] = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Fill a form: it becomes a FHIR resource and a record of the chart, sealed and signed like any other."""
    chosen, whose = find_form(form), check_patient(patient)
    if (file is None) == (not answers):
        raise RecordsError(
            "give the answers (--set FIELD=VALUE) or a file (--file), one of the two"
        )
    acting, when = actor(author), ""
    if file is None:
        said = _answers(answers or [])
        content = fill(chosen, whose, said, Writer(acting.account, acting.role))
        when = said["date"].strip() if form in CLINICAL else ""
    else:
        content = checked_file(chosen, _read(file))
    one = Upload(
        whose, chosen.category, MEDIA_TYPE, [content], title=chosen.what, clinical_date=when
    )
    with at(data, url) as client:
        purpose = "PATRQT" if acting.role == "patient" else "TREAT"
        if amends:
            done = authoring.amend(client, acting, amends, one, purpose)
        else:
            done = authoring.upload(client, acting, one, purpose)
    fields = {"form": form, "patient": whose, "record": done.record, "seq": done.seq}
    say(json_, fields, f"the form {form} is record {done.record}, entry {done.seq}")


def _read(file: Path) -> bytes:
    if not file.is_file():
        raise RecordsError(f"{file}: no such file")
    with file.open("rb") as opened:
        return opened.read(FILE_BYTES + 1)


def _answers(given: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or name in found:
            raise RecordsError(
                f"got {name[:60]!r} {'twice' if equals else 'without ='}, expected each field once, as FIELD=VALUE"
            )
        found[name] = value
    return found


def _line(field: Field) -> str:
    kinds = {"line": "", "text": "in your own words", "code": ", ".join(field.codes)}
    notes = [kinds.get(field.kind, field.kind), "needed" if field.needed else ""]
    told = "; ".join(note for note in notes if note)
    return f"  {field.name}: {field.what}" + (f" ({told})" if told else "")
