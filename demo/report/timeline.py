"""A chart over the years, and everyone who looked at it: positions for two drawings."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from demo.report.moments import Moment
from records.charts import Line

LABELS = {
    "billing": "Bills", "condition": "Conditions", "demographics": "Person", "document": "Documents",
    "encounter": "Visits", "imaging": "Images", "immunization": "Vaccinations",
    "laboratory": "Laboratory", "medication": "Medication", "procedure": "Procedures",
    "summary": "Summary",
}  # fmt: skip
"""Categories as people call them."""
LANE, TOP, PERSON = 26.0, 30.0, 34.0
"""Heights in units of the drawing: a row of records, what is above, a row of a person."""
DAYS_A_YEAR = 365.25
SMALLEST, LARGEST = 3.2, 8.5
"""Radii of dots, by the size of the record."""
DAYS_A_DOT = 20
"""Records of a category within so many days are one dot."""


@dataclass(frozen=True)
class Dot:
    """Some records of a category at about the same time."""

    x: float
    y: float
    radius: float
    title: str


@dataclass(frozen=True)
class Lane:
    """A row of a drawing."""

    label: str
    y: float
    count: int


@dataclass(frozen=True)
class Years:
    """The records over the years."""

    width: float
    height: float
    left: float
    lanes: list[Lane]
    ticks: list[tuple[float, str]]
    count: int
    """From the first record to the last, in years."""
    dots: list[Dot]


@dataclass(frozen=True)
class Look:
    """Something done on the chart, in its place along the day."""

    x: float
    y: float
    moment: Moment


@dataclass(frozen=True)
class Looks:
    """Who did what, one lane a person, one column a moment."""

    width: float
    height: float
    left: float
    lanes: list[Lane]
    looks: list[Look]


def years(lines: Sequence[Line], width: float) -> Years:
    """Dots in lanes of categories; the widths of label and margin suit a drawing of this width."""
    dated = [line for line in lines if line.record.clinical_date]
    left = 116.0 if width > 500 else 96.0
    days = [date.fromisoformat(line.record.clinical_date) for line in dated]
    first, last = min(days), max(days)
    span = max((last - first).days, 1)

    def x(day: date) -> float:
        return left + 10 + (day - first).days / span * (width - left - 24)

    counts = Counter(line.record.category for line in dated).most_common()
    rows = {name: TOP + LANE * row + LANE / 2 for row, (name, _) in enumerate(counts)}
    lanes = [Lane(LABELS.get(name, name), rows[name], count) for name, count in counts]
    step = 1 if width > 500 else 2
    ticks = [
        (x(date(year, 1, 1)), str(year)) for year in range(first.year + 1, last.year + 1, step)
    ]
    height = TOP + LANE * len(lanes) + 10
    count = max(round(span / DAYS_A_YEAR), 1)
    return Years(width, height, left, lanes, ticks, count, _dots(dated, rows, x))


def _dots(dated: Sequence[Line], rows: dict[str, float], x: Callable[[date], float]) -> list[Dot]:
    groups: dict[tuple[str, int], list[Line]] = {}
    for line in dated:
        day = date.fromisoformat(line.record.clinical_date)
        groups.setdefault((line.record.category, day.toordinal() // DAYS_A_DOT), []).append(line)
    out = []
    for (category, _), group in groups.items():
        day = date.fromisoformat(group[0].record.clinical_date)
        radius = min(LARGEST, SMALLEST + 1.3 * (len(group) - 1))
        title = "; ".join(line.title or category for line in group)
        out.append(Dot(x(day), rows[category], radius, title))
    return out


def looks(moments: Sequence[Moment], width: float) -> Looks:
    """Lanes of everybody who did something, in the order in which they first did."""
    people = list(dict.fromkeys(moment.who for moment in moments))
    left = 150.0 if width > 500 else 108.0
    rows = {who: PERSON * n + LANE / 2 for n, who in enumerate(people)}
    step = (width - left - 30) / max(len(moments) - 1, 1)
    counts = Counter(moment.who for moment in moments)
    lanes = [Lane(who, rows[who], counts[who]) for who in people]
    placed = [
        Look(left + 12 + step * n, rows[moment.who], moment) for n, moment in enumerate(moments)
    ]
    return Looks(width, PERSON * len(people), left, lanes, placed)
