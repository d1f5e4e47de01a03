"""Which numbers name nobody: words, zeros, one sign repeated, what a spreadsheet left of a long number. Pure."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from journeys.errors import RecordsError

REPEATED_SIGNS = 4
"""How many times one sign alone makes a placeholder: 77 and 111 may be somebody's number, 9999 is nobody's."""
_SCIENTIFIC = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?[Ee][+-]?[0-9]+", re.ASCII)


@dataclass(frozen=True)
class Placeholders:
    """The list of words, and the rules that need no list."""

    words: frozenset[str]
    """As `_bare` makes them."""

    @staticmethod
    def default() -> "Placeholders":
        """Those of `placeholders.txt`, which comes with the program."""
        return _default()

    @staticmethod
    def read(path: Path) -> "Placeholders":
        """A hospital's own list, UTF-8, one a line, `#` begins a comment; raises RecordsError."""
        try:
            return Placeholders.parse(path.read_text("utf-8-sig"))
        except OSError as error:
            raise RecordsError(f"{path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise RecordsError(
                f"{path}: byte {error.start} is not UTF-8, as a list of placeholders must be"
            ) from None

    @staticmethod
    def parse(text: str) -> "Placeholders":
        """The words in `text`."""
        lines = (line.partition("#")[0] for line in text.splitlines())
        return Placeholders(frozenset(filter(None, map(_bare, lines))))

    def has(self, value: str) -> bool:
        """Whether a number, without its system, names nobody."""
        signs = "".join(c for c in value if c.isalnum())
        if not signs:
            return True  # nothing, or only punctuation: `-`, `?`, `########`
        if not signs.strip("0") or (len(set(signs)) == 1 and len(signs) >= REPEATED_SIGNS):
            return True
        if _SCIENTIFIC.fullmatch(value.strip()) and any(c in value for c in ".,+"):
            return True
        return _bare(value) in self.words


@cache
def _default() -> Placeholders:
    return Placeholders.parse(files("imports").joinpath("placeholders.txt").read_text("utf-8"))


def _bare(text: str) -> str:
    """Case folded, with one space for whatever is neither letter nor digit."""
    return " ".join(re.sub(r"[\W_]+", " ", text.casefold()).split())
