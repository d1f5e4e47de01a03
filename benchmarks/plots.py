"""Line charts as SVG: panels side by side, each line named at its end, light and dark by the reader's choice."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

LIGHT = ("#0072B2", "#C44E00", "#00875F", "#B0558F", "#B57A00", "#2C8AC4", "#6B6B6B", "#7A57A6")
DARK = ("#4DA3E0", "#FF8A4C", "#2FC598", "#E39AC5", "#F0B93A", "#8FD0F5", "#A8A8A8", "#B59BD9")
"""Okabe and Ito's hues, which the colour-blind can tell apart, as dark or as light as each ground needs."""
PLOT_WIDTH, PLOT_HEIGHT = 250, 190
LEFT, RIGHT, TOP, BOTTOM = 62, 148, 46, 50
HEAD = 62
LABEL_SPACE = 13
STYLE = """
svg { background: #ffffff; font-family: system-ui, "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; font-size: 11px }
text { fill: #24292f } .soft { fill: #57606a } .title { font-size: 16px; font-weight: 600 } .panel { font-size: 12px; font-weight: 600 }
.grid { stroke: #d8dee4; stroke-width: 1 } .line { fill: none; stroke-width: 2; stroke-linejoin: round }
.lead { stroke-width: 0.7; opacity: 0.6 } .name { font-weight: 600 }
"""
STYLE_DARK = """
svg { background: #0d1117 } text { fill: #e6edf3 } .soft { fill: #9198a1 } .grid { stroke: #30363d }
"""


@dataclass(frozen=True)
class Line:
    """One line: a name, its points, the colour's number; `dashed` for what was not measured but computed."""

    name: str
    points: Sequence[tuple[float, float]]
    color: int
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """One pair of axes, both logarithmic. The labels name quantity and unit."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        part = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + part * (self.end - self.start)

    def ticks(self, steps: Sequence[int]) -> list[float]:
        """The values 1, 2, 5 (or as `steps` says) times a power of ten inside the scale."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = (step * 10.0**power for power in powers for step in steps)
        return [v for v in values if self.low * 0.999 <= v <= self.high * 1.001]


def chart(title: str, subtitle: str, panels: Sequence[Panel], columns: int) -> str:
    """The panels in rows of `columns` under a title, as one SVG; all have the same axes."""
    points = [point for panel in panels for line in panel.lines for point in line.points]
    bounds = _bounds([x for x, _ in points]), _bounds([y for _, y in points])
    wide, high = LEFT + PLOT_WIDTH + RIGHT, TOP + PLOT_HEIGHT + BOTTOM
    rows = -(-len(panels) // columns)
    width, height = wide * columns, HEAD + high * rows
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img"><title>{escape(title)}</title><style>{_style()}</style>',
        _text(16, 26, title, "title"),
        _text(16, 45, subtitle, "soft"),
    ]
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        out += _panel(panel, column * wide + LEFT, HEAD + row * high + TOP, *bounds)
    return "\n".join([*out, "</svg>"]) + "\n"


def _style() -> str:
    """Light, and dark for who prefers that; each colour is a class, `c` and its number."""
    light, dark = map(_colors, (LIGHT, DARK))
    return f"{STYLE}{light}\n@media (prefers-color-scheme: dark) {{{STYLE_DARK}{dark}\n}}"


def _colors(colors: Sequence[str]) -> str:
    return "\n".join(
        f".c{n} {{ stroke: {color} }} text.c{n}, circle.c{n} {{ fill: {color}; stroke: none }}"
        for n, color in enumerate(colors)
    )


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    """Where an axis begins and ends: at 1, 2 or 5 times a power of ten."""
    low, high = min(values), max(values)

    def nice(value: float, choose: Callable[[Sequence[float]], float], up: bool) -> float:
        power = 10.0 ** math.floor(math.log10(value))
        steps = [step * power for step in (1, 2, 5, 10)]
        fitting = [s for s in steps if (s >= value * 0.999 if up else s <= value * 1.001)]
        return choose(fitting)

    return nice(low, max, False), nice(high * (2 if low == high else 1), min, True)


def _panel(
    panel: Panel, left: float, top: float, xs: tuple[float, float], ys: tuple[float, float]
) -> list[str]:
    x = _Scale(*xs, left, left + PLOT_WIDTH)
    y = _Scale(*ys, top + PLOT_HEIGHT, top)
    bottom, right = top + PLOT_HEIGHT, left + PLOT_WIDTH
    out = [_text(left - 46, top - 27, panel.title, "panel")]
    for value in y.ticks(_steps(ys)):
        at = y(value)
        out.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        out.append(_text(left - 7, at + 4, _written(value), "soft", "end"))
    for value in x.ticks(_steps(xs)):
        at = x(value)
        out.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{bottom}"/>')
        out.append(_text(at, bottom + 16, _written(value), "soft", "middle"))
    out.append(_text(left + PLOT_WIDTH / 2, bottom + 34, panel.x, "soft", "middle"))
    out.append(_text(left - 46, top - 12, panel.y, "soft"))
    for line in panel.lines:
        out += _line(line, x, y)
    return out + _labels(panel.lines, x, y, right, top, bottom)


def _line(line: Line, x: _Scale, y: _Scale) -> list[str]:
    color = line.color % len(LIGHT)
    places = [(x(px), y(py)) for px, py in line.points]
    path = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
    dash = ' stroke-dasharray="5 4"' if line.dashed else ""
    dots = [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" class="c{color}"/>' for px, py in places]
    return [f'<polyline class="line c{color}" points="{path}"{dash}/>', *dots]


def _labels(
    lines: Sequence[Line], x: _Scale, y: _Scale, right: float, top: float, bottom: float
) -> list[str]:
    """Each line's name after the last end, in its colour, moved apart where two would meet."""
    after = min(right, max(x(line.points[-1][0]) for line in lines))
    ends = sorted(((y(line.points[-1][1]), line) for line in lines), key=lambda end: end[0])
    places = _apart([at for at, _ in ends], top, bottom)
    out = []
    for place, (at, line) in zip(places, ends, strict=True):
        color, end = line.color % len(LIGHT), x(line.points[-1][0])
        out.append(
            f'<line class="lead c{color}" x1="{end + 4:.1f}" y1="{at:.1f}" x2="{after + 12:.1f}" y2="{place:.1f}"/>'
        )
        out.append(
            f'<text x="{after + 15:.1f}" y="{place + 4:.1f}" class="name c{color}">{escape(line.name)}</text>'
        )
    return out


def _apart(places: Sequence[float], top: float, bottom: float) -> list[float]:
    """Rising places moved as little as it takes for neighbours to keep LABEL_SPACE, between top and bottom."""
    groups: list[list[float]] = []
    for place in places:
        groups.append([place])
        while len(groups) > 1 and _first(groups[-1], top, bottom) < (
            _first(groups[-2], top, bottom) + LABEL_SPACE * len(groups[-2])
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    firsts = [(_first(group, top, bottom), group) for group in groups]
    return [first + LABEL_SPACE * i for first, group in firsts for i in range(len(group))]


def _first(group: Sequence[float], top: float, bottom: float) -> float:
    """Where the first of a group of labels stands, the group being centred on where its lines end."""
    length = LABEL_SPACE * (len(group) - 1)
    return max(top, min(bottom - length, sum(group) / len(group) - length / 2))


def _steps(bounds: tuple[float, float]) -> Sequence[int]:
    decades = math.log10(bounds[1] / bounds[0])
    return (1, 2, 5) if decades <= 3 else (1,)


def _written(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )
