"""`import`, `upload`, `open`, `grant`, `revoke`, `history`: records and who may read them."""

import dataclasses
import mimetypes
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from api.cli.app import As, Data, Json, actor, app, opened, progress_console, say
from consent.facts import GrantName
from ledger.directory import Patient
from records import disclosures, grants, history, imports, uploads
from records.errors import NotThere, RecordsError
from storage.ledger import Ledger

READ_BYTES = 1024 * 1024
PatientOption = Annotated[
    str | None, typer.Option("--patient", help="The chart; by default that of the acting patient.")
]
Purpose = Annotated[str, typer.Option(help="HL7 v3-ActReason, e.g. TREAT or PATRQT.")]


@app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(help="FHIR R4 bundles, or folders of them.")],
    system: As,
    hospital: Annotated[str, typer.Option(help="Whose data it is; must be the system's own.")],
    data: Data = None,
    json_: Json = False,
) -> None:
    """Import FHIR R4 bundles as a hospital's system: one record for each encounter and category."""
    acting = actor(system)
    if acting.hospital != hospital:
        raise RecordsError(
            f"{system} acts for {acting.hospital or 'no hospital'}, not for {hospital}"
        )
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=progress_console(),
        disable=not sys.stderr.isatty(),
    )
    with opened(data) as ledger, bar:
        task = bar.add_task("looking", total=None)
        summary = imports.import_bundles(
            ledger,
            acting,
            paths,
            lambda step, done, size: bar.update(task, description=step, completed=done, total=size),
        )
        size = ledger.head().size
    fields = dataclasses.asdict(summary) | {"found": summary.found, "size": size}
    fields["records"] = dict(summary.records)  # asdict makes a Counter of pairs out of a Counter
    total = sum(summary.records.values())
    rows = [f"  {count:>7} {category}" for category, count in sorted(summary.records.items())]
    lines = [
        f"{summary.files} files: {summary.found} resources = {summary.own} imported + "
        f"{summary.known_resources} of patients known before + {summary.references} reference + "
        f"{summary.unassigned} unassigned",
        f"{summary.patients} patients, {summary.encounters} encounters, {total} records:",
        *rows,
        f"{summary.content / 1e6:.1f} MB of records in {summary.seconds:.1f} s, "
        f"{summary.own / max(summary.seconds, 1e-9):,.0f} resources/s; the log has {size} entries",
    ]
    if summary.known:
        lines.append(f"{summary.known} patients were known before and left as they are")
    if summary.unassigned:
        lines.append(
            f"{summary.unassigned} resources could be assigned to no patient: NOT imported"
        )
    say(json_, fields, *lines)


@app.command()
def upload(
    file: Annotated[Path, typer.Argument(help="What to upload; - for standard input.")],
    patient: Annotated[str, typer.Option(help="The patient's id.")],
    category: Annotated[str, typer.Option(help="laboratory, imaging, document, …")],
    author: As,
    title: Annotated[str, typer.Option(help="A title; it is sealed.")] = "",
    media_type: Annotated[str | None, typer.Option(help="By default from the file's name.")] = None,
    clinical_date: Annotated[str, typer.Option(help="YYYY-MM-DD.")] = "",
    confidentiality: Annotated[str, typer.Option(help="normal or restricted.")] = "normal",
    label: Annotated[list[str] | None, typer.Option(help="A sensitivity label, e.g. PSY.")] = None,
    purpose: Purpose = "TREAT",
    data: Data = None,
    json_: Json = False,
) -> None:
    """Upload one record: sealed, staged, then appended as a signed event."""
    acting = actor(author)
    media = media_type or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    if str(file) != "-" and not file.is_file():
        raise RecordsError(f"there is no file {file}")
    with opened(data) as ledger:
        one = uploads.Upload(
            patient, category, media, _pieces(file), title=title,
            file_name="" if str(file) == "-" else file.name, clinical_date=clinical_date,
            confidentiality=confidentiality, labels=tuple(label or ()), sensitive=bool(label),
        )  # fmt: skip
        (done,) = uploads.upload(ledger, acting, [one], purpose)
    fields = {"record": done.record, "patient": patient, "seq": done.seq, "size": done.size}
    say(json_, fields, f"{done.record} ({done.size} bytes, {media}) is entry {done.seq}")


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
    version: Annotated[int | None, typer.Option(help="By default the latest.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to; by default standard output.")] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Read a record. The reading stands in the log before the first byte is given."""
    acting = actor(reader)
    if out is not None and out.exists():
        raise RecordsError(f"{out} is there already; nothing was read")
    if json_ and out is None:
        raise RecordsError("--json needs --out FILE: the content would stand beside the JSON")
    with opened(data) as ledger:
        row = disclosures.find_record(ledger, record)
        proposal = disclosures.reading(ledger, acting, row, purpose, version)
        shown = disclosures.open_record(ledger, proposal)
        if out is None:
            for piece in shown.content:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        else:
            _write(out, shown.content)
    decision = shown.entry.decision or {}
    fields = {
        "record": record,
        "patient": row.patient,
        "seq": shown.entry.link.seq,
        "rule": decision["rule"],
        "basis": decision["basis"],
        "media_type": shown.media_type,
        "size": shown.size,
        **shown.texts,
    }
    if out is not None:
        title = shown.texts.get("title", record)
        lines = [
            f"{title}: {shown.size} bytes, {shown.media_type}, in {out}",
            f"this reading is entry {shown.entry.link.seq}, by {decision['rule']}",
        ]
        say(json_, fields, *lines)


def _write(out: Path, content: Iterator[bytes]) -> None:
    """Write beside, then move: a file cut short or altered is never left under the name asked for."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        with partial.open("xb") as file:
            for piece in content:
                file.write(piece)
        partial.rename(out)
    finally:
        partial.unlink(missing_ok=True)


@app.command()
def grant(
    grantee: Annotated[str, typer.Argument(help="A doctor's account ac_… or a hospital hs_….")],
    patient_key: As,
    patient: PatientOption = None,
    record: Annotated[
        list[str] | None, typer.Option(help="Only these records; without it, the whole chart.")
    ] = None,
    days: Annotated[int | None, typer.Option(help="For how long; at most the policy's.")] = None,
    purpose: Annotated[list[str] | None, typer.Option(help="By default TREAT alone.")] = None,
    uses: Annotated[int | None, typer.Option(help="How many readings at most.")] = None,
    sensitive: Annotated[
        bool, typer.Option("--sensitive", help="A whole-chart grant covers sensitive records too.")
    ] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Let a doctor or a hospital read: the whole chart, or some records."""
    acting = actor(patient_key)
    with opened(data) as ledger:
        chart = patient or _own_chart(ledger, acting.account)
        identifier, seq = grants.grant(
            ledger, acting, chart, grantee, record or (), days, purpose or (), uses=uses,
            sensitive=sensitive,
        )  # fmt: skip
    fields = {"grant": identifier, "patient": chart, "grantee": grantee, "seq": seq}
    what = f"{len(record)} record(s)" if record else "the whole chart"
    say(json_, fields, f"{grantee} may read {what}: {identifier}, entry {seq}")


@app.command()
def revoke(
    patient_key: As,
    grant_id: Annotated[str | None, typer.Option("--grant", help="One grant and its line.")] = None,
    grantee: Annotated[
        str | None, typer.Option(help="Everything this doctor or hospital was granted.")
    ] = None,
    patient: PatientOption = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Take a grant back; what comes after it in the log is refused."""
    acting = actor(patient_key)
    with opened(data) as ledger:
        chart = patient or _own_chart(ledger, acting.account)
        name = ledger.row(GrantName, grant_id) if grant_id else None
        if grant_id and name is None:
            raise NotThere(f"there is no grant {grant_id}")
        whom = name.grantee if name else grantee
        if whom is None or (grantee is not None and grantee != whom):
            raise RecordsError("expected --grant or --grantee (and if both, of one another)")
        seq = grants.revoke(ledger, acting, chart, whom, grant_id)
    fields = {"patient": chart, "grantee": whom, "grant": grant_id, "seq": seq}
    say(json_, fields, f"{whom} may no longer read by it: entry {seq}")


@app.command("history")
def history_(
    reader: As,
    patient: PatientOption = None,
    purpose: Purpose = "PATRQT",
    data: Data = None,
    json_: Json = False,
) -> None:
    """Every act on a chart, permitted or refused. Looking at it stands in it, too."""
    acting = actor(reader)
    with opened(data) as ledger:
        chart = patient or _own_chart(ledger, acting.account)
        seq, acts = history.history(ledger, acting, chart, purpose)
    fields = {"patient": chart, "seq": seq, "acts": [dataclasses.asdict(act) for act in acts]}
    lines = [
        f"{a.seq:>7}  {a.time[:19].replace('T', ' ')}  {a.type:<20} "
        f"{'REFUSED' if a.effect == 'deny' else a.effect:<8} {a.rule:<4} {a.role} {a.actor}"
        f"{f' at {a.hospital}' if a.hospital else ''}{f', {a.purpose}' if a.purpose else ''}"
        for a in acts
    ]
    say(json_, fields, *lines, f"{len(acts)} acts; this look is entry {seq}")


def _own_chart(ledger: Ledger, account: str) -> str:
    charts = ledger.rows(Patient, "account", account)
    if len(charts) != 1:
        raise RecordsError(
            f"{account} is the patient of {len(charts)} charts: name one by --patient"
        )
    return charts[0].patient
