"""`check-setup`: what is missing or unsafe, for whoever runs the service."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from api.cli.app import GOOD, WRONG, Data, Json, app, say, settings
from api.operator.checking import check_setup as check
from api.operator.checking.findings import Finding, Level
from api.operator.checking.surroundings import check_backup
from crypto.texts import counted

SHOWN = {Level.UNSAFE: "UNSAFE", Level.WARNING: "warning", Level.OK: "ok"}
"""In the order in which they are shown."""


@app.command("check-setup")
def check_setup(
    backup: Annotated[
        Path | None,
        typer.Option("--backup", help="The folder of the last backup; its age is told."),
    ] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Say what is missing or unsafe in this setup; ends with 1 if anything is unsafe. Changes nothing.

    Run it as the service's user, with the service's environment.
    """
    found = [*check(settings(data)), check_backup(backup)]
    counts = Counter(one.level for one in found)
    lines = [line for level in SHOWN for line in _group(level, found)]
    summary = ", ".join(
        (
            f"{counts[Level.UNSAFE]} unsafe",
            counted(counts[Level.WARNING], "warning"),
            f"{counts[Level.OK]} ok",
        )
    )
    fields = {
        "findings": [
            {"about": f.about, "level": f.level.value, "words": f.words, "remedy": f.remedy}
            for f in found
        ]
    } | {level.value: counts[level] for level in Level}
    say(json_, fields, *lines, summary)
    raise typer.Exit(WRONG if counts[Level.UNSAFE] else GOOD)


def _group(level: Level, found: list[Finding]) -> list[str]:
    lines = []
    for one in found:
        if one.level is level:
            lines.append(f"{SHOWN[level]:8}{one.about}: {one.words}")
            lines += [f"        → {one.remedy}"] * bool(one.remedy)
    return lines
