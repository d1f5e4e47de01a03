"""`blobs`: testing a blob store, and moving all blobs to another."""

from dataclasses import asdict
from typing import Annotated

import typer

from api.app.blobs import fit, is_ledgers, mark_new, take_moved
from api.app.layout import MARKER, read_marker
from api.app.maintenance import adopt_store, opened_stores
from api.app.settings import Settings
from api.cli.app import GOOD, WRONG, Data, Json, app, say, settings
from api.cli.maintenance import told
from api.cli.progress import bar
from crypto.texts import counted
from durable.errors import StartRefused
from storage.blobs.checking import check_place
from storage.blobs.place import Place, SeveralPlaces, open_place, parse_place
from storage.maintenance.moving import move as move_blobs

blobs_app = typer.Typer(help="The blob store.", no_args_is_help=True)
app.add_typer(blobs_app, name="blobs")


@blobs_app.command("check")
def check(
    place: Annotated[
        str,
        typer.Argument(
            help="s3://bucket/prefix?…, file:/path or several as name=place; by default HEARTWOOD_BLOBS."
        ),
    ] = "",
    adopt: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Put the ledger's marker into this one of its stores, which is new in its place, or lost its marker; "
            "a ledger's one store is `only`.",
        ),
    ] = "",
    empty: Annotated[
        bool,
        typer.Option(
            "--empty",
            help="With --adopt: the store is new and lacks the ledger's blobs; `heartwood scrub` fills it.",
        ),
    ] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Test what a blob store guarantees; ends with 1 if it must not be used.

    It needs no ledger; of a ledger's own store the marker must be there, too. What it writes is under `check/`, and is
    removed again.
    """
    config = settings(data)
    tried = _named(place, config) if place else config.blob_place()
    origin = ""
    if adopt or ((config.data / MARKER).exists() and is_ledgers(config, tried)):
        origin = read_marker(config)["origin"]
    if empty and not adopt:
        raise StartRefused("got --empty alone, expected it with --adopt NAME")
    if adopt:
        adopt_store(config, tried, adopt, empty)
    found = check_place(tried, origin)
    lines = [f"{_state(one.held, one.needed)} {one.name}: {one.words}" for one in found]
    fatal = [one.name for one in found if one.fatal]
    verdict = (
        f"must NOT be used for blobs: {', '.join(fatal)}" if fatal else "can be used for blobs"
    )
    fields = {
        "place": str(tried),
        "usable": not fatal,
        "guarantees": [asdict(one) for one in found],
    }
    say(json_, fields, *lines, f"{tried}: {verdict}")
    raise typer.Exit(WRONG if fatal else GOOD)


def _state(held: bool, needed: bool) -> str:
    return "yes" if held else "NO" if needed else "no"


@blobs_app.command("move")
def move(
    source: Annotated[
        str,
        typer.Argument(metavar="FROM", help="Where the blobs are; file: is the data directory."),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TO", help="Where they are to be: s3://…, file:/path or several as name=place."
        ),
    ],
    final: Annotated[
        bool,
        typer.Option(
            "--final",
            help="Every process of the ledger is stopped: from now on its blobs are in TO.",
        ),
    ] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Copy every blob, while the ledger is in use, and compare each copy with the log. Removes nothing."""
    config = settings(data)
    here, there = _named(source, config), _named(target, config)
    if here == there:
        raise StartRefused(f"{here} is both FROM and TO")
    if final and not is_ledgers(config, here) and not is_ledgers(config, there):
        raise StartRefused(f"{here} is not where this ledger's blobs are: nothing was moved")
    origin = read_marker(config)["origin"]
    old = open_place(here, origin=origin)
    old.check_marked()
    found = fit(there)
    mark_new(there, here, origin)
    # With its marker looked at: a disk that is unmounted meanwhile leaves a folder that must get nothing.
    new = open_place(there, origin=origin)
    with opened_stores(config, blobs=old) as stores, bar("moving") as progress:
        done = move_blobs(stores, old, new, progress)
    lines = [f"{told(finding)}: not in {there}" for finding in done.findings]
    lines.append(
        f"{counted(done.blobs, 'blob')} of {counted(done.entries, 'entry')} in {there} as the log says, {done.copied} of "
        f"them new; {done.unnamed} more that no entry names yet"
    )
    if final and not done.findings:
        take_moved(config, there, found, new)
        lines.append("the ledger uses them from now on: set HEARTWOOD_BLOBS to that place")
    elif not final:
        lines.append(
            "the ledger still uses the old place: stop it, then run this again with --final"
        )
    fields = asdict(done) | {"source": str(here), "target": str(there), "final": final}
    say(json_, fields, *lines)
    raise typer.Exit(WRONG if done.findings else GOOD)


def _named(text: str, config: Settings) -> Place:
    """A place as an argument names it; of several stores the quorum is that of the setting."""
    place = parse_place("" if text == "file:" else text, config.data / "blobs")
    if isinstance(place, SeveralPlaces) and config.blobs_quorum:
        return parse_place(text, config.data / "blobs", config.blobs_quorum)
    return place
