"""A synthetic scan as an 8-bit grayscale PNG (https://www.w3.org/TR/png-3/)."""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAYSCALE_8_BIT = bytes([8, 0, 0, 0, 0])  # depth, colour type, compression, filter, interlace
SCANLINE_FILTER_NONE = b"\x00"
ZLIB_HEADER = b"\x78\x01"
STORED_MOST_BYTES = 65_535  # RFC 1951, 3.2.4

NOISE = 12  # gray levels, up or down
_LEVELS = bytes(grain % (2 * NOISE) for grain in range(256))
UNIT = 1_000  # coordinates run from -UNIT to UNIT, whatever the size


@dataclass(frozen=True)
class Ellipse:
    """An ellipse around (x, y) with half axes a and b, all in 1/UNIT of half the image."""

    x: int
    y: int
    a: int
    b: int
    gray: int

    def row(self, y: int, width: int) -> range:
        """The pixels that it covers in the row at height `y`."""
        inside = self.b**2 - (y - self.y) ** 2
        if inside < 0:
            return range(0)
        # |x - self.x| <= a / b * sqrt(b^2 - dy^2), in whole numbers
        half = math.isqrt(self.a**2 * inside // self.b**2)
        return range(_pixel(self.x - half, width), _pixel(self.x + half, width))


def scan_png(seed: int, width: int = 128, height: int = 128, part: str = "head") -> bytes:
    """An image of `width` by `height` pixels of a part of the body (PARTS), under noise.

    Stored uncompressed, as compressors differ from one zlib to the next and noise hardly shrinks.
    """
    if width < 1 or height < 1:
        raise ValueError(f"expected a size of at least 1 x 1, got {width} x {height}")
    rng = random.Random(f"heartwood/scan/{seed}")
    shapes = PARTS[part](rng)
    rows = [_scanline(rng, shapes, _unit(row, height), width) for row in range(height)]
    pixels = b"".join(SCANLINE_FILTER_NONE + row for row in rows)
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    chunks = ((b"IHDR", size + GRAYSCALE_8_BIT), (b"IDAT", _stored(pixels)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(kind, body) for kind, body in chunks)


def _head(rng: random.Random) -> list[Ellipse]:
    """Skull, brain and a few lesions; like each part, from back to front."""
    a, b = rng.randint(640, 760), rng.randint(800, 900)
    skull = Ellipse(0, 0, a, b, 225)
    brain = Ellipse(0, 0, a - 70, b - 70, 105)
    ventricles = [
        Ellipse(side * rng.randint(150, 200), -60, rng.randint(70, 110), rng.randint(200, 280), 40)
        for side in (-1, 1)
    ]
    lesions = [
        Ellipse(
            rng.randint(-400, 400),
            rng.randint(-500, 500),
            rng.randint(30, 110),
            rng.randint(30, 110),
            rng.randint(150, 200),
        )
        for _ in range(rng.randint(1, 4))
    ]
    return [skull, brain, *ventricles, *lesions]


def _chest(rng: random.Random) -> list[Ellipse]:
    """A trunk, two lungs with ribs across, and the heart."""
    a, wide = rng.randint(820, 920), rng.randint(230, 290)
    lungs = [Ellipse(side * 380, -80, wide, rng.randint(560, 640), 45) for side in (-1, 1)]
    ribs = [
        Ellipse(side * 380, level, wide + 60, 26, 120)
        for level in range(-560, 420, 150)
        for side in (-1, 1)
    ]
    heart = Ellipse(rng.randint(60, 140), 180, rng.randint(200, 320), 260, 150)
    return [Ellipse(0, 0, a, 960, 135), *lungs, *ribs, Ellipse(0, 0, 70, 940, 190), heart]


def _breast(rng: random.Random) -> list[Ellipse]:
    """Tissue of varying density, now and then with a dense spot."""
    tissue = [
        Ellipse(rng.randint(-600, 0), rng.randint(-400, 400), 260, rng.randint(60, 160), 130)
        for _ in range(5)
    ]
    spots = [
        Ellipse(rng.randint(-500, 0), rng.randint(-300, 300), 40, 40, 215)
        for _ in range(rng.randrange(3) // 2)
    ]
    return [Ellipse(-1_000, 0, rng.randint(1_300, 1_600), 880, 85), *tissue, *spots]


def _limb(rng: random.Random) -> list[Ellipse]:
    """Two bones in soft tissue, and the line of a fracture."""
    bones = [Ellipse(side * 210, 0, rng.randint(110, 150), 1_300, 205) for side in (-1, 1)]
    gap = Ellipse(rng.choice((-210, 210)), rng.randint(-300, 300), 170, 22, 75)
    return [Ellipse(0, 0, 560, 1_600, 70), *bones, gap]


PARTS: dict[str, Callable[[random.Random], list[Ellipse]]] = {
    "head": _head,
    "chest": _chest,
    "breast": _breast,
    "limb": _limb,
}


def _scanline(rng: random.Random, shapes: list[Ellipse], y: int, width: int) -> bytes:
    line = bytearray(width)
    for shape in shapes:
        covered = shape.row(y, width)
        line[covered.start : covered.stop] = bytes([shape.gray - NOISE]) * len(covered)
    # One draw a row: a byte a pixel, brought down to 2 * NOISE levels around the gray. No sum
    # exceeds a byte, so all are added at once, as the digits of two long numbers.
    noise = rng.randbytes(width).translate(_LEVELS)
    return (int.from_bytes(line) + int.from_bytes(noise)).to_bytes(width)


def _unit(pixel: int, size: int) -> int:
    return (2 * pixel + 1) * UNIT // size - UNIT


def _pixel(unit: int, size: int) -> int:
    return min(max((unit + UNIT) * size // (2 * UNIT), 0), size)


def _stored(raw: bytes) -> bytes:
    """A zlib stream (RFC 1950) of stored blocks (RFC 1951, 3.2.4)."""
    starts = range(0, len(raw), STORED_MOST_BYTES)
    blocks = []
    for start in starts:
        block = raw[start : start + STORED_MOST_BYTES]
        final = bytes([start + STORED_MOST_BYTES >= len(raw)])
        size = len(block)
        blocks.append(
            final + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + block
        )
    return ZLIB_HEADER + b"".join(blocks) + zlib.adler32(raw).to_bytes(4, "big")


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return len(body).to_bytes(4, "big") + kind + body + check.to_bytes(4, "big")
