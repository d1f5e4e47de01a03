"""`upgrade`, `rebuild`, `status`: what keeps a ledger going."""

import dataclasses
import os
from pathlib import Path
from typing import Annotated

import typer

from api.app.blobs import ONLY
from api.app.maintenance import mark_older_stores, status_of, upgrade_schema_of, witnesses_of
from api.app.opening import open_ledger
from api.app.settings import Settings
from api.cli.app import COULD_NOT_RUN, GOOD, WRONG, Data, Json, actor, app, opened, say, settings
from api.operator import upgrading
from crypto.texts import counted
from durable.errors import StartRefused
from identity.actors import Actor
from journeys.errors import RecordsError
from ledger.registry import EDITION
from storage.cosigning import WitnessStanding
from storage.ledger import Ledger
from storage.reviews import Owed
from storage.sql.views import Rebuilt, rebuild

PLACES_SHOWN = 20
"""Most differing rows named for one view; with --json, all."""


@app.command()
def upgrade(
    operator: Annotated[
        Path | None,
        typer.Option("--as", help="The operator's key file; needed for a newer registry."),
    ] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Bring a ledger to this program's schema, and its log to this program's registry."""
    config, acting = settings(data), actor(operator) if operator else None
    before, after = upgrade_schema_of(config)
    schema = f"schema {before} → {after}, all views rebuilt from the log"
    done = [schema if before != after else f"schema {after} already"]
    stores = mark_older_stores(config)
    if stores.marked:
        names = "" if stores.marked == [ONLY] else f" ({', '.join(stores.marked)})"
        done.append(f"the blob store has its marker now{names}")
    done += [
        f"the store {name} has NO marker: {why}. Once it is there: `heartwood blobs check --adopt {name}`"
        for name, why in stores.skipped.items()
    ]
    try:
        ledger = open_ledger(config, older=True)
    except StartRefused as error:
        raise StartRefused(f"{done[0]}. {error} Then run `heartwood upgrade` again.") from error
    try:
        old = upgrading.edition(ledger)
        seq = None if old == EDITION else _name_registry(ledger, acting, done[0])
    finally:
        ledger.close()
    registry = f"registry {old} → {EDITION}, the policy unchanged: entry {seq}"
    done.append(registry if seq is not None else f"registry {EDITION} already")
    fields = {
        "schema": [before, after],
        "registry": [old, EDITION],
        "seq": seq,
    } | dataclasses.asdict(stores)
    say(json_, fields, *done)


def _name_registry(ledger: Ledger, operator: Actor | None, done: str) -> int:
    """Let the operator name this program's registry; `done`: what was done so far."""
    if operator is None:
        raise RecordsError(
            f"{done}. The log names edition {upgrading.edition(ledger)} of the registry, this program has "
            f"{EDITION}: run `heartwood upgrade --as OPERATOR`. The operator signs it, so that everybody can "
            "see from which entry on the new kinds of events count; until then nothing is appended"
        )
    return upgrading.name_registry(ledger, operator)


@app.command("rebuild")
def rebuild_(
    swap: Annotated[
        bool,
        typer.Option(
            "--swap/--check", help="Correct what differs; --check only compares (the default)."
        ),
    ] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Rebuild every view from the log and compare it with the live one; ends with 1 if they differ."""
    with opened(data) as ledger:
        found = rebuild(ledger.store, swap)
    say(json_, dataclasses.asdict(found), *_rebuilt(found))
    raise typer.Exit(WRONG if found.differences and not found.swapped else GOOD)


def _rebuilt(found: Rebuilt) -> list[str]:
    lines = [f"{counted(found.rows, 'row')} rebuilt from {counted(found.entries, 'entry')}"]
    for view, places in sorted(found.differences.items()):
        lines += [f"{view} {place}" for place in places[:PLACES_SHOWN]]
        if len(places) > PLACES_SHOWN:
            lines.append(f"{view}: {counted(len(places), 'row')} in all")
    if not found.differences:
        return [*lines, "every view is what the log says"]
    if found.swapped:
        return [*lines, "corrected"]
    return [*lines, "views differ from the log: `heartwood rebuild --swap` corrects them"]


@app.command()
def status(data: Data = None, json_: Json = False) -> None:
    """Show the ledger's state; ends with 4 and the reason if it doesn't open or nothing can be appended."""
    config = settings(data)
    now = status_of(config)
    refused, stopped = _refused(config)
    witnesses = [] if refused else witnesses_of(config)
    fields = dataclasses.asdict(now) | {"lag": now.lag, "refused": refused, "stopped": stopped}
    fields["owed"] = now.owed._asdict()
    fields["witnesses"] = [dataclasses.asdict(one) for one in witnesses]
    database = "" if now.database_clock is None else f", the database's {now.database_clock:+} ms"
    lines = [
        f"{now.origin}: {counted(now.size, 'entry')}, the last {now.last_age / 1000:.1f} s ago",
        f"published: {counted(now.published, 'entry')}, {now.published_age / 1000:.1f} s ago; {now.lag} unpublished",
        f"clock: the last entry {_ago(now.last_age)}{database}",
        f"disk: {now.free / 1e9:.1f} GB free",
        f"schema {now.schema}, registry {now.edition or 'unknown'} (this program: {EDITION})",
        *_owed(now.owed),
        *(_witness(one) for one in witnesses),
        _opens(refused, stopped),
    ]
    say(json_, fields, *lines)
    raise typer.Exit(COULD_NOT_RUN if refused or stopped else GOOD)


def _owed(owed: Owed) -> list[str]:
    """Reviews of emergencies, and patients who should have been told by now, where there are any."""
    out = []
    if owed.reviews:
        late = f", {owed.overdue} OVERDUE" if owed.overdue else ""
        out.append(f"emergencies: {counted(owed.reviews, 'review')} to come{late}")
    if owed.untold:
        out.append(
            f"disclosures: {counted(owed.untold, 'patient')} not told yet, though the suspension has ended"
        )
    return out


def _witness(one: WitnessStanding) -> str:
    """A witness of the log, in one line."""
    far = f"{counted(one.size, 'entry')} cosigned, {one.behind} behind" if one.time else "none yet"
    return f"witness {one.name}: {far}{f'; {one.problem}' if one.problem else ''}"


def _opens(refused: str | None, stopped: str | None) -> str:
    if refused:
        return f"cannot start: {refused}"
    return f"opens, but NOTHING CAN BE APPENDED: {stopped}" if stopped else "opens: ready"


def _ago(age: int) -> str:
    """How long ago (ms) something was; what lies ahead looks like a fault of a clock."""
    if age < 0:
        return f"lies {-age / 1000:.1f} s ahead (looks like a clock fault)"
    return f"was {age / 1000:.1f} s ago"


def _refused(config: Settings) -> tuple[str | None, str | None]:
    """Why the ledger would not open, and why nothing can be appended where it opens; None if all is well."""
    if not os.access(config.data, os.W_OK):
        words = "it can be scrubbed, exported and backed up, and nothing is appended"
        return f"{config.data} is read-only: {words}", None
    try:
        ledger = open_ledger(config)
    except StartRefused as error:
        return str(error), None
    try:
        return None, ledger.log.unavailable()
    finally:
        ledger.close()
