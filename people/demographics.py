"""What a source says of a person, and the traits of it that are compared: name, birth date and sex. Pure."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from people.placeholders import Placeholders

SEXES = {
    **dict.fromkeys(("f", "female", "w", "weiblich", "frau", "woman", "femme", "femenino"), "f"),
    **dict.fromkeys(("m", "male", "männlich", "maennlich", "mann", "man", "homme", "masculino"), "m"),
}  # fmt: skip
"""What is compared as a sex; any other word says nothing."""
PARTICLES = frozenset(
    [
        "af",
        "al",
        "auf",
        "av",
        "da",
        "dalla",
        "das",
        "de",
        "del",
        "della",
        "den",
        "der",
        "des",
        "di",
        "do",
        "dos",
        "du",
        "el",
        "la",
        "las",
        "le",
        "los",
        "mac",
        "mc",
        "of",
        "ten",
        "ter",
        "the",
        "van",
        "vom",
        "von",
        "y",
        "zu",
        "zum",
        "zur",
    ]
)
"""Words of family names that do not tell two apart."""
TITLES = frozenset(
    [
        "dipl",
        "dr",
        "frau",
        "herr",
        "ing",
        "jr",
        "jun",
        "med",
        "mr",
        "mrs",
        "ms",
        "prof",
        "sen",
        "sr",
    ]
)
NO_NAMES = frozenset(
    [
        "baby",
        "boy",
        "child",
        "female",
        "girl",
        "infant",
        "junge",
        "kind",
        "knabe",
        "male",
        "newborn",
        "neugeborenes",
        "saugling",
    ]
)
"""What stands for a given name before there is one."""


@dataclass(frozen=True, slots=True)
class Demographics:
    """What a source says of a person; empty where it says nothing."""

    given: str = ""
    """Given names, apart by spaces."""
    family: str = ""
    text: str = ""
    """The whole name, where a source does not tell its parts."""
    birth: str = ""
    """`YYYY`, `YYYY-MM` or `YYYY-MM-DD`, a day of the calendar."""
    sex: str = ""
    """As the source writes it."""

    def __bool__(self) -> bool:
        """Whether anything is said."""
        return any((self.given, self.family, self.text, self.birth, self.sex))


NOTHING_SAID = Demographics()


@dataclass(frozen=True, slots=True)
class Traits:
    """What is compared: in clear, or each text as a keyed hash of it; an empty text is not known."""

    given: frozenset[str] = frozenset()
    initials: frozenset[str] = frozenset()
    """Of the given names and of the words of `whole`."""
    family: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()
    """The words of a name whose parts are not told."""
    script: str = ""
    """That the words are written in."""
    day: str = ""
    swapped: str = ""
    """The day with its month and day exchanged; empty if that is no day."""
    month: str = ""
    year: str = ""
    sex: str = ""

    @staticmethod
    def of(said: Demographics) -> "Traits":
        """The traits in clear."""
        last, comma, first = said.text.partition(",")
        structured = bool(said.given or said.family)
        if structured or not comma:
            last, first = said.family, said.given
        structured = structured or bool(comma)
        given = (_words(first) - NO_NAMES) | _joined(first)
        family = _words(last) - PARTICLES or _words(last)
        whole = frozenset[str]() if structured else _words(said.text) - PARTICLES - NO_NAMES
        script = _script(f"{said.given} {said.family} {said.text}")
        birth = said.birth
        full = len(birth) == len("2020-01-31")
        return Traits(
            given=given,
            initials=frozenset(word[0] for word in given | whole),
            family=family,
            whole=whole,
            script=script if given or family or whole else "",
            day=birth if full else "",
            swapped=_swapped(birth) if full else "",
            month=birth[:7] if len(birth) >= len("2020-01") else "",
            year=birth[:4],
            sex=SEXES.get(said.sex.strip().casefold(), ""),
        )

    def mapped(self, change: Callable[[str, str], str]) -> "Traits":
        """These traits with each text that isn't empty replaced by `change(kind, text)`."""

        def one(kind: str, text: str) -> str:
            return change(kind, text) if text else ""

        def words(some: Iterable[str]) -> frozenset[str]:
            return frozenset(change("word", word) for word in some)

        return Traits(
            words(self.given), words(self.initials), words(self.family), words(self.whole),
            one("script", self.script), one("day", self.day), one("day", self.swapped),
            one("month", self.month), one("year", self.year), one("sex", self.sex),
        )  # fmt: skip

    def joined(self, other: "Traits") -> "Traits":
        """What both tell of one person: every name, and the more exact birth date."""
        names, more = self, other
        if self.script == other.script or not self.script:
            names = replace(
                self,
                given=self.given | more.given,
                initials=self.initials | more.initials,
                family=self.family | more.family,
                whole=self.whole | more.whole,
                script=self.script or more.script,
            )
        dated = max((self, other), key=lambda traits: (bool(traits.day), bool(traits.month)))
        dated = dated if dated.year else other
        return replace(
            names,
            day=dated.day,
            swapped=dated.swapped,
            month=dated.month,
            year=dated.year,
            sex=self.sex or other.sex,
        )


def _words(text: str) -> frozenset[str]:
    words = (folded(word) for word in re.split(r"[\s\-–.,'’^/()]+", text))
    return frozenset(
        word
        for word in words
        if word
        and word not in TITLES
        and word not in NO_NAMES
        and not Placeholders.default().has(word)
    )


def _joined(given: str) -> frozenset[str]:
    """`Anna-Maria` and `Anna Maria` as `Annamaria` is written."""
    parts = [folded(word) for word in re.split(r"[\s\-]+", given.strip())]
    return (
        frozenset({"".join(parts)})
        if len(parts) == 2 and all(len(p) > 1 for p in parts)
        else frozenset()
    )


def folded(word: str) -> str:
    """A word of a name without case and accents; ä, æ, ae and a are one, and so are their like."""
    word = word.casefold().translate(_LETTERS)
    plain = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    plain = re.sub(r"[\W_]+", "", plain.casefold())
    return re.sub("([aou])e", r"\1", plain)


_LETTERS = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "oe", "å": "a", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
)


def _script(text: str) -> str:
    """The script of the first letter."""
    for sign in text:
        name = unicodedata.name(sign, "")
        if sign.isalpha() and name:
            return name.split()[0]
    return ""


def _swapped(day: str) -> str:
    year, month, number = day.split("-")
    return f"{year}-{number}-{month}" if int(number) <= 12 else ""
