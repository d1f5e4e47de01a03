"""Languages: the texts of pages in each, read from gettext catalogues at start, and whose language it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

from babel import Locale, negotiate_locale
from babel.dates import format_date, format_datetime
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

LANGUAGES: Mapping[str, str] = {"en": "English", "de": "Deutsch"}
"""The languages that are whole, each by its own name. English is what stands in the templates."""
LOCALE = Path(__file__).parent / "locale"
LANGUAGE_COOKIE = "__Host-heartwood-language"
"""What somebody chose; nothing else is kept in it."""
ACCEPTED = 16
"""Most languages of an Accept-Language header that are looked at."""


@dataclass(frozen=True)
class Texts:
    """The texts, dates and numbers of one language."""

    language: str
    told: Mapping[str, str]
    """Translations by their English text; none for English itself."""
    plurals: Mapping[str, tuple[str, ...]]

    def text(self, english: str) -> str:
        """A text; the English one where there is no other."""
        return self.told.get(english, english)

    def plural(self, one: str, many: str, count: int) -> str:
        """A text for a count; English and German both tell one from any other number."""
        found = self.plurals.get(one, (one, many))
        return found[0 if count == 1 else 1]

    def day(self, when: str) -> str:
        """A day `YYYY-MM-DD` as the language writes it; as it is, if no calendar has it: an older log may hold one."""
        try:
            day = date.fromisoformat(when)
        except ValueError:
            return when
        return format_date(day, "long", Locale(self.language))

    def moment(self, when: int | str) -> str:
        """A moment (Unix ms, or as the log writes it), in UTC: a script of the page shows the reader's own time."""
        moment = moment_of(when)
        return f"{format_datetime(moment, 'd. MMM y, HH:mm' if self.language == 'de' else 'd MMM y, HH:mm', UTC, Locale(self.language))} UTC"

    def number(self, value: int) -> str:
        """A whole number, grouped."""
        return format_decimal(value, locale=Locale(self.language))


def moment_of(when: int | str) -> datetime:
    """A moment as Unix ms, or as the log writes it."""
    if isinstance(when, int):
        return datetime.fromtimestamp(when / 1000, UTC)
    return datetime.fromisoformat(when)


@cache
def texts_of(language: str) -> Texts:
    """The texts of a language that is whole."""
    told: dict[str, str] = {}
    plurals: dict[str, tuple[str, ...]] = {}
    path = LOCALE / f"{language}.po"
    if language != "en":
        with path.open("rb") as file:
            for message in read_po(file, locale=language):
                texts = message.string
                if isinstance(message.id, tuple | list):
                    plurals[str(message.id[0])] = tuple(map(str, texts or ()))
                elif message.id:
                    told[str(message.id)] = str(texts)
    return Texts(language, told, plurals)


def chosen(cookie: str, accept: str) -> str:
    """The language of a visitor: what they chose, or else the first of their browser's that is whole, or English."""
    if cookie in LANGUAGES:
        return cookie
    wanted = []
    for part in accept.split(",")[:ACCEPTED]:
        tag, _, quality = part.strip().partition(";q=")
        try:
            wanted.append((-float(quality or 1), tag.replace("-", "_")))
        except ValueError:
            continue
    preferred = [tag for _, tag in sorted(wanted, key=lambda one: one[0])]
    return negotiate_locale(preferred, list(LANGUAGES), sep="_") or "en"


def mark(english: str) -> str:
    """A text that is translated where it is shown: for tables of texts. What extracts texts knows this name."""
    return english
