"""Whether two descriptions can be of one person: name, birth date and sex, as far as both give them. Pure.

The rule, which docs/import.md tells for people:

* A name is compared by its words, whatever their order, case and accents (NFKD, casefold; ä, ae and a are one).
  An initial agrees with each name that it begins; of several given names one that is common is enough.
* Another given name, birth date or sex contradicts, also alone: twins share the rest, and so do father and son.
* Another family name contradicts, unless given name, full birth date and sex agree: then somebody married.
* A partial birth date agrees with each day in it. Day and month exchanged is a slip, not another person.
* What one side doesn't give, or gives in another script, says nothing.
"""

from collections.abc import Iterable
from typing import NamedTuple

from people.demographics import Traits

GIVEN, FAMILY, BIRTH, SEX, NAME = "given name", "family name", "birth date", "sex", "name"
"""The fields, as reasons call them."""


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
    if _parted(known) and _parted(said):
        given = _agree(known.given, known.initials, said.given, said.initials)
        family = _overlap(known.family, said.family)
        if given is False and family is False and _crossed(known, said):
            return True, True  # somebody wrote the family name first
        return given, family
    if said.whole and _parted(known):
        return _whole_and_parts(said, known)
    if known.whole and _parted(said):
        return _whole_and_parts(known, said)
    if not known.whole or not said.whole:
        return None, None
    if known.whole <= said.whole or said.whole <= known.whole:
        return len(known.whole & said.whole) > 1 or None, True
    return False, None


def _parted(traits: Traits) -> bool:
    return bool(traits.given or traits.family)


def _crossed(one: Traits, other: Traits) -> bool:
    return bool(_overlap(one.given, other.family) and _overlap(one.family, other.given))


def _whole_and_parts(whole: Traits, parts: Traits) -> tuple[bool | None, bool | None]:
    """A name whose parts are not told, beside one whose parts are."""
    family = _overlap(whole.whole, parts.family)
    if len(whole.whole) == 1 and family:  # one word, and it is the family name
        return None, True
    given = _agree(whole.whole, whole.initials, parts.given, parts.initials)
    return given, None if len(whole.whole) == 1 else family


def _agree(
    one: frozenset[str], ones: frozenset[str], two: frozenset[str], twos: frozenset[str]
) -> bool | None:
    """Whether given names have a word in common, an initial counting for the word it begins."""
    if not one or not two:
        return None
    return not one.isdisjoint(two | twos) or not two.isdisjoint(ones)


def _overlap(one: frozenset[str], two: frozenset[str]) -> bool | None:
    return None if not one or not two else not one.isdisjoint(two)
