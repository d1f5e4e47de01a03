"""What a check of the setup finds: each thing once, with its weight, and what to do."""

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How much it weighs."""

    OK = "ok"
    WARNING = "warning"
    """It works, and something is given away or left to luck."""
    UNSAFE = "unsafe"
    """Records can be lost or read, or the service doesn't start."""


@dataclass(frozen=True)
class Finding:
    """One thing. `about` is stable; words and remedy are for people, and hold no secret."""

    level: Level
    about: str
    words: str
    remedy: str = ""


def ok(about: str, words: str) -> Finding:
    """It is as it should be."""
    return Finding(Level.OK, about, words)


def warning(about: str, words: str, remedy: str) -> Finding:
    """It works, and could be better."""
    return Finding(Level.WARNING, about, words, remedy)


def unsafe(about: str, words: str, remedy: str) -> Finding:
    """It must not stay so."""
    return Finding(Level.UNSAFE, about, words, remedy)
