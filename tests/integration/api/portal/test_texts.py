"""Languages: each is whole, and each text keeps what is filled in."""

import re

import pytest
from babel.messages.pofile import read_po

from api.http.problems import PROBLEMS
from api.portal import terms, words
from api.portal.texts import LANGUAGES, LOCALE, chosen, texts_of
from consent.explain import WORDS
from consent.rules import RULES
from ledger.codes import CATEGORIES, DECLINED, HARMS, LEGAL_HOLDS, PROFESSIONS, PURPOSES, ROLES
from ledger.editions import CONSENT
from ledger.policies import DEFAULT_POLICY, whole
from ledger.types import REGISTRY
from ledger.types.sessions import FACTORS, MEANS
from people.applications import DOCTOR_STATES, HOSPITAL_STATES
from people.clinical import CLINICAL, MEASURES
from tests.support.portal_texts import extracted

OTHERS = [language for language in LANGUAGES if language != "en"]
_FILLED = re.compile(r"%\(([a-z]+)\)s")


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_there(language: str) -> None:
    """Neither one too few nor one that no page shows, none empty and none unsure."""
    with (LOCALE / f"{language}.po").open("rb") as file:
        catalog = read_po(file, locale=language)
    found = {message.id for message in catalog if message.id}
    assert found == {one for one in extracted() if one}
    for message in catalog:
        told = message.string if isinstance(message.string, tuple) else (message.string,)
        assert not message.id or (all(told) and not message.fuzzy), message.id


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_filled_in_stays(language: str) -> None:
    """A text names the same parameters in every language."""
    texts = texts_of(language)
    for english, told in texts.told.items():
        assert set(_FILLED.findall(english)) == set(_FILLED.findall(told)), english
        assert "<" not in told and texts.text(english) == told
    for english, both in texts.plurals.items():
        assert all(set(_FILLED.findall(english)) == set(_FILLED.findall(one)) for one in both)


def test_the_tables_are_whole() -> None:
    """Every code of the log that a page may show has words."""
    assert set(words.RULES) == set(RULES) and set(words.REASONS) == set(WORDS)
    assert set(words.ROLES) == set(ROLES) and set(words.CATEGORIES) == set(CATEGORIES)
    assert set(words.PURPOSES) == set(PURPOSES) and set(words.DECLINED) == set(DECLINED)
    assert set(words.HARMS) == set(HARMS) and set(words.LEGAL_HOLDS) == set(LEGAL_HOLDS)
    assert set(words.PROFESSIONS) == set(PROFESSIONS) and set(words.FACTORS) == set(FACTORS)
    assert set(MEANS) <= set(words.MEANS)
    assert set(whole(DEFAULT_POLICY, CONSENT)) == set(words.POLICY)
    assert {*DOCTOR_STATES, *HOSPITAL_STATES, "live", "retracted", "shredded"} == set(words.STATES)
    assert set(PROBLEMS) <= set(words.PROBLEM_WORDS)
    assert set(terms.FORMS) == set(terms.ABOUT) == set(CLINICAL)
    fields = [field for form in CLINICAL.values() for field in form.fields]
    assert set(terms.FIELDS) == {field.name for field in fields}
    assert set(terms.CODES) == {code for field in fields for code in field.codes}
    assert set(terms.SIGNS) == {one.code for one in MEASURES.values()}
    streams = {name for (name, _), kind in REGISTRY.items() if kind.stream == "patient"}
    assert streams - {"access.refused"} <= set(words.ACTS)
    accounts = {name for (name, _), kind in REGISTRY.items() if kind.stream == "account"}
    begun = {
        name for name in accounts if name.partition(".")[0] in ("factor", "recovery", "session")
    }
    assert begun == set(words.SIGN_INS)


@pytest.mark.parametrize(
    ("cookie", "accept", "language"),
    [
        ("", "", "en"), ("", "de", "de"), ("", "de-AT,de;q=0.9,en;q=0.5", "de"), ("", "fr, en;q=0.3, de;q=0.8", "de"),
        ("de", "en", "de"), ("xx", "en-GB", "en"), ("", "fr;q=x, *;q=0, \x00", "en"), ("", "," * 500 + "de", "en"),
    ],
)  # fmt: skip
def test_whose_language_it_is(cookie: str, accept: str, language: str) -> None:
    """What was chosen, else the best that the browser asks for."""
    assert chosen(cookie, accept) == language
