"""What sweeping has still to do: stores that didn't answer are tried again later and later, each by itself.

It is a file of the data directory, shared by all processes of a machine and kept over restarts.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from crypto.ids import is_id

LAST_SWEEP = "sweep"
"""The file of the data directory that says when this machine swept last; its lock lets one process sweep."""
FIRST_PAUSE_MS = 60_000
"""Before what failed once is tried again; each further pause is twice the one before."""
LONGEST_PAUSE_MS = 3_600_000
MOST_OWED = 100_000
"""Blobs that are remembered of a store; any others the next whole sweep finds by itself."""


@dataclass
class Owed:
    """What one store still has to remove, and how it went so far."""

    blobs: list[str] = field(default_factory=list)
    tried: int = 0
    """When it was asked last, Unix ms."""
    failures: int = 0
    """How often in a row it failed."""

    @classmethod
    def of(cls, told: dict[str, Any]) -> "Owed":
        """What a file tells, without what are no blobs' ids; raises KeyError, TypeError or ValueError for other forms."""
        blobs = [blob for blob in told["blobs"] if isinstance(blob, str) and is_id("bl", blob)]
        return cls(blobs, int(told["tried"]), int(told["failures"]))

    def waits(self, now: int) -> bool:
        """Whether it is left alone for now."""
        pause = min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** min(self.failures - 1, 10))
        return self.failures > 0 and 0 <= now - self.tried < pause

    def failed(self, now: int) -> None:
        """Note one more failure."""
        self.tried, self.failures = now, self.failures + 1


@dataclass
class SweepState:
    """How far sweeping is."""

    swept: int = 0
    """When the last whole sweep ended, Unix ms; 0 if there was none."""
    whole: Owed = field(default_factory=Owed)
    """How the whole sweep went since, where it failed; it owes no blobs of its own."""
    stores: dict[str, Owed] = field(default_factory=dict)
    """Of several stores those that owe something, by name."""

    @classmethod
    def read(cls, file: TextIO) -> "SweepState":
        """What the file says; all is to be swept if it says nothing that can be read."""
        text = file.read().strip()
        if text.isdecimal():  # of an older program
            return cls(int(text))
        try:
            told: dict[str, Any] = json.loads(text)
            stores = {name: Owed.of(one) for name, one in told["stores"].items()}
            return cls(int(told["swept"]), Owed.of(told["whole"]), stores)
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def write(self, file: TextIO) -> None:
        """Put it in place of what the file says."""
        file.seek(0)
        file.truncate()
        file.write(json.dumps(asdict(self)) + "\n")
        file.flush()
        os.fsync(file.fileno())

    def remember(self, owed: dict[str, list[str]], now: int) -> None:
        """Note what stores owe after they were tried now; none: it is settled."""
        for name, blobs in owed.items():
            if not blobs:
                self.stores.pop(name, None)
                continue
            store = self.stores.setdefault(name, Owed())
            store.blobs = blobs[:MOST_OWED]
            store.failed(now)


def owed_of(data: Path) -> dict[str, int]:
    """How many blobs each store of a ledger has still to remove, as its data directory says."""
    try:
        with (data / LAST_SWEEP).open() as file:
            state = SweepState.read(file)
    except OSError:
        return {}
    return {name: len(one.blobs) for name, one in state.stores.items()}
