"""Pictures of time as SVG: places across are percents, so that a picture is as wide as its page and its text stays as large.

Nothing of a picture is styled inline; classes say what a mark is.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise
from math import sqrt

from babel import Locale
from babel.dates import format_date

from api.portal.findings import Value
from api.portal.terms import SIGNS
from ledger.facts import Record

LEFT, RIGHT, SCALE = 2.5, 97.5, 13.0
"""Where marks begin and end, in percent of the width: a mark at the edge stays whole. In plots the scale stands to the
left."""
ROW, HEAD = 48, 16
"""Height of a category's row, and where its name stands in it, in pixels."""
FOOT = 26
"""Height of the axis below."""
NARROWEST = 0.8
"""Marks of a row that are closer than this, in percent, are one."""
TICKS = 5
"""Most ticks of an axis."""
PLOTS = 60
"""Most plots of one page."""
YEARS = range(1850, 2200)
"""Years that are drawn: a slip like 0226 or 9999 would squeeze all the rest into one place."""
PLOT, PAD = 132, 16
"""Height of a plot, and its room above and below, in pixels."""


@dataclass(frozen=True)
class Tick:
    """A place on the axis."""

    x: str
    label: str
    anchor: str
    """Of the text, so that it stays inside."""


@dataclass(frozen=True)
class Dot:
    """One or more records of a row."""

    x: str
    radius: str
    count: int


@dataclass(frozen=True)
class Row:
    """A category."""

    category: str
    y: int
    """Of its line."""
    dots: tuple[Dot, ...]
    years: tuple[tuple[str, int], ...]
    """How many of each year, for whoever reads it as a table."""


@dataclass(frozen=True)
class Timeline:
    """The records of a chart over time."""

    height: int
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    first: str
    last: str
    """Years."""
    undated: int


def day_of(when: str) -> int | None:
    """The day of a FHIR date or dateTime as a number; of a month or year the first one. None for no date, and of no
    year that is drawn."""
    text = when[:10]
    for tail in ("", "-01", "-01-01"):
        if len(text) + len(tail) == 10:
            try:
                found = date.fromisoformat(text + tail)
            except ValueError:
                return None
            return found.toordinal() if found.year in YEARS else None
    return None


class Axis:
    """Days across a picture."""

    def __init__(self, days: Sequence[int], language: str, left: float = LEFT) -> None:
        """`days`: at least one; `left`: where they begin, in percent."""
        self._left = left
        first, last = date.fromordinal(min(days)), date.fromordinal(max(days))
        self._months = last.year - first.year < 2
        if self._months:
            begin = first.replace(day=1)
            end = date(last.year + last.month // 12, last.month % 12 + 1, 1)
        else:
            begin, end = date(first.year, 1, 1), date(last.year + 1, 1, 1)
        self.first, self.last = begin, end
        self._begin, self._span = begin.toordinal(), max(1, end.toordinal() - begin.toordinal())
        self._locale = Locale(language)

    def x(self, day: int) -> float:
        """Where a day is, in percent."""
        return self._left + (RIGHT - self._left) * (day - self._begin) / self._span

    def ticks(self) -> tuple[Tick, ...]:
        """As many as there is room for, at the begin of years or months."""
        if self._months:
            count = (self.last.year - self.first.year) * 12 + self.last.month - self.first.month
            step = next(one for one in (1, 2, 3, 6, 12) if count / one <= TICKS or one == 12)
            months = range(0, count, step)
            starts = [
                date(self.first.year + (self.first.month - 1 + n) // 12, (self.first.month - 1 + n) % 12 + 1, 1)
                for n in months
            ]  # fmt: skip
        else:
            years = self.last.year - self.first.year
            step = next(n for n in (1, 2, 5, 10, 20, 50, 100) if years / n <= TICKS)
            first = -(-self.first.year // step) * step
            starts = [date(year, 1, 1) for year in range(first, self.last.year, step)]
        return tuple(self._tick(one) for one in starts)

    def _tick(self, day: date) -> Tick:
        x = self.x(day.toordinal())
        label = format_date(day, "MMM y", self._locale) if self._months else str(day.year)
        return Tick(f"{x:.2f}%", label, "start" if x < 10 else "end" if x > 90 else "middle")


def timeline(
    records: Sequence[Record], categories: Sequence[str], language: str
) -> Timeline | None:
    """The picture of a list, from the list alone; None where nothing in it has a date."""
    days = {one.record: day_of(one.clinical_date) for one in records}
    dated = [one for one in records if days[one.record] is not None]
    if not dated:
        return None
    axis = Axis([day for day in days.values() if day is not None], language)
    rows = list[Row]()
    for category in categories:
        own = [one for one in dated if one.category == category]
        if not own:
            continue
        bins = Counter(round(axis.x(days[one.record] or 1) / NARROWEST) for one in own)
        dots = tuple(
            Dot(f"{place * NARROWEST:.2f}%", f"{min(11.0, 4 + 1.6 * sqrt(count - 1)):.1f}", count)
            for place, count in sorted(bins.items())
        )
        years = Counter(one.clinical_date[:4] for one in own)
        rows.append(Row(category, len(rows) * ROW + HEAD + 16, dots, tuple(sorted(years.items()))))
    years_all = sorted(one.clinical_date[:4] for one in dated)
    return Timeline(
        len(rows) * ROW + FOOT, tuple(rows), axis.ticks(), years_all[0], years_all[-1], len(records) - len(dated),
    )  # fmt: skip


@dataclass(frozen=True)
class Point:
    """A value in a plot."""

    x: str
    y: str
    value: Value


@dataclass(frozen=True)
class Plot:
    """One measurement over time."""

    name: str
    code: str
    unit: str
    points: tuple[Point, ...]
    """From the oldest on."""
    lines: tuple[tuple[str, str, str, str], ...]
    """Between neighbours: x1, y1, x2, y2."""
    band: tuple[str, str] | None
    """The latest value's reference range: y and height."""
    ticks: tuple[Tick, ...]
    top: str
    bottom: str
    """The largest and smallest number that the plot's height shows."""

    days: int
    """On how many days it was measured."""

    @property
    def latest(self) -> Value:
        """The newest value."""
        return self.points[-1].value


def plots(values: Sequence[Value], language: str) -> list[Plot]:
    """A plot for each measurement that has a date, over its own time; those measured on the most days first, at
    most PLOTS."""
    series = dict[tuple[str, str], list[tuple[int, Value]]]()
    for one in values:
        day = day_of(one.date)
        if day is not None:
            series.setdefault(one.key, []).append((day, one))
    often = sorted(series.values(), key=lambda some: len({day for day, _ in some}), reverse=True)
    drawn = [_plot(some, Axis([day for day, _ in some], language, SCALE)) for some in often[:PLOTS]]
    order = {one: n for n, one in enumerate(SIGNS)}
    return sorted(
        drawn, key=lambda one: (-one.days, order.get(one.code, len(order)), one.name.casefold())
    )


def _plot(found: list[tuple[int, Value]], axis: Axis) -> Plot:
    found = sorted(found, key=lambda one: (one[0], one[1].date, one[1].source.record.seq))
    latest = found[-1][1]
    shown = [one.number for _, one in found]
    shown += [one for one in (latest.low, latest.high) if one is not None]
    low, high = min(shown), max(shown)
    span = (high - low) or max(abs(high), Decimal(1)) / 5
    middle = (high + low) / 2
    low, high = middle - span * Decimal("0.56"), middle + span * Decimal("0.56")

    def y(number: Decimal) -> float:
        return float(PAD + (PLOT - 2 * PAD) * (high - number) / (high - low))

    points = tuple(Point(f"{axis.x(day):.2f}%", f"{y(one.number):.1f}", one) for day, one in found)
    lines = tuple((one.x, one.y, other.x, other.y) for one, other in pairwise(points))
    band = None
    if latest.low is not None or latest.high is not None:
        upper = y(latest.high) if latest.high is not None else 0.0
        lower = y(latest.low) if latest.low is not None else float(PLOT)
        if lower >= upper:
            band = (f"{upper:.1f}", f"{lower - upper:.1f}")
    return Plot(
        latest.name, latest.code, latest.unit, points, lines, band, axis.ticks(), _short(high), _short(low),
        len({day for day, _ in found}),
    )  # fmt: skip


def _short(number: Decimal) -> str:
    size = abs(number)
    return f"{number:.0f}" if size >= 100 else f"{number:.1f}" if size >= 1 else f"{number:.2f}"
