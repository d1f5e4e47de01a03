"""The log as the rings of a tree: each a signed checkpoint, wider the more entries it laid on."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, log2, pi, sin

from demo.report.day import Mark

RADIUS = 292.0
"""Of the outermost ring, in units of the drawing, whose centre is 0, 0."""
PITH = 10.0
POINTS = 72
WAVES = (2, 3, 5)
UNEVEN = (0.020, 0.013, 0.006)
"""How much each wave bends a ring, as parts of its radius."""
SWAY = 0.9
"""How far one ring's waves are from those of the ring before, in radians at most."""


@dataclass(frozen=True)
class Ring:
    """A closed path, with what it stands for."""

    path: str
    title: str
    wide: bool
    """Whether it laid on so much that it shows as a band."""
    radius: float


@dataclass(frozen=True)
class Knot:
    """A refusal, where it stands in the wood."""

    x: float
    y: float
    title: str


def rings(marks: Sequence[Mark]) -> list[Ring]:
    """The rings from the pith out. The unevenness is read from the roots: another log, another tree."""
    added = [
        now.size - before for now, before in zip(marks, [0, *(m.size for m in marks)], strict=False)
    ]
    widths = [log2(1 + count) for count in added]
    scale = (RADIUS - PITH) / sum(widths)
    out, radius = [], PITH
    phases = [byte / 256 * 2 * pi for byte in marks[-1].root[: len(WAVES)]]
    for mark, count, width in zip(marks, added, widths, strict=True):
        radius += width * scale
        bent = [
            phase + (byte / 255 - 0.5) * SWAY * radius / RADIUS * 0.5
            for phase, byte in zip(phases, mark.root, strict=False)
        ]
        title = f"{mark.what}: {count} {'entry' if count == 1 else 'entries'}, {mark.size} in all"
        out.append(Ring(_path(radius, bent), title, count > 20, radius))
    return out


def knots(marks: Sequence[Mark], grown: Sequence[Ring], refused: Sequence[int]) -> list[Knot]:
    """Refusals by their entries, each on the ring that holds it, where the ring's root says."""
    out = []
    for seq in refused:
        at = next(n for n, mark in enumerate(marks) if seq < mark.size)
        angle = marks[at].root[0] / 256 * 2 * pi
        far = grown[at].radius
        out.append(Knot(far * cos(angle), far * sin(angle), f"entry {seq}: refused"))
    return out


def _path(radius: float, phases: Sequence[float]) -> str:
    """A closed curve through POINTS points, smooth at the middles between them."""
    around = [_point(radius, 2 * pi * n / POINTS, phases) for n in range(POINTS)]
    middles = [
        ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
        for a, b in zip(around, [*around[1:], around[0]], strict=True)
    ]
    start = f"M{middles[-1][0]:.1f} {middles[-1][1]:.1f}"
    curves = (
        f"Q{at[0]:.1f} {at[1]:.1f} {to[0]:.1f} {to[1]:.1f}"
        for at, to in zip(around, middles, strict=True)
    )
    return start + "".join(curves) + "Z"


def _point(radius: float, angle: float, phases: Sequence[float]) -> tuple[float, float]:
    bend = sum(
        part * cos(wave * angle + phase)
        for part, wave, phase in zip(UNEVEN, WAVES, phases, strict=True)
    )
    far = radius * (1 + bend)
    return far * cos(angle), far * sin(angle)
