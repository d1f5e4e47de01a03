"""docs/performance.md: its prose is written by hand, its marked blocks and plots by the benchmarks."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Part:
    """What a benchmark gives the page: Markdown by block, SVG by file name."""

    blocks: dict[str, str]
    plots: dict[str, str] = field(default_factory=dict)


def write_part(part: Part, where: str) -> None:
    """Put the blocks into the page, with `where` they were measured, and the plots beside it; raises ValueError for a block not marked there."""
    text = PAGE.read_text(encoding="utf-8")
    for name, block in part.blocks.items():
        text = replaced(text, name, f"{block}\n\n{where}")
    PAGE.write_text(text, encoding="utf-8")
    PLOTS.mkdir(exist_ok=True)
    for file, svg in part.plots.items():
        (PLOTS / file).write_text(svg, encoding="utf-8")


def replaced(text: str, name: str, block: str) -> str:
    """`text` with `block` between the marks `<!-- name -->` and `<!-- /name -->`; raises ValueError."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"expected one block between <!-- {name} --> and <!-- /{name} -->")
    return pattern.sub(lambda match: f"{match[1]}{block}\n{match[2]}", text)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; columns whose head begins with `>` stand to the right."""
    lines = [
        f"| {' | '.join(name.lstrip('>') for name in head)} |",
        f"| {' | '.join('--:' if name.startswith('>') else '---' for name in head)} |",
    ]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def number(value: float | None) -> str:
    """Three digits that count, thousands parted; nothing for None."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def keep(name: str, data: Any) -> None:
    """Keep what was measured, so that it can be drawn again."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n")


def kept(name: str) -> Any:
    """What was measured last; raises FileNotFoundError."""
    return json.loads((RESULTS / f"{name}.json").read_text())
