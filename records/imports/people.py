"""Whether two descriptions can be of one person: name, birth date and sex, as far as both give them. Pure.

The rule, which docs/import.md tells for people:

* A name is compared by its words, whatever their order, case and accents (NFKD, casefold; ä, ae and a are one).
  An initial agrees with each name that it begins; of several given names one that is common is enough.
* Another given name, birth date or sex contradicts, also alone: twins share the rest, and so do father and son.
* Another family name contradicts, unless given name, full birth date and sex agree: then somebody married.
* A partial birth date agrees with each day in it. Day and month exchanged is a slip, not another person.
* What one side doesn't give, or gives in another script, says nothing.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from records.imports.placeholders import Placeholders

GIVEN, FAMILY, BIRTH, SEX, NAME = "given name", "family name", "birth date", "sex", "name"
"""The fields, as reasons call them."""
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


class Verdict(NamedTuple):
    """What a comparison gave."""

    differs: tuple[str, ...]
    """The fields that contradict."""
    confirmed: bool
    """Whether given name and full birth date agree and nothing contradicts: a witness of its own."""


def compare(known: Traits, said: Traits) -> Verdict:
    """Compare what is known of a patient with what a unit says; both in clear, or both by the same hash."""
    given, family = _names(known, said)
    birth = _birth(known, said)
    sex = known.sex == said.sex if known.sex and said.sex else None
    exact = bool(known.day) and known.day == said.day
    married = given is True and exact and sex is True
    whole = given is False and family is None
    checks = (
        (NAME if whole else GIVEN, given is not False),
        (FAMILY, family is not False or married),
        (BIRTH, birth is not False),
        (SEX, sex is not False),
    )
    differs = tuple(name for name, fits in checks if not fits)
    return Verdict(differs, not differs and given is True and exact)


def listed(differs: Iterable[str]) -> str:
    """`name`, `name and sex`, `name, birth date and sex`."""
    *first, last = differs
    return f"{', '.join(first)} and {last}" if first else last


def _birth(known: Traits, said: Traits) -> bool | None:
    if not known.year or not said.year:
        return None
    if known.day and said.day:
        return said.day in (known.day, known.swapped)
    if known.month and said.month:
        return known.month == said.month
    return known.year == said.year


def _names(known: Traits, said: Traits) -> tuple[bool | None, bool | None]:
    """Whether given and family names agree; None where it can't be said. `(False, None)`: whole names differ."""
    if not known.script or known.script != said.script:
        return None, None
    structured = (known.given or known.family) and (said.given or said.family)
    if structured:
        given = _agree(known.given, known.initials, said.given, said.initials)
        return given, _overlap(known.family, said.family)
    if (
        known.whole
        and said.whole
        and not (known.given or said.given or known.family or said.family)
    ):
        if known.whole <= said.whole or said.whole <= known.whole:
            return len(known.whole & said.whole) > 1 or None, True
        return False, None
    whole, parts = (known, said) if known.whole else (said, known)
    if len(whole.whole) == 1:  # one word, of which nobody says which name it is
        if _overlap(whole.whole, parts.family):
            return None, True
        return _agree(whole.whole, whole.initials, parts.given, parts.initials), None
    given = _agree(whole.whole, whole.initials, parts.given, parts.initials)
    return given, _overlap(whole.whole, parts.family)


def _agree(
    one: frozenset[str], ones: frozenset[str], two: frozenset[str], twos: frozenset[str]
) -> bool | None:
    """Whether given names have a word in common, an initial counting for the word it begins."""
    if not one or not two:
        return None
    return not one.isdisjoint(two | twos) or not two.isdisjoint(ones)


def _overlap(one: frozenset[str], two: frozenset[str]) -> bool | None:
    return None if not one or not two else not one.isdisjoint(two)


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
