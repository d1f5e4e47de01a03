"""The languages in which people are written to."""

from journeys.errors import RecordsError
from people.texts import LANGUAGES


def check_language(language: str) -> None:
    """Raises RecordsError for a language without texts; `language`: its code (ISO 639-1)."""
    if language not in LANGUAGES:
        raise RecordsError(
            f"got the language {language[:20]!r}, expected one of {', '.join(LANGUAGES)}"
        )
