"""Texts from outside: what is printed of them, and files whose form an editor changed."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import FormError
from crypto.texts import counted, is_printable, plain_text, printable

TEXT = "Klinikum Süd – łódź 病院 🏥\n— log.example/a AAAA=\n".encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Klinikum Süd, 病院 🏥", "Klinikum Süd, 病院 🏥"),
        ("\x1b[2Jgood", "\\x1b[2Jgood"),
        ("a\rb\nc\td\x7f", "a\\x0db\\x0ac\\x09d\\x7f"),
        ("\x9b31m\x85", "\\x9b31m\\x85"),
        ("abc\u202etxt.exe\u2066", "abc\\u202etxt.exe\\u2066"),
        ("\u061c\u200e\u200f\u2028\u2029", "\\u061c\\u200e\\u200f\\u2028\\u2029"),
        ("\udc80", "\\udc80"),
        ("\ufdd0\ufffe\U0001ffff\U0010fffe", "\\ufdd0\\ufffe\\U0001ffff\\U0010fffe"),
    ],
)
def test_what_does_not_show_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert is_printable(text) is (text == shown)


def test_every_control_surrogate_and_noncharacter_is_written_out() -> None:
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        kind = unicodedata.category(char)
        nothing = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
        turning = unicodedata.bidirectional(char) in (
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
        )  # fmt: skip
        if kind in ("Cc", "Cs", "Zl", "Zp") or nothing or turning:
            assert not is_printable(char), hex(code)
        elif kind not in ("Cf", "Cn", "Co"):
            assert is_printable(char), hex(code)


@given(st.text(st.characters()))
def test_what_is_printed_is_one_line_of_utf8(text: str) -> None:
    shown = printable(text)
    assert is_printable(shown) and len(shown.splitlines()) <= 1
    assert shown.encode().decode() == shown


@pytest.mark.parametrize(
    "data",
    [
        TEXT,
        TEXT.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + TEXT,
        TEXT.decode().encode("utf-16"),
        b"\xfe\xff" + TEXT.decode().replace("\n", "\r\n").encode("utf-16-be"),
        TEXT[:-1],
        TEXT + b"\n\n",
    ],
)
def test_the_form_of_a_text_counts_for_nothing(data: bytes) -> None:
    assert plain_text(data, "a file") == TEXT


@pytest.mark.parametrize("data", [b"\xff\xfea", b"\xff\xfe\x00\xd8", b"\xfe\xff\xdc\x00"])
def test_what_is_no_text_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(FormError, match=r"^a file: got a file that begins like UTF-16"):
        plain_text(data, "a file")


def test_a_count_has_the_number_that_fits() -> None:
    """Of one and of several; also of what does not end in an s alone."""
    found = [counted(number, what) for number, what in ((0, "blob"), (1, "entry"), (2, "entry"))]
    assert found == ["0 blobs", "1 entry", "2 entries"]
