"""The texts: every language has every kind, and nothing but ids and times gets into them."""

import string

import pytest

from people.telling import TOLD
from people.texts import KINDS, LANGUAGES, text_of

ACCOUNT = "ac_01jd3q8m5c0000000000000001"
VALUES: dict[str, str | int] = {
    "alarm": 7, "at": 1_700_000_000_000, "by": ACCOUNT, "code": "A" * 26, "counts_at": 1_700_000_000_000,
    "due_at": 1_700_000_000_000, "emergency": "ev_01jd3q8m5c0000000000000003",
    "ending_at": 1_700_000_000_000, "entry": 3, "erasure": "ev_01jd3q8m5c0000000000000003", "guardian": ACCOUNT,
    "hospital": "hs_01jd3q8m5c0000000000000004", "invitation": "ev_01jd3q8m5c0000000000000003",
    "key": "k_2v4c9m1h6s3t8w5x7y0z1a2b3c", "left": 4, "patient": "pt_5k2m9q7x1c3v8b6n4z0f2h9j7r",
    "request": "ev_01jd3q8m5c0000000000000003", "until_at": 1_700_000_000_000,
}  # fmt: skip
LONGEST_SUBJECT = 78
"""In characters (RFC 5322, 2.1.1)."""


def given(kind: str) -> dict[str, str | int]:
    return {name: VALUES[name] for name in KINDS[kind]}


def test_every_language_has_every_kind() -> None:
    for code, words in LANGUAGES.items():
        assert words.TEXTS.keys() == KINDS.keys(), code


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_text_names_what_its_kind_has(kind: str, language: str) -> None:
    subject, body = LANGUAGES[language].TEXTS[kind]
    named = {name for _, name, _, _ in string.Formatter().parse(body) if name}
    assert KINDS[kind] <= named <= KINDS[kind] | {"account"}
    assert not [name for _, name, _, _ in string.Formatter().parse(subject) if name]
    assert len(subject) <= LONGEST_SUBJECT
    assert subject.isprintable()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_text_can_be_made(kind: str, language: str) -> None:
    text = text_of(kind, language, ACCOUNT, "hospital.example/log", given(kind))
    for name, value in given(kind).items():
        shown = "2023" if name.endswith("at") else str(value)
        assert shown in text.body
    assert "hospital.example/log" in text.body
    assert "{" not in text.body + text.subject


def test_languages_differ() -> None:
    for kind in KINDS:
        texts = {text_of(kind, code, ACCOUNT, "log", given(kind)) for code in LANGUAGES}
        assert len(texts) == len(LANGUAGES)


def test_an_unknown_language_is_english() -> None:
    assert text_of("key_revoked", "xx", ACCOUNT, "l", given("key_revoked")) == text_of(
        "key_revoked", "en", ACCOUNT, "l", given("key_revoked")
    )


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "x",
        "k_0\r\nBcc: x@example.com",
        f"{VALUES['key']}\n",
        "Ada Lind",
        "k_{account}",
        "🙂" * 26,
    ],
)
def test_nothing_but_ids_gets_in(wrong: str) -> None:
    with pytest.raises(ValueError, match="something else than an id"):
        text_of("key_revoked", "en", ACCOUNT, "l", {"at": 1, "key": wrong})
    with pytest.raises(ValueError, match="something else than an id"):
        text_of("key_revoked", "en", wrong, "l", given("key_revoked"))


def test_parameters_are_those_of_the_kind() -> None:
    for params in ({}, {"at": 1}, {**given("key_revoked"), "name": VALUES["key"]}):
        with pytest.raises(ValueError, match="no kind"):
            text_of("key_revoked", "en", ACCOUNT, "l", params)
    with pytest.raises(ValueError, match="no kind"):
        text_of("birthday", "en", ACCOUNT, "l", {})


def test_what_is_told_is_a_type_of_the_registry() -> None:
    from ledger.types import REGISTRY

    assert TOLD.keys() <= {name for name, _ in REGISTRY}


def test_guardians_are_told_what_a_childs_patient_is() -> None:
    """Whatever a hospital does with a chart that its patient is told, a child's guardian is told in words of their own."""
    whats = {kind for kind in KINDS if f"child_{kind}" in KINDS}
    assert whats >= {
        "consultation_opened", "details_corrected", "emergency_reviewed", "records_disclosed", "referral_accepted", "referral_sent",
    }  # fmt: skip
