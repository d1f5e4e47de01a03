"""A synthetic scan slice as an 8-bit grayscale PNG (https://www.w3.org/TR/png-3/)."""

from __future__ import annotations

import math
import random
import zlib
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAYSCALE_8_BIT = bytes([8, 0, 0, 0, 0])  # depth, colour type, compression, filter, interlace
SCANLINE_FILTER_NONE = b"\x00"
ZLIB_HEADER = b"\x78\x01"
STORED_MOST_BYTES = 65_535  # RFC 1951, 3.2.4

NOISE = 12  # gray levels, up or down
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


def scan_png(seed: int, width: int = 128, height: int = 128) -> bytes:
    """A slice of `width` by `height` pixels: skull, brain and a few lesions, under noise.

    Stored uncompressed, as compressors differ from one zlib to the next and noise hardly shrinks.
    """
    if width < 1 or height < 1:
        raise ValueError(f"expected a size of at least 1 x 1, got {width} x {height}")
    rng = random.Random(f"heartwood/scan/{seed}")
    shapes = _anatomy(rng)
    rows = (_scanline(rng, shapes, _unit(row, height), width) for row in range(height))
    pixels = b"".join(SCANLINE_FILTER_NONE + row for row in rows)
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    chunks = ((b"IHDR", size + GRAYSCALE_8_BIT), (b"IDAT", _stored(pixels)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(kind, body) for kind, body in chunks)


def _anatomy(rng: random.Random) -> list[Ellipse]:
    """The shapes from back to front."""
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


def _scanline(rng: random.Random, shapes: list[Ellipse], y: int, width: int) -> bytes:
    line = bytearray([NOISE] * width)
    for shape in shapes:
        covered = shape.row(y, width)
        line[covered.start : covered.stop] = bytes([shape.gray]) * len(covered)
    # One draw a row: a byte a pixel, brought down to 2 * NOISE levels around the gray.
    noise = rng.randbytes(width)
    return bytes(
        gray + grain % (2 * NOISE) - NOISE for gray, grain in zip(line, noise, strict=True)
    )


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
