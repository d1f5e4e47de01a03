"""`chart`, `history`: what stands in a chart, and who did what on it."""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from api.app.settings import Settings
from api.cli.acting import For, OnBehalfOf, acting_for
from api.cli.app import (
    As,
    Data,
    Json,
    Url,
    Vkey,
    actor,
    app,
    at,
    check_patient,
    count,
    say,
    settings,
)
from api.cli.keeping import folder_for, place_for, safe_name
from api.cli.records import TITLE_UNOPENED, Purpose
from client import readings
from client.copies import copy_file, write_copy
from client.port import LedgerClient
from consent.rules import named
from crypto.texts import counted
from identity.actors import Actor
from journeys.errors import RecordsError
from ledger.checkpoint import parse_keys
from ledger.copies import PIECE_BYTES
from ledger.files import read_vkeys
from ledger.histories import history_text
from records.charts import Line
from records.exporting import ExportedRecord

PatientOption = Annotated[
    str | None, typer.Option("--patient", help="The chart; by default that of the acting patient.")
]


@app.command()
def chart(
    reader: As,
    patient: PatientOption = None,
    purpose: Purpose = "TREAT",
    export: Annotated[
        Path | None, typer.Option(help="A new folder for a copy of every record (patients only).")
    ] = None,
    for_: For = "",
    on_behalf_of: OnBehalfOf = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """List the records of a chart that you may see. The log records this look, too."""
    acting = actor(reader)
    taken: list[ExportedRecord] = []
    with at(data, url) as client:
        acting = acting_for(client, acting, for_, on_behalf_of)
        whose = chart_of(client, acting, for_ or patient)
        if export is None:
            seen = readings.chart(client, acting, whose, purpose)
        else:
            with folder_for(export):
                seen, taken = readings.export(client, acting, whose, purpose)
                _write(export, taken)
    fields = {
        "patient": whose,
        "seq": seen.entry.link.seq,
        "records": [_fields(line) for line in seen.lines],
        "held": list(seen.held),
        "exported": len(taken),
    }
    lines = [row for line in seen.lines for row in _rows(line)]
    lines += [
        f"{record}  is held back from you for a while by the hospital that wrote it"
        for record in seen.held
    ]
    lines.append(f"{count(len(seen.lines), 'record')}; this look is entry {seen.entry.link.seq}")
    if seen.more_in_emergency:
        lines.append("more may be available in an emergency")
    if export is not None:
        lines.append(f"{count(len(taken), 'record')} copied into {export}")
    say(json_, fields, *lines)


def _write(folder: Path, taken: list[ExportedRecord]) -> None:
    """Write every version of a download into a folder of ours, under names of ours."""
    names: set[str] = set()
    for one in taken:
        name = safe_name(f"{one.record.record}-{one.version.version}", names)
        with place_for(folder / name) as draft:
            draft.write(one.content)


@app.command()
def copy(
    file: Annotated[Path, typer.Argument(help="A new ZIP.")],
    reader: As,
    vkey: Vkey = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Keep a copy of your whole chart: files, FHIR bundle, history, and what proves them. Opens and is checked without us.

    The log's keys are those in the data directory, or those of --vkey. Whoever has the file can read the chart.
    """
    acting, known = (
        actor(reader),
        vkey or (Settings().vkey if url else settings(data).data / "log.vkey"),
    )
    if known is None:
        raise RecordsError("a copy is checked before it is kept: give the log's keys with --vkey")
    copy_file(file)
    keys = parse_keys(read_vkeys(known) or ())
    with place_for(file) as draft, at(data, url, vkey) as client:
        whose = own_chart(client, acting)
        with tempfile.TemporaryFile(
            dir=file.parent
        ) as made:  # without a name: it never stays behind
            report = write_copy(client, acting, whose, keys, made)
            made.seek(0)
            draft.write(iter(lambda: made.read(PIECE_BYTES), b""))
    entries = len(report.history.entries)
    fields = {
        "patient": whose, "files": report.files, "entries": entries, "file": str(file), "missing": report.missing,
    }  # fmt: skip
    lacks = [
        f"NOTE: {line}; erased, held back, or not given by the server" for line in report.lacks()
    ]
    say(json_, fields, f"{counted(report.files, 'file')} and a history of {counted(entries, 'entry')} in {file}",
        *lacks, f"check it anywhere: heartwood check {file} --vkey KEYS")  # fmt: skip


@app.command("history")
def history_(
    reader: As,
    patient: PatientOption = None,
    purpose: Purpose = "PATRQT",
    vkey: Vkey = None,
    prove: Annotated[
        Path | None,
        typer.Option("--prove", help="A new file for the proof that no entry is missing."),
    ] = None,
    for_: For = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Show every act on a chart, permitted or refused. This look is part of it, too.

    That none is missing is checked against the log's keys: those in the data directory, or those of --vkey. For a
    server without --vkey, the keys that it named at the first contact are used.
    """
    acting = actor(reader)
    known = vkey or (Settings().vkey if url else settings(data).data / "log.vkey")
    keys = parse_keys(read_vkeys(known) or ()) if known else None
    with at(data, url, vkey) as client:
        acting = acting_for(client, acting, for_)
        whose = chart_of(client, acting, for_ or patient)
        if prove is None:
            found = readings.history(client, acting, whose, purpose)
            if keys is not None:
                readings.prove(client, acting, found, keys)
        else:
            if keys is None:
                raise RecordsError(
                    "a proof is checked before it is kept: give the log's keys with --vkey"
                )
            with place_for(prove) as draft:  # before the look is signed
                found = readings.history(client, acting, whose, purpose)
                proof = readings.prove(client, acting, found, keys)
                draft.write([history_text(found.entries, proof.receipt.text()).encode()])
    acts, seq, names = found.acts(), found.entry.link.seq, found.names
    unopened = found.unopened()
    fields = {
        "patient": whose,
        "seq": seq,
        "complete": None if keys is None else True,
        "names": names,
        "acts": [dataclasses.asdict(act) for act in acts],
        "losses": [dataclasses.asdict(loss) for loss in found.losses()],
        "texts": found.texts,
        "unopened": unopened,
    }
    lines = [
        f"{a.seq:>7}  {a.time[:19].replace('T', ' ')}  {a.type:<20} "
        f"{'REFUSED' if a.effect == 'deny' else a.effect:<8} {named(a.rule):<17} "
        f"{f'{a.reason}: ' if a.reason else ''}{a.role} {names.get(a.actor, a.actor)}"
        f"{f' at {names.get(a.hospital, a.hospital)}' if a.hospital else ''}"
        f"{f' for {names.get(a.on_behalf_of, a.on_behalf_of)}' if a.on_behalf_of else ''}"
        f"{f', {a.purpose}' if a.purpose else ''}{f', {a.record}' if a.record else ''}"
        f"{f', on entry {_numbers(a.basis)}' if a.rule == 'S9' else ''}"
        f"{f', IN THE EMERGENCY of entry {a.basis[0]}' if a.rule == 'S8' and a.basis else ''}"
        f"{_written(found.texts.get(str(a.seq)), unopened.get(str(a.seq), ()))}"
        for a in acts
    ]
    lines += [f"NOTE: the log was {loss}" for loss in found.losses()]
    checked = (
        "none missing (checked against the log's keys)"
        if keys
        else "none missing by the keys that the server named at the first contact: give the log's own with --vkey"
    )
    lines.append(f"{counted(len(acts), 'act')}, {checked}; this look is entry {seq}")
    if prove is not None:
        lines.append(f"the proof is in {prove}: heartwood check {prove} --vkey KEYS")
    say(json_, fields, *lines)


def _numbers(basis: tuple[int, ...]) -> str:
    """Of a grant, and of what it rests on: the relation of who gave it, or the link that carries it."""
    return ", ".join(map(str, basis))


def _written(texts: Mapping[str, str] | None, unopened: Sequence[str]) -> str:
    """What the author of an act wrote for the patient; the lists of disclosures are the accounting's to show."""
    if texts is None:
        return ""
    words = [text for name, text in texts.items() if not name.startswith("list_")]
    if unopened:
        words.append(
            "what else was written can't be opened" if words else "what was written can't be opened"
        )
    return f": {'; '.join(words)}" if words else ""


def chart_of(client: LedgerClient, acting: Actor, patient: str | None) -> str:
    """The chart that `--patient` names, or the actor's own; raises RecordsError."""
    if patient is None:
        return own_chart(client, acting)
    return check_patient(patient)


def own_chart(client: LedgerClient, acting: Actor) -> str:
    """The one chart whose patient the actor is; raises RecordsError for none or several."""
    charts = client.charts(acting)
    if not charts:
        raise RecordsError(f"{acting.account} has no chart of its own: name one with --patient")
    if len(charts) > 1:
        raise RecordsError(
            f"{acting.account} has {counted(len(charts), 'chart')}: name one with --patient"
        )
    return charts[0]


def _fields(line: Line) -> dict[str, object]:
    record = line.record
    return {
        "author": record.author,
        "category": record.category,
        "clinical_date": record.clinical_date,
        "confidentiality": "hidden" if record.hidden else record.confidentiality,
        "episode": record.episode,
        "hospital": record.hospital,
        "readers": line.readers,
        "record": record.record,
        "sensitive": record.sensitive,
        "size": record.versions[-1].size,
        "state": record.state,
        "title": line.title,
        "unopened": line.unopened,
        "versions": len(record.versions),
    }


def _rows(line: Line) -> list[str]:
    record, latest = line.record, line.record.versions[-1]
    marks = [
        *(["hidden"] if record.hidden else []),
        *([record.confidentiality] if record.confidentiality != "normal" else []),
        *(["sensitive"] if record.sensitive else []),
        *([record.state] if record.state != "live" else []),
    ]
    head = (
        f"{record.record}  {record.clinical_date or '          '}  {record.category:<12} "
        f"v{latest.version} {latest.size:>10,} bytes  {TITLE_UNOPENED if line.unopened else line.title}{' [' + ', '.join(marks) + ']' if marks else ''}"
    )
    return [head, *([f"    may be read by {', '.join(line.readers)}"] if line.readers else [])]
