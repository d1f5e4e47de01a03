"""`upload`, `amend`, `retract`, `open`: records, written and read."""

import mimetypes
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from api.cli.acting import For, OnBehalfOf, acting_for
from api.cli.app import As, Data, Json, Url, actor, app, at, check_patient, say, writing
from api.cli.keeping import place_for
from client import authoring, readings
from consent.rules import named
from journeys.errors import RecordsError
from journeys.sealing import check_category, check_labels
from records.uploads import Upload

READ_BYTES = 1024 * 1024
Purpose = Annotated[str, typer.Option(help="HL7 v3-ActReason, e.g. TREAT or PATRQT.")]
File = Annotated[Path, typer.Argument(help="The file to upload; - for standard input.")]
TITLE_UNOPENED = "(its title can't be opened)"
"""In place of a title whose author put something else where a sealed text belongs."""
Title = Annotated[str, typer.Option(help="A title; it is sealed.")]
MediaType = Annotated[str | None, typer.Option(help="By default from the file's name.")]
ClinicalDate = Annotated[str, typer.Option(help="YYYY-MM-DD.")]
Confidentiality = Annotated[str, typer.Option(help="normal or restricted.")]
Label = Annotated[list[str] | None, typer.Option(help="A sensitivity label, e.g. PSY.")]
Category = Annotated[str, typer.Option(help="laboratory, imaging, document, …")]


@app.command()
def upload(
    file: File,
    category: Category,
    author: As,
    patient: Annotated[str, typer.Option(help="The patient's id, unless --for names it.")] = "",
    title: Title = "",
    media_type: MediaType = None,
    clinical_date: ClinicalDate = "",
    confidentiality: Confidentiality = "normal",
    label: Label = None,
    purpose: Purpose = "TREAT",
    for_: For = "",
    on_behalf_of: OnBehalfOf = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Upload one record: sealed, staged, then appended as a signed event."""
    patient = check_patient(for_ or patient)
    one = _upload(
        file,
        patient,
        category,
        title,
        media_type,
        clinical_date,
        confidentiality,
        label,
    )
    with at(data, url) as client:
        acting = acting_for(client, actor(author), for_, on_behalf_of)
        done = authoring.upload(client, acting, one, purpose)
    fields = {"record": done.record, "patient": patient, "seq": done.seq, "size": done.size}
    say(json_, fields, f"{done.record} ({done.size} bytes, {one.media_type}) is entry {done.seq}")


@app.command()
def amend(
    record: Annotated[str, typer.Argument(help="The record's id.")],
    file: File,
    category: Category,
    author: As,
    title: Title = "",
    media_type: MediaType = None,
    clinical_date: ClinicalDate = "",
    confidentiality: Confidentiality = "normal",
    label: Label = None,
    purpose: Purpose = "TREAT",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Append a new version of your hospital's own record; earlier versions stay readable."""
    one = _upload(file, "", category, title, media_type, clinical_date, confidentiality, label)
    with at(data, url) as client:
        done = authoring.amend(client, actor(author), record, one, purpose)
    fields = {"record": record, "seq": done.seq, "size": done.size}
    say(json_, fields, f"{record} has a new version ({done.size} bytes): entry {done.seq}")


@app.command()
def retract(
    record: Annotated[str, typer.Argument(help="The record's id.")],
    author: As,
    purpose: Purpose = "TREAT",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Retract a record: only the patient and the hospital that wrote it can still read it."""
    with at(data, url) as client:
        seq = authoring.retract(client, actor(author), record, purpose)
    say(json_, {"record": record, "seq": seq}, f"{record} is retracted by entry {seq}")


def _upload(
    file: Path, patient: str, category: str, title: str, media_type: str | None, clinical_date: str,
    confidentiality: str, label: list[str] | None,
) -> Upload:  # fmt: skip
    if str(file) != "-" and not file.is_file():
        raise RecordsError(f"{file} is a folder" if file.is_dir() else f"{file}: no such file")
    check_category(category)
    check_labels(label or ())
    media = media_type or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return Upload(
        patient, category, media, _pieces(file), title=title,
        file_name="" if str(file) == "-" else file.name, clinical_date=clinical_date,
        confidentiality=confidentiality, labels=tuple(label or ()), sensitive=bool(label),
    )  # fmt: skip


def _pieces(file: Path) -> Iterator[bytes]:
    if str(file) == "-":
        yield from iter(lambda: sys.stdin.buffer.read(READ_BYTES), b"")
        return
    with file.open("rb") as opened_file:
        yield from iter(lambda: opened_file.read(READ_BYTES), b"")


@app.command("open")
def open_(
    record: Annotated[str, typer.Argument(help="The record's id.")],
    reader: As,
    purpose: Purpose = "TREAT",
    version: Annotated[int | None, typer.Option(min=1, help="By default the latest.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The output file; by default standard output.")
    ] = None,
    for_: For = "",
    on_behalf_of: OnBehalfOf = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Read a record. The log holds the reading before the first byte is released."""
    acting = actor(reader)
    if json_ and out is None:
        raise RecordsError("--json needs --out FILE: the content and the JSON would be mixed")
    # The place comes first: a reading can't be taken back, and may be the only one granted.
    with at(data, url) as client, place_for(out) if out else nullcontext() as draft:
        acting = acting_for(client, acting, for_, on_behalf_of)
        patient, shown = readings.read(client, acting, record, purpose, version)
        if draft is not None:
            draft.write(shown.content)
        else:
            with writing():
                for piece in shown.content:
                    sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
    decision = shown.entry.decision or {}
    fields = {
        "record": record,
        "patient": patient,
        "seq": shown.entry.link.seq,
        "rule": decision["rule"],
        "basis": decision["basis"],
        "media_type": shown.media_type,
        "size": shown.size,
        **shown.texts,
        "unopened": shown.unopened,
    }
    if out is not None:
        title = shown.texts.get("title", TITLE_UNOPENED if "title" in shown.unopened else record)
        lines = [
            f"{title}: {shown.size} bytes, {shown.media_type}, in {out}",
            f"this reading is entry {shown.entry.link.seq}, permitted by {named(decision['rule'])}",
        ]
        say(json_, fields, *lines)
