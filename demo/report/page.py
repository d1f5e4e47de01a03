"""The page: everything of a day put into the templates beside this module."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from demo.report.chain import blocks, tree
from demo.report.day import Day, Found
from demo.report.moments import Scene, scenes
from demo.report.rings import knots, rings
from demo.report.timeline import looks, years

TEMPLATES = Path(__file__).parent / "templates"
WIDE, NARROW = 760.0, 350.0
"""Widths of the drawings for a desk or paper, and for a phone, in CSS pixels."""


def render(day: Day) -> str:
    """The page as one file of HTML. Whatever comes from the ledger is escaped where it is put in."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    told, found = scenes(day), day.found
    moments = [moment for scene in told for moment in scene.moments]
    refused = [moment.first for moment in moments if moment.kind == "refused"]
    grown = rings(day.marks)
    return environment.get_template("page.html").render(
        day=day,
        scenes=told,
        moments=moments,
        counts=_counts(told),
        rings=grown,
        knots=knots(day.marks, grown, refused),
        years=[years(day.lines, width) for width in (WIDE, NARROW)],
        looks=[looks(moments, width) for width in (WIDE, NARROW)],
        blocks=blocks(day.around, found.receipt.index),
        given=_given(found),
        lie=blocks(found.lie, found.lie[-1].link.seq) if found.lie else [],
        tree=tree(found.checkpoint, found.receipt, found.vkeys),
        widths=(WIDE, NARROW),
    )


def _given(found: Found) -> str:
    """What the rules give instead of the first false decision, out of the audit's words."""
    if found.lying is None or not found.lying.wrong:
        return ""
    return found.lying.wrong[0].what.partition("the rules give ")[2].partition(" (")[0]


def _counts(told: list[Scene]) -> dict[str, int]:
    """Readings and refusals of the chart."""
    moments = [moment for scene in told for moment in scene.moments]
    return {
        kind: sum(moment.count for moment in moments if moment.kind == kind)
        for kind in ("read", "refused", "said", "done")
    }
