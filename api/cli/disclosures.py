"""`disclose`, `disclosures`: what a hospital gave out to others, and the patient's accounting of it."""

import csv
import dataclasses
import io
from typing import Annotated

import typer

from api.app.settings import Settings
from api.cli.app import As, Data, Json, Url, Vkey, actor, app, at, count, opened, say, settings
from api.cli.charts import PatientOption, chart_of
from client import disclosing, readings
from client.disclosing import DAYS_A_YEAR_MS, YEARS, Disclosure, Line, Suspending
from crypto.texts import counted
from ledger.checkpoint import parse_keys
from ledger.files import read_vkeys
from ledger.times import parse_time
from records.history import LIST_NAMES
from storage.suspended import tell_due

TIME_HELP = "as 2026-11-20T07:24:00.000Z"


@app.command()
def disclose(
    record: Annotated[list[str], typer.Argument(help="The records, all of one patient.")],
    staff: As,
    recipient: Annotated[str, typer.Option(help="Who received them: a name.")],
    description: Annotated[str, typer.Option(help="What was given out, in a few words.")],
    statement: Annotated[str, typer.Option(help="What for, in a few words.")],
    address: Annotated[str, typer.Option(help="The recipient's address, where it is known.")] = "",
    purpose: Annotated[str, typer.Option(help="HL7 v3-ActReason.")] = "HLEGAL",
    given: Annotated[
        str, typer.Option(help=f"When they were given out, {TIME_HELP}; by default now.")
    ] = "",
    suspend_until: Annotated[
        str, typer.Option(help=f"The patient is told only then, by the law's order: {TIME_HELP}.")
    ] = "",
    order: Annotated[str, typer.Option(help="Which order, for --suspend-until.")] = "",
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Record that your hospital gave records of its own to somebody outside: a court, an insurer, the police.

    As its system or administrator. The patient is told, unless the law's order suspends that for a time.
    """
    acting = actor(staff)
    what = Disclosure(
        recipient, description, statement, address, purpose, parse_time(given) if given else None
    )
    if bool(suspend_until) != bool(order):
        raise typer.BadParameter("give --suspend-until and --order together")
    suspended = Suspending(parse_time(suspend_until), order) if suspend_until else None
    with at(data, url) as client:
        patient, event, seq = disclosing.disclose(client, acting, record, what, suspended)
    fields = {"disclosure": event, "patient": patient, "records": len(record), "seq": seq}
    told = f"the patient is told from {suspend_until} on" if suspended else "the patient is told"
    say(
        json_,
        fields,
        f"Recorded that {count(len(record), 'record')} went to {recipient}: entry {seq}; {told}",
    )


@app.command("disclosures")
def disclosures_(
    reader: As,
    patient: PatientOption = None,
    years: Annotated[int, typer.Option(min=1, max=100, help="How many years back.")] = YEARS,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print them as CSV.")] = False,
    vkey: Vkey = None,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """List to whom hospitals gave records of yours: when, to whom, what, and what for. A look at your history, on record.

    That none is missing is checked against the log's keys, as `history` does.
    """
    acting = actor(reader)
    known = vkey or (Settings().vkey if url else settings(data).data / "log.vkey")
    keys = parse_keys(read_vkeys(known) or ()) if known else None
    with at(data, url, vkey) as client:
        whose = chart_of(client, acting, patient)
        found = readings.history(client, acting, whose, "PATRQT")
        if keys is not None:
            readings.prove(client, acting, found, keys)
        since = client.now() - years * DAYS_A_YEAR_MS
    lines = disclosing.accounting(found, since)
    seq, names = found.entry.link.seq, found.names
    fields = {
        "patient": whose, "seq": seq, "complete": None if keys is None else True, "names": names,
        "disclosures": [dataclasses.asdict(line) for line in lines],
    }  # fmt: skip
    if as_csv and not json_:
        say(False, fields, *_csv(lines, names))
        return
    rows = [row for line in lines for row in _rows(line, names)]
    say(
        json_,
        fields,
        *rows,
        f"{counted(len(lines), 'disclosure')} in {counted(years, 'year')}; this look is entry {seq}",
    )


@app.command("tell-disclosures")
def tell_disclosures(data: Data = None, json_: Json = False) -> None:
    """Tell patients of the disclosures whose suspension has ended; a server that runs does it by itself."""
    with opened(data) as ledger:
        told = tell_due(ledger)
    say(json_, {"told": told}, f"{counted(told, 'patient')} told")


COLUMNS = (
    "date", "recipient", "address", "description", "purpose", "statement", "hospital", "records", "entry",
    "suspended_until", "order",
)  # fmt: skip
"""Of the CSV."""


def _csv(lines: list[Line], names: dict[str, str]) -> list[str]:
    """A header and a row a disclosure; what could be taken for a formula by a spreadsheet begins with an apostrophe."""
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n").writerow
    write(COLUMNS)
    for line in lines:
        records = " ".join(f"{record}/{version}" for record, version in line.records)
        row = (
            line.given, line.recipient, line.address, line.description, line.purpose, line.statement,
            names.get(line.hospital, line.hospital), records, line.seq, line.suspended_until, line.order,
        )  # fmt: skip
        write([_cell(str(value)) for value in row])
    return out.getvalue().splitlines()


UNOPENED = "(who received it can't be opened)"
"""In place of a recipient that the hospital wrote otherwise than as a sealed text."""


def _cell(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text


def _rows(line: Line, names: dict[str, str]) -> list[str]:
    whom = UNOPENED if "recipient" in line.unopened else line.recipient
    to = f"{whom}{f', {line.address}' if line.address else ''}"
    out = [
        f"{line.given[:10]}  {names.get(line.hospital, line.hospital)} gave {count(len(line.records), 'record')} to {to}",
        f"    {line.description}; for {line.purpose}: {line.statement} (entry {line.seq})",
    ]
    if line.suspended_until:
        out.append(f"    you could not be told before {line.suspended_until[:10]}: {line.order}")
    if line.unopened:
        out.append(
            f"    NOTE: can't be opened, as the hospital wrote it: {', '.join(line.unopened)}"
        )
    if not line.whole and not any(name in LIST_NAMES for name in line.unopened):
        out.append("    NOTE: the list of records is not the one that the log commits to")
    return out
