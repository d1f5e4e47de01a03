"""Drawings: the log as the rings of a tree, drawn from its root (another log, another tree; one look with the demo's page), and QR codes."""

from dataclasses import dataclass
from io import BytesIO
from math import cos, log2, pi, sin

import segno
from markupsafe import Markup

RADIUS = 278.0
"""Of the outermost ring, in units of the drawing, whose centre is 0, 0."""
PITH = 12.0
POINTS = 48
WAVES = (2, 3, 5)
UNEVEN = (0.022, 0.014, 0.007)
"""How much each wave bends a ring, as parts of its radius."""
SWAY = 0.7
"""How far one ring's waves are from those of the ring before, in radians at most."""
FEWEST, MOST = 6, 22
"""Rings drawn: more, the larger the log, by powers of two."""


@dataclass(frozen=True)
class Ring:
    """A closed path, and whether it shows as a band."""

    path: str
    wide: bool


def rings(root: bytes, size: int) -> list[Ring]:
    """The rings from the pith out, for a log of `size` entries with this root (32 bytes)."""
    count = max(FEWEST, min(MOST, round(log2(2 + size) * 1.6)))
    widths = [0.6 + root[n % 32] / 255 for n in range(count)]
    scale, radius, out = (RADIUS - PITH) / sum(widths), PITH, []
    for n, width in enumerate(widths):
        radius += width * scale
        phases = [
            root[k] / 256 * 2 * pi + (root[(n + k) % 32] / 255 - 0.5) * SWAY * radius / RADIUS
            for k in range(len(WAVES))
        ]
        out.append(Ring(_path(radius, phases), root[(n * 7) % 32] > 208))
    return out


def _path(radius: float, phases: list[float]) -> str:
    points = [_point(radius, 2 * pi * n / POINTS, phases) for n in range(POINTS)]
    after = [*points[1:], points[0]]
    middles = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in zip(points, after, strict=True)]
    curves = (
        f"Q{at[0]:.0f} {at[1]:.0f} {to[0]:.0f} {to[1]:.0f}"
        for at, to in zip(points, middles, strict=True)
    )
    return f"M{middles[-1][0]:.0f} {middles[-1][1]:.0f}{''.join(curves)}Z"


def _point(radius: float, angle: float, phases: list[float]) -> tuple[float, float]:
    bent = sum(
        part * sin(wave * angle + phase)
        for part, wave, phase in zip(UNEVEN, WAVES, phases, strict=True)
    )
    far = radius * (1 + bent)
    return far * cos(angle), far * sin(angle)


def qr(text: str) -> Markup:
    """A QR code as an SVG that stands in a page, without styles of its own."""
    out = BytesIO()
    segno.make(text, error="m").save(
        out, kind="svg", xmldecl=False, svgns=True, border=3, dark="#000000", light="#ffffff",
        svgclass="qr", lineclass=None, omitsize=True,
    )  # fmt: skip
    return Markup(out.getvalue().decode())
