"""`chart`, `history`: what stands in a chart, and who did what on it."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from api.cli.app import As, Data, Json, Url, actor, app, at, say
from api.cli.records import Purpose, write_beside
from identity.actors import Actor
from records import readings
from records.charts import Line
from records.desk import Desk
from records.errors import RecordsError
from records.exporting import Taken

PatientOption = Annotated[
    str | None, typer.Option("--patient", help="The chart; by default that of the acting patient.")
]


@app.command()
def chart(
    reader: As,
    patient: PatientOption = None,
    purpose: Purpose = "TREAT",
    export: Annotated[
        Path | None, typer.Option(help="A new folder: take every record away (the patient alone).")
    ] = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """List the records of a chart that you may see. Looking at it stands in the log, too."""
    acting = actor(reader)
    if export is not None and export.exists():
        raise RecordsError(f"{export} is there already; nothing was read")
    taken: list[Taken] = []
    with at(data, url) as desk:
        whose = patient or own_chart(desk, acting)
        if export is None:
            seen = readings.chart(desk, acting, whose, purpose)
        else:
            seen, taken = readings.export(desk, acting, whose, purpose)
            export.mkdir(parents=True)
        for one in taken:
            write_beside(
                Path(str(export)) / f"{one.record.record}-{one.version.version}", one.content
            )
    fields = {
        "patient": whose,
        "seq": seen.entry.link.seq,
        "records": [_fields(line) for line in seen.lines],
        "exported": len(taken),
    }
    lines = [row for line in seen.lines for row in _rows(line)]
    lines.append(f"{len(seen.lines)} records; this look is entry {seen.entry.link.seq}")
    if seen.more_in_emergency:
        lines.append("more may be available in an emergency")
    if export is not None:
        lines.append(f"{len(taken)} records are in {export}")
    say(json_, fields, *lines)


@app.command("history")
def history_(
    reader: As,
    patient: PatientOption = None,
    purpose: Purpose = "PATRQT",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Every act on a chart, permitted or refused; none is missing. Looking at it stands in it, too."""
    acting = actor(reader)
    with at(data, url) as desk:
        whose = patient or own_chart(desk, acting)
        found = readings.history(desk, acting, whose, purpose)
    acts, seq, names = found.acts(), found.entry.link.seq, found.names
    fields = {
        "patient": whose,
        "seq": seq,
        "names": names,
        "acts": [dataclasses.asdict(act) for act in acts],
        "losses": [dataclasses.asdict(loss) for loss in found.losses()],
    }
    lines = [
        f"{a.seq:>7}  {a.time[:19].replace('T', ' ')}  {a.type:<20} "
        f"{'REFUSED' if a.effect == 'deny' else a.effect:<8} {a.rule:<4} "
        f"{f'({a.reason}) ' if a.reason else ''}{a.role} {names.get(a.actor, a.actor)}"
        f"{f' at {names.get(a.hospital, a.hospital)}' if a.hospital else ''}"
        f"{f', {a.purpose}' if a.purpose else ''}"
        f"{f', on entry {a.basis[0]}' if a.rule == 'S9' else ''}"
        for a in acts
    ]
    lines += [f"NOTE: the log was {loss}" for loss in found.losses()]
    say(json_, fields, *lines, f"{len(acts)} acts, none missing; this look is entry {seq}")


def own_chart(desk: Desk, acting: Actor) -> str:
    """The one chart whose patient the actor is; raises RecordsError for none or several."""
    charts = desk.charts(acting)
    if len(charts) != 1:
        raise RecordsError(
            f"{acting.account} is the patient of {len(charts)} charts: name one by --patient"
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
        f"v{latest.version} {latest.size:>10,} bytes  {line.title}{' [' + ', '.join(marks) + ']' if marks else ''}"
    )
    return [head, *([f"    may be read by {', '.join(line.readers)}"] if line.readers else [])]
