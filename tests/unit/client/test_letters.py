"""Letters with claim codes: what stands on them, and what doesn't."""

from pathlib import Path

import pytest

from client.letters import Letter, fingerprint, letter_bytes, pdf, text

LETTER = Letter(
    "heartwood.example/log", fingerprint(["heartwood.example/log+0+A"]), "pt_1", "7ZZZ-0000"
)


def test_a_letter_says_what_to_compare_and_what_to_do() -> None:
    """In two languages, with the square that holds all but the birth date."""
    page = text(LETTER)
    for said in (
        LETTER.origin,
        LETTER.fingerprint,
        LETTER.patient,
        LETTER.code,
        "claim",
        "Akte",
        "█",
    ):
        assert said in page
    assert "\x1b" not in page


def test_the_square_says_all_of_it() -> None:
    assert LETTER.link == (
        f"heartwood:claim?origin=heartwood.example%2Flog&key={LETTER.fingerprint.replace(' ', '')}"
        "&patient=pt_1&code=7ZZZ-0000"
    )


@pytest.mark.parametrize(
    ("name", "begins"), [("a.pdf", b"%PDF-"), ("a.PDF", b"%PDF-"), ("a.txt", b"Your")]
)
def test_the_ending_tells_the_form(name: str, begins: bytes) -> None:
    assert letter_bytes(LETTER, Path(name)).startswith(begins)


def test_a_letter_is_one_page() -> None:
    assert b"/Count 1" in pdf(LETTER)


def test_the_fingerprint_is_of_the_first_key() -> None:
    assert fingerprint(["a", "b"]) == fingerprint(["a"]) != fingerprint(["b"])
    assert len(fingerprint(["a"]).replace(" ", "")) == 32
